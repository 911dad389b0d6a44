/*
 * Events: what is told of launches, terminations, hooks and refreshes, to whom, and what happens
 * to it when the program dies or nobody takes it.
 */
#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

#define TOPIC "arn:aws:sns:us-east-1:000000000000:ops"

static const struct event *newest(const struct world *world)
{
	return TAILQ_FIRST(&world->engine->events.list);
}

/* The newest event of that detail-type; it must be there. */
static const struct event *find(const struct world *world, const char *type)
{
	const struct event *event;

	TAILQ_FOREACH (event, &world->engine->events.list, link) {
		if (strcmp(doc_str(event->document, "detail-type", ""), type) == 0)
			return event;
	}
	fail_msg("no event %s", type);
	abort();
}

static const char *detail(const struct event *event, const char *member)
{
	return doc_str(doc_object(event->document, "detail"), member, "(none)");
}

/* The message of the event's first delivery, to be freed. */
static json_t *message(const struct event *event)
{
	const json_t *delivery = json_array_get(event->deliveries, 0);
	json_t *out = json_loads(doc_str(delivery, "Message", ""), 0, NULL);

	assert_non_null(out);
	return out;
}

static void notify(struct world *world)
{
	json_object_set_new(world->group->document, "Notifications",
			    json_pack("[{s:s, s:[s, s, s, s]}]", "TopicARN", TOPIC, "Types",
				      "autoscaling:EC2_INSTANCE_LAUNCH",
				      "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
				      "autoscaling:EC2_INSTANCE_TERMINATE",
				      "autoscaling:EC2_INSTANCE_TERMINATE_ERROR"));
	world->group->is_dirty = true;
}

static void put_hook(struct world *world, const char *name, const char *transition)
{
	json_t *input = json_pack("{s:s, s:s, s:i, s:s, s:s}", "LifecycleHookName", name,
				  "LifecycleTransition", transition, "HeartbeatTimeout", 60,
				  "NotificationTargetARN", TOPIC, "NotificationMetadata", "blue");
	struct err err = {0};

	assert_int_equal(engine_put_hook(world->group, input, &err), 0);
	json_decref(input);
}

static void set_desired(struct world *world, int desired)
{
	struct err err = {0};

	assert_int_equal(engine_set_desired(world->group, desired, world->now_ms, &err), 0);
}

/* ---- what is told ---- */

static void a_launch_is_told_in_eventbridges_form_and_to_the_topic(void **state)
{
	struct world *world = world_new(0, 3, 1);
	const struct event *event;
	const struct instance *instance;
	json_t *told;

	(void)state;
	notify(world);
	world_pass(world, 4);
	instance = TAILQ_FIRST(&world->group->instances);
	event = find(world, "EC2 Instance Launch Successful");
	assert_string_equal(doc_str(event->document, "source", ""), "aws.autoscaling");
	assert_int_equal(json_array_size(doc_array(event->document, "resources")), 2);
	assert_string_equal(detail(event, "EC2InstanceId"), instance->id);
	assert_string_equal(detail(event, "Origin"), "EC2");
	assert_string_equal(detail(event, "Destination"), "AutoScalingGroup");
	told = message(event);
	assert_string_equal(doc_str(told, "Event", ""), "autoscaling:EC2_INSTANCE_LAUNCH");
	assert_string_equal(doc_str(told, "Service", ""), "AWS Auto Scaling");
	assert_string_equal(doc_str(told, "StatusCode", ""), "InProgress");
	assert_int_equal(doc_int(told, "Progress", 0), 50);
	assert_non_null(doc_object(told, "Details"));
	assert_string_equal(doc_str(json_array_get(event->deliveries, 0), "Subject", ""),
			    "Auto Scaling: launch for group \"web\"");
	json_decref(told);
	world_free(world);
}

static void a_failed_launch_is_told_as_unsuccessful(void **state)
{
	struct world *world = world_new(0, 3, 1);
	const struct event *event;
	json_t *told;

	(void)state;
	notify(world);
	world->run_error = "InvalidAMIID.NotFound";
	world_pass(world, 3);
	event = find(world, "EC2 Instance Launch Unsuccessful");
	assert_string_equal(detail(event, "StatusCode"), "Failed");
	assert_non_null(strstr(detail(event, "StatusMessage"), "does not exist"));
	told = message(event);
	assert_string_equal(doc_str(told, "Event", ""), "autoscaling:EC2_INSTANCE_LAUNCH_ERROR");
	json_decref(told);
	world_free(world);
}

static void a_termination_is_told_only_to_who_asked_for_it(void **state)
{
	struct world *world = world_new(0, 3, 1);
	const struct event *event;

	(void)state;
	json_object_set_new(world->group->document, "Notifications",
			    json_pack("[{s:s, s:[s]}]", "TopicARN", TOPIC, "Types",
				      "autoscaling:EC2_INSTANCE_LAUNCH"));
	world_pass(world, 4);
	set_desired(world, 0);
	world_pass(world, 4);
	event = find(world, "EC2 Instance Terminate Successful");
	assert_string_equal(detail(event, "Origin"), "AutoScalingGroup");
	assert_string_equal(detail(event, "Destination"), "EC2");
	assert_int_equal(json_array_size(event->deliveries), 0);
	world_free(world);
}

static void a_hook_tells_its_target_and_everyone(void **state)
{
	struct world *world = world_new(0, 3, 1);
	const struct event *event;
	json_t *told;

	(void)state;
	put_hook(world, "in", "autoscaling:EC2_INSTANCE_LAUNCHING");
	world_pass(world, 4);
	event = find(world, "EC2 Instance-launch Lifecycle Action");
	assert_string_equal(detail(event, "LifecycleHookName"), "in");
	assert_string_equal(detail(event, "NotificationMetadata"), "blue");
	assert_int_equal(strlen(detail(event, "LifecycleActionToken")), 36);
	told = message(event);
	assert_string_equal(doc_str(told, "LifecycleActionToken", ""),
			    detail(event, "LifecycleActionToken"));
	assert_string_equal(doc_str(told, "LifecycleTransition", ""),
			    "autoscaling:EC2_INSTANCE_LAUNCHING");
	assert_string_equal(doc_str(told, "AccountId", ""), "000000000000");
	json_decref(told);
	world_free(world);
}

static void ways_through_a_warm_pool_have_their_origin_and_destination(void **state)
{
	struct world *world = world_new(0, 1, 0);
	json_t *input = json_pack("{s:{s:b}}", "InstanceReusePolicy", "ReuseOnScaleIn", 1);
	const struct event *event;
	struct err err = {0};

	(void)state;
	assert_int_equal(engine_put_warm_pool(world->group, input, &err), 0);
	json_decref(input);
	world_pass(world, 6);
	event = find(world, "EC2 Instance Launch Successful");
	assert_string_equal(detail(event, "Origin"), "EC2");
	assert_string_equal(detail(event, "Destination"), "WarmPool");
	set_desired(world, 1);
	world_pass(world, 6);
	event = find(world, "EC2 Instance Launch Successful");
	assert_string_equal(detail(event, "Origin"), "WarmPool");
	assert_string_equal(detail(event, "Destination"), "AutoScalingGroup");
	put_hook(world, "out", "autoscaling:EC2_INSTANCE_TERMINATING");
	set_desired(world, 0);
	world_pass(world, 6);
	event = find(world, "EC2 Instance-terminate Lifecycle Action");
	assert_string_equal(detail(event, "Origin"), "AutoScalingGroup");
	assert_string_equal(detail(event, "Destination"), "WarmPool");
	world_free(world);
}

static void a_refresh_is_told_from_its_start_to_its_end(void **state)
{
	struct world *world = world_new(0, 3, 1);
	json_t *input = json_pack("{s:{s:i, s:i, s:i}}", "Preferences", "MinHealthyPercentage", 0,
				  "MaxHealthyPercentage", 100, "InstanceWarmup", 0);
	struct err err = {0};

	(void)state;
	world_pass(world, 4);
	assert_non_null(
	    engine_start_refresh(world->engine, world->group, input, world->now_ms, &err));
	json_decref(input);
	world_pass(world, 30);
	assert_int_equal(strlen(detail(find(world, "EC2 Auto Scaling Instance Refresh Started"),
				       "InstanceRefreshId")),
			 36);
	(void)find(world, "EC2 Auto Scaling Instance Refresh Succeeded");
	world_free(world);
}

static void a_test_message_goes_to_the_topic_and_is_no_event(void **state)
{
	struct world *world = world_new(0, 3, 0);
	struct event_query query = {.limit = 10};
	json_t *told, *shown;

	(void)state;
	event_test(world->group, TOPIC, world->now_ms);
	told = message(newest(world));
	assert_string_equal(doc_str(told, "Event", ""), "autoscaling:TEST_NOTIFICATION");
	json_decref(told);
	shown = engine_events_describe(world->engine, &query);
	assert_int_equal(json_array_size(doc_array(shown, "Events")), 0);
	json_decref(shown);
	world_free(world);
}

/* ---- delivery ---- */

static void what_is_owed_outlives_the_program_until_it_is_taken(void **state)
{
	struct world *world = world_new(0, 3, 0);
	const struct event *event;
	size_t place;

	(void)state;
	event_test(world->group, TOPIC, world->now_ms);
	world_tick(world);
	event = engine_next_delivery(world->engine, world->now_ms, &place);
	assert_non_null(event);
	/* Under way: not handed out twice, until the program has died. */
	assert_null(engine_next_delivery(world->engine, world->now_ms, &place));
	world_restart(world);
	event = engine_next_delivery(world->engine, world->now_ms, &place);
	assert_non_null(event);
	assert_true(engine_delivered(world->engine, event->number, place, NULL, world->now_ms));
	world_tick(world);
	world_restart(world);
	assert_null(engine_next_delivery(world->engine, world->now_ms, &place));
	assert_int_equal(world->engine->events.n_owed, 0);
	world_free(world);
}

static void what_fails_is_tried_again_later_and_given_up_in_the_end(void **state)
{
	struct world *world = world_new(0, 3, 0);
	const struct event *event;
	int attempts = 0;
	size_t place;

	(void)state;
	event_test(world->group, TOPIC, world->now_ms);
	while (world->engine->events.n_owed > 0 && attempts < 100) {
		event = engine_next_delivery(world->engine, world->now_ms, &place);
		world->now_ms += 500;
		if (!event)
			continue;
		attempts++;
		(void)engine_delivered(world->engine, event->number, place, "nobody there",
				       world->now_ms);
	}
	assert_int_equal(attempts, 20);
	assert_int_equal(world->engine->events.n_lost, 1);
	world_free(world);
}

static void the_list_is_bounded_and_the_oldest_go(void **state)
{
	struct world *world = world_new(0, 3, 0);

	(void)state;
	for (int i = 0; i < MAX_EVENTS + 5; i++)
		event_test(world->group, TOPIC, world->now_ms);
	assert_int_equal(world->engine->events.n, MAX_EVENTS);
	assert_int_equal(world->engine->events.n_owed, MAX_EVENTS);
	assert_int_equal(world->engine->events.n_lost, 5);
	assert_int_equal(newest(world)->number, MAX_EVENTS + 5);
	world_tick(world);
	world_restart(world);
	assert_int_equal(world->engine->events.n, MAX_EVENTS);
	assert_int_equal(newest(world)->number, MAX_EVENTS + 5);
	world_free(world);
}

static void with_a_webhook_every_event_is_owed_to_it(void **state)
{
	struct world *world = world_new(0, 3, 1);
	const struct event *event;
	size_t place;

	(void)state;
	engine_set_webhook(world->engine, true);
	world_pass(world, 4);
	event = engine_next_delivery(world->engine, world->now_ms, &place);
	assert_non_null(event);
	assert_string_equal(doc_str(json_array_get(event->deliveries, place), "Kind", ""),
			    "webhook");
	world_free(world);
}

static void the_list_is_read_by_group_and_from_a_number_on(void **state)
{
	struct world *world = world_new(0, 3, 2);
	struct event_query query = {.limit = 1, .group = "web"};
	json_t *shown;
	uint64_t number;

	(void)state;
	world_pass(world, 4);
	shown = engine_events_describe(world->engine, &query);
	assert_int_equal(json_array_size(doc_array(shown, "Events")), 1);
	number = (uint64_t)doc_int(json_array_get(doc_array(shown, "Events"), 0), "Number", 0);
	assert_int_equal(number, newest(world)->number);
	json_decref(shown);
	query.limit = 10;
	query.after = number - 1;
	shown = engine_events_describe(world->engine, &query);
	assert_int_equal(json_array_size(doc_array(shown, "Events")), 1);
	json_decref(shown);
	query = (struct event_query){.limit = 10, .group = "other"};
	shown = engine_events_describe(world->engine, &query);
	assert_int_equal(json_array_size(doc_array(shown, "Events")), 0);
	json_decref(shown);
	world_free(world);
}

static void tokens_are_hidden_where_the_page_is_open_to_all(void **state)
{
	struct world *world = world_new(0, 3, 1);
	struct event_query query = {.limit = 10, .hides_tokens = true};
	json_t *shown;

	(void)state;
	put_hook(world, "in", "autoscaling:EC2_INSTANCE_LAUNCHING");
	world_pass(world, 4);
	shown = engine_events_describe(world->engine, &query);
	assert_false(doc_has(doc_object(json_array_get(doc_array(shown, "Events"), 0), "detail"),
			     "LifecycleActionToken"));
	assert_int_equal(strlen(detail(newest(world), "LifecycleActionToken")), 36);
	json_decref(shown);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_launch_is_told_in_eventbridges_form_and_to_the_topic),
	    cmocka_unit_test(a_failed_launch_is_told_as_unsuccessful),
	    cmocka_unit_test(a_termination_is_told_only_to_who_asked_for_it),
	    cmocka_unit_test(a_hook_tells_its_target_and_everyone),
	    cmocka_unit_test(ways_through_a_warm_pool_have_their_origin_and_destination),
	    cmocka_unit_test(a_refresh_is_told_from_its_start_to_its_end),
	    cmocka_unit_test(a_test_message_goes_to_the_topic_and_is_no_event),
	    cmocka_unit_test(what_is_owed_outlives_the_program_until_it_is_taken),
	    cmocka_unit_test(what_fails_is_tried_again_later_and_given_up_in_the_end),
	    cmocka_unit_test(the_list_is_bounded_and_the_oldest_go),
	    cmocka_unit_test(with_a_webhook_every_event_is_owed_to_it),
	    cmocka_unit_test(the_list_is_read_by_group_and_from_a_number_on),
	    cmocka_unit_test(tokens_are_hidden_where_the_page_is_open_to_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
