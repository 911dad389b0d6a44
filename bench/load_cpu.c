/*
 * The processor time of processes, thread by thread: the scheduler's own nanoseconds where the
 * kernel shows them (/proc/PID/task/TID/schedstat), else ticks.  A thread that has ended is lost.
 */
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/load.h"

/* Nanoseconds on a processor so far of one thread: its schedstat, else ticks of its stat. */
static uint64_t thread_cpu_ns(const char *folder)
{
	char path[512];
	unsigned long long ns = 0, user = 0, system = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/schedstat", folder);
	file = fopen(path, "re");
	if (file != NULL) {
		bool is_read = fscanf(file, "%llu", &ns) == 1;

		fclose(file);
		if (is_read)
			return ns;
	}
	snprintf(path, sizeof(path), "%s/stat", folder);
	file = fopen(path, "re");
	if (file == NULL)
		return 0; /* it has ended */
	if (fscanf(file, "%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
		   &system) != 2)
		load_die(path);
	fclose(file);
	return (user + system) * UINT64_C(1000000000) / (unsigned long long)sysconf(_SC_CLK_TCK);
}

uint64_t load_cpu_ns(const int *pids, unsigned n_pids)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n_pids; i++) {
		char folder[64], path[320];
		struct dirent *entry;
		DIR *dir;

		snprintf(folder, sizeof(folder), "/proc/%d/task", pids[i]);
		dir = opendir(folder);
		if (dir == NULL)
			load_die(folder);
		while ((entry = readdir(dir)) != NULL) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
			sum += thread_cpu_ns(path);
		}
		closedir(dir);
	}
	return sum;
}
