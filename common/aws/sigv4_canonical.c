/* See sigv4_canonical.h. */
#include "common/aws/sigv4_canonical.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One query member in its canonical spelling: percent-encoded, so free of NULs. */
struct pair {
	const char *name, *value;
};

const char *sigv4_header(const struct sigv4_request *request, const char *name)
{
	for (size_t i = 0; i < request->n_headers; i++)
		if (strcasecmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	return NULL;
}

bool sigv4_is_listed(const char *signed_headers, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = signed_headers; *p != '\0';) {
		size_t item = strcspn(p, ";");

		if (item == len && strncasecmp(p, name, len) == 0)
			return true;
		p += item + (p[item] == ';');
	}
	return false;
}

void sigv4_sha256_hex(const void *bytes, size_t len, char hex[SIGV4_HEX_MAX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	CHECK(EVP_Digest(bytes, len, digest, &size, EVP_sha256(), NULL) == 1 && size == 32);
	for (size_t i = 0; i < size; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static bool is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.' || c == '~';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * One decoded byte of a query, moving *p on.  '+' is a space, as it is to whoever reads the form:
 * taken as itself, it could be swapped with %2B without breaking the signature.
 */
static unsigned char decode_byte(const char **p, const char *end)
{
	const char *at = (*p)++;

	if (*at == '+')
		return ' ';
	if (*at != '%' || end - at < 3 || hex_value(at[1]) < 0 || hex_value(at[2]) < 0)
		return (unsigned char)*at;
	*p = at + 3;
	return (unsigned char)(hex_value(at[1]) * 16 + hex_value(at[2]));
}

static char *encode_byte(char *out, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";

	if (is_unreserved(c)) {
		*out++ = (char)c;
		return out;
	}
	*out++ = '%';
	*out++ = digits[c >> 4];
	*out++ = digits[c & 15];
	return out;
}

/* Writes the canonical spelling of [p, end) and a NUL to out; returns what follows. */
static char *respell(char *out, const char *p, const char *end)
{
	while (p < end)
		out = encode_byte(out, decode_byte(&p, end));
	*out++ = '\0';
	return out;
}

int sigv4_query_value(const char *query, const char *name, char *value, size_t size)
{
	size_t name_len = strlen(name);

	for (const char *p = query; *p != '\0';) {
		const char *end = p + strcspn(p, "&");
		const char *from = p + name_len + 1;
		size_t n = 0;

		if ((size_t)(end - p) <= name_len || p[name_len] != '=' ||
		    strncmp(p, name, name_len) != 0) {
			p = end + (*end == '&');
			continue;
		}
		while (from < end) {
			unsigned char c = decode_byte(&from, end);

			if (c == '\0' || n + 1 >= size)
				return -1;
			value[n++] = (char)c;
		}
		value[n] = '\0';
		return 0;
	}
	return 1;
}

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order != 0 ? order : strcmp(left->value, right->value);
}

/* Fills pairs and the storage they point into; returns how many. */
static size_t split_query(const char *query, struct pair *pairs, char *storage)
{
	size_t n = 0;

	for (const char *p = query; *p != '\0';) {
		const char *end = p + strcspn(p, "&");
		const char *equals = memchr(p, '=', (size_t)(end - p));
		const char *name_end = equals == NULL ? end : equals;

		if (end > p) {
			pairs[n].name = storage;
			storage = respell(storage, p, name_end);
			pairs[n].value = storage;
			storage = respell(storage, equals == NULL ? end : equals + 1, end);
			if (strcmp(pairs[n].name, "X-Amz-Signature") != 0)
				n++;
		}
		p = end + (*end == '&');
	}
	return n;
}

static void add_query(struct buf *text, const char *query)
{
	size_t n_max = 1, n;
	struct pair *pairs;
	char *storage;

	for (const char *p = query; *p != '\0'; p++)
		n_max += *p == '&';
	pairs = calloc(n_max, sizeof(*pairs));
	storage = malloc(3 * strlen(query) + 2 * n_max + 1);
	if (pairs == NULL || storage == NULL) {
		text->is_failed = true;
		goto out;
	}
	n = split_query(query, pairs, storage);
	qsort(pairs, n, sizeof(*pairs), compare_pairs);
	for (size_t i = 0; i < n; i++)
		buf_printf(text, "%s%s=%s", i == 0 ? "" : "&", pairs[i].name, pairs[i].value);
out:
	free(pairs);
	free(storage);
}

/* Drops the last segment of the path that text holds from start on. */
static void drop_segment(struct buf *text, size_t start)
{
	if (text->is_failed)
		return;
	while (text->len > start && text->data[text->len - 1] != '/')
		text->len--;
	if (text->len > start)
		text->len--;
	if (text->data != NULL)
		text->data[text->len] = '\0';
}

static void add_segment(struct buf *text, const char *p, size_t len)
{
	char encoded[3];

	buf_add_char(text, '/');
	for (size_t i = 0; i < len; i++)
		buf_add(text, encoded,
			(size_t)(encode_byte(encoded, (unsigned char)p[i]) - encoded));
}

/* Dot segments resolved, empty ones dropped, a final slash kept, every byte encoded (again). */
static void add_path(struct buf *text, const char *path)
{
	size_t start = text->len, len = strlen(path);

	for (const char *p = path; *p != '\0';) {
		size_t n = strcspn(p, "/");

		if (n == 2 && strncmp(p, "..", 2) == 0)
			drop_segment(text, start);
		else if (n > 0 && !(n == 1 && *p == '.'))
			add_segment(text, p, n);
		p += n + (p[n] == '/');
	}
	if (text->len == start || (len > 1 && path[len - 1] == '/'))
		buf_add_char(text, '/');
}

/* Trimmed, and inner runs of spaces made one. */
static void add_value(struct buf *text, const char *value)
{
	bool was_space = false, is_first = true;

	for (; *value != '\0'; value++) {
		if (*value == ' ' || *value == '\t') {
			was_space = true;
			continue;
		}
		if (was_space && !is_first)
			buf_add_char(text, ' ');
		buf_add_char(text, *value);
		was_space = is_first = false;
	}
}

/* "name:value,value" LF; false when there is no such header. */
static bool add_header(struct buf *text, const struct sigv4_request *request, const char *name,
		       size_t len)
{
	bool is_found = false;

	for (size_t i = 0; i < request->n_headers; i++) {
		const struct sigv4_header *header = &request->headers[i];

		if (strlen(header->name) != len || strncasecmp(header->name, name, len) != 0)
			continue;
		if (is_found)
			buf_add_char(text, ',');
		else
			buf_printf(text, "%.*s:", (int)len, name);
		add_value(text, header->value);
		is_found = true;
	}
	if (is_found)
		buf_add_char(text, '\n');
	return is_found;
}

int sigv4_canonical_request(const struct sigv4_request *request, const char *signed_headers,
			    const char *payload_hash, struct buf *text, char *missing, size_t size)
{
	buf_printf(text, "%s\n", request->method);
	add_path(text, request->path);
	buf_add_char(text, '\n');
	add_query(text, request->query);
	buf_add_char(text, '\n');
	for (const char *p = signed_headers; *p != '\0';) {
		size_t len = strcspn(p, ";");

		if (!add_header(text, request, p, len)) {
			snprintf(missing, size, "%.*s", (int)len, p);
			return -1;
		}
		p += len + (p[len] == ';');
	}
	buf_printf(text, "\n%s\n%s", signed_headers, payload_hash);
	return 0;
}
