/* import: pages that are followed, what is made of descriptions, what differs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/doc/doc.h"
#include "lb/api/api.h"
#include "lb/import/compare.h"
#include "lb/import/fit.h"
#include "lb/import/options.h"
#include "lb/import/shape.h"
#include "lb/import/shape_parts.h"

/* ' for ", so that JSON can be read here. */
static json_t *json(const char *text)
{
	char buffer[4096];
	json_t *value;

	assert_true(strlen(text) < sizeof(buffer));
	strcpy(buffer, text);
	for (char *c = buffer; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	value = json_loads(buffer, JSON_DECODE_ANY, NULL);
	assert_non_null(value);
	return value;
}

/* Takes over value. */
static void assert_json(json_t *value, const char *expected)
{
	json_t *wanted = json(expected);
	char *text = json_dumps(value, JSON_ENCODE_ANY);

	if (!json_equal(value, wanted))
		fail_msg("%s instead of %s", text, expected);
	free(text);
	json_decref(wanted);
	json_decref(value);
}

/* ---- source ---- */

struct pages {
	int n, of; /* answered; how many there are, 0 = without end */
	bool is_same_marker;
	const char *code; /* of an error, NULL = none */
};

static json_t *answer(void *context, enum source_service service, const char *action,
		      const json_t *input, struct aws_error *error)
{
	struct pages *pages = context;
	char marker[32];

	(void)action;
	if (pages->code) {
		aws_error_set(error, 400, pages->code, "no");
		return NULL;
	}
	if (pages->n > 0 && !pages->is_same_marker) {
		snprintf(marker, sizeof(marker), "m%d", pages->n);
		assert_string_equal(
		    doc_str(input, service == SOURCE_ELB ? "Marker" : "NextToken", ""), marker);
	}
	pages->n++;
	if (pages->n == pages->of)
		return json_pack("{s:[i]}", "Items", pages->n);
	snprintf(marker, sizeof(marker), "m%d", pages->is_same_marker ? 0 : pages->n);
	return json_pack("{s:[i],s:s}", "Items", pages->n,
			 service == SOURCE_ELB ? "NextMarker" : "NextToken", marker);
}

static json_t *list(struct pages *pages, enum source_service service, struct err *err)
{
	struct source source = {answer, pages};
	struct source_listing listing = {service, "DescribeItems", "Items"};

	return source_list(&source, &listing, json_object(), err);
}

static void test_pages_are_joined(void **state)
{
	struct pages elb = {.of = 3}, scaling = {.of = 2};

	(void)state;
	assert_json(list(&elb, SOURCE_ELB, NULL), "[1, 2, 3]");
	assert_json(list(&scaling, SOURCE_AUTOSCALING, NULL), "[1, 2]");
}

static void test_pages_without_end_are_an_error(void **state)
{
	struct pages endless = {0}, same = {.is_same_marker = true};
	struct err err = {0};

	(void)state;
	assert_null(list(&endless, SOURCE_ELB, &err));
	assert_non_null(strstr(err.text, "do not end"));
	assert_int_equal(endless.n, SOURCE_PAGES_MAX);
	assert_null(list(&same, SOURCE_ELB, &err));
	assert_non_null(strstr(err.text, "came twice"));
	assert_int_equal(same.n, 2);
}

static void test_error_codes_say_what_is_absent_and_what_is_unsupported(void **state)
{
	static const struct {
		const char *code;
		int wanted;
	} cases[] = {{"LoadBalancerNotFound", ENOENT},
		     {"InvalidLaunchTemplateName.NotFoundException", ENOENT},
		     {"InvalidAction", ENOTSUP},
		     {"Throttling", EIO}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pages pages = {.code = cases[i].code};
		struct err err = {0};

		assert_null(list(&pages, SOURCE_EC2, &err));
		assert_int_equal(err.code, cases[i].wanted);
	}
}

/* ---- shape ---- */

static void test_object_keeps_what_is_not_default_and_notes_the_rest(void **state)
{
	static const struct file_member members[] = {{"A", MEMBER_KEPT, "5"},
						     {"B", MEMBER_KEPT, "{\"C\": \"x\"}"},
						     {"I", MEMBER_INERT, NULL},
						     {"L", MEMBER_LOST, "0"},
						     {"N", MEMBER_COMPUTED, NULL}};
	json_t *same = json("{'A': 5.0, 'B': {'C': 'x'}, 'I': [], 'L': 0, 'N': 3}");
	json_t *other = json("{'U': 1, 'L': 2, 'I': 'i', 'B': {'C': 'y'}, 'A': 6, 'N': 3}");
	json_t *notes = json_array();

	(void)state;
	assert_json(shape_object(same, members, 5, "P", notes), "{}");
	assert_int_equal(json_array_size(notes), 0);
	assert_json(shape_object(other, members, 5, "P", notes),
		    "{'A': 6, 'B': {'C': 'y'}, 'I': 'i'}");
	assert_json(notes, "['P: I is kept, but has no effect',"
			   " 'P: U is not kept: a file does not hold it',"
			   " 'P: L is not kept: a file does not hold it']");
	json_decref(same);
	json_decref(other);
}

static void test_tags_are_in_order_and_awss_own_are_told(void **state)
{
	json_t *tags = json("[{'Key': 'b', 'Value': '1', 'ResourceId': 'r'}, {'Key': 'aws:x'},"
			    " {'Key': 'a', 'PropagateAtLaunch': true}]");
	json_t *notes = json_array();

	(void)state;
	assert_json(shape_tags(tags, "P", notes),
		    "[{'Key': 'a', 'Value': '', 'PropagateAtLaunch': true},"
		    " {'Key': 'b', 'Value': '1'}]");
	assert_string_equal(json_string_value(json_array_get(notes, 0)),
			    "P: the tag 'aws:x' is not kept: it is AWS's own");
	json_decref(notes);
	json_decref(tags);
}

static void test_attributes_say_what_is_not_default_in_order(void **state)
{
	json_t *attributes = json("[{'Key': 'stickiness.enabled', 'Value': 'true'},"
				  " {'Key': 'slow_start.duration_seconds', 'Value': '0'},"
				  " {'Key': 'of.the.future', 'Value': 'x'},"
				  " {'Key': 'and.empty', 'Value': ''}]");

	(void)state;
	assert_json(shape_attributes(attributes, elb_target_group_attribute, "P", NULL),
		    "{'of.the.future': 'x', 'stickiness.enabled': 'true'}");
	json_decref(attributes);
}

static void test_alarms_of_the_group_are_found_and_those_of_tracking_are_not(void **state)
{
	json_t *found = json(
	    "{'LoadBalancers': [{'Described': {'LoadBalancerArn': 'a:loadbalancer/app/w/1'}}],"
	    " 'TargetGroups': [], 'AutoScalingGroups': [{'AutoScalingGroupName': 'g'}],"
	    " 'ScalingPolicies': [{'PolicyARN': 'arn:p'}], 'MetricAlarms': ["
	    " {'AlarmName': '1', 'Dimensions': [{'Name': 'AutoScalingGroupName', 'Value': 'g'}]},"
	    " {'AlarmName': '2', 'Dimensions': [{'Name': 'AutoScalingGroupName', 'Value': 'h'}]},"
	    " {'AlarmName': '3', 'Dimensions': [{'Name': 'LoadBalancer', 'Value': 'app/w/1'}]},"
	    " {'AlarmName': '4', 'AlarmActions': ['arn:p']}, {'AlarmName': '5'},"
	    " {'AlarmName': 'TargetTracking-g', 'AlarmActions': ['arn:p']}]}");
	json_t *related = shape_related_alarms(found), *alarm;
	char names[32] = "";
	size_t i;

	(void)state;
	json_array_foreach (related, i, alarm)
		strcat(names, doc_str(alarm, "AlarmName", "?"));
	assert_string_equal(names, "134");
	json_decref(related);
	json_decref(found);
}

static void test_scaling_parts_become_those_of_a_file(void **state)
{
	json_t *found = json(
	    "{'TargetGroups': [{'Described': {'TargetGroupArn': 'arn:t', 'TargetGroupName': 't'}}],"
	    " 'AutoScalingGroups': [{'AutoScalingGroupName': 'g', 'MinSize': 1, 'MaxSize': 2,"
	    "  'DesiredCapacity': 1, 'DefaultCooldown': 300, 'HealthCheckType': 'EC2',"
	    "  'AvailabilityZones': ['a'], 'VPCZoneIdentifier': 'subnet-1', 'Instances': [],"
	    "  'TargetGroupARNs': ['arn:t', 'arn:else'], 'TerminationPolicies': ['Default'],"
	    "  'LaunchTemplate': {'LaunchTemplateId': 'lt-1', 'LaunchTemplateName': 'l',"
	    "   'Version': '7'}}],"
	    " 'ScalingPolicies': [{'PolicyName': 'p', 'PolicyARN': 'arn:p', 'Enabled': true,"
	    "  'AutoScalingGroupName': 'g', 'PolicyType': 'SimpleScaling', 'ScalingAdjustment': "
	    "1}],"
	    " 'MetricAlarms': [{'AlarmName': 'a', 'AlarmActions': ['arn:p', 'arn:sns'],"
	    "  'Namespace': 'AWS/ApplicationELB', 'StateValue': 'OK',"
	    "  'Dimensions': [{'Name': 'TargetGroup', 'Value': 'targetgroup/t/12'},"
	    "   {'Name': 'LoadBalancer', 'Value': 'app/w/34'}]}]}");
	json_t *config = json_object(), *notes = json_array();

	(void)state;
	shape_scaling(found, config, notes);
	assert_json(config, "{'AutoScalingGroups': [{'AutoScalingGroupName': 'g', 'MinSize': 1,"
			    "  'MaxSize': 2, 'DesiredCapacity': 1, 'VPCZoneIdentifier': 'subnet-1',"
			    "  'TargetGroupARNs': ['arn:else', 't'],"
			    "  'LaunchTemplate': {'LaunchTemplateName': 'l'}}],"
			    " 'ScalingPolicies': [{'AutoScalingGroupName': 'g', 'PolicyName': 'p',"
			    "  'ScalingAdjustment': 1}],"
			    " 'MetricAlarms': [{'AlarmName': 'a', 'AlarmActions': ['p', 'arn:sns'],"
			    "  'Namespace': 'AWS/ApplicationELB',"
			    "  'Dimensions': [{'Name': 'LoadBalancer', 'Value': 'w'},"
			    "   {'Name': 'TargetGroup', 'Value': 't'}]}]}");
	assert_int_equal(json_array_size(notes), 1);
	assert_non_null(strstr(json_string_value(json_array_get(notes, 0)), "version 7"));
	json_decref(notes);
	json_decref(found);
}

/* ---- fit ---- */

static void test_one_bad_rule_among_many_is_left_out(void **state)
{
	json_t *rules = json_array(), *notes = json_array(), *config, *listener;

	(void)state;
	for (int i = 1; i <= 100; i++)
		json_array_append_new(
		    rules, json_pack("{s:i,s:[{s:s,s:[s]}],s:[{s:s,s:{s:s}}]}", "Priority", i,
				     "Conditions", "Field", "path-pattern", "Values",
				     i == 37 ? "/\x01" : "/x", "Actions", "Type", "fixed-response",
				     "FixedResponseConfig", "StatusCode", "200"));
	config = json_pack("{s:[{s:s,s:[{s:i,s:s,s:[{s:s,s:{s:s}}],s:o}]}]}", "LoadBalancers",
			   "LoadBalancerName", "w", "Listeners", "Port", 80, "Protocol", "HTTP",
			   "DefaultActions", "Type", "fixed-response", "FixedResponseConfig",
			   "StatusCode", "404", "Rules", rules);
	config = fit_config(config, notes);
	listener = json_array_get(
	    doc_array(json_array_get(doc_array(config, "LoadBalancers"), 0), "Listeners"), 0);
	assert_int_equal(json_array_size(doc_array(listener, "Rules")), 99);
	assert_int_equal(json_array_size(notes), 1);
	assert_non_null(strstr(json_string_value(json_array_get(notes, 0)),
			       "LoadBalancers[w].Listeners[80].Rules[37]: not kept: "));
	json_decref(notes);
	json_decref(config);
}

/* ---- compare ---- */

static size_t compare(const char *file, const char *live, char text[2048])
{
	json_t *a = json(file), *b = json(live);
	struct buf buf = {0};
	size_t n = compare_configs(a, b, &buf);

	snprintf(text, 2048, "%s", buf_text(&buf));
	buf_fini(&buf);
	json_decref(a);
	json_decref(b);
	return n;
}

static void test_same_configurations_do_not_differ(void **state)
{
	char text[2048];

	(void)state;
	assert_int_equal(compare("{'MetricAlarms': [{'AlarmName': 'a', 'Threshold': 50}]}",
				 "{'MetricAlarms': [{'Threshold': 50.0, 'AlarmName': 'a'}]}", text),
			 0);
	assert_string_equal(text, "");
	assert_int_equal(compare("{'Tags': [{'Key': 'a'}, {'Key': 'b'}]}",
				 "{'Tags': [{'Key': 'b'}, {'Key': 'a'}]}", text),
			 0);
}

static void test_differences_are_told_with_their_place(void **state)
{
	char text[2048];

	(void)state;
	assert_int_equal(
	    compare("{'LoadBalancers': [{'LoadBalancerName': 'w', 'Listeners': [{'Port': 80,"
		    " 'Rules': [{'Priority': 1, 'Actions': [1]}, {'Priority': 2}]}]}]}",
		    "{'LoadBalancers': [{'LoadBalancerName': 'w', 'Attributes': {'k': 'v'},"
		    " 'Listeners': [{'Port': 80,"
		    " 'Rules': [{'Priority': 1, 'Actions': [2]}, {'Priority': 3}]}]}],"
		    " 'TargetGroups': [{'TargetGroupName': 't'}]}",
		    text),
	    5);
	assert_string_equal(text, "LoadBalancers[w].Listeners[80].Rules[1].Actions\n"
				  "  file: [1]\n"
				  "  live: [2]\n"
				  "LoadBalancers[w].Listeners[80].Rules[2]\n"
				  "  only in the file\n"
				  "LoadBalancers[w].Listeners[80].Rules[3]\n"
				  "  only live\n"
				  "LoadBalancers[w].Attributes.k\n"
				  "  file: (default)\n"
				  "  live: \"v\"\n"
				  "TargetGroups[t]\n"
				  "  only live\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pages_are_joined),
	    cmocka_unit_test(test_pages_without_end_are_an_error),
	    cmocka_unit_test(test_error_codes_say_what_is_absent_and_what_is_unsupported),
	    cmocka_unit_test(test_object_keeps_what_is_not_default_and_notes_the_rest),
	    cmocka_unit_test(test_tags_are_in_order_and_awss_own_are_told),
	    cmocka_unit_test(test_attributes_say_what_is_not_default_in_order),
	    cmocka_unit_test(test_alarms_of_the_group_are_found_and_those_of_tracking_are_not),
	    cmocka_unit_test(test_scaling_parts_become_those_of_a_file),
	    cmocka_unit_test(test_one_bad_rule_among_many_is_left_out),
	    cmocka_unit_test(test_same_configurations_do_not_differ),
	    cmocka_unit_test(test_differences_are_told_with_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
