/* Messages: see message.h. */
#include "lb/proxy/message.h"

#include <string.h>

#include "lb/proxy/writer.h"

static const bool is_host_char[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true,  ['.'] = true,
    ['_'] = true,         ['~'] = true,         [':'] = true,         ['['] = true,  [']'] = true,
    ['!'] = true,         ['$'] = true,         ['&'] = true,         ['\''] = true, ['('] = true,
    [')'] = true,         ['*'] = true,         ['+'] = true,         [';'] = true,  ['='] = true,
    ['%'] = true,
};

bool host_is_plain(struct text host)
{
	for (size_t i = 0; i < host.len; i++)
		if (!is_host_char[(unsigned char)host.at[i]])
			return false;
	return true;
}

static struct text without(struct text text, size_t n)
{
	return (struct text){text.at + n, text.len - n};
}

static bool take_prefix(struct text *text, struct text prefix)
{
	if (text->len < prefix.len || strncasecmp(text->at, prefix.at, prefix.len) != 0)
		return false;
	*text = without(*text, prefix.len);
	return true;
}

bool request_target_parse(struct text uri, struct text host, struct request_target *target)
{
	const char *mark;

	target->host = host;
	target->is_absolute = false;
	if (take_prefix(&uri, TEXT("http://")) || take_prefix(&uri, TEXT("https://"))) {
		size_t len = 0;

		while (len < uri.len && !memchr("/?#", uri.at[len], 3))
			len++;
		target->host = (struct text){uri.at, len};
		uri = without(uri, len);
		if (target->host.len == 0 || !host_is_plain(target->host))
			return false;
		target->is_absolute = true;
	} else if (uri.len == 0 || (uri.at[0] != '/' && !text_equal(uri, TEXT("*")))) {
		return false;
	}
	mark = uri.len > 0 ? memchr(uri.at, '#', uri.len) : NULL;
	if (mark) /* a fragment never goes on the wire */
		uri.len = (size_t)(mark - uri.at);
	target->slash = uri.len == 0 || uri.at[0] == '?' ? TEXT("/") : (struct text){0};
	target->uri = target->path = uri;
	target->query = (struct text){0};
	mark = uri.len > 0 ? memchr(uri.at, '?', uri.len) : NULL;
	if (mark) {
		target->path.len = (size_t)(mark - uri.at);
		target->query = without(uri, target->path.len + 1);
	}
	if (target->slash.len > 0)
		target->path = target->slash;
	return true;
}

struct text host_without_port(struct text host)
{
	size_t len = host.len;

	while (len > 0 && host.at[len - 1] >= '0' && host.at[len - 1] <= '9')
		len--;
	if (len > 0 && host.at[len - 1] == ':' && (len == 1 || host.at[len - 2] != ':'))
		host.len = len - 1;
	return host;
}

unsigned message_count_forwarded_for(const struct message *request)
{
	unsigned n = 0;

	if (!message_has(request, HEADER_FORWARDED_FOR))
		return 0;
	for (unsigned i = 0; i < request->n_headers; i++) {
		struct text value = request->headers[i].value;

		if (request->kinds[i] != HEADER_FORWARDED_FOR || value.len == 0)
			continue;
		n++;
		for (size_t c = 0; c < value.len; c++)
			n += value.at[c] == ',';
	}
	return n;
}

/* Takes the next of the fields that semicolons separate. */
static struct text next_trace_field(struct text *value)
{
	const char *semicolon = memchr(value->at, ';', value->len);
	size_t len = semicolon ? (size_t)(semicolon - value->at) : value->len;
	struct text field = {value->at, len};

	*value = without(*value, len + (semicolon != NULL));
	while (field.len > 0 && field.at[0] == ' ')
		field = without(field, 1);
	return field;
}

static bool has_trace_field(struct text value, struct text name)
{
	while (value.len > 0) {
		struct text field = next_trace_field(&value);

		if (take_prefix(&field, name))
			return true;
	}
	return false;
}

/* The fields of the client's header but Self, which is replaced, and what is no field. */
static void put_trace_fields(struct writer *out, struct text value)
{
	while (value.len > 0) {
		struct text field = next_trace_field(&value), probe = field;

		if (take_prefix(&probe, TEXT("Self=")) || !memchr(field.at, '=', field.len))
			continue;
		put_literal(out, ";");
		put_text(out, field);
	}
}

struct text message_trace_id(const struct message *request, struct text root, char *out)
{
	struct writer writer = {.at = out, .end = out + TRACE_ID_MAX};
	struct text given = {0};

	bool is_given = message_has(request, HEADER_TRACE_ID);

	for (unsigned i = 0; is_given && i < request->n_headers && given.len == 0; i++)
		if (request->kinds[i] == HEADER_TRACE_ID)
			given = request->headers[i].value;
	/* AWS: with more than 7 KB of headers it starts afresh. */
	if (given.len >= TRACE_ID_MAX - 64 || request->head_bytes > 7168)
		given.len = 0;
	bool is_known =
	    has_trace_field(given, TEXT("Root=")) || has_trace_field(given, TEXT("Self="));
	put(&writer, is_known ? "Self=" : "Root=", 5);
	put_text(&writer, root);
	put_trace_fields(&writer, given);
	return (struct text){out, (size_t)(writer.at - out)};
}
