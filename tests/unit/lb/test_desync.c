/* lb/routing/desync: AWS's own vectors (tests/data/desync), and what they leave out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/routing/desync.h"

enum { MAX_CASE_HEADERS = 16, MAX_VALUE = 512 };

struct value {
	char bytes[MAX_VALUE];
	size_t len;
};

struct vector {
	struct value name, uri, method, version, tier, reason;
	unsigned n_headers;
	struct value names[MAX_CASE_HEADERS], values[MAX_CASE_HEADERS];
};

static void add_utf8(struct value *out, unsigned code)
{
	if (code >= 0x80) {
		out->bytes[out->len++] = (char)(0xc0 | code >> 6);
		code = 0x80 | (code & 0x3f);
	}
	out->bytes[out->len++] = (char)code;
}

static const char *add_escape(struct value *out, const char *at)
{
	static const char from[] = "trn0\\\"", to[] = "\t\r\n\0\\\"";
	const char *found = strchr(from, *at);
	char hex[3] = {0};

	if (*at != 'x') {
		assert_non_null(found);
		out->bytes[out->len++] = to[found - from];
		return at + 1;
	}
	memcpy(hex, at + 1, 2);
	add_utf8(out, (unsigned)strtoul(hex, NULL, 16));
	return at + 3;
}

/* As much of YAML as the vectors use: plain, 'quoted' and "quoted\x01" scalars. */
static void read_scalar(const char *at, struct value *out)
{
	char quote = *at == '"' || *at == '\'' ? *at++ : '\0';

	out->len = 0;
	while (*at && *at != '\n' && *at != quote) {
		assert_true(out->len < MAX_VALUE - 4);
		if (quote == '"' && *at == '\\')
			at = add_escape(out, at + 1);
		else
			out->bytes[out->len++] = *at++;
	}
	while (!quote && out->len > 0 && out->bytes[out->len - 1] == ' ')
		out->len--;
}

static bool take(const char *line, const char *key, struct value *out)
{
	size_t len = strlen(key);

	if (strncmp(line, key, len) != 0)
		return false;
	line += len;
	read_scalar(line + strspn(line, " "), out);
	return true;
}

static struct text text(const struct value *value)
{
	return (struct text){value->bytes, value->len};
}

static struct desync_verdict classify(const struct vector *vector)
{
	struct header headers[MAX_CASE_HEADERS];
	struct desync_request request = {text(&vector->method), text(&vector->uri),
					 text(&vector->version), vector->n_headers, headers};

	for (unsigned i = 0; i < vector->n_headers; i++)
		headers[i] = (struct header){text(&vector->names[i]), text(&vector->values[i])};
	return desync_classify(&request);
}

static void check(const struct vector *vector)
{
	struct desync_verdict got = classify(vector);
	const char *tier = desync_class_name(got.tier), *reason = desync_reason_name(got.reason);

	tier = tier ? tier : "Compliant";
	reason = reason ? reason : "Compliant";
	if (!text_equal(text(&vector->tier), text_of(tier)) ||
	    !text_equal(text(&vector->reason), text_of(reason)))
		fail_msg("%.*s: got %s %s", (int)vector->name.len, vector->name.bytes, tier,
			 reason);
}

static unsigned check_file(const char *path)
{
	FILE *file = fopen(path, "r");
	struct vector *vector = test_calloc(1, sizeof(*vector));
	struct value ignored;
	char line[2048];
	unsigned n = 0;

	if (!file)
		fail_msg("%s is missing (run from the root of the tree)", path);
	while (fgets(line, sizeof(line), file)) {
		unsigned h = vector->n_headers;

		if (take(line, "- name:", &ignored)) {
			memset(vector, 0, sizeof(*vector));
			vector->name = ignored;
		} else if (take(line, "    - name:", &vector->names[h])) {
			assert_true(++vector->n_headers < MAX_CASE_HEADERS);
		} else if (take(line, "    reason:", &vector->reason)) {
			check(vector);
			n++;
		} else {
			(void)(take(line, "  uri:", &vector->uri) ||
			       take(line, "  method:", &vector->method) ||
			       take(line, "  version:", &vector->version) ||
			       take(line, "    tier:", &vector->tier) ||
			       (h > 0 && take(line, "      value:", &vector->values[h - 1])));
		}
	}
	fclose(file);
	test_free(vector);
	return n;
}

static void the_classification_agrees_with_every_vector_of_aws(void **state)
{
	(void)state;
	assert_int_equal(check_file("tests/data/desync/rfc-compliant.yaml"), 14);
	assert_int_equal(check_file("tests/data/desync/acceptable.yaml"), 9);
	assert_int_equal(check_file("tests/data/desync/ambiguous.yaml"), 37);
	assert_int_equal(check_file("tests/data/desync/severe.yaml"), 27);
	assert_int_equal(check_file("tests/data/desync/bad-header-characters.yaml"), 15);
}

static void what_the_vectors_leave_out_is_classified_too(void **state)
{
	static const struct {
		const char *method, *uri, *version, *name, *value;
		enum desync_class tier;
		enum desync_reason reason;
	} cases[] = {
	    {"GET", "/a b", "HTTP/1.1", "A", "b", DESYNC_ACCEPTABLE, DESYNC_REASON_SPACE_IN_URI},
	    {"GET", "/a\x01", "HTTP/1.1", "A", "b", DESYNC_AMBIGUOUS, DESYNC_REASON_AMBIGUOUS_URI},
	    {"GET", "/a\x7f", "HTTP/1.1", "A", "b", DESYNC_AMBIGUOUS, DESYNC_REASON_AMBIGUOUS_URI},
	    {"GET", "/a\rb", "HTTP/1.1", "A", "b", DESYNC_SEVERE, DESYNC_REASON_BAD_URI},
	    {"GET", "/a", "HTTP/2.0", "A", "b", DESYNC_SEVERE, DESYNC_REASON_BAD_VERSION},
	    {"GET", "/a", "http/1.1", "A", "b", DESYNC_SEVERE, DESYNC_REASON_BAD_VERSION},
	    {"GET", "/a", "HTTP/1.1 ", "A", "b", DESYNC_ACCEPTABLE,
	     DESYNC_REASON_NON_COMPLIANT_VERSION},
	    {"G(T", "/a", "HTTP/1.1", "A", "b", DESYNC_SEVERE, DESYNC_REASON_BAD_METHOD},
	    {"", "/a", "HTTP/1.1", "A", "b", DESYNC_SEVERE, DESYNC_REASON_BAD_METHOD},
	    {"PUT", "/a", "HTTP/1.1", "Content-Length", "+5", DESYNC_SEVERE,
	     DESYNC_REASON_BAD_CONTENT_LENGTH},
	    {"PUT", "/a", "HTTP/1.1", "Content-Length", "-5", DESYNC_SEVERE,
	     DESYNC_REASON_BAD_CONTENT_LENGTH},
	    {"PUT", "/a", "HTTP/1.1", "Content-Length", "5,5", DESYNC_SEVERE,
	     DESYNC_REASON_BAD_CONTENT_LENGTH},
	    {"PUT", "/a", "HTTP/1.1", "Content-Length", "", DESYNC_SEVERE,
	     DESYNC_REASON_BAD_CONTENT_LENGTH},
	    {"PUT", "/a", "HTTP/1.1", "Content-Length", " \t5 ", DESYNC_COMPLIANT,
	     DESYNC_REASON_NONE},
	    {"PUT", "/a", "HTTP/1.1", "Content-Length", "18446744073709551615", DESYNC_COMPLIANT,
	     DESYNC_REASON_NONE},
	    {"PUT", "/a", "HTTP/1.1", "Transfer-Encoding", "", DESYNC_SEVERE,
	     DESYNC_REASON_BAD_TRANSFER_ENCODING},
	    {"PUT", "/a", "HTTP/1.1", "Transfer-Encoding",
	     "\x0b"
	     "chunked",
	     DESYNC_SEVERE, DESYNC_REASON_BAD_TRANSFER_ENCODING},
	    {"PUT", "/a", "HTTP/1.1", "Transfer-Encoding", "CHUNKED", DESYNC_COMPLIANT,
	     DESYNC_REASON_NONE},
	    {"PUT", "/a", "HTTP/1.1", "content.length", "5", DESYNC_AMBIGUOUS,
	     DESYNC_REASON_SUSPICIOUS_HEADER},
	    {"PUT", "/a", "HTTP/1.1", "X-Content-Length", "5", DESYNC_COMPLIANT,
	     DESYNC_REASON_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct header header = {text_of(cases[i].name), text_of(cases[i].value)};
		struct desync_request request = {text_of(cases[i].method), text_of(cases[i].uri),
						 text_of(cases[i].version), 1, &header};
		struct desync_verdict got = desync_classify(&request);

		if (got.tier != cases[i].tier || got.reason != cases[i].reason)
			fail_msg("case %zu: %d %s", i, got.tier, desync_reason_name(got.reason));
	}
}

static void each_mode_decides_as_albs_table_says(void **state)
{
	static const enum desync_action table[4][3] = {
	    /* defensive, monitor, strictest: as the enum has them */
	    [DESYNC_COMPLIANT] = {DESYNC_FORWARD, DESYNC_FORWARD, DESYNC_FORWARD},
	    [DESYNC_ACCEPTABLE] = {DESYNC_FORWARD, DESYNC_FORWARD, DESYNC_BLOCK},
	    [DESYNC_AMBIGUOUS] = {DESYNC_FORWARD_AND_CLOSE, DESYNC_FORWARD, DESYNC_BLOCK},
	    [DESYNC_SEVERE] = {DESYNC_BLOCK, DESYNC_FORWARD, DESYNC_BLOCK},
	};

	(void)state;
	for (int tier = 0; tier < 4; tier++)
		for (int mode = 0; mode < 3; mode++)
			assert_int_equal(desync_decide(mode, tier), table[tier][mode]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_classification_agrees_with_every_vector_of_aws),
	    cmocka_unit_test(what_the_vectors_leave_out_is_classified_too),
	    cmocka_unit_test(each_mode_decides_as_albs_table_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
