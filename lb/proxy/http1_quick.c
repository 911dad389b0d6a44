/*
 * Plain heads without llhttp, whose states cost 20 instructions a byte: this takes 2 to 5.  See
 * http1_parts.h.  What is taken: a common method, a path of plain bytes, HTTP/1.0 or 1.1, names
 * of letters, digits and hyphens, values of printable ASCII, CRLF everywhere; a body only by one
 * plain Content-Length.  Anything else, and anything that is not all there, is llhttp's.
 */
#include <endian.h>
#include <string.h>

#include "lb/proxy/http1_parts.h"

enum {
	MAX_HEAD = 8192, /* below every limit of a head: none needs to be looked at here */
	MAX_HEADERS = 64,
	MAX_LENGTH_DIGITS = 18,
	NAME = 1,   /* what h1_check_head calls plain */
	TARGET = 2, /* of a path or query */
};

static const uint8_t classes[256] = {
    ['0' ... '9'] = NAME | TARGET,
    ['A' ... 'Z'] = NAME | TARGET,
    ['a' ... 'z'] = NAME | TARGET,
    ['-'] = NAME | TARGET,
    ['.'] = TARGET,
    ['_'] = TARGET,
    ['~'] = TARGET,
    ['!'] = TARGET,
    ['$'] = TARGET,
    ['%' ... ','] = TARGET, /* %&'()*+, */
    ['/'] = TARGET,
    [':'] = TARGET,
    [';'] = TARGET,
    ['='] = TARGET,
    ['?'] = TARGET,
    ['@'] = TARGET,
};

static const struct {
	struct text name; /* with the blank */
	llhttp_method_t method;
} methods[] = {
    {TEXT("GET "), HTTP_GET},         {TEXT("POST "), HTTP_POST},   {TEXT("HEAD "), HTTP_HEAD},
    {TEXT("PUT "), HTTP_PUT},         {TEXT("PATCH "), HTTP_PATCH}, {TEXT("DELETE "), HTTP_DELETE},
    {TEXT("OPTIONS "), HTTP_OPTIONS},
};

enum { N_METHODS = sizeof(methods) / sizeof(methods[0]) };

struct reader {
	const char *at, *end;
	bool has_length, has_connection;
};

static bool take(struct reader *reader, const char *bytes, size_t len)
{
	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, bytes, len) != 0)
		return false;
	reader->at += len;
	return true;
}

#define TAKE(reader, literal) take((reader), (literal), sizeof(literal) - 1)

static struct text take_class(struct reader *reader, uint8_t class)
{
	struct text text = {reader->at, 0};

	while (reader->at < reader->end && (classes[(unsigned char)*reader->at] & class))
		reader->at++;
	text.len = (size_t)(reader->at - text.at);
	return text;
}

/* To the first byte that is not 0x20..0x7e, eight at a time: the lowest mark is exact, borrows and
 * carries only make marks above a true one. */
static struct text take_printable(struct reader *reader)
{
	const uint64_t ones = 0x0101010101010101;
	struct text text = {reader->at, 0};
	uint64_t word, marks = 0;

	while (reader->end - reader->at >= 8) {
		memcpy(&word, reader->at, 8);
		word = le64toh(word);
		marks = ((word - ones * 0x20) | (word + ones) | word) & ones * 0x80;
		if (marks != 0) {
			reader->at += __builtin_ctzll(marks) / 8;
			break;
		}
		reader->at += 8;
	}
	while (marks == 0 && reader->at < reader->end && *reader->at >= 0x20 && *reader->at < 0x7f)
		reader->at++;
	text.len = (size_t)(reader->at - text.at);
	return text;
}

static bool take_version(struct h1_message *h1, struct reader *reader)
{
	if (!TAKE(reader, "HTTP/1.") || reader->at == reader->end)
		return false;
	if (*reader->at != '0' && *reader->at != '1')
		return false;
	h1->version = (struct text){reader->at - 2, 3};
	h1->llhttp.http_major = 1;
	h1->llhttp.http_minor = (uint8_t)(*reader->at++ - '0');
	return true;
}

static bool take_method(struct h1_message *h1, struct reader *reader)
{
	for (size_t i = 0; i < N_METHODS; i++) {
		h1->message.method = (struct text){reader->at, methods[i].name.len - 1};
		h1->llhttp.method = (uint8_t)methods[i].method;
		if (take(reader, methods[i].name.at, methods[i].name.len))
			return true;
	}
	return false;
}

static bool take_request_line(struct h1_message *h1, struct reader *reader)
{
	if (!take_method(h1, reader) || reader->at == reader->end || *reader->at != '/')
		return false;
	h1->message.uri = take_class(reader, TARGET);
	return TAKE(reader, " ") && take_version(h1, reader) && TAKE(reader, "\r\n");
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take_status_line(struct h1_message *h1, struct reader *reader)
{
	const char *status;

	if (!take_version(h1, reader) || reader->end - reader->at < 5)
		return false;
	status = reader->at + 1;
	if (!is_digit(status[0]) || !is_digit(status[1]) || !is_digit(status[2]))
		return false;
	h1->llhttp.status_code =
	    (uint16_t)((status[0] - '0') * 100 + (status[1] - '0') * 10 + status[2] - '0');
	if (status[-1] != ' ' || status[3] != ' ')
		return false;
	reader->at += 5;
	h1->message.reason = take_printable(reader);
	h1->message.head_bytes = h1->message.reason.len;
	return TAKE(reader, "\r\n");
}

static bool set_length(struct h1_message *h1, struct reader *reader, struct text value)
{
	uint64_t length = 0;

	if (reader->has_length || value.len == 0 || value.len > MAX_LENGTH_DIGITS)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (!is_digit(value.at[i]))
			return false;
		length = length * 10 + (uint64_t)(value.at[i] - '0');
	}
	reader->has_length = true;
	h1->llhttp.content_length = length;
	return true;
}

static bool set_connection(struct h1_message *h1, struct reader *reader, struct text value)
{
	if (reader->has_connection)
		return false;
	reader->has_connection = true;
	if (text_equal_nocase(value, TEXT("keep-alive")))
		h1->llhttp.flags |= F_CONNECTION_KEEP_ALIVE;
	else if (text_equal_nocase(value, TEXT("close")))
		h1->llhttp.flags |= F_CONNECTION_CLOSE;
	else
		return false;
	return true;
}

/* What llhttp would make of a header that steers the reader; false: let it. */
static bool heed(struct h1_message *h1, struct reader *reader, enum header_kind kind,
		 const struct header *header)
{
	if (kind == HEADER_CONNECTION)
		return set_connection(h1, reader, header->value);
	if (kind == HEADER_CONTENT_LENGTH)
		return set_length(h1, reader, header->value);
	if (kind == HEADER_HOP) /* to llhttp, Upgrade and Proxy-Connection mean something */
		return text_equal_nocase(header->name, TEXT("keep-alive"));
	return kind != HEADER_TRANSFER_ENCODING;
}

static bool take_header(struct h1_message *h1, struct reader *reader)
{
	struct message *message = &h1->message;
	struct header *header = &message->headers[message->n_headers];
	enum header_kind kind;

	header->name = take_class(reader, NAME);
	if (header->name.len == 0 || message->n_headers == MAX_HEADERS || !TAKE(reader, ":"))
		return false;
	while (reader->at < reader->end && *reader->at == ' ')
		reader->at++;
	header->value = take_printable(reader);
	kind = h1_header_kind(header->name);
	message->kinds[message->n_headers++] = (uint8_t)kind;
	message->head_bytes += header->name.len + 4 + header->value.len;
	return TAKE(reader, "\r\n") && heed(h1, reader, kind, header);
}

static bool take_head(struct h1_message *h1, struct reader *reader)
{
	if (!(h1_is_request(h1) ? take_request_line(h1, reader) : take_status_line(h1, reader)))
		return false;
	while (reader->at < reader->end && *reader->at != '\r')
		if (!take_header(h1, reader))
			return false;
	return TAKE(reader, "\r\n") && h1_check_head(h1) == 0 && !h1->is_until_close;
}

size_t h1_quick_body(struct h1_message *h1, const char *bytes, size_t len)
{
	struct message *message = &h1->message;
	size_t n = h1->body_left < len ? (size_t)h1->body_left : len;

	if (n > 0)
		message->spans[message->n_spans++] = (struct iovec){(char *)bytes, n};
	message->span_bytes = n;
	h1->body_left -= n;
	message->is_done = h1->body_left == 0;
	return n;
}

size_t h1_quick_start(struct h1_message *h1, const char *bytes, size_t len)
{
	struct reader reader = {.at = bytes, .end = bytes + (len < MAX_HEAD ? len : MAX_HEAD)};
	size_t used;

	h1->is_quick = true; /* every byte is accounted for by the way it is read */
	if (!take_head(h1, &reader)) {
		bool is_to_head = h1->is_to_head;

		h1_start(h1, (enum llhttp_type)h1->llhttp.type);
		h1->is_to_head = is_to_head;
		return 0;
	}
	used = (size_t)(reader.at - bytes);
	h1->body_left = h1->message.body == BODY_LENGTH ? h1->message.content_length : 0;
	return used + h1_quick_body(h1, bytes + used, len - used);
}
