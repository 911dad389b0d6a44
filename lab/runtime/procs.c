/* See procs.h. */
#include "lab/runtime/procs.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PROCS = 1 << 16, MAX_DEPTH = 256 };

int procs_parse_stat(const char *line, struct proc *proc)
{
	/* The name stands in brackets and may hold anything, brackets too: go by the last one. */
	const char *rest = strrchr(line, ')');
	uint64_t utime, stime;
	int64_t cutime, cstime;

	proc->pid = (pid_t)strtol(line, NULL, 10);
	if (rest == NULL || proc->pid <= 0)
		return -1;
	if (sscanf(rest + 1,
		   " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNd64
		   " %" SCNd64,
		   &proc->state, &proc->ppid, &proc->pgid, &proc->sid, &utime, &stime, &cutime,
		   &cstime) != 8)
		return -1;
	proc->ticks = utime + stime + (uint64_t)cutime + (uint64_t)cstime;
	return 0;
}

uint64_t procs_parse_schedstat(const char *line)
{
	uint64_t wait_ns;

	return sscanf(line, "%*u %" SCNu64, &wait_ns) == 1 ? wait_ns / 1000 : 0;
}

/* The first line of NAME/FILE below folder; -1 when the process has ended since. */
static int read_line(int folder, const char *name, const char *file, char line[1024])
{
	char path[300];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", name, file);
	fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	len = read(fd, line, 1023);
	close(fd);
	if (len <= 0)
		return -1;
	line[len] = '\0';
	return 0;
}

static int read_one(int folder, const char *name, struct proc *proc)
{
	char line[1024];

	return read_line(folder, name, "stat", line) == 0 ? procs_parse_stat(line, proc) : -1;
}

static int compare_pid(const void *a, const void *b)
{
	pid_t x = ((const struct proc *)a)->pid, y = ((const struct proc *)b)->pid;

	return (x > y) - (x < y);
}

int procs_read(struct procs *procs)
{
	DIR *folder = opendir("/proc");
	size_t room = 0;
	struct dirent *entry;

	*procs = (struct procs){0};
	if (folder == NULL)
		return -1;
	while ((entry = readdir(folder)) != NULL && procs->n < MAX_PROCS) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (procs->n == room) {
			size_t more = room == 0 ? 256 : 2 * room;
			struct proc *list = reallocarray(procs->list, more, sizeof(*list));

			if (list == NULL)
				goto fail;
			procs->list = list;
			room = more;
		}
		if (read_one(dirfd(folder), entry->d_name, &procs->list[procs->n]) == 0)
			procs->n++;
	}
	closedir(folder);
	qsort(procs->list, procs->n, sizeof(*procs->list), compare_pid);
	return 0;
fail:
	closedir(folder);
	procs_fini(procs);
	return -1;
}

void procs_fini(struct procs *procs)
{
	free(procs->list);
	*procs = (struct procs){0};
}

static const struct proc *find(const struct procs *procs, pid_t pid)
{
	struct proc key = {.pid = pid};

	if (procs->n == 0)
		return NULL;
	return bsearch(&key, procs->list, procs->n, sizeof(key), compare_pid);
}

bool procs_descends(const struct procs *procs, pid_t pid, pid_t root)
{
	for (int depth = 0; pid > 0 && depth < MAX_DEPTH; depth++) {
		const struct proc *proc;

		if (pid == root)
			return true;
		proc = find(procs, pid);
		if (proc == NULL)
			return false;
		pid = proc->ppid;
	}
	return false;
}

uint64_t procs_ticks(const struct procs *procs, pid_t root)
{
	uint64_t ticks = 0;

	for (size_t i = 0; i < procs->n; i++)
		if (procs_descends(procs, procs->list[i].pid, root))
			ticks += procs->list[i].ticks;
	return ticks;
}

static uint64_t wait_of(pid_t pid)
{
	char path[64], line[1024];
	struct dirent *entry;
	uint64_t wait_us = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	folder = opendir(path);
	if (folder == NULL)
		return 0;
	while ((entry = readdir(folder)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    read_line(dirfd(folder), entry->d_name, "schedstat", line) == 0)
			wait_us += procs_parse_schedstat(line);
	closedir(folder);
	return wait_us;
}

uint64_t procs_wait_us(const struct procs *procs, pid_t root)
{
	uint64_t wait_us = 0;

	for (size_t i = 0; i < procs->n; i++)
		if (procs_descends(procs, procs->list[i].pid, root))
			wait_us += wait_of(procs->list[i].pid);
	return wait_us;
}

int procs_signal(const struct procs *procs, pid_t root, int signal)
{
	int n = 0;

	for (size_t i = 0; i < procs->n; i++) {
		const struct proc *proc = &procs->list[i];

		if (proc->pid == root || proc->state == 'Z' ||
		    !procs_descends(procs, proc->pid, root))
			continue;
		kill(proc->pid, signal);
		n++;
	}
	return n;
}
