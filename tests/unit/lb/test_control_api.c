/*
 * The ELBv2 handlers over a store: what they answer, refuse and keep (rules:
 * test_control_api_rules.c).
 */
#include "control_api.h"

#define ARN_OF_NOTHING "arn:aws:elasticloadbalancing:us-east-1:000000000000:"

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
	    TEST(targets_are_registered_once_with_the_group_s_port),
	    TEST(asking_for_an_unregistered_target_says_so),
	    TEST(tags_are_added_listed_and_removed),
	    TEST(attributes_list_every_key_and_refuse_unknown_ones),
	    TEST(what_terraform_sets_and_reads_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
