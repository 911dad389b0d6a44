/* See line.h. */
#include "lb/observe/line.h"

#include <string.h>
#include <time.h>

void line_add(struct line *line, const char *bytes, size_t len)
{
	size_t room = (size_t)(line->end - line->at);

	len = len < room ? len : room;
	if (len > 0)
		memcpy(line->at, bytes, len);
	line->at += len;
}

void line_str(struct line *line, const char *text)
{
	line_add(line, text, strlen(text));
}

void line_number(struct line *line, uint64_t number, int min_digits)
{
	char digits[20];
	int n = 0;

	do {
		digits[19 - n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0 || n < min_digits);
	line_add(line, digits + 20 - n, (size_t)n);
}

void line_or_dash(struct line *line, const char *text)
{
	line_str(line, text && *text ? text : "-");
	line_add(line, " ", 1);
}

/* Bytes that could end or disguise the field go as \xNN. */
void line_escaped(struct line *line, struct text text)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};

		if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
			line_add(line, escape, 4);
		else
			line_add(line, text.at + i, 1);
	}
}

void line_quoted(struct line *line, struct text text)
{
	line_add(line, "\"", 1);
	if (text.len == 0)
		line_add(line, "-", 1);
	line_escaped(line, text);
	line_add(line, "\" ", 2);
}

void line_quoted_str(struct line *line, const char *text)
{
	line_quoted(line, text_of(text));
}

/* gmtime once a second, not once a line. */
void line_time(struct line *line, struct line_clock *clock, int64_t unix_us, bool is_ms)
{
	int64_t second = unix_us / 1000000, micros = unix_us % 1000000;

	if (second != clock->second) {
		time_t seconds = (time_t)second;
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(clock->text, sizeof(clock->text), "%Y-%m-%dT%H:%M:%S", &tm);
		clock->second = second;
	}
	line_str(line, clock->text);
	line_add(line, ".", 1);
	line_number(line, (uint64_t)(is_ms ? micros / 1000 * 1000 : micros), 6);
	line_add(line, "Z ", 2);
}

/* Seconds with three decimals; -1 when the stage was not reached. */
void line_duration(struct line *line, int64_t us)
{
	if (us < 0) {
		line_add(line, "-1 ", 3);
		return;
	}
	line_number(line, (uint64_t)us / 1000000, 1);
	line_add(line, ".", 1);
	line_number(line, (uint64_t)us % 1000000 / 1000, 3);
	line_add(line, " ", 1);
}

void line_connection_id(struct line *line, uint64_t id)
{
	static const char hex[] = "0123456789abcdef";
	/* 128 bits in the log, 64 in memory: the second half is a mix of the first. */
	uint64_t halves[2] = {id, id * 0x9E3779B97F4A7C15ull};
	char text[36] = "TID_";

	for (int i = 0; i < 32; i++)
		text[4 + i] = hex[(halves[i / 16] >> (60 - i % 16 * 4)) & 15];
	line_add(line, text, sizeof(text));
}
