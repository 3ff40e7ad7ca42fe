/* SPDX-License-Identifier: GPL-2.0 */
/* common.h - what the selftests share: a session, text files, waiting with a bound. */
#ifndef FAULTLINE_SELFTESTS_COMMON_H
#define FAULTLINE_SELFTESTS_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "faultline_abi.h"

#define FL_DIR "/sys/kernel/debug/faultline/"

static inline int session_open(void)
{
	return open(FL_DIR "session", O_RDWR | O_CLOEXEC);
}

static inline long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static inline void sleep_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

/* The whole of a small file, as a string; "" if it cannot be read. */
static inline const char *read_file(const char *path)
{
	static char text[1 << 16];
	ssize_t n, len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
			len += n;
		close(fd);
	}
	text[len] = '\0';
	return text;
}

/* Until a file contains a text, or the bound; true if it does. */
static inline int wait_for_text(const char *path, const char *text, int ms)
{
	long long end = now_ms() + ms;

	while (!strstr(read_file(path), text)) {
		if (now_ms() > end)
			return 0;
		sleep_ms(1);
	}
	return 1;
}

static inline int wait_for_held(const char *site, int ms)
{
	char text[128];

	snprintf(text, sizeof(text), "state held site %s\n", site);
	return wait_for_text(FL_DIR "sessions", text, ms);
}

/* 0, or the errno, of one write. */
static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = fd < 0 || write(fd, text, strlen(text)) < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

/* A line in the file that PROGRESS names, if it does: somebody waits. */
static inline void note_progress(const char *format, ...)
{
	const char *path = getenv("PROGRESS");
	va_list arguments;
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	va_start(arguments, format);
	vdprintf(fd, format, arguments);
	va_end(arguments);
	close(fd);
}

/* A program that is right: two actors, a hold of "a" at a user site. */
static inline void program_init(struct fl_program *p)
{
	memset(p, 0, sizeof(*p));
	p->size = sizeof(*p);
	p->version = FL_ABI_VERSION;
	p->nr_actors = 2;
	p->wait_ms = 2000;
	strcpy(p->actors[0], "a");
	strcpy(p->actors[1], "b");
}

static inline int add_site(struct fl_program *p, unsigned int actor,
			   enum fl_site_kind kind, const char *name)
{
	struct fl_site *site = &p->sites[p->nr_sites];

	site->actor = actor;
	site->kind = kind;
	site->context = FL_CONTEXT_AUTO;
	site->hit = 1;
	snprintf(site->name, sizeof(site->name), "%s", name);
	return p->nr_sites++;
}

static inline void add_edge(struct fl_program *p, int before, int after)
{
	p->edges[p->nr_edges].before = before;
	p->edges[p->nr_edges].after = after;
	p->nr_edges++;
}

static inline struct fl_control *add_control(struct fl_program *p,
					     enum fl_control_kind kind,
					     const char *function)
{
	struct fl_control *control = &p->controls[p->nr_controls++];

	control->kind = kind;
	control->actors = 1;
	control->every = 1;
	snprintf(control->function, sizeof(control->function), "%s", function);
	return control;
}

static inline int bind_actor(int session, unsigned int actor, pid_t tid)
{
	struct fl_bind bind = { .actor = actor, .tid = tid };

	return ioctl(session, FL_IOC_BIND, &bind);
}

/* The end of the stay, or -1 with errno. */
static inline int arrive(int session, unsigned int site)
{
	struct fl_arrive at = { .site = site };

	return ioctl(session, FL_IOC_ARRIVE, &at) ? -1 : (int)at.end;
}

/* Until the module is unloaded, or the bound: 0, or -1 with errno. */
static inline int module_unload(int ms)
{
	long long end = now_ms() + ms;

	while (syscall(SYS_delete_module, "faultline", O_NONBLOCK)) {
		/* In use, or what frees it has not run yet. */
		if ((errno != EWOULDBLOCK && errno != EBUSY) || now_ms() > end)
			return -1;
		sleep_ms(5);
	}
	return 0;
}

/* With parameters as insmod takes them: 0, or -1 with errno. */
static inline int module_load_with(const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -1;
	err = syscall(SYS_finit_module, fd, parameters, 0);
	close(fd);
	return err;
}

static inline int module_load(const char *path)
{
	return module_load_with(path, "");
}

#endif /* FAULTLINE_SELFTESTS_COMMON_H */
