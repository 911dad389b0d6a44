/* common/aws/shapes: the embedded tables, and checking documents against them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/aws/shape_walk.h"
#include "common/aws/shapes.h"

static const struct shape *config_shape(void)
{
	struct err err = {0};
	const struct aws_model *model = aws_model("config", &err);

	if (!model)
		fail_msg("%s", err.text);
	return aws_shape_find(model, "Config");
}

/* Checks text (with ' for ") as a configuration and expects the complaint; NULL = none. */
static void expect(const char *text, const char *complaint)
{
	char *json = strdup(text);
	struct err err = {0};
	json_error_t why;
	json_t *value;
	int rc;

	for (char *c = json; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	value = json_loads(json, JSON_DECODE_ANY, &why);
	assert_non_null(value);
	rc = shape_check(value, config_shape(), "", true, &err);
	assert_string_equal(err.text, complaint ? complaint : "");
	assert_int_equal(rc, complaint ? -1 : 0);
	json_decref(value);
	free(json);
}

static void every_table_loads(void **state)
{
	static const char *const services[] = {
	    "elasticloadbalancing", "autoscaling", "monitoring", "ec2", "sts", "config"};

	(void)state;
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		struct err err = {0};
		const struct aws_model *model = aws_model(services[i], &err);

		if (!model)
			fail_msg("%s", err.text);
		for (size_t k = 0; model && k < model->n_operations; k++)
			assert_non_null(model->operations[k].input);
	}
}

static void an_unknown_service_is_an_error(void **state)
{
	struct err err = {0};

	(void)state;
	assert_null(aws_model("s3", &err));
	assert_string_equal(err.text, "no AWS service \"s3\" is known");
}

static void members_carry_their_names_on_the_wire(void **state)
{
	const struct aws_model *ec2 = aws_model("ec2", NULL);
	const struct aws_operation *run = aws_operation_find(ec2, "RunInstances");
	const struct shape_member *groups = shape_member_find(run->input, "SecurityGroupIds");
	const struct shape_member *instances = shape_member_find(run->output, "Instances");

	(void)state;
	assert_string_equal(groups->query_name, "SecurityGroupId");
	assert_string_equal(instances->xml_name, "instancesSet");
	assert_string_equal(instances->shape->element.xml_name, "item");
	assert_string_equal(shape_member_find(run->input, "ClientToken")->query_name,
			    "ClientToken");
	assert_true(shape_member_find(run->input, "MinCount")->is_required);
}

static void recursive_shapes_refer_to_themselves(void **state)
{
	const struct aws_model *elb = aws_model("elasticloadbalancing", NULL);
	const struct shape *period = aws_shape_find(aws_model("monitoring", NULL), "Period");

	(void)state;
	assert_non_null(aws_shape_find(elb, "Action"));
	assert_true(period->has_min);
	assert_true(period->min == 1);
}

static void an_error_is_found_by_exception_and_by_code(void **state)
{
	const struct aws_model *elb = aws_model("elasticloadbalancing", NULL);
	const struct aws_error_shape *error = aws_error_find(elb, "LoadBalancerNotFoundException");

	(void)state;
	assert_string_equal(error->code, "LoadBalancerNotFound");
	assert_int_equal(error->http_status, 400);
	assert_ptr_equal(aws_error_find(elb, "LoadBalancerNotFound"), error);
	assert_null(aws_error_find(elb, "Nonsense"));
}

static void a_good_configuration_passes(void **state)
{
	(void)state;
	expect("{}", NULL);
	expect("{'LoadBalancers':[{'Name':'web','Attributes':{'idle_timeout.timeout_seconds':30},"
	       "'ListenAddress':'127.0.0.1','Listeners':[{'Protocol':'HTTP','Port':8080,"
	       "'DefaultActions':[{'Type':'forward','TargetGroupArn':'web'}],'Rules':[{"
	       "'Priority':1,'Conditions':[{'Field':'path-pattern','PathPatternConfig':"
	       "{'Values':['/a*']}}],'Actions':[{'Type':'fixed-response',"
	       "'FixedResponseConfig':{'StatusCode':404}}]}]}]}],"
	       "'TargetGroups':[{'TargetGroupName':'web','Port':'80','Matcher':{'HttpCode':200},"
	       "'HealthCheckIntervalSeconds':1,'Targets':[{'Id':'127.0.0.1','Port':9000}]}],"
	       "'LaunchTemplates':[{'LaunchTemplateName':'lt-web','LaunchTemplateData':"
	       "{'InstanceType':'t3.micro','UserDataFile':'web.sh'}}],"
	       "'AutoScalingGroups':[{'AutoScalingGroupName':'web','MinSize':1,'MaxSize':3,"
	       "'TargetGroupARNs':['web'],'LaunchTemplate':{'LaunchTemplateName':'lt-web'}}],"
	       "'Lb':{'Workers':2,'ApiAddress':'127.0.0.1:0','StateUrl':'memory:',"
	       "'AccountId':'000000000000'},'Lab':{'Runtime':'process'}}",
	       NULL);
}

static void a_port_out_of_range_is_named_by_its_path(void **state)
{
	(void)state;
	expect("{'LoadBalancers':[{'Name':'a','Listeners':[{'Port':70000,"
	       "'DefaultActions':[]}]}]}",
	       "LoadBalancers[0].Listeners[0].Port: 70000 is not in 1..65535");
}

static void an_unknown_member_suggests_the_likeliest(void **state)
{
	(void)state;
	expect("{'LoadBalancer':[]}", "LoadBalancer: no such member (did you mean LoadBalancers?)");
	expect("{'Lb':{'Worker':1}}", "Lb.Worker: no such member (did you mean Workers?)");
}

static void a_missing_member_is_named(void **state)
{
	(void)state;
	expect("{'AutoScalingGroups':[{'AutoScalingGroupName':'a','MinSize':1}]}",
	       "AutoScalingGroups[0].MaxSize: required, but missing");
}

static void wrong_types_enums_patterns_and_lengths_are_told(void **state)
{
	(void)state;
	expect("{'Lb':{'Workers':'many'}}", "Lb.Workers: \"many\" is not a whole number");
	expect("{'Lab':{'Runtime':'proces'}}",
	       "Lab.Runtime: \"proces\" is none of process, namespace (did you mean process?)");
	expect("{'Lb':{'AccountId':'12'}}", "Lb.AccountId: \"12\" does not match [0-9]{12}");
	expect("{'Lb':{'AccountId':'123456789012\\n'}}",
	       "Lb.AccountId: \"123456789012\\n\" does not match [0-9]{12}");
	expect("{'TargetGroups':{}}", "TargetGroups: {} is not a list");
	expect("{'Lb':{'Credentials':[{'AccessKeyId':'','SecretAccessKey':'x'}]}}",
	       "Lb.Credentials[0].AccessKeyId: \"\" is not of 3..128 characters");
	expect("{'ScheduledActions':[{'AutoScalingGroupName':'a','ScheduledActionName':'b',"
	       "'StartTime':'tomorrow'}]}",
	       "ScheduledActions[0].StartTime: \"tomorrow\" is not a time such as "
	       "2026-12-01T09:00:00Z");
}

static void coercing_gives_each_scalar_its_own_type(void **state)
{
	json_t *in =
	    json_pack("{s:[{s:s,s:s,s:{s:i},s:{s:b,s:f}}]}", "TargetGroups", "Name", "web", "Port",
		      "80", "Matcher", "HttpCode", 200, "Attributes", "a.b", 1, "c", 0.1);
	json_t *out = shape_coerce(in, config_shape());
	char *text = json_dumps(out, JSON_COMPACT | JSON_SORT_KEYS);

	(void)state;
	assert_string_equal(text,
			    "{\"TargetGroups\":[{\"Attributes\":{\"a.b\":\"true\",\"c\":\"0.1\"},"
			    "\"Matcher\":{\"HttpCode\":\"200\"},\"Name\":\"web\","
			    "\"Port\":80}]}");
	free(text);
	json_decref(in);
	json_decref(out);
}

static void doubles_are_written_short_and_plain(void **state)
{
	static const struct {
		double number;
		const char *text;
	} cases[] = {{50, "50.0"},
		     {0.1, "0.1"},
		     {-1.5, "-1.5"},
		     {1e-7, "0.0000001"},
		     {1e21, "1000000000000000000000.0"},
		     {1.0 / 3, "0.3333333333333333"},
		     {0, "0.0"},
		     {123456.75, "123456.75"}};
	char room[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		shape_format_double(cases[i].number, room, sizeof(room));
		assert_string_equal(room, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_table_loads),
	    cmocka_unit_test(an_unknown_service_is_an_error),
	    cmocka_unit_test(members_carry_their_names_on_the_wire),
	    cmocka_unit_test(recursive_shapes_refer_to_themselves),
	    cmocka_unit_test(an_error_is_found_by_exception_and_by_code),
	    cmocka_unit_test(a_good_configuration_passes),
	    cmocka_unit_test(a_port_out_of_range_is_named_by_its_path),
	    cmocka_unit_test(an_unknown_member_suggests_the_likeliest),
	    cmocka_unit_test(a_missing_member_is_named),
	    cmocka_unit_test(wrong_types_enums_patterns_and_lengths_are_told),
	    cmocka_unit_test(coercing_gives_each_scalar_its_own_type),
	    cmocka_unit_test(doubles_are_written_short_and_plain),
	};

	return cmocka_run_group_tests_name("shapes", tests, NULL, NULL);
}
