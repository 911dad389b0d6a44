/* The access log: see access_log.h. */
#include "lb/observe/access_log.h"

#include <stdlib.h>

struct access_log {
	int unused;
};

struct access_log *access_log_open(const char *path, unsigned n_lanes, struct err *err)
{
	(void)path;
	(void)n_lanes;
	err_set(err, 95, "the access log is not supported yet");
	return NULL;
}

void access_log_close(struct access_log *log)
{
	free(log);
}

void access_log_reopen(struct access_log *log)
{
	(void)log;
}

uint64_t access_log_dropped(const struct access_log *log)
{
	(void)log;
	return 0;
}

void access_log_write(struct access_log *log, unsigned lane, const struct access_entry *entry)
{
	(void)log;
	(void)lane;
	(void)entry;
}
