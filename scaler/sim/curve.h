/*
 * The load over time: requests of each second, from a CSV file or an access log (albatross-lb's
 * and ALB's lines, albatross-lb's JSON lines, the common and the combined format; gzip is read as
 * it is).  Blocks on the disk: command line only.
 */
#ifndef SCALER_SIM_CURVE_H
#define SCALER_SIM_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/base/err.h"

enum { CURVE_SECONDS_MAX = 100 * 24 * 3600 };

/* Zeroed is empty. */
struct sim_curve {
	double *rps; /* of each second */
	size_t n, cap;
	int64_t start_s;       /* Unix time of the first; 0: the file has no calendar */
	size_t n_lines;        /* that counted */
	size_t n_bad;          /* lines of a log that could not be read: left out */
	size_t first_bad_line; /* 1.. */
};

/* err: "FILE:LINE: what; remedy". */
MUST_CHECK int sim_curve_read(const char *path, struct sim_curve *curve, struct err *err);
void sim_curve_fini(struct sim_curve *curve);

/* ---- parts, for the tests ---- */

/* A line of CSV: TIME,RATE with TIME in seconds or ISO 8601.  0; -1 with why. */
struct sim_csv_line {
	double at_s;
	bool is_iso;
	double rate;
};
MUST_CHECK int sim_csv_parse(const char *line, struct sim_csv_line *out, const char **why);
/* The next point of the curve; between two it runs in a straight line, two of the same time are a
 * jump.  Times must not fall.  -1 with err (without place). */
struct sim_csv_state {
	bool has_last;
	struct sim_csv_line last, first;
};
MUST_CHECK int sim_curve_add_point(struct sim_curve *curve, struct sim_csv_state *state,
				   const struct sim_csv_line *point, struct err *err);

/* When a line of a log was, Unix seconds; -1: no known form. */
int64_t sim_log_parse(const char *line);
/* One request more in that second.  -1 with err: no memory, or too far from the others. */
MUST_CHECK int sim_curve_count(struct sim_curve *curve, int64_t at_s, struct err *err);

#endif
