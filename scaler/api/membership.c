/*
 * Instances protected, set aside, detached and attached.
 */
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "scaler/api/reply.h"

enum { IDS_MAX = 20, PROTECTED_IDS_MAX = 50, LISTS_MAX = 50 };

/* The instances of the input's list, all of the group; their number, or -1 with error. */
static int find_all(struct group *group, const json_t *input, int max,
		    struct instance *found[LISTS_MAX], struct aws_error *error)
{
	const json_t *ids = doc_array(input, "InstanceIds"), *id;
	size_t i;

	if (json_array_size(ids) == 0 || json_array_size(ids) > (size_t)max) {
		reply_invalid(error, "From 1 to %d instance ids must be specified", max);
		return -1;
	}
	json_array_foreach (ids, i, id) {
		found[i] = NULL;
		TAILQ_FOREACH (found[i], &group->instances, link) {
			if (strcmp(found[i]->id, json_string_value(id)) == 0)
				break;
		}
		if (found[i])
			continue;
		reply_invalid(error, "The instance %s is not part of Auto Scaling group %s.",
			      json_string_value(id), group->name);
		return -1;
	}
	return (int)json_array_size(ids);
}

/* Is each in that state (or, where allowed, on standby), and named once? */
static int check_states(struct instance *const found[], int n, enum instance_state state,
			bool may_stand_by, struct aws_error *error)
{
	char name[ZONE_MAX];

	for (int i = 0; i < n; i++) {
		bool is_twice = false;

		CHECK(found[i] != NULL);
		for (int k = 0; k < i; k++)
			is_twice |= found[k] == found[i];
		if (!is_twice && (found[i]->state == state ||
				  (may_stand_by && found[i]->state == INSTANCE_STANDBY)))
			continue;
		if (is_twice)
			reply_invalid(error, "The instance %s is named twice.", found[i]->id);
		else
			reply_invalid(error, "The instance %s is not in %s: it is in %s.",
				      found[i]->id,
				      state == INSTANCE_STANDBY ? "Standby" : "InService",
				      instance_lifecycle(found[i], name));
		return -1;
	}
	return 0;
}

static json_t *out_of_limits(const struct group *group, const char *what, int n,
			     struct aws_error *error)
{
	return reply_invalid(error,
			     "AutoScalingGroup %s has min-size=%d, max-size=%d, and "
			     "desired-size=%d. To %s %d instance%s, please update the "
			     "AutoScalingGroup sizes appropriately.",
			     group->name, group->min, group->max, group->desired, what, n,
			     n == 1 ? "" : "s");
}

static void shift_desired(struct group *group, int by)
{
	group->desired += by;
	group->is_dirty = true;
}

json_t *handle_SetInstanceProtection(void *context, const struct aws_call *call,
				     const json_t *input, struct aws_error *error)
{
	bool is_protected = doc_bool(input, "ProtectedFromScaleIn", false);
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	struct instance *found[LISTS_MAX] = {NULL};
	int n = group ? find_all(group, input, PROTECTED_IDS_MAX, found, error) : -1;

	(void)call;
	if (n < 0)
		return NULL;
	for (int i = 0; i < n; i++) {
		if (!instance_is_live(found[i]) && found[i]->state != INSTANCE_STANDBY &&
		    is_protected)
			return reply_invalid(
			    error,
			    "The instance %s is not in InService or EnteringStandby "
			    "or Standby.",
			    found[i]->id);
	}
	for (int i = 0; i < n; i++) {
		found[i]->is_protected = is_protected;
		found[i]->is_dirty = true;
	}
	return reply_written(as, json_object(), error);
}

/* ---- out ---- */

/* What they count for in the group's capacity. */
static int count_units(struct instance *const found[], int n)
{
	int units = 0;

	for (int i = 0; i < n; i++)
		units += instance_is_live(found[i]) ? instance_units(found[i]) : 0;
	return units;
}

static json_t *take_out(struct autoscaling *as, struct group *group, const json_t *input,
			bool is_for_good, struct aws_error *error)
{
	bool decrements = doc_bool(input, "ShouldDecrementDesiredCapacity", false);
	struct instance *found[LISTS_MAX] = {NULL};
	int n = find_all(group, input, IDS_MAX, found, error), units;
	json_t *shown;

	if (n < 0 || check_states(found, n, INSTANCE_IN_SERVICE, is_for_good, error) < 0)
		return NULL;
	units = count_units(found, n);
	if (decrements && group->desired - units < group->min)
		return out_of_limits(group, is_for_good ? "detach" : "place into standby", n,
				     error);
	shown = json_array();
	for (int i = 0; i < n; i++) {
		const struct activity *activity =
		    engine_take_out(as->engine, group, found[i], is_for_good, reply_now_ms(as));

		if (activity)
			json_array_append_new(shown, activity_describe(as->engine, activity));
	}
	if (decrements)
		shift_desired(group, -units);
	return reply_written(as, json_pack("{s:o}", "Activities", shown), error);
}

json_t *handle_EnterStandby(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group_to_touch(as, input, error);

	(void)call;
	return group ? take_out(as, group, input, false, error) : NULL;
}

json_t *handle_DetachInstances(void *context, const struct aws_call *call, const json_t *input,
			       struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group_to_touch(as, input, error);

	(void)call;
	return group ? take_out(as, group, input, true, error) : NULL;
}

/* ---- in ---- */

static int check_launch(const struct group *group, struct aws_error *error)
{
	if (!group_is_suspended(group, "Launch") && !group->is_deleting)
		return 0;
	aws_error_set(error, 400, "ScalingActivityInProgress",
		      "The process Launch of the group %s is suspended, or it is being deleted.",
		      group->name);
	return -1;
}

json_t *handle_ExitStandby(void *context, const struct aws_call *call, const json_t *input,
			   struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group_to_touch(as, input, error);
	struct instance *found[LISTS_MAX] = {NULL};
	int n = group ? find_all(group, input, IDS_MAX, found, error) : -1;
	int units = 0;
	json_t *shown;

	(void)call;
	if (n < 0 || check_launch(group, error) < 0 ||
	    check_states(found, n, INSTANCE_STANDBY, false, error) < 0)
		return NULL;
	for (int i = 0; i < n; i++)
		units += instance_units(found[i]);
	if (group->desired + units > group->max)
		return out_of_limits(group, "move out of standby", n, error);
	shown = json_array();
	for (int i = 0; i < n; i++) {
		const struct activity *activity =
		    engine_exit_standby(as->engine, group, found[i], reply_now_ms(as));

		if (activity)
			json_array_append_new(shown, activity_describe(as->engine, activity));
	}
	shift_desired(group, units);
	return reply_written(as, json_pack("{s:o}", "Activities", shown), error);
}

/* An instance id that is named once and of nobody's group? */
static int check_foreign_one(struct autoscaling *as, const json_t *ids, size_t i,
			     struct aws_error *error)
{
	const char *id = json_string_value(json_array_get(ids, i));
	struct instance *instance;
	const struct group *group = engine_group_of(as->engine, id, &instance);

	if (group) {
		reply_invalid(error, "Instance %s is already part of the Auto Scaling group %s.",
			      id, group->name);
		return -1;
	}
	for (size_t k = 0; k < i; k++) {
		if (strcmp(json_string_value(json_array_get(ids, k)), id) != 0)
			continue;
		reply_invalid(error, "The instance %s is named twice.", id);
		return -1;
	}
	if (id_is_ec2(id, "i"))
		return 0;
	reply_invalid(error, "Invalid Instance ID(s): %s", id);
	return -1;
}

static int check_foreign(struct autoscaling *as, const json_t *ids, struct aws_error *error)
{
	if (json_array_size(ids) == 0 || json_array_size(ids) > IDS_MAX) {
		reply_invalid(error, "From 1 to %d instance ids must be specified", IDS_MAX);
		return -1;
	}
	for (size_t i = 0; i < json_array_size(ids); i++) {
		if (check_foreign_one(as, ids, i, error) < 0)
			return -1;
	}
	return 0;
}

json_t *handle_AttachInstances(void *context, const struct aws_call *call, const json_t *input,
			       struct aws_error *error)
{
	const json_t *ids = doc_array(input, "InstanceIds"), *id;
	struct autoscaling *as = context;
	struct group *group = reply_group_to_touch(as, input, error);
	int n = (int)json_array_size(ids);
	struct err err = {0};
	size_t i;

	(void)call;
	if (!group || check_launch(group, error) < 0 || check_foreign(as, ids, error) < 0)
		return NULL;
	if (group->desired + n > group->max)
		return out_of_limits(group, "attach", n, error);
	json_array_foreach (ids, i, id) {
		if (engine_attach_instance(as->engine, group, json_string_value(id),
					   reply_now_ms(as), &err) < 0) {
			aws_error_set(error, 500, "InternalFailure", "%s", err.text);
			return NULL;
		}
		shift_desired(group, 1);
	}
	return reply_written(as, json_object(), error);
}
