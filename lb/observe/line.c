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

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
			    "25262728293031323334353637383940414243444546474849"
			    "50515253545556575859606162636465666768697071727374"
			    "75767778798081828384858687888990919293949596979899";

static inline void put_two(char *out, unsigned number)
{
	memcpy(out, pairs + (size_t)2 * number, 2);
}

static inline void put_three(char *out, unsigned number)
{
	out[0] = (char)('0' + number / 100);
	put_two(out + 1, number % 100);
}

/* Below 1000; returns where it ends. */
static inline char *put_small(char *out, unsigned number)
{
	if (number < 10) {
		*out = (char)('0' + number);
		return out + 1;
	}
	if (number < 100) {
		put_two(out, number);
		return out + 2;
	}
	put_three(out, number);
	return out + 3;
}

/* What is rare stands apart: the array would cost the common case a stack guard. */
#define RARE static __attribute__((noinline, cold))

RARE void put_number(struct line *line, uint64_t number, int min_digits)
{
	char digits[MAX_DIGITS];
	int n = count_digits(number);

	n = n > min_digits ? n : min_digits;
	for (int i = n - 1; i >= 0; i--, number /= 10)
		digits[i] = (char)('0' + number % 10);
	line_add(line, digits, (size_t)n);
}

/* In place: numbers are short, and a call to copy them costs more than to write them. */
void line_number(struct line *line, uint64_t number, int min_digits)
{
	bool is_small = number < 1000000 && (min_digits == 1 || number >= 100);

	if (!is_small || min_digits > 3 || line->end - line->at < MAX_DIGITS) {
		put_number(line, number, min_digits);
		return;
	}
	unsigned small = (unsigned)number;

	if (small < 1000) {
		line->at = put_small(line->at, small);
		return;
	}
	line->at = put_small(line->at, small / 1000);
	put_three(line->at, small % 1000);
	line->at += 3;
}

/* Fewer than eight bytes, as a word filled up with zeros of ASCII; no order, some may come twice.
 */
static inline uint64_t copy_short(char *out, const char *from, size_t len)
{
	uint64_t word = EACH_BYTE('0');

	if (len >= 4) {
		memcpy(&word, from, 4);
		memcpy((char *)&word + 4, from + len - 4, 4);
		memcpy(out, &word, 4);
		memcpy(out + len - 4, (char *)&word + 4, 4);
	} else if (len >= 2) {
		memcpy(&word, from, 2);
		memcpy((char *)&word + 2, from + len - 2, 2);
		memcpy(out, &word, 2);
		memcpy(out + len - 2, (char *)&word + 2, 2);
	} else if (len == 1) {
		memcpy(&word, from, 1);
		*out = *from;
	}
	return word;
}

/* Most texts are a few dozen bytes: without a call. */
static inline void copy(char *out, const char *from, size_t len)
{
	if (len < 8) {
		copy_short(out, from, len);
	} else if (len <= 16) {
		memcpy(out, from, 8);
		memcpy(out + len - 8, from + len - 8, 8);
	} else if (len <= 32) {
		memcpy(out, from, 16);
		memcpy(out + len - 16, from + len - 16, 16);
	} else {
		memcpy(out, from, len);
	}
}

/* Between what stands before and behind it, if all of it fits. */
static inline bool put_between(struct line *line, const char *text, size_t len, const char *before,
			       const char *behind)
{
	size_t n_before = strlen(before), n_behind = strlen(behind); /* of literals */

	if ((size_t)(line->end - line->at) < n_before + len + n_behind)
		return false;
	memcpy(line->at, before, n_before);
	copy(line->at + n_before, text, len);
	line->at += n_before + len;
	memcpy(line->at, behind, n_behind);
	line->at += n_behind;
	return true;
}

void line_or_dash(struct line *line, const char *text)
{
	if (!text || !*text) {
		line_literal(line, "- ");
		return;
	}
	size_t len = strlen(text);

	if (put_between(line, text, len, "", " "))
		return;
	line_add(line, text, len);
	line_literal(line, " ");
}

/* Nonzero if one of the bytes is 0; those below 0x80 alone are looked at. */
static inline uint64_t has_zero(uint64_t word)
{
	return (word - EACH_BYTE(0x01)) & ~word & EACH_BYTE(0x80);
}

/* Nonzero unless all are plain. */
static inline uint64_t odd_bytes(uint64_t word)
{
	uint64_t is_control = (word - EACH_BYTE(0x20)) & ~word;
	uint64_t is_high = (word + EACH_BYTE(0x01)) | word; /* 0x7f and above */

	return ((is_high | is_control) & EACH_BYTE(0x80)) | has_zero(word ^ EACH_BYTE('"')) |
	       has_zero(word ^ EACH_BYTE('\\'));
}

bool line_is_plain(struct text text)
{
	uint64_t word, odd = 0;

	char unused[8];

	if (text.len < 8)
		return odd_bytes(copy_short(unused, text.at, text.len)) == 0;
	for (size_t n = 0; n + 8 < text.len; n += 8) {
		memcpy(&word, text.at + n, 8);
		odd |= odd_bytes(word);
	}
	memcpy(&word, text.at + text.len - 8, 8); /* some of it for the second time */
	return (odd | odd_bytes(word)) == 0;
}

/* Copies while it looks; there is room.  False: not plain, and what was written does not count. */
static inline bool copy_plain(char *out, struct text text)
{
	uint64_t word, odd = 0;

	if (text.len < 8)
		return odd_bytes(copy_short(out, text.at, text.len)) == 0;
	for (size_t n = 0; n + 8 < text.len; n += 8) {
		memcpy(&word, text.at + n, 8);
		memcpy(out + n, &word, 8);
		odd |= odd_bytes(word);
	}
	memcpy(&word, text.at + text.len - 8, 8);
	memcpy(out + text.len - 8, &word, 8);
	return (odd | odd_bytes(word)) == 0;
}

RARE void escape(struct line *line, struct text text)
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
	if ((size_t)(line->end - line->at) >= text.len && copy_plain(line->at, text))
		line->at += text.len;
	else
		escape(line, text);
}

void line_quoted(struct line *line, struct text text)
{
	if (text.len == 0) {
		line_literal(line, "\"-\" ");
		return;
	}
	if ((size_t)(line->end - line->at) >= text.len + 3 && copy_plain(line->at + 1, text)) {
		line->at[0] = '"';
		memcpy(line->at + 1 + text.len, "\" ", 2);
		line->at += text.len + 3;
		return;
	}
	line_literal(line, "\"");
	escape(line, text);
	line_literal(line, "\" ");
}

void line_quoted_own(struct line *line, const char *text)
{
	struct text own = text_of(text);

	if (own.len == 0)
		own = TEXT("-");
	if (!put_between(line, own.at, own.len, "\"", "\" "))
		line_quoted(line, own);
}

/* gmtime once a day, and nothing at all for lines of the same second. */
static void set_clock(struct line_clock *clock, int64_t second)
{
	bool is_same_day =
	    clock->text[0] && second / SECONDS_A_DAY == clock->second / SECONDS_A_DAY;
	unsigned of_day = (unsigned)(second % SECONDS_A_DAY);

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
	enum { TEXT_LEN = 20, ALL_LEN = TEXT_LEN + 8 }; /* up to the point; in all */
	int64_t second = unix_us / 1000000;
	unsigned micros = (unsigned)(unix_us - second * 1000000);

	if (second != clock->second || !clock->text[0])
		set_clock(clock, second);
	if (line->end - line->at < ALL_LEN) { /* as far as it goes */
		line_add(line, clock->text, TEXT_LEN);
		return;
	}
	memcpy(line->at, clock->text, TEXT_LEN);
	put_three(line->at + TEXT_LEN, micros / 1000);
	put_three(line->at + TEXT_LEN + 3, is_ms ? 0 : micros % 1000);
	memcpy(line->at + TEXT_LEN + 6, "Z ", 2);
	line->at += ALL_LEN;
}

RARE void put_long_duration(struct line *line, int64_t us)
{
	char decimals[] = {'.', 0, 0, 0, ' '};

	put_three(decimals + 1, (unsigned)(us / 1000 % 1000));
	line_number(line, (uint64_t)us / 1000000, 1);
	line_add(line, decimals, sizeof(decimals));
}

/* Seconds with three decimals; -1 when the stage was not reached. */
void line_duration(struct line *line, int64_t us)
{
	enum { SHORT_US = 10000000, SHORT_LEN = 6 }; /* "9.999 " */
	unsigned ms = (unsigned)us / 1000;

	if (us < 0) {
		line_literal(line, "-1 ");
		return;
	}
	if (us >= SHORT_US || line->end - line->at < SHORT_LEN) {
		put_long_duration(line, us);
		return;
	}
	line->at[0] = (char)('0' + ms / 1000);
	line->at[1] = '.';
	put_three(line->at + 2, ms % 1000);
	line->at[5] = ' ';
	line->at += SHORT_LEN;
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
