/* lab/ec2/template.h and launch templates through their handlers. */
#include "tests/unit/lab/fake_lab.inc"

#include "lab/ec2/template.h"

static void check_merge(const char *base_text, const char *over_text, const char *expected_text)
{
	json_t *base = json_loads(base_text, 0, NULL), *over = json_loads(over_text, 0, NULL);
	json_t *expected = json_loads(expected_text, 0, NULL);
	json_t *merged = template_merge(base, over);

	assert_true(json_equal(merged, expected));
	json_decref(base);
	json_decref(over);
	json_decref(expected);
	json_decref(merged);
}

static void a_request_replaces_its_templates_parameters(void **state)
{
	(void)state;
	check_merge("{\"ImageId\":\"a\",\"InstanceType\":\"t2.micro\"}",
		    "{\"InstanceType\":\"t3.small\"}",
		    "{\"ImageId\":\"a\",\"InstanceType\":\"t3.small\"}");
	check_merge("{\"Placement\":{\"Tenancy\":\"default\",\"GroupName\":\"g\"}}",
		    "{\"Placement\":{\"AvailabilityZone\":\"z\"}}",
		    "{\"Placement\":{\"AvailabilityZone\":\"z\"}}");
}

static void tag_specifications_are_merged_by_resource_type(void **state)
{
	(void)state;
	check_merge("{\"TagSpecifications\":[{\"ResourceType\":\"instance\",\"Tags\":[1]},"
		    "{\"ResourceType\":\"volume\",\"Tags\":[2]}]}",
		    "{\"TagSpecifications\":[{\"ResourceType\":\"instance\",\"Tags\":[3]}]}",
		    "{\"TagSpecifications\":[{\"ResourceType\":\"instance\",\"Tags\":[3]},"
		    "{\"ResourceType\":\"volume\",\"Tags\":[2]}]}");
}

static void security_groups_by_name_replace_those_by_id(void **state)
{
	(void)state;
	check_merge("{\"SecurityGroupIds\":[\"sg-1\"]}", "{\"SecurityGroups\":[\"default\"]}",
		    "{\"SecurityGroups\":[\"default\"]}");
}

static json_t *create_input(const char *name, const char *type)
{
	return json_pack("{s:s, s:{s:s, s:s}}", "LaunchTemplateName", name, "LaunchTemplateData",
			 "ImageId", FAKE_IMAGE, "InstanceType", type);
}

static void versions_are_numbered_and_the_default_is_chosen(void **state)
{
	struct fake_lab lab;
	json_t *answer;

	(void)state;
	fake_lab_init(&lab);
	json_decref(fake_ok(&lab, "CreateLaunchTemplate", create_input("web", "t2.micro")));
	answer =
	    fake_ok(&lab, "CreateLaunchTemplateVersion",
		    json_pack("{s:s, s:s, s:{s:s}}", "LaunchTemplateName", "web", "SourceVersion",
			      "1", "LaunchTemplateData", "InstanceType", "t3.small"));
	assert_int_equal(doc_int(doc_object(answer, "LaunchTemplateVersion"), "VersionNumber", 0),
			 2);
	/* Merged over the source: the image is still there. */
	assert_string_equal(
	    doc_str(doc_object(doc_object(answer, "LaunchTemplateVersion"), "LaunchTemplateData"),
		    "ImageId", ""),
	    FAKE_IMAGE);
	json_decref(answer);
	answer = fake_ok(&lab, "RunInstances",
			 json_pack("{s:i, s:i, s:{s:s}}", "MinCount", 1, "MaxCount", 1,
				   "LaunchTemplate", "LaunchTemplateName", "web"));
	assert_string_equal(
	    doc_str(json_array_get(doc_array(answer, "Instances"), 0), "InstanceType", ""),
	    "t2.micro");
	json_decref(answer);
	answer =
	    fake_ok(&lab, "RunInstances",
		    json_pack("{s:i, s:i, s:{s:s, s:s}}", "MinCount", 1, "MaxCount", 1,
			      "LaunchTemplate", "LaunchTemplateName", "web", "Version", "$Latest"));
	assert_string_equal(
	    doc_str(json_array_get(doc_array(answer, "Instances"), 0), "InstanceType", ""),
	    "t3.small");
	json_decref(answer);
	fake_lab_fini(&lab);
}

static void templates_that_are_not_there_have_codes_of_their_own(void **state)
{
	struct fake_lab lab;

	(void)state;
	fake_lab_init(&lab);
	json_decref(fake_ok(&lab, "CreateLaunchTemplate", create_input("web", "t2.micro")));
	fake_refused(&lab, "CreateLaunchTemplate", create_input("web", "t2.micro"),
		     "InvalidLaunchTemplateName.AlreadyExistsException");
	fake_refused(&lab, "CreateLaunchTemplate", create_input("x", "t2.micro"),
		     "InvalidLaunchTemplateName.MalformedException");
	fake_refused(&lab, "DescribeLaunchTemplates",
		     json_pack("{s:[s]}", "LaunchTemplateNames", "nope"),
		     "InvalidLaunchTemplateName.NotFoundException");
	fake_refused(&lab, "DescribeLaunchTemplates",
		     json_pack("{s:[s]}", "LaunchTemplateIds", "lt-00000000000000000"),
		     "InvalidLaunchTemplateId.NotFound");
	fake_refused(&lab, "DeleteLaunchTemplate",
		     json_pack("{s:s}", "LaunchTemplateId", "lt-nonsense"),
		     "InvalidLaunchTemplateId.Malformed");
	fake_refused(&lab, "RunInstances",
		     json_pack("{s:i, s:i, s:{s:s, s:s}}", "MinCount", 1, "MaxCount", 1,
			       "LaunchTemplate", "LaunchTemplateName", "web", "Version", "7"),
		     "InvalidLaunchTemplateId.VersionNotFound");
	fake_lab_fini(&lab);
}

static void deleting_a_template_deletes_its_versions(void **state)
{
	struct fake_lab lab;
	json_t *answer;

	(void)state;
	fake_lab_init(&lab);
	json_decref(fake_ok(&lab, "CreateLaunchTemplate", create_input("web", "t2.micro")));
	json_decref(
	    fake_ok(&lab, "DeleteLaunchTemplate", json_pack("{s:s}", "LaunchTemplateName", "web")));
	answer = ec2_scan(&lab.ec2, "ec2/launch-template");
	assert_int_equal(json_array_size(answer), 0);
	json_decref(answer);
	fake_lab_fini(&lab);
}

static void user_data_is_base64_of_at_most_16_kib(void **state)
{
	struct aws_error error = {0};
	char *large = malloc(30001);

	(void)state;
	assert_int_equal(template_check_user_data("", &error), 0);
	assert_int_equal(template_check_user_data("IyEvYmluL3No", &error), 0);
	assert_int_equal(template_check_user_data("IyEvYmluL3", &error), 0); /* no padding */
	assert_int_equal(template_check_user_data("not base64!", &error), -1);
	assert_string_equal(error.code, "InvalidUserData.Malformed");
	memset(large, 'A', 30000);
	large[21844] = '\0'; /* 16,383 bytes */
	assert_int_equal(template_check_user_data(large, &error), 0);
	large[21844] = 'A';
	large[30000] = '\0';
	assert_int_equal(template_check_user_data(large, &error), -1);
	assert_string_equal(error.code, "InvalidParameterValue");
	free(large);
}

static void user_data_of_16384_bytes_is_taken_and_one_more_is_not(void **state)
{
	struct aws_error error = {0};
	char text[21849];

	(void)state;
	memset(text, 'A', sizeof text);
	text[21848] = '\0';
	text[21847] = text[21846] = '='; /* 16,384 bytes: the last group holds one */
	assert_int_equal(template_check_user_data(text, &error), 0);
	text[21846] = 'A'; /* now two */
	assert_int_equal(template_check_user_data(text, &error), -1);
	assert_string_equal(error.code, "InvalidParameterValue");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_replaces_its_templates_parameters),
	    cmocka_unit_test(tag_specifications_are_merged_by_resource_type),
	    cmocka_unit_test(security_groups_by_name_replace_those_by_id),
	    cmocka_unit_test(versions_are_numbered_and_the_default_is_chosen),
	    cmocka_unit_test(templates_that_are_not_there_have_codes_of_their_own),
	    cmocka_unit_test(deleting_a_template_deletes_its_versions),
	    cmocka_unit_test(user_data_is_base64_of_at_most_16_kib),
	    cmocka_unit_test(user_data_of_16384_bytes_is_taken_and_one_more_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
