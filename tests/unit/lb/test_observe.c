/* lb/observe: counters by worker, and the access log's lines. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lb/observe/access_log.h"
#include "lb/observe/counters.h"
#include "lb/observe/log_file.h"

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

/* ---- against a plain way of formatting ---- */

enum { MODEL_MAX = 1 << 18, TEXT_MAX = 24000 };

/* What the log would be if nothing were done for speed. */
struct model {
	bool is_json;
	size_t len;
	char text[MODEL_MAX];
};

static struct model model;

__attribute__((format(printf, 1, 2))) static void say(const char *pattern, ...)
{
	va_list args;

	va_start(args, pattern);
	model.len +=
	    (size_t)vsnprintf(model.text + model.len, MODEL_MAX - model.len, pattern, args);
	va_end(args);
	assert_true(model.len < MODEL_MAX);
}

static void say_escaped(struct text text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned c = (unsigned char)text.at[i];
		bool is_quote = c == '"' || c == '\\';

		if (model.is_json && is_quote)
			say("\\%c", (int)c);
		else if (model.is_json && (c < 0x20 || c >= 0x7f))
			say("\\u%04x", c);
		else if (!model.is_json && (is_quote || c < 0x20 || c == 0x7f))
			say("\\x%02x", c);
		else
			say("%c", (int)c);
	}
}

/* An empty one is "-", or null. */
static void say_quoted(const char *key, struct text text)
{
	if (model.is_json)
		say("%s\"%s\":", model.text[model.len - 1] == '{' ? "" : ",", key);
	if (text.len == 0) {
		say("%s", model.is_json ? "null" : "\"-\" ");
		return;
	}
	say("\"");
	say_escaped(text);
	say("%s", model.is_json ? "\"" : "\" ");
}

static void say_plain(const char *key, const char *text)
{
	if (model.is_json)
		say_quoted(key, text_of(text));
	else
		say("%s ", text && *text ? text : "-");
}

static void say_time(const char *key, int64_t us, bool is_ms)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	char text[64], whole[96];

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(whole, sizeof(whole), "%s.%06dZ", text,
		 (int)(is_ms ? us % 1000000 / 1000 * 1000 : us % 1000000));
	say_plain(key, whole);
}

static void say_number(const char *key, bool is_none, uint64_t number, int digits)
{
	char text[32];

	snprintf(text, sizeof(text), "%0*" PRIu64, digits, number);
	if (model.is_json)
		say(",\"%s\":%s", key, is_none ? "null" : text);
	else
		say("%s ", is_none ? "-" : text);
}

static void say_duration(const char *key, int64_t us)
{
	char text[40] = "-1";

	if (us >= 0)
		snprintf(text, sizeof(text), "%lld.%03lld", (long long)(us / 1000000),
			 (long long)(us % 1000000 / 1000));
	if (model.is_json)
		say(",\"%s\":%s", key, text);
	else
		say("%s ", text);
}

static void say_url(const struct access_entry *entry)
{
	say_escaped(entry->scheme);
	say("://");
	say_escaped(entry->host);
	if (entry->uri.len > 0 && entry->uri.at[0] != '/')
		say("/");
	say_escaped(entry->method.len > 0 ? entry->uri : TEXT("-"));
}

static void say_request(const struct access_entry *entry)
{
	bool is_parsed = entry->method.len > 0;
	struct text agent = entry->user_agent;

	agent.len = agent.len > 8192 ? 8192 : agent.len;
	if (model.is_json) {
		say_quoted("request_verb", entry->method);
		say(",\"request_url\":\"");
		say_url(entry);
		say("\"");
		say_plain("request_proto", is_parsed ? entry->version : NULL);
	} else {
		say("\"");
		say_escaped(is_parsed ? entry->method : TEXT("-"));
		say(" ");
		say_url(entry);
		say(" %s\" ", is_parsed ? entry->version : "-");
	}
	say_quoted("user_agent", agent);
}

static void say_first_half(const struct access_entry *entry)
{
	say_plain("type", entry->type);
	say_time("time", entry->finished_us, false);
	say_plain("elb", entry->elb);
	say_plain("client", entry->client);
	say_plain("target", entry->target);
	say_duration("request_processing_time", entry->request_us);
	say_duration("target_processing_time", entry->target_us);
	say_duration("response_processing_time", entry->response_us);
	say_number("elb_status_code", entry->elb_status == 0, entry->elb_status, 3);
	say_number("target_status_code", entry->target_status == 0, entry->target_status, 3);
	say_number("received_bytes", false, entry->received_bytes, 1);
	say_number("sent_bytes", false, entry->sent_bytes, 1);
	say_request(entry);
}

static void say_second_half(const struct access_entry *entry)
{
	char status[16] = "-", id[48];

	if (entry->target_status != 0)
		snprintf(status, sizeof(status), "%03u", entry->target_status);
	snprintf(id, sizeof(id), "TID_%016" PRIx64 "%016" PRIx64, entry->connection_id,
		 (uint64_t)(entry->connection_id * 0x9E3779B97F4A7C15ull));
	say("%s", model.is_json ? "" : "- - ");
	say_plain("target_group_arn", entry->target_group_arn);
	say_quoted("trace_id", entry->trace_id);
	say("%s", model.is_json ? "" : "\"-\" \"-\" ");
	say_number("matched_rule_priority", entry->rule_priority < 0,
		   (uint64_t)entry->rule_priority, 1);
	say_time("request_creation_time", entry->created_us, true);
	say_quoted("actions_executed", text_of(entry->actions));
	say_quoted("redirect_url", entry->redirect_url);
	say_quoted("error_reason", text_of(entry->error_reason));
	if (!model.is_json) {
		say_quoted("", text_of(entry->target));
		say("\"%s\" ", status);
	}
	say_quoted("classification", text_of(entry->classification));
	say_quoted("classification_reason", text_of(entry->classification_reason));
	say_plain("conn_trace_id", id);
	say_quoted("transformed_host", entry->transformed_host);
	say_quoted("transformed_uri", entry->transformed_uri);
	say_quoted("request_transform_status", text_of(entry->transform_status));
	say_plain("ip_address", entry->node);
}

/* A line longer than the log takes is cut, and ends all the same. */
static void say_entry(const struct access_entry *entry)
{
	size_t max = model.is_json ? LOG_LINE_MAX - 2 : LOG_LINE_MAX - 1;

	model.len = 0;
	say("%s", model.is_json ? "{" : "");
	say_first_half(entry);
	say_second_half(entry);
	model.len -= !model.is_json; /* the last blank */
	model.len = model.len < max ? model.len : max;
	model.text[model.len] = '\0';
	say("%s", model.is_json ? "}\n" : "\n");
}

static uint64_t seed = 1;

static uint64_t below(uint64_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

/* Mostly harmless bytes and short; at times hostile, at times long, at times none. */
static struct text some_text(size_t max)
{
	static char pool[16][TEXT_MAX];
	static unsigned next;
	char *at = pool[next++ % 16];
	size_t len = below(below(8) == 0 || max < 40 ? max : 40);
	bool is_hostile = below(2) == 0;

	for (size_t i = 0; i < len; i++)
		at[i] = (char)(is_hostile && below(6) == 0 ? below(256) : '#' + below(50));
	return (struct text){len > 0 ? at : NULL, len};
}

static const char *some_name(void)
{
	static const char *const names[] = {NULL,
					    "",
					    "-",
					    "forward",
					    "10.0.1.20:8080",
					    "arn:aws:elasticloadbalancing:eu-west-1:1:tg/a/b"};

	return names[below(sizeof(names) / sizeof(names[0]))];
}

static int64_t some_us(void)
{
	static const int64_t sizes[] = {1, 1000, 100000, 20000000, 5000000000};

	return (int64_t)below((uint64_t)sizes[below(5)] + 1) - (below(3) == 0);
}

static struct access_entry random_entry(void)
{
	int64_t start = 1772352930000000 + (int64_t)below(4000) * 86399999;

	return (struct access_entry){
	    .type = below(2) ? "http" : "https",
	    .scheme = TEXT("http"),
	    .created_us = start,
	    .finished_us = start + some_us() + 1,
	    .elb = some_name(),
	    .client = some_name(),
	    .target = some_name(),
	    .request_us = some_us(),
	    .target_us = some_us(),
	    .response_us = some_us(),
	    .elb_status = (unsigned)below(600),
	    .target_status = (unsigned)below(2) * (unsigned)below(600),
	    .received_bytes = below(2) ? below(3000) : seed,
	    .sent_bytes = below(2) ? below(12) : ~seed,
	    .method = some_text(12),
	    .host = some_text(300),
	    .uri = some_text(16000),
	    .version = "HTTP/1.1",
	    .user_agent = some_text(TEXT_MAX),
	    .target_group_arn = some_name(),
	    .trace_id = some_text(500),
	    .rule_priority = (int)below(50001) - 1,
	    .actions = some_name(),
	    .redirect_url = some_text(16000),
	    .error_reason = some_name(),
	    .classification = some_name(),
	    .classification_reason = some_name(),
	    .connection_id = seed * below(3),
	    .transformed_host = some_text(100),
	    .transformed_uri = some_text(16000),
	    .transform_status = some_name(),
	    .node = some_name(),
	};
}

static void compare_many(enum access_log_format as)
{
	struct line_clock clock = {0};
	char *line = test_malloc(LOG_LINE_MAX);

	model.is_json = as == ACCESS_LOG_JSON;
	for (int i = 0; i < 5000; i++) {
		struct access_entry entry = random_entry();
		size_t len = access_log_format_line(as, line, &clock, &entry);

		say_entry(&entry);
		assert_int_equal(len, model.len);
		assert_memory_equal(line, model.text, len);
	}
	test_free(line);
}

static void albs_lines_are_what_plain_formatting_would_write(void **state)
{
	(void)state;
	compare_many(ACCESS_LOG_ALB);
}

static void json_lines_are_what_plain_formatting_would_write(void **state)
{
	(void)state;
	compare_many(ACCESS_LOG_JSON);
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
	    cmocka_unit_test(albs_lines_are_what_plain_formatting_would_write),
	    cmocka_unit_test(json_lines_are_what_plain_formatting_would_write),
	    cmocka_unit_test(a_failing_disk_stops_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
