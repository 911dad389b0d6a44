/* lb/routing: balancing algorithms, slow start, anomaly detection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>

#include "lb/routing/anomaly.h"
#include "lb/routing/balance.h"
#include "lb/routing/slow_start.h"

enum { N_TARGETS = 3, DRAWS = 30000 };

struct fixture {
	struct target *targets[N_TARGETS];
	struct snapshot *snapshot;
	struct target_group *group;
	struct balance_input input;
};

static struct target *new_target(const char *ip)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct target_config config = {
	    .id = ip, .addr = (struct sockaddr *)&in, .addr_len = sizeof(in), .n_lanes = 2};
	struct target *target;

	inet_pton(AF_INET, ip, &in.sin_addr);
	target = target_new(&config, NULL);
	assert_non_null(target);
	return target;
}

static struct fixture new_group(struct target_group_attributes attributes)
{
	struct fixture f = {
	    .targets = {new_target("10.0.0.1"), new_target("10.0.0.2"), new_target("10.0.0.3")}};
	struct snapshot_builder *builder = snapshot_builder_new(2);
	struct target_group_config config = {.arn = "arn",
					     .name = "web",
					     .resource = "targetgroup/web/1",
					     .attributes = attributes,
					     .n_targets = N_TARGETS,
					     .targets = f.targets};

	f.group = snapshot_add_target_group(builder, &config, NULL);
	f.snapshot = snapshot_builder_finish(builder, NULL);
	assert_non_null(f.snapshot);
	for (int i = 0; i < N_TARGETS; i++)
		target_set_state(f.targets[i], TARGET_HEALTHY);
	return f;
}

static void drop_group(struct fixture *f)
{
	snapshot_unref(f->snapshot);
	for (int i = 0; i < N_TARGETS; i++) {
		assert_int_equal(atomic_load(&f->targets[i]->refs), 1);
		target_unref(f->targets[i]);
	}
}

/* A sequence that is the same in each run. */
static uint64_t next_random(struct fixture *f)
{
	return f->input.random += 0x9e3779b97f4a7c15u;
}

static struct balance_choice choose(struct fixture *f)
{
	next_random(f);
	return balance_target(f->group, &f->input);
}

static struct target *pick(struct fixture *f)
{
	return choose(f).target;
}

static void count(struct fixture *f, int n, int counts[N_TARGETS])
{
	memset(counts, 0, N_TARGETS * sizeof(int));
	for (int i = 0; i < n; i++) {
		struct target *target = pick(f);

		for (int k = 0; k < N_TARGETS; k++)
			counts[k] += target == f->targets[k];
	}
}

/* Within 3 % of n. */
static void assert_about(int got, int wanted, int n)
{
	if (abs(got - wanted) > n * 3 / 100)
		fail_msg("%d is not about %d", got, wanted);
}

static void round_robin_takes_turns_over_the_healthy(void **state)
{
	struct fixture f = new_group((struct target_group_attributes){0});
	int counts[N_TARGETS];

	(void)state;
	count(&f, 9, counts);
	for (int k = 0; k < N_TARGETS; k++)
		assert_int_equal(counts[k], 3);
	target_set_state(f.targets[1], TARGET_DRAINING);
	for (int i = 0; i < 9; i++)
		assert_ptr_not_equal(pick(&f), f.targets[1]);
	drop_group(&f);
}

static void with_none_healthy_all_registered_ones_serve(void **state)
{
	static const enum balancing_algorithm algorithms[] = {
	    BALANCE_ROUND_ROBIN, BALANCE_LEAST_OUTSTANDING, BALANCE_RANDOM};

	(void)state;
	for (size_t a = 0; a < 3; a++) {
		struct fixture f =
		    new_group((struct target_group_attributes){.algorithm = algorithms[a]});
		int counts[N_TARGETS];

		target_set_state(f.targets[0], TARGET_UNHEALTHY);
		target_set_state(f.targets[1], TARGET_DRAINING);
		target_set_state(f.targets[2], TARGET_INITIAL);
		count(&f, 100, counts);
		assert_int_equal(counts[1], 0);
		assert_int_equal(counts[0] + counts[2], 100);
		assert_true(counts[0] > 20 && counts[2] > 20);
		assert_true(choose(&f).is_fail_open);
		target_set_state(f.targets[0], TARGET_UNUSED);
		target_set_state(f.targets[2], TARGET_UNUSED);
		assert_null(pick(&f));
		drop_group(&f);
	}
}

static void c14_12_below_the_least_number_of_healthy_targets_it_fails_open(void **state)
{
	static const struct {
		unsigned count, percent;
		bool is_open[N_TARGETS + 1]; /* by the number of healthy ones */
	} cases[] = {
	    {0, 0, {true, false, false, false}},  {1, 0, {true, false, false, false}},
	    {2, 0, {true, true, false, false}},   {3, 0, {true, true, true, false}},
	    {1, 33, {true, false, false, false}}, {1, 34, {true, true, false, false}},
	    {1, 67, {true, true, true, false}},   {1, 100, {true, true, true, false}},
	    {2, 10, {true, true, false, false}},
	};

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct fixture f = new_group(
		    (struct target_group_attributes){.minimum_healthy_count = cases[c].count,
						     .minimum_healthy_percent = cases[c].percent});

		for (int healthy = N_TARGETS; healthy >= 0; healthy--) {
			assert_int_equal(choose(&f).is_fail_open, cases[c].is_open[healthy]);
			if (healthy > 0)
				target_set_state(f.targets[healthy - 1], TARGET_UNHEALTHY);
		}
		drop_group(&f);
	}
}

static void c14_12_draining_targets_do_not_count_in_the_percentage(void **state)
{
	struct fixture f =
	    new_group((struct target_group_attributes){.minimum_healthy_percent = 100});

	(void)state;
	target_set_state(f.targets[0], TARGET_DRAINING);
	assert_false(choose(&f).is_fail_open);
	target_set_state(f.targets[1], TARGET_UNHEALTHY);
	assert_true(choose(&f).is_fail_open);
	drop_group(&f);
}

static void a_target_already_tried_is_not_chosen_again(void **state)
{
	struct fixture f = new_group((struct target_group_attributes){0});

	(void)state;
	f.input.tried = f.targets;
	f.input.n_tried = 2;
	for (int i = 0; i < 6; i++)
		assert_ptr_equal(pick(&f), f.targets[2]);
	f.input.n_tried = 3;
	assert_null(pick(&f));
	drop_group(&f);
}

static void least_outstanding_goes_to_the_idlest_of_all_workers(void **state)
{
	struct fixture f =
	    new_group((struct target_group_attributes){.algorithm = BALANCE_LEAST_OUTSTANDING});

	(void)state;
	for (int i = 0; i < 5; i++)
		balance_enter(f.group, f.targets[0]); /* whichever worker sent them */
	balance_enter(f.group, f.targets[1]);
	for (int i = 0; i < 2; i++)
		balance_enter(f.group, f.targets[2]);
	for (unsigned lane = 0; lane < 2; lane++) {
		f.input.lane = lane;
		assert_ptr_equal(pick(&f), f.targets[1]);
	}
	balance_leave(f.group, f.targets[2]);
	balance_leave(f.group, f.targets[2]);
	assert_ptr_equal(pick(&f), f.targets[2]);
	target_set_state(f.targets[2], TARGET_UNHEALTHY);
	assert_ptr_equal(pick(&f), f.targets[1]);
	drop_group(&f);
}

static void least_outstanding_breaks_ties_in_turn(void **state)
{
	struct fixture f =
	    new_group((struct target_group_attributes){.algorithm = BALANCE_LEAST_OUTSTANDING});
	int counts[N_TARGETS];

	(void)state;
	count(&f, 300, counts);
	for (int k = 0; k < N_TARGETS; k++)
		assert_int_equal(counts[k], 100);
	drop_group(&f);
}

static void other_algorithms_do_not_pay_for_the_shared_count(void **state)
{
	struct fixture f = new_group((struct target_group_attributes){0});

	(void)state;
	balance_enter(f.group, f.targets[0]);
	assert_int_equal(atomic_load(&f.targets[0]->outstanding), 0);
	drop_group(&f);
}

static void random_is_even_while_all_weigh_the_same(void **state)
{
	struct fixture f = new_group((struct target_group_attributes){.algorithm = BALANCE_RANDOM});
	int counts[N_TARGETS];

	(void)state;
	count(&f, DRAWS, counts);
	for (int k = 0; k < N_TARGETS; k++)
		assert_about(counts[k], DRAWS / N_TARGETS, DRAWS);
	target_set_state(f.targets[0], TARGET_UNHEALTHY);
	count(&f, DRAWS, counts);
	assert_int_equal(counts[0], 0);
	assert_about(counts[1], DRAWS / 2, DRAWS);
	drop_group(&f);
}

static void random_obeys_the_weights(void **state)
{
	struct fixture f = new_group((struct target_group_attributes){.algorithm = BALANCE_RANDOM});
	int counts[N_TARGETS];

	(void)state;
	target_set_weight(f.targets[0], SHARE_FULL / 2);
	target_set_weight(f.targets[1], SHARE_FULL / 4);
	count(&f, DRAWS, counts);
	assert_about(counts[0], DRAWS * 2 / 7, DRAWS);
	assert_about(counts[1], DRAWS / 7, DRAWS);
	assert_about(counts[2], DRAWS * 4 / 7, DRAWS);
	drop_group(&f);
}

static void random_finds_the_only_candidate_of_least_weight(void **state)
{
	struct fixture f = new_group((struct target_group_attributes){.algorithm = BALANCE_RANDOM});

	(void)state;
	target_set_weight(f.targets[1], 1);
	target_set_state(f.targets[0], TARGET_UNHEALTHY);
	target_set_state(f.targets[2], TARGET_UNHEALTHY);
	for (int i = 0; i < 100; i++)
		assert_ptr_equal(pick(&f), f.targets[1]);
	drop_group(&f);
}

/* ---- stickiness ---- */

static void who_is_bound_stays_with_a_target_that_may_serve(void **state)
{
	struct fixture f = new_group((struct target_group_attributes){0});
	struct balance_choice choice;

	(void)state;
	f.input.wanted = f.targets[1]->sticky_id;
	for (int i = 0; i < 5; i++) {
		choice = choose(&f);
		assert_ptr_equal(choice.target, f.targets[1]);
		assert_true(choice.is_wanted);
	}
	target_set_state(f.targets[1], TARGET_UNHEALTHY);
	choice = choose(&f);
	assert_ptr_not_equal(choice.target, f.targets[1]);
	assert_false(choice.is_wanted);
	target_set_state(f.targets[0], TARGET_UNHEALTHY);
	target_set_state(f.targets[2], TARGET_UNHEALTHY);
	choice = choose(&f); /* all are unhealthy: it fails open, and the bound one is among them */
	assert_ptr_equal(choice.target, f.targets[1]);
	assert_true(choice.is_wanted && choice.is_fail_open);
	target_set_state(f.targets[1], TARGET_DRAINING);
	assert_ptr_not_equal(pick(&f), f.targets[1]);
	f.input.wanted = 12345; /* deregistered long ago */
	assert_false(choose(&f).is_wanted);
	drop_group(&f);
}

/* ---- slow start ---- */

static void a_share_grows_from_little_to_all(void **state)
{
	static const struct {
		int64_t elapsed_ms;
		unsigned share;
	} cases[] = {{0, 10},      {100, 10},     {3000, 100},  {15000, 500},
		     {29999, 999}, {30000, 1000}, {99999, 1000}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(slow_start_share(5000, 30, 5000 + cases[i].elapsed_ms),
				 cases[i].share);
	assert_int_equal(slow_start_share(0, 30, 5), SHARE_FULL);
}

static void c14_11_in_slow_start_a_target_gets_its_share(void **state)
{
	struct fixture f = new_group((struct target_group_attributes){.slow_start_s = 30});
	int counts[N_TARGETS];

	(void)state;
	target_set_ramp(f.targets[2], 1000);
	f.input.now_ms = 1000 + 15000; /* half: 1 to 2 to 2 */
	count(&f, DRAWS, counts);
	assert_about(counts[0], DRAWS * 2 / 5, DRAWS);
	assert_about(counts[1], DRAWS * 2 / 5, DRAWS);
	assert_about(counts[2], DRAWS / 5, DRAWS);
	f.input.now_ms = 1000; /* the beginning: next to nothing, but not nothing */
	count(&f, DRAWS, counts);
	assert_true(counts[2] > 0 && counts[2] < DRAWS / 50);
	f.input.now_ms = 31000;
	count(&f, 300, counts);
	for (int k = 0; k < N_TARGETS; k++)
		assert_int_equal(counts[k], 100);
	drop_group(&f);
}

static void when_all_are_in_slow_start_somebody_serves(void **state)
{
	struct fixture f = new_group((struct target_group_attributes){.slow_start_s = 30});

	(void)state;
	for (int i = 0; i < N_TARGETS; i++)
		target_set_ramp(f.targets[i], 1000);
	f.input.now_ms = 1001;
	for (int i = 0; i < 100; i++)
		assert_non_null(pick(&f));
	drop_group(&f);
}

/* ---- anomalies ---- */

enum { N_JUDGED = 4 };

struct court {
	struct anomaly targets[N_JUDGED];
	struct anomaly *list[N_JUDGED];
};

static void open_court(struct court *court)
{
	for (int i = 0; i < N_JUDGED; i++) {
		anomaly_init(&court->targets[i]);
		court->targets[i].is_healthy = true;
		court->list[i] = &court->targets[i];
	}
}

static void judge(struct court *court, unsigned requests, const unsigned failures[N_JUDGED],
		  bool mitigates)
{
	for (int i = 0; i < N_JUDGED; i++) {
		court->targets[i].new_requests = requests;
		court->targets[i].new_failures = failures[i];
	}
	anomaly_judge(court->list, N_JUDGED, mitigates);
}

static void who_fails_more_than_its_peers_is_anomalous(void **state)
{
	static const unsigned failures[] = {0, 0, 50, 0};
	struct court court;

	(void)state;
	open_court(&court);
	judge(&court, 100, failures, false);
	for (int i = 0; i < N_JUDGED; i++) {
		assert_int_equal(court.targets[i].is_anomalous, i == 2);
		assert_int_equal(court.targets[i].weight, SHARE_FULL);
	}
}

static void when_all_fail_alike_none_is_anomalous(void **state)
{
	static const unsigned failures[] = {48, 52, 50, 51};
	struct court court;

	(void)state;
	open_court(&court);
	for (int round = 0; round < 5; round++)
		judge(&court, 100, failures, true);
	for (int i = 0; i < N_JUDGED; i++)
		assert_false(court.targets[i].is_anomalous);
}

static void a_few_failures_prove_nothing(void **state)
{
	static const unsigned failures[] = {0, 1, 0, 0}, none[] = {0, 0, 0, 0};
	struct court court;

	(void)state;
	open_court(&court);
	judge(&court, 20, failures, true);
	assert_false(court.targets[1].is_anomalous);
	judge(&court, 2, none, true);
	assert_false(court.targets[1].is_anomalous);
}

static void two_targets_are_too_few_to_compare(void **state)
{
	static const unsigned failures[] = {0, 100, 0, 0};
	struct court court;

	(void)state;
	open_court(&court);
	court.targets[2].is_healthy = court.targets[3].is_healthy = false;
	judge(&court, 100, failures, true);
	assert_false(court.targets[1].is_anomalous);
	court.targets[2].is_healthy = true;
	judge(&court, 100, failures, true);
	assert_true(court.targets[1].is_anomalous);
}

static void mitigation_cuts_to_the_least_and_ramps_back(void **state)
{
	static const unsigned bad[] = {0, 0, 0, 90}, good[] = {0, 0, 0, 0};
	struct court court;
	unsigned before = ANOMALY_LEAST_WEIGHT;
	int rounds = 0;

	(void)state;
	open_court(&court);
	judge(&court, 100, bad, true);
	assert_int_equal(court.targets[3].weight, ANOMALY_LEAST_WEIGHT);
	judge(&court, 100, bad, true);
	assert_int_equal(court.targets[3].weight, ANOMALY_LEAST_WEIGHT);
	while (court.targets[3].weight < SHARE_FULL && rounds++ < 20) {
		judge(&court, 100, good, true);
		assert_true(court.targets[3].weight >= before);
		before = court.targets[3].weight;
	}
	assert_int_equal(court.targets[3].weight, SHARE_FULL);
	assert_true(rounds > 3 && rounds < 15);
	for (int i = 0; i < 3; i++)
		assert_int_equal(court.targets[i].weight, SHARE_FULL);
}

static void a_suspect_without_traffic_stays_one(void **state)
{
	static const unsigned bad[] = {0, 0, 0, 90}, none[] = {0, 0, 0, 0};
	struct court court;

	(void)state;
	open_court(&court);
	judge(&court, 100, bad, true);
	for (int i = 0; i < 30; i++)
		judge(&court, 0, none, true);
	assert_true(court.targets[3].is_anomalous);
}

static void what_came_of_requests_is_counted(void **state)
{
	struct target *target = new_target("10.0.0.1");

	(void)state;
	target_note_answer(target, 0, 503, false);
	assert_int_equal(atomic_load(&target->lanes[0].fives_in_a_row), 0);
	target_note_answer(target, 0, 503, true);
	target_note_answer(target, 0, 500, true);
	target_note_break(target, 1, true);
	assert_int_equal(target_failures(target), 4);
	assert_int_equal(atomic_load(&target->lanes[0].fives_in_a_row), 2);
	assert_int_equal(atomic_load(&target->lanes[0].last_five), 500);
	assert_int_equal(atomic_load(&target->lanes[1].breaks_in_a_row), 1);
	target_note_answer(target, 0, 404, true);
	target_note_answer(target, 1, 502, true);
	assert_int_equal(atomic_load(&target->lanes[0].fives_in_a_row), 0);
	assert_int_equal(atomic_load(&target->lanes[1].breaks_in_a_row), 0);
	target_unref(target);
}

static void groups_are_chosen_by_weight(void **state)
{
	struct fixture f = new_group((struct target_group_attributes){0});
	struct target_group other = {0};
	struct action action = {.kind = ACTION_FORWARD,
				.forward = {.n_groups = 2, .groups = {{f.group, 1}, {&other, 3}}}};
	int counts[2] = {0};

	(void)state;
	for (uint64_t i = 0; i < 400; i++)
		counts[balance_group(&action, i) == &other]++;
	assert_int_equal(counts[0], 100);
	assert_int_equal(counts[1], 300);
	action.forward.groups[0].weight = action.forward.groups[1].weight = 0;
	assert_null(balance_group(&action, 5));
	drop_group(&f);
}

/* ---- a thousand targets ---- */

enum { MANY = 1000 };

struct crowd {
	struct target *targets[MANY];
	struct snapshot *snapshot;
	struct target_group *group;
	struct balance_input input;
};

static struct crowd *new_crowd(enum balancing_algorithm algorithm)
{
	struct crowd *crowd = test_calloc(1, sizeof(*crowd));
	struct snapshot_builder *builder = snapshot_builder_new(1);
	struct target_group_config config = {.arn = "arn",
					     .name = "web",
					     .resource = "targetgroup/web/1",
					     .attributes = {.algorithm = algorithm},
					     .n_targets = MANY,
					     .targets = crowd->targets};

	for (int i = 0; i < MANY; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "10.0.%d.%d", i / 250, i % 250 + 1);
		crowd->targets[i] = new_target(ip);
		target_set_state(crowd->targets[i], TARGET_HEALTHY);
	}
	crowd->group = snapshot_add_target_group(builder, &config, NULL);
	crowd->snapshot = snapshot_builder_finish(builder, NULL);
	assert_non_null(crowd->snapshot);
	return crowd;
}

static void drop_crowd(struct crowd *crowd)
{
	snapshot_unref(crowd->snapshot);
	for (int i = 0; i < MANY; i++)
		target_unref(crowd->targets[i]);
	test_free(crowd);
}

static struct target *pick_of(struct crowd *crowd)
{
	crowd->input.random += 0x9e3779b97f4a7c15u;
	return balance_target(crowd->group, &crowd->input).target;
}

static void among_many_the_ends_of_requests_are_noticed(void **state)
{
	struct crowd *crowd = new_crowd(BALANCE_LEAST_OUTSTANDING);

	(void)state;
	for (int i = 0; i < 5 * MANY; i++)
		balance_enter(crowd->group, pick_of(crowd));
	for (int i = 0; i < MANY; i++)
		assert_int_equal(crowd->targets[i]->outstanding, 5);
	for (int i = 300; i < 310; i++)
		atomic_store(&crowd->targets[i]->outstanding, 0);
	for (int i = 0; i < MANY + 50; i++)
		balance_enter(crowd->group, pick_of(crowd));
	for (int i = 0; i < MANY; i++)
		if (crowd->targets[i]->outstanding < 5 || crowd->targets[i]->outstanding > 7)
			fail_msg("target %d has %d", i, (int)crowd->targets[i]->outstanding);
	drop_crowd(crowd);
}

static void among_many_each_bound_client_finds_its_target(void **state)
{
	struct crowd *crowd = new_crowd(BALANCE_ROUND_ROBIN);

	(void)state;
	for (int i = 0; i < MANY; i++) {
		struct balance_choice choice;

		crowd->input.wanted = crowd->targets[i]->sticky_id;
		choice = balance_target(crowd->group, &crowd->input);
		assert_true(choice.is_wanted);
		assert_ptr_equal(choice.target, crowd->targets[i]);
	}
	crowd->input.wanted = 2; /* nobody's: ids are odd */
	assert_false(balance_target(crowd->group, &crowd->input).is_wanted);
	crowd->input.wanted = crowd->targets[7]->sticky_id;
	target_set_state(crowd->targets[7], TARGET_UNHEALTHY);
	assert_false(balance_target(crowd->group, &crowd->input).is_wanted);
	drop_crowd(crowd);
}

static void among_many_the_only_healthy_one_gets_all(void **state)
{
	struct crowd *crowd = new_crowd(BALANCE_ROUND_ROBIN);

	(void)state;
	for (int i = 0; i < MANY; i++)
		if (i != 700)
			target_set_state(crowd->targets[i], TARGET_UNHEALTHY);
	for (int i = 0; i < MANY; i++)
		assert_ptr_equal(pick_of(crowd), crowd->targets[700]);
	target_set_state(crowd->targets[2], TARGET_HEALTHY);
	assert_ptr_not_equal(pick_of(crowd), pick_of(crowd));
	drop_crowd(crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_robin_takes_turns_over_the_healthy),
	    cmocka_unit_test(with_none_healthy_all_registered_ones_serve),
	    cmocka_unit_test(c14_12_below_the_least_number_of_healthy_targets_it_fails_open),
	    cmocka_unit_test(c14_12_draining_targets_do_not_count_in_the_percentage),
	    cmocka_unit_test(a_target_already_tried_is_not_chosen_again),
	    cmocka_unit_test(least_outstanding_goes_to_the_idlest_of_all_workers),
	    cmocka_unit_test(least_outstanding_breaks_ties_in_turn),
	    cmocka_unit_test(other_algorithms_do_not_pay_for_the_shared_count),
	    cmocka_unit_test(random_is_even_while_all_weigh_the_same),
	    cmocka_unit_test(random_obeys_the_weights),
	    cmocka_unit_test(random_finds_the_only_candidate_of_least_weight),
	    cmocka_unit_test(who_is_bound_stays_with_a_target_that_may_serve),
	    cmocka_unit_test(a_share_grows_from_little_to_all),
	    cmocka_unit_test(c14_11_in_slow_start_a_target_gets_its_share),
	    cmocka_unit_test(when_all_are_in_slow_start_somebody_serves),
	    cmocka_unit_test(who_fails_more_than_its_peers_is_anomalous),
	    cmocka_unit_test(when_all_fail_alike_none_is_anomalous),
	    cmocka_unit_test(a_few_failures_prove_nothing),
	    cmocka_unit_test(two_targets_are_too_few_to_compare),
	    cmocka_unit_test(mitigation_cuts_to_the_least_and_ramps_back),
	    cmocka_unit_test(a_suspect_without_traffic_stays_one),
	    cmocka_unit_test(what_came_of_requests_is_counted),
	    cmocka_unit_test(groups_are_chosen_by_weight),
	    cmocka_unit_test(among_many_the_ends_of_requests_are_noticed),
	    cmocka_unit_test(among_many_each_bound_client_finds_its_target),
	    cmocka_unit_test(among_many_the_only_healthy_one_gets_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
