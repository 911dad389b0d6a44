/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "common/aws/utf8.h"

static bool is_tail(unsigned char c)
{
	return (c & 0xC0) == 0x80;
}

size_t utf8_step(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;

	if (len == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (len >= 2 && s[0] >= 0xC2 && s[0] <= 0xDF && is_tail(s[1]))
		return 2;
	if (len >= 3 && (s[0] & 0xF0) == 0xE0 && is_tail(s[1]) && is_tail(s[2])) {
		bool is_overlong = s[0] == 0xE0 && s[1] < 0xA0;
		bool is_surrogate = s[0] == 0xED && s[1] >= 0xA0;

		return is_overlong || is_surrogate ? 0 : 3;
	}
	if (len >= 4 && s[0] >= 0xF0 && s[0] <= 0xF4 && is_tail(s[1]) && is_tail(s[2]) &&
	    is_tail(s[3])) {
		bool is_overlong = s[0] == 0xF0 && s[1] < 0x90;
		bool is_beyond = s[0] == 0xF4 && s[1] >= 0x90;

		return is_overlong || is_beyond ? 0 : 4;
	}
	return 0;
}

bool utf8_is_valid(const char *text, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		n = 1; /* most of what comes is ASCII */
		if ((unsigned char)text[i] >= 0x80)
			n = utf8_step(text + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}
