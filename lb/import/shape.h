/*
 * From what the Describe calls tell (fetch.h) to what a configuration file
 * says: the members of the create calls, names for ARNs, nothing that is the
 * default, everything in one order, so that the same thing always gives the
 * same text.  What a file cannot hold is told in the notes.  Pure.
 */
#ifndef LB_IMPORT_SHAPE_H
#define LB_IMPORT_SHAPE_H

#include <jansson.h>
#include <stdbool.h>

#include "common/base/check.h"

enum member_fate {
	MEMBER_KEPT,
	MEMBER_INERT,    /* kept, with a note: it has no effect here */
	MEMBER_COMPUTED, /* follows from the rest, or is looked at elsewhere */
	MEMBER_LOST,     /* not kept, with a note */
};

struct file_member {
	const char *name;
	enum member_fate fate;
	const char *otherwise; /* the default, as JSON: not written; NULL = there is none */
};

/* Adds "PATH: text" to notes, an array of strings; NULL: nobody wants to know.
 */
void shape_note(json_t *notes, const char *path, const char *format, ...) PRINTF_LIKE(3, 4);

/* New object with the members of the table, in its order; a member that the
 * table does not know is noted as lost.  Empty lists and texts are as good as
 * absent.  n: of the table. */
json_t *shape_object(const json_t *described, const struct file_member *table, size_t n,
		     const char *path, json_t *notes);

/* New array of {Key, Value, PropagateAtLaunch?} in order of the keys, without
 * AWS's own. */
json_t *shape_tags(const json_t *tags, const char *path, json_t *notes);

/* Puts the array into object unless it is empty; takes it over. */
void shape_put(json_t *object, const char *member, json_t *list);

/* New array, in order of compare (which gets json_t **); takes over list. */
json_t *shape_sorted(json_t *list, int (*compare)(const void *, const void *));

/* New object {ARN: name} of what was found. */
json_t *shape_names(const json_t *found);
/* Replaces the ARN in a member by the name, where there is one. */
void shape_rename(json_t *object, const char *member, const json_t *names);

/*
 * New {"LoadBalancers": [..], "TargetGroups": [..]}.  owned_targets: {id:
 * true}, instances that an Auto Scaling group registers by itself; NULL = none.
 */
json_t *shape_balancers(const json_t *found, const json_t *owned_targets, json_t *notes);
json_t *shape_target_group(const json_t *found_group, const json_t *tags,
			   const json_t *owned_targets, json_t *notes);

/* Adds LaunchTemplates, AutoScalingGroups, ScalingPolicies, ScheduledActions,
 * LifecycleHooks and MetricAlarms to config. */
void shape_scaling(const json_t *found, json_t *config, json_t *notes);
/* The same sections of a file, brought into the form that shape_scaling()
 * writes.  names: of shape_names(). */
void shape_scaling_of_file(const json_t *file, const json_t *names, json_t *config);

/* New array: of the alarms, those about these load balancers, target groups and
 * Auto Scaling groups, or with one of their policies as action; not those that
 * target tracking makes. */
json_t *shape_related_alarms(const json_t *found);

#endif
