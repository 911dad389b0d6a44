/* common/aws/codec, client's side, alone and against the server's side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/aws/codec.h"

/* JSON with ' for " */
static json_t *json(const char *text)
{
	char *copy = strdup(text);
	json_error_t why;
	json_t *value;

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	value = json_loads(copy, 0, &why);
	if (!value)
		fail_msg("%s: %s", copy, why.text);
	free(copy);
	return value;
}

static void assert_json(const json_t *got, const json_t *want)
{
	char *text = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS);
	char *wanted = json_dumps(want, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(text, wanted);
	free(text);
	free(wanted);
}

static void expect_form(const char *service, const char *action, const char *input_text,
			const char *want)
{
	const struct aws_model *model = aws_model(service, NULL);
	json_t *input = json(input_text);
	struct buf form = {0};
	struct err err = {0};

	if (aws_request_encode(model, aws_operation_find(model, action), input, &form, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(buf_text(&form), want);
	buf_fini(&form);
	json_decref(input);
}

/* What the client sends, the server reads. */
static void round_trip(const char *service, const char *action, const char *input_text)
{
	const struct aws_model *model = aws_model(service, NULL);
	const struct aws_operation *operation = aws_operation_find(model, action);
	json_t *input = json(input_text), *got;
	struct aws_error error = {0};
	struct buf text = {0};
	struct err err = {0};
	struct aws_form *form;

	if (aws_request_encode(model, operation, input, &text, &err) < 0)
		fail_msg("%s", err.text);
	form = aws_form_parse(text.data, text.len, &error);
	assert_non_null(form);
	got = aws_request_decode(model, operation, form, &error);
	if (!got)
		fail_msg("%s: %s", error.code, error.message);
	assert_json(got, input);
	json_decref(got);
	json_decref(input);
	aws_form_free(form);
	buf_fini(&text);
}

/* What the server answers, the client reads. */
static void round_trip_answer(const char *service, const char *action, const char *output_text)
{
	const struct aws_model *model = aws_model(service, NULL);
	const struct aws_operation *operation = aws_operation_find(model, action);
	json_t *output = json(output_text), *got;
	struct aws_error error = {0};
	struct buf xml = {0};

	aws_response_encode(model, operation, output, "id", &xml);
	got = aws_response_decode(model, operation, xml.data, xml.len, &error);
	if (!got)
		fail_msg("%s in %s", error.message, buf_text(&xml));
	assert_json(got, output);
	json_decref(got);
	json_decref(output);
	buf_fini(&xml);
}

static void requests_are_spelled_as_sdks_do(void **state)
{
	(void)state;
	expect_form("ec2", "DescribeInstances",
		    "{'Filters':[{'Name':'tag:Name','Values':['a b','ü']}],'InstanceIds':['i-1'],"
		    "'DryRun':false,'MaxResults':5}",
		    "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3AName"
		    "&Filter.1.Value.1=a%20b&Filter.1.Value.2=%C3%BC&InstanceId.1=i-1"
		    "&DryRun=false&MaxResults=5");
	expect_form("autoscaling", "DescribeAutoScalingGroups",
		    "{'AutoScalingGroupNames':['a','b'],'NextToken':null}",
		    "Action=DescribeAutoScalingGroups&Version=2011-01-01"
		    "&AutoScalingGroupNames.member.1=a&AutoScalingGroupNames.member.2=b");
	expect_form("elasticloadbalancing", "DescribeTargetGroups", "{'Names':[]}",
		    "Action=DescribeTargetGroups&Version=2015-12-01&Names=");
}

static void a_request_that_does_not_fit_is_an_error(void **state)
{
	const struct aws_model *model = aws_model("ec2", NULL);
	json_t *input = json("{'MinCount':1,'MaxCount':1,'ImageID':'ami-1'}");
	struct buf form = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(aws_request_encode(model, aws_operation_find(model, "RunInstances"), input,
					    &form, &err),
			 -1);
	assert_string_equal(err.text, "ec2 RunInstances: ImageID: no such member (did you mean "
				      "ImageId?)");
	json_decref(input);
	buf_fini(&form);
}

static void requests_survive_the_round_trip(void **state)
{
	(void)state;
	round_trip("ec2", "RunInstances",
		   "{'ImageId':'ami-1','MinCount':1,'MaxCount':3,'ClientToken':'x',"
		   "'UserData':'aGk=','BlockDeviceMappings':[{'DeviceName':'/dev/xvda','Ebs':"
		   "{'VolumeSize':8,'DeleteOnTermination':true}}],'NetworkInterfaces':[{"
		   "'DeviceIndex':0,'Groups':['sg-1','sg-2'],'PrivateIpAddresses':[{'Primary':true,"
		   "'PrivateIpAddress':'10.0.0.1'}]}],'TagSpecifications':[{'ResourceType':"
		   "'instance','Tags':[{'Key':'a','Value':''},{'Key':'b','Value':'1 & 2'}]}],"
		   "'LaunchTemplate':{'LaunchTemplateName':'lt-web','Version':'$Latest'}}");
	round_trip("elasticloadbalancing", "CreateRule",
		   "{'ListenerArn':'l','Priority':5,'Conditions':[{'Field':'query-string',"
		   "'QueryStringConfig':{'Values':[{'Key':'k','Value':'v*'},{'Value':'x'}]}}],"
		   "'Actions':[{'Type':'forward','Order':1,'ForwardConfig':{'TargetGroups':[{"
		   "'TargetGroupArn':'t','Weight':0}],'TargetGroupStickinessConfig':{'Enabled':"
		   "false}}}],'Tags':[{'Key':'k','Value':''}]}");
	round_trip("monitoring", "PutMetricData",
		   "{'Namespace':'N','MetricData':[{'MetricName':'m','Dimensions':[{'Name':'a',"
		   "'Value':'b'}],'Timestamp':'2026-12-01T09:00:00Z','Values':[0.1,50.0,1e-7],"
		   "'Counts':[1.0,2.0,3.0],'Unit':'Seconds','StorageResolution':1},{'MetricName':"
		   "'n','StatisticValues':{'SampleCount':1.0,'Sum':2.5,'Minimum':2.5,'Maximum':"
		   "2.5}}]}");
	round_trip("autoscaling", "PutScalingPolicy",
		   "{'AutoScalingGroupName':'web','PolicyName':'cpu','PolicyType':"
		   "'TargetTrackingScaling','TargetTrackingConfiguration':{"
		   "'CustomizedMetricSpecification':{'MetricName':'m','Namespace':'n','Statistic':"
		   "'Average','Dimensions':[{'Name':'d','Value':'v'}]},'TargetValue':50.5,"
		   "'DisableScaleIn':false},'StepAdjustments':[{'MetricIntervalLowerBound':0.0,"
		   "'ScalingAdjustment':-1}]}");
	round_trip("sts", "GetCallerIdentity", "{}");
}

static void answers_survive_the_round_trip(void **state)
{
	(void)state;
	round_trip_answer(
	    "ec2", "DescribeInstances",
	    "{'Reservations':[{'ReservationId':'r-1','OwnerId':'000000000000','Groups':[],"
	    "'Instances':[{'InstanceId':'i-1','AmiLaunchIndex':0,'State':{'Code':16,"
	    "'Name':'running'},'LaunchTime':'2026-11-21T00:31:08.000Z','PrivateIpAddress':"
	    "'10.0.0.1','SecurityGroups':[{'GroupId':'sg-1','GroupName':'default'}],"
	    "'Tags':[{'Key':'Name','Value':'<web> & \\r\\n\\t'}],'BlockDeviceMappings':[],"
	    "'EbsOptimized':false}]}]}");
	round_trip_answer("monitoring", "GetMetricStatistics",
			  "{'Label':'m','Datapoints':[{'Timestamp':'2026-11-21T00:31:00Z',"
			  "'Average':12.5,'Unit':'Percent','ExtendedStatistics':{'p99':1.5}}]}");
	round_trip_answer("autoscaling", "DescribeScalingActivities",
			  "{'Activities':[{'ActivityId':'a','AutoScalingGroupName':'web','Cause':"
			  "'At 2026 ü','StartTime':'2026-11-21T00:31:00.123Z','StatusCode':"
			  "'Successful','Progress':100}],'NextToken':'t'}");
	round_trip_answer("elasticloadbalancing", "DescribeTargetHealth",
			  "{'TargetHealthDescriptions':[{'Target':{'Id':'i-1','Port':80},"
			  "'TargetHealth':{'State':'healthy'}}]}");
	round_trip_answer("sts", "GetCallerIdentity", "{'Account':'000000000000','UserId':'u'}");
	round_trip_answer("autoscaling", "SetDesiredCapacity", "{}");
	round_trip_answer("ec2", "CreateTags", "{}");
}

static void expect_refused(const char *xml)
{
	const struct aws_model *model = aws_model("sts", NULL);
	struct aws_error error = {0};

	assert_null(aws_response_decode(model, aws_operation_find(model, "GetCallerIdentity"), xml,
					strlen(xml), &error));
	assert_string_equal(error.code, "MalformedResponse");
	assert_int_equal(error.http_status, 502);
}

static void answers_that_lie_are_refused(void **state)
{
	(void)state;
	expect_refused("");
	expect_refused("not xml");
	expect_refused("{}");
	expect_refused("<GetCallerIdentityResponse>");
	expect_refused("<OtherResponse/>");
	expect_refused("<GetCallerIdentityResponse/>");
	expect_refused("<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>"
		       "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>&b;</Arn>"
		       "</GetCallerIdentityResult></GetCallerIdentityResponse>");
	expect_refused("<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>&b;</Arn>"
		       "</GetCallerIdentityResult></GetCallerIdentityResponse>");
}

static void an_empty_number_in_an_answer_is_none(void **state)
{
	const char *xml = "<DescribeTargetHealthResponse><DescribeTargetHealthResult>"
			  "<TargetHealthDescriptions><member><Target><Id>i</Id><Port/></Target>"
			  "<New>x</New></member></TargetHealthDescriptions>"
			  "</DescribeTargetHealthResult></DescribeTargetHealthResponse>";
	const struct aws_model *model = aws_model("elasticloadbalancing", NULL);
	json_t *want = json("{'TargetHealthDescriptions':[{'Target':{'Id':'i'}}]}");
	struct aws_error error = {0};
	json_t *got = aws_response_decode(model, aws_operation_find(model, "DescribeTargetHealth"),
					  xml, strlen(xml), &error);

	(void)state;
	assert_json(got, want);
	json_decref(got);
	json_decref(want);
}

static void expect_decoded_error(int status, const char *body, const char *code,
				 const char *message)
{
	struct aws_error error = {0};

	aws_error_decode(status, body, body ? strlen(body) : 0, &error);
	assert_int_equal(error.http_status, status);
	assert_string_equal(error.code, code);
	assert_string_equal(error.message, message);
}

static void errors_of_both_protocols_are_read(void **state)
{
	static const char *const services[] = {"ec2", "autoscaling"};
	struct aws_error error;
	struct buf xml = {0};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		buf_clear(&xml);
		aws_error_set(&error, 400, "InvalidGroup.NotFound", "no such <group>");
		aws_error_encode(aws_model(services[i], NULL), &error, "id", &xml);
		expect_decoded_error(400, buf_text(&xml), "InvalidGroup.NotFound",
				     "no such <group>");
	}
	buf_fini(&xml);
}

static void an_error_without_a_readable_body_goes_by_its_status(void **state)
{
	(void)state;
	expect_decoded_error(503, "<html>busy</html>", "ServiceUnavailable",
			     "HTTP status 503 without an AWS error in the body");
	expect_decoded_error(429, NULL, "Throttling",
			     "HTTP status 429 without an AWS error in the body");
	expect_decoded_error(418, "", "UnknownError",
			     "HTTP status 418 without an AWS error in the body");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_spelled_as_sdks_do),
	    cmocka_unit_test(a_request_that_does_not_fit_is_an_error),
	    cmocka_unit_test(requests_survive_the_round_trip),
	    cmocka_unit_test(answers_survive_the_round_trip),
	    cmocka_unit_test(answers_that_lie_are_refused),
	    cmocka_unit_test(an_empty_number_in_an_answer_is_none),
	    cmocka_unit_test(errors_of_both_protocols_are_read),
	    cmocka_unit_test(an_error_without_a_readable_body_goes_by_its_status),
	};

	return cmocka_run_group_tests_name("codec_client", tests, NULL, NULL);
}
