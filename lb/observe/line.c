/* See line.h. */
#include "lb/observe/line.h"

#include <endian.h>
#include <string.h>
#include <time.h>

enum { SECONDS_A_DAY = 86400 };

#define EACH_BYTE(value) ((value)*0x0101010101010101ull)

enum { MAX_DIGITS = 20 };

static int count_digits(uint64_t number)
{
	int n = 1;

	for (; number >= 1000; number /= 1000)
		n += 3;
	return n + (number >= 10) + (number >= 100);
}

/* In place: numbers are short, and a call to copy them costs more than to write them. */
void line_number(struct line *line, uint64_t number, int min_digits)
{
	char digits[MAX_DIGITS];
	int n = count_digits(number);
	bool is_roomy = line->end - line->at >= MAX_DIGITS;
	char *at = is_roomy ? line->at : digits;

	n = n > min_digits ? n : min_digits;
	for (int i = n - 1; i >= 0; i--, number /= 10)
		at[i] = (char)('0' + number % 10);
	if (is_roomy)
		line->at += n;
	else
		line_add(line, digits, (size_t)n);
}

/* The same, for what is mostly below ten. */
static void add_seconds(struct line *line, uint64_t seconds)
{
	char digit = (char)('0' + seconds % 10);

	if (seconds < 10)
		line_add(line, &digit, 1);
	else
		line_number(line, seconds, 1);
}

void line_or_dash(struct line *line, const char *text)
{
	if (!text || !*text) {
		line_literal(line, "- ");
		return;
	}
	line_add(line, text, strlen(text));
	line_literal(line, " ");
}

/* Nonzero if one of the bytes is 0; those below 0x80 alone are looked at. */
static inline uint64_t has_zero(uint64_t word)
{
	return (word - EACH_BYTE(0x01)) & ~word & EACH_BYTE(0x80);
}

static inline bool is_plain(uint64_t word)
{
	uint64_t is_control = (word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80);
	uint64_t is_high = (word + EACH_BYTE(0x01)) | word; /* 0x7f and above */

	return ((is_high & EACH_BYTE(0x80)) | is_control | has_zero(word ^ EACH_BYTE('"')) |
		has_zero(word ^ EACH_BYTE('\\'))) == 0;
}

/* Fewer than eight bytes, as a word filled up with plain ones.  No order: each byte counts alone.
 */
static inline uint64_t short_word(struct text text)
{
	uint64_t word = EACH_BYTE('0');

	if (text.len >= 4) {
		memcpy(&word, text.at, 4);
		memcpy((char *)&word + 4, text.at + text.len - 4, 4);
	} else if (text.len >= 2) {
		memcpy(&word, text.at, 2);
		memcpy((char *)&word + 2, text.at + text.len - 2, 2);
	} else if (text.len == 1) {
		memcpy(&word, text.at, 1);
	}
	return word;
}

bool line_is_plain(struct text text)
{
	uint64_t word;

	if (text.len < 8)
		return is_plain(short_word(text));
	for (size_t n = 0; n + 8 <= text.len; n += 8) {
		memcpy(&word, text.at + n, 8);
		if (!is_plain(word))
			return false;
	}
	memcpy(&word, text.at + text.len - 8, 8); /* some of it for the second time */
	return is_plain(word);
}

static void escape(struct line *line, struct text text)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
		bool is_odd = c < 0x20 || c == '"' || c == '\\' || c == 0x7f;

		line_add(line, is_odd ? escaped : text.at + i, is_odd ? 4 : 1);
	}
}

void line_escaped(struct line *line, struct text text)
{
	if (line_is_plain(text))
		line_text(line, text);
	else
		escape(line, text);
}

void line_quoted(struct line *line, struct text text)
{
	if (text.len == 0) {
		line_literal(line, "\"-\" ");
		return;
	}
	line_literal(line, "\"");
	line_escaped(line, text);
	line_literal(line, "\" ");
}

void line_quoted_str(struct line *line, const char *text)
{
	line_quoted(line, text_of(text));
}

static void put_two(char *out, int64_t number)
{
	out[0] = (char)('0' + number / 10);
	out[1] = (char)('0' + number % 10);
}

/* gmtime once a day, and nothing at all for lines of the same second. */
static void set_clock(struct line_clock *clock, int64_t second)
{
	bool is_same_day =
	    clock->text[0] && second / SECONDS_A_DAY == clock->second / SECONDS_A_DAY;
	int64_t of_day = second % SECONDS_A_DAY;

	clock->second = second;
	if (!is_same_day) {
		time_t seconds = (time_t)second;
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(clock->text, sizeof(clock->text), "%Y-%m-%dT%H:%M:%S.", &tm);
		return;
	}
	put_two(clock->text + 11, of_day / 3600);
	put_two(clock->text + 14, of_day / 60 % 60);
	put_two(clock->text + 17, of_day % 60);
}

void line_time(struct line *line, struct line_clock *clock, int64_t unix_us, bool is_ms)
{
	enum { TEXT_LEN = 20 }; /* up to the point */
	int64_t second = unix_us / 1000000;
	unsigned micros = (unsigned)(unix_us - second * 1000000);
	char text[TEXT_LEN + 8];

	if (second != clock->second || !clock->text[0])
		set_clock(clock, second);
	memcpy(text, clock->text, TEXT_LEN);
	put_two(text + 20, micros / 10000);
	put_two(text + 22, micros / 100 % 100);
	put_two(text + 24, micros % 100);
	if (is_ms)
		memset(text + 23, '0', 3);
	text[26] = 'Z';
	text[27] = ' ';
	line_add(line, text, sizeof(text));
}

/* Seconds with three decimals; -1 when the stage was not reached. */
void line_duration(struct line *line, int64_t us)
{
	unsigned ms;
	char text[5] = {'.', 0, 0, 0, ' '};

	if (us < 0) {
		line_literal(line, "-1 ");
		return;
	}
	ms = (unsigned)((uint64_t)us / 1000 % 1000);
	text[1] = (char)('0' + ms / 100);
	put_two(text + 2, ms % 100);
	add_seconds(line, (uint64_t)us / 1000000);
	line_add(line, text, sizeof(text));
}

/* Each half byte to a byte of its own, then to a digit. */
static inline void put_hex(char *out, uint32_t number)
{
	uint64_t x = number;

	x = (x | x << 16) & 0x0000ffff0000ffffull;
	x = (x | x << 8) & 0x00ff00ff00ff00ffull;
	x = (x | x << 4) & 0x0f0f0f0f0f0f0f0full;
	uint64_t is_letter = ((x + EACH_BYTE(6)) >> 4) & EACH_BYTE(1);
	x = htobe64(x + EACH_BYTE('0') + is_letter * ('a' - '0' - 10));
	memcpy(out, &x, 8);
}

void line_connection_id(struct line *line, uint64_t id)
{
	/* 128 bits in the log, 64 in memory: the second half is a mix of the first. */
	uint64_t mix = id * 0x9E3779B97F4A7C15ull;
	char text[36] = "TID_";

	put_hex(text + 4, (uint32_t)(id >> 32));
	put_hex(text + 12, (uint32_t)id);
	put_hex(text + 20, (uint32_t)(mix >> 32));
	put_hex(text + 28, (uint32_t)mix);
	line_add(line, text, sizeof(text));
}
