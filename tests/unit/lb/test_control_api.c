/*
 * The ELBv2 handlers over a store: what they answer, refuse and keep.
 */
#include "control_api.h"

#define ARN_OF_NOTHING "arn:aws:elasticloadbalancing:us-east-1:000000000000:"

static char *make_balancer(struct fixture *f, const char *name)
{
	return take_first(call(f, "CreateLoadBalancer", "{'Name': '%s'}", name), "LoadBalancers",
			  "LoadBalancerArn");
}

static char *make_group(struct fixture *f, const char *name)
{
	return take_first(call(f, "CreateTargetGroup",
			       "{'Name': '%s', 'Protocol': 'HTTP', 'Port': 80, 'TargetType': 'ip'}",
			       name),
			  "TargetGroups", "TargetGroupArn");
}

static char *make_listener(struct fixture *f, const char *balancer, int port, const char *group)
{
	return take_first(call(f, "CreateListener",
			       "{'LoadBalancerArn': '%s', 'Protocol': 'HTTP', 'Port': %d, "
			       "'DefaultActions': [{'Type': 'forward', 'TargetGroupArn': '%s'}]}",
			       balancer, port, group),
			  "Listeners", "ListenerArn");
}

static json_t *make_rule(struct fixture *f, const char *listener, int priority, const char *path)
{
	return call(f, "CreateRule",
		    "{'ListenerArn': '%s', 'Priority': %d, 'Conditions': [{'Field': 'path-pattern',"
		    " 'Values': ['%s']}], 'Actions': [{'Type': 'fixed-response', "
		    "'FixedResponseConfig': {'StatusCode': '404'}}]}",
		    listener, priority, path);
}

static void create_says_provisioning_and_describe_says_active(void **state)
{
	struct fixture *f = *state;
	json_t *answer = call(f, "CreateLoadBalancer", "{'Name': 'web'}");
	const json_t *made = json_array_get(doc_array(answer, "LoadBalancers"), 0);

	assert_string_equal(doc_str(doc_object(made, "State"), "Code", ""), "provisioning");
	json_decref(answer);
	answer = call(f, "DescribeLoadBalancers", "{'Names': ['web']}");
	made = json_array_get(doc_array(answer, "LoadBalancers"), 0);
	assert_string_equal(doc_str(doc_object(made, "State"), "Code", ""), "active");
	assert_string_equal(doc_str(made, "Scheme", ""), "internet-facing");
	assert_string_equal(doc_str(made, "IpAddressType", ""), "ipv4");
	json_decref(answer);
}

static void repeated_create_answers_the_same_load_balancer(void **state)
{
	struct fixture *f = *state;
	char *first = make_balancer(f, "web"), *again = make_balancer(f, "web");

	assert_string_equal(first, again);
	assert_refused(call(f, "CreateLoadBalancer", "{'Name': 'web', 'Scheme': 'internal'}"), f,
		       "DuplicateLoadBalancerName");
	free(first);
	free(again);
}

static void unknown_load_balancer_is_not_found_by_name_and_arn(void **state)
{
	struct fixture *f = *state;

	assert_refused(call(f, "DescribeLoadBalancers", "{'Names': ['web']}"), f,
		       "LoadBalancerNotFound");
	assert_string_equal(f->error.message, "Load balancers '[web]' not found");
	assert_refused(call(f, "DescribeLoadBalancers",
			    "{'LoadBalancerArns': ['" ARN_OF_NOTHING "loadbalancer/app/web/1']}"),
		       f, "LoadBalancerNotFound");
	accept_answer(call(f, "DeleteLoadBalancer",
			   "{'LoadBalancerArn': '" ARN_OF_NOTHING "loadbalancer/app/web/1'}"));
}

static void bad_names_are_refused(void **state)
{
	static const char *const names[] = {"-web", "web-", "we_b", "internal-web",
					    "a23456789012345678901234567890123"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_refused(call(f, "CreateLoadBalancer", "{'Name': '%s'}", names[i]), f,
			       "ValidationError");
}

static void pages_end_without_a_marker(void **state)
{
	struct fixture *f = *state;
	json_t *page;
	char marker[200];

	free(make_balancer(f, "a"));
	free(make_balancer(f, "b"));
	free(make_balancer(f, "c"));
	page = call(f, "DescribeLoadBalancers", "{'PageSize': 2}");
	assert_int_equal(json_array_size(doc_array(page, "LoadBalancers")), 2);
	snprintf(marker, sizeof(marker), "%s", doc_str(page, "NextMarker", ""));
	json_decref(page);
	page = call(f, "DescribeLoadBalancers", "{'PageSize': 2, 'Marker': '%s'}", marker);
	assert_int_equal(json_array_size(doc_array(page, "LoadBalancers")), 1);
	assert_false(doc_has(page, "NextMarker"));
	json_decref(page);
	assert_refused(call(f, "DescribeLoadBalancers", "{'Marker': 'nonsense'}"), f,
		       "ValidationError");
}

static void deletion_protection_holds_a_load_balancer(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web");

	accept_answer(call(f, "ModifyLoadBalancerAttributes",
			   "{'LoadBalancerArn': '%s', 'Attributes': [{'Key': "
			   "'deletion_protection.enabled', 'Value': 'true'}]}",
			   arn));
	assert_refused(call(f, "DeleteLoadBalancer", "{'LoadBalancerArn': '%s'}", arn), f,
		       "OperationNotPermitted");
	free(arn);
}

static void deleting_a_load_balancer_takes_listeners_and_rules_along(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);

	accept_answer(make_rule(f, listener, 1, "/x"));
	accept_answer(call(f, "DeleteLoadBalancer", "{'LoadBalancerArn': '%s'}", arn));
	assert_refused(call(f, "DescribeListeners", "{'ListenerArns': ['%s']}", listener), f,
		       "ListenerNotFound");
	accept_answer(call(f, "DeleteTargetGroup", "{'TargetGroupArn': '%s'}", group));
	free(arn);
	free(group);
	free(listener);
}

static void listener_shows_both_forms_of_a_forward(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);
	json_t *answer = call(f, "DescribeListeners", "{'LoadBalancerArn': '%s'}", arn);
	const json_t *action = json_array_get(
	    doc_array(json_array_get(doc_array(answer, "Listeners"), 0), "DefaultActions"), 0);
	const json_t *tuple =
	    json_array_get(doc_array(doc_object(action, "ForwardConfig"), "TargetGroups"), 0);

	assert_string_equal(doc_str(action, "TargetGroupArn", ""), group);
	assert_string_equal(doc_str(tuple, "TargetGroupArn", ""), group);
	assert_int_equal(doc_int(tuple, "Weight", 0), 1);
	json_decref(answer);
	free(arn);
	free(group);
	free(listener);
}

static void second_listener_on_a_port_is_a_duplicate_unless_equal(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);
	char *again = make_listener(f, arn, 80, group);

	assert_string_equal(listener, again);
	assert_refused(call(f, "CreateListener",
			    "{'LoadBalancerArn': '%s', 'Protocol': 'HTTP', 'Port': 80, "
			    "'DefaultActions': [{'Type': 'fixed-response', "
			    "'FixedResponseConfig': {'StatusCode': '200'}}]}",
			    arn),
		       f, "DuplicateListener");
	free(arn);
	free(group);
	free(listener);
	free(again);
}

static void load_balancers_on_all_addresses_cannot_share_a_port(void **state)
{
	struct fixture *f = *state;
	char *a = make_balancer(f, "a"), *b = make_balancer(f, "b");
	char *ga = make_group(f, "ga"), *gb = make_group(f, "gb");
	char *listener = make_listener(f, a, 80, ga);

	assert_refused(call(f, "CreateListener",
			    "{'LoadBalancerArn': '%s', 'Protocol': 'HTTP', 'Port': 80, "
			    "'DefaultActions': [{'Type': 'forward', 'TargetGroupArn': '%s'}]}",
			    b, gb),
		       f, "InvalidConfigurationRequest");
	free(a);
	free(b);
	free(ga);
	free(gb);
	free(listener);
}

static void what_is_not_supported_yet_says_so(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");

	assert_refused(call(f, "CreateListener",
			    "{'LoadBalancerArn': '%s', 'Protocol': 'HTTPS', 'Port': 443, "
			    "'DefaultActions': [{'Type': 'forward', 'TargetGroupArn': '%s'}]}",
			    arn, group),
		       f, "UnsupportedProtocol");
	assert_refused(call(f, "CreateTargetGroup", "{'Name': 'l', 'TargetType': 'lambda'}"), f,
		       "InvalidConfigurationRequest");
	assert_refused(call(f, "CreateTargetGroup",
			    "{'Name': 'h', 'Protocol': 'HTTP', 'Port': 80, 'ProtocolVersion': "
			    "'GRPC'}"),
		       f, "InvalidConfigurationRequest");
	free(arn);
	free(group);
}

static void group_serves_only_one_load_balancer(void **state)
{
	struct fixture *f = *state;
	char *a = make_balancer(f, "a"), *b = make_balancer(f, "b"), *group = make_group(f, "g");
	char *listener = make_listener(f, a, 80, group);

	assert_refused(call(f, "CreateListener",
			    "{'LoadBalancerArn': '%s', 'Protocol': 'HTTP', 'Port': 81, "
			    "'DefaultActions': [{'Type': 'forward', 'TargetGroupArn': '%s'}]}",
			    b, group),
		       f, "TargetGroupAssociationLimit");
	free(a);
	free(b);
	free(group);
	free(listener);
}

static void group_in_use_cannot_be_deleted(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);

	assert_refused(call(f, "DeleteTargetGroup", "{'TargetGroupArn': '%s'}", group), f,
		       "ResourceInUse");
	accept_answer(call(f, "DeleteListener", "{'ListenerArn': '%s'}", listener));
	accept_answer(call(f, "DeleteTargetGroup", "{'TargetGroupArn': '%s'}", group));
	free(arn);
	free(group);
	free(listener);
}

static void group_has_every_default(void **state)
{
	struct fixture *f = *state;
	json_t *answer =
	    call(f, "CreateTargetGroup", "{'Name': 'g', 'Protocol': 'HTTP', 'Port': 80}");
	const json_t *group = json_array_get(doc_array(answer, "TargetGroups"), 0);

	assert_string_equal(doc_str(group, "TargetType", ""), "instance");
	assert_string_equal(doc_str(group, "HealthCheckPort", ""), "traffic-port");
	assert_int_equal(doc_int(group, "HealthCheckIntervalSeconds", 0), 30);
	assert_int_equal(doc_int(group, "HealthCheckTimeoutSeconds", 0), 5);
	assert_int_equal(doc_int(group, "HealthyThresholdCount", 0), 5);
	assert_int_equal(doc_int(group, "UnhealthyThresholdCount", 0), 2);
	assert_string_equal(doc_str(doc_object(group, "Matcher"), "HttpCode", ""), "200");
	assert_string_equal(doc_str(group, "ProtocolVersion", ""), "HTTP1");
	assert_non_null(doc_array(group, "LoadBalancerArns"));
	json_decref(answer);
}

static void matcher_takes_codes_lists_and_ranges_from_200_to_499(void **state)
{
	static const char *const good[] = {"200", "200,202", "200-299", "200,300-399", "499"};
	static const char *const bad[] = {"", "20", "500", "200-", "200-100", "200,", "x", "200 "};
	struct fixture *f = *state;
	char *group = make_group(f, "g");
	const char *const format = "{'TargetGroupArn': '%s', 'Matcher': {'HttpCode': '%s'}}";

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		accept_answer(call(f, "ModifyTargetGroup", format, group, good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(call(f, "ModifyTargetGroup", format, group, bad[i]), f,
			       "ValidationError");
	free(group);
}

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

/* alb.md 5.4: protocol, host, port or path must change; the query does not count. */
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

/* alb.md 5.4. */
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

/* alb.md 3.7. */
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

static void targets_are_registered_once_with_the_group_s_port(void **state)
{
	struct fixture *f = *state;
	char *group = make_group(f, "g");
	json_t *answer;

	accept_answer(call(f, "RegisterTargets",
			   "{'TargetGroupArn': '%s', 'Targets': [{'Id': '10.0.0.1'}, {'Id': "
			   "'10.0.0.1', 'Port': 81}]}",
			   group));
	accept_answer(call(f, "RegisterTargets",
			   "{'TargetGroupArn': '%s', 'Targets': [{'Id': '10.0.0.1', 'Port': 80}]}",
			   group));
	answer = call(f, "DescribeTargetHealth", "{'TargetGroupArn': '%s'}", group);
	assert_int_equal(json_array_size(doc_array(answer, "TargetHealthDescriptions")), 2);
	json_decref(answer);
	assert_refused(call(f, "RegisterTargets",
			    "{'TargetGroupArn': '%s', 'Targets': [{'Id': '10.0.0.2'}, {'Id': "
			    "'nowhere'}]}",
			    group),
		       f, "ValidationError");
	answer = call(f, "DescribeTargetHealth", "{'TargetGroupArn': '%s'}", group);
	assert_int_equal(json_array_size(doc_array(answer, "TargetHealthDescriptions")), 2);
	json_decref(answer);
	free(group);
}

static void asking_for_an_unregistered_target_says_so(void **state)
{
	struct fixture *f = *state;
	char *group = make_group(f, "g");
	json_t *answer = call(f, "DescribeTargetHealth",
			      "{'TargetGroupArn': '%s', 'Targets': [{'Id': '10.0.0.9'}]}", group);
	const json_t *health = doc_object(
	    json_array_get(doc_array(answer, "TargetHealthDescriptions"), 0), "TargetHealth");

	assert_string_equal(doc_str(health, "State", ""), "unused");
	assert_string_equal(doc_str(health, "Reason", ""), "Target.NotRegistered");
	json_decref(answer);
	accept_answer(call(f, "DeregisterTargets",
			   "{'TargetGroupArn': '%s', 'Targets': [{'Id': '10.0.0.9'}]}", group));
	free(group);
}

static void tags_are_added_listed_and_removed(void **state)
{
	struct fixture *f = *state;
	char *group = make_group(f, "g");
	json_t *answer;

	accept_answer(call(f, "AddTags",
			   "{'ResourceArns': ['%s'], 'Tags': [{'Key': 'a', 'Value': '1'}, {'Key': "
			   "'b', 'Value': '2'}]}",
			   group));
	accept_answer(call(f, "RemoveTags", "{'ResourceArns': ['%s'], 'TagKeys': ['a']}", group));
	answer = call(f, "DescribeTags", "{'ResourceArns': ['%s']}", group);
	assert_string_equal(
	    doc_kv_get(doc_array(json_array_get(doc_array(answer, "TagDescriptions"), 0), "Tags"),
		       "b", ""),
	    "2");
	assert_int_equal(json_array_size(doc_array(
			     json_array_get(doc_array(answer, "TagDescriptions"), 0), "Tags")),
			 1);
	json_decref(answer);
	assert_refused(call(f, "AddTags",
			    "{'ResourceArns': ['%s'], 'Tags': [{'Key': 'a'}, {'Key': 'a'}]}",
			    group),
		       f, "DuplicateTagKeys");
	assert_refused(
	    call(f, "DescribeTags", "{'ResourceArns': ['" ARN_OF_NOTHING "targetgroup/x/1']}"), f,
	    "TargetGroupNotFound");
	free(group);
}

static void attributes_list_every_key_and_refuse_unknown_ones(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web");
	json_t *answer =
	    call(f, "DescribeLoadBalancerAttributes", "{'LoadBalancerArn': '%s'}", arn);

	assert_string_equal(
	    doc_kv_get(doc_array(answer, "Attributes"), "idle_timeout.timeout_seconds", ""), "60");
	assert_int_equal(json_array_size(doc_array(answer, "Attributes")), 24);
	json_decref(answer);
	assert_refused(call(f, "ModifyLoadBalancerAttributes",
			    "{'LoadBalancerArn': '%s', 'Attributes': [{'Key': "
			    "'idle_timeout.timeout_seconds', 'Value': '30'}, {'Key': 'no.such', "
			    "'Value': 'x'}]}",
			    arn),
		       f, "ValidationError");
	answer = call(f, "DescribeLoadBalancerAttributes", "{'LoadBalancerArn': '%s'}", arn);
	assert_string_equal(
	    doc_kv_get(doc_array(answer, "Attributes"), "idle_timeout.timeout_seconds", ""), "60");
	json_decref(answer);
	free(arn);
}

static void what_terraform_sets_and_reads_is_there(void **state)
{
	struct fixture *f = *state;
	char *arn = make_balancer(f, "web"), *group = make_group(f, "g");
	char *listener = make_listener(f, arn, 80, group);
	json_t *answer;

	accept_answer(call(
	    f, "SetSecurityGroups",
	    "{'LoadBalancerArn': '%s', 'SecurityGroups': ['sg-00000001', 'sg-00000002']}", arn));
	accept_answer(call(f, "SetSubnets",
			   "{'LoadBalancerArn': '%s', 'Subnets': ['subnet-00000001']}", arn));
	answer = call(f, "DescribeLoadBalancers", "{}");
	assert_true(doc_list_has(
	    doc_array(json_array_get(doc_array(answer, "LoadBalancers"), 0), "SecurityGroups"),
	    "sg-00000002"));
	json_decref(answer);
	accept_answer(call(f, "DescribeCapacityReservation", "{'LoadBalancerArn': '%s'}", arn));
	answer = call(f, "DescribeListenerAttributes", "{'ListenerArn': '%s'}", listener);
	assert_string_equal(
	    doc_kv_get(doc_array(answer, "Attributes"), "routing.http.response.server.enabled", ""),
	    "true");
	json_decref(answer);
	assert_refused(call(f, "SetSubnets", "{'LoadBalancerArn': '%s'}", arn), f,
		       "ValidationError");
	free(arn);
	free(group);
	free(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(create_says_provisioning_and_describe_says_active),
	    TEST(repeated_create_answers_the_same_load_balancer),
	    TEST(unknown_load_balancer_is_not_found_by_name_and_arn),
	    TEST(bad_names_are_refused),
	    TEST(pages_end_without_a_marker),
	    TEST(deletion_protection_holds_a_load_balancer),
	    TEST(deleting_a_load_balancer_takes_listeners_and_rules_along),
	    TEST(listener_shows_both_forms_of_a_forward),
	    TEST(second_listener_on_a_port_is_a_duplicate_unless_equal),
	    TEST(load_balancers_on_all_addresses_cannot_share_a_port),
	    TEST(what_is_not_supported_yet_says_so),
	    TEST(group_serves_only_one_load_balancer),
	    TEST(group_in_use_cannot_be_deleted),
	    TEST(group_has_every_default),
	    TEST(matcher_takes_codes_lists_and_ranges_from_200_to_499),
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
	    TEST(targets_are_registered_once_with_the_group_s_port),
	    TEST(asking_for_an_unregistered_target_says_so),
	    TEST(tags_are_added_listed_and_removed),
	    TEST(attributes_list_every_key_and_refuse_unknown_ones),
	    TEST(what_terraform_sets_and_reads_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
