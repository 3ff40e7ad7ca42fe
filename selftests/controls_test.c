// SPDX-License-Identifier: GPL-2.0
/*
 * controls_test - each control of each scenario brings its hazard back, and the scenario says so:
 * under it the verdict is FAIL, and the driver's status 1. One result a control.
 *
 * FAULTLINE names the driver; RUNS how many runs at most a control may take to be caught.
 */
#include <sys/wait.h>

#include "common.h"
#include "kselftest.h"

#define MAX_CONTROLS 256

/* What a command prints, into `text`; its wait status. */
static int run(const char *command, char *text, size_t size)
{
	FILE *pipe = popen(command, "r");
	size_t n;

	if (!pipe)
		ksft_exit_fail_msg("popen: %s\n", strerror(errno));
	n = fread(text, 1, size - 1, pipe);
	text[n] = '\0';
	return pclose(pipe);
}

static void try_control(const char *driver, const char *scenario, const char *control)
{
	const char *runs = getenv("RUNS") ? getenv("RUNS") : "50";
	static char text[1 << 16], command[1024];
	int status;

	snprintf(command, sizeof(command), "timeout 120 %s run %s --control %s --first --runs %s",
		 driver, scenario, control, runs);
	status = run(command, text, sizeof(text));
	ksft_print_msg("%s\n%s", command, text);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && strstr(text, " SKIP "))
		ksft_test_result_skip("%s %s\n", scenario, control);
	else
		ksft_test_result(WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
				 strstr(text, " FAIL "), "%s %s\n", scenario, control);
}

int main(void)
{
	static char list[1 << 16], command[1024], scenario[MAX_CONTROLS][64],
		control[MAX_CONTROLS][64];
	const char *driver = getenv("FAULTLINE");
	int nr = 0, i;
	char *line;

	/* Who waits for a sign of life is to have one with each control. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	if (!driver)
		ksft_exit_skip("FAULTLINE must name the driver\n");
	if (geteuid())
		ksft_exit_skip("needs root\n");
	snprintf(command, sizeof(command), "%s list --controls", driver);
	if (run(command, list, sizeof(list)))
		ksft_exit_fail_msg("%s failed\n", command);
	for (line = strtok(list, "\n"); line && nr < MAX_CONTROLS; line = strtok(NULL, "\n"))
		nr += sscanf(line, "%63s %63s", scenario[nr], control[nr]) == 2;
	if (!nr)
		ksft_exit_fail_msg("no scenario has a control\n");
	ksft_set_plan(nr);
	for (i = 0; i < nr; i++)
		try_control(driver, scenario[i], control[i]);
	ksft_finished();
}
