/* XML 1.0 text (W3C XML 1.0, 2.2 Characters and 2.4 Character Data). */
#include "common/aws/xml_text.h"

#include <string.h>

#include "common/aws/utf8.h"

/* What stands for the character c of n bytes; NULL: itself. */
static const char *escape_of(const char *c, size_t n)
{
	static const char replacement[] = "\xEF\xBF\xBD";

	if (n == 0)
		return replacement;
	if (n == 3 && memcmp(c, "\xEF\xBF", 2) == 0 && (unsigned char)c[2] >= 0xBE)
		return replacement; /* U+FFFE, U+FFFF */
	if (n > 1)
		return NULL;
	switch (*c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\r':
		return "&#xD;";
	case '\t':
	case '\n':
		return NULL;
	default:
		return (unsigned char)*c < 0x20 ? replacement : NULL;
	}
}

void xml_add_text(struct buf *xml, const char *text, size_t len)
{
	size_t plain = 0; /* bytes before text + i that stand for themselves */

	for (size_t i = 0; i < len;) {
		size_t n = utf8_step(text + i, len - i);
		const char *escape = escape_of(text + i, n);

		n = n ? n : 1;
		if (escape) {
			buf_add(xml, text + i - plain, plain);
			buf_add_str(xml, escape);
			plain = 0;
		} else {
			plain += n;
		}
		i += n;
	}
	buf_add(xml, text + len - plain, plain);
}

void xml_add_element(struct buf *xml, const char *name, const char *text)
{
	xml_open(xml, name);
	xml_add_text(xml, text, strlen(text));
	xml_close(xml, name);
}

void xml_open(struct buf *xml, const char *name)
{
	buf_add_char(xml, '<');
	buf_add_str(xml, name);
	buf_add_char(xml, '>');
}

void xml_close(struct buf *xml, const char *name)
{
	buf_add_str(xml, "</");
	buf_add_str(xml, name);
	buf_add_char(xml, '>');
}

void xml_empty(struct buf *xml, const char *name)
{
	buf_add_char(xml, '<');
	buf_add_str(xml, name);
	buf_add_str(xml, "/>");
}
