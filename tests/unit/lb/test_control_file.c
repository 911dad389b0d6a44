/*
 * The file applied to the store: created, modified, deleted, kept, or refused as a whole.
 */
#include "control_api.h"

#include "lb/api/rule_uses.h"
#include "lb/control/file_apply.h"

static const char *const two_groups =
    "{'TargetGroups': [{'TargetGroupName': 'a', 'Protocol': 'HTTP', 'Port': 80, 'TargetType': "
    "'ip', 'Targets': [{'Id': '10.0.0.1'}]}, {'TargetGroupName': 'b', 'Protocol': 'HTTP', "
    "'Port': 80, 'Attributes': {'deregistration_delay.timeout_seconds': '7'}}],"
    " 'LoadBalancers': [{'LoadBalancerName': 'web', 'ListenAddress': '127.0.0.1', 'Listeners': "
    "[{'Port': 8080, 'DefaultActions': [{'Type': 'forward', 'TargetGroupArn': 'a'}], 'Rules': "
    "[{'Priority': 1, 'Conditions': [{'Field': 'path-pattern', 'Values': ['/x']}], 'Actions': "
    "[{'Type': 'forward', 'TargetGroupArn': 'b'}]}]}]}]}";

static const char *const one_group =
    "{'TargetGroups': [{'TargetGroupName': 'a', 'Protocol': 'HTTP', 'Port': 81, 'TargetType': "
    "'ip', 'Targets': [{'Id': '10.0.0.2'}]}],"
    " 'LoadBalancers': [{'LoadBalancerName': 'web', 'Listeners': "
    "[{'Port': 8080, 'DefaultActions': [{'Type': 'forward', 'TargetGroupArn': 'a'}]}]}]}";

static struct file_changes last_changes;

static int apply(struct fixture *f, const char *text, struct err *err)
{
	char json[4096];
	json_t *config;
	int result;

	snprintf(json, sizeof(json), "%s", text);
	for (char *c = json; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	config = json_loads(json, 0, NULL);
	assert_non_null(config);
	result = file_apply(&f->api, &a_call, config, f->memory, &last_changes, err);
	json_decref(config);
	return result;
}

static void must_apply(struct fixture *f, const char *text)
{
	struct err err = {0};

	if (apply(f, text, &err) < 0)
		fail_msg("%s", err.text);
}

static size_t count(struct fixture *f, const char *action, const char *list)
{
	json_t *answer = call(f, action, "{}");
	size_t n = json_array_size(doc_array(answer, list));

	json_decref(answer);
	return n;
}

static char *group_arn(struct fixture *f, const char *name)
{
	return take_first(call(f, "DescribeTargetGroups", "{'Names': ['%s']}", name),
			  "TargetGroups", "TargetGroupArn");
}

static void names_in_the_file_become_arns(void **state)
{
	struct fixture *f = *state;
	char *group;
	json_t *answer;
	const json_t *balancers;

	must_apply(f, two_groups);
	group = group_arn(f, "b");
	answer = call(f, "DescribeTargetGroups", "{'Names': ['b']}");
	balancers =
	    doc_array(json_array_get(doc_array(answer, "TargetGroups"), 0), "LoadBalancerArns");
	assert_int_equal(json_array_size(balancers), 1);
	json_decref(answer);
	answer = call(f, "DescribeTargetGroupAttributes", "{'TargetGroupArn': '%s'}", group);
	assert_string_equal(
	    doc_kv_get(doc_array(answer, "Attributes"), "deregistration_delay.timeout_seconds", ""),
	    "7");
	json_decref(answer);
	free(group);
}

static void applying_twice_changes_nothing(void **state)
{
	struct fixture *f = *state;
	char *before, *after;

	must_apply(f, two_groups);
	before = group_arn(f, "a");
	must_apply(f, two_groups);
	after = group_arn(f, "a");
	assert_string_equal(before, after);
	assert_int_equal(count(f, "DescribeTargetGroups", "TargetGroups"), 2);
	free(before);
	free(after);
}

static void what_the_file_no_longer_names_goes(void **state)
{
	struct fixture *f = *state;

	must_apply(f, two_groups);
	must_apply(f, one_group);
	assert_int_equal(count(f, "DescribeTargetGroups", "TargetGroups"), 1);
	must_apply(f, "{}");
	assert_int_equal(count(f, "DescribeTargetGroups", "TargetGroups"), 0);
	assert_int_equal(count(f, "DescribeLoadBalancers", "LoadBalancers"), 0);
}

static void assert_changes(unsigned created, unsigned changed, unsigned deleted, unsigned settings)
{
	assert_int_equal(last_changes.created, created);
	assert_int_equal(last_changes.changed, changed);
	assert_int_equal(last_changes.deleted, deleted);
	assert_int_equal(last_changes.settings, settings);
}

static void what_changed_is_counted(void **state)
{
	struct fixture *f = *state;

	must_apply(f, two_groups);
	assert_changes(6, 0, 0, 2); /* two groups, lb, listener, two rules; targets, attributes */
	must_apply(f, two_groups);
	assert_changes(0, 0, 0, 0);
	must_apply(f, one_group); /* without b, its attributes and its rule; another port for a */
	assert_changes(0, 2, 2, 2);
}

static void what_the_api_made_stays(void **state)
{
	struct fixture *f = *state;

	must_apply(f, two_groups);
	json_decref(
	    call(f, "CreateTargetGroup", "{'Name': 'mine', 'Protocol': 'HTTP', 'Port': 80}"));
	json_decref(call(f, "CreateLoadBalancer", "{'Name': 'mine'}"));
	must_apply(f, "{}");
	assert_int_equal(count(f, "DescribeTargetGroups", "TargetGroups"), 1);
	assert_int_equal(count(f, "DescribeLoadBalancers", "LoadBalancers"), 1);
}

static void a_changed_group_keeps_its_arn_and_run_time_targets(void **state)
{
	struct fixture *f = *state;
	char *arn, *after;
	json_t *answer;

	must_apply(f, two_groups);
	arn = group_arn(f, "a");
	json_decref(call(f, "RegisterTargets",
			 "{'TargetGroupArn': '%s', 'Targets': [{'Id': '10.0.0.9'}]}", arn));
	must_apply(f, one_group);
	after = group_arn(f, "a");
	assert_string_equal(arn, after);
	answer = call(f, "DescribeTargetHealth",
		      "{'TargetGroupArn': '%s', 'Targets': [{'Id': '10.0.0.9', 'Port': 80}, {'Id': "
		      "'10.0.0.2', 'Port': 81}]}",
		      arn);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(
		    doc_str(
			doc_object(json_array_get(doc_array(answer, "TargetHealthDescriptions"), i),
				   "TargetHealth"),
			"State", ""),
		    "initial");
	json_decref(answer);
	answer = call(f, "DescribeTargetHealth", "{'TargetGroupArn': '%s'}", arn);
	assert_int_equal(json_array_size(doc_array(answer, "TargetHealthDescriptions")), 2);
	json_decref(answer);
	free(arn);
	free(after);
}

static void a_bad_rule_changes_nothing_and_says_where(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	json_t *answer;

	must_apply(f, one_group);
	assert_int_equal(
	    apply(f,
		  "{'LoadBalancers': [{'LoadBalancerName': 'other', 'Listeners': [{'Port': 9090, "
		  "'DefaultActions': [{'Type': 'fixed-response', 'FixedResponseConfig': "
		  "{'StatusCode': '200'}}], 'Rules': [{'Priority': 1, 'Conditions': [{'Field': "
		  "'colour', 'Values': ['red']}], 'Actions': [{'Type': 'fixed-response', "
		  "'FixedResponseConfig': {'StatusCode': '200'}}]}]}]}]}",
		  &err),
	    -1);
	assert_non_null(strstr(err.text, "LoadBalancers[0].Listeners[0].Rules[0]: "));
	answer = call(f, "DescribeLoadBalancers", "{'Names': ['web']}");
	assert_non_null(answer);
	json_decref(answer);
	assert_null(call(f, "DescribeLoadBalancers", "{'Names': ['other']}"));
}

/* ---- what the last call remembers ---- */

struct seen {
	json_t *document;
	size_t n;
};

static bool see_rule(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	struct seen *seen = arg;

	(void)key;
	(void)revision;
	if (doc_bool(rule, "IsDefault", false))
		return true;
	seen->document = (json_t *)rule;
	seen->n++;
	return true;
}

/* The one rule of two_groups, as it lies in the store. */
static const json_t *the_rule(struct fixture *f)
{
	struct seen seen = {0};

	store_scan(f->api.store, "elb/listener-rule/", see_rule, &seen);
	assert_int_equal(seen.n, 1);
	return seen.document;
}

static const char *pattern_of(const json_t *rule)
{
	const json_t *condition = json_array_get(doc_array(rule, "Conditions"), 0);

	return json_string_value(json_array_get(doc_array(condition, "Values"), 0));
}

static void a_rule_that_stays_as_it_is_is_not_written_again(void **state)
{
	struct fixture *f = *state;
	const json_t *before;

	f->memory = file_memory_new();
	must_apply(f, two_groups);
	before = the_rule(f);
	must_apply(f, two_groups);
	must_apply(f, two_groups);
	assert_ptr_equal(the_rule(f), before);
}

static void a_rule_that_the_api_changed_is_the_files_again(void **state)
{
	struct fixture *f = *state;

	f->memory = file_memory_new();
	must_apply(f, two_groups);
	json_decref(call(f, "ModifyRule",
			 "{'RuleArn': '%s', 'Conditions': [{'Field': 'path-pattern', 'Values': "
			 "['/api']}]}",
			 doc_str(the_rule(f), "RuleArn", "")));
	assert_string_equal(pattern_of(the_rule(f)), "/api");
	must_apply(f, two_groups);
	assert_string_equal(pattern_of(the_rule(f)), "/x");
}

static void a_rule_that_the_file_changed_is_changed(void **state)
{
	struct fixture *f = *state;
	char changed[2048], *at;

	f->memory = file_memory_new();
	must_apply(f, two_groups);
	snprintf(changed, sizeof(changed), "%s", two_groups);
	at = strstr(changed, "'/x'");
	at[2] = 'y';
	must_apply(f, changed);
	assert_string_equal(pattern_of(the_rule(f)), "/y");
	must_apply(f, two_groups);
	assert_string_equal(pattern_of(the_rule(f)), "/x");
}

static void a_refused_file_leaves_the_index_of_rules_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	struct rule_uses *uses;
	char changed[2048], *listener;

	f->api.uses = uses = rule_uses_new(f->api.store, &err);
	must_apply(f, two_groups);
	listener = strdup(doc_str(the_rule(f), "RuleArn", ""));
	*strrchr(listener, '/') = '\0';
	memmove(strstr(listener, ":listener-rule/") + 9, strstr(listener, "-rule/") + 5,
		strlen(strstr(listener, "-rule/") + 5) + 1);
	assert_true(rule_uses_priority(uses, listener, 1));
	snprintf(changed, sizeof(changed), "%s", two_groups);
	memcpy(strstr(changed, "'Priority': 1"), "'Priority': 2", 13);
	strcpy(strrchr(changed, ']'), ", {'LoadBalancerName': '-'}]}");
	assert_int_equal(apply(f, changed, &err), -1);
	assert_true(rule_uses_priority(uses, listener, 1));
	assert_false(rule_uses_priority(uses, listener, 2));
	free(listener);
	store_close(f->api.store);
	rule_uses_free(uses);
	f->api.uses = NULL;
	f->api.store = store_open("memory:", &err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(names_in_the_file_become_arns),
	    TEST(applying_twice_changes_nothing),
	    TEST(what_the_file_no_longer_names_goes),
	    TEST(what_changed_is_counted),
	    TEST(what_the_api_made_stays),
	    TEST(a_changed_group_keeps_its_arn_and_run_time_targets),
	    TEST(a_bad_rule_changes_nothing_and_says_where),
	    TEST(a_rule_that_stays_as_it_is_is_not_written_again),
	    TEST(a_rule_that_the_api_changed_is_the_files_again),
	    TEST(a_rule_that_the_file_changed_is_changed),
	    TEST(a_refused_file_leaves_the_index_of_rules_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
