/* lb/api: what rules use is known without reading them all; transforms are brought into form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/doc/doc.h"
#include "lb/api/rule_parts.h"
#include "lb/api/rule_uses.h"

#define PART "arn:aws:elasticloadbalancing:us-east-1:000000000000:"
#define GROUP PART "targetgroup/web/1"
#define OTHER PART "targetgroup/other/2"

static void put(struct store *store, const char *key, const char *priority, const char *group,
		const char *second)
{
	json_t *rule = json_pack("{s:s+,s:s,s:[{s:s,s:{s:[{s:s},{s:s}]}}]}", "RuleArn",
				 PART "listener-rule/app/lb/1/2/", priority, "Priority", priority,
				 "Actions", "Type", "forward", "ForwardConfig", "TargetGroups",
				 "TargetGroupArn", group, "TargetGroupArn", second);

	assert_non_null(rule);
	assert_int_equal(store_put_one(store, key, rule, NULL), STORE_OK);
}

static size_t n_users(const struct rule_uses *uses, const char *group)
{
	json_t *list = rule_uses_load_balancers(uses, group);
	size_t n = json_array_size(list);

	if (n > 0)
		assert_string_equal(json_string_value(json_array_get(list, 0)),
				    PART "loadbalancer/app/lb/1");
	json_decref(list);
	return n;
}

static void uses_follow_what_the_store_says(void **state)
{
	const char *listener = PART "listener/app/lb/1/2";
	struct store *store = store_open("memory:", NULL);
	struct rule_uses *uses;

	(void)state;
	put(store, "elb/listener-rule/app/lb/1/2/a", "7", GROUP, GROUP);
	uses = rule_uses_new(store, NULL);
	assert_true(rule_uses_are_complete(uses));
	assert_true(rule_uses_priority(uses, listener, 7));
	assert_false(rule_uses_priority(uses, listener, 8));
	assert_false(rule_uses_priority(uses, PART "listener/app/lb/1/3", 7));
	assert_int_equal(n_users(uses, GROUP), 1);
	assert_int_equal(n_users(uses, OTHER), 0);
	put(store, "elb/listener-rule/app/lb/1/2/b", "8", GROUP, OTHER);
	put(store, "elb/listener-rule/app/lb/1/2/a", "9", OTHER, OTHER);
	assert_false(rule_uses_priority(uses, listener, 7));
	assert_true(rule_uses_priority(uses, listener, 9));
	assert_int_equal(n_users(uses, GROUP), 1);
	assert_int_equal(store_delete_one(store, "elb/listener-rule/app/lb/1/2/b", NULL), STORE_OK);
	assert_int_equal(n_users(uses, GROUP), 0);
	assert_int_equal(n_users(uses, OTHER), 1);
	store_close(store);
	rule_uses_free(uses);
}

static void a_rule_has_one_transform_of_a_kind(void **state)
{
	json_t *one = json_pack("{s:s,s:{s:[{s:s,s:s}]}}", "Type", "url-rewrite",
				"UrlRewriteConfig", "Rewrites", "Regex", "^/a", "Replace", "/b");
	json_t *list = json_pack("[O]", one);
	struct aws_error error = {0};
	json_t *done = rule_transforms_complete(list, &error);

	(void)state;
	assert_true(json_equal(done, list));
	json_decref(done);
	json_array_append(list, one);
	assert_null(rule_transforms_complete(list, &error));
	assert_string_equal(error.message, "A rule can only have one 'url-rewrite' transform");
	json_decref(list);
	json_object_set_new(one, "Type", json_string("host-header-rewrite"));
	list = json_pack("[o]", one);
	assert_null(rule_transforms_complete(list, &error));
	json_decref(list);
	done = rule_transforms_complete(NULL, &error);
	assert_int_equal(json_array_size(done), 0);
	json_decref(done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(uses_follow_what_the_store_says),
	    cmocka_unit_test(a_rule_has_one_transform_of_a_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
