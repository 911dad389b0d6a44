/* lb/observe: counters by worker, and the access log's lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lb/observe/access_log.h"
#include "lb/observe/counters.h"

static void workers_numbers_are_summed(void **state)
{
	struct counters *counters = counters_new(2, NULL);
	struct group_counters *group = test_malloc(sizeof(*group));
	uint64_t lb[LB_COUNTER_COUNT];
	int slot, group_slot;

	(void)state;
	slot = counters_lb_slot(counters, "app/a/1", NULL);
	group_slot = counters_group_slot(counters, "targetgroup/a/1", NULL);
	assert_int_equal(counters_lb_slot(counters, "app/a/1", NULL), slot);
	assert_int_not_equal(counters_lb_slot(counters, "app/b/1", NULL), slot);
	for (unsigned lane = 0; lane < 2; lane++) {
		counter_add(&counters_lb(counters, lane, slot)->values[LB_COUNTER_REQUESTS],
			    lane + 3);
		hist_record(&counters_group(counters, lane, group_slot)->response_time_us, 1000);
	}
	counters_read_lb(counters, slot, lb);
	assert_int_equal(lb[LB_COUNTER_REQUESTS], 7);
	counters_read_group(counters, group_slot, group);
	assert_int_equal(atomic_load(&group->response_time_us.count), 2);
	assert_string_equal(lb_counter_info[LB_COUNTER_REQUESTS].name, "RequestCount");
	test_free(group);
	counters_free(counters);
}

static bool is_a(void *arg, const char *resource)
{
	(void)arg;
	return strcmp(resource, "app/a/1") == 0 || strcmp(resource, "targetgroup/a/1") == 0;
}

static uint64_t requests_of(struct counters *counters, int slot)
{
	uint64_t now[LB_COUNTER_COUNT];

	counters_read_lb(counters, (unsigned)slot, now);
	return now[LB_COUNTER_REQUESTS];
}

static void slots_of_what_was_deleted_are_used_again_after_a_while(void **state)
{
	struct counters *counters = counters_new(2, NULL);
	int a = counters_lb_slot(counters, "app/a/1", NULL);
	int b = counters_lb_slot(counters, "app/b/1", NULL);
	int group = counters_group_slot(counters, "targetgroup/b/1", NULL);
	struct lb_counters *lane = counters_lb(counters, 1, (unsigned)b);

	(void)state;
	counter_add(&counters_lb(counters, 0, (unsigned)a)->values[LB_COUNTER_REQUESTS], 5);
	counter_add(&lane->values[LB_COUNTER_REQUESTS], 7);
	counter_add(&lane->values[LB_COUNTER_ACTIVE_CONNECTIONS], 1);
	counters_sweep(counters, is_a, NULL, 1000);
	counters_sweep(counters, is_a, NULL, 1000 + COUNTERS_KEEP_MS - 1);
	assert_int_equal(counters_lb_slot(counters, "app/b/1", NULL), b);
	assert_int_equal(requests_of(counters, b), 7);
	/* Its time is over, but a connection is open still. */
	counters_sweep(counters, is_a, NULL, 1000 + COUNTERS_KEEP_MS);
	assert_int_equal(counters_lb_slot(counters, "app/b/1", NULL), b);
	assert_int_equal(counters_group_slot(counters, "targetgroup/c/1", NULL), group);
	counter_add(&lane->values[LB_COUNTER_ACTIVE_CONNECTIONS], (uint64_t)-1);
	counters_sweep(counters, is_a, NULL, 1001 + COUNTERS_KEEP_MS);
	assert_int_equal(counters_lb_slot(counters, "app/c/1", NULL), b);
	assert_int_equal(requests_of(counters, b), 0);
	assert_int_equal(counters_lb_slot(counters, "app/a/1", NULL), a);
	assert_int_equal(requests_of(counters, a), 5);
	counters_free(counters);
}

static char *read_all(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = test_calloc(1, 1 << 16);

	assert_non_null(file);
	assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
	fclose(file);
	return text;
}

static enum access_log_format format = ACCESS_LOG_ALB;

static void write_and_compare(const struct access_entry *entry, const char *expected)
{
	char path[] = "/tmp/albatross-test-XXXXXX", *text;
	int fd = mkstemp(path);
	struct access_log *log = access_log_open(path, format, 1, NULL);

	assert_true(fd >= 0);
	assert_non_null(log);
	access_log_write(log, 0, entry);
	access_log_close(log);
	text = read_all(path);
	assert_string_equal(text, expected);
	test_free(text);
	close(fd);
	unlink(path);
}

static void a_line_has_albs_fields_in_albs_order(void **state)
{
	struct access_entry entry = {
	    .type = "http",
	    .scheme = TEXT("http"),
	    .created_us = 1772352930099000,
	    .finished_us = 1772352930123456,
	    .elb = "app/shop/0a1b2c3d4e5f6071",
	    .client = "203.0.113.9:51514",
	    .target = "10.0.1.20:8080",
	    .request_us = 1000,
	    .target_us = 23456,
	    .response_us = 0,
	    .elb_status = 200,
	    .target_status = 200,
	    .received_bytes = 178,
	    .sent_bytes = 1042,
	    .method = TEXT("GET"),
	    .host = TEXT("shop.example:80"),
	    .uri = TEXT("/items?id=7"),
	    .version = "HTTP/1.1",
	    .user_agent = TEXT("odd \"agent\"\n"),
	    .target_group_arn = "arn:tg",
	    .trace_id = TEXT("Root=1-a-b"),
	    .rule_priority = 20,
	    .actions = "forward",
	    .connection_id = 1,
	    .node = "198.51.100.4",
	};

	(void)state;
	write_and_compare(
	    &entry,
	    "http 2026-03-01T08:15:30.123456Z app/shop/0a1b2c3d4e5f6071 203.0.113.9:51514 "
	    "10.0.1.20:8080 0.001 0.023 0.000 200 200 178 1042 "
	    "\"GET http://shop.example:80/items?id=7 HTTP/1.1\" \"odd \\x22agent\\x22\\x0a\" - - "
	    "arn:tg \"Root=1-a-b\" \"-\" \"-\" 20 2026-03-01T08:15:30.099000Z \"forward\" \"-\" "
	    "\"-\" \"10.0.1.20:8080\" \"200\" \"-\" \"-\" "
	    "TID_00000000000000019e3779b97f4a7c15 \"-\" \"-\" \"-\" 198.51.100.4\n");
}

static void what_could_not_be_parsed_is_dashes(void **state)
{
	struct access_entry entry = {
	    .type = "http",
	    .scheme = TEXT("http"),
	    .created_us = 1772352933500000,
	    .finished_us = 1772352934000000,
	    .elb = "app/shop/1",
	    .client = "203.0.113.12:1000",
	    .request_us = -1,
	    .target_us = -1,
	    .response_us = -1,
	    .elb_status = 400,
	    .sent_bytes = 272,
	    .host = TEXT("lb.example:80"),
	    .version = "HTTP/1.1",
	    .rule_priority = -1,
	};

	(void)state;
	write_and_compare(&entry,
			  "http 2026-03-01T08:15:34.000000Z app/shop/1 203.0.113.12:1000 - "
			  "-1 -1 -1 400 - 0 272 \"- http://lb.example:80- -\" \"-\" - - - "
			  "\"-\" \"-\" \"-\" - 2026-03-01T08:15:33.500000Z \"-\" \"-\" \"-\" "
			  "\"-\" \"-\" \"-\" \"-\" TID_00000000000000000000000000000000 "
			  "\"-\" \"-\" \"-\" -\n");
}

static void a_json_line_is_one_object(void **state)
{
	struct access_entry entry = {
	    .type = "http",
	    .scheme = TEXT("http"),
	    .created_us = 1772352930099000,
	    .finished_us = 1772352930123456,
	    .elb = "app/shop/1",
	    .client = "203.0.113.9:51514",
	    .request_us = -1,
	    .target_us = 23456,
	    .response_us = -1,
	    .elb_status = 200,
	    .method = TEXT("GET"),
	    .host = TEXT("shop.example:80"),
	    .uri = TEXT("/a"),
	    .version = "HTTP/1.1",
	    .user_agent = TEXT("odd \"agent\"\\\n\xff"),
	    .rule_priority = 0,
	    .connection_id = 1,
	};

	(void)state;
	format = ACCESS_LOG_JSON;
	write_and_compare(
	    &entry,
	    "{\"type\":\"http\",\"time\":\"2026-03-01T08:15:30.123456Z\",\"elb\":\"app/shop/1\","
	    "\"client\":\"203.0.113.9:51514\",\"target\":null,\"request_processing_time\":-1,"
	    "\"target_processing_time\":0.023,\"response_processing_time\":-1,"
	    "\"elb_status_code\":200,\"target_status_code\":null,\"received_bytes\":0,"
	    "\"sent_bytes\":0,\"request_verb\":\"GET\",\"request_url\":"
	    "\"http://shop.example:80/a\",\"request_proto\":\"HTTP/1.1\",\"user_agent\":"
	    "\"odd \\\"agent\\\"\\\\\\u000a\\u00ff\",\"target_group_arn\":null,\"trace_id\":null,"
	    "\"matched_rule_priority\":0,\"request_creation_time\":"
	    "\"2026-03-01T08:15:30.099000Z\",\"actions_executed\":null,\"redirect_url\":null,"
	    "\"error_reason\":null,\"classification\":null,\"classification_reason\":null,"
	    "\"conn_trace_id\":\"TID_00000000000000019e3779b97f4a7c15\","
	    "\"transformed_host\":null,\"transformed_uri\":null,"
	    "\"request_transform_status\":null,\"ip_address\":null}\n");
	format = ACCESS_LOG_ALB;
}

static void a_failing_disk_stops_nobody(void **state)
{
	static char agent[8000];
	struct access_entry entry = {.type = "http",
				     .elb = "app/x/1",
				     .host = TEXT("h"),
				     .version = "HTTP/1.1",
				     .user_agent = {agent, sizeof(agent)}};
	struct access_log *log = access_log_open("/dev/full", ACCESS_LOG_ALB, 1, NULL);

	(void)state;
	memset(agent, 'a', sizeof(agent));
	assert_non_null(log);
	for (int i = 0; i < 2000; i++)
		access_log_write(log, 0, &entry); /* nobody waits, whatever the disk does */
	access_log_close(log);
	assert_null(access_log_open("/nonexistent/x", ACCESS_LOG_ALB, 1, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(workers_numbers_are_summed),
	    cmocka_unit_test(slots_of_what_was_deleted_are_used_again_after_a_while),
	    cmocka_unit_test(a_line_has_albs_fields_in_albs_order),
	    cmocka_unit_test(what_could_not_be_parsed_is_dashes),
	    cmocka_unit_test(a_json_line_is_one_object),
	    cmocka_unit_test(a_failing_disk_stops_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
