/* common/aws/codec, server's side: form pairs in, XML out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/aws/codec.h"

static json_t *decode(const char *service, const char *action, const char *form_text,
		      struct aws_error *error)
{
	const struct aws_model *model = aws_model(service, NULL);
	const struct aws_operation *operation = aws_operation_find(model, action);
	struct aws_form *form;
	json_t *input = NULL;

	assert_non_null(operation);
	memset(error, 0, sizeof(*error));
	form = aws_form_parse(form_text, strlen(form_text), error);
	if (form)
		input = aws_request_decode(model, operation, form, error);
	aws_form_free(form);
	return input;
}

static void expect_input(const char *service, const char *action, const char *form_text,
			 const char *json)
{
	struct aws_error error;
	json_t *input = decode(service, action, form_text, &error);
	char *text = input ? json_dumps(input, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	if (!input)
		fail_msg("%s: %s", error.code, error.message);
	assert_string_equal(text, json);
	free(text);
	json_decref(input);
}

static void expect_error(const char *service, const char *action, const char *form_text,
			 const char *code, const char *message)
{
	struct aws_error error;
	json_t *input = decode(service, action, form_text, &error);

	assert_null(input);
	assert_string_equal(error.code, code);
	assert_string_equal(error.message, message);
	assert_in_range(error.http_status, 400, 499);
}

static void expect_xml(const char *service, const char *action, json_t *output, const char *xml)
{
	const struct aws_model *model = aws_model(service, NULL);
	struct buf buf = {0};

	aws_response_encode(model, aws_operation_find(model, action), output, "id-1", &buf);
	assert_string_equal(buf_text(&buf), xml);
	buf_fini(&buf);
	json_decref(output);
}

static void a_rule_is_read_from_nested_pairs(void **state)
{
	(void)state;
	expect_input(
	    "elasticloadbalancing", "CreateRule",
	    "Action=CreateRule&Actions.member.1.Order=1&Actions.member.1.Type=fixed-response"
	    "&Actions.member.1.FixedResponseConfig.StatusCode=404"
	    "&Conditions.member.1.Field=query-string"
	    "&Conditions.member.1.QueryStringConfig.Values.member.1.Key=k"
	    "&Conditions.member.1.QueryStringConfig.Values.member.1.Value=v"
	    "&Conditions.member.5.Field=host-header"
	    "&Conditions.member.5.HostHeaderConfig.Values.member.1=a.example.com"
	    "&ListenerArn=arn%3Aaws%3Ax&Priority=51&Version=2015-12-01",
	    "{\"Actions\":[{\"FixedResponseConfig\":{\"StatusCode\":\"404\"},\"Order\":1,"
	    "\"Type\":\"fixed-response\"}],\"Conditions\":[{\"Field\":\"query-string\","
	    "\"QueryStringConfig\":{\"Values\":[{\"Key\":\"k\",\"Value\":\"v\"}]}},"
	    "{\"Field\":\"host-header\",\"HostHeaderConfig\":{\"Values\":"
	    "[\"a.example.com\"]}}],\"ListenerArn\":\"arn:aws:x\",\"Priority\":51}");
}

static void list_indexes_sort_as_numbers(void **state)
{
	(void)state;
	expect_input("autoscaling", "DescribeAutoScalingGroups",
		     "AutoScalingGroupNames.member.10=j&AutoScalingGroupNames.member.2=b"
		     "&AutoScalingGroupNames.member.1=a",
		     "{\"AutoScalingGroupNames\":[\"a\",\"b\",\"j\"]}");
}

static void plus_and_percent_20_are_spaces(void **state)
{
	(void)state;
	expect_input("autoscaling", "DescribeAutoScalingGroups",
		     "AutoScalingGroupNames.member.1=lab+asg%2F1%20x",
		     "{\"AutoScalingGroupNames\":[\"lab asg/1 x\"]}");
}

static void what_is_sent_empty_counts_as_not_given(void **state)
{
	(void)state;
	expect_input("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroupNames=", "{}");
	expect_input("elasticloadbalancing", "CreateTargetGroup",
		     "Name=web&ProtocolVersion=&Port=&Protocol=&Tags.member.1.Key=k"
		     "&Tags.member.1.Value=",
		     "{\"Name\":\"web\",\"Tags\":[{\"Key\":\"k\",\"Value\":\"\"}]}");
	expect_input("ec2", "RunInstances",
		     "MinCount=1&MaxCount=1&Placement.AvailabilityZone="
		     "&BlockDeviceMapping.1.NoDevice=",
		     "{\"BlockDeviceMappings\":[{\"NoDevice\":\"\"}],\"MaxCount\":1,"
		     "\"MinCount\":1,\"Placement\":{}}");
}

static void ec2_lists_are_flat_and_singular(void **state)
{
	(void)state;
	expect_input("ec2", "RunInstances",
		     "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&MinCount=1&MaxCount=2"
		     "&NetworkInterface.1.SecurityGroupId.1=sg-1&NetworkInterface.1.DeviceIndex=0"
		     "&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name"
		     "&TagSpecification.1.Tag.1.Value=web&ClientToken=t&DryRun=false",
		     "{\"ClientToken\":\"t\",\"DryRun\":false,\"ImageId\":\"ami-1\",\"MaxCount\":2,"
		     "\"MinCount\":1,\"NetworkInterfaces\":[{\"DeviceIndex\":0,\"Groups\":"
		     "[\"sg-1\"]}],\"TagSpecifications\":[{\"ResourceType\":\"instance\",\"Tags\":"
		     "[{\"Key\":\"Name\",\"Value\":\"web\"}]}]}");
	expect_input("ec2", "DescribeInstances",
		     "Filter.1.Name=tag%3AName&Filter.1.Value.1=web&InstanceId.1=i-1",
		     "{\"Filters\":[{\"Name\":\"tag:Name\",\"Values\":[\"web\"]}],"
		     "\"InstanceIds\":[\"i-1\"]}");
}

static void numbers_and_times_are_typed(void **state)
{
	(void)state;
	expect_input("monitoring", "PutMetricData",
		     "Namespace=N&MetricData.member.1.MetricName=m"
		     "&MetricData.member.1.Timestamp=2026-12-01T10%3A00%3A00.250%2B01%3A00"
		     "&MetricData.member.1.Value=1.25e1&MetricData.member.1.StorageResolution=1",
		     "{\"MetricData\":[{\"MetricName\":\"m\",\"StorageResolution\":1,\"Timestamp\":"
		     "\"2026-12-01T09:00:00.250Z\",\"Value\":12.5}],\"Namespace\":\"N\"}");
}

static void maps_are_read_from_entries(void **state)
{
	(void)state;
	expect_input("elasticloadbalancing", "CreateRule",
		     "ListenerArn=l&Priority=1&Conditions.member.1.Field=x"
		     "&Actions.member.1.Type=authenticate-oidc"
		     "&Actions.member.1.AuthenticateOidcConfig.Issuer=i"
		     "&Actions.member.1.AuthenticateOidcConfig.AuthorizationEndpoint=a"
		     "&Actions.member.1.AuthenticateOidcConfig.TokenEndpoint=t"
		     "&Actions.member.1.AuthenticateOidcConfig.UserInfoEndpoint=u"
		     "&Actions.member.1.AuthenticateOidcConfig.ClientId=c"
		     "&Actions.member.1.AuthenticateOidcConfig"
		     ".AuthenticationRequestExtraParams.entry.1.key=k"
		     "&Actions.member.1.AuthenticateOidcConfig"
		     ".AuthenticationRequestExtraParams.entry.1.value=v",
		     "{\"Actions\":[{\"AuthenticateOidcConfig\":{"
		     "\"AuthenticationRequestExtraParams\":{\"k\":\"v\"},"
		     "\"AuthorizationEndpoint\":\"a\",\"ClientId\":\"c\",\"Issuer\":\"i\","
		     "\"TokenEndpoint\":\"t\",\"UserInfoEndpoint\":\"u\"},"
		     "\"Type\":\"authenticate-oidc\"}],\"Conditions\":[{\"Field\":\"x\"}],"
		     "\"ListenerArn\":\"l\",\"Priority\":1}");
}

static void each_service_complains_in_its_own_words(void **state)
{
	(void)state;
	expect_error("autoscaling", "CreateAutoScalingGroup", "AutoScalingGroupName=a&MinSize=1",
		     "ValidationError",
		     "1 validation error detected: Value null at 'maxSize' failed to satisfy "
		     "constraint: Member must not be null");
	expect_error("elasticloadbalancing", "CreateTargetGroup",
		     "Name=web&Port=70000&TargetType=x", "ValidationError",
		     "2 validation errors detected: Value '70000' at 'port' failed to satisfy "
		     "constraint: Member must have value less than or equal to 65535; Value 'x' at "
		     "'targetType' failed to satisfy constraint: Member must satisfy enum value "
		     "set: [instance, ip, lambda, alb]");
	expect_error("monitoring", "PutMetricAlarm",
		     "AlarmName=a&EvaluationPeriods=1&ComparisonOperator=LessThanThreshold"
		     "&Dimensions.member.1.Name=n",
		     "MissingParameter", "The parameter Dimensions.member.1.Value is required.");
	expect_error("ec2", "RunInstances", "MaxCount=1", "MissingParameter",
		     "The request must contain the parameter MinCount");
	expect_error("ec2", "RunInstances",
		     "MinCount=1&MaxCount=1&TagSpecification.1.ResourceType=cow",
		     "InvalidParameterValue",
		     "Value (cow) for parameter TagSpecification.1.ResourceType is invalid.");
}

static void hostile_names_are_refused_or_ignored(void **state)
{
	struct aws_error error;
	struct buf deep = {0};
	json_t *input;

	(void)state;
	expect_error("autoscaling", "DescribeAutoScalingGroups",
		     "AutoScalingGroupNames.member.99999999999=a", "MalformedInput",
		     "Parameter AutoScalingGroupNames.member.99999999999: a list index from 1 to "
		     "999999 was expected");
	expect_error("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroupNames.member.0=a",
		     "MalformedInput",
		     "Parameter AutoScalingGroupNames.member.0: a list index from 1 to 999999 was "
		     "expected");
	expect_error("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroupNames.1=a",
		     "MalformedInput",
		     "Parameter AutoScalingGroupNames.1: the start of a list or map was expected");
	expect_error("autoscaling", "CreateAutoScalingGroup", "AutoScalingGroupName.a.b=1",
		     "MalformedInput",
		     "Parameter AutoScalingGroupName: start of structure or map found where not "
		     "expected");
	expect_error("autoscaling", "DescribeAutoScalingGroups", "MaxRecords=1x", "MalformedInput",
		     "Parameter MaxRecords: a whole number was expected");
	expect_input("autoscaling", "DescribeAutoScalingGroups",
		     "&&=&.=1&..a=2&MaxRecords=5&AutoScalingGroupNames.member=&Other.1.2=x",
		     "{\"AutoScalingGroupNames\":[],\"MaxRecords\":5}");
	for (int i = 0; i < 400; i++)
		buf_add_str(&deep, "a.");
	buf_add_str(&deep, "a=1");
	input = decode("autoscaling", "DescribeAutoScalingGroups", buf_text(&deep), &error);
	assert_non_null(input);
	json_decref(input);
	buf_fini(&deep);
}

static void garbled_forms_are_refused(void **state)
{
	static const char *const forms[] = {"a=%",   "a=%4",  "a=%zz",       "%00=a",
					    "a=%00", "a=%ff", "a=%ed%a0%80", "a=1&a=2"};
	struct aws_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		assert_null(aws_form_parse(forms[i], strlen(forms[i]), &error));
		assert_string_equal(error.code, "MalformedQueryString");
	}
}

static void a_form_gives_its_values_by_name(void **state)
{
	struct aws_error error;
	struct aws_form *form = aws_form_parse("Version=1&Action=A+b&flag&x.2=c", 31, &error);

	(void)state;
	assert_string_equal(aws_form_get(form, "Action"), "A b");
	assert_string_equal(aws_form_get(form, "Version"), "1");
	assert_string_equal(aws_form_get(form, "flag"), "");
	assert_null(aws_form_get(form, "x"));
	aws_form_free(form);
}

static void query_answers_have_a_result_and_lists_of_members(void **state)
{
	(void)state;
	expect_xml("elasticloadbalancing", "DescribeTargetHealth",
		   json_pack("{s:[{s:{s:s,s:i},s:s,s:{s:s}}]}", "TargetHealthDescriptions",
			     "Target", "Id", "a&<b>\"\r\x01", "Port", 80, "HealthCheckPort", "80",
			     "TargetHealth", "State", "healthy"),
		   "<DescribeTargetHealthResponse xmlns=\""
		   "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">"
		   "<DescribeTargetHealthResult><TargetHealthDescriptions><member><Target>"
		   "<Id>a&amp;&lt;b&gt;&quot;&#xD;\xEF\xBF\xBD</Id><Port>80</Port></Target>"
		   "<HealthCheckPort>80</HealthCheckPort><TargetHealth><State>healthy</State>"
		   "</TargetHealth></member></TargetHealthDescriptions>"
		   "</DescribeTargetHealthResult><ResponseMetadata><RequestId>id-1</RequestId>"
		   "</ResponseMetadata></DescribeTargetHealthResponse>");
}

static void absent_lists_are_written_empty_and_scalars_left_out(void **state)
{
	(void)state;
	expect_xml("autoscaling", "DescribeAutoScalingGroups", json_object(),
		   "<DescribeAutoScalingGroupsResponse xmlns=\""
		   "http://autoscaling.amazonaws.com/doc/2011-01-01/\">"
		   "<DescribeAutoScalingGroupsResult><AutoScalingGroups/>"
		   "</DescribeAutoScalingGroupsResult><ResponseMetadata><RequestId>id-1"
		   "</RequestId></ResponseMetadata></DescribeAutoScalingGroupsResponse>");
}

static void void_answers_have_a_result_only_where_aws_has_one(void **state)
{
	(void)state;
	expect_xml("autoscaling", "SetDesiredCapacity", NULL,
		   "<SetDesiredCapacityResponse xmlns=\""
		   "http://autoscaling.amazonaws.com/doc/2011-01-01/\"><ResponseMetadata>"
		   "<RequestId>id-1</RequestId></ResponseMetadata></SetDesiredCapacityResponse>");
	expect_xml("elasticloadbalancing", "DeleteListener", json_object(),
		   "<DeleteListenerResponse xmlns=\""
		   "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">"
		   "<DeleteListenerResult></DeleteListenerResult><ResponseMetadata>"
		   "<RequestId>id-1</RequestId></ResponseMetadata></DeleteListenerResponse>");
	expect_xml("ec2", "CreateTags", NULL,
		   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CreateTagsResponse xmlns=\""
		   "http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>id-1</requestId>"
		   "<return>true</return></CreateTagsResponse>");
}

static void ec2_answers_have_items_and_lower_camel_names(void **state)
{
	(void)state;
	expect_xml("ec2", "DescribeInstances",
		   json_pack("{s:[{s:s,s:[{s:s,s:s,s:{s:i,s:s},s:[]}]}]}", "Reservations",
			     "ReservationId", "r-1", "Instances", "InstanceId", "i-1", "LaunchTime",
			     "2026-11-21T00:31:08Z", "State", "Code", 16, "Name", "running",
			     "Tags"),
		   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeInstancesResponse "
		   "xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>id-1</requestId>"
		   "<reservationSet><item><instancesSet><item><instanceId>i-1</instanceId>"
		   "<launchTime>2026-11-21T00:31:08.000Z</launchTime><instanceState><code>16</code>"
		   "<name>running</name></instanceState><tagSet/></item></instancesSet>"
		   "<reservationId>r-1</reservationId></item></reservationSet>"
		   "</DescribeInstancesResponse>");
}

static void errors_are_written_as_each_protocol_wants(void **state)
{
	struct aws_error error;
	struct buf xml = {0};

	(void)state;
	aws_error_set(&error, 400, "ValidationError", "no %s", "<a>");
	aws_error_encode(aws_model("autoscaling", NULL), &error, "id-1", &xml);
	assert_string_equal(buf_text(&xml),
			    "<ErrorResponse xmlns=\"http://autoscaling.amazonaws.com/doc/"
			    "2011-01-01/\"><Error><Type>Sender</Type><Code>ValidationError</Code>"
			    "<Message>no &lt;a&gt;</Message></Error><RequestId>id-1</RequestId>"
			    "</ErrorResponse>");
	buf_clear(&xml);
	aws_error_set(&error, 400, "InvalidGroup.NotFound", "none");
	aws_error_encode(aws_model("ec2", NULL), &error, "id-1", &xml);
	assert_string_equal(buf_text(&xml),
			    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>"
			    "<Code>InvalidGroup.NotFound</Code><Message>none</Message></Error>"
			    "</Errors><RequestID>id-1</RequestID></Response>");
	buf_fini(&xml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rule_is_read_from_nested_pairs),
	    cmocka_unit_test(list_indexes_sort_as_numbers),
	    cmocka_unit_test(plus_and_percent_20_are_spaces),
	    cmocka_unit_test(what_is_sent_empty_counts_as_not_given),
	    cmocka_unit_test(ec2_lists_are_flat_and_singular),
	    cmocka_unit_test(numbers_and_times_are_typed),
	    cmocka_unit_test(maps_are_read_from_entries),
	    cmocka_unit_test(each_service_complains_in_its_own_words),
	    cmocka_unit_test(hostile_names_are_refused_or_ignored),
	    cmocka_unit_test(garbled_forms_are_refused),
	    cmocka_unit_test(a_form_gives_its_values_by_name),
	    cmocka_unit_test(query_answers_have_a_result_and_lists_of_members),
	    cmocka_unit_test(absent_lists_are_written_empty_and_scalars_left_out),
	    cmocka_unit_test(void_answers_have_a_result_only_where_aws_has_one),
	    cmocka_unit_test(ec2_answers_have_items_and_lower_camel_names),
	    cmocka_unit_test(errors_are_written_as_each_protocol_wants),
	};

	return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
