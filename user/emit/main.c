// SPDX-License-Identifier: GPL-2.0
/* The end of each emitted program: runs, each in a process of its own, which the kernel cleans up after. */

static void *start_actor(void *number)
{
	long i = (long)number;
	begin_actor((int)i);
	actors[i].act();
	sync_->ended[i] = 1;
	return NULL;
}

static void run_actors(void)
{
	pthread_t threads[NR_ACTORS];
	pid_t processes[NR_ACTORS];
	for (long i = 0; i < NR_ACTORS; i++) {
		if (!actors[i].process) {
			errno = pthread_create(&threads[i], NULL, start_actor, (void *)i);
			if (errno)
				die("pthread_create");
			continue;
		}
		processes[i] = fork();
		if (processes[i] < 0)
			die("fork");
		if (!processes[i]) {
			start_actor((void *)i);
			fflush(stdout);
			_exit(0);
		}
	}
	usleep(20000); /* all wait for it */
	sync_->go = 1;
	for (long i = 0; i < NR_ACTORS; i++) {
		if (actors[i].process)
			waitpid(processes[i], NULL, 0);
		else
			pthread_join(threads[i], NULL);
		sync_->ended[i] = 1;
	}
}

static int run_once(unsigned seed)
{
	int found;
	srandom(seed);
	setup();
	run_actors();
	found = judge();
	if (sync_->timed_out)
		printf("  an actor waited in vain\n");
	if (sync_->late)
		printf("  the delay was over before the other actor came that far: it may wait for a lock\n");
	if (sync_->not_widened)
		return EXIT_NOT_WIDENED;
	return found ? EXIT_SHOWN : EXIT_NOT_SHOWN;
}

/* The status of the process, or what it was that did not end. */
static int status_of(pid_t pid)
{
	int status = 0;
	for (long waited = 0; waited < RUN_MS; waited += 10) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFEXITED(status))
				return WEXITSTATUS(status);
			printf("  ended by signal %d\n", WTERMSIG(status));
			return EXIT_BROKEN;
		}
		sleep_ms(10);
	}
	kill(pid, SIGKILL);
	sleep_ms(2000);
	printf("  no end after %d ms%s\n", RUN_MS,
	       waitpid(pid, &status, WNOHANG) == pid ? "" : ", and it cannot be killed: see /proc/*/stack");
	return EXIT_BROKEN;
}

int main(int argc, char **argv)
{
	static struct names prepared;
	int runs = argc > 1 ? atoi(argv[1]) : 10, counts[EXIT_BROKEN + 1] = { 0 };
	setvbuf(stdout, NULL, _IOLBF, 0);
	r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sync_ = mmap(NULL, sizeof(*sync_), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r == MAP_FAILED || sync_ == MAP_FAILED)
		die("mmap");
	*r = no_names;
	prepare();
	prepared = *r;
	for (int run = 1; run <= runs; run++) {
		pid_t pid;
		int status;
		*r = prepared;
		memset(sync_, 0, sizeof(*sync_));
		printf("run %d\n", run);
		pid = fork();
		if (pid < 0)
			die("fork");
		if (!pid) {
			status = run_once((unsigned)run);
			fflush(stdout);
			_exit(status);
		}
		status = status_of(pid);
		counts[status <= EXIT_BROKEN ? status : EXIT_BROKEN]++;
	}
	printf("%d runs: %d forbidden, %d allowed, %d window not widened, %d broken\n", runs, counts[EXIT_SHOWN],
	       counts[EXIT_NOT_SHOWN], counts[EXIT_NOT_WIDENED], counts[EXIT_BROKEN]);
	return counts[EXIT_SHOWN]     ? EXIT_SHOWN
	       : counts[EXIT_BROKEN]  ? EXIT_BROKEN
	       : counts[EXIT_NOT_WIDENED] ? EXIT_NOT_WIDENED
					  : EXIT_NOT_SHOWN;
}
