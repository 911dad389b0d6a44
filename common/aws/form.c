/*
 * application/x-www-form-urlencoded, decoded in place: a body or a query string
 * becomes sorted pairs.  Garbled escapes, NUL bytes, broken UTF-8 and names given twice are
 * refused, since another reader might read them otherwise.
 */
#include "common/aws/form.h"

#include <stdlib.h>
#include <string.h>

#include "common/aws/utf8.h"

enum { MAX_PAIRS = 65536, MAX_NAME = 1024, MAX_TEXT = 4 << 20 };

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes text[len] in place and ends it with NUL.  -1: not decodable, or not text. */
static int decode(char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (text[i] != '%') {
			text[n++] = text[i] == '+' ? ' ' : text[i];
			continue;
		}
		if (len - i < 3)
			return -1;
		high = hex_value(text[i + 1]);
		low = hex_value(text[i + 2]);
		if (high < 0 || low < 0)
			return -1;
		text[n++] = (char)(high << 4 | low);
		i += 2;
	}
	text[n] = '\0';
	return memchr(text, '\0', n) || !utf8_is_valid(text, n) ? -1 : 0;
}

struct segment {
	const char *text;
	size_t len;
	bool is_number;
};

static struct segment segment_at(const char *name)
{
	struct segment segment = {.text = name, .len = (size_t)(strchrnul(name, '.') - name)};

	segment.is_number =
	    name[0] >= '0' && name[0] <= '9' && strspn(name, "0123456789") == segment.len;
	return segment;
}

static int compare_segments(const struct segment *a, const struct segment *b)
{
	size_t shorter = a->len < b->len ? a->len : b->len;
	int order;

	if (a->is_number != b->is_number)
		return a->is_number ? -1 : 1;
	if (a->is_number && a->len != b->len)
		return a->len < b->len ? -1 : 1; /* indexes have no leading zeros */
	order = memcmp(a->text, b->text, shorter);
	if (order != 0 || a->len == b->len)
		return order;
	return a->len < b->len ? -1 : 1;
}

/* By segments.  What two names begin with is skipped first: nearly all of them, in a long list. */
static int compare_names(const char *a, const char *b)
{
	size_t i = 0, start = 0;
	struct segment one, other;
	int order;

	for (; a[i] != '\0' && a[i] == b[i]; i++)
		if (a[i] == '.')
			start = i + 1;
	one = segment_at(a + start);
	other = segment_at(b + start);
	order = compare_segments(&one, &other);
	return order != 0 ? order : (a[i] != '\0') - (b[i] != '\0');
}

static int by_name(const void *a, const void *b)
{
	return compare_names(((const struct aws_form_pair *)a)->name,
			     ((const struct aws_form_pair *)b)->name);
}

static int malformed(struct aws_error *error, const char *why)
{
	aws_error_set(error, 404, "MalformedQueryString",
		      "The query string contains a syntax error: %s", why);
	return -1;
}

/* One "name=value" of len bytes; the byte after it is ours to overwrite. */
static int add_pair(struct aws_form *form, char *text, size_t len, struct aws_error *error)
{
	char *equals = memchr(text, '=', len);
	size_t name_len = equals ? (size_t)(equals - text) : len;
	char *value = equals ? equals + 1 : text + len;

	if (len == 0)
		return 0;
	if (form->n_pairs == MAX_PAIRS)
		return malformed(error, "too many parameters");
	if (name_len > MAX_NAME)
		return malformed(error, "a parameter name is too long");
	if (decode(value, (size_t)(text + len - value)) < 0 || decode(text, name_len) < 0)
		return malformed(error, "a parameter is not percent-encoded UTF-8");
	form->pairs[form->n_pairs].name = text;
	form->pairs[form->n_pairs].value = value;
	form->n_pairs++;
	return 0;
}

static size_t count_pairs(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '&';
	return n < MAX_PAIRS ? n : MAX_PAIRS;
}

static int split(struct aws_form *form, size_t len, struct aws_error *error)
{
	char *text = form->text, *end = form->text + len;

	while (text <= end) {
		char *next = memchr(text, '&', (size_t)(end - text));
		char *stop = next ? next : end;

		if (add_pair(form, text, (size_t)(stop - text), error) < 0)
			return -1;
		text = stop + 1;
	}
	qsort(form->pairs, form->n_pairs, sizeof(*form->pairs), by_name);
	for (size_t i = 1; i < form->n_pairs; i++) {
		if (strcmp(form->pairs[i - 1].name, form->pairs[i].name) == 0)
			return malformed(error, "a parameter is given twice");
	}
	return 0;
}

struct aws_form *aws_form_parse(const char *text, size_t len, struct aws_error *error)
{
	struct aws_form *form = NULL;

	if (len > MAX_TEXT) {
		aws_error_set(error, 413, "RequestEntityTooLarge", "The request is too large");
		return NULL;
	}
	form = calloc(1, sizeof(*form));
	if (!form)
		goto oom;
	form->text = calloc(1, len + 1);
	form->pairs = calloc(count_pairs(text, len), sizeof(*form->pairs));
	if (!form->text || !form->pairs)
		goto oom;
	if (len > 0)
		memcpy(form->text, text, len);
	if (split(form, len, error) == 0)
		return form;
	aws_form_free(form);
	return NULL;
oom:
	aws_error_set(error, 500, "InternalFailure", "Out of memory");
	aws_form_free(form);
	return NULL;
}

const char *aws_form_get(const struct aws_form *form, const char *name)
{
	const struct aws_form_pair key = {.name = name}, *pair;

	if (form->n_pairs == 0)
		return NULL;
	pair = bsearch(&key, form->pairs, form->n_pairs, sizeof(key), by_name);
	return pair ? pair->value : NULL;
}

void aws_form_free(struct aws_form *form)
{
	if (!form)
		return;
	free(form->pairs);
	free(form->text);
	free(form);
}
