/*
 * Instance refreshes: started, described, cancelled, rolled back.
 */
#include <errno.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/mixed.h"
#include "scaler/api/reply.h"

enum { ALARMS_MAX = 10 };

static int refuse(struct aws_error *error, const char *why)
{
	reply_invalid(error, "%s", why);
	return -1;
}

static int check_percentages(const json_t *preferences, struct aws_error *error)
{
	bool has_min = doc_has(preferences, "MinHealthyPercentage");
	bool has_max = doc_has(preferences, "MaxHealthyPercentage");
	int64_t min = doc_int(preferences, "MinHealthyPercentage", 90);
	int64_t max = doc_int(preferences, "MaxHealthyPercentage", 100);

	if (has_max && !has_min)
		return refuse(error, "MaxHealthyPercentage must be specified together with "
				     "MinHealthyPercentage");
	if (max - min > 100)
		return refuse(error, "The difference between MaxHealthyPercentage and "
				     "MinHealthyPercentage must not be greater than 100");
	return 0;
}

static int check_checkpoints(const json_t *preferences, struct aws_error *error)
{
	const json_t *points = doc_array(preferences, "CheckpointPercentages"), *point;
	int64_t before = 0;
	size_t i;

	json_array_foreach (points, i, point) {
		int64_t percent = json_integer_value(point);

		if (percent <= before || percent > 100)
			return refuse(error, "CheckpointPercentages must be unique, ascending and "
					     "between 1 and 100");
		before = percent;
	}
	if (doc_has(preferences, "CheckpointDelay") && json_array_size(points) == 0)
		return refuse(error, "CheckpointDelay needs CheckpointPercentages");
	if (doc_int(preferences, "CheckpointDelay", 0) < 0 ||
	    doc_int(preferences, "InstanceWarmup", 0) < 0)
		return refuse(error, "CheckpointDelay and InstanceWarmup must not be negative");
	return 0;
}

static int check_configuration(const json_t *input, struct aws_error *error)
{
	const json_t *desired = doc_object(input, "DesiredConfiguration");
	const json_t *template = doc_object(desired, "LaunchTemplate");
	const json_t *mixed = doc_object(desired, "MixedInstancesPolicy");

	if (!desired)
		return 0;
	if (!template == !mixed)
		return refuse(error, "The desired configuration needs either a LaunchTemplate or a "
				     "MixedInstancesPolicy");
	return mixed ? mixed_check_whole(mixed, error) : mixed_check_template(template, error);
}

static int check_start(const struct group *group, const json_t *input, struct aws_error *error)
{
	const json_t *preferences = doc_object(input, "Preferences");
	const json_t *desired = doc_object(input, "DesiredConfiguration");
	const json_t *alarms = doc_array(doc_object(preferences, "AlarmSpecification"), "Alarms");

	if (strcmp(doc_str(input, "Strategy", "Rolling"), "Rolling") != 0)
		return refuse(error, "Only the strategy Rolling is supported");
	if (check_percentages(preferences, error) < 0 ||
	    check_checkpoints(preferences, error) < 0 || check_configuration(input, error) < 0)
		return -1;
	if (json_array_size(alarms) > ALARMS_MAX)
		return refuse(error, "At most 10 alarms may be specified");
	if (doc_bool(preferences, "AutoRollback", false) &&
	    (!mixed_is_fixed(desired) || !mixed_is_fixed(group->document)))
		return refuse(error,
			      "AutoRollback needs a desired configuration, and launch templates of "
			      "fixed versions (not $Latest or $Default) in it and in the group");
	return 0;
}

/* Those that are in ALARM already stop it at once. */
static void look_at_alarms(struct autoscaling *as, struct group *group, const json_t *input)
{
	const json_t *spec = doc_object(doc_object(input, "Preferences"), "AlarmSpecification");
	const json_t *name;
	size_t i;

	json_array_foreach (doc_array(spec, "Alarms"), i, name) {
		const json_t *alarm =
		    as->cloudwatch ? cloudwatch_alarm(as->cloudwatch, json_string_value(name))
				   : NULL;

		if (strcmp(doc_str(alarm, "StateValue", ""), "ALARM") == 0)
			engine_refresh_alarm(group, json_string_value(name), reply_now_ms(as));
	}
}

static json_t *written_id(struct autoscaling *as, const char *id, struct aws_error *error)
{
	return reply_written(as, json_pack("{s:s}", "InstanceRefreshId", id), error);
}

json_t *handle_StartInstanceRefresh(void *context, const struct aws_call *call, const json_t *input,
				    struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group_to_touch(as, input, error);
	struct err err = {0};
	const char *id;

	(void)call;
	if (!group || check_start(group, input, error) < 0)
		return NULL;
	id = engine_start_refresh(as->engine, group, input, reply_now_ms(as), &err);
	if (!id) {
		aws_error_set(error, err.code == EBUSY ? 400 : 500,
			      err.code == EBUSY ? "InstanceRefreshInProgress" : "InternalFailure",
			      "%s", err.text);
		return NULL;
	}
	look_at_alarms(as, group, input);
	return written_id(as, id, error);
}

json_t *handle_CancelInstanceRefresh(void *context, const struct aws_call *call,
				     const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	struct err err = {0};
	const char *id;

	(void)call;
	if (!group)
		return NULL;
	id = engine_cancel_refresh(group, &err);
	if (id)
		return written_id(as, id, error);
	aws_error_set(error, 400, "ActiveInstanceRefreshNotFound", "%s", err.text);
	return NULL;
}

json_t *handle_RollbackInstanceRefresh(void *context, const struct aws_call *call,
				       const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group_to_touch(as, input, error);
	struct err err = {0};
	const char *id;

	(void)call;
	if (!group)
		return NULL;
	id = engine_roll_back_refresh(group, reply_now_ms(as), &err);
	if (id)
		return written_id(as, id, error);
	aws_error_set(error, 400,
		      err.code == ENOENT ? "ActiveInstanceRefreshNotFound"
					 : "IrreversibleInstanceRefresh",
		      "%s", err.text);
	return NULL;
}

json_t *handle_DescribeInstanceRefreshes(void *context, const struct aws_call *call,
					 const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	json_t *items, *refresh;
	size_t i;

	(void)call;
	if (!group)
		return NULL;
	items = json_array();
	json_array_foreach (group->refreshes, i, refresh) {
		if (reply_wants(input, "InstanceRefreshIds",
				doc_str(refresh, "InstanceRefreshId", "")))
			json_array_append(items, refresh);
	}
	return reply_page(input, "InstanceRefreshes", items, 50, 100, error);
}
