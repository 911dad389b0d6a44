/* See mail.h. */
#include "scaler/cloud/mail.h"

#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/ids.h"

enum { LINE_BYTES = 57 }; /* 76 characters of base64: RFC 2045, 6.8 */

/* A head line must stay one line, whatever is put into it. */
static void add_line(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s: ", name);
	for (; *value; value++)
		buf_add(out, *value >= ' ' && *value <= '~' ? value : "?", 1);
	buf_add_str(out, "\r\n");
}

static void add_date(struct buf *out, int64_t at_ms)
{
	time_t seconds = (time_t)(at_ms / 1000);
	char text[64];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	if (strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &tm) > 0)
		add_line(out, "Date", text);
}

static void add_body(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	for (size_t at = 0; at < len; at += LINE_BYTES) {
		size_t part = len - at < LINE_BYTES ? len - at : LINE_BYTES;
		unsigned char line[80];
		int n = EVP_EncodeBlock(line, (const unsigned char *)text + at, (int)part);

		buf_add(out, (const char *)line, (size_t)n);
		buf_add_str(out, "\r\n");
	}
}

char *mail_compose(const struct mail *mail)
{
	char id[ID_TEXT_MAX];
	struct buf out = {0};
	size_t len;

	add_line(&out, "From", mail->from);
	add_line(&out, "To", mail->to);
	add_line(&out, "Subject", mail->subject);
	add_date(&out, mail->at_ms);
	buf_printf(&out, "Message-ID: <%s@albatross>\r\n", id_uuid(NULL, id));
	buf_add_str(&out, "Auto-Submitted: auto-generated\r\n"
			  "MIME-Version: 1.0\r\n"
			  "Content-Type: text/plain; charset=utf-8\r\n"
			  "Content-Transfer-Encoding: base64\r\n"
			  "\r\n");
	add_body(&out, mail->text);
	return buf_take(&out, &len);
}
