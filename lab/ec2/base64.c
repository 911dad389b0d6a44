/* See base64.h. */
#include "lab/ec2/base64.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int digit_of(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

unsigned char *base64_decode(const char *text, size_t *len)
{
	unsigned char *bytes = malloc(strlen(text) / 4 * 3 + 4);
	unsigned bits = 0;
	int n_bits = 0;
	size_t n = 0, n_digits = 0;

	if (bytes == NULL)
		return NULL;
	for (; *text != '\0' && *text != '='; text++) {
		int digit = digit_of(*text);

		if (isspace((unsigned char)*text))
			continue;
		if (digit < 0)
			goto fail;
		n_digits++;
		bits = (bits << 6 | (unsigned)digit) & 0xffffff;
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		bytes[n++] = (unsigned char)(bits >> n_bits);
	}
	/* What follows the padding, and a lone digit at the end, mean nothing. */
	if (text[strspn(text, "= \t\r\n")] != '\0' || n_digits % 4 == 1)
		goto fail;
	bytes[n] = '\0';
	*len = n;
	return bytes;
fail:
	free(bytes);
	return NULL;
}
