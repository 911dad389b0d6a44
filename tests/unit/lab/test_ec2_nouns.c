/* The generic half of EC2's handlers, and the small pure parts below it. */
#include "tests/unit/lab/fake_lab.inc"

#include "lab/ec2/cidr.h"
#include "lab/ec2/instance_types.h"
#include "lab/ec2/resource.h"
#include "lab/ec2/ssh_key.h"
#include "lab/ec2/template.h"

/* The string at member of the first element of the answer's list (taken over). */
static void first_of(json_t *answer, const char *list, const char *member, char text[64])
{
	snprintf(text, 64, "%s", doc_str(json_array_get(doc_array(answer, list), 0), member, ""));
	json_decref(answer);
}

static size_t count_of(struct fake_lab *lab, const struct ec2_noun *noun)
{
	return ec2_count_by(&lab->ec2, noun, NULL, "");
}

/* --- ranges --- */

static void ranges_are_read_and_compared(void **state)
{
	struct cidr a, b;
	char text[CIDR_TEXT_MAX];

	(void)state;
	assert_int_equal(cidr_parse("10.1.2.3/16", &a), 0);
	assert_string_equal(cidr_format(&a, text), "10.1.0.0/16");
	assert_int_equal(cidr_size(&a), 65536);
	assert_int_equal(cidr_parse("10.1.200.0/24", &b), 0);
	assert_true(cidr_contains(&a, &b));
	assert_false(cidr_contains(&b, &a));
	assert_true(cidr_overlaps(&b, &a));
	assert_int_equal(cidr_parse("10.2.0.0/24", &b), 0);
	assert_false(cidr_overlaps(&a, &b));
	assert_int_equal(cidr_parse("255.255.255.255/0", &a), 0);
	assert_string_equal(cidr_format(&a, text), "0.0.0.0/0");
	assert_true(cidr_contains(&a, &b));
}

static void what_is_no_range_is_refused(void **state)
{
	static const char *const bad[] = {"",
					  "10.0.0.0",
					  "10.0.0.0/",
					  "10.0.0.0/33",
					  "10.0.0/8",
					  "10.0.0.0/-1",
					  "10.0.0.0/8 ",
					  "10.0.0.0/ 8",
					  "a.b.c.d/8",
					  "1111.1111.1111.1111/8"};
	struct cidr cidr;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cidr_parse(bad[i], &cidr), -1);
}

/* --- keys --- */

static void a_generated_key_has_both_halves(void **state)
{
	struct ssh_key key;

	(void)state;
	assert_int_equal(ssh_key_generate(&key, "ed25519", "me"), 0);
	assert_memory_equal(key.public_line, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", 32);
	assert_memory_equal(key.private_pem, "-----BEGIN OPENSSH PRIVATE KEY-----\n", 36);
	assert_int_equal(strlen(key.fingerprint), 44);
	ssh_key_fini(&key);
	assert_int_equal(ssh_key_generate(&key, "rsa", "me"), 0);
	assert_memory_equal(key.private_pem, "-----BEGIN RSA PRIVATE KEY-----\n", 32);
	assert_int_equal(strlen(key.fingerprint), 20 * 3 - 1);
	ssh_key_fini(&key);
}

static void keys_that_are_cut_short_are_refused(void **state)
{
	/* "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA" and the like, in base64. */
	static const char *const bad[] = {
	    "",
	    "!",
	    "c3NoLXJzYQ==",
	    "c3NoLXJzYSBBQUFBQjNOemFDMXljMkU9",
	    "c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFB",
	    "c3NoLWVkMjU1MTkgLy8vLy8vLy8=",
	};
	struct ssh_key key;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ssh_key_import(&key, bad[i]), -1);
		ssh_key_fini(&key);
	}
}

/* --- types --- */

static void every_type_is_found_by_its_name(void **state)
{
	struct instance_type type, again;
	size_t n;

	(void)state;
	for (n = 0; instance_type_at(n, &type); n++) {
		assert_int_equal(instance_type_find(type.name, &again), 0);
		assert_int_equal(type.vcpus, again.vcpus);
		assert_true(type.vcpus >= 1 && type.memory_mib >= 512);
		assert_int_equal(type.vcpus % type.cores, 0);
	}
	assert_true(n > 300);
}

/* --- devices --- */

static void devices_of_a_request_lie_over_those_of_the_image(void **state)
{
	json_t *image = json_pack("[{s:s, s:{s:i, s:s, s:i}}, {s:s, s:{s:i}}]", "DeviceName", "a",
				  "Ebs", "VolumeSize", 8, "VolumeType", "io1", "Iops", 100,
				  "DeviceName", "b", "Ebs", "VolumeSize", 1);
	json_t *asked =
	    json_pack("[{s:s, s:{s:s}}, {s:s, s:s}, {s:s, s:{s:i}}, {s:s, s:s}]", "DeviceName", "a",
		      "Ebs", "VolumeType", "gp3", "DeviceName", "b", "NoDevice", "", "DeviceName",
		      "c", "Ebs", "VolumeSize", 5, "DeviceName", "d", "VirtualName", "ephemeral0");
	json_t *merged = template_merge_devices(image, asked);
	const json_t *first = json_array_get(merged, 0);

	(void)state;
	assert_int_equal(json_array_size(merged), 2);
	assert_string_equal(doc_str(doc_object(first, "Ebs"), "VolumeType", ""), "gp3");
	assert_int_equal(doc_int(doc_object(first, "Ebs"), "VolumeSize", 0), 8);
	assert_false(doc_has(doc_object(first, "Ebs"), "Iops"));
	assert_string_equal(doc_str(json_array_get(merged, 1), "DeviceName", ""), "c");
	json_decref(merged);
	json_decref(image);
	json_decref(asked);
}

/* --- nouns --- */

static void a_path_finds_exactly_its_text(void **state)
{
	json_t *document =
	    json_pack("{s:[{s:s}, {s:b}, {s:i}]}", "List", "A", "a*", "A", 1, "A", 7);

	(void)state;
	assert_true(filter_path_is(document, "List.A", "a*"));
	assert_false(filter_path_is(document, "List.A", "ab"));
	assert_true(filter_path_is(document, "List.A", "true"));
	assert_true(filter_path_is(document, "List.A", "7"));
	assert_false(filter_path_is(document, "List.B", "7"));
	assert_false(filter_path_is(NULL, "List", "7"));
	json_decref(document);
}

static void what_is_used_is_not_deleted(void **state)
{
	struct fake_lab lab;
	char vpc[64], subnet[64];

	(void)state;
	fake_lab_init(&lab);
	first_of(fake_ok(&lab, "DescribeVpcs", json_object()), "Vpcs", "VpcId", vpc);
	first_of(fake_ok(&lab, "DescribeSubnets", json_object()), "Subnets", "SubnetId", subnet);
	fake_refused(&lab, "DeleteVpc", json_pack("{s:s}", "VpcId", vpc), "DependencyViolation");
	json_decref(fake_ok(&lab, "DeleteSubnet", json_pack("{s:s}", "SubnetId", subnet)));
	assert_int_equal(count_of(&lab, &ec2_subnets), 2);
	fake_lab_fini(&lab);
}

static void a_dry_run_writes_nothing(void **state)
{
	static const char *const actions[] = {"CreateInternetGateway", "AllocateAddress",
					      "CreateDefaultVpc"};
	struct fake_lab lab;

	(void)state;
	fake_lab_init(&lab);
	for (size_t i = 0; i < 2; i++)
		fake_refused(&lab, actions[i], json_pack("{s:b}", "DryRun", 1), "DryRunOperation");
	/* What would fail says so, dry run or not. */
	fake_refused(&lab, actions[2], json_pack("{s:b}", "DryRun", 1), "DefaultVpcAlreadyExists");
	assert_int_equal(count_of(&lab, &ec2_internet_gateways), 1);
	assert_int_equal(count_of(&lab, &ec2_addresses), 0);
	fake_lab_fini(&lab);
}

static void the_end_of_an_instance_lets_go_what_it_had(void **state)
{
	struct fake_lab lab;
	json_t *answer;
	char id[64];

	(void)state;
	fake_lab_init(&lab);
	fake_run(&lab, id);
	ec2_on_running(&lab.ec2, id);
	assert_int_equal(count_of(&lab, &ec2_volumes), 1);
	assert_int_equal(count_of(&lab, &ec2_network_interfaces), 1);
	answer = fake_ok(&lab, "AllocateAddress", json_object());
	json_decref(fake_ok(&lab, "AssociateAddress",
			    json_pack("{s:s, s:s}", "AllocationId",
				      doc_str(answer, "AllocationId", ""), "InstanceId", id)));
	json_decref(answer);
	assert_int_equal(ec2_count_by(&lab.ec2, &ec2_addresses, "InstanceId", id), 1);
	ec2_on_ended(&lab.ec2, id, "Client.InternalError", "it broke");
	assert_int_equal(count_of(&lab, &ec2_volumes), 0);
	assert_int_equal(count_of(&lab, &ec2_network_interfaces), 0);
	assert_int_equal(ec2_count_by(&lab.ec2, &ec2_addresses, "InstanceId", id), 0);
	fake_lab_fini(&lab);
}

static void a_network_taken_away_does_not_come_back_with_a_restart(void **state)
{
	struct fake_lab lab;
	struct err err = {0};
	char id[64];

	(void)state;
	fake_lab_init(&lab);
	for (int i = 0; i < 3; i++) {
		first_of(fake_ok(&lab, "DescribeSubnets", json_object()), "Subnets", "SubnetId",
			 id);
		json_decref(fake_ok(&lab, "DeleteSubnet", json_pack("{s:s}", "SubnetId", id)));
	}
	assert_int_equal(ec2_start(&lab.ec2, &err), 0);
	assert_int_equal(count_of(&lab, &ec2_subnets), 0);
	assert_int_equal(count_of(&lab, &ec2_images), 8);
	fake_lab_fini(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ranges_are_read_and_compared),
	    cmocka_unit_test(what_is_no_range_is_refused),
	    cmocka_unit_test(a_generated_key_has_both_halves),
	    cmocka_unit_test(keys_that_are_cut_short_are_refused),
	    cmocka_unit_test(every_type_is_found_by_its_name),
	    cmocka_unit_test(devices_of_a_request_lie_over_those_of_the_image),
	    cmocka_unit_test(a_path_finds_exactly_its_text),
	    cmocka_unit_test(what_is_used_is_not_deleted),
	    cmocka_unit_test(a_dry_run_writes_nothing),
	    cmocka_unit_test(the_end_of_an_instance_lets_go_what_it_had),
	    cmocka_unit_test(a_network_taken_away_does_not_come_back_with_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
