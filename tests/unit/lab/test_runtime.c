/* The pure parts of lab/runtime, and what stands beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lab/ec2/base64.h"
#include "lab/ec2/defaults.h"
#include "lab/ec2/instance_types.h"
#include "lab/runtime/addresses.h"
#include "lab/runtime/console.h"
#include "lab/runtime/imds.h"
#include "lab/runtime/procs.h"
#include "lab/runtime/user_data.h"

static void a_subnets_addresses_leave_out_those_aws_keeps(void **state)
{
	struct addresses addresses;
	char text[16];

	(void)state;
	assert_int_equal(addresses_parse("127.31.16.0/20", &addresses), 0);
	assert_int_equal(addresses_count(&addresses), 4091);
	addresses_at(&addresses, 0, text);
	assert_string_equal(text, "127.31.16.4");
	addresses_at(&addresses, 4090, text);
	assert_string_equal(text, "127.31.31.254");
	addresses_at(&addresses, 4091, text);
	assert_string_equal(text, "127.31.16.4");
}

static void only_loopback_networks_are_taken(void **state)
{
	struct addresses addresses;

	(void)state;
	assert_int_equal(addresses_parse("10.0.0.0/16", &addresses), -1);
	assert_int_equal(addresses_parse("127.31.0.1/20", &addresses), -1);
	assert_int_equal(addresses_parse("127.31.0.0/30", &addresses), -1);
	assert_int_equal(addresses_parse("127.31.0.0", &addresses), -1);
	assert_int_equal(addresses_parse("nonsense/20", &addresses), -1);
}

static void user_data_kinds_are_told_by_their_start(void **state)
{
	const char *what;

	(void)state;
	assert_int_equal(user_data_kind((const unsigned char *)"", 0, &what), USER_DATA_NONE);
	assert_int_equal(user_data_kind((const unsigned char *)"#!/bin/sh\n", 10, &what),
			 USER_DATA_SCRIPT);
	assert_int_equal(user_data_kind((const unsigned char *)"#cloud-config\n", 14, &what),
			 USER_DATA_UNSUPPORTED);
	assert_string_equal(what, "#cloud-config");
	assert_int_equal(user_data_kind((const unsigned char *)"hello", 5, &what), USER_DATA_TEXT);
	assert_int_equal(user_data_kind((const unsigned char *)"#", 1, &what), USER_DATA_TEXT);
}

static void base64_is_read_with_and_without_padding(void **state)
{
	unsigned char *bytes;
	size_t len;

	(void)state;
	bytes = base64_decode("aGVsbG8=", &len);
	assert_int_equal(len, 5);
	assert_string_equal((char *)bytes, "hello");
	free(bytes);
	bytes = base64_decode("aGVs\nbG8", &len);
	assert_string_equal((char *)bytes, "hello");
	free(bytes);
	assert_null(base64_decode("a", &len));
	assert_null(base64_decode("aGVs*", &len));
	assert_null(base64_decode("aG==Vs", &len));
}

static void a_process_name_may_hold_brackets(void **state)
{
	struct proc proc;

	(void)state;
	assert_int_equal(procs_parse_stat("77 (a) b (c)) S 5 70 60 0 -1 4194304 99 1 2 3 10 20 "
					  "30 40 20 0 1 0 127309 3133440 380 18446744073709551615",
					  &proc),
			 0);
	assert_int_equal(proc.pid, 77);
	assert_int_equal(proc.ppid, 5);
	assert_int_equal(proc.sid, 60);
	assert_int_equal(proc.ticks, 100);
	assert_int_equal(procs_parse_stat("nonsense", &proc), -1);
	assert_int_equal(procs_parse_stat("77 (a) S 5", &proc), -1);
}

static void time_spent_waiting_for_a_core_is_read(void **state)
{
	(void)state;
	assert_int_equal(procs_parse_schedstat("123456789 98765432 17\n"), 98765);
	assert_int_equal(procs_parse_schedstat(""), 0);
	assert_int_equal(procs_parse_schedstat("nonsense"), 0);
}

static void descent_is_followed_through_generations(void **state)
{
	struct proc list[] = {
	    {.pid = 1, .ppid = 0, .ticks = 1000},  {.pid = 10, .ppid = 1, .ticks = 1},
	    {.pid = 11, .ppid = 10, .ticks = 20},  {.pid = 12, .ppid = 11, .ticks = 300},
	    {.pid = 13, .ppid = 1, .ticks = 4000},
	};
	struct procs procs = {.list = list, .n = 5};

	(void)state;
	assert_true(procs_descends(&procs, 12, 10));
	assert_false(procs_descends(&procs, 13, 10));
	assert_false(procs_descends(&procs, 99, 10));
	assert_int_equal(procs_ticks(&procs, 10), 321);
}

static void the_console_remembers_the_last_line(void **state)
{
	struct console console = {0};

	(void)state;
	assert_string_equal(console_last_line(&console), "");
	console_feed(&console, "one\ntw", 6);
	assert_string_equal(console_last_line(&console), "one");
	console_feed(&console, "o\n\n", 3);
	assert_string_equal(console_last_line(&console), "two");
	console_feed(&console, "\x01tab\t\n", 6);
	assert_string_equal(console_last_line(&console), "?tab?");
}

static void check_imds(const json_t *tree, const char *path, const char *expected)
{
	struct buf text = {0};
	bool is_found = imds_find(tree, path, &text);

	if (expected == NULL) {
		assert_false(is_found);
	} else {
		assert_true(is_found);
		assert_string_equal(buf_text(&text), expected);
	}
	buf_fini(&text);
}

static void metadata_is_found_by_path(void **state)
{
	json_t *tree = json_pack("{s:{s:s, s:{s:s}}, s:s, s:{s:s}}", "meta-data", "instance-id",
				 "i-1", "placement", "region", "us-east-1", "user-data",
				 "aGVsbG8=", "options", "HttpTokens", "required");

	(void)state;
	check_imds(tree, "/latest/meta-data/instance-id", "i-1");
	check_imds(tree, "/2021-03-23/meta-data/placement/region", "us-east-1");
	check_imds(tree, "/latest/meta-data/", "instance-id\nplacement/");
	check_imds(tree, "/latest/meta-data/placement", "region");
	check_imds(tree, "/latest/user-data", "hello");
	check_imds(tree, "/latest", "meta-data\nuser-data");
	check_imds(tree, "/latest/options", NULL);
	check_imds(tree, "/latest/meta-data/nothing", NULL);
	check_imds(tree, "/latest/meta-data/instance-id/more", NULL);
	check_imds(tree, "/earliest/meta-data", NULL);
	json_object_set_new(tree, "user-data", json_string(""));
	check_imds(tree, "/latest/user-data", NULL);
	json_decref(tree);
}

static void instance_types_are_known_or_follow_the_rule(void **state)
{
	struct instance_type type;

	(void)state;
	assert_int_equal(instance_type_find("t2.micro", &type), 0);
	assert_int_equal(type.vcpus, 1);
	assert_int_equal(instance_type_find("m5.4xlarge", &type), 0);
	assert_int_equal(type.vcpus, 16);
	assert_int_equal(type.cores, 8);
	assert_int_equal(type.memory_mib, 65536);
	assert_int_equal(instance_type_find("x9z.4xlarge", &type), -1);
	assert_int_equal(instance_type_find("t2", &type), -1);
	assert_int_equal(instance_type_find("t2.", &type), -1);
	assert_int_equal(instance_type_find("t2.huge", &type), -1);
}

static void zones_have_aws_ids(void **state)
{
	char text[DEFAULTS_ZONE_MAX];

	(void)state;
	defaults_zone_id("us-east-1", 0, text);
	assert_string_equal(text, "use1-az1");
	defaults_zone_id("ap-southeast-2", 2, text);
	assert_string_equal(text, "apse2-az3");
	defaults_zone_id("ca-central-1", 1, text);
	assert_string_equal(text, "cac1-az2");
	defaults_zone_name("eu-west-3", 1, text);
	assert_string_equal(text, "eu-west-3b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_subnets_addresses_leave_out_those_aws_keeps),
	    cmocka_unit_test(only_loopback_networks_are_taken),
	    cmocka_unit_test(user_data_kinds_are_told_by_their_start),
	    cmocka_unit_test(base64_is_read_with_and_without_padding),
	    cmocka_unit_test(a_process_name_may_hold_brackets),
	    cmocka_unit_test(time_spent_waiting_for_a_core_is_read),
	    cmocka_unit_test(descent_is_followed_through_generations),
	    cmocka_unit_test(the_console_remembers_the_last_line),
	    cmocka_unit_test(metadata_is_found_by_path),
	    cmocka_unit_test(instance_types_are_known_or_follow_the_rule),
	    cmocka_unit_test(zones_have_aws_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
