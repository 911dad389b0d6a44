/*
 * The record of an instance refresh: its document, the configuration it launches from, and its
 * ends.  A refresh is a document in DescribeInstanceRefreshes' shape with what is not shown beside
 * it, the newest first in group->refreshes.  Pure.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/refresh.h"

/* ---- the document ---- */

json_t *refresh_current(const struct group *group)
{
	json_t *refresh = json_array_get(group->refreshes, 0);

	return refresh && !doc_has(refresh, "EndTime") ? refresh : NULL;
}

bool refresh_is_in(const json_t *refresh, const char *status)
{
	return strcmp(doc_str(refresh, "Status", ""), status) == 0;
}

bool group_is_refreshing(const struct group *group)
{
	const json_t *refresh = refresh_current(group);

	return refresh && (refresh_is_in(refresh, "InProgress") ||
			   refresh_is_in(refresh, "RollbackInProgress"));
}

void refresh_set_text(struct group *group, json_t *refresh, const char *member, const char *text)
{
	if (strcmp(doc_str(refresh, member, ""), text) == 0)
		return;
	json_object_set_new(refresh, member, json_string(text));
	group->is_dirty = true;
}

void refresh_set_int(struct group *group, json_t *refresh, const char *member, int64_t value)
{
	if (doc_has(refresh, member) && doc_int(refresh, member, 0) == value)
		return;
	json_object_set_new(refresh, member, json_integer(value));
	group->is_dirty = true;
}

static void set_time(struct group *group, json_t *refresh, const char *member, int64_t at_ms)
{
	char at[CLOCK_TEXT_MAX];

	refresh_set_text(group, refresh, member, clock_format_iso(at_ms, at));
}

int64_t refresh_preference(const json_t *refresh, const char *member, int64_t otherwise)
{
	return doc_int(doc_object(refresh, "Preferences"), member, otherwise);
}

const char *refresh_preferred(const json_t *refresh, const char *member)
{
	return doc_str(doc_object(refresh, "Preferences"), member, "");
}

/* ---- the template in force ---- */

json_t *group_template(const struct group *group)
{
	json_t *refreshed = doc_object(group->document, "RefreshTemplate");
	json_t *mixed = doc_object(group_mixed(group), "LaunchTemplate");

	if (mixed)
		return doc_object(mixed, "LaunchTemplateSpecification");
	return refreshed ? refreshed : doc_object(group->document, "LaunchTemplate");
}

static void use_member(struct group *group, const char *member, const json_t *value)
{
	if (value)
		json_object_set_new(group->document, member, json_deep_copy(value));
	else
		json_object_del(group->document, member);
}

/* configuration: a DesiredConfiguration; NULL: the group's own again. */
void refresh_use(struct group *group, const json_t *configuration)
{
	json_t *mixed = doc_object(configuration, "MixedInstancesPolicy");

	use_member(group, "RefreshTemplate", doc_object(configuration, "LaunchTemplate"));
	use_member(group, "RefreshMixedInstancesPolicy", mixed);
	if (mixed)
		(void)!mixed_fill_defaults(
		    doc_object(group->document, "RefreshMixedInstancesPolicy"));
	group_forget_template(group);
	mixed_reweigh(group);
	pools_forget(group);
	breaker_reset(group);
}

static bool has_configuration(const struct group *group)
{
	return doc_has(group->document, "RefreshTemplate") ||
	       doc_has(group->document, "RefreshMixedInstancesPolicy");
}

/* What the refresh has launched from is the group's from now on. */
static void adopt_configuration(struct group *group)
{
	static const char *const sources[] = {"LaunchTemplate", "MixedInstancesPolicy",
					      "LaunchConfiguration", "LaunchConfigurationName"};
	json_t *template = json_incref(doc_object(group->document, "RefreshTemplate"));
	json_t *mixed = json_incref(doc_object(group->document, "RefreshMixedInstancesPolicy"));

	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
		json_object_del(group->document, sources[i]);
	if (mixed)
		json_object_set_new(group->document, "MixedInstancesPolicy", mixed);
	if (template)
		json_object_set_new(group->document, "LaunchTemplate", template);
}

/* ---- ends ---- */

void refresh_mark(struct instance *instance, bool is_outdated)
{
	instance->is_dirty |= instance->is_outdated != is_outdated;
	instance->is_outdated = is_outdated;
}

/* How many; those of the warm pool apart. */
/* What events call its end. */
static const char *event_name(const char *status)
{
	static const char *const names[][2] = {
	    {"Successful", "Succeeded"},
	    {"RollbackSuccessful", "Rollback Succeeded"},
	    {"RollbackFailed", "Rollback Failed"},
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(status, names[i][0]) == 0)
			return names[i][1];
	}
	return status;
}

void refresh_finish(struct group *group, json_t *refresh, const char *status, const char *why,
		    int64_t now_ms)
{
	struct instance *instance;

	refresh_set_text(group, refresh, "Status", status);
	if (why)
		refresh_set_text(group, refresh, "StatusReason", why);
	else
		json_object_del(refresh, "StatusReason");
	set_time(group, refresh, "EndTime", now_ms);
	event_of_refresh(group, refresh, event_name(status), now_ms);
	if (strcmp(status, "Successful") == 0 && has_configuration(group))
		adopt_configuration(group);
	if (has_configuration(group))
		refresh_use(group, NULL);
	TAILQ_FOREACH (instance, &group->instances, link)
		refresh_mark(instance, false);
	group->surge = group->pool_surge = 0;
	group->is_dirty = true;
}

void refresh_begin_rollback(struct group *group, json_t *refresh, const char *why, int64_t now_ms)
{
	int64_t start_ms = doc_int(refresh, "StartMs", 0);
	struct instance *instance;
	char at[CLOCK_TEXT_MAX];
	int n = 0, n_pooled = 0;

	json_object_set_new(refresh, "RollbackDetails",
			    json_pack("{s:s, s:s, s:I, s:I}", "RollbackReason", why,
				      "RollbackStartTime", clock_format_iso(now_ms, at),
				      "PercentageCompleteOnRollback",
				      (json_int_t)doc_int(refresh, "PercentageComplete", 0),
				      "InstancesToUpdateOnRollback",
				      (json_int_t)doc_int(refresh, "InstancesToUpdate", 0)));
	refresh_use(group, NULL);
	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_ours = instance_is_live(instance) || instance_is_pooled(instance);
		bool is_newcomer =
		    !instance->is_outdated && is_ours && instance->launch_ms >= start_ms;

		refresh_mark(instance, is_newcomer);
		n += is_newcomer && !instance->is_warm;
		n_pooled += is_newcomer && instance->is_warm;
	}
	refresh_set_text(group, refresh, "Status", "RollbackInProgress");
	event_of_refresh(group, refresh, "Rollback Started", now_ms);
	refresh_set_text(group, refresh, "StatusReason", why);
	refresh_set_int(group, refresh, "RollbackTotal", n);
	refresh_set_int(group, refresh, "PoolTotal", n_pooled);
	refresh_set_int(group, refresh, "ProgressMs", now_ms);
	refresh_set_int(group, refresh, "FailuresBefore", group->breaker.row);
	group->is_dirty = true;
}

void refresh_fail(struct group *group, json_t *refresh, const char *why, int64_t now_ms)
{
	bool rolls_back = doc_bool(doc_object(refresh, "Preferences"), "AutoRollback", false);

	if (refresh_is_in(refresh, "RollbackInProgress"))
		refresh_finish(group, refresh, "RollbackFailed", why, now_ms);
	else if (rolls_back && !refresh_is_in(refresh, "Pending"))
		refresh_begin_rollback(group, refresh, why, now_ms);
	else
		refresh_finish(group, refresh, "Failed", why, now_ms);
}
