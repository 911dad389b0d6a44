/*
 * Replacement: the parts that mark instances (health.c, lifetime.c, balance.c, and who knows of
 * rebalance recommendations) and the one that carries it out (replace.c).  Only for scaler/engine.
 */
#ifndef SCALER_ENGINE_REPLACE_H
#define SCALER_ENGINE_REPLACE_H

#include "scaler/engine/mixed.h"

/* ---- replace.c ---- */

/* Marked for the reason; REPLACE_NOT: for any. */
int replace_count(const struct group *group, enum replace_reason reason);
/* REPLACE_NOT takes the mark away.  why is copied. */
void replace_mark(struct instance *instance, enum replace_reason reason, const char *why);
/* The reason holds no more: marks go, unless a successor is there already. */
void replace_forget(struct group *group, enum replace_reason reason);
/* May anything that can wait be begun now? */
bool replace_may_begin(const struct group *group, int64_t now_ms);

/* Units of capacity: never fewer ready than floor, never more live than ceiling. */
struct replace_bounds {
	int floor, ceiling;
};
struct replace_bounds replace_bounds(const struct group *group, enum replace_reason reason);
/* The part of n that may be replaced at a time, a tenth unless the group says otherwise; at least
 * 1. */
int replace_tenth(const struct group *group, int n);

/* Ready: in service, its first health check passed, warm. */
enum readiness { INSTANCE_READY, INSTANCE_COMING, INSTANCE_FAILING };
enum readiness replace_readiness(const struct group *group, const struct instance *instance,
				 int64_t now_ms);

/* ---- balance.c ---- */

void balance_run(struct tick *tick, struct group *group);
void balance_moved(struct group *group, int64_t now_ms); /* one has gone: from the hour's budget */
void balance_write_launch(const struct tick *tick, const struct group *group,
			  char cause[CAUSE_MAX]);
void balance_write_migration(const struct tick *tick, const struct group *group,
			     char cause[CAUSE_MAX]);

/* ---- lifetime.c ---- */

void lifetime_run(struct tick *tick, struct group *group);

/* ---- health.c ---- */

/* Taken out, as unhealthy; why: the cause after "in response to". */
void health_end(struct tick *tick, struct group *group, struct instance *instance, const char *why);

/* ---- load.c ---- */

/* Percent of its processors that an instance has used in the last minute; NAN: not known. */
double instance_load(const struct tick *tick, const struct instance *instance);
/* The same in steps of ten; unknown is 0. */
int instance_load_step(const struct tick *tick, const struct instance *instance);

/* ---- settings.c ---- */

/* Numbers that a tag of the group may set, see docs/auto-scaling.md. */
enum setting {
	SETTING_REPLACE_PERCENT,      /* of the desired capacity at a time */
	SETTING_MASS_FAILURE_PERCENT, /* of the instances in service */
	SETTING_MOVES_PER_HOUR,       /* between zones; -1: by the group's size */
	SETTING_REFRESH_PATIENCE_S,   /* without progress */
};
int64_t setting(const struct group *group, enum setting setting);

#endif
