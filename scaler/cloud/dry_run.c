/*
 * Scaler.DryRun: the engine decides and hands out nothing; what it would have done is logged here,
 * once for each change of mind.  Control thread.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/cloud/rim_parts.h"

enum { PLAN_MAX = 1024 };

/* What it would do, "; " between. */
static void write_plan(const json_t *explanation, char plan[PLAN_MAX])
{
	const json_t *next;
	size_t i, len = 0;

	plan[0] = '\0';
	json_array_foreach (doc_array(explanation, "Next"), i, next) {
		if (len < PLAN_MAX)
			len += (size_t)snprintf(plan + len, PLAN_MAX - len, "%s%s", i ? "; " : "",
						json_string_value(next));
	}
}

static void tell(struct rim *rim, const struct group *group, const char *plan)
{
	if (strcmp(doc_str(rim->plans, group->name, ""), plan) == 0)
		return;
	log_info("dry-run", "group=%s would=\"%s\" why=\"%s\"", group->name, plan, group->why);
	json_object_set_new(rim->plans, group->name, json_string(plan));
}

void rim_tell_plans(struct rim *rim, const struct metric_source *metrics, int64_t now_ms)
{
	struct group *group;
	char plan[PLAN_MAX];

	if (!rim->plans)
		rim->plans = json_object();
	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		json_t *explanation = group_explain(rim->engine, group, metrics, now_ms);

		if (explanation) {
			write_plan(explanation, plan);
			tell(rim, group, plan);
		}
		json_decref(explanation);
	}
}
