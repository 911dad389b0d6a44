/* Odd request heads: see http1_head.h. */
#include "lb/proxy/http1_head.h"

#include <string.h>

/* ---- taking it apart ---- */

/* The bytes up to the next LF, without the line's end; false when there is no LF. */
static bool take_line(struct text *rest, struct text *line, struct desync_verdict *verdict)
{
	const char *lf = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;

	if (!lf)
		return false;
	*line = (struct text){rest->at, (size_t)(lf - rest->at)};
	rest->len -= line->len + 1;
	rest->at = lf + 1;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	else
		desync_worsen(verdict, DESYNC_ACCEPTABLE, DESYNC_REASON_BARE_LF);
	return true;
}

static struct text from(struct text text, size_t n)
{
	return (struct text){text.at + n, text.len - n};
}

/* METHOD SP target [SP version]; the version is what begins with HTTP, whatever blanks are about.
 */
static void split_request_line(struct h1_head *head, struct text line)
{
	struct text trimmed = text_trimmed(line), version = {0};
	const char *space = memchr(line.at, ' ', line.len);
	size_t at = trimmed.len;

	head->parts.method = (struct text){line.at, space ? (size_t)(space - line.at) : line.len};
	if (!space) {
		desync_worsen(&head->verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_MISSING_URI);
		return;
	}
	while (at > 0 && !text_is_blank(trimmed.at[at - 1]))
		at--;
	if (at > head->parts.method.len && trimmed.len - at >= 5 &&
	    strncasecmp(trimmed.at + at, "HTTP/", 5) == 0)
		version =
		    (struct text){trimmed.at + at, (size_t)(line.at + line.len - trimmed.at) - at};
	head->parts.uri = from(line, head->parts.method.len + 1);
	if (version.len > 0) {
		head->parts.uri.len = (size_t)(version.at - head->parts.uri.at);
		head->parts.uri.len -= head->parts.uri.len > 0; /* the space between */
		/* Blanks before the version are the version's, so that its check sees them. */
		while (head->parts.uri.len > 0 &&
		       text_is_blank(head->parts.uri.at[head->parts.uri.len - 1])) {
			head->parts.uri.len--;
			version = (struct text){version.at - 1, version.len + 1};
		}
	}
	head->parts.version = version;
}

/* A token, and no framing header in disguise. */
static bool is_true_name(const char *at, size_t len)
{
	struct text name = {at, len};
	bool is_exact;

	return desync_is_token(name) &&
	       (desync_framing_name(name, &is_exact) == FRAMING_OTHER || is_exact);
}

/* False: too many. */
static bool add_header(struct h1_head *head, struct text line)
{
	size_t n = head->parts.n_headers;
	const char *colon = memchr(line.at, ':', line.len);
	size_t len = colon ? (size_t)(colon - line.at) : line.len;

	if (n == MESSAGE_MAX_HEADERS || line.len >= MESSAGE_MAX_LINE)
		return false;
	head->is_fold[n] = text_is_blank(line.at[0]);
	if (head->is_fold[n])
		desync_worsen(&head->verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_MULTILINE_HEADER);
	else if (!colon)
		desync_worsen(&head->verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_MISSING_COLON);
	/* TE and Content-Length are put in anew: nothing is lost. */
	head->loses_header |= !head->is_fold[n] && (!colon || !is_true_name(line.at, len));
	head->headers[n] = (struct header){.name = {line.at, len}};
	head->headers[n].value = colon ? from(line, len + 1) : (struct text){line.at + len, 0};
	head->parts.n_headers++;
	return true;
}

static enum h1_head_state finish(struct h1_head *head, size_t len)
{
	struct desync_verdict parts = desync_classify(&head->parts);

	desync_worsen(&head->verdict, parts.tier, parts.reason);
	head->len = len;
	return H1_HEAD_WHOLE;
}

/* Bytes that no request begins with need not be waited on. */
static bool is_hopeless_start(struct text rest)
{
	const char *end = rest.len > 0 ? memchr(rest.at, ' ', rest.len) : NULL;
	size_t len = end ? (size_t)(end - rest.at) : rest.len;

	return len > 0 && !desync_is_token((struct text){rest.at, len});
}

enum h1_head_state h1_head_read(struct h1_head *head, const char *bytes, size_t len)
{
	struct text rest = {bytes, len}, line;

	head->parts = (struct desync_request){.headers = head->headers};
	head->verdict = (struct desync_verdict){DESYNC_COMPLIANT, DESYNC_REASON_NONE};
	head->loses_header = false;
	while (rest.len > 0 && (rest.at[0] == '\r' || rest.at[0] == '\n'))
		rest = from(rest, 1); /* RFC 9112 2.2: empty lines before a request */
	if (!take_line(&rest, &line, &head->verdict))
		return is_hopeless_start(rest) ? H1_HEAD_HOPELESS : H1_HEAD_PARTIAL;
	split_request_line(head, line);
	if (head->parts.version.len == 0) /* HTTP/0.9 is one line */
		return finish(head, (size_t)(rest.at - bytes));
	if (!desync_is_token(head->parts.method))
		return finish(head, len);
	while (take_line(&rest, &line, &head->verdict)) {
		if (line.len == 0)
			return finish(head, (size_t)(rest.at - bytes));
		if (!add_header(head, line) || (size_t)(rest.at - bytes) > H1_MAX_REQUEST_HEAD)
			return H1_HEAD_HOPELESS;
	}
	return H1_HEAD_PARTIAL;
}

struct desync_verdict h1_verdict(const struct h1_message *h1)
{
	const struct message *request = &h1->message;
	/* The strict reader has checked that "HTTP/" stands before the number. */
	struct desync_request parts = {.method = request->method,
				       .uri = request->uri,
				       .version = {h1->version.at - 5, 8},
				       .n_headers = request->n_headers,
				       .headers = request->headers};

	return desync_classify(&parts);
}

/* ---- putting it in order ---- */

struct framing {
	bool is_chunked, has_length;
	uint64_t length;
};

static unsigned read_encoding(struct framing *framing, struct text list)
{
	if (desync_ends_in_comma(list))
		return 501;
	do {
		struct text coding = desync_next_coding(&list);

		if (framing->is_chunked)
			return 400; /* RFC 9112 6.1: it is the last, and applied once */
		if (text_equal_nocase(coding, TEXT("chunked")))
			framing->is_chunked = true;
		else if (!text_equal_nocase(coding, TEXT("identity")))
			return 501;
	} while (list.len > 0);
	return 0;
}

static unsigned read_length(struct framing *framing, struct text value)
{
	uint64_t length;

	if (!desync_is_number(text_trimmed(value), &length))
		return 400;
	if (framing->has_length && length != framing->length)
		return 400;
	framing->has_length = true;
	framing->length = length;
	return 0;
}

static bool is_folded(const struct h1_head *head, size_t i)
{
	return i + 1 < head->parts.n_headers && head->is_fold[i + 1];
}

/* By headers of exactly the right name alone. */
static unsigned read_framing(const struct h1_head *head, struct framing *framing)
{
	unsigned status = 0;

	for (size_t i = 0; i < head->parts.n_headers && status == 0; i++) {
		bool is_exact;
		enum framing_name name = desync_framing_name(head->headers[i].name, &is_exact);

		if (name == FRAMING_OTHER || !is_exact)
			continue;
		if (is_folded(head, i))
			return 400;
		status = name == FRAMING_TE ? read_encoding(framing, head->headers[i].value)
					    : read_length(framing, head->headers[i].value);
	}
	return status;
}

static void put_target(struct writer *out, struct text uri)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < uri.len; i++) {
		unsigned char c = (unsigned char)uri.at[i];
		char escape[3] = {'%', hex[c >> 4], hex[c & 15]};

		if (c <= ' ' || c >= 0x7f)
			put(out, escape, 3);
		else
			put(out, uri.at + i, 1);
	}
}

static void put_value(struct writer *out, struct text value)
{
	value = text_trimmed(value);
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];
		bool is_control = (c < ' ' && c != '\t') || c == 0x7f;

		put(out, is_control ? " " : value.at + i, 1);
	}
}

static struct text line_of(const struct header *header)
{
	const char *end = header->value.at + header->value.len;

	return (struct text){header->name.at, (size_t)(end - header->name.at)};
}

static bool is_left_out(const struct header *header)
{
	bool is_exact;

	/* No colon: the value begins where the name ends. */
	return header->value.at == header->name.at + header->name.len ||
	       !desync_is_token(header->name) ||
	       desync_framing_name(header->name, &is_exact) != FRAMING_OTHER;
}

static void put_headers(struct writer *out, const struct h1_head *head)
{
	for (size_t i = 0; i < head->parts.n_headers; i++) {
		bool is_exact;

		if (head->is_fold[i] || is_left_out(&head->headers[i]))
			continue;
		put_text(out, head->headers[i].name);
		put_literal(out, ": ");
		put_value(out, head->headers[i].value);
		for (size_t f = i; is_folded(head, f); f++) {
			struct text name = text_trimmed(head->headers[f + 1].name);

			if (desync_framing_name(name, &is_exact) != FRAMING_OTHER)
				continue;
			put_literal(out, " ");
			put_value(out, line_of(&head->headers[f + 1]));
		}
		put_literal(out, "\r\n");
	}
}

/* 0, or the status. */
static unsigned put_request_line(struct writer *out, const struct h1_head *head)
{
	struct text version = text_trimmed(head->parts.version);

	if (!desync_is_token(head->parts.method) || head->parts.method.len > H1_MAX_METHOD ||
	    version.len == 0 || text_equal(version, TEXT("HTTP/0.9")))
		return 400;
	if (version.len != 8 || memcmp(version.at, "HTTP/", 5) != 0 || version.at[6] != '.')
		return 400;
	if (version.at[5] != '1')
		return version.at[5] >= '2' && version.at[5] <= '9' ? 505 : 400;
	for (size_t i = 0; i < head->parts.uri.len; i++)
		if (memchr("\r\n\0", head->parts.uri.at[i], 3))
			return 400;
	put_text(out, head->parts.method);
	put_literal(out, " ");
	put_target(out, head->parts.uri);
	put(out, version.at[7] == '0' ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n", 11);
	return 0;
}

unsigned h1_head_rewrite(const struct h1_head *head, struct writer *out)
{
	struct framing framing = {0};
	unsigned status = put_request_line(out, head);

	if (status == 0)
		status = read_framing(head, &framing);
	if (status != 0)
		return status;
	put_headers(out, head);
	if (framing.is_chunked) {
		put_literal(out, "Transfer-Encoding: chunked\r\n");
	} else if (framing.has_length) {
		put_literal(out, "Content-Length: ");
		put_number(out, framing.length);
		put_literal(out, "\r\n");
	}
	put_literal(out, "\r\n");
	return out->is_full ? 400 : 0;
}
