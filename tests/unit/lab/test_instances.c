/* Instances through their handlers, with a runtime that only notes what it is asked. */
#include "tests/unit/lab/fake_lab.inc"

static json_t *run_input(const char *token, const char *zone, int max)
{
	json_t *input = json_pack("{s:s, s:i, s:i, s:s*}", "ImageId", FAKE_IMAGE, "MinCount", 1,
				  "MaxCount", max, "ClientToken", token);

	if (zone != NULL)
		json_object_set_new(input, "Placement",
				    json_pack("{s:s}", "AvailabilityZone", zone));
	return input;
}

static void first_id(const json_t *answer, char id[64])
{
	snprintf(id, 64, "%s",
		 doc_str(json_array_get(doc_array(answer, "Instances"), 0), "InstanceId", ""));
}

static void the_same_token_gives_the_same_instances(void **state)
{
	struct fake_lab lab;
	char one[64], two[64];
	json_t *answer;

	(void)state;
	fake_lab_init(&lab);
	answer = fake_ok(&lab, "RunInstances", run_input("token-1", NULL, 2));
	first_id(answer, one);
	assert_int_equal(json_array_size(doc_array(answer, "Instances")), 2);
	json_decref(answer);
	ec2_on_running(&lab.ec2, one);
	answer = fake_ok(&lab, "RunInstances", run_input("token-1", NULL, 2));
	assert_int_equal(json_array_size(doc_array(answer, "Instances")), 2);
	first_id(answer, two);
	json_decref(answer);
	assert_string_equal(one, two);
	assert_int_equal(lab.n_started, 2);
	fake_refused(&lab, "RunInstances", run_input("token-1", NULL, 1),
		     "IdempotentParameterMismatch");
	fake_lab_fini(&lab);
}

static void tokens_are_zonal_when_the_request_names_a_zone(void **state)
{
	struct fake_lab lab;

	(void)state;
	fake_lab_init(&lab);
	json_decref(fake_ok(&lab, "RunInstances", run_input("t", "us-east-1a", 1)));
	json_decref(fake_ok(&lab, "RunInstances", run_input("t", "us-east-1b", 1)));
	json_decref(fake_ok(&lab, "RunInstances", run_input("t", "us-east-1b", 1)));
	assert_int_equal(lab.n_started, 2);
	fake_lab_fini(&lab);
}

static void a_token_is_good_for_a_day(void **state)
{
	struct fake_lab lab;

	(void)state;
	fake_lab_init(&lab);
	json_decref(fake_ok(&lab, "RunInstances", run_input("t", NULL, 1)));
	lab.clock.virtual_ms += 23 * 3600 * 1000;
	ec2_sweep(&lab.ec2);
	json_decref(fake_ok(&lab, "RunInstances", run_input("t", NULL, 1)));
	assert_int_equal(lab.n_started, 1);
	lab.clock.virtual_ms += 2 * 3600 * 1000;
	ec2_sweep(&lab.ec2);
	json_decref(fake_ok(&lab, "RunInstances", run_input("t", NULL, 1)));
	assert_int_equal(lab.n_started, 2);
	fake_lab_fini(&lab);
}

static void an_instance_lives_and_ends(void **state)
{
	struct fake_lab lab;
	char id[64], text[32];
	json_t *answer;

	(void)state;
	fake_lab_init(&lab);
	fake_run(&lab, id);
	assert_string_equal(fake_state(&lab, id, text), "pending");
	ec2_on_running(&lab.ec2, id);
	assert_string_equal(fake_state(&lab, id, text), "running");
	answer = fake_ok(&lab, "TerminateInstances", json_pack("{s:[s]}", "InstanceIds", id));
	assert_string_equal(
	    doc_str(doc_object(json_array_get(doc_array(answer, "TerminatingInstances"), 0),
			       "CurrentState"),
		    "Name", ""),
	    "shutting-down");
	json_decref(answer);
	assert_string_equal(lab.last_stopped, id);
	ec2_on_ended(&lab.ec2, id, "", "");
	assert_string_equal(fake_state(&lab, id, text), "terminated");
	assert_int_equal(lab.n_released, 1);
	/* Again is fine and does nothing. */
	json_decref(fake_ok(&lab, "TerminateInstances", json_pack("{s:[s]}", "InstanceIds", id)));
	assert_int_equal(lab.n_stopped, 1);
	fake_lab_fini(&lab);
}

static void an_instance_that_ends_of_itself_says_why(void **state)
{
	struct fake_lab lab;
	json_t *answer, *instance;
	char id[64];

	(void)state;
	fake_lab_init(&lab);
	fake_run(&lab, id);
	ec2_on_ended(&lab.ec2, id, "Client.InternalError", "Client.InternalError: no such file");
	answer = fake_ok(&lab, "DescribeInstances", json_pack("{s:[s]}", "InstanceIds", id));
	instance = json_array_get(
	    doc_array(json_array_get(doc_array(answer, "Reservations"), 0), "Instances"), 0);
	assert_string_equal(doc_str(doc_object(instance, "State"), "Name", ""), "terminated");
	assert_string_equal(doc_str(doc_object(instance, "StateReason"), "Code", ""),
			    "Client.InternalError");
	assert_false(doc_has(instance, "PrivateIpAddress"));
	assert_false(doc_has(instance, "Lab"));
	json_decref(answer);
	fake_lab_fini(&lab);
}

static void stopping_keeps_the_address_and_starting_boots_again(void **state)
{
	struct fake_lab lab;
	char id[64], text[32];

	(void)state;
	fake_lab_init(&lab);
	fake_run(&lab, id);
	fake_refused(&lab, "StopInstances", json_pack("{s:[s]}", "InstanceIds", id),
		     "IncorrectInstanceState");
	ec2_on_running(&lab.ec2, id);
	json_decref(fake_ok(&lab, "StopInstances", json_pack("{s:[s]}", "InstanceIds", id)));
	assert_string_equal(fake_state(&lab, id, text), "stopping");
	ec2_on_ended(&lab.ec2, id, "", "");
	assert_string_equal(fake_state(&lab, id, text), "stopped");
	assert_int_equal(lab.n_released, 0);
	json_decref(fake_ok(&lab, "StartInstances", json_pack("{s:[s]}", "InstanceIds", id)));
	assert_string_equal(fake_state(&lab, id, text), "pending");
	assert_int_equal(lab.n_started, 2);
	ec2_on_running(&lab.ec2, id);
	json_decref(fake_ok(&lab, "RebootInstances", json_pack("{s:[s]}", "InstanceIds", id)));
	ec2_on_ended(&lab.ec2, id, "", "");
	assert_string_equal(fake_state(&lab, id, text), "running");
	assert_int_equal(lab.n_started, 3);
	fake_lab_fini(&lab);
}

static void one_bad_id_changes_nothing(void **state)
{
	struct fake_lab lab;
	char id[64];

	(void)state;
	fake_lab_init(&lab);
	fake_run(&lab, id);
	fake_refused(&lab, "TerminateInstances",
		     json_pack("{s:[s, s]}", "InstanceIds", id, "i-00000000000000000"),
		     "InvalidInstanceID.NotFound");
	fake_refused(&lab, "TerminateInstances",
		     json_pack("{s:[s, s]}", "InstanceIds", id, "i-nonsense"),
		     "InvalidInstanceID.Malformed");
	assert_int_equal(lab.n_stopped, 0);
	fake_lab_fini(&lab);
}

static void protected_instances_are_not_terminated(void **state)
{
	struct fake_lab lab;
	json_t *input = run_input(NULL, NULL, 1), *answer;
	char id[64];

	(void)state;
	fake_lab_init(&lab);
	json_object_set_new(input, "DisableApiTermination", json_true());
	answer = fake_ok(&lab, "RunInstances", input);
	first_id(answer, id);
	json_decref(answer);
	fake_refused(&lab, "TerminateInstances", json_pack("{s:[s]}", "InstanceIds", id),
		     "OperationNotPermitted");
	fake_lab_fini(&lab);
}

static void bad_launches_are_refused(void **state)
{
	struct fake_lab lab;
	json_t *input;

	(void)state;
	fake_lab_init(&lab);
	fake_refused(&lab, "RunInstances", json_pack("{s:i, s:i}", "MinCount", 1, "MaxCount", 1),
		     "MissingParameter");
	input = run_input(NULL, NULL, 1);
	json_object_set_new(input, "ImageId", json_string("ami-12345678901234567"));
	fake_refused(&lab, "RunInstances", input, "InvalidAMIID.NotFound");
	input = run_input(NULL, NULL, 1);
	json_object_set_new(input, "InstanceType", json_string("t9.enormous"));
	fake_refused(&lab, "RunInstances", input, "InvalidParameterValue");
	input = run_input(NULL, NULL, 1);
	json_object_set_new(input, "UserData", json_string("%%%"));
	fake_refused(&lab, "RunInstances", input, "InvalidUserData.Malformed");
	input = run_input(NULL, NULL, 1);
	json_object_set_new(input, "SubnetId", json_string("subnet-00000000000000000"));
	fake_refused(&lab, "RunInstances", input, "InvalidSubnetID.NotFound");
	input = run_input(NULL, NULL, 1);
	json_object_set_new(input, "SecurityGroupIds", json_pack("[s]", "sg-00000000000000000"));
	fake_refused(&lab, "RunInstances", input, "InvalidGroup.NotFound");
	fake_refused(&lab, "RunInstances", run_input(NULL, "eu-west-3a", 1),
		     "InvalidParameterValue");
	input = run_input(NULL, NULL, 1);
	json_object_set_new(input, "DryRun", json_true());
	fake_refused(&lab, "RunInstances", input, "DryRunOperation");
	assert_int_equal(lab.n_leased, 0);
	fake_lab_fini(&lab);
}

static void as_many_as_fit_between_min_and_max_are_launched(void **state)
{
	struct fake_lab lab;
	json_t *input, *answer;

	(void)state;
	fake_lab_init(&lab);
	lab.addresses_left = 3;
	answer = fake_ok(&lab, "RunInstances", run_input(NULL, NULL, 5));
	assert_int_equal(json_array_size(doc_array(answer, "Instances")), 3);
	json_decref(answer);
	lab.addresses_left = 1;
	input = run_input(NULL, NULL, 2);
	json_object_set_new(input, "MinCount", json_integer(2));
	fake_refused(&lab, "RunInstances", input, "InsufficientFreeAddressesInSubnet");
	assert_int_equal(lab.n_started, 3);
	assert_int_equal(lab.n_released, 1); /* the address that was not enough */
	fake_lab_fini(&lab);
}

static void launches_without_a_place_are_spread_over_zones(void **state)
{
	struct fake_lab lab;
	json_t *zones = json_object(), *all, *one;
	char id[64];
	size_t i;

	(void)state;
	fake_lab_init(&lab);
	for (int n = 0; n < 3; n++)
		fake_run(&lab, id);
	all = ec2_scan(&lab.ec2, ec2_instances.folder);
	json_array_foreach (all, i, one)
		json_object_set_new(zones,
				    doc_str(doc_object(one, "Placement"), "AvailabilityZone", ""),
				    json_true());
	assert_int_equal(json_object_size(zones), 3);
	json_decref(zones);
	json_decref(all);
	fake_lab_fini(&lab);
}

static void answers_come_in_pages(void **state)
{
	struct fake_lab lab;
	json_t *answer, *input;
	char id[64], token[600] = "";
	size_t seen = 0;

	(void)state;
	fake_lab_init(&lab);
	for (int i = 0; i < 12; i++)
		fake_run(&lab, id);
	do {
		input = json_pack("{s:i}", "MaxResults", 5);
		if (token[0] != '\0')
			json_object_set_new(input, "NextToken", json_string(token));
		answer = fake_ok(&lab, "DescribeInstances", input);
		seen += json_array_size(doc_array(answer, "Reservations"));
		snprintf(token, sizeof(token), "%s", doc_str(answer, "NextToken", ""));
		json_decref(answer);
	} while (token[0] != '\0');
	assert_int_equal(seen, 12);
	fake_refused(&lab, "DescribeInstances",
		     json_pack("{s:i, s:s}", "MaxResults", 5, "NextToken", "xyz"),
		     "InvalidNextToken");
	fake_refused(&lab, "DescribeInstances",
		     json_pack("{s:i, s:[s]}", "MaxResults", 5, "InstanceIds", id),
		     "InvalidParameterCombination");
	fake_lab_fini(&lab);
}

static void terminated_instances_are_forgotten_in_time(void **state)
{
	struct fake_lab lab;
	char id[64], text[32];

	(void)state;
	fake_lab_init(&lab);
	fake_run(&lab, id);
	ec2_on_ended(&lab.ec2, id, "", "");
	ec2_sweep(&lab.ec2);
	assert_string_equal(fake_state(&lab, id, text), "terminated");
	lab.clock.virtual_ms += 11 * 60 * 1000;
	ec2_sweep(&lab.ec2);
	assert_string_equal(fake_state(&lab, id, text), "");
	fake_lab_fini(&lab);
}

static void instances_of_an_earlier_run_are_ended_at_start(void **state)
{
	struct fake_lab lab;
	struct err err = {0};
	char id[64], text[32];

	(void)state;
	fake_lab_init(&lab);
	fake_run(&lab, id);
	assert_int_equal(ec2_start(&lab.ec2, &err), 0);
	assert_string_equal(fake_state(&lab, id, text), "terminated");
	fake_lab_fini(&lab);
}

static void tags_are_set_found_and_deleted(void **state)
{
	struct fake_lab lab;
	json_t *answer;
	char id[64];

	(void)state;
	fake_lab_init(&lab);
	fake_run(&lab, id);
	json_decref(fake_ok(&lab, "CreateTags",
			    json_pack("{s:[s], s:[{s:s, s:s}]}", "Resources", id, "Tags", "Key",
				      "Name", "Value", "web")));
	answer = fake_ok(
	    &lab, "DescribeInstances",
	    json_pack("{s:[{s:s, s:[s]}]}", "Filters", "Name", "tag:Name", "Values", "w?b"));
	assert_int_equal(json_array_size(doc_array(answer, "Reservations")), 1);
	json_decref(answer);
	fake_refused(&lab, "CreateTags",
		     json_pack("{s:[s], s:[{s:s, s:s}]}", "Resources", id, "Tags", "Key",
			       "aws:mine", "Value", "x"),
		     "InvalidParameterValue");
	json_decref(
	    fake_ok(&lab, "DeleteTags",
		    json_pack("{s:[s], s:[{s:s}]}", "Resources", id, "Tags", "Key", "Name")));
	answer = fake_ok(&lab, "DescribeTags", json_object());
	assert_int_equal(json_array_size(doc_array(answer, "Tags")), 0);
	json_decref(answer);
	fake_lab_fini(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_same_token_gives_the_same_instances),
	    cmocka_unit_test(tokens_are_zonal_when_the_request_names_a_zone),
	    cmocka_unit_test(a_token_is_good_for_a_day),
	    cmocka_unit_test(an_instance_lives_and_ends),
	    cmocka_unit_test(an_instance_that_ends_of_itself_says_why),
	    cmocka_unit_test(stopping_keeps_the_address_and_starting_boots_again),
	    cmocka_unit_test(one_bad_id_changes_nothing),
	    cmocka_unit_test(protected_instances_are_not_terminated),
	    cmocka_unit_test(bad_launches_are_refused),
	    cmocka_unit_test(as_many_as_fit_between_min_and_max_are_launched),
	    cmocka_unit_test(launches_without_a_place_are_spread_over_zones),
	    cmocka_unit_test(answers_come_in_pages),
	    cmocka_unit_test(terminated_instances_are_forgotten_in_time),
	    cmocka_unit_test(instances_of_an_earlier_run_are_ended_at_start),
	    cmocka_unit_test(tags_are_set_found_and_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
