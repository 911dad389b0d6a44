/*
 * A line of a log being put together in fixed memory: what does not fit is cut.
 * Pure; gmtime is asked once a day.  Every request pays for this, hence the inlining
 * (literals become plain stores) and the words of eight bytes: bench/instructions.py
 * --traffic access-log.
 */
#ifndef LB_OBSERVE_LINE_H
#define LB_OBSERVE_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "lb/routing/text.h"

struct line {
	char *at, *end;
};

/* The second that was last put into words. */
struct line_clock {
	int64_t second;
	char text[24]; /* "" = none yet */
};

static inline void line_add(struct line *line, const char *bytes, size_t len)
{
	size_t room = (size_t)(line->end - line->at);

	if (__builtin_expect(len > room, 0)) {
		memcpy(line->at, bytes, room);
		line->at += room;
		return;
	}
	memcpy(line->at, bytes, len);
	line->at += len;
}

#define line_literal(line, literal) line_add((line), (literal), sizeof(literal) - 1)

static inline void line_text(struct line *line, struct text text)
{
	if (text.len > 0)
		line_add(line, text.at, text.len);
}

void line_number(struct line *line, uint64_t number, int min_digits);

/* Neither control byte, quote nor backslash, and none above 0x7e: what no log escapes. */
bool line_is_plain(struct text text);

/* Bytes that could end or disguise the field go as \\xNN. */
void line_escaped(struct line *line, struct text text);
/* The rest put a blank behind; NULL and empty are "-". */
void line_or_dash(struct line *line, const char *text);
void line_quoted(struct line *line, struct text text);
/* The same for a text of our own, known to need no escape. */
void line_quoted_own(struct line *line, const char *text);
/* ISO 8601 with six decimals; is_ms: the last three are 0. */
void line_time(struct line *line, struct line_clock *clock, int64_t unix_us, bool is_ms);
/* Seconds with three decimals; negative = "-1". */
void line_duration(struct line *line, int64_t us);
/* "TID_" and 32 digits, no blank behind: joins the access log with the connection log. */
void line_connection_id(struct line *line, uint64_t id);

#endif
