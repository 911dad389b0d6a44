/*
 * What must hold at every step in the world of chaos_world.h, each law with its reason; and what
 * must hold once nothing fails any more and nobody asks for anything.
 */
#ifndef TESTS_UNIT_SCALER_CHAOS_LAWS_H
#define TESTS_UNIT_SCALER_CHAOS_LAWS_H

#include "scaler/engine/mixed.h"
#include "tests/unit/scaler/chaos_world.h"

enum { BEFORE_MAX = 300, STRAY_GUARD_MS = 300000, STRAY_SLACK_MS = 60000 };

/* The group as it was before the tick under way. */
struct law_tick {
	int n, desired;
	struct before {
		const struct instance *instance; /* maybe freed: only to compare */
		enum instance_state state;
		bool is_protected;
	} before[BEFORE_MAX];
};

static inline void law_note_before(struct chaos *chaos, struct law_tick *law)
{
	const struct group *group = chaos->world->group;
	const struct instance *instance;

	memset(law, 0, offsetof(struct law_tick, before));
	chaos->law = law;
	if (!group)
		return;
	law->desired = group->desired;
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (law->n == BEFORE_MAX)
			broken(chaos, "the group has a limit", "");
		law->before[law->n].instance = instance;
		law->before[law->n].state = instance->state;
		law->before[law->n++].is_protected = instance->is_protected;
	}
}

static inline const struct before *law_before(const struct chaos *chaos,
					      const struct instance *instance)
{
	for (int i = 0; i < chaos->law->n; i++) {
		if (chaos->law->before[i].instance == instance)
			return &chaos->law->before[i];
	}
	return NULL;
}

static inline bool is_live_state(enum instance_state state)
{
	return state == INSTANCE_PENDING || state == INSTANCE_IN_SERVICE;
}

/* ---- sizes ---- */

/* AWS promises it of every desired capacity, whoever sets it: people, policies, schedules. */
static inline void law_desired_is_between_min_and_max(struct chaos *chaos)
{
	const struct group *group = chaos->world->group;

	hold(chaos, group->min <= group->desired && group->desired <= group->max,
	     "min <= desired <= max", "");
}

/* How far beyond n a refresh may go. */
static inline int allowed_by_refresh(const struct group *group, int n)
{
	const json_t *refresh = json_array_get(group->refreshes, 0);
	int64_t percent = doc_int(doc_object(refresh, "Preferences"), "MaxHealthyPercentage", 100);

	if (!refresh || doc_has(refresh, "EndTime") || percent <= 100)
		return 0;
	return (int)((n * (percent - 100) + 99) / 100);
}

/* How far beyond desired replacements may go, and only they: a refresh by its percentage, others by
 * the maintenance policy or by a tenth. */
static inline int allowed_surge(const struct group *group, int desired)
{
	const json_t *policy = doc_object(group->document, "InstanceMaintenancePolicy");
	int64_t percent = doc_int(policy, "MaxHealthyPercentage", 100);
	int by_policy = (int)((desired * (percent - 100) + 99) / 100);
	int tenth = desired / 10 > 1 ? desired / 10 : 1;
	int allowed = allowed_by_refresh(group, desired);

	allowed = by_policy > allowed ? by_policy : allowed;
	return tenth > allowed ? tenth : allowed;
}

/* Money: nothing is launched beyond desired and what a replacement is allowed besides. */
static inline void law_launches_stay_below_the_ceiling(struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	const struct instance *instance;
	bool is_launching = false, is_warming = false;
	int n_pooled = 0;

	/* Of what desired was when it was decided: an attachment that fails lowers it afterwards.
	 */
	hold(chaos,
	     group->surge >= 0 &&
		 group->surge <= allowed_surge(group, group->desired > chaos->law->desired
							  ? group->desired
							  : chaos->law->desired),
	     "the surge is what the healthy percentages allow", "");
	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_new = !instance->id[0] && !law_before(chaos, instance);

		is_launching |= is_new && instance->state == INSTANCE_PENDING;
		is_warming |= is_new && instance->state == INSTANCE_WARMING;
		n_pooled += instance_is_pooled(instance);
	}
	hold(chaos,
	     group->pool_surge <= allowed_by_refresh(group, warm_pool_size(group)) &&
		 (!is_warming || n_pooled <= warm_pool_size(group) + group->pool_surge),
	     "launches for the warm pool stay below its size", "");
	if (is_launching)
		hold(chaos, group_actual(group) <= group->desired + group->surge,
		     "launches stay below the ceiling", "");
}

/* ---- who goes ---- */

/* Protection is a person's word that this one still works on something.  Only a person, its own
 * ill health or a refresh that was told so may end it all the same. */
static inline void law_protected_ones_stay_in_a_scale_in(struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		const struct before *before = law_before(chaos, instance);
		const struct activity *activity;

		if (!before || !before->is_protected || !is_live_state(before->state) ||
		    instance_is_live(instance))
			continue;
		activity = activity_find(group, instance->end_id);
		hold(chaos, !activity || !strstr(activity->cause, "selected for termination"),
		     "protected instances stay in a scale-in", instance->id);
	}
}

/* What does not carry the group's tag is somebody else's. */
static inline void law_only_what_is_tagged_is_terminated(struct chaos *chaos,
							 const struct machine *machine)
{
	hold(chaos, machine->is_tagged && (machine->is_ours || machine->is_given),
	     "only what carries the group's tag and came by it is terminated", machine->id);
}

/* Requests under way are answered before their server goes: the load balancer says that nobody is
 * left, or the deregistration delay is over.  Not where it was to go by force, does not run, or
 * the load balancer or the clock could not be trusted meanwhile. */
static inline void law_drained_before_terminated(struct chaos *chaos,
						 const struct instance *instance,
						 const struct machine *machine)
{
	const char *state = doc_str(doc_object(machine->ec2, "State"), "Name", "");
	bool is_excused = instance->is_forced || !instance_is_running(instance) ||
			  strcmp(state, "running") != 0 ||
			  chaos->elb_trouble_ms >= instance->end_ms ||
			  llabs(chaos->world->now_ms - chaos->jump_ms) < 400000;

	hold(chaos, is_excused || machine->target == TARGET_NONE,
	     "no instance is terminated before it has drained", instance->id);
}

static inline void law_of_terminations(struct chaos *chaos, const struct action *action)
{
	const struct instance *instance = group_launching(chaos->world->group, action->launch_id);
	const struct machine *machine = find_machine(chaos, action->instance_id);

	hold(chaos, instance && instance->state == INSTANCE_TERMINATING,
	     "who is terminated is Terminating", action->instance_id);
	if (!machine)
		return;
	law_only_what_is_tagged_is_terminated(chaos, machine);
	law_drained_before_terminated(chaos, instance, machine);
}

/* ---- launches ---- */

/* EC2 makes the same instances of a token again, and refuses other parameters with it. */
static inline void law_a_token_stands_for_one_call(struct chaos *chaos, const struct action *action)
{
	char call[ZONE_MAX + 32];
	const char *known;

	snprintf(call, sizeof call, "%d %s", action->count, action->zone);
	known = doc_str(chaos->tokens, action->token, call);
	hold(chaos, strcmp(known, call) == 0, "a token stands for one call", action->token);
	hold(chaos, action->token[0] && action->count > 0 && action->count <= MAX_BATCH,
	     "a launch has a token and a count", action->token);
	json_object_set_new(chaos->tokens, action->token, json_string(call));
}

/* Zones even out by where instances are launched: always where fewest are, of the zones that EC2
 * has room in. */
static inline void law_launches_go_to_the_poorest_zone(struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	const struct instance *instance;
	int counts[MAX_ZONES], least = INT32_MAX;

	zones_count(group, counts);
	for (int i = 0; i < group->n_zones; i++) {
		struct pool pool = {group->zones[i].name, "", false};

		if (group->zones[i].closed_until_ms <= chaos->world->now_ms &&
		    pool_is_open(group, &pool, chaos->world->now_ms) && counts[i] < least)
			least = counts[i];
	}
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (law_before(chaos, instance) || instance->id[0] ||
		    instance->state != INSTANCE_PENDING)
			continue;
		for (int i = 0; i < group->n_zones; i++)
			hold(chaos,
			     strcmp(group->zones[i].name, instance->zone) != 0 ||
				 counts[i] <= least + 1,
			     "launches go to the poorest zone", instance->zone);
	}
}

/* ---- policies ---- */

static inline bool was_warming(const struct chaos *chaos, const struct policy *policy)
{
	const struct group *group = chaos->world->group;
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		const struct before *before = law_before(chaos, instance);
		int64_t age_ms = chaos->world->now_ms - instance->in_service_ms;

		if (before && is_live_state(before->state) && instance_is_live(instance) &&
		    (instance->state == INSTANCE_PENDING ||
		     age_ms < policy_warmup_ms(group, policy)))
			return true;
	}
	return false;
}

/* Does the cause say that the policy has changed desired just now? */
static inline bool says_so(const struct chaos *chaos, const char *cause,
			   const struct policy *policy)
{
	char sentence[2 * NAME_MAX_LEN], at[CLOCK_TEXT_MAX];
	const char *found = cause, *end;

	clock_format_iso(chaos->world->now_ms, at);
	snprintf(sentence, sizeof sentence,
		 "policy %.200s changing the desired capacity from %d to %d", policy->name,
		 chaos->law->desired, chaos->world->group->desired);
	while ((found = strstr(found, at))) {
		end = strstr(found, ".  At ");
		found = strstr(found, sentence);
		if (found && (!end || found < end))
			return true;
		if (!end)
			return false;
		found = end;
	}
	return false;
}

/* While a newcomer warms up nobody knows yet what it will take off the others. */
static inline void law_no_scale_in_by_policy_while_warming(struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	const struct activity *newest = TAILQ_FIRST(&group->activities);
	const struct policy *policy;

	if (group->desired >= chaos->law->desired)
		return;
	TAILQ_FOREACH (policy, &group->policies, link) {
		const char *type = doc_str(policy->document, "PolicyType", "");

		if (strcmp(type, "SimpleScaling") == 0 ||
		    !(says_so(chaos, group->why, policy) ||
		      (newest && says_so(chaos, newest->cause, policy))))
			continue;
		hold(chaos, !was_warming(chaos, policy),
		     "no policy scales in while an instance warms up", policy->name);
	}
}

static inline bool is_warm_for_any(const struct chaos *chaos, const struct instance *instance)
{
	const struct group *group = chaos->world->group;
	const struct policy *policy;

	TAILQ_FOREACH (policy, &group->policies, link) {
		if (chaos->world->now_ms - instance->in_service_ms >=
		    policy_warmup_ms(group, policy))
			return true;
	}
	return false;
}

/* Called for each instance whose figures are asked for: newcomers' figures say nothing yet.  While
 * all are newcomers, they are all there is. */
static inline void law_metrics_of_warm_ones_only(struct chaos *chaos, const char *id)
{
	const struct group *group = chaos->world->group;
	const struct instance *asked = group_instance(group, id), *instance;

	if (!asked || is_warm_for_any(chaos, asked))
		return;
	TAILQ_FOREACH (instance, &group->instances, link) {
		const struct policy *policy;
		bool is_warm_for_all = instance->state == INSTANCE_IN_SERVICE;

		TAILQ_FOREACH (policy, &group->policies, link)
			is_warm_for_all &= chaos->world->now_ms - instance->in_service_ms >=
					   policy_warmup_ms(group, policy);
		hold(chaos, !is_warm_for_all, "only figures of warm instances are asked for", id);
	}
}

/* ---- books ---- */

/* An instance stands once in the books. */
static inline void law_nobody_is_there_twice(struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	const struct instance *one, *other;

	TAILQ_FOREACH (one, &group->instances, link) {
		hold(chaos, one->state != INSTANCE_TERMINATED, "what has ended is gone", one->id);
		for (other = TAILQ_NEXT(one, link); other; other = TAILQ_NEXT(other, link)) {
			hold(chaos, strcmp(one->launch_id, other->launch_id) != 0,
			     "no launch is there twice", one->launch_id);
			hold(chaos, !one->id[0] || strcmp(one->id, other->id) != 0,
			     "no instance is there twice", one->id);
		}
	}
}

static inline bool is_in_the_books(const struct chaos *chaos, const struct machine *machine)
{
	const struct group *group = chaos->world->group;
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (strcmp(instance->id, machine->id) == 0 ||
		    (!instance->id[0] && strcmp(instance->token, machine->token) == 0))
			return true;
	}
	return false;
}

/* Every instance that we launched is the group's, or was let go on purpose, or has ended, or is
 * found and ended within the guard time of strays. */
static inline void law_every_instance_is_accounted_for(struct chaos *chaos, int64_t passed_ms)
{
	for (int i = 0; i < chaos->n_machines; i++) {
		struct machine *machine = &chaos->machines[i];

		if (!machine->is_ours || !machine->is_tagged || !machine->is_alive ||
		    (chaos->world->group && is_in_the_books(chaos, machine))) {
			machine->unowned_ms = 0;
			continue;
		}
		/* Where there is no group any more nobody looks: nothing may be left. */
		if (chaos->world->group && !chaos->weather.is_ec2_down &&
		    is_shown(chaos, machine) && chaos->world->now_ms >= chaos->true_ms)
			machine->unowned_ms += passed_ms;
		hold(chaos, chaos->world->group || machine->was_lost,
		     "a deleted group leaves no instance", machine->id);
		hold(chaos, machine->unowned_ms <= STRAY_GUARD_MS + STRAY_SLACK_MS,
		     "every instance is accounted for", machine->id);
	}
}

static inline bool is_known_activity(const struct group *group, const struct activity *activity)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (strcmp(activity->id, instance->launch_id) == 0 ||
		    strcmp(activity->id, instance->end_id) == 0 ||
		    strcmp(activity->id, instance->entry_id) == 0)
			return true;
	}
	return strcmp(activity->id, group->waiting_id) == 0;
}

/* An activity that nobody will end stands there for ever, and holds simple scaling back. */
static inline void law_every_open_activity_has_its_instance(struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	const struct activity *activity;

	if (group) {
		TAILQ_FOREACH (activity, &group->activities, link)
			hold(chaos, activity->end_ms != 0 || is_known_activity(group, activity),
			     "every open activity has its instance", activity->description);
	}
	TAILQ_FOREACH (activity, &chaos->world->engine->old_activities, link)
		hold(chaos, activity->end_ms != 0, "a deleted group leaves no open activity",
		     activity->description);
}

static inline void compare_document(void *arg, const char *key, json_t *document)
{
	struct chaos *chaos = arg;

	hold(chaos, json_equal(document, json_object_get(chaos->world->store, key)),
	     "what changes is written", key);
	json_decref(document);
}

/* A field that is changed without its mark is lost when the program dies. */
static inline void law_what_changes_is_written(struct chaos *chaos)
{
	struct engine *engine = chaos->world->engine;
	struct group *group = chaos->world->group;
	struct instance *instance;
	struct activity *activity;

	if (!group || engine_has_changes(engine))
		return;
	group->is_dirty = true;
	TAILQ_FOREACH (instance, &group->instances, link)
		instance->is_dirty = true;
	TAILQ_FOREACH (activity, &group->activities, link)
		activity->is_dirty = true;
	hold(chaos, engine_changes(engine, compare_document, chaos) == 0, "there is memory", "");
	engine_saved(engine);
}

static inline void hold_laws(struct chaos *chaos, int64_t passed_ms)
{
	law_every_instance_is_accounted_for(chaos, passed_ms);
	if (chaos->step % 16 == 0)
		law_every_open_activity_has_its_instance(chaos);
	if (!chaos->world->group)
		return;
	law_desired_is_between_min_and_max(chaos);
	law_launches_stay_below_the_ceiling(chaos);
	law_protected_ones_stay_in_a_scale_in(chaos);
	law_launches_go_to_the_poorest_zone(chaos);
	law_no_scale_in_by_policy_while_warming(chaos);
	law_nobody_is_there_twice(chaos);
	if (chaos->step % 64 == 0)
		law_what_changes_is_written(chaos);
}

/* ---- at rest ---- */

/* NULL: the group has come to rest as it should be. */
static inline const char *unrest(struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	const struct instance *instance;
	int n_running = 0, n_standby = 0;

	if (!group)
		return NULL;
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (!instance_is_settled(instance))
			return "every instance has arrived";
		n_standby += !instance_is_live(instance); /* or in the warm pool */
	}
	for (int i = 0; i < chaos->n_machines; i++) {
		const struct machine *machine = &chaos->machines[i];

		/* An attached one that EC2 hid for minutes was taken for dead; nobody is to end it.
		 */
		n_running += machine->is_alive && machine->is_tagged &&
			     (machine->is_ours || (machine->is_given && !machine->was_lost) ||
			      group_instance(group, machine->id));
	}
	if (group_actual(group) != group->desired)
		return "actual is desired";
	if (n_running != group->desired + n_standby)
		return "EC2 runs what the group has";
	if (group->surge != 0 || group_is_refreshing(group))
		return "no refresh is under way";
	return NULL;
}

/* Who serves is in the target group, and nobody else is: else who. */
static inline const char *unrest_of_targets(struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	bool is_attached = group && group_attachment(group, WORLD_TARGET_GROUP);

	for (int i = 0; i < chaos->n_machines; i++) {
		const struct machine *machine = &chaos->machines[i];
		const struct instance *instance = group ? group_instance(group, machine->id) : NULL;
		bool is_wanted = is_attached && instance && !instance->skips_elb &&
				 instance->state == INSTANCE_IN_SERVICE;

		if (machine->target == TARGET_IN && !is_wanted && !machine->may_be_left)
			return machine->id;
		if (machine->target != TARGET_IN && is_wanted)
			return "not all who serve are in the target group";
	}
	return NULL;
}

static inline void law_of_rest(struct chaos *chaos)
{
	const struct activity *activity;
	const char *why = unrest(chaos);

	if (!why)
		why = unrest_of_targets(chaos);
	if (why)
		broken(chaos, "the group comes to rest", why);
	if (chaos->world->group) {
		TAILQ_FOREACH (activity, &chaos->world->group->activities, link)
			hold(chaos, activity->end_ms != 0, "every activity ends",
			     activity->description);
	}
	law_every_open_activity_has_its_instance(chaos);
	law_what_changes_is_written(chaos);
}

/* Instances that serve or are about to, of each of the group's zones: NULL if they differ by one
 * at most and nobody is left in a zone that the group has no more; else the zone. */
static inline const char *unevenness(const struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	const struct instance *instance;
	int most = 0, least = INT32_MAX;
	const char *fullest = "";

	if (!group)
		return NULL;
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance_is_live(instance) && !zones_have(group, instance))
			return instance->zone;
	}
	for (int i = 0; i < group->n_zones; i++) {
		int n = zones_size(group, group->zones[i].name);

		if (n > most)
			fullest = group->zones[i].name;
		most = n > most ? n : most;
		least = n < least ? n : least;
	}
	return most - least > 1 ? fullest : NULL;
}

/* What AWS says of rebalancing: it ends with zones that differ by one at most.  No zone is full any
 * more, nobody is protected, nothing is suspended, and the hours have brought new budgets. */
static inline void law_zones_are_even_at_rest(struct chaos *chaos)
{
	const char *uneven = unevenness(chaos), *why = unrest(chaos);

	if (uneven)
		broken(chaos, "zones differ by one at most at rest", uneven);
	if (why)
		broken(chaos, "the group is at rest when its zones are even", why);
}

#endif
