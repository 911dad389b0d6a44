/*
 * Warns of policies that would undo each other: looked at once a minute, as policies and alarms are
 * put one by one, and told once for each pair as it is.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/cloud/rim_parts.h"

enum { LOOK_MS = 60 * 1000 };

/* An alarm that runs a policy of the group. */
struct trigger {
	const struct policy *policy;
	const json_t *alarm;
	bool is_above;
};

enum { TRIGGERS_MAX = 64 };

/* Only what instances share falls as they become more. */
static bool is_shared(const json_t *alarm)
{
	return strcmp(doc_str(alarm, "Statistic", ""), "Average") == 0 ||
	       strcmp(doc_str(alarm, "MetricName", ""), "RequestCountPerTarget") == 0;
}

static size_t triggers_of(struct rim *rim, const struct policy *policy, struct trigger list[],
			  size_t n)
{
	json_t *names = cloudwatch_alarms_with_action(rim->config.cloudwatch,
						      doc_str(policy->document, "PolicyARN", ""));
	const json_t *entry;
	size_t i;

	json_array_foreach (names, i, entry) {
		const json_t *alarm =
		    cloudwatch_alarm(rim->config.cloudwatch, doc_str(entry, "AlarmName", ""));
		const char *comparison = doc_str(alarm, "ComparisonOperator", "");

		if (!alarm || n == TRIGGERS_MAX || !is_shared(alarm))
			continue;
		list[n++] =
		    (struct trigger){policy, alarm, strncmp(comparison, "GreaterThan", 11) == 0};
	}
	json_decref(names);
	return n;
}

static bool is_same_metric(const json_t *a, const json_t *b)
{
	static const char *const members[] = {"Namespace", "MetricName", "Statistic", "Dimensions"};

	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		if (!json_equal(json_object_get(a, members[i]), json_object_get(b, members[i])))
			return false;
	}
	return true;
}

/* Told already, as it is? */
static bool is_news(struct group *group, const struct trigger *out, const struct trigger *in)
{
	uint64_t hash = 14695981039346656037u;
	char text[2 * NAME_MAX_LEN + 128];

	snprintf(text, sizeof text, "%s:%s:%g:%g:%d:%d", out->policy->name, in->policy->name,
		 doc_num(out->alarm, "Threshold", 0), doc_num(in->alarm, "Threshold", 0),
		 group->min, group->max);
	for (const char *c = text; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211u;
	if (hash == group->flap_told)
		return false;
	group->flap_told = hash;
	return true;
}

static void look_at(struct group *group, const struct trigger *out, const struct trigger *in)
{
	struct flap_side above = {out->policy->document, doc_num(out->alarm, "Threshold", 0)};
	struct flap_side below = {in->policy->document, doc_num(in->alarm, "Threshold", 0)};
	struct flap flap;

	if (!flap_find(group, &above, &below, &flap) || !is_news(group, out, in))
		return;
	log_warn("policies-flap",
		 "group=%s out=%s in=%s why=\"from %d to %d instances the metric goes from %g to "
		 "%.4g, beyond the other threshold\"",
		 group->name, out->policy->name, in->policy->name, flap.capacity, flap.becomes,
		 flap.from, flap.lands);
}

static void look_through(struct rim *rim, struct group *group)
{
	struct trigger triggers[TRIGGERS_MAX];
	const struct policy *policy;
	size_t n = 0;

	TAILQ_FOREACH (policy, &group->policies, link) {
		const char *type = doc_str(policy->document, "PolicyType", "");

		if (strcmp(type, "StepScaling") == 0 || strcmp(type, "SimpleScaling") == 0)
			n = triggers_of(rim, policy, triggers, n);
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; triggers[i].is_above && k < n; k++) {
			if (!triggers[k].is_above &&
			    is_same_metric(triggers[i].alarm, triggers[k].alarm))
				look_at(group, &triggers[i], &triggers[k]);
		}
	}
}

void rim_find_flaps(struct rim *rim, int64_t now_ms)
{
	struct group *group;

	if (now_ms / LOOK_MS == rim->flaps_ms / LOOK_MS)
		return;
	rim->flaps_ms = now_ms;
	TAILQ_FOREACH (group, &rim->engine->groups, link)
		look_through(rim, group);
}
