/* lb/routing: snapshots, rules, patterns, redirects, balancing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include "lb/routing/pattern.h"
#include "lb/routing/redirect.h"
#include "lb/routing/rules.h"
#include "lb/routing/snapshot.h"

static const struct sockaddr *address(const char *ip, uint16_t port)
{
	static struct sockaddr_in in;

	in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	inet_pton(AF_INET, ip, &in.sin_addr);
	return (const struct sockaddr *)&in;
}

/* ---- patterns ---- */

static bool matches(const char *pattern, const char *text, unsigned flags)
{
	struct arena arena = {0};
	struct pattern compiled;
	bool result;

	pattern_compile(&compiled, pattern, flags, &arena);
	result = pattern_match(&compiled, text_of(text));
	arena_fini(&arena);
	return result;
}

static void wildcards_match_as_alb_says(void **state)
{
	static const struct {
		const char *pattern, *text;
		unsigned flags;
		bool expected;
	} cases[] = {
	    {"/img/*", "/img/a.png", 0, true},
	    {"/img/*", "/img/", 0, true},
	    {"/img/*", "/img", 0, false},
	    {"/img/*", "/img/a/b", 0, true},
	    {"/Img", "/img", 0, false},
	    {"*.example.com", "a.b.EXAMPLE.com", PATTERN_NOCASE, true},
	    {"*.example.com", "example.com", PATTERN_NOCASE, false},
	    {"*", "", 0, true},
	    {"?", "", 0, false},
	    {"?", "a", 0, true},
	    {"a?c", "abc", 0, true},
	    {"a*b*c", "a-b-b-c", 0, true},
	    {"a*b*c", "a-b-b-d", 0, false},
	    {"*a*", "bab", 0, true},
	    {"**", "anything", 0, true},
	    {"\\*", "*", PATTERN_ESCAPES, true},
	    {"\\*", "x", PATTERN_ESCAPES, false},
	    {"\\*", "\\x", 0, true},
	    {"", "", 0, true},
	    {"", "x", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (matches(cases[i].pattern, cases[i].text, cases[i].flags) != cases[i].expected)
			fail_msg("pattern \"%s\" on \"%s\"", cases[i].pattern, cases[i].text);
}

static void a_path_is_normalised_for_matching(void **state)
{
	static const struct {
		const char *path, *expected;
	} cases[] = {
	    {"/a/b", "/a/b"},         {"//app", "//app"},
	    {"/a/./b", "/a/b"},       {"/a/../b", "/b"},
	    {"/a/..", "/"},           {"/a/.", "/a/"},
	    {"/../../x", "/x"},       {"/%61dmin", "/admin"},
	    {"/a%2Fb", "/a%2Fb"},     {"/%2e%2e/x", "/x"},
	    {"/a/%2E%2e/b", "/b"},    {"/.hidden", "/.hidden"},
	    {"/a..b/c.", "/a..b/c."}, {"/x/...", "/x/..."},
	    {"/%zz", "/%zz"},         {"*", "*"},
	    {"/a//../b", "/a/b"},
	};
	char buffer[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text got = path_normalise(text_of(cases[i].path), buffer, sizeof(buffer));

		if (!text_equal(got, text_of(cases[i].expected)))
			fail_msg("%s gave %.*s", cases[i].path, (int)got.len, got.at);
	}
}

/* ---- rules ---- */

struct fixture {
	struct snapshot_builder *builder;
	struct listener *listener;
	struct snapshot *snapshot;
};

static struct action fixed(unsigned status)
{
	return (struct action){.kind = ACTION_FIXED_RESPONSE, .fixed_response = {.status = status}};
}

static int set_up(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	struct load_balancer_config lb = {.arn = "arn", .resource = "app/x/1", .dns_name = "x"};

	f->builder = snapshot_builder_new(2);
	assert_non_null(f->builder);
	struct listener_config listener = {
	    .arn = "arn",
	    .load_balancer = snapshot_add_load_balancer(f->builder, &lb, NULL),
	    .addr = address("127.0.0.1", 80),
	    .addr_len = sizeof(struct sockaddr_in),
	    .default_action = fixed(404),
	};
	f->listener = snapshot_add_listener(f->builder, &listener, NULL);
	assert_non_null(f->listener);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	snapshot_builder_free(f->builder);
	snapshot_unref(f->snapshot);
	test_free(f);
	return 0;
}

static int add_rule(struct fixture *f, unsigned priority, const struct condition *conditions,
		    size_t n, struct err *err)
{
	struct rule_config rule = {.priority = priority,
				   .n_conditions = n,
				   .conditions = conditions,
				   .action = fixed(200 + priority)};

	return snapshot_add_rule(f->builder, f->listener, &rule, err);
}

static void add_simple(struct fixture *f, unsigned priority, enum condition_field field,
		       const char *value)
{
	struct condition_value values[] = {{NULL, value}};
	struct condition condition = {field, false, "X-Team", 1, values};
	struct err err = {0};

	if (add_rule(f, priority, &condition, 1, &err) < 0)
		fail_msg("%s", err.text);
}

static void finish(struct fixture *f)
{
	struct err err = {0};

	f->snapshot = snapshot_builder_finish(f->builder, &err);
	f->builder = NULL;
	if (!f->snapshot)
		fail_msg("%s", err.text);
}

static unsigned match(struct fixture *f, const struct rule_request *request)
{
	struct rule_match result;

	rules_match(f->listener->rules, request, &result);
	return result.priority;
}

static void the_lowest_priority_that_holds_wins(void **state)
{
	struct fixture *f = *state;

	add_simple(f, 30, CONDITION_PATH_PATTERN, "*");
	add_simple(f, 10, CONDITION_PATH_PATTERN, "/a/*");
	add_simple(f, 20, CONDITION_HOST_HEADER, "API.example.com");
	finish(f);
	assert_int_equal(match(f, &(struct rule_request){.path = TEXT("/a/b")}), 10);
	assert_int_equal(
	    match(f, &(struct rule_request){.path = TEXT("/b"), .host = TEXT("api.EXAMPLE.com")}),
	    20);
	assert_int_equal(match(f, &(struct rule_request){.path = TEXT("/b")}), 30);
}

static void the_default_action_is_priority_zero(void **state)
{
	struct fixture *f = *state;
	struct rule_match result;

	add_simple(f, 1, CONDITION_PATH_PATTERN, "/a");
	finish(f);
	rules_match(f->listener->rules, &(struct rule_request){.path = TEXT("/A")}, &result);
	assert_int_equal(result.priority, 0);
	assert_int_equal(result.evaluated, 1);
	assert_int_equal(result.action->fixed_response.status, 404);
}

static void all_conditions_must_hold_and_any_value_will_do(void **state)
{
	struct fixture *f = *state;
	struct condition_value paths[] = {{NULL, "/a"}, {NULL, "/b"}}, methods[] = {{NULL, "PUT"}};
	struct condition both[] = {{CONDITION_PATH_PATTERN, false, NULL, 2, paths},
				   {CONDITION_REQUEST_METHOD, false, NULL, 1, methods}};

	assert_int_equal(add_rule(f, 1, both, 2, NULL), 0);
	finish(f);
	assert_int_equal(
	    match(f, &(struct rule_request){.path = TEXT("/b"), .method = TEXT("PUT")}), 1);
	assert_int_equal(
	    match(f, &(struct rule_request){.path = TEXT("/b"), .method = TEXT("put")}), 0);
	assert_int_equal(
	    match(f, &(struct rule_request){.path = TEXT("/c"), .method = TEXT("PUT")}), 0);
}

static void repeated_headers_are_tried_one_by_one(void **state)
{
	struct fixture *f = *state;
	struct header headers[] = {{TEXT("x-team"), TEXT("red")}, {TEXT("X-TEAM"), TEXT("Blue 7")}};

	add_simple(f, 1, CONDITION_HTTP_HEADER, "blue*");
	finish(f);
	assert_int_equal(match(f, &(struct rule_request){.headers = headers, .n_headers = 2}), 1);
	assert_int_equal(match(f, &(struct rule_request){.headers = headers, .n_headers = 1}), 0);
}

static void query_pairs_match_raw_or_decoded(void **state)
{
	struct fixture *f = *state;
	struct condition_value values[] = {{"version", "v1*"}, {NULL, "a b"}};
	struct condition condition = {CONDITION_QUERY_STRING, false, NULL, 2, values};

	assert_int_equal(add_rule(f, 1, &condition, 1, NULL), 0);
	finish(f);
	assert_int_equal(match(f, &(struct rule_request){.query = TEXT("x=1&Version=V1.2")}), 1);
	assert_int_equal(match(f, &(struct rule_request){.query = TEXT("q=a%20b")}), 1);
	assert_int_equal(match(f, &(struct rule_request){.query = TEXT("version=2&v1=")}), 0);
	assert_int_equal(match(f, &(struct rule_request){.query = TEXT("")}), 0);
}

static void source_addresses_match_by_network(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	struct condition_value bad[] = {{NULL, "10.0.0.0/33"}};
	struct condition condition = {CONDITION_SOURCE_IP, false, NULL, 1, bad};

	add_simple(f, 1, CONDITION_SOURCE_IP, "10.1.128.0/17");
	assert_int_equal(add_rule(f, 2, &condition, 1, &err), -1);
	assert_non_null(strstr(err.text, "10.0.0.0/33"));
	finish(f);
	assert_int_equal(match(f, &(struct rule_request){.client = address("10.1.200.9", 1)}), 1);
	assert_int_equal(match(f, &(struct rule_request){.client = address("10.1.100.9", 1)}), 0);
}

static void a_priority_used_twice_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};

	add_simple(f, 7, CONDITION_PATH_PATTERN, "/a");
	add_simple(f, 7, CONDITION_PATH_PATTERN, "/b");
	f->snapshot = snapshot_builder_finish(f->builder, &err);
	f->builder = NULL;
	assert_null(f->snapshot);
	assert_string_equal(err.text, "listener on port 80: priority 7 is used by two rules");
}

/* ---- redirects ---- */

static void redirects_fill_in_the_keywords(void **state)
{
	struct redirect_request request = {.protocol = TEXT("HTTP"),
					   .host = TEXT("a.example"),
					   .port = TEXT("80"),
					   .path = TEXT("/x/y"),
					   .query = TEXT("q=1")};
	char out[REDIRECT_LOCATION_MAX];
	int len;

	(void)state;
	len = redirect_location(&(struct redirect){.protocol = "HTTPS", .port = "443"}, &request,
				out);
	assert_int_equal(len, 29);
	assert_memory_equal(out, "https://a.example:443/x/y?q=1", 29);
	request.query = (struct text){0};
	len = redirect_location(&(struct redirect){.host = "www.#{host}",
						   .path = "/new/#{path}",
						   .query = "h=#{host}#"},
				&request, out);
	assert_memory_equal(out, "http://www.a.example:80/new/x/y?h=a.example#", (size_t)len);
}

static void a_location_that_is_too_long_is_refused(void **state)
{
	static char path[8000];
	struct redirect_request request = {.protocol = TEXT("HTTP"), .host = TEXT("a")};
	char out[REDIRECT_LOCATION_MAX];

	(void)state;
	memset(path, 'p', sizeof(path));
	request.path = (struct text){path, sizeof(path)};
	assert_true(redirect_location(&(struct redirect){0}, &request, out) > 0);
	assert_int_equal(
	    redirect_location(&(struct redirect){.path = "/#{path}#{path}"}, &request, out), -1);
}

#define RULE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- one listener's rules in two snapshots ---- */

static struct target_group *add_group(struct snapshot_builder *builder, const char *arn)
{
	struct target_group_config config = {.arn = arn, .name = arn, .resource = arn};

	return snapshot_add_target_group(builder, &config, NULL);
}

static struct listener *add_listener(struct snapshot_builder *builder, unsigned status)
{
	struct load_balancer_config lb = {.arn = "arn", .resource = "app/x/1", .dns_name = "x"};
	struct listener_config listener = {
	    .arn = "arn",
	    .load_balancer = snapshot_add_load_balancer(builder, &lb, NULL),
	    .addr = address("127.0.0.1", 80),
	    .addr_len = sizeof(struct sockaddr_in),
	    .default_action = fixed(status),
	};

	return snapshot_add_listener(builder, &listener, NULL);
}

static void add_path(struct snapshot_builder *builder, struct listener *listener, unsigned priority,
		     const char *path, struct action action)
{
	struct condition_value value = {.value = path};
	struct condition condition = {
	    .field = CONDITION_PATH_PATTERN, .n_values = 1, .values = &value};
	struct rule_config rule = {
	    .priority = priority, .n_conditions = 1, .conditions = &condition, .action = action};

	assert_int_equal(snapshot_add_rule(builder, listener, &rule, NULL), 0);
}

static struct action forward_to(struct target_group *a, struct target_group *b)
{
	return (struct action){.kind = ACTION_FORWARD,
			       .forward = {.n_groups = 2, .groups = {{a, 1}, {b, 2}}}};
}

static const struct action *action_at(const struct listener *listener, const char *path)
{
	struct rule_request request = {.path = text_of(path)};
	struct rule_match match;

	rules_match(listener->rules, &request, &match);
	return match.action;
}

struct two_groups {
	struct target_group *a, *b;
};

static struct target_group *find_either(void *arg, const char *arn)
{
	struct two_groups *groups = arg;

	return strcmp(arn, "a") == 0 ? groups->a : strcmp(arn, "b") == 0 ? groups->b : NULL;
}

static struct snapshot *snapshot_of_two(struct listener **listener)
{
	struct snapshot_builder *builder = snapshot_builder_new(1);
	struct target_group *b = add_group(builder, "b"), *a = add_group(builder, "a");
	struct action told = fixed(200);

	*listener = add_listener(builder, 404);
	told.fixed_response.body = "kept by nobody else";
	add_path(builder, *listener, 2, "/ba", forward_to(b, a));
	add_path(builder, *listener, 1, "/ab", forward_to(a, b));
	add_path(builder, *listener, 3, "/told", told);
	return snapshot_builder_finish(builder, NULL);
}

static void rules_serve_again_with_the_groups_of_the_new_snapshot(void **state)
{
	struct listener *earlier, *listener;
	struct snapshot *first = snapshot_of_two(&earlier), *second;
	struct snapshot_builder *builder = snapshot_builder_new(1);
	struct two_groups groups = {add_group(builder, "a"), add_group(builder, "b")};
	const struct action *action;

	(void)state;
	assert_non_null(first);
	listener = add_listener(builder, 503);
	assert_int_equal(
	    snapshot_add_rules_of(builder, listener, earlier, find_either, &groups, NULL), 0);
	second = snapshot_builder_finish(builder, NULL);
	assert_non_null(second);
	assert_ptr_not_equal(action_at(earlier, "/ab")->forward.groups[0].group, groups.a);
	assert_string_equal(action_at(earlier, "/ab")->forward.groups[0].group->arn, "a");
	snapshot_unref(first);
	action = action_at(listener, "/ab");
	assert_ptr_equal(action->forward.groups[0].group, groups.a);
	assert_ptr_equal(action->forward.groups[1].group, groups.b);
	action = action_at(listener, "/ba");
	assert_ptr_equal(action->forward.groups[0].group, groups.b);
	assert_int_equal(action->forward.groups[1].weight, 2);
	assert_string_equal(action_at(listener, "/told")->fixed_response.body,
			    "kept by nobody else");
	assert_int_equal(action_at(listener, "/")->fixed_response.status, 503);
	snapshot_unref(second);
}

static void rules_do_not_serve_again_without_one_of_their_groups(void **state)
{
	struct listener *earlier, *listener;
	struct snapshot *first = snapshot_of_two(&earlier);
	struct snapshot_builder *builder = snapshot_builder_new(1);
	struct two_groups groups = {.a = add_group(builder, "a")};
	struct err err = {0};

	(void)state;
	listener = add_listener(builder, 503);
	assert_int_equal(
	    snapshot_add_rules_of(builder, listener, earlier, find_either, &groups, &err), -1);
	assert_non_null(strstr(err.text, "target group b"));
	snapshot_builder_free(builder);
	assert_false(snapshot_is_shared(first));
	snapshot_ref(first);
	assert_true(snapshot_is_shared(first));
	snapshot_unref(first);
	snapshot_unref(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wildcards_match_as_alb_says),
	    cmocka_unit_test(a_path_is_normalised_for_matching),
	    RULE_TEST(the_lowest_priority_that_holds_wins),
	    RULE_TEST(the_default_action_is_priority_zero),
	    RULE_TEST(all_conditions_must_hold_and_any_value_will_do),
	    RULE_TEST(repeated_headers_are_tried_one_by_one),
	    RULE_TEST(query_pairs_match_raw_or_decoded),
	    RULE_TEST(source_addresses_match_by_network),
	    RULE_TEST(a_priority_used_twice_is_refused),
	    cmocka_unit_test(redirects_fill_in_the_keywords),
	    cmocka_unit_test(a_location_that_is_too_long_is_refused),
	    cmocka_unit_test(rules_serve_again_with_the_groups_of_the_new_snapshot),
	    cmocka_unit_test(rules_do_not_serve_again_without_one_of_their_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
