/*
 * Predictive scaling in the engine: hours read from the metrics, a group brought to what the next
 * hour needs, under the other policies, over restarts.
 */
#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

#define HOUR (3600 * 1000LL)

static int64_t known_from_ms, known_to_ms; /* the metrics have data of */
static double counted;                     /* GroupInServiceInstances; NAN: not known */
static double weighed;                     /* GroupInServiceCapacity; 0: not known */
static int reads;

/* Of the whole group: 90 at night, 390 from 8 to 18 hours UTC. */
static double cpu_total(int64_t at_ms)
{
	int64_t of_day = at_ms / HOUR % 24;

	return of_day >= 8 && of_day < 18 ? 390 : 90;
}

static double requests(int64_t at_ms)
{
	return 60 * cpu_total(at_ms); /* an hour's */
}

static bool has_dimension(const struct metric_request *request, const char *name, const char *value)
{
	const json_t *one;
	size_t i;

	json_array_foreach (request->dimensions, i, one) {
		if (strcmp(doc_str(one, "Name", ""), name) == 0)
			return strcmp(doc_str(one, "Value", ""), value) == 0;
	}
	return false;
}

static double value_of(const struct metric_request *request, int64_t at_ms)
{
	const char *id = doc_str(json_array_get(request->queries, 0), "Id", "");

	if (request->queries && strcmp(id, "load") == 0)
		return 7 * cpu_total(at_ms);
	if (request->queries && strcmp(id, "scaling") == 0)
		return cpu_total(at_ms) / 4;
	if (request->queries)
		return 4;
	if (strcmp(request->name, "GroupInServiceInstances") == 0)
		return has_dimension(request, "AutoScalingGroupName", "web") ? counted : NAN;
	if (strcmp(request->name, "GroupInServiceCapacity") == 0)
		return weighed > 0 ? weighed : NAN;
	if (strcmp(request->name, "CPUUtilization") == 0 &&
	    strcmp(request->statistic, "SampleCount") == 0)
		return 3;
	if (strcmp(request->name, "CPUUtilization") == 0)
		return cpu_total(at_ms) / (isnan(counted) ? 3 : counted);
	if (strncmp(request->name, "Network", 7) == 0)
		return 1000 * requests(at_ms);
	assert_true(has_dimension(request, "LoadBalancer", "app/web/1"));
	assert_true(has_dimension(request, "TargetGroup", "targetgroup/web/2"));
	return strcmp(request->name, "RequestCount") == 0 ? requests(at_ms)
							  : requests(at_ms) / counted;
}

/* Instances' own figures are not asked for here: all is the group's. */
static int hourly(void *world, const struct metric_request *request)
{
	int found = 0;

	(void)world;
	if (request->period_s < 60 || has_dimension(request, "InstanceId", "none"))
		return 0;
	reads += request->period_s == 3600;
	for (int i = 0; i < request->n; i++) {
		int64_t at_ms =
		    request->end_ms - (int64_t)(request->n - i) * request->period_s * 1000;

		if (at_ms < known_from_ms || at_ms >= known_to_ms ||
		    isnan(value_of(request, at_ms)))
			continue;
		request->values[i] = value_of(request, at_ms);
		found++;
	}
	return found;
}

static json_t *pair(const char *type)
{
	return json_pack("{s:f, s:{s:s}}", "TargetValue", 50.0, "PredefinedMetricPairSpecification",
			 "PredefinedMetricType", type);
}

static struct policy *predictive(struct world *world, json_t *spec, const char *mode)
{
	world_policy(world, json_pack("{s:s, s:s, s:b, s:{s:[o], s:s}}", "PolicyName", "ahead",
				      "PolicyType", "PredictiveScaling", "Enabled", 1,
				      "PredictiveScalingConfiguration", "MetricSpecifications",
				      spec, "Mode", mode));
	return group_policy(world->group, "ahead");
}

static void configure(struct world *world, const char *member, json_t *value)
{
	struct policy *policy = group_policy(world->group, "ahead");

	json_object_set_new(doc_object(policy->document, "PredictiveScalingConfiguration"), member,
			    value);
}

/* A group with a past of so many hours, at the given minute of a day; nothing forecast yet. */
static struct world *with_past(int hours, int minute)
{
	struct world *world = world_new(1, 20, 3);

	world_pass(world, 5);
	world->now_ms = world->now_ms / (24 * HOUR) * 24 * HOUR + (24 * 60 + minute) * 60000LL;
	known_to_ms = world->now_ms;
	known_from_ms = world->now_ms / HOUR * HOUR - hours * HOUR;
	counted = 3;
	weighed = 0;
	world->metric = hourly;
	world_view(world);
	return world;
}

static int capacity_at(const struct world *world, int hours_ahead)
{
	int64_t at_ms = (world->now_ms / HOUR + hours_ahead) * HOUR;
	json_t *forecast =
	    policy_forecast(group_policy(world->group, "ahead"), at_ms, at_ms + HOUR);
	const json_t *values = doc_array(doc_object(forecast, "CapacityForecast"), "Values");
	int capacity =
	    json_array_size(values) > 0 ? (int)json_number_value(json_array_get(values, 0)) : -1;

	json_decref(forecast);
	return capacity;
}

static void a_day_s_pattern_becomes_a_forecast_of_two_days(void **state)
{
	struct world *world = with_past(48, 5 * 60 + 30);

	(void)state;
	predictive(world, pair("ASGCPUUtilization"), "ForecastOnly");
	world_tick(world);
	assert_int_equal(capacity_at(world, 0), 2);  /* 5 o'clock: 90 / 50 */
	assert_int_equal(capacity_at(world, 3), 8);  /* 8 o'clock: 390 / 50 */
	assert_int_equal(capacity_at(world, 12), 8); /* 17 */
	assert_int_equal(capacity_at(world, 13), 2); /* 18 */
	assert_int_equal(capacity_at(world, 47), 2);
	assert_int_equal(capacity_at(world, 48), -1);
	assert_int_equal(group_predicted_capacity(world->group), 2);
	assert_string_equal(policy_prediction_note(group_policy(world->group, "ahead")), "");
	world_free(world);
}

static void forecasting_only_changes_nothing(void **state)
{
	struct world *world = with_past(48, 8 * 60 + 30);

	(void)state;
	predictive(world, pair("ASGCPUUtilization"), "ForecastOnly");
	world_pass(world, 5);
	assert_int_equal(group_predicted_capacity(world->group), 8);
	assert_int_equal(world->group->desired, 3);
	world_free(world);
}

static void less_than_a_day_is_too_little(void **state)
{
	struct world *world = with_past(23, 8 * 60 + 30);
	const struct policy *policy =
	    predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");

	(void)state;
	world_pass(world, 5);
	assert_int_equal(world->group->desired, 3);
	assert_int_equal(group_predicted_capacity(world->group), -1);
	assert_string_equal(policy_prediction_note(policy),
			    "23 hours of the load metric are known; 24 are needed.");
	/* What is sent later, with old timestamps, is seen soon. */
	known_from_ms -= HOUR;
	world_pass(world, 10);
	assert_int_equal(world->group->desired, 8);
	world_free(world);
}

static void the_group_is_ready_before_the_hour_begins(void **state)
{
	struct world *world = with_past(72, 7 * 60 + 54);
	const char *cause;

	(void)state;
	predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");
	world_pass(world, 59);
	assert_int_equal(world->group->desired, 3);
	world_pass(world, 1); /* 7:55 */
	assert_int_equal(world->group->desired, 8);
	cause = TAILQ_FIRST(&world->group->activities)->cause;
	assert_non_null(strstr(cause, "At 2026-08-08T07:55:00Z a predictive scaling policy ahead "
				      "changing the desired capacity from 3 to 8.  At "));
	world_free(world);
}

static void the_buffer_is_what_the_policy_says(void **state)
{
	static const struct {
		int buffer_s, seconds; /* after 7:30 */
	} table[] = {{0, 1800}, {60, 1740}, {1200, 600}};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = with_past(72, 7 * 60 + 30);

		predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");
		configure(world, "SchedulingBufferTime", json_integer(table[i].buffer_s));
		world_tick(world);
		world->now_ms += 1000LL * (table[i].seconds - 1);
		world_tick(world);
		assert_int_equal(world->group->desired, 3);
		world->now_ms += 1000;
		world_tick(world);
		assert_int_equal(world->group->desired, 8);
		world_free(world);
	}
}

static void it_only_adds(void **state)
{
	struct world *world = with_past(72, 2 * 60 + 30);

	(void)state;
	world->group->desired = 10;
	predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");
	world_pass(world, 5);
	assert_int_equal(group_predicted_capacity(world->group), 2);
	assert_int_equal(world->group->desired, 10);
	world_free(world);
}

static void people_may_take_away_what_was_forecast(void **state)
{
	struct world *world = with_past(72, 8 * 60 + 30);
	struct err err = {0};

	(void)state;
	predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");
	world_pass(world, 5);
	assert_int_equal(world->group->desired, 8);
	assert_int_equal(engine_set_desired(world->group, 2, world->now_ms, &err), 0);
	world_pass(world, 30);
	assert_int_equal(world->group->desired, 2);
	/* The next hour is another matter. */
	world->now_ms = (world->now_ms / HOUR + 1) * HOUR - 300 * 1000;
	world_tick(world);
	assert_int_equal(world->group->desired, 8);
	world_free(world);
}

static void propose(struct world *world, int capacity)
{
	world_policy(world,
		     json_pack("{s:s, s:s, s:s, s:i, s:b}", "PolicyName", "step", "PolicyType",
			       "SimpleScaling", "AdjustmentType", "ExactCapacity",
			       "ScalingAdjustment", capacity, "Enabled", 1));
	policies_propose(world->group, group_policy(world->group, "step"), capacity, "an alarm",
			 NULL);
}

static void other_policies_do_not_go_below_the_forecast(void **state)
{
	static const struct {
		int desired, proposed, minute, result;
	} table[] = {
	    {10, 12, 8 * 60 + 30, 12}, /* more than the forecast of 8 */
	    {10, 4, 8 * 60 + 30, 8},   /* in, to the forecast */
	    {6, 4, 8 * 60 + 30, 8},    /* out, because of the forecast */
	    {10, 4, 7 * 60 + 56, 8},   /* ready for the next hour */
	    {10, 4, 5 * 60 + 30, 4},   /* the forecast is 2 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = with_past(72, table[i].minute);

		predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");
		world->group->desired = table[i].desired;
		propose(world, table[i].proposed);
		world_tick(world);
		assert_int_equal(world->group->desired, table[i].result);
		world_free(world);
	}
}

static void the_maximum_holds_or_is_raised(void **state)
{
	static const struct {
		const char *behavior;
		int buffer, max, result, result_max;
	} table[] = {
	    {"HonorMaxCapacity", 0, 6, 6, 6},       {"IncreaseMaxCapacity", 0, 6, 8, 8},
	    {"IncreaseMaxCapacity", 10, 6, 8, 9}, /* 8.8 */
	    {"IncreaseMaxCapacity", 10, 9, 8, 9},   {"IncreaseMaxCapacity", 50, 10, 8, 12},
	    {"IncreaseMaxCapacity", 10, 20, 8, 20},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = with_past(72, 8 * 60 + 30);

		world->group->max = table[i].max;
		predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");
		configure(world, "MaxCapacityBreachBehavior", json_string(table[i].behavior));
		configure(world, "MaxCapacityBuffer", json_integer(table[i].buffer));
		world_pass(world, 2);
		assert_int_equal(world->group->desired, table[i].result);
		assert_int_equal(world->group->max, table[i].result_max);
		world_free(world);
	}
}

/* Every instance at 60, each second; the hours as ever. */
static int seconds_at_60(void *world, const struct metric_request *request)
{
	if (request->period_s != 1)
		return hourly(world, request);
	for (int i = 0; i < request->n; i++)
		request->values[i] = 60;
	return request->n;
}

static void of_tracking_a_step_and_a_forecast_the_largest_wins(void **state)
{
	struct world *world = with_past(72, 8 * 60 + 30);
	struct policy_run run = {.has_value = true, .value = 60, .threshold = 50};
	json_t *spec = pair("ASGCPUUtilization");
	struct err err = {0};

	(void)state;
	assert_int_equal(engine_set_desired(world->group, 10, world->now_ms, &err), 0);
	world_pass(world, 20);
	assert_int_equal(group_count(world->group).in_service, 10);
	json_object_set_new(spec, "TargetValue", json_real(43.4)); /* 390 / 43.4: 9 */
	predictive(world, spec, "ForecastAndScale");
	world_policy(world,
		     json_pack("{s:s, s:s, s:b, s:s, s:i, s:[{s:i, s:i}]}", "PolicyName", "step",
			       "PolicyType", "StepScaling", "Enabled", 1, "AdjustmentType",
			       "ChangeInCapacity", "EstimatedInstanceWarmup", 0, "StepAdjustments",
			       "MetricIntervalLowerBound", 0, "ScalingAdjustment", 1));
	world_cpu_policy(world, "cpu", 50, 0, false); /* 12 */
	world->metric = seconds_at_60;
	assert_int_equal(engine_alarm_policy(world->group, group_policy(world->group, "step"), &run,
					     world->now_ms, &err),
			 0);
	world_pass(world, 1);
	assert_int_equal(predict_floor(world->group, world->now_ms), 9);
	assert_int_equal(world->group->desired, 12);
	world_free(world);
}

static void a_forecast_of_50_and_a_buffer_of_10_percent_make_a_maximum_of_55(void **state)
{
	struct world *world = with_past(72, 8 * 60 + 30);
	json_t *spec = pair("ASGCPUUtilization");

	(void)state;
	world->group->max = 40;
	json_object_set_new(spec, "TargetValue", json_real(7.8)); /* 390 / 7.8 = 50 */
	predictive(world, spec, "ForecastAndScale");
	configure(world, "MaxCapacityBreachBehavior", json_string("IncreaseMaxCapacity"));
	configure(world, "MaxCapacityBuffer", json_integer(10));
	world_tick(world);
	assert_int_equal(world->group->desired, 50);
	assert_int_equal(world->group->max, 55);
	world_free(world);
}

static json_t *with_label(json_t *spec)
{
	json_object_set_new(doc_object(spec, "PredefinedMetricPairSpecification"), "ResourceLabel",
			    json_string("app/web/1/targetgroup/web/2"));
	return spec;
}

static json_t *queries(const char *id)
{
	return json_pack("{s:[{s:s, s:s}]}", "MetricDataQueries", "Id", id, "Expression", "1");
}

static void every_pair_of_metrics_gives_a_capacity(void **state)
{
	const struct {
		json_t *spec;
		double target;
		int capacity;
	} table[] = {
	    {pair("ASGCPUUtilization"), 50, 8},
	    /* 390 requests a minute. */
	    {with_label(pair("ALBRequestCount")), 50, 8},
	    {pair("ASGNetworkIn"), 50000, 8},
	    {pair("ASGNetworkOut"), 100000, 4},
	    /* Percents follow from requests: 390 requests a minute and 3 instances are 130 %. */
	    {json_pack("{s:{s:s}, s:{s:s, s:s}}", "PredefinedScalingMetricSpecification",
		       "PredefinedMetricType", "ASGAverageCPUUtilization",
		       "PredefinedLoadMetricSpecification", "PredefinedMetricType",
		       "ALBTargetGroupRequestCount", "ResourceLabel",
		       "app/web/1/targetgroup/web/2"),
	     50, 8},
	    {json_pack("{s:o, s:o, s:o}", "CustomizedScalingMetricSpecification",
		       queries("scaling"), "CustomizedLoadMetricSpecification", queries("load"),
		       "CustomizedCapacityMetricSpecification", queries("capacity")),
	     50, 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = with_past(72, 8 * 60 + 30);

		json_object_set_new(table[i].spec, "TargetValue", json_real(table[i].target));
		predictive(world, table[i].spec, "ForecastOnly");
		world_tick(world);
		assert_int_equal(group_predicted_capacity(world->group), table[i].capacity);
		world_free(world);
	}
}

static void where_nobody_counts_instances_those_that_speak_are_counted(void **state)
{
	struct world *world = with_past(72, 8 * 60 + 30);

	(void)state;
	counted = NAN;
	predictive(world, pair("ASGCPUUtilization"), "ForecastOnly");
	world_tick(world);
	assert_int_equal(group_predicted_capacity(world->group), 8);
	world_free(world);
}

/* Three instances of two units each, at 130 %: 16 units at 50. */
static void weights_make_units(void **state)
{
	struct world *world = with_past(72, 8 * 60 + 30);

	(void)state;
	weighed = 6;
	predictive(world, pair("ASGCPUUtilization"), "ForecastOnly");
	world_tick(world);
	assert_int_equal(group_predicted_capacity(world->group), 16);
	world_free(world);
}

static void what_is_next_and_what_is_wrong_is_explained(void **state)
{
	struct world *world = with_past(72, 7 * 60 + 30);
	json_t *told;
	char *text;

	(void)state;
	predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");
	world_tick(world);
	told = group_explain(world->engine, world->group, NULL, world->now_ms);
	text = json_dumps(told, 0);
	assert_non_null(strstr(text, "have 8 at 2026-08-08T07:55:00Z, as policy ahead forecasts"));
	json_decref(told);
	free(text);
	known_from_ms = known_to_ms;
	engine_remove_policy(world->engine, world->group, group_policy(world->group, "ahead"));
	predictive(world, pair("ASGNetworkIn"), "ForecastAndScale");
	world_tick(world);
	told = group_explain(world->engine, world->group, NULL, world->now_ms);
	text = json_dumps(told, 0);
	assert_non_null(strstr(text, "policy ahead: 0 hours of the load metric are known"));
	json_decref(told);
	free(text);
	world_free(world);
}

/* More than there may be is wanted. */
static void what_is_wanted_beyond_the_limits_shows(void **state)
{
	struct world *world = with_past(72, 8 * 60 + 30);

	(void)state;
	world->group->max = 6;
	predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");
	world_pass(world, 3);
	assert_int_equal(world->group->desired, 6);
	assert_int_equal(world->group->wanted, 8);
	world_free(world);
}

static void what_is_known_outlives_the_metrics_and_the_program(void **state)
{
	struct world *world = with_past(72, 7 * 60 + 30);

	(void)state;
	predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");
	world_tick(world);
	known_from_ms = known_to_ms; /* all are gone */
	world_restart(world);
	world_pass(world, 5);
	assert_int_equal(capacity_at(world, 1), 8);
	world->now_ms += 30 * 60000;
	world_restart(world);
	world_tick(world);
	assert_int_equal(world->group->desired, 8);
	/* An hour is acted on once, whatever happens in between. */
	world->group->desired = 4;
	world->group->is_dirty = true;
	world_tick(world);
	world_restart(world);
	world_pass(world, 5);
	assert_int_equal(world->group->desired, 4);
	world_free(world);
}

static void metrics_are_read_once_an_hour(void **state)
{
	struct world *world = with_past(72, 7 * 60 + 30);

	(void)state;
	predictive(world, pair("ASGCPUUtilization"), "ForecastOnly");
	reads = 0;
	world_tick(world);
	assert_int_equal(reads, 4);
	world_pass(world, 20);
	assert_int_equal(reads, 4);
	known_to_ms += HOUR;
	world->now_ms = (world->now_ms / HOUR + 1) * HOUR + 9000;
	world_tick(world);
	assert_int_equal(reads, 4);
	world_pass(world, 1);
	assert_int_equal(reads, 8);
	world_free(world);
}

static void a_change_of_target_counts_at_once(void **state)
{
	struct world *world = with_past(72, 8 * 60 + 30);
	struct policy *policy = predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");
	json_t *spec;

	(void)state;
	world_tick(world);
	assert_int_equal(world->group->desired, 8);
	spec =
	    json_array_get(doc_array(doc_object(policy->document, "PredictiveScalingConfiguration"),
				     "MetricSpecifications"),
			   0);
	json_object_set_new(spec, "TargetValue", json_real(39));
	world_tick(world);
	assert_int_equal(world->group->desired, 10);
	world_free(world);
}

static double jumping(int64_t at_ms)
{
	uint64_t x = (uint64_t)(at_ms / HOUR) * 6364136223846793005u;
	double part;

	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
	part = (double)((x ^ x >> 32) >> 40 & 0xffffff) / (1 << 24);

	return part * part * part * part * 1000;
}

static int unforeseeable(void *world, const struct metric_request *request)
{
	int found = hourly(world, request);

	for (int i = 0; i < request->n; i++) {
		if (!isnan(request->values[i]) && strcmp(request->name, "CPUUtilization") == 0)
			request->values[i] = jumping(request->end_ms -
						     (request->n - i) * 1000LL * request->period_s);
	}
	return found;
}

static void what_cannot_be_foreseen_is_shown_and_not_acted_on(void **state)
{
	struct world *world = with_past(240, 8 * 60 + 30);
	const struct policy *policy =
	    predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");

	(void)state;
	world->metric = unforeseeable;
	world_pass(world, 5);
	assert_int_equal(world->group->desired, 3);
	assert_true(capacity_at(world, 0) > 3);
	assert_int_equal(group_predicted_capacity(world->group), -1);
	assert_non_null(strstr(policy_prediction_note(policy), "is not acted on"));
	world_free(world);
}

static void a_policy_that_goes_takes_its_forecast_along(void **state)
{
	struct world *world = with_past(72, 8 * 60 + 30);

	(void)state;
	predictive(world, pair("ASGCPUUtilization"), "ForecastOnly");
	world_tick(world);
	assert_non_null(json_object_get(world->store, "autoscaling/prediction/web:ahead"));
	engine_remove_policy(world->engine, world->group, group_policy(world->group, "ahead"));
	world_tick(world);
	assert_null(json_object_get(world->store, "autoscaling/prediction/web:ahead"));
	assert_int_equal(group_predicted_capacity(world->group), -1);
	world_restart(world);
	world_free(world);
}

static void a_suspended_or_disabled_policy_only_forecasts(void **state)
{
	struct world *world = with_past(72, 8 * 60 + 30);
	struct policy *policy = predictive(world, pair("ASGCPUUtilization"), "ForecastAndScale");

	(void)state;
	json_object_set_new(policy->document, "Enabled", json_false());
	world_pass(world, 2);
	assert_int_equal(world->group->desired, 3);
	json_object_set_new(policy->document, "Enabled", json_true());
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    json_pack("[{s:s}]", "ProcessName", "ScheduledActions"));
	world_pass(world, 2);
	assert_int_equal(world->group->desired, 3);
	assert_int_equal(group_predicted_capacity(world->group), 8);
	json_object_set_new(world->group->document, "SuspendedProcesses", json_array());
	world_pass(world, 1);
	assert_int_equal(world->group->desired, 8);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_day_s_pattern_becomes_a_forecast_of_two_days),
	    cmocka_unit_test(forecasting_only_changes_nothing),
	    cmocka_unit_test(less_than_a_day_is_too_little),
	    cmocka_unit_test(the_group_is_ready_before_the_hour_begins),
	    cmocka_unit_test(the_buffer_is_what_the_policy_says),
	    cmocka_unit_test(it_only_adds),
	    cmocka_unit_test(people_may_take_away_what_was_forecast),
	    cmocka_unit_test(other_policies_do_not_go_below_the_forecast),
	    cmocka_unit_test(the_maximum_holds_or_is_raised),
	    cmocka_unit_test(of_tracking_a_step_and_a_forecast_the_largest_wins),
	    cmocka_unit_test(a_forecast_of_50_and_a_buffer_of_10_percent_make_a_maximum_of_55),
	    cmocka_unit_test(every_pair_of_metrics_gives_a_capacity),
	    cmocka_unit_test(where_nobody_counts_instances_those_that_speak_are_counted),
	    cmocka_unit_test(weights_make_units),
	    cmocka_unit_test(what_is_next_and_what_is_wrong_is_explained),
	    cmocka_unit_test(what_is_wanted_beyond_the_limits_shows),
	    cmocka_unit_test(what_is_known_outlives_the_metrics_and_the_program),
	    cmocka_unit_test(metrics_are_read_once_an_hour),
	    cmocka_unit_test(a_change_of_target_counts_at_once),
	    cmocka_unit_test(what_cannot_be_foreseen_is_shown_and_not_acted_on),
	    cmocka_unit_test(a_policy_that_goes_takes_its_forecast_along),
	    cmocka_unit_test(a_suspended_or_disabled_policy_only_forecasts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
