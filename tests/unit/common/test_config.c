/* common/config: what a good file becomes, and what is said of a bad one. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/aws/shapes.h"
#include "common/config/config.h"
#include "common/config/settings.h"
#include "common/doc/doc.h"

struct fixture {
	char folder[64];
	char config[128], script[128];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/test_config_XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->config, sizeof(f->config), "%s/lab.json", f->folder);
	snprintf(f->script, sizeof(f->script), "%s/boot.sh", f->folder);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->config);
	unlink(f->script);
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* JSON with single quotes, which C need not escape. */
static char *unquote(const char *text)
{
	char *json = strdup(text);

	for (char *c = json; *c != '\0'; c++) {
		if (*c == '\'')
			*c = '"';
	}
	return json;
}

static json_t *check_text(const char *text, const char *folder, struct err *err)
{
	char *json = unquote(text);
	json_t *document = doc_parse(json, strlen(json), "test", err);
	json_t *config;

	if (document == NULL)
		fail_msg("%s", err->text);
	config = config_check(document, folder, err);
	json_decref(document);
	free(json);
	return config;
}

static json_t *must_check(const char *text)
{
	struct err err = {0};
	json_t *config = check_text(text, NULL, &err);

	if (config == NULL)
		fail_msg("%s", err.text);
	return config;
}

static void assert_wrong(const char *text, const char *why)
{
	struct err err = {0};

	assert_null(check_text(text, NULL, &err));
	assert_string_equal(err.text, why);
}

#define FORWARD "[{'Type': 'forward', 'TargetGroupArn': 'web'}]"
#define FORWARD_WBE "[{'Type': 'forward', 'TargetGroupArn': 'wbe'}]"
#define IF_PATH "'Conditions': [{'Field': 'path-pattern', 'Values': ['/x']}]"
#define WEB "'TargetGroups': [{'TargetGroupName': 'web', 'Protocol': 'HTTP', 'Port': 80}]"
#define LISTENER(port, more) \
	"{'Protocol': 'HTTP', 'Port': " port ", 'DefaultActions': " FORWARD more "}"
#define BALANCER(name, listeners) "{'LoadBalancerName': '" name "', 'Listeners': [" listeners "]}"
#define GROUP(name, more) \
	"{'AutoScalingGroupName': '" name "', 'MinSize': 2, 'MaxSize': 4, " more \
	" 'LaunchTemplate': {'LaunchTemplateName': 'app'}}"
#define TEMPLATE(data) "{'LaunchTemplateName': 'app', 'LaunchTemplateData': {" data "}}"
#define POLICY(group, name) \
	"{'AutoScalingGroupName': '" group "', 'PolicyName': '" name "'," \
	" 'AdjustmentType': 'ChangeInCapacity', 'ScalingAdjustment': 1}"
#define ALARM(name, action) \
	"{'AlarmName': '" name "', 'EvaluationPeriods': 1, 'MetricName': 'CPUUtilization'," \
	" 'Namespace': 'AWS/EC2', 'Period': 60, 'Statistic': 'Average', 'Threshold': 70," \
	" 'ComparisonOperator': 'GreaterThanThreshold', 'AlarmActions': ['" action "']}"

static void every_example_is_good(void **state)
{
	struct err err = {0};
	json_t *config;
	glob_t examples;

	(void)state;
	assert_int_equal(glob("conf/*.json", 0, NULL, &examples), 0);
	for (size_t i = 0; i < examples.gl_pathc; i++) {
		config = config_load(examples.gl_pathv[i], &err);
		if (config == NULL)
			fail_msg("%s", err.text);
		json_decref(config);
	}
	globfree(&examples);
}

static void assert_documented(const char *page, const struct shape *shape)
{
	char name[128];

	assert_non_null(shape);
	for (size_t i = 0; i < shape->n_members; i++) {
		snprintf(name, sizeof(name), "`%s`", shape->members[i].name);
		if (strstr(page, name) == NULL)
			fail_msg("docs/configuration.md lacks %s.%s", shape->name,
				 shape->members[i].name);
	}
}

static void the_reference_names_every_section_and_every_setting(void **state)
{
	static const char *const own[] = {"Config", "Lb", "Scaler", "Lab"};
	const struct aws_model *model = aws_model("config", NULL);
	size_t len;
	char *page = doc_read_file("docs/configuration.md", 1 << 20, &len, NULL);

	(void)state;
	assert_non_null(page);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		assert_documented(page, aws_shape_find(model, own[i]));
	free(page);
}

static void an_empty_file_is_good(void **state)
{
	(void)state;
	json_decref(must_check("{}"));
}

static void a_name_is_written_in_either_way_and_read_in_one(void **state)
{
	json_t *config = must_check("{'TargetGroups': [{'Name': 'web', 'Port': '80'},"
				    " {'TargetGroupName': 'api', 'Name': 'api'}]}");
	const json_t *groups = doc_array(config, "TargetGroups");

	(void)state;
	assert_string_equal(doc_str(json_array_get(groups, 0), "TargetGroupName", ""), "web");
	assert_false(doc_has(json_array_get(groups, 0), "Name"));
	assert_false(doc_has(json_array_get(groups, 1), "Name"));
	assert_int_equal(doc_int(json_array_get(groups, 0), "Port", -1), 80);
	json_decref(config);
	assert_wrong("{'TargetGroups': [{'Port': 80}]}",
		     "TargetGroups[0].TargetGroupName: required, but missing");
	assert_wrong("{'LoadBalancers': [{'Name': 'a', 'LoadBalancerName': 'b'}]}",
		     "LoadBalancers[0].Name: 'a', but LoadBalancerName is 'b'");
}

static void an_unknown_member_is_named_with_the_likely_one(void **state)
{
	struct err err = {0};

	(void)state;
	assert_null(check_text("{'TargetGroup': []}", NULL, &err));
	assert_memory_equal(err.text, "TargetGroup: ", 13);
	assert_non_null(strstr(err.text, "TargetGroups"));
	assert_null(check_text("{'TargetGroups': [{'Name': 'web', 'Prot': 80}]}", NULL, &err));
	assert_memory_equal(err.text, "TargetGroups[0].Prot: ", 22);
	assert_non_null(strstr(err.text, "Port"));
}

static void a_value_out_of_range_is_named(void **state)
{
	struct err err = {0};

	(void)state;
	assert_null(check_text("{'TargetGroups': [{'Name': 'web', 'Port': 70000}]}", NULL, &err));
	assert_memory_equal(err.text, "TargetGroups[0].Port: 70000", 27);
	assert_null(check_text("[]", NULL, &err));
}

static void two_of_one_name_are_refused(void **state)
{
	(void)state;
	assert_wrong("{'TargetGroups': [{'Name': 'a'}, {'Name': 'b'}, {'TargetGroupName': 'a'}]}",
		     "TargetGroups[2].TargetGroupName: 'a' is also that of TargetGroups[0]");
	assert_wrong("{'LoadBalancers': [{'Name': 'a'}, {'Name': 'a'}]}",
		     "LoadBalancers[1].LoadBalancerName: 'a' is also that of LoadBalancers[0]");
	assert_wrong("{'LaunchTemplates': [" TEMPLATE("") ", " TEMPLATE("") "]}",
		     "LaunchTemplates[1].LaunchTemplateName: 'app' is also that of "
		     "LaunchTemplates[0]");
	assert_wrong("{'AutoScalingGroups': [" GROUP("g", "") ", " GROUP("g", "") "]}",
		     "AutoScalingGroups[1].AutoScalingGroupName: 'g' is also that of "
		     "AutoScalingGroups[0]");
	assert_wrong("{'ScalingPolicies': [" POLICY("g", "p") ", " POLICY("g", "p") "]}",
		     "ScalingPolicies[1].PolicyName: 'p' is also that of ScalingPolicies[0]");
	assert_wrong("{'MetricAlarms': [" ALARM("a", "arn:aws:sns:r:1:t") ", " ALARM(
			 "a", "arn:aws:sns:r:1:t") "]}",
		     "MetricAlarms[1].AlarmName: 'a' is also that of MetricAlarms[0]");
}

static void two_rules_of_one_priority_are_refused(void **state)
{
	(void)state;
	assert_wrong(
	    "{" WEB ", 'LoadBalancers': [" BALANCER(
		"b", LISTENER("80", ", 'Rules': ["
				    "{'Priority': 10, " IF_PATH ", 'Actions': " FORWARD "},"
				    "{'Priority': 20, " IF_PATH ", 'Actions': " FORWARD "},"
				    "{'Priority': 10, " IF_PATH ", 'Actions': " FORWARD "}]")) "]}",
	    "LoadBalancers[0].Listeners[0].Rules[2].Priority: 10 is also that of Rules[0]");
}

static void two_listeners_on_one_address_and_port_are_refused(void **state)
{
	(void)state;
	assert_wrong("{" WEB ", 'LoadBalancers': [" BALANCER(
			 "a", LISTENER("80", "") ", " LISTENER(
				  "81", "")) ", " BALANCER("b", LISTENER("81", "")) "]}",
		     "LoadBalancers[1].Listeners[0].Port: 0.0.0.0:81 is also that of "
		     "LoadBalancers[0].Listeners[1]");
	json_decref(must_check("{" WEB ", 'LoadBalancers': [" BALANCER(
	    "a",
	    LISTENER("80",
		     "")) ","
			  "{'Name': 'b', 'ListenAddress': '127.0.0.2', 'Listeners': [" LISTENER(
			      "80", "") "]}]}"));
	assert_wrong("{'LoadBalancers': [{'Name': 'a', 'ListenAddress': '127.0.0.256'}]}",
		     "LoadBalancers[0].ListenAddress: '127.0.0.256' is not an IP address");
	assert_wrong("{" WEB ", 'LoadBalancers': [{'Name': 'a', 'Listeners': ["
		     "{'Protocol': 'HTTP', 'DefaultActions': " FORWARD "}]}]}",
		     "LoadBalancers[0].Listeners[0].Port: required, but missing");
}

static void an_action_must_name_a_target_group_of_the_file_or_an_arn(void **state)
{
	(void)state;
	assert_wrong(
	    "{" WEB ", 'LoadBalancers': [" BALANCER(
		"b",
		LISTENER("80", ", 'Rules': ["
			       "{'Priority': 1, " IF_PATH ", 'Actions': " FORWARD "},"
			       "{'Priority': 2, " IF_PATH ", 'Actions': " FORWARD_WBE "}]")) "]}",
	    "LoadBalancers[0].Listeners[0].Rules[1].Actions[0].TargetGroupArn: there is no "
	    "target group 'wbe' in this file; did you mean 'web'?");
	assert_wrong("{'LoadBalancers': [" BALANCER("b", LISTENER("80", "")) "]}",
		     "LoadBalancers[0].Listeners[0].DefaultActions[0].TargetGroupArn: there is no "
		     "target group 'web' in this file");
	assert_wrong(
	    "{'LoadBalancers': [{'Name': 'b', 'Listeners': [{'Port': 80, 'DefaultActions': "
	    "[{'Type': 'forward', 'ForwardConfig': {'TargetGroups': "
	    "[{'TargetGroupArn': 'x'}]}}]}]}]}",
	    "LoadBalancers[0].Listeners[0].DefaultActions[0].ForwardConfig.TargetGroups[0]."
	    "TargetGroupArn: there is no target group 'x' in this file");
	json_decref(must_check(
	    "{'LoadBalancers': [{'Name': 'b', 'Listeners': [{'Port': 80, 'DefaultActions': "
	    "[{'Type': 'forward', 'TargetGroupArn': 'arn:aws:elasticloadbalancing:us-east-1:"
	    "123456789012:targetgroup/web/0123456789abcdef'}]}]}]}"));
}

static void a_group_must_name_what_is_there(void **state)
{
	(void)state;
	assert_wrong("{" WEB ", 'AutoScalingGroups': [" GROUP(
			 "g", "'TargetGroupARNs': ['web', 'wbe'],") "]}",
		     "AutoScalingGroups[0].TargetGroupARNs[1]: there is no target group 'wbe' in "
		     "this file; did you mean 'web'?");
	assert_wrong("{'LaunchTemplates': [{'LaunchTemplateName': 'apple',"
		     " 'LaunchTemplateData': {}}], 'AutoScalingGroups': [" GROUP("g", "") "]}",
		     "AutoScalingGroups[0].LaunchTemplate.LaunchTemplateName: there is no launch "
		     "template 'app' in this file");
	/* A file without templates leaves them to EC2. */
	json_decref(must_check("{'AutoScalingGroups': [" GROUP("g", "") "]}"));
}

static void a_groups_sizes_are_in_order(void **state)
{
	(void)state;
	assert_wrong("{'AutoScalingGroups': [" GROUP("g", "'DesiredCapacity': 5,") "]}",
		     "AutoScalingGroups[0].DesiredCapacity: 5 is more than MaxSize, which is 4");
	assert_wrong("{'AutoScalingGroups': [" GROUP("g", "'DesiredCapacity': 1,") "]}",
		     "AutoScalingGroups[0].DesiredCapacity: 1 is less than MinSize, which is 2");
	assert_wrong("{'AutoScalingGroups': [{'AutoScalingGroupName': 'g', 'MinSize': 5,"
		     " 'MaxSize': 4}]}",
		     "AutoScalingGroups[0].MinSize: 5 is more than MaxSize, which is 4");
	json_decref(must_check("{'AutoScalingGroups': [" GROUP("g", "'DesiredCapacity': 4,") "]}"));
}

static void policies_schedules_and_hooks_name_a_group_of_the_file(void **state)
{
	(void)state;
	assert_wrong("{'AutoScalingGroups': [" GROUP("web-asg", "") "],"
								    " 'ScalingPolicies': [" POLICY(
									"web-agg", "p") "]}",
		     "ScalingPolicies[0].AutoScalingGroupName: there is no auto scaling group "
		     "'web-agg' in this file; did you mean 'web-asg'?");
	assert_wrong("{'ScheduledActions': [{'AutoScalingGroupName': 'g',"
		     " 'ScheduledActionName': 's', 'MinSize': 1}]}",
		     "ScheduledActions[0].AutoScalingGroupName: there is no auto scaling group 'g' "
		     "in this file");
	assert_wrong(
	    "{'LifecycleHooks': [{'AutoScalingGroupName': 'g', 'LifecycleHookName': 'h'}]}",
	    "LifecycleHooks[0].AutoScalingGroupName: there is no auto scaling group 'g' in "
	    "this file");
}

static void an_alarm_names_one_policy_or_an_arn(void **state)
{
	(void)state;
#define TWO_GROUPS "'AutoScalingGroups': [" GROUP("g", "") ", " GROUP("h", "") "]"
	json_decref(must_check("{" TWO_GROUPS ", 'ScalingPolicies': [" POLICY(
	    "g", "out") "],"
			" 'MetricAlarms': [" ALARM("a", "out") ", " ALARM(
			    "b", "arn:aws:sns:us-east-1:1:t") "]}"));
	assert_wrong(
	    "{" TWO_GROUPS
	    ", 'ScalingPolicies': [" POLICY("g", "out") "],"
							" 'MetricAlarms': [" ALARM("a", "otu") "]}",
	    "MetricAlarms[0].AlarmActions[0]: there is no scaling policy 'otu' in this file; "
	    "did you mean 'out'?");
	assert_wrong("{" TWO_GROUPS ", 'ScalingPolicies': [" POLICY("g", "out") ", " POLICY(
			 "h", "out") "], 'MetricAlarms': [" ALARM("a", "out") "]}",
		     "MetricAlarms[0].AlarmActions[0]: several groups have a scaling policy 'out'; "
		     "give them names of their own");
	assert_wrong("{'MetricAlarms': [" ALARM("a", "arn:aws:x") "]}",
		     "MetricAlarms[0].AlarmActions[0]: 'arn:aws:x' is not a whole ARN");
}

static void a_user_data_file_stands_next_to_the_configuration(void **state)
{
	const struct fixture *f = *state;
	struct err err = {0};
	const json_t *template;
	json_t *config;

	write_file(f->script, "#!/bin/sh\necho hi\n");
	for (int i = 0; i < 2; i++) {
		write_file(f->config,
			   i == 0
			       ? "{\"LaunchTemplates\": [{\"LaunchTemplateName\": \"app\","
				 " \"LaunchTemplateData\": {\"UserDataFile\": \"boot.sh\"}}]}"
			       : "{\"LaunchTemplates\": [{\"LaunchTemplateName\": \"app\","
				 " \"UserDataFile\": \"boot.sh\", \"LaunchTemplateData\": {}}]}");
		config = config_load(f->config, &err);
		if (config == NULL)
			fail_msg("%s", err.text);
		template = json_array_get(doc_array(config, "LaunchTemplates"), 0);
		assert_string_equal(
		    doc_str(doc_object(template, "LaunchTemplateData"), "UserData", ""),
		    "IyEvYmluL3NoCmVjaG8gaGkK");
		assert_false(doc_has(template, "UserDataFile"));
		assert_false(doc_has(doc_object(template, "LaunchTemplateData"), "UserDataFile"));
		json_decref(config);
	}
}

static void a_missing_or_huge_user_data_file_is_named(void **state)
{
	const struct fixture *f = *state;
	struct err err = {0};
	char want[600], *huge = calloc(1, CONFIG_USER_DATA_MAX + 2);
	json_t *config;

	write_file(f->config, "{\"LaunchTemplates\": [{\"LaunchTemplateName\": \"app\","
			      " \"LaunchTemplateData\": {\"UserDataFile\": \"boot.sh\"}}]}");
	assert_null(config_load(f->config, &err));
	snprintf(want, sizeof(want),
		 "%s: LaunchTemplates[0].LaunchTemplateData.UserDataFile: %s: "
		 "No such file or directory",
		 f->config, f->script);
	assert_string_equal(err.text, want);
	memset(huge, '#', CONFIG_USER_DATA_MAX);
	write_file(f->script, huge);
	config = config_load(f->config, &err);
	assert_non_null(config);
	json_decref(config);
	huge[CONFIG_USER_DATA_MAX] = '#';
	write_file(f->script, huge);
	assert_null(config_load(f->config, &err));
	assert_non_null(strstr(err.text, "16385 bytes; at most 16384 are allowed"));
	free(huge);
}

static void user_data_is_given_once_and_in_base64(void **state)
{
	(void)state;
	assert_wrong("{'LaunchTemplates': [" TEMPLATE("'UserData': '', 'UserDataFile': 'x'") "]}",
		     "LaunchTemplates[0].LaunchTemplateData.UserDataFile: the user data is given "
		     "twice");
	assert_wrong(
	    "{'LaunchTemplates': [" TEMPLATE("'UserData': '#!/bin/sh'") "]}",
	    "LaunchTemplates[0].LaunchTemplateData.UserData: not base64; UserDataFile takes "
	    "a script as it is");
	assert_wrong(
	    "{'LaunchTemplates': [" TEMPLATE("'UserDataFile': 'x'") "]}",
	    "LaunchTemplates[0].LaunchTemplateData.UserDataFile: no file can be read here; "
	    "use UserData");
	json_decref(must_check("{'LaunchTemplates': [" TEMPLATE("'UserData': 'IyEvYg=='") "]}"));
}

static void an_error_begins_with_the_files_name(void **state)
{
	const struct fixture *f = *state;
	struct err err = {0};
	char want[300];

	write_file(f->config, "{\n  \"LoadBalancers\": [\n}");
	assert_null(config_load(f->config, &err));
	snprintf(want, sizeof(want), "%s:3:", f->config);
	assert_memory_equal(err.text, want, strlen(want));
	write_file(f->config, "{\"TargetGroups\": [{\"Port\": 1}]}");
	assert_null(config_load(f->config, &err));
	snprintf(want, sizeof(want), "%s: TargetGroups[0].TargetGroupName: required, but missing",
		 f->config);
	assert_string_equal(err.text, want);
}

static void settings_have_defaults(void **state)
{
	json_t *config = must_check("{'Lb': {'Region': 'eu-west-1', 'Credentials': []}, 'Scaler':"
				    " {'ApiAddress': '0.0.0.0:1', 'StateUrl': 'sqlite:x',"
				    " 'AccountId': '123456789012', 'Credentials': [{'AccessKeyId':"
				    " 'test', 'SecretAccessKey': 'test'}]}}");
	struct config_settings settings;

	(void)state;
	config_settings_read(config, "Lb", &settings);
	assert_string_equal(settings.api_address, "127.0.0.1:7001");
	assert_string_equal(settings.region, "eu-west-1");
	assert_string_equal(settings.account_id, "000000000000");
	assert_string_equal(settings.state_url, "memory:");
	assert_null(settings.credentials);
	config_settings_read(config, "Scaler", &settings);
	assert_string_equal(settings.api_address, "0.0.0.0:1");
	assert_string_equal(settings.region, "us-east-1");
	assert_string_equal(settings.account_id, "123456789012");
	assert_string_equal(settings.state_url, "sqlite:x");
	assert_int_equal(json_array_size(settings.credentials), 1);
	config_settings_read(config, "Lab", &settings);
	assert_string_equal(settings.api_address, "127.0.0.1:7003");
	assert_null(settings.section);
	json_decref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_example_is_good),
	    cmocka_unit_test(the_reference_names_every_section_and_every_setting),
	    cmocka_unit_test(an_empty_file_is_good),
	    cmocka_unit_test(a_name_is_written_in_either_way_and_read_in_one),
	    cmocka_unit_test(an_unknown_member_is_named_with_the_likely_one),
	    cmocka_unit_test(a_value_out_of_range_is_named),
	    cmocka_unit_test(two_of_one_name_are_refused),
	    cmocka_unit_test(two_rules_of_one_priority_are_refused),
	    cmocka_unit_test(two_listeners_on_one_address_and_port_are_refused),
	    cmocka_unit_test(an_action_must_name_a_target_group_of_the_file_or_an_arn),
	    cmocka_unit_test(a_group_must_name_what_is_there),
	    cmocka_unit_test(a_groups_sizes_are_in_order),
	    cmocka_unit_test(policies_schedules_and_hooks_name_a_group_of_the_file),
	    cmocka_unit_test(an_alarm_names_one_policy_or_an_arn),
	    cmocka_unit_test_setup_teardown(a_user_data_file_stands_next_to_the_configuration,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(a_missing_or_huge_user_data_file_is_named, setup,
					    teardown),
	    cmocka_unit_test(user_data_is_given_once_and_in_base64),
	    cmocka_unit_test_setup_teardown(an_error_begins_with_the_files_name, setup, teardown),
	    cmocka_unit_test(settings_have_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
