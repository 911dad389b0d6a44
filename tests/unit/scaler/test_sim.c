/*
 * The pure parts of the simulation: curves, lines of logs, the queue, the figures, the world.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/doc/doc.h"
#include "scaler/sim/capacity.h"
#include "scaler/sim/curve.h"
#include "scaler/sim/feed.h"
#include "scaler/sim/stats.h"
#include "scaler/sim/world.h"

/* ---- logs ---- */

static void a_line_of_each_known_log_tells_its_second(void **state)
{
	(void)state;
	assert_int_equal(
	    sim_log_parse("http 2026-08-07T10:00:05.123456Z app/web/1 1.2.3.4:5 - 0 0"),
	    1786096805);
	assert_int_equal(sim_log_parse("{\"type\":\"http\",\"time\":\"2026-08-07T10:00:05.1Z\"}"),
			 1786096805);
	assert_int_equal(
	    sim_log_parse("::1 - - [07/Aug/2026:12:00:05 +0200] \"GET / HTTP/1.1\" 200"),
	    1786096805);
	assert_int_equal(
	    sim_log_parse("a - bob [07/Aug/2026:08:30:05 -0130] \"GET /\" 200 2 \"-\" \"x\""),
	    1786096805);
}

static void a_line_of_no_known_form_is_none(void **state)
{
	static const char *const lines[] = {
	    "",
	    "GET / HTTP/1.1",
	    "http never app/web/1",
	    "{\"type\":\"http\"}",
	    "{\"time\": 5}",
	    "a - - [07/Foo/2026:12:00:05 +0200] \"GET /\"",
	    "a - - [tomorrow] \"GET /\"",
	    "http 2026-13-07T10:00:05Z app",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_int_equal(sim_log_parse(lines[i]), -1);
}

static void requests_are_counted_by_second_in_any_order(void **state)
{
	struct sim_curve curve = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(sim_curve_count(&curve, 1000, &err), 0);
	assert_int_equal(sim_curve_count(&curve, 1002, &err), 0);
	assert_int_equal(sim_curve_count(&curve, 998, &err), 0);
	assert_int_equal(sim_curve_count(&curve, 1002, &err), 0);
	assert_int_equal(curve.start_s, 998);
	assert_int_equal(curve.n, 5);
	assert_true(curve.rps[0] == 1 && curve.rps[1] == 0 && curve.rps[2] == 1);
	assert_true(curve.rps[3] == 0 && curve.rps[4] == 2);
	assert_int_equal(sim_curve_count(&curve, 998 + CURVE_SECONDS_MAX, &err), -1);
	assert_non_null(strstr(err.text, "100 days"));
	sim_curve_fini(&curve);
}

/* ---- CSV ---- */

static void a_line_of_csv_has_a_time_and_a_rate(void **state)
{
	struct sim_csv_line line;
	const char *why;

	(void)state;
	assert_int_equal(sim_csv_parse("12.5, 100\r\n", &line, &why), 0);
	assert_true(line.at_s == 12.5 && line.rate == 100 && !line.is_iso);
	assert_int_equal(sim_csv_parse("\"2026-08-07T10:00:05Z\";\"7\"\n", &line, &why), 0);
	assert_true(line.at_s == 1786096805 && line.rate == 7 && line.is_iso);
	assert_int_equal(sim_csv_parse("time,rps", &line, &why), -1);
	assert_int_equal(sim_csv_parse("5 6", &line, &why), -1);
	assert_int_equal(sim_csv_parse("5,-6", &line, &why), -1);
	assert_int_equal(sim_csv_parse("5,nan", &line, &why), -1);
	assert_int_equal(sim_csv_parse("5,6,7", &line, &why), -1);
	assert_int_equal(sim_csv_parse("inf,6", &line, &why), -1);
}

static int add(struct sim_curve *curve, struct sim_csv_state *state, double at_s, double rate,
	       struct err *err)
{
	struct sim_csv_line line = {at_s, false, rate};

	return sim_curve_add_point(curve, state, &line, err);
}

static void between_two_points_the_load_runs_straight_and_jumps_where_they_meet(void **state)
{
	struct sim_csv_state points = {0};
	struct sim_curve curve = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(add(&curve, &points, 100, 0, &err), 0);
	assert_int_equal(add(&curve, &points, 104, 40, &err), 0);
	assert_int_equal(add(&curve, &points, 104, 100, &err), 0);
	assert_int_equal(add(&curve, &points, 106, 100, &err), 0);
	assert_int_equal(curve.n, 6);
	assert_true(curve.rps[0] == 5 && curve.rps[3] == 35);
	assert_true(curve.rps[4] == 100 && curve.rps[5] == 100);
	assert_int_equal(add(&curve, &points, 105, 1, &err), -1);
	assert_non_null(strstr(err.text, "goes back"));
	sim_curve_fini(&curve);
}

/* ---- the queue ---- */

static void below_its_capacity_an_instance_serves_all_and_hardly_any_waits(void **state)
{
	struct sim_capacity capacity = {100, 0.05, 500};
	double queue = 0;
	struct sim_flow flow = sim_capacity_flow(&capacity, 50, 1, &queue);

	(void)state;
	assert_true(flow.served == 50 && flow.dropped == 0 && queue == 0);
	assert_true(fabs(flow.busy - 0.5) < 1e-9);
	assert_true(fabs(flow.in_flight - 2.5) < 1e-9); /* 50 requests/s of 50 ms */
	assert_true(flow.wait_s > 0 && flow.wait_s < 0.01);
}

static void beyond_its_capacity_requests_wait_and_then_are_dropped(void **state)
{
	struct sim_capacity capacity = {100, 0.05, 250};
	double queue = 0;
	struct sim_flow flow = sim_capacity_flow(&capacity, 200, 1, &queue);

	(void)state;
	assert_true(flow.served == 100 && queue == 100 && flow.dropped == 0);
	assert_true(flow.wait_s >= 0.5);
	(void)sim_capacity_flow(&capacity, 200, 1, &queue);
	flow = sim_capacity_flow(&capacity, 200, 1, &queue);
	assert_true(queue == 250 && flow.dropped == 50);
	/* And when the load is gone, what waits is served. */
	for (int i = 0; i < 3; i++)
		flow = sim_capacity_flow(&capacity, 0, 1, &queue);
	assert_true(queue == 0 && flow.served == 50);
}

static void no_request_is_made_or_lost_in_the_queue(void **state)
{
	struct sim_capacity capacity = {37, 0.2, 90};
	struct id_source random = {7};
	double queue = 0, in = 0, out = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		double arrivals = 80 * sim_random(&random);
		struct sim_flow flow = sim_capacity_flow(&capacity, arrivals, 1, &queue);

		in += arrivals;
		out += flow.served + flow.dropped;
		assert_true(queue >= 0 && queue <= capacity.queue_max);
		assert_true(flow.busy >= 0 && flow.busy <= 1 && flow.dropped <= arrivals);
	}
	assert_true(fabs(in - out - queue) < 1e-6);
}

static void chance_makes_few_wait_at_many_servers(void **state)
{
	struct sim_capacity one = {100, 0.01, 0}, ten = {100, 0.1, 0};

	(void)state;
	/* M/M/1 at half load: as long as the service. */
	assert_true(fabs(sim_capacity_chance_wait_s(&one, 0.5) - 0.01) < 1e-9);
	assert_true(sim_capacity_chance_wait_s(&ten, 0.5) < sim_capacity_chance_wait_s(&one, 0.5));
	assert_true(sim_capacity_chance_wait_s(&one, 0) == 0);
}

/* ---- figures ---- */

static void quantiles_of_waits_are_within_a_bucket(void **state)
{
	static struct sim_stats stats;

	(void)state;
	sim_stats_wait(&stats, 0, 90);
	sim_stats_wait(&stats, 1, 8);
	sim_stats_wait(&stats, 10, 2);
	assert_true(sim_stats_wait_quantile(&stats, 0.5) == 0);
	assert_true(fabs(sim_stats_wait_quantile(&stats, 0.95) - 1) < 0.06);
	assert_true(fabs(sim_stats_wait_quantile(&stats, 0.99) - 10) < 0.5);
	assert_true(sim_stats_wait_quantile(&stats, 1) <= 10);
}

static void pass(struct sim_stats *stats, int seconds, int needed, int desired, bool has_launched)
{
	struct sim_second second = {.needed = needed,
				    .desired = desired,
				    .in_service = desired,
				    .serving = desired,
				    .busy = 0.5};

	for (int i = 0; i < seconds; i++) {
		second.has_launched = has_launched && i == 0;
		sim_stats_add(stats, &second);
	}
}

static void a_reaction_lasts_from_the_need_to_the_launch(void **state)
{
	static struct sim_stats stats;

	(void)state;
	pass(&stats, 20, 4, 4, false);
	pass(&stats, 3, 9, 4, false);
	pass(&stats, 20, 9, 9, true);
	pass(&stats, 2, 12, 9, false); /* over before it counts */
	pass(&stats, 10, 9, 9, false);
	pass(&stats, 60, 12, 9, false); /* nobody answers */
	sim_stats_end(&stats);
	assert_int_equal(stats.n_reactions, 1);
	assert_true(sim_stats_reaction(&stats, 0.5) == 4); /* the second is over by then */
	assert_int_equal(stats.n_unanswered, 1);
	assert_true(stats.short_seconds == 3 * 5 + 2 * 3 + 60 * 3);
}

static void turns_are_changes_of_direction(void **state)
{
	static struct sim_stats stats;

	(void)state;
	pass(&stats, 5, 1, 4, false);
	pass(&stats, 5, 1, 6, false);
	pass(&stats, 5, 1, 8, false); /* the same direction */
	pass(&stats, 5, 1, 5, false); /* one */
	pass(&stats, 5, 1, 6, false); /* two */
	assert_int_equal(stats.turns, 2);
	assert_int_equal(stats.peak, 8);
	assert_int_equal(stats.least, 4);
	assert_true(sim_stats_overshoot(&stats) == 7);
	assert_true(fabs(sim_stats_utilization(&stats) - 0.5) < 1e-9);
}

/* ---- the world ---- */

static struct sim_world *world_of(uint64_t seed, double failures)
{
	struct sim_params params = {.seed = seed,
				    .start_ms = 1786096805000,
				    .boot_ms = 20000,
				    .boot_spread = 0.2,
				    .check_ms = 5000,
				    .drain_ms = 30000,
				    .end_ms = 5000,
				    .failure_share = failures,
				    .instance_type = "t3.micro"};
	json_t *input =
	    json_pack("{s:s, s:i, s:i, s:i, s:[s], s:{s:s}}", "AutoScalingGroupName", "web",
		      "MinSize", 0, "MaxSize", 20, "DesiredCapacity", 4, "TargetGroupARNs", "web",
		      "LaunchTemplate", "LaunchTemplateName", "web");
	struct sim_world *world = sim_world_new(&params);
	struct err err = {0};

	assert_non_null(world);
	assert_non_null(engine_create_group(world->engine, input, world->now_ms, &err));
	json_decref(input);
	assert_non_null(sim_world_adopt(world, "web"));
	return world;
}

static void pass_world(struct sim_world *world, int seconds)
{
	for (int i = 0; i < seconds; i++) {
		sim_world_advance(world, 1000);
		assert_true(sim_world_tick(world, NULL));
	}
}

static int serving(const struct sim_world *world)
{
	const struct sim_instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &TAILQ_FIRST(&world->groups)->instances, link)
		n += sim_instance_serves(instance, world->now_ms);
	return n;
}

static void instances_boot_are_checked_serve_drain_and_end(void **state)
{
	struct sim_world *world = world_of(1, 0);
	struct sim_group *group = TAILQ_FIRST(&world->groups);
	struct err err = {0};

	(void)state;
	pass_world(world, 2);
	assert_int_equal(group->launches, 4);
	assert_int_equal(serving(world), 0);
	pass_world(world, 15 + 1);
	assert_int_equal(group_count(group->group).in_service, 4);
	pass_world(world, 20);
	assert_int_equal(serving(world), 4);
	assert_int_equal(engine_set_desired(group->group, 1, world->now_ms, &err), 0);
	pass_world(world, 3);
	assert_int_equal(serving(world), 1);
	pass_world(world, 30);
	assert_int_equal(group->terminations, 3);
	assert_int_equal(group_actual(group->group), 1);
	pass_world(world, 90);
	assert_int_equal(HASH_COUNT(world->by_id), 1);
	sim_world_free(world);
}

static void the_same_seed_makes_the_same_world(void **state)
{
	struct sim_world *a = world_of(5, 0.3), *b = world_of(5, 0.3), *c = world_of(6, 0.3);
	const struct sim_instance *left, *right;

	(void)state;
	pass_world(a, 120);
	pass_world(b, 120);
	pass_world(c, 120);
	left = TAILQ_FIRST(&TAILQ_FIRST(&a->groups)->instances);
	right = TAILQ_FIRST(&TAILQ_FIRST(&b->groups)->instances);
	while (left && right) {
		assert_string_equal(left->id, right->id);
		assert_string_equal(left->token, right->token);
		assert_int_equal(left->ready_ms, right->ready_ms);
		left = TAILQ_NEXT(left, link);
		right = TAILQ_NEXT(right, link);
	}
	assert_true(!left && !right);
	left = TAILQ_FIRST(&TAILQ_FIRST(&c->groups)->instances);
	right = TAILQ_FIRST(&TAILQ_FIRST(&b->groups)->instances);
	assert_string_not_equal(left->id, right->id);
	sim_world_free(a);
	sim_world_free(b);
	sim_world_free(c);
}

static void a_group_gets_there_though_half_of_the_launches_fail(void **state)
{
	struct sim_world *world = world_of(3, 0.5);
	struct sim_group *group = TAILQ_FIRST(&world->groups);

	(void)state;
	pass_world(world, 900);
	assert_int_equal(serving(world), 4);
	assert_true(group->launch_failures > 0);
	/* Zones that had no luck get theirs later, by a move. */
	assert_in_range(group->launches, 4, 6);
	sim_world_free(world);
}

/* ---- what is measured ---- */

static struct metric_request request(const json_t *dimensions, const char *statistic, int period_s,
				     int64_t end_s, double values[], int n)
{
	for (int i = 0; i < n; i++)
		values[i] = NAN;
	return (struct metric_request){.namespace = "AWS/ApplicationELB",
				       .name = "RequestCount",
				       .statistic = statistic,
				       .dimensions = dimensions,
				       .period_s = period_s,
				       .end_ms = end_s * 1000,
				       .values = values,
				       .n = n};
}

static void figures_are_read_by_the_second_and_by_the_minute(void **state)
{
	struct sim_world *world = world_of(1, 0);
	int64_t start_s = world->now_ms / 1000;
	json_t *dimensions = json_pack("[{s:s, s:s}]", "Name", "TargetGroup", "Value",
				       "targetgroup/web/0123456789abcdef");
	double values[3], figures[FIGURES] = {0};
	struct sim_feed feed;
	struct metric_request asked;

	(void)state;
	assert_int_equal(
	    sim_feed_init(&feed, world, TAILQ_FIRST(&world->groups), "app/web/0123456789abcdef"),
	    0);
	for (int i = 0; i < 300; i++) {
		figures[FIGURE_REQUESTS] = i;
		assert_int_equal(sim_feed_put(&feed, start_s + i, figures), 0);
	}
	asked = request(dimensions, "Sum", 1, start_s + 300, values, 3);
	assert_int_equal(sim_feed_read(&feed, &asked), 3);
	assert_true(values[0] == 297 && values[2] == 299);
	/* What is not over yet is not there. */
	asked = request(dimensions, "Sum", 1, start_s + 302, values, 3);
	assert_int_equal(sim_feed_read(&feed, &asked), 1);
	assert_true(values[0] == 299 && isnan(values[1]));
	asked = request(dimensions, "Average", 60, start_s / 60 * 60 + 120, values, 1);
	assert_int_equal(sim_feed_read(&feed, &asked), 1);
	assert_true(fabs(values[0] - (60 - (double)(start_s % 60) + 29.5)) < 1e-9);
	json_decref(dimensions);
	dimensions =
	    json_pack("[{s:s, s:s}]", "Name", "TargetGroup", "Value", "targetgroup/other/1");
	asked = request(dimensions, "Sum", 1, start_s + 300, values, 3);
	assert_int_equal(sim_feed_read(&feed, &asked), 0);
	json_decref(dimensions);
	sim_feed_fini(&feed);
	sim_world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_of_each_known_log_tells_its_second),
	    cmocka_unit_test(a_line_of_no_known_form_is_none),
	    cmocka_unit_test(requests_are_counted_by_second_in_any_order),
	    cmocka_unit_test(a_line_of_csv_has_a_time_and_a_rate),
	    cmocka_unit_test(between_two_points_the_load_runs_straight_and_jumps_where_they_meet),
	    cmocka_unit_test(below_its_capacity_an_instance_serves_all_and_hardly_any_waits),
	    cmocka_unit_test(beyond_its_capacity_requests_wait_and_then_are_dropped),
	    cmocka_unit_test(no_request_is_made_or_lost_in_the_queue),
	    cmocka_unit_test(chance_makes_few_wait_at_many_servers),
	    cmocka_unit_test(quantiles_of_waits_are_within_a_bucket),
	    cmocka_unit_test(a_reaction_lasts_from_the_need_to_the_launch),
	    cmocka_unit_test(turns_are_changes_of_direction),
	    cmocka_unit_test(instances_boot_are_checked_serve_drain_and_end),
	    cmocka_unit_test(the_same_seed_makes_the_same_world),
	    cmocka_unit_test(a_group_gets_there_though_half_of_the_launches_fail),
	    cmocka_unit_test(figures_are_read_by_the_second_and_by_the_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
