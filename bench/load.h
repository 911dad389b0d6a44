/*
 * What the files of the benchmark's load share: its options, and the processor time of others.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_REQUEST_MAX = 16384, LOAD_PIDS_MAX = 64 };

/* Set once, before the first connection. */
struct load_options {
	struct sockaddr_in addr;
	unsigned n_conns;
	double seconds, warm_s, timeout_s;
	double rate;         /* requests/s; 0 = closed loop */
	uint64_t n_requests; /* closed loop: ends after so many; 0 = by time */
	bool is_close, is_idle;
	size_t body_bytes;
	int pids[LOAD_PIDS_MAX]; /* whose processor time is told */
	unsigned n_pids;
	char request[LOAD_REQUEST_MAX]; /* the head; upload, body_bytes of zeros, follows it */
	size_t request_len;
	char *upload;
};

/* Prints the usage and exits with 2 when they make no sense. */
void load_parse_options(int argc, char **argv, struct load_options *opt);

/* Nanoseconds on a processor so far of all threads of these processes; exits when one is gone. */
uint64_t load_cpu_ns(const int *pids, unsigned n_pids);

/* Says why, with errno, and exits with 1. */
_Noreturn void load_die(const char *why);

#endif
