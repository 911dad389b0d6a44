/*
 * Scaling activities: running ones first, then the newest first.
 */
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/reply.h"

struct wish {
	const json_t *input;
	const char *group;
	int64_t from_ms, to_ms;
	const json_t *statuses; /* NULL: all */
};

static int read_filters(const json_t *input, struct wish *wish, struct aws_error *error)
{
	const json_t *filter;
	size_t i;

	json_array_foreach (doc_array(input, "Filters"), i, filter) {
		const json_t *values = doc_array(filter, "Values");
		const char *first = json_string_value(json_array_get(values, 0));
		const char *name = doc_str(filter, "Name", "");
		int64_t *bound = NULL;

		if (strcmp(name, "Status") == 0)
			wish->statuses = values;
		else if (strcmp(name, "StartTimeLowerBound") == 0)
			bound = &wish->from_ms;
		else if (strcmp(name, "StartTimeUpperBound") == 0)
			bound = &wish->to_ms;
		else {
			reply_invalid(error, "The filter '%s' is not supported", name);
			return -1;
		}
		if (bound && (!first || clock_parse_iso(first, bound) < 0)) {
			reply_invalid(error, "The value of filter '%s' is no time", name);
			return -1;
		}
	}
	return 0;
}

static bool is_wished(const struct wish *wish, const struct activity *activity)
{
	if (wish->group && strcmp(activity->group, wish->group) != 0)
		return false;
	if (activity->start_ms < wish->from_ms || activity->start_ms > wish->to_ms)
		return false;
	if (wish->statuses && !doc_list_has(wish->statuses, activity_status_name(activity->status)))
		return false;
	return reply_wants(wish->input, "ActivityIds", activity->id);
}

/* The lists are newest first; what runs is put in front by going through twice. */
static void add(const struct autoscaling *as, const struct activities *activities,
		const struct wish *wish, bool is_running, json_t *items)
{
	const struct activity *activity;

	TAILQ_FOREACH (activity, activities, link) {
		if ((activity->end_ms == 0) == is_running && is_wished(wish, activity))
			json_array_append_new(items, activity_describe(as->engine, activity));
	}
}

static void add_all(const struct autoscaling *as, const struct wish *wish, bool is_running,
		    bool with_deleted, json_t *items)
{
	const struct group *group;

	TAILQ_FOREACH (group, &as->engine->groups, link)
		add(as, &group->activities, wish, is_running, items);
	if (with_deleted)
		add(as, &as->engine->old_activities, wish, is_running, items);
}

json_t *handle_DescribeScalingActivities(void *context, const struct aws_call *call,
					 const json_t *input, struct aws_error *error)
{
	bool with_deleted = doc_bool(input, "IncludeDeletedGroups", false);
	struct autoscaling *as = context;
	struct wish wish = {
	    .input = input,
	    .group = doc_str(input, "AutoScalingGroupName", NULL),
	    .to_ms = INT64_MAX,
	};
	json_t *items;

	(void)call;
	if (wish.group && !with_deleted && !reply_group(as, input, error))
		return NULL;
	if (read_filters(input, &wish, error) < 0)
		return NULL;
	items = json_array();
	add_all(as, &wish, true, with_deleted, items);
	add_all(as, &wish, false, with_deleted, items);
	return reply_page(input, "Activities", items, 100, 100, error);
}
