/* Outgoing heads: see http1_compose.h. */
#include "lb/proxy/http1_compose.h"

#include <string.h>

static void put_header(struct writer *out, const struct header *header)
{
	size_t name_len = header->name.len, value_len = header->value.len;
	char *at = out->at;

	if ((size_t)(out->end - at) < name_len + value_len + 4) {
		out->is_full = true;
		return;
	}
	memcpy(at, header->name.at, name_len);
	memcpy(at + name_len, ": ", 2);
	at += name_len + 2;
	if (value_len > 0)
		memcpy(at, header->value.at, value_len);
	memcpy(at + value_len, "\r\n", 2);
	out->at = at + value_len + 2;
}

static void put_lower(struct writer *out, struct text text)
{
	char *start = out->at;

	put_text(out, text);
	for (char *c = start; c < out->at; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
}

/* ALB: unless told to preserve it, the port in Host is that of the listener; none on 80, 443 and
 * with a target in absolute form. */
static void put_host(struct writer *out, const struct request_context *context)
{
	struct text host = context->target->host;
	struct text port = context->port;

	put_literal(out, "Host: ");
	if (context->attributes->preserve_host_header) {
		put_text(out, host.len > 0 ? host : context->dns_name);
	} else {
		host = host.len > 0 ? host_without_port(host) : context->dns_name;
		put_lower(out, host);
		if (!context->target->is_absolute && !text_equal(port, TEXT("80")) &&
		    !text_equal(port, TEXT("443"))) {
			put_literal(out, ":");
			put_text(out, port);
		}
	}
	put_literal(out, "\r\n");
}

static void put_forwarded_for(struct writer *out, const struct request_context *context)
{
	const struct message *message = context->message;
	enum xff_mode mode = context->attributes->xff_mode;
	bool is_first = true;

	if (mode == XFF_REMOVE)
		return;
	unsigned n_given = message_has(message, HEADER_FORWARDED_FOR) ? message->n_headers : 0;

	for (unsigned i = 0; i < n_given; i++) {
		if (message->kinds[i] != HEADER_FORWARDED_FOR || message->headers[i].value.len == 0)
			continue;
		put(out, is_first ? "X-Forwarded-For: " : ", ", is_first ? 17 : 2);
		put_text(out, message->headers[i].value);
		is_first = false;
	}
	if (mode == XFF_APPEND) {
		put(out, is_first ? "X-Forwarded-For: " : ", ", is_first ? 17 : 2);
		put_text(out, context->attributes->xff_client_port ? context->client_addr
								   : context->client_ip);
		is_first = false;
	}
	if (!is_first)
		put_literal(out, "\r\n");
}

static bool is_plain(struct text name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = (char)(name.at[i] | 0x20);

		if (!((c >= 'a' && c <= 'z') || (name.at[i] >= '0' && name.at[i] <= '9') ||
		      name.at[i] == '-'))
			return false;
	}
	return true;
}

static void put_inserted(struct writer *out, const struct header_edits *edits)
{
	for (unsigned i = 0; i < edits->n; i++) {
		const struct header_edit *edit = &edits->edits[i];

		if (edit->kind == HEADER_EDIT_INSERT)
			put_header(out, &(struct header){edit->name, edit->value});
	}
}

static bool has_any(const struct header_edits *edits)
{
	return edits && edits->n > 0;
}

/* The header as the listener's attributes want it; edits is NULL when they want nothing. */
static void put_edited(struct writer *out, const struct header *header,
		       const struct header_edits *edits)
{
	if (!edits) {
		put_header(out, header);
		return;
	}
	struct header copy = *header;

	if (header_edits_pass(edits, &copy.name))
		put_header(out, &copy);
}

static void put_passed_on(struct writer *out, const struct request_context *context)
{
	const struct message *message = context->message;
	bool drops = message->has_invalid_name && context->attributes->drop_invalid_headers;
	const struct header_edits *edits = has_any(context->edits) ? context->edits : NULL;

	for (unsigned i = 0; i < message->n_headers; i++) {
		if (message->kinds[i] != HEADER_OTHER && message->kinds[i] != HEADER_USER_AGENT)
			continue;
		if (drops && !is_plain(message->headers[i].name))
			continue;
		put_edited(out, &message->headers[i], edits);
	}
	if (edits)
		put_inserted(out, edits);
}

void compose_request(struct writer *out, const struct request_context *context)
{
	const struct message *message = context->message;

	put_text(out, message->method);
	put_literal(out, " ");
	put_text(out, context->target->slash);
	put_text(out, context->target->uri);
	put_literal(out, " HTTP/1.1\r\n");
	put_forwarded_for(out, context);
	put_literal(out, "X-Forwarded-Proto: ");
	put_text(out, context->protocol);
	put_literal(out, "\r\nX-Forwarded-Port: ");
	put_text(out, context->port);
	put_literal(out, "\r\n");
	put_host(out, context);
	put_literal(out, "X-Amzn-Trace-Id: ");
	put_text(out, context->trace_id);
	put_literal(out, "\r\n");
	put_passed_on(out, context);
	if (message->body == BODY_STREAM) {
		put_literal(out, "Transfer-Encoding: chunked\r\n");
	} else if (message->has_length) {
		put_literal(out, "Content-Length: ");
		put_number(out, message->content_length);
		put_literal(out, "\r\n");
	}
	put_literal(out, "\r\n");
}

enum out_framing response_framing(const struct message *response, bool is_http10_client)
{
	switch (response->body) {
	case BODY_NONE:
		return OUT_NONE;
	case BODY_LENGTH:
		return OUT_LENGTH;
	case BODY_STREAM:
		break;
	}
	return is_http10_client ? OUT_CLOSE : OUT_CHUNKED;
}

static void put_connection(struct writer *out, bool keeps_alive)
{
	if (keeps_alive)
		put_literal(out, "Connection: keep-alive\r\n\r\n");
	else
		put_literal(out, "Connection: close\r\n\r\n");
}

void compose_response(struct writer *out, const struct response_context *context)
{
	const struct message *message = context->message;
	bool allows_length = message->status / 100 != 1 && message->status != 204;
	const struct header_edits *edits = has_any(context->edits) ? context->edits : NULL;

	put_literal(out, "HTTP/1.1 ");
	put_number(out, message->status);
	put_literal(out, " ");
	put_text(out, message->reason);
	put_literal(out, "\r\n");
	for (unsigned i = 0; i < message->n_headers; i++) {
		uint8_t kind = message->kinds[i];

		if (kind != HEADER_HOP && kind != HEADER_CONNECTION &&
		    kind != HEADER_CONTENT_LENGTH && kind != HEADER_TRANSFER_ENCODING)
			put_edited(out, &message->headers[i], edits);
	}
	for (unsigned i = 0; context->cookies && i < context->cookies->n; i++)
		put_header(out, &context->cookies->headers[i]);
	if (edits)
		put_inserted(out, edits);
	if (context->framing == OUT_CHUNKED) {
		put_literal(out, "Transfer-Encoding: chunked\r\n");
	} else if (message->has_length && allows_length) {
		put_literal(out, "Content-Length: ");
		put_number(out, message->content_length);
		put_literal(out, "\r\n");
	}
	put_connection(out, context->keeps_alive);
}

static const struct {
	unsigned status;
	const char *line, *title;
} pages[] = {
    {200, "200 OK", NULL},
    {301, "301 Moved Permanently", NULL},
    {302, "302 Moved Temporarily", "302 Found"},
    {400, "400 Bad Request", NULL},
    {403, "403 Forbidden", NULL},
    {404, "404 Not Found", NULL},
    {405, "405 Not Allowed", NULL},
    {408, "408 Request Time-out", NULL},
    {413, "413 Request Entity Too Large", NULL},
    {414, "414 Request-URI Too Large", NULL},
    {429, "429 Too Many Requests", NULL},
    {463, "463", NULL},
    {464, "464", NULL},
    {500, "500 Internal Server Error", NULL},
    {501, "501 Not Implemented", NULL},
    {502, "502 Bad Gateway", NULL},
    {503, "503 Service Temporarily Unavailable", NULL},
    {504, "504 Gateway Time-out", NULL},
    {505, "505 HTTP Version Not Supported", NULL},
    {507, "507 Insufficient Storage", NULL},
};

enum { N_PAGES = sizeof(pages) / sizeof(pages[0]) };

static size_t page_of(unsigned status)
{
	size_t i = 0;

	while (i < N_PAGES && pages[i].status != status)
		i++;
	return i;
}

static void put_page(struct writer *out, struct text title)
{
	put_literal(out, "<html>\r\n<head><title>");
	put_text(out, title);
	put_literal(out, "</title></head>\r\n<body>\r\n<center><h1>");
	put_text(out, title);
	put_literal(out, "</h1></center>\r\n</body>\r\n</html>\r\n");
}

enum { PAGE_BYTES = 92 }; /* of the page around two titles */

void compose_generated(struct writer *out, const struct generated_context *context)
{
	const struct generated *generated = context->generated;
	char number[4] = {(char)('0' + generated->status / 100 % 10),
			  (char)('0' + generated->status / 10 % 10),
			  (char)('0' + generated->status % 10), '\0'};
	size_t page = page_of(generated->status);
	struct text line = text_of(page < N_PAGES ? pages[page].line : number);
	struct text title = page < N_PAGES && pages[page].title ? text_of(pages[page].title) : line;
	bool is_page = !generated->content_type;
	/* RFC 9112 6.3: whatever came after the head would be read as the next answer. */
	bool is_empty = generated->status == 204;

	put_literal(out, "HTTP/1.1 ");
	put_text(out, line);
	if (line.len == 3)
		put_literal(out, " "); /* the space stays when the reason is empty */
	put_literal(out, "\r\n");
	if (!context->hides_server)
		put_literal(out, "Server: awselb/2.0\r\n");
	put_literal(out, "Date: ");
	put(out, generated->date, strlen(generated->date));
	put_literal(out, "\r\nContent-Type: ");
	put_text(out, is_page ? TEXT("text/html") : text_of(generated->content_type));
	put_literal(out, "\r\n");
	if (!is_empty) {
		put_literal(out, "Content-Length: ");
		put_number(out, is_page ? PAGE_BYTES + 2 * title.len : generated->body.len);
		put_literal(out, "\r\n");
	}
	if (generated->location.len > 0) {
		put_literal(out, "Location: ");
		put_text(out, generated->location);
		put_literal(out, "\r\n");
	}
	if (has_any(context->edits))
		put_inserted(out, context->edits);
	put_connection(out, context->keeps_alive);
	if (generated->is_to_head || is_empty)
		return;
	if (is_page)
		put_page(out, title);
	else
		put_text(out, generated->body);
}

size_t compose_chunk_line(char *line, size_t chunk_bytes)
{
	char digits[16];
	size_t n = 0, len = 0;

	do {
		digits[n++] = "0123456789abcdef"[chunk_bytes & 15];
		chunk_bytes >>= 4;
	} while (chunk_bytes > 0);
	while (n > 0)
		line[len++] = digits[--n];
	line[len++] = '\r';
	line[len++] = '\n';
	return len;
}

int compose_body(const struct message *message, bool is_chunked, struct iovec *iov, int n,
		 char *chunk_line)
{
	if (is_chunked && message->span_bytes > 0)
		iov[n++] =
		    (struct iovec){chunk_line, compose_chunk_line(chunk_line, message->span_bytes)};
	for (unsigned i = 0; i < message->n_spans; i++)
		iov[n++] = message->spans[i];
	if (is_chunked && message->span_bytes > 0)
		iov[n++] = (struct iovec){(char *)"\r\n", 2};
	if (is_chunked && message->is_done)
		iov[n++] = (struct iovec){(char *)"0\r\n\r\n", 5};
	return n;
}
