/* lb/routing/sticky: stickiness cookies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/crypto.h>

#include "common/store/store.h"
#include "lb/control/sticky_key.h"
#include "lb/routing/sticky.h"

enum { NOW = 1792000000 };

static const uint8_t key[STICKY_KEY_BYTES] = "a key of thirty-two bytes......";
static unsigned long n_allocations;

static void *counting_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	n_allocations++;
	return malloc(size);
}

static void *counting_realloc(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	n_allocations++;
	return realloc(old, size);
}

static void plain_free(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	free(memory);
}

static struct sticky_sealer *new_sealer(const uint8_t *bytes)
{
	struct sticky_sealer *sealer = sticky_new(bytes, NULL);

	assert_non_null(sealer);
	return sealer;
}

/* "AWSALB=xyz" out of a Set-Cookie value, into pair. */
static struct text pair_of(const struct header *set_cookie, char pair[512])
{
	const char *semicolon = memchr(set_cookie->value.at, ';', set_cookie->value.len);
	size_t len = (size_t)(semicolon - set_cookie->value.at);

	memcpy(pair, set_cookie->value.at, len);
	pair[len] = '\0';
	return (struct text){pair, len};
}

static enum sticky_found read_back(struct sticky_sealer *sealer, enum sticky_kind kind,
				   const char *cookie, struct sticky_jar *jar)
{
	struct header headers[] = {{TEXT("Host"), TEXT("a")}, {TEXT("cookie"), text_of(cookie)}};

	return sticky_read(sealer, kind, headers, 2, jar);
}

static void what_was_bound_is_found_until_it_expires(void **state)
{
	struct sticky_sealer *sealer = new_sealer(key), *other = new_sealer(key);
	struct sticky_jar jar = {0}, got;
	struct sticky_cookies cookies = {0};
	char pair[512];
	uint64_t choice = 0;

	(void)state;
	sticky_bind(&jar, 7, 42, NOW, 60);
	assert_true(sticky_write(sealer, STICKY_TARGET, &jar, NOW, &cookies));
	assert_int_equal(cookies.n, 2);
	for (int i = 0; i < 2; i++) {
		pair_of(&cookies.headers[i], pair);
		assert_int_equal(read_back(other, STICKY_TARGET, pair, &got), STICKY_GOOD);
		assert_true(sticky_find(&got, 7, NOW + 59, &choice));
		assert_int_equal(choice, 42);
		assert_false(sticky_find(&got, 7, NOW + 60, &choice));
		assert_false(sticky_find(&got, 8, NOW, &choice));
	}
	sticky_free(sealer);
	sticky_free(other);
}

static void cookies_look_as_albs_do(void **state)
{
	static const struct {
		enum sticky_kind kind;
		unsigned n;
		const char *names[4], *flags[4];
	} cases[] = {
	    {STICKY_TARGET, 2, {"AWSALB=", "AWSALBCORS="}, {"", "; SameSite=None; Secure"}},
	    {STICKY_GROUP, 2, {"AWSALBTG=", "AWSALBTGCORS="}, {"", "; SameSite=None; Secure"}},
	    {STICKY_APP,
	     4,
	     {"AWSALBAPP-0=", "AWSALBAPP-1=_remove_;", "AWSALBAPP-2=_remove_;",
	      "AWSALBAPP-3=_remove_;"},
	     {"", "", "", ""}},
	};
	struct sticky_sealer *sealer = new_sealer(key);
	struct sticky_jar jar = {0};
	char text[512], end[128];

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct sticky_cookies cookies = {0};

		assert_true(sticky_write(sealer, cases[c].kind, &jar, NOW, &cookies));
		assert_int_equal(cookies.n, cases[c].n);
		for (unsigned i = 0; i < cases[c].n; i++) {
			assert_non_null(cases[c].names[i]);
			snprintf(text, sizeof(text), "%.*s", (int)cookies.headers[i].value.len,
				 cookies.headers[i].value.at);
			snprintf(end, sizeof(end),
				 "; Expires=Wed, 21 Oct 2026 17:46:40 GMT; Path=/%s",
				 cases[c].flags[i]);
			assert_int_equal(
			    strncmp(text, cases[c].names[i], strlen(cases[c].names[i])), 0);
			assert_string_equal(text + strlen(text) - strlen(end), end);
		}
	}
	sticky_free(sealer);
}

static void all_fragments_are_removed_before_the_application_has_a_cookie(void **state)
{
	struct sticky_sealer *sealer = new_sealer(key);
	struct sticky_cookies cookies = {0};
	struct sticky_jar jar;
	char pair[512];

	(void)state;
	assert_true(sticky_write_removed(sealer, NOW, &cookies));
	assert_int_equal(cookies.n, 4);
	assert_string_equal(pair_of(&cookies.headers[0], pair).at, "AWSALBAPP-0=_remove_");
	assert_int_equal(read_back(sealer, STICKY_APP, pair, &jar), STICKY_NONE);
	sticky_free(sealer);
}

static void a_changed_bit_makes_a_cookie_invalid(void **state)
{
	struct sticky_sealer *sealer = new_sealer(key);
	struct sticky_jar jar = {0}, got;
	struct sticky_cookies cookies = {0};
	char pair[512];

	(void)state;
	sticky_bind(&jar, 7, 42, NOW, 60);
	assert_true(sticky_write(sealer, STICKY_TARGET, &jar, NOW, &cookies));
	size_t len = pair_of(&cookies.headers[0], pair).len;
	for (size_t i = strlen("AWSALB="); i < len; i++) {
		char was = pair[i];

		pair[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(read_back(sealer, STICKY_TARGET, pair, &got), STICKY_INVALID);
		assert_int_equal(got.n, 0);
		pair[i] = was;
	}
	assert_int_equal(read_back(sealer, STICKY_TARGET, pair, &got), STICKY_GOOD);
	sticky_free(sealer);
}

static void a_cookie_of_another_key_or_kind_is_invalid(void **state)
{
	static const uint8_t other_key[STICKY_KEY_BYTES] = "another key, of 32 bytes too...";
	struct sticky_sealer *sealer = new_sealer(key), *other = new_sealer(other_key);
	struct sticky_jar jar = {0}, got;
	struct sticky_cookies cookies = {0};
	char pair[512], renamed[600];

	(void)state;
	sticky_bind(&jar, 7, 42, NOW, 60);
	assert_true(sticky_write(sealer, STICKY_TARGET, &jar, NOW, &cookies));
	pair_of(&cookies.headers[0], pair);
	assert_int_equal(read_back(other, STICKY_TARGET, pair, &got), STICKY_INVALID);
	snprintf(renamed, sizeof(renamed), "AWSALBTG=%s", strchr(pair, '=') + 1);
	assert_int_equal(read_back(sealer, STICKY_GROUP, renamed, &got), STICKY_INVALID);
	sticky_free(sealer);
	sticky_free(other);
}

static void nonsense_is_no_cookie(void **state)
{
	static const struct {
		const char *cookie;
		enum sticky_found found;
	} cases[] = {
	    {"", STICKY_NONE},
	    {"a=b; c", STICKY_NONE},
	    {"awsalb=x", STICKY_NONE},
	    {"XAWSALB=x", STICKY_NONE},
	    {"AWSALB", STICKY_NONE},
	    {"AWSALB=", STICKY_INVALID},
	    {";;; AWSALB=%2B", STICKY_INVALID},
	    {"AWSALB=====; AWSALBCORS=", STICKY_INVALID},
	};
	struct sticky_sealer *sealer = new_sealer(key);
	struct sticky_jar jar;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(read_back(sealer, STICKY_TARGET, cases[i].cookie, &jar),
				 cases[i].found);
	sticky_free(sealer);
}

static void the_cors_cookie_goes_before_the_other(void **state)
{
	struct sticky_sealer *sealer = new_sealer(key);
	struct sticky_jar first = {0}, second = {0}, got;
	struct sticky_cookies a = {0}, b = {0};
	char plain[512], cors[512], both[1100];
	uint64_t choice;

	(void)state;
	sticky_bind(&first, 7, 1, NOW, 60);
	sticky_bind(&second, 7, 2, NOW, 60);
	assert_true(sticky_write(sealer, STICKY_TARGET, &first, NOW, &a));
	assert_true(sticky_write(sealer, STICKY_TARGET, &second, NOW, &b));
	pair_of(&a.headers[0], plain);
	pair_of(&b.headers[1], cors);
	snprintf(both, sizeof(both), "x=1; %s;  %s ;y=2", plain, cors);
	assert_int_equal(read_back(sealer, STICKY_TARGET, both, &got), STICKY_GOOD);
	assert_true(sticky_find(&got, 7, NOW, &choice));
	assert_int_equal(choice, 2);
	sticky_free(sealer);
}

static void one_cookie_remembers_the_four_newest_bindings(void **state)
{
	struct sticky_jar jar = {0};
	uint64_t choice;

	(void)state;
	for (unsigned scope = 1; scope <= 5; scope++)
		sticky_bind(&jar, scope, scope * 10, NOW, 60);
	sticky_bind(&jar, 3, 33, NOW, 60);
	assert_int_equal(jar.n, STICKY_BINDINGS_MAX);
	assert_false(sticky_find(&jar, 1, NOW, &choice));
	assert_true(sticky_find(&jar, 3, NOW, &choice));
	assert_int_equal(choice, 33);
	assert_true(sticky_find(&jar, 2, NOW, &choice));
	sticky_unbind(&jar, 2);
	assert_false(sticky_find(&jar, 2, NOW, &choice));
	assert_int_equal(jar.n, 3);
}

static void a_response_that_sets_the_applications_cookie_is_seen(void **state)
{
	struct header headers[] = {{TEXT("Content-Type"), TEXT("a=b")},
				   {TEXT("set-cookie"), TEXT("session=; Path=/; other=1")}};

	(void)state;
	assert_true(sticky_sets_cookie(headers, 2, TEXT("session")));
	assert_false(sticky_sets_cookie(headers, 2, TEXT("other")));
	assert_false(sticky_sets_cookie(headers, 2, TEXT("sess")));
	assert_false(sticky_sets_cookie(headers, 2, TEXT("a")));
}

static void too_many_cookies_add_none(void **state)
{
	struct sticky_sealer *sealer = new_sealer(key);
	struct sticky_cookies cookies = {0};
	struct sticky_jar jar = {0};

	(void)state;
	assert_true(sticky_write(sealer, STICKY_APP, &jar, NOW, &cookies));
	assert_true(sticky_write(sealer, STICKY_TARGET, &jar, NOW, &cookies));
	assert_int_equal(cookies.n, 6);
	assert_false(sticky_write(sealer, STICKY_APP, &jar, NOW, &cookies));
	assert_int_equal(cookies.n, 6);
	assert_true(sticky_write(sealer, STICKY_GROUP, &jar, NOW, &cookies));
	assert_int_equal(cookies.n, 8);
	sticky_free(sealer);
}

static void ids_tell_ports_apart(void **state)
{
	(void)state;
	assert_true(sticky_id("10.0.0.1", 80) != sticky_id("10.0.0.1", 81));
	assert_true(sticky_id("10.0.0.1", 80) != sticky_id("10.0.0.2", 80));
	assert_true(sticky_id("a", 0) == sticky_id("a", 0));
}

static void nothing_is_allocated_for_a_request(void **state)
{
	struct sticky_sealer *sealer = new_sealer(key);
	struct sticky_jar jar = {0}, got;
	char pair[512];

	(void)state;
	sticky_bind(&jar, 7, 42, NOW, 60);
	n_allocations = 0;
	for (int i = 0; i < 100; i++) {
		struct sticky_cookies cookies = {0};

		assert_true(sticky_write(sealer, STICKY_TARGET, &jar, NOW + i, &cookies));
		pair_of(&cookies.headers[0], pair);
		assert_int_equal(read_back(sealer, STICKY_TARGET, pair, &got), STICKY_GOOD);
	}
	assert_int_equal(n_allocations, 0);
	sticky_free(sealer);
}

static void the_key_is_made_once_and_kept(void **state)
{
	struct store *store = store_open("memory:", NULL), *other = store_open("memory:", NULL);
	uint8_t first[STICKY_KEY_BYTES] = {0}, again[STICKY_KEY_BYTES], third[STICKY_KEY_BYTES];
	struct err err = {0};

	(void)state;
	assert_int_equal(sticky_key_load(store, first, &err), 0);
	assert_int_equal(sticky_key_load(store, again, &err), 0);
	assert_int_equal(sticky_key_load(other, third, &err), 0);
	assert_memory_equal(first, again, sizeof(first));
	assert_memory_not_equal(first, third, sizeof(first));
	assert_int_equal(
	    store_put_one(store, "elb/stickiness", json_pack("{s:s}", "Key", "short"), &err),
	    STORE_OK);
	assert_int_equal(sticky_key_load(store, first, &err), -1);
	store_close(store);
	store_close(other);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_bound_is_found_until_it_expires),
	    cmocka_unit_test(cookies_look_as_albs_do),
	    cmocka_unit_test(all_fragments_are_removed_before_the_application_has_a_cookie),
	    cmocka_unit_test(a_changed_bit_makes_a_cookie_invalid),
	    cmocka_unit_test(a_cookie_of_another_key_or_kind_is_invalid),
	    cmocka_unit_test(nonsense_is_no_cookie),
	    cmocka_unit_test(the_cors_cookie_goes_before_the_other),
	    cmocka_unit_test(one_cookie_remembers_the_four_newest_bindings),
	    cmocka_unit_test(a_response_that_sets_the_applications_cookie_is_seen),
	    cmocka_unit_test(too_many_cookies_add_none),
	    cmocka_unit_test(ids_tell_ports_apart),
	    cmocka_unit_test(nothing_is_allocated_for_a_request),
	    cmocka_unit_test(the_key_is_made_once_and_kept),
	};

	/* Before OpenSSL allocates anything: it counts through these from now on. */
	if (CRYPTO_set_mem_functions(counting_malloc, counting_realloc, plain_free) != 1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
