/* lab/derive.h, lab/ready.h and lab/feed.h: their pure parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/config/config.h"
#include "common/doc/doc.h"
#include "lab/derive.h"
#include "lab/feed.h"
#include "lab/names.h"
#include "lab/ready.h"

static const struct derive ports = {
    .lb_api = "127.0.0.1:41001",
    .scaler_api = "127.0.0.1:41002",
    .lab_api = "127.0.0.1:41003",
    .aws_port = 4566,
    .state_dir = "/tmp/x",
};

static json_t *derive_text(const char *text)
{
	json_t *config = json_loads(text, 0, NULL);
	json_t *derived = derive_config(config, &ports);

	assert_non_null(derived);
	json_decref(config);
	return derived;
}

static void children_get_each_others_addresses(void **state)
{
	json_t *derived = derive_text("{\"Scaler\":{\"ElbEndpoint\":\"http://elsewhere:1\"}}");
	const json_t *lb = doc_object(derived, "Lb"), *scaler = doc_object(derived, "Scaler");

	(void)state;
	assert_string_equal(doc_str(lb, "ApiAddress", ""), "127.0.0.1:41001");
	assert_string_equal(doc_str(lb, "MetricsEndpoint", ""), "http://127.0.0.1:41002");
	assert_string_equal(doc_str(lb, "Ec2Endpoint", ""), "http://127.0.0.1:41003");
	assert_string_equal(doc_str(lb, "StateUrl", ""), "sqlite:/tmp/x/lb.db");
	assert_string_equal(doc_str(scaler, "Ec2Endpoint", ""), "http://127.0.0.1:41003");
	/* What the user said stands. */
	assert_string_equal(doc_str(scaler, "ElbEndpoint", ""), "http://elsewhere:1");
	assert_string_equal(doc_str(scaler, "SnsEndpoint", ""), "http://127.0.0.1:41003");
	json_decref(derived);
}

static void region_and_keys_are_inherited(void **state)
{
	json_t *derived =
	    derive_text("{\"Lab\":{\"Region\":\"eu-west-3\",\"Credentials\":[{\"AccessKeyId\":"
			"\"AKIA\",\"SecretAccessKey\":\"s\"}]},\"Scaler\":{\"Region\":\"x\"}}");

	(void)state;
	assert_string_equal(doc_str(doc_object(derived, "Lb"), "Region", ""), "eu-west-3");
	assert_string_equal(doc_str(doc_object(derived, "Scaler"), "Region", ""), "x");
	assert_int_equal(json_array_size(doc_array(doc_object(derived, "Scaler"), "Credentials")),
			 1);
	json_decref(derived);
}

static void what_is_derived_is_a_good_configuration(void **state)
{
	json_t *derived = derive_text("{}"), *checked, *balancer;
	struct err err = {0};

	(void)state;
	checked = config_check(derived, NULL, &err);
	if (checked == NULL)
		fail_msg("%s", err.text);
	json_decref(checked);
	balancer = json_array_get(doc_array(derived, "LoadBalancers"), 0);
	assert_string_equal(doc_str(balancer, "ListenAddress", ""), "127.0.0.1");
	assert_int_equal(json_array_size(doc_array(derived, "TargetGroups")), 3);
	json_decref(derived);
}

static void state_urls_follow_the_labs(void **state)
{
	json_t *config = json_pack("{s:{s:s}}", "Lab", "StateUrl", "sqlite:/var/lab.db");
	char url[64];

	(void)state;
	derive_state_url(config, "/tmp/x", "lab", url, sizeof(url));
	assert_string_equal(url, "sqlite:/var/lab.db");
	derive_state_url(config, "/tmp/x", "lb", url, sizeof(url));
	assert_string_equal(url, "sqlite:/var/lab.db.lb");
	derive_state_url(NULL, "/tmp/x", "scaler", url, sizeof(url));
	assert_string_equal(url, "sqlite:/tmp/x/scaler.db");
	json_decref(config);
}

static void a_group_is_ready_when_desired_instances_are_in_service(void **state)
{
	json_t *answer =
	    json_pack("{s:[{s:s, s:i, s:[{s:s, s:s}, {s:s, s:s}]}]}", "AutoScalingGroups",
		      "AutoScalingGroupName", "web", "DesiredCapacity", 2, "Instances",
		      "LifecycleState", "InService", "HealthStatus", "Healthy", "LifecycleState",
		      "Pending", "HealthStatus", "Healthy");
	char text[160];

	(void)state;
	ready_group_lacks(answer, "web", text);
	assert_string_equal(text, "instances of web in service: 1 of 2");
	ready_group_lacks(answer, "other", text);
	assert_string_equal(text, "group other");
	json_object_set_new(json_array_get(doc_array(answer, "AutoScalingGroups"), 0),
			    "DesiredCapacity", json_integer(1));
	ready_group_lacks(answer, "web", text);
	assert_string_equal(text, "");
	json_decref(answer);
}

static void targets_are_ready_when_all_are_healthy(void **state)
{
	const char *arn = "arn:aws:elasticloadbalancing:r:0:targetgroup/web/1";
	json_t *answer =
	    json_pack("{s:[{s:{s:s}}, {s:{s:s}}]}", "TargetHealthDescriptions", "TargetHealth",
		      "State", "healthy", "TargetHealth", "State", "initial");
	char text[160];

	(void)state;
	ready_targets_lack(answer, arn, 1, text);
	assert_string_equal(text, "healthy targets in web/1: 1 of 2");
	json_array_remove(doc_array(answer, "TargetHealthDescriptions"), 1);
	ready_targets_lack(answer, arn, 1, text);
	assert_string_equal(text, "");
	ready_targets_lack(answer, arn, 2, text);
	assert_string_equal(text, "healthy targets in web/1: 1 of 2");
	json_decref(answer);
}

static void cpu_is_sent_by_instance_and_once_a_group(void **state)
{
	json_t *data = json_array();

	(void)state;
	assert_int_equal(feed_add(data, "i-1", "web", 10.0, "2026-01-01T00:00:00Z"), 0);
	assert_int_equal(feed_add(data, "i-2", "web", 20.0, "2026-01-01T00:00:00Z"), 0);
	assert_int_equal(feed_add(data, "i-3", NULL, 30.0, "2026-01-01T00:00:00Z"), 0);
	assert_int_equal(json_array_size(data), 4);
	assert_int_equal(json_array_size(doc_array(json_array_get(data, 1), "Values")), 2);
	json_decref(data);
}

static void names_in_alarms_become_what_cloudwatch_calls_them(void **state)
{
	json_t *config = json_loads("{\"MetricAlarms\":[{\"Dimensions\":[{\"Name\":\"TargetGroup\","
				    "\"Value\":\"web\"},{\"Name\":\"LoadBalancer\",\"Value\":"
				    "\"other\"}]},{}]}",
				    0, NULL);
	json_t *known = json_pack("{s:{s:s}, s:{s:s}}", "TargetGroup", "web", "targetgroup/web/2e",
				  "LoadBalancer", "web", "app/web/1f");
	json_t *dimensions;

	(void)state;
	names_resolve_alarms(config, known);
	dimensions = doc_array(json_array_get(doc_array(config, "MetricAlarms"), 0), "Dimensions");
	assert_string_equal(doc_str(json_array_get(dimensions, 0), "Value", ""),
			    "targetgroup/web/2e");
	assert_string_equal(doc_str(json_array_get(dimensions, 1), "Value", ""), "other");
	names_resolve_alarms(config, NULL);
	json_decref(config);
	json_decref(known);
}

static void cpu_is_measured_right_after_each_second(void **state)
{
	(void)state;
	assert_int_equal(feed_pause_ms(7000), 1010);
	assert_int_equal(feed_pause_ms(7010), 1000);
	assert_int_equal(feed_pause_ms(7400), 610);
	assert_int_equal(feed_pause_ms(7009), 1001); /* woken a little early */
	assert_int_equal(feed_pause_ms(7990),
			 1020); /* very late: the second that is nearly over is left out */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(children_get_each_others_addresses),
	    cmocka_unit_test(region_and_keys_are_inherited),
	    cmocka_unit_test(what_is_derived_is_a_good_configuration),
	    cmocka_unit_test(state_urls_follow_the_labs),
	    cmocka_unit_test(a_group_is_ready_when_desired_instances_are_in_service),
	    cmocka_unit_test(targets_are_ready_when_all_are_healthy),
	    cmocka_unit_test(cpu_is_sent_by_instance_and_once_a_group),
	    cmocka_unit_test(cpu_is_measured_right_after_each_second),
	    cmocka_unit_test(names_in_alarms_become_what_cloudwatch_calls_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
