/*
 * The ELBv2 handlers over a store: rules, their priorities and conditions, and what actions may
 * say.
 */
#include "control_api.h"

static void priority_is_used_once(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);

	accept_answer(make_rule(f, listener, 10, "/a"));
	assert_refused(make_rule(f, listener, 10, "/b"), f, "PriorityInUse");
	free(arn);
	free(group);
	free(listener);
}

static void rules_come_in_order_with_the_default_last(void **state)
{
	static const char *const expected[] = {"5", "100", "2000", "default"};
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);
	json_t *answer;
	const json_t *rule;
	size_t i;

	accept_answer(make_rule(f, listener, 2000, "/a"));
	accept_answer(make_rule(f, listener, 5, "/b"));
	accept_answer(make_rule(f, listener, 100, "/c"));
	answer = call(f, "DescribeRules", "{'ListenerArn': '%s'}", listener);
	assert_int_equal(json_array_size(doc_array(answer, "Rules")), 4);
	json_array_foreach (doc_array(answer, "Rules"), i, rule)
		assert_string_equal(doc_str(rule, "Priority", ""), expected[i]);
	json_decref(answer);
	free(arn);
	free(group);
	free(listener);
}

static void conditions_return_both_spellings(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);
	json_t *answer = make_rule(f, listener, 1, "/img/*");
	const json_t *rule = json_array_get(doc_array(answer, "Rules"), 0);
	const json_t *condition = json_array_get(doc_array(rule, "Conditions"), 0);

	assert_true(doc_list_has(doc_array(condition, "Values"), "/img/*"));
	assert_true(doc_list_has(doc_array(doc_object(condition, "PathPatternConfig"), "Values"),
				 "/img/*"));
	json_decref(answer);
	free(arn);
	free(group);
	free(listener);
}

static void two_rules_swap_priorities_in_one_call(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);
	char *a = take_first(make_rule(f, listener, 1, "/a"), "Rules", "RuleArn");
	char *b = take_first(make_rule(f, listener, 2, "/b"), "Rules", "RuleArn");

	accept_answer(call(f, "SetRulePriorities",
			   "{'RulePriorities': [{'RuleArn': '%s', 'Priority': 2}, "
			   "{'RuleArn': '%s', 'Priority': 1}]}",
			   a, b));
	assert_refused(call(f, "SetRulePriorities",
			    "{'RulePriorities': [{'RuleArn': '%s', 'Priority': 1}]}", a),
		       f, "PriorityInUse");
	free(arn);
	free(group);
	free(listener);
	free(a);
	free(b);
}

static void default_rule_is_not_to_be_changed(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);
	char *rule = take_first(call(f, "DescribeRules", "{'ListenerArn': '%s'}", listener),
				"Rules", "RuleArn");

	assert_refused(call(f, "DeleteRule", "{'RuleArn': '%s'}", rule), f,
		       "OperationNotPermitted");
	free(arn);
	free(group);
	free(listener);
	free(rule);
}

static json_t *redirect_at(struct fixture *f, const char *balancer, int port, const char *config)
{
	return call(f, "CreateListener",
		    "{'LoadBalancerArn': '%s', 'Protocol': 'HTTP', 'Port': %d, "
		    "'DefaultActions': [{'Type': 'redirect', 'RedirectConfig': "
		    "{'StatusCode': 'HTTP_301'%s}}]}",
		    balancer, port, config);
}

/* Protocol, host, port or path must change; the query does not count. */
static void c14_7_redirect_to_itself_is_a_loop(void **state)
{
	static const char *const loops[] = {
	    "",
	    ", 'Protocol': '#{protocol}', 'Host': '#{host}', 'Port': '#{port}', 'Path': '/#{path}'",
	    ", 'Query': 'again=1&#{query}'",
	    ", 'Protocol': 'HTTP'",
	    ", 'Port': '80'",
	    ", 'Protocol': 'HTTP', 'Port': '80', 'Query': ''",
	};
	static const char *const ways_out[] = {
	    ", 'Protocol': 'HTTPS'",    ", 'Port': '8080'",     ", 'Host': 'www.#{host}'",
	    ", 'Path': '/new/#{path}'", ", 'Path': '/#{host}'",
	};
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web");

	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		assert_refused(redirect_at(f, arn, 80, loops[i]), f, "InvalidLoadBalancerAction");
	for (size_t i = 0; i < sizeof(ways_out) / sizeof(ways_out[0]); i++)
		free(take_first(redirect_at(f, arn, 1000 + (int)i, ways_out[i]), "Listeners",
				"ListenerArn"));
	free(arn);
}

static void redirect_has_only_the_keywords_of_each_part(void **state)
{
	static const char *const bad[] = {
	    ", 'Host': '#{path}.example'",
	    ", 'Host': '#{port}'",
	    ", 'Path': '/#{query}'",
	    ", 'Path': '/#{protocol}/a'",
	    ", 'Path': 'a'",
	    ", 'Query': '#{fragment}'",
	    ", 'Query': '?a'",
	    ", 'Query': 'a b'",
	    ", 'Path': '/a\\r\\nX: y'",
	    ", 'Host': 'a.example\\u0001'",
	    ", 'Host': '#{hos'",
	    ", 'Port': '+80'",
	    ", 'Port': '65536'",
	    ", 'Port': '#{port}#{port}'",
	};
	static const char *const good[] = {
	    ", 'Host': 'a.#{host}', 'Path': '/#{port}/#{host}/#{path}'",
	    ", 'Path': '/a', 'Query': '#{protocol}#{host}#{port}#{path}#{query}&#'",
	};
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web");

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(redirect_at(f, arn, 80, bad[i]), f, "ValidationError");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		free(take_first(redirect_at(f, arn, 1000 + (int)i, good[i]), "Listeners",
				"ListenerArn"));
	free(arn);
}

static void redirect_becomes_a_loop_when_its_listener_moves(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);

	json_decref(call(f, "CreateRule",
			 "{'ListenerArn': '%s', 'Priority': 1, 'Conditions': [{'Field': "
			 "'path-pattern', 'Values': ['/a']}], 'Actions': [{'Type': 'redirect', "
			 "'RedirectConfig': {'StatusCode': 'HTTP_301', 'Port': '8080'}}]}",
			 listener));
	assert_refused(call(f, "ModifyListener", "{'ListenerArn': '%s', 'Port': 8080}", listener),
		       f, "InvalidLoadBalancerAction");
	free(take_first(call(f, "ModifyListener", "{'ListenerArn': '%s', 'Port': 81}", listener),
			"Listeners", "ListenerArn"));
	free(listener);
	free(group);
	free(arn);
}

static json_t *make_sticky(struct fixture *f, const char *group, const char *more)
{
	return call(
	    f, "ModifyTargetGroupAttributes",
	    "{'TargetGroupArn': '%s', 'Attributes': [{'Key': 'stickiness.enabled', 'Value': "
	    "'true'}%s]}",
	    group, more);
}

static json_t *weigh(struct fixture *f, const char *balancer, const char *const groups[2], int port,
		     const char *stickiness)
{
	return call(f, "CreateListener",
		    "{'LoadBalancerArn': '%s', 'Protocol': 'HTTP', 'Port': %d, 'DefaultActions': "
		    "[{'Type': 'forward', 'ForwardConfig': {'TargetGroups': [{'TargetGroupArn': "
		    "'%s'}, {'TargetGroupArn': '%s'}]%s}}]}",
		    balancer, port, groups[0], groups[1], stickiness);
}

static void weighted_groups_with_sticky_targets_need_group_stickiness(void **state)
{
	static const char on[] =
	    ", 'TargetGroupStickinessConfig': {'Enabled': true, 'DurationSeconds': 60}";
	static const char app[] = ", {'Key': 'stickiness.type', 'Value': 'app_cookie'}, {'Key': "
				  "'stickiness.app_cookie.cookie_name', 'Value': 'session'}";
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *blue = make_group(f, "blue");
	char *green = make_group(f, "green"), *grey = make_group(f, "grey");
	const char *plain[2] = {blue, grey}, *sticky[2] = {blue, green};

	json_decref(make_sticky(f, green, ""));
	assert_refused(weigh(f, arn, sticky, 80, ""), f, "InvalidConfigurationRequest");
	free(take_first(weigh(f, arn, sticky, 80, on), "Listeners", "ListenerArn"));
	free(take_first(weigh(f, arn, plain, 81, ""), "Listeners", "ListenerArn"));
	assert_refused(make_sticky(f, grey, ""), f, "InvalidConfigurationRequest");
	assert_refused(make_sticky(f, blue, app), f, "InvalidConfigurationRequest");
	free(make_listener(f, arn, 82, green)); /* alone it needs none */
	free(arn);
	free(blue);
	free(green);
	free(grey);
}

static void c14_6_conditions_are_held_to_their_limits(void **state)
{
	static const char *const bad[] = {
	    "{'Field': 'path-pattern', 'Values': ['/a b']}",
	    "{'Field': 'path-pattern', 'Values': ['']}",
	    "{'Field': 'path-pattern', 'Values': []}",
	    "{'Field': 'path-pattern', 'Values': ['/1','/2','/3','/4','/5','/6']}",
	    "{'Field': 'path-pattern', 'Values': ['*?*?*?*']}",
	    "{'Field': 'host-header', 'Values': ['nodot']}",
	    "{'Field': 'http-header', 'HttpHeaderConfig': {'HttpHeaderName': 'Host', "
	    "'Values': ['x']}}",
	    "{'Field': 'source-ip', 'SourceIpConfig': {'Values': ['10.0.0.0/33']}}",
	    "{'Field': 'source-ip', 'SourceIpConfig': {'Values': ['255.255.255.255/32']}}",
	    "{'Field': 'http-request-method', 'HttpRequestMethodConfig': {'Values': ['get']}}",
	    "{'Field': 'colour', 'Values': ['red']}",
	};
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(call(f, "CreateRule",
				    "{'ListenerArn': '%s', 'Priority': 1, 'Conditions': [%s], "
				    "'Actions': [{'Type': 'forward', 'TargetGroupArn': '%s'}]}",
				    listener, bad[i], group),
			       f, "ValidationError");
	free(arn);
	free(group);
	free(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(priority_is_used_once),
	    TEST(rules_come_in_order_with_the_default_last),
	    TEST(conditions_return_both_spellings),
	    TEST(two_rules_swap_priorities_in_one_call),
	    TEST(default_rule_is_not_to_be_changed),
	    TEST(c14_7_redirect_to_itself_is_a_loop),
	    TEST(redirect_has_only_the_keywords_of_each_part),
	    TEST(redirect_becomes_a_loop_when_its_listener_moves),
	    TEST(weighted_groups_with_sticky_targets_need_group_stickiness),
	    TEST(c14_6_conditions_are_held_to_their_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
