/* lb/routing: regular expressions in conditions, and the rewriting of hosts and URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/routing/rewrite.h"
#include "lb/routing/rule_regex.h"
#include "lb/routing/rules.h"

static enum regex_result search(const char *source, bool is_nocase, const char *text)
{
	struct err err = {0};
	struct regex *regex = regex_new(source, is_nocase, &err);
	enum regex_result result;

	if (!regex)
		fail_msg("%s: %s", source, err.text);
	result = regex_search(regex, text_of(text), NULL, 0);
	regex_free(regex);
	return result;
}

static void expressions_search_anywhere_unless_anchored(void **state)
{
	(void)state;
	assert_int_equal(search("b+", false, "abbc"), REGEX_MATCH);
	assert_int_equal(search("^b+", false, "abbc"), REGEX_NO_MATCH);
	assert_int_equal(search("^/api/v[0-9]+(/|$)", false, "/api/v12"), REGEX_MATCH);
	assert_int_equal(search("^/API/", false, "/api/"), REGEX_NO_MATCH);
	assert_int_equal(search("^API\\.", true, "api.example"), REGEX_MATCH);
	assert_int_equal(search("^(?:a|b)c{1,2}?$", false, "bcc"), REGEX_MATCH);
}

static void what_alb_refuses_in_an_expression_is_refused(void **state)
{
	static const char *const sources[] = {
	    "a(?=b)",  "a(?!b)", "(?<=a)b", "(?<!a)b", "(a)\\1",    "(?>a)",   "a*+",
	    "a++",     "a?+",    "a{2}+",   "(?R)",    "(a)(?1)",   "(?P>n)",  "(?&n)",
	    "\\p{L}",  "\\PL",   "\\X",     "\\Ka",    "(*ACCEPT)", "(?(1)a)", "(?<n>a)\\k<n>",
	    "\\Qa\\E", "a(",     "[a",      "a{2,1}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct err err = {0};

		if (regex_new(sources[i], false, &err))
			fail_msg("%s was taken", sources[i]);
		assert_true(err.text[0] != '\0');
	}
	/* What only looks like it. */
	assert_int_equal(search("[(?=)*+]+", false, "*"), REGEX_MATCH);
	assert_int_equal(search("a\\*\\+", false, "a*+"), REGEX_MATCH);
	assert_int_equal(search("[[:digit:]]x+", false, "1x"), REGEX_MATCH);
	assert_int_equal(search("(?i)AB", false, "ab"), REGEX_MATCH);
	assert_int_equal(search("(?P<n>a)", false, "a"), REGEX_MATCH);
}

static void an_expression_that_takes_for_ever_is_given_up(void **state)
{
	char text[64] = {0};

	(void)state;
	memset(text, 'a', 60);
	text[60] = '!';
	assert_int_equal(search("^(a+)+$", false, text), REGEX_GAVE_UP);
}

static void the_fixed_beginning_of_an_expression_is_found(void **state)
{
	static const struct {
		const char *source, *expected;
	} cases[] = {
	    {"^/api/v[0-9]", "/api/v"},
	    {"^/a\\.b", "/a.b"},
	    {"^/ab*", "/a"},
	    {"^/ab?c", "/a"},
	    {"^/ab+c", "/ab"},
	    {"^/a|/b", ""},
	    {"/a", ""},
	    {"^/a{2}", "/"},
	    {"^/\\d", "/"},
	    {"^/(a)", "/"},
	    {"^", ""},
	    {"^/a$", "/a"},
	};
	char out[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = regex_literal_prefix(cases[i].source, out, sizeof(out));

		if (!text_equal((struct text){out, len}, text_of(cases[i].expected)))
			fail_msg("%s gave %.*s", cases[i].source, (int)len, out);
	}
}

static void host_and_header_expressions_ignore_case_paths_do_not(void **state)
{
	struct arena arena = {0};
	struct action action = {.kind = ACTION_FIXED_RESPONSE};
	struct rules *rules = rules_new(&action, &arena);
	struct condition_value host = {NULL, "^api[.]"}, path = {NULL, "^/V[0-9]$"};
	struct condition conditions[] = {
	    {.field = CONDITION_HOST_HEADER, .n_values = 1, .values = &host, .is_regex = true},
	    {.field = CONDITION_PATH_PATTERN, .n_values = 1, .values = &path, .is_regex = true}};
	struct rule_config config = {.priority = 3, .n_conditions = 2, .conditions = conditions};
	struct rule_request request = {.host = TEXT("API.example"), .path = TEXT("/V2")};
	struct rule_match match;

	(void)state;
	assert_int_equal(rules_add(rules, &config, NULL), 0);
	config.priority = 4;
	path.value = "^/V(?=2)";
	assert_int_equal(rules_add(rules, &config, NULL), -1);
	assert_int_equal(rules_finish(rules, &arena, NULL), 0);
	rules_match(rules, &request, &match);
	assert_int_equal(match.priority, 3);
	request.path = TEXT("/v2");
	rules_match(rules, &request, &match);
	assert_int_equal(match.priority, 0);
	rules_fini(rules);
	arena_fini(&arena);
}

/* ---- rewriting ---- */

static void urls_are_rewritten_as_alb_says(void **state)
{
	static const struct {
		const char *regex, *replace, *url, *expected; /* NULL = no match */
	} cases[] = {
	    {"^/dp/([A-Za-z0-9]+)/?$", "/product.php?id=$1", "/dp/B09G3", "/product.php?id=B09G3"},
	    {"^/api/", "/", "/api/x?y=/api/", "/x?y=/api/"},
	    {"^/api/", "/", "/other", NULL},
	    {"(a)(b)?(c)", "[$3$2$1]", "/acx", "/[ca]x"},
	    {"^/(.)", "/${1}0", "/a", "/a0"},
	    {"a", "$", "/a", "/$"},
	    {"a", "$x", "/a%3Ab", "/$x%3Ab"},
	    {"x*$", "y", "/a", "/ay"},
	    {"^/a", "", "/a", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rewrite_config config = {cases[i].regex, cases[i].replace};
		struct arena arena = {0};
		struct rewrite rewrite;
		struct text text = {0};
		char out[64];

		assert_int_equal(rewrite_compile(&rewrite, &config, &arena, NULL), 0);
		enum rewrite_result result =
		    rewrite_apply(&rewrite, text_of(cases[i].url), out, sizeof(out), &text);

		assert_int_equal(result, cases[i].expected ? REWRITE_DONE : REWRITE_NONE);
		if (!text_equal(text, text_of(cases[i].expected)))
			fail_msg("%s gave %.*s", cases[i].url, (int)text.len, text.at);
		rewrite_fini(&rewrite);
		arena_fini(&arena);
	}
}

static void a_rewritten_url_has_a_limit_and_a_form(void **state)
{
	struct rewrite_config config = {"a", "0123456789"};
	struct arena arena = {0};
	struct rewrite rewrite;
	struct text text;
	char out[11];

	(void)state;
	assert_int_equal(rewrite_compile(&rewrite, &config, &arena, NULL), 0);
	assert_int_equal(rewrite_apply(&rewrite, TEXT("/a"), out, 11, &text), REWRITE_DONE);
	assert_int_equal(rewrite_apply(&rewrite, TEXT("/ab"), out, 11, &text), REWRITE_TOO_LONG);
	rewrite_fini(&rewrite);
	arena_fini(&arena);
	assert_true(rewrite_is_url(TEXT("/a?b=c%20d")));
	assert_false(rewrite_is_url(TEXT("a")));
	assert_false(rewrite_is_url(TEXT("")));
	assert_false(rewrite_is_url(TEXT("/a b")));
	assert_false(rewrite_is_url(TEXT("/a\r\nX: y")));
	assert_false(rewrite_is_url(TEXT("/a#b")));
}

static void a_reference_to_a_group_that_is_not_there_is_refused(void **state)
{
	struct rewrite_config config = {"^/(a)", "/$2"};
	struct arena arena = {0};
	struct rewrite rewrite;
	struct err err = {0};

	(void)state;
	assert_int_equal(rewrite_compile(&rewrite, &config, &arena, &err), -1);
	assert_non_null(strstr(err.text, "$2"));
	rewrite_fini(&rewrite);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(expressions_search_anywhere_unless_anchored),
	    cmocka_unit_test(what_alb_refuses_in_an_expression_is_refused),
	    cmocka_unit_test(an_expression_that_takes_for_ever_is_given_up),
	    cmocka_unit_test(the_fixed_beginning_of_an_expression_is_found),
	    cmocka_unit_test(host_and_header_expressions_ignore_case_paths_do_not),
	    cmocka_unit_test(urls_are_rewritten_as_alb_says),
	    cmocka_unit_test(a_rewritten_url_has_a_limit_and_a_form),
	    cmocka_unit_test(a_reference_to_a_group_that_is_not_there_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
