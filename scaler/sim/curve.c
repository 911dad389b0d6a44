/*
 * See curve.h.
 */
#include "scaler/sim/curve.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "common/base/clock.h"

enum { LINE_SIZE = 65536, LOG_PROBE = 20 };

#define RATE_MAX 1e9
#define REMEDY \
	"a line is TIME,REQUESTS_PER_SECOND (seconds or ISO 8601), or one of an access log " \
	"(ALB's, " \
	"JSON, common or combined)"

void sim_curve_fini(struct sim_curve *curve)
{
	free(curve->rps);
	memset(curve, 0, sizeof *curve);
}

/* Room for n seconds, the new ones 0. */
static int reserve(struct sim_curve *curve, size_t n, struct err *err)
{
	size_t cap = curve->cap ? curve->cap : 4096;
	double *rps;

	if (n > CURVE_SECONDS_MAX) {
		err_set(err, ERANGE, "more than %d days; cut the file into parts",
			CURVE_SECONDS_MAX / 86400);
		return -1;
	}
	while (cap < n)
		cap *= 2;
	if (cap > curve->cap) {
		rps = reallocarray(curve->rps, cap, sizeof *rps);
		if (!rps) {
			err_set(err, ENOMEM, "out of memory");
			return -1;
		}
		memset(rps + curve->cap, 0, (cap - curve->cap) * sizeof *rps);
		curve->rps = rps;
		curve->cap = cap;
	}
	if (curve->n < n)
		curve->n = n;
	return 0;
}

/* ---- logs ---- */

int sim_curve_count(struct sim_curve *curve, int64_t at_s, struct err *err)
{
	if (curve->n == 0)
		curve->start_s = at_s;
	if (at_s < curve->start_s) {
		size_t more = (size_t)(curve->start_s - at_s), n = curve->n;

		if (reserve(curve, n + more, err) < 0)
			return -1;
		memmove(curve->rps + more, curve->rps, n * sizeof *curve->rps);
		memset(curve->rps, 0, more * sizeof *curve->rps);
		curve->start_s = at_s;
	}
	if (at_s - curve->start_s >= CURVE_SECONDS_MAX ||
	    reserve(curve, (size_t)(at_s - curve->start_s) + 1, err) < 0) {
		err_set(err, ERANGE, "more than %d days from the other lines; cut the file",
			CURVE_SECONDS_MAX / 86400);
		return -1;
	}
	curve->rps[at_s - curve->start_s]++;
	curve->n_lines++;
	return 0;
}

/* The text of len bytes as ISO 8601. */
static int64_t iso_seconds(const char *text, size_t len)
{
	char copy[CLOCK_TEXT_MAX + 8];
	int64_t ms;

	if (len >= sizeof copy || len < sizeof "2026-01-01T00:00" - 1 || text[4] != '-')
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (clock_parse_iso(copy, &ms) < 0 || ms < 0)
		return -1;
	return ms / 1000;
}

/* http 2026-08-07T10:00:05.123456Z app/web/... */
static int64_t parse_alb(const char *line)
{
	const char *space = strchr(line, ' ');

	if (!space || space - line > 6)
		return -1;
	return iso_seconds(space + 1, strcspn(space + 1, " \n"));
}

/* {"type":"http","time":"2026-08-07T10:00:05.123456Z",... */
static int64_t parse_json(const char *line)
{
	const char *time = line[0] == '{' ? strstr(line, "\"time\"") : NULL;

	if (!time)
		return -1;
	time += strlen("\"time\"");
	time += strspn(time, " :");
	if (*time != '"')
		return -1;
	return iso_seconds(time + 1, strcspn(time + 1, "\""));
}

static int month_of(const char text[3])
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++) {
		if (strncasecmp(names + 3 * (size_t)i, text, 3) == 0)
			return i;
	}
	return -1;
}

/* 203.0.113.9 - alice [07/Aug/2026:10:00:05 +0200] "GET / HTTP/1.1" 200 2 */
static int64_t parse_common(const char *line)
{
	const char *bracket = strchr(line, '[');
	struct tm tm = {0};
	char month[4] = "", sign = '+';
	int zone = 0, n;

	if (!bracket)
		return -1;
	n = sscanf(bracket, "[%2d/%3s/%4d:%2d:%2d:%2d %c%4d]", &tm.tm_mday, month, &tm.tm_year,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &sign, &zone);
	tm.tm_mon = month_of(month);
	if ((n != 6 && n != 8) || tm.tm_mon < 0 || tm.tm_year < 1970)
		return -1;
	tm.tm_year -= 1900;
	zone = (zone / 100 * 60 + zone % 100) * 60;
	return timegm(&tm) + (sign == '-' ? zone : -zone);
}

int64_t sim_log_parse(const char *line)
{
	int64_t at_s = line[0] == '{' ? parse_json(line) : parse_alb(line);

	return at_s >= 0 || line[0] == '{' ? at_s : parse_common(line);
}

/* ---- CSV ---- */

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t\"");
}

int sim_csv_parse(const char *line, struct sim_csv_line *out, const char **why)
{
	const char *text = skip_blanks(line), *comma = text + strcspn(text, ",;");
	const char *rest;
	char *end;

	memset(out, 0, sizeof *out);
	if (!*comma) {
		*why = "there is no comma";
		return -1;
	}
	rest = skip_blanks(comma + 1);
	out->at_s = strtod(text, &end);
	if (end == text || *skip_blanks(end) != *comma) {
		size_t len = strcspn(text, "\",; ");
		int64_t at_s = iso_seconds(text, len);

		*why = "the time is neither seconds nor ISO 8601";
		if (at_s < 0)
			return -1;
		out->at_s = (double)at_s;
		out->is_iso = true;
	}
	out->rate = strtod(rest, &end);
	*why = "the rate is no number of requests per second";
	if (end == rest || *(end + strspn(end, " \t\r\n\",;")) != '\0' || !(out->rate >= 0) ||
	    out->rate > RATE_MAX)
		return -1;
	*why = "the time is out of range";
	return isfinite(out->at_s) && out->at_s >= 0 && out->at_s < 1e11 ? 0 : -1;
}

int sim_curve_add_point(struct sim_curve *curve, struct sim_csv_state *state,
			const struct sim_csv_line *point, struct err *err)
{
	double from, to;

	if (!state->has_last) {
		state->has_last = true;
		state->first = state->last = *point;
		curve->start_s = point->is_iso ? (int64_t)point->at_s : 0;
		curve->n_lines = 1;
		return 0;
	}
	if (point->is_iso != state->first.is_iso) {
		err_set(err, EINVAL, "seconds and ISO 8601 are mixed; use one of them");
		return -1;
	}
	if (point->at_s < state->last.at_s) {
		err_set(err, EINVAL, "the time goes back; sort the lines by time");
		return -1;
	}
	from = state->last.at_s - state->first.at_s;
	to = point->at_s - state->first.at_s;
	if (to > CURVE_SECONDS_MAX || reserve(curve, (size_t)ceil(to), err) < 0) {
		err_set(err, ERANGE, "more than %d days; cut the file into parts",
			CURVE_SECONDS_MAX / 86400);
		return -1;
	}
	for (size_t i = (size_t)from; (double)i < to; i++) {
		double middle = fmin(fmax((double)i + 0.5, from), to);

		curve->rps[i] = state->last.rate +
				(point->rate - state->last.rate) * (middle - from) / (to - from);
	}
	state->last = *point;
	curve->n_lines++;
	return 0;
}

/* The last point holds for as long as the one before it did (at least a second). */
static int end_points(struct sim_curve *curve, const struct sim_csv_state *state, struct err *err)
{
	size_t last = (size_t)(state->last.at_s - state->first.at_s);

	if (reserve(curve, last + 1, err) < 0)
		return -1;
	curve->rps[last] = state->last.rate;
	return 0;
}

/* ---- files ---- */

struct reader {
	const char *path;
	gzFile file;
	char *line;
	size_t number;
};

/* False: the end, or err. */
static bool next_line(struct reader *reader, struct err *err)
{
	int code;

	for (;;) {
		if (!gzgets(reader->file, reader->line, LINE_SIZE)) {
			const char *why = gzerror(reader->file, &code);

			if (code != Z_OK && code != Z_STREAM_END)
				err_set(err, EIO, "%s:%zu: %s", reader->path, reader->number + 1,
					code == Z_ERRNO ? strerror(errno) : why);
			return false;
		}
		reader->number++;
		if (reader->line[strspn(reader->line, " \t\r\n")] != '\0' && reader->line[0] != '#')
			return true;
	}
}

static int bad_line(const struct reader *reader, struct err *err, const char *why)
{
	err_set(err, EINVAL, "%s:%zu: %s; %s", reader->path, reader->number, why, REMEDY);
	return -1;
}

static int read_log(struct reader *reader, struct sim_curve *curve, struct err *err)
{
	do {
		int64_t at_s = sim_log_parse(reader->line);

		if (at_s < 0) {
			if (curve->n_bad++ == 0)
				curve->first_bad_line = reader->number;
			if (curve->n_bad >= LOG_PROBE && curve->n_bad > curve->n_lines)
				return bad_line(reader, err,
						"most lines so far are of no known form");
			continue;
		}
		if (sim_curve_count(curve, at_s, err) < 0) {
			err_wrap(err, "%s:%zu: ", reader->path, reader->number);
			return -1;
		}
	} while (next_line(reader, err));
	return err->code ? -1 : 0;
}

static int read_csv(struct reader *reader, struct sim_curve *curve, struct err *err)
{
	struct sim_csv_state state = {0};
	struct sim_csv_line point;
	const char *why;

	/* A first line of words is a header. */
	if (sim_csv_parse(reader->line, &point, &why) < 0 &&
	    !isdigit((unsigned char)*skip_blanks(reader->line)) && strpbrk(reader->line, ",;") &&
	    !next_line(reader, err))
		return err->code ? -1 : bad_line(reader, err, "there is nothing but a header");
	do {
		if (sim_csv_parse(reader->line, &point, &why) < 0)
			return bad_line(reader, err, why);
		if (sim_curve_add_point(curve, &state, &point, err) < 0) {
			err_wrap(err, "%s:%zu: ", reader->path, reader->number);
			return -1;
		}
	} while (next_line(reader, err));
	if (err->code)
		return -1;
	return end_points(curve, &state, err);
}

static int read_file(struct reader *reader, struct sim_curve *curve, struct err *err)
{
	if (!next_line(reader, err)) {
		if (!err->code)
			err_set(err, EINVAL, "%s:1: the file is empty; %s", reader->path, REMEDY);
		return -1;
	}
	if (sim_log_parse(reader->line) >= 0)
		return read_log(reader, curve, err);
	return read_csv(reader, curve, err);
}

int sim_curve_read(const char *path, struct sim_curve *curve, struct err *err)
{
	struct reader reader = {path, gzopen(path, "rb"), malloc(LINE_SIZE), 0};
	struct err local = {0};
	int result = -1;

	memset(curve, 0, sizeof *curve);
	if (!reader.file)
		err_set(&local, errno, "%s: %s", path, strerror(errno ? errno : ENOMEM));
	else if (!reader.line)
		err_set(&local, ENOMEM, "out of memory");
	else
		result = read_file(&reader, curve, &local);
	free(reader.line);
	if (reader.file)
		gzclose(reader.file);
	if (result < 0) {
		sim_curve_fini(curve);
		*err = local;
	}
	return result;
}
