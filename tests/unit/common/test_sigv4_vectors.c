/* common/aws/sigv4 against AWS's own signing test suite: tests/data/sigv4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/aws/sigv4.h"
#include "common/aws/sigv4_canonical.h"
#include "common/base/clock.h"

enum { MAX_HEADERS = 16 };

/* A request as the suite writes it, taken apart in place. */
struct parsed {
	char *text;
	struct sigv4_header headers[MAX_HEADERS];
	struct sigv4_request request;
};

static char *cut_line(char **rest)
{
	char *line = *rest, *end = strchr(line, '\n');

	if (end == NULL) {
		*rest = line + strlen(line);
		return line;
	}
	*end = '\0';
	*rest = end + 1;
	return line;
}

/* "METHOD TARGET HTTP/1.1", where TARGET may hold spaces. */
static void parse_request_line(struct parsed *parsed, char *line)
{
	char *target = strchr(line, ' '), *version = strrchr(line, ' '), *query;

	assert_true(target != NULL && version > target);
	*target++ = '\0';
	*version = '\0';
	query = strchr(target, '?');
	if (query != NULL)
		*query++ = '\0';
	parsed->request.method = line;
	parsed->request.path = target;
	parsed->request.query = query == NULL ? "" : query;
}

/* A line that begins with a space goes on with the header before it (evhttp joins them so). */
static void parse_headers(struct parsed *parsed, char **rest)
{
	char *line, *last = NULL;

	while (*(line = cut_line(rest)) != '\0') {
		char *colon = strchr(line, ':');

		if (line[0] == ' ' && last != NULL) {
			memmove(last + strlen(last), line, strlen(line) + 1);
			continue;
		}
		assert_true(colon != NULL && parsed->request.n_headers < MAX_HEADERS);
		*colon = '\0';
		last = colon + 1;
		parsed->headers[parsed->request.n_headers++] =
		    (struct sigv4_header){.name = line, .value = last};
	}
}

static void parse(struct parsed *parsed, const char *text)
{
	char *rest;

	*parsed = (struct parsed){.text = strdup(text)};
	rest = parsed->text;
	parse_request_line(parsed, cut_line(&rest));
	parse_headers(parsed, &rest);
	parsed->request.headers = parsed->headers;
	parsed->request.body = rest;
	parsed->request.body_len = strlen(rest);
}

static const char *context_text(const json_t *vector, const char *member)
{
	return json_string_value(json_object_get(json_object_get(vector, "context"), member));
}

/* A token that is added after signing, as one or two other services want it: ours must not. */
static bool has_unsigned_token(const json_t *vector)
{
	return json_is_true(
	    json_object_get(json_object_get(vector, "context"), "omit_session_token"));
}

static json_t *credentials_of(const json_t *vector)
{
	const json_t *context = json_object_get(vector, "context");
	const json_t *keys = json_object_get(context, "credentials");

	return json_pack("[{s:O, s:O, s:s*}]", "AccessKeyId",
			 json_object_get(keys, "access_key_id"), "SecretAccessKey",
			 json_object_get(keys, "secret_access_key"), "SessionToken",
			 json_string_value(json_object_get(keys, "token")));
}

static void check(const json_t *vector, const char *form, int64_t late_ms, bool is_good)
{
	const json_t *part = json_object_get(vector, form);
	const char *name = json_string_value(json_object_get(vector, "name"));
	json_t *credentials = credentials_of(vector);
	struct aws_error error = {0};
	struct parsed parsed;
	int64_t now_ms;

	assert_int_equal(clock_parse_iso(context_text(vector, "timestamp"), &now_ms), 0);
	is_good = is_good && !has_unsigned_token(vector);
	parse(&parsed, json_string_value(json_object_get(part, "request")));
	if ((sigv4_verify(&parsed.request, credentials, now_ms + late_ms, &error) == 0) != is_good)
		fail_msg("%s, %s: %s: %s", name, form, error.code, error.message);
	json_decref(credentials);
	free(parsed.text);
}

static void each(void (*fn)(const json_t *vector))
{
	json_t *vectors = json_load_file("tests/data/sigv4/vectors.json", 0, NULL), *vector;
	size_t i;

	assert_true(json_array_size(vectors) > 30);
	json_array_foreach (vectors, i, vector)
		fn(vector);
	json_decref(vectors);
}

static void check_header(const json_t *vector)
{
	check(vector, "header", 0, true);
}

static void signatures_in_headers_verify(void **state)
{
	(void)state;
	each(check_header);
}

static void check_query(const json_t *vector)
{
	check(vector, "query", 0, true);
	check(vector, "query", 3600 * 1000LL, true);
	check(vector, "query", 3601 * 1000LL, false);
}

static void presigned_requests_verify_until_they_expire(void **state)
{
	(void)state;
	each(check_query);
}

static void check_canonical(const json_t *vector)
{
	const json_t *part = json_object_get(vector, "header");
	const char *want = json_string_value(json_object_get(part, "canonical"));
	const char *hash = strrchr(want, '\n') + 1;
	char signed_headers[512], missing[64];
	struct buf canonical = {0};
	struct parsed parsed;
	size_t len;

	for (len = 0; hash[-2 - (long)len] != '\n'; len++)
		;
	assert_true(len < sizeof(signed_headers));
	memcpy(signed_headers, hash - 1 - len, len);
	signed_headers[len] = '\0';
	parse(&parsed, json_string_value(json_object_get(part, "request")));
	assert_int_equal(sigv4_canonical_request(&parsed.request, signed_headers, hash, &canonical,
						 missing, sizeof(missing)),
			 0);
	assert_string_equal(buf_text(&canonical), want);
	buf_fini(&canonical);
	free(parsed.text);
}

static void canonical_requests_are_the_suites(void **state)
{
	(void)state;
	each(check_canonical);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(canonical_requests_are_the_suites),
	    cmocka_unit_test(signatures_in_headers_verify),
	    cmocka_unit_test(presigned_requests_verify_until_they_expire),
	};

	return cmocka_run_group_tests_name("sigv4_vectors", tests, NULL, NULL);
}
