/*
 * What RunInstances is asked for.
 */
#include "scaler/cloud/rim_parts.h"
#include "tests/unit/scaler/engine_world.h"

static json_t *input_for(struct world *world, const json_t *templates, const char *zone,
			 const char *subnet)
{
	struct action action = {.kind = ACTION_LAUNCH, .count = 2};
	struct err err = {0};
	json_t *input;

	snprintf(action.token, sizeof action.token, "token-1");
	snprintf(action.zone, sizeof action.zone, "%s", zone);
	snprintf(action.subnet_id, sizeof action.subnet_id, "%s", subnet);
	input = launch_input(world->group, templates, &action, &err);
	assert_non_null(input);
	return input;
}

static const char *tag(const json_t *input, const char *key)
{
	const json_t *spec = json_array_get(doc_array(input, "TagSpecifications"), 0);

	return doc_kv_get(doc_array(spec, "Tags"), key, "");
}

static json_t *templates(const char *more)
{
	struct err err = {0};
	char text[1024];

	snprintf(text, sizeof text,
		 "[{\"LaunchTemplateName\": \"students\", \"LaunchTemplateData\": {\"ImageId\": "
		 "\"ami-1\", \"InstanceType\": \"t2.micro\"%s}}]",
		 more);
	return doc_parse(text, strlen(text), "templates", &err);
}

static void a_template_of_ec2_is_named_and_the_instance_marked(void **state)
{
	struct world *world = world_new(1, 2, 1);
	json_t *input = input_for(world, NULL, "us-east-1a", "subnet-a");

	(void)state;
	assert_string_equal(doc_str(doc_object(input, "LaunchTemplate"), "LaunchTemplateName", ""),
			    "students");
	assert_string_equal(doc_str(input, "SubnetId", ""), "subnet-a");
	assert_string_equal(doc_str(input, "ClientToken", ""), "token-1");
	assert_int_equal(doc_int(input, "MinCount", 0), 1);
	assert_int_equal(doc_int(input, "MaxCount", 0), 2);
	assert_string_equal(tag(input, "albatross:autoscaling:groupName"), "web");
	json_decref(input);
	world_free(world);
}

static void a_template_of_the_file_is_expanded(void **state)
{
	struct world *world = world_new(1, 2, 1);
	json_t *list = templates(", \"UserData\": \"YQ==\", \"SecurityGroupIds\": [\"sg-1\"]");
	json_t *input = input_for(world, list, "us-east-1a", "");

	(void)state;
	assert_null(json_object_get(input, "LaunchTemplate"));
	assert_string_equal(doc_str(input, "ImageId", ""), "ami-1");
	assert_string_equal(doc_str(input, "UserData", ""), "YQ==");
	assert_string_equal(doc_str(doc_object(input, "Placement"), "AvailabilityZone", ""),
			    "us-east-1a");
	json_decref(input);
	json_decref(list);
	world_free(world);
}

static void the_subnet_goes_into_a_network_interface_if_there_is_one(void **state)
{
	struct world *world = world_new(1, 2, 1);
	json_t *list = templates(", \"NetworkInterfaces\": [{\"DeviceIndex\": 0}]");
	json_t *input = input_for(world, list, "us-east-1a", "subnet-a");
	const json_t *interface = json_array_get(doc_array(input, "NetworkInterfaces"), 0);

	(void)state;
	assert_null(json_object_get(input, "SubnetId"));
	assert_string_equal(doc_str(interface, "SubnetId", ""), "subnet-a");
	json_decref(input);
	json_decref(list);
	world_free(world);
}

static void the_groups_tags_win_over_the_templates(void **state)
{
	struct world *world = world_new(1, 2, 1);
	json_t *list = templates(", \"TagSpecifications\": [{\"ResourceType\": \"instance\", "
				 "\"Tags\": [{\"Key\": \"team\", \"Value\": \"red\"}, {\"Key\": "
				 "\"albatross:autoscaling:groupName\", \"Value\": \"other\"}]}]");
	json_t *tags =
	    json_pack("[{s:s, s:s, s:b}, {s:s, s:s, s:b}]", "Key", "team", "Value", "blue",
		      "PropagateAtLaunch", 1, "Key", "own", "Value", "x", "PropagateAtLaunch", 0);
	json_t *input;

	(void)state;
	json_object_set_new(world->group->document, "Tags", tags);
	input = input_for(world, list, "us-east-1a", "subnet-a");
	assert_string_equal(tag(input, "team"), "blue");
	assert_string_equal(tag(input, "own"), "");
	assert_string_equal(tag(input, "albatross:autoscaling:groupName"), "web");
	json_decref(input);
	json_decref(list);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_template_of_ec2_is_named_and_the_instance_marked),
	    cmocka_unit_test(a_template_of_the_file_is_expanded),
	    cmocka_unit_test(the_subnet_goes_into_a_network_interface_if_there_is_one),
	    cmocka_unit_test(the_groups_tags_win_over_the_templates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
