/*
 * Which metric data a second makes, and the matcher of the health checks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lb/control/metric_data.h"
#include "lb/control/prober.h"

static struct metric_context context_new(const char *zone)
{
	return (struct metric_context){
	    .data = json_array(), .timestamp = "2026-11-21T00:00:00Z", .zone = zone};
}

/* The n-th datum of this name with so many dimensions; NULL. */
static const json_t *find(const struct metric_context *context, const char *name, size_t dimensions)
{
	const json_t *datum;
	size_t i;

	json_array_foreach (context->data, i, datum) {
		if (strcmp(doc_str(datum, "MetricName", ""), name) == 0 &&
		    json_array_size(doc_array(datum, "Dimensions")) == dimensions)
			return datum;
	}
	return NULL;
}

static void requests_are_shared_by_the_healthy_targets(void **state)
{
	static struct group_counters counts;
	struct metric_context context = context_new(NULL);
	struct group_second second = {.resource = "targetgroup/g/1",
				      .load_balancer = "app/a/1",
				      .counts = &counts,
				      .hosts = {.healthy = 2, .unhealthy = 1, .registered = 3}};

	(void)state;
	counter_add(&counts.values[GROUP_COUNTER_REQUESTS], 10);
	metric_add_group(&context, &second);
	assert_true(doc_num(find(&context, "RequestCountPerTarget", 1), "Value", 0) == 5);
	assert_true(doc_num(find(&context, "RequestCount", 2), "Value", 0) == 10);
	assert_true(doc_num(find(&context, "UnHealthyHostCount", 2), "Value", 0) == 1);
	json_decref(context.data);
	context = context_new(NULL);
	second.hosts.healthy = 0;
	metric_add_group(&context, &second);
	assert_true(doc_num(find(&context, "RequestCountPerTarget", 1), "Value", 0) * 3 == 10);
	json_decref(context.data);
}

static void quiet_seconds_report_only_what_is_always_reported(void **state)
{
	static struct group_counters counts;
	uint64_t zero[LB_COUNTER_COUNT] = {0};
	struct metric_context context = context_new(NULL);
	struct lb_second second = {
	    .resource = "app/a/1", .counts = zero, .groups = &counts, .has_targets = true};

	(void)state;
	metric_add_lb(&context, &second);
	assert_non_null(find(&context, "RequestCount", 1));
	assert_non_null(find(&context, "HTTPCode_Target_2XX_Count", 1));
	assert_null(find(&context, "HTTPCode_ELB_5XX_Count", 1));
	assert_null(find(&context, "TargetResponseTime", 1));
	json_decref(context.data);
	context = context_new(NULL);
	second.has_targets = false;
	metric_add_lb(&context, &second);
	assert_int_equal(json_array_size(context.data), 1);
	assert_non_null(find(&context, "ForwardedInvalidHeaderRequestCount", 1));
	json_decref(context.data);
}

/* Rules have no zone, odd headers nothing but one. */
static void c14_20_metrics_have_the_dimensions_of_the_table(void **state)
{
	static struct group_counters counts;
	uint64_t values[LB_COUNTER_COUNT] = {[LB_COUNTER_RULE_EVALUATIONS] = 3,
					     [LB_COUNTER_DROPPED_INVALID_HEADER] = 1,
					     [LB_COUNTER_IPV6_REQUESTS] = 2};
	struct metric_context context = context_new("us-east-1a");
	struct lb_second second = {.resource = "app/a/1", .counts = values, .groups = &counts};
	struct group_second empty = {
	    .resource = "targetgroup/g/1", .load_balancer = "app/a/1", .counts = &counts};

	(void)state;
	metric_add_lb(&context, &second);
	assert_non_null(find(&context, "RuleEvaluations", 1));
	assert_null(find(&context, "RuleEvaluations", 2));
	assert_null(find(&context, "DroppedInvalidHeaderRequestCount", 1));
	assert_non_null(find(&context, "DroppedInvalidHeaderRequestCount", 2));
	assert_non_null(find(&context, "IPv6RequestCount", 1));
	assert_non_null(find(&context, "IPv6RequestCount", 2));
	metric_add_group(&context, &empty);
	assert_null(find(&context, "HealthyHostCount", 2));
	assert_non_null(find(&context, "RequestCountPerTarget", 1));
	json_decref(context.data);
}

static double value_of(const struct metric_context *context, const char *name)
{
	return doc_num(find(context, name, 3), "Value", -1);
}

static void c14_20_states_of_a_group_are_numbers_of_zones(void **state)
{
	static struct group_counters counts;
	struct metric_context context = context_new("us-east-1a");
	struct group_second second = {
	    .resource = "targetgroup/g/1",
	    .load_balancer = "app/a/1",
	    .counts = &counts,
	    .in_flight = 7,
	    .hosts = {.anomalous = 2, .mitigated = 1, .is_routing_healthy = true}};

	(void)state;
	metric_add_group(&context, &second);
	assert_true(value_of(&context, "InFlightRequestCount") == 7);
	assert_true(value_of(&context, "AnomalousHostCount") == 2);
	assert_true(value_of(&context, "MitigatedHostCount") == 1);
	assert_true(value_of(&context, "HealthyStateRouting") == 1);
	assert_true(value_of(&context, "UnhealthyStateRouting") == 0);
	assert_true(value_of(&context, "HealthyStateDNS") == 0);
	assert_true(value_of(&context, "UnhealthyStateDNS") == 1);
	assert_non_null(find(&context, "HealthyStateDNS", 2));
	json_decref(context.data);
}

static void with_stickiness_on_requests_that_were_not_sticky_count_at_zero_too(void **state)
{
	static struct group_counters counts;
	uint64_t zero[LB_COUNTER_COUNT] = {0};
	struct metric_context context = context_new(NULL);
	struct lb_second second = {
	    .resource = "app/a/1", .counts = zero, .groups = &counts, .has_lb_cookie = true};

	(void)state;
	metric_add_lb(&context, &second);
	assert_non_null(find(&context, "NonStickyRequestCount", 1));
	assert_null(find(&context, "AppCookieNonStickinessCount", 1));
	second.has_app_cookie = true;
	metric_add_lb(&context, &second);
	assert_non_null(find(&context, "AppCookieNonStickinessCount", 1));
	json_decref(context.data);
}

static void a_zone_doubles_every_datum_but_the_group_s_own(void **state)
{
	static struct group_counters counts;
	struct metric_context context = context_new("us-east-1a");
	struct group_second second = {.resource = "targetgroup/g/1",
				      .load_balancer = "app/a/1",
				      .counts = &counts,
				      .hosts = {.healthy = 1, .registered = 1}};

	(void)state;
	metric_add_group(&context, &second);
	assert_non_null(find(&context, "HealthyHostCount", 2));
	assert_non_null(find(&context, "HealthyHostCount", 3));
	json_decref(context.data);
}

static void times_are_cut_into_data_of_150_values(void **state)
{
	static struct group_counters counts;
	struct metric_context context = context_new(NULL);
	struct group_second second = {.resource = "targetgroup/g/1",
				      .load_balancer = "app/a/1",
				      .counts = &counts,
				      .hosts = {.registered = 1}};
	const json_t *datum;
	double total = 0;
	size_t n = 0, i, j;
	json_t *number;

	(void)state;
	for (uint64_t value = 1; value < 1000000; value += 1 + value / 20)
		hist_record(&counts.response_time_us, value);
	metric_add_group(&context, &second);
	json_array_foreach (context.data, i, datum) {
		if (strcmp(doc_str(datum, "MetricName", ""), "TargetResponseTime") != 0)
			continue;
		n++;
		assert_true(json_array_size(doc_array(datum, "Values")) <= 150);
		assert_int_equal(json_array_size(doc_array(datum, "Values")),
				 json_array_size(doc_array(datum, "Counts")));
		json_array_foreach (doc_array(datum, "Counts"), j, number)
			total += json_number_value(number);
	}
	assert_true(n >= 2);
	assert_true(total == (double)counts.response_time_us.count);
	json_decref(context.data);
}

static void c14_13_matcher_knows_lists_and_ranges(void **state)
{
	(void)state;
	assert_true(matcher_has("200", 200));
	assert_false(matcher_has("200", 201));
	assert_true(matcher_has("200,300-399,404", 404));
	assert_true(matcher_has("200,300-399,404", 350));
	assert_false(matcher_has("200,300-399,404", 400));
	assert_false(matcher_has("", 200));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_shared_by_the_healthy_targets),
	    cmocka_unit_test(quiet_seconds_report_only_what_is_always_reported),
	    cmocka_unit_test(c14_20_metrics_have_the_dimensions_of_the_table),
	    cmocka_unit_test(c14_20_states_of_a_group_are_numbers_of_zones),
	    cmocka_unit_test(with_stickiness_on_requests_that_were_not_sticky_count_at_zero_too),
	    cmocka_unit_test(a_zone_doubles_every_datum_but_the_group_s_own),
	    cmocka_unit_test(times_are_cut_into_data_of_150_values),
	    cmocka_unit_test(c14_13_matcher_knows_lists_and_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
