/*
 * What a run measures of its group, second by second, under AWS's names: the engine reads it as
 * its metric_source, alarms are fed from it.  Seconds are kept for about an hour, minutes for the
 * whole run; an instance's CPU for some minutes.  Metric math is worked out from what the owner
 * puts into a store of datapoints.  Pure.
 */
#ifndef SCALER_SIM_FEED_H
#define SCALER_SIM_FEED_H

#include "scaler/api/metric_source.h"
#include "scaler/sim/world.h"

enum sim_figure {
	FIGURE_CPU, /* mean of those in service, percent */
	FIGURE_REQUESTS,
	FIGURE_REQUESTS_PER_TARGET,
	FIGURE_RESPONSE_TIME,
	FIGURE_IN_FLIGHT,
	FIGURE_HEALTHY,
	FIGURE_UNHEALTHY,
	FIGURE_MIN,
	FIGURE_MAX,
	FIGURE_DESIRED,
	FIGURE_IN_SERVICE,
	FIGURE_PENDING,
	FIGURE_TERMINATING,
	FIGURE_TOTAL,
	FIGURES
};

enum { FEED_SECONDS = 4096, FEED_CPU_SECONDS = 512 };

/* What hangs on each instance (sim_instance.load). */
struct sim_load {
	double queue;                /* requests that wait */
	int64_t from_s, newest_s;    /* seconds that cpu has: (from, newest] */
	float cpu[FEED_CPU_SECONDS]; /* by second modulo */
};

struct sim_minute {
	double sum, min, max;
	int n;
};

struct sim_feed {
	const struct sim_world *world; /* borrowed */
	const struct sim_group *group; /* borrowed */
	char load_balancer[ARN_MAX];   /* dimension: app/NAME/ID */
	int64_t start_s, newest_s;     /* seconds since the epoch; newest: the last that is over */
	double *seconds[FIGURES];
	struct sim_minute *minutes[FIGURES];
	size_t n_minutes, cap_minutes;
	bool wants_cpu;                /* somebody asks for FIGURE_CPU */
	const struct metrics *metrics; /* for metric math; borrowed, NULL: none */
};

MUST_CHECK int sim_feed_init(struct sim_feed *feed, const struct sim_world *world,
			     const struct sim_group *group, const char *load_balancer);
void sim_feed_fini(struct sim_feed *feed);

/* The second that began at second (each one more than the last). */
MUST_CHECK int sim_feed_put(struct sim_feed *feed, int64_t second, const double values[FIGURES]);
/* The instance's CPU in percent in that second. */
void sim_load_put_cpu(struct sim_load *load, int64_t second, double percent);

/* A metric by its names; -1: it is not made here.  dimensions: [{Name, Value}]. */
int sim_figure_of(const struct sim_feed *feed, const char *namespace, const char *name,
		  const json_t *dimensions);

/* An engine_metric_fn; arg: the feed. */
int sim_feed_read(void *arg, const struct metric_request *request);
/* A minute by its begin; NULL: none. */
const struct sim_minute *sim_feed_minute(const struct sim_feed *feed, int figure, int64_t at_s);
/* The newest second's value. */
double sim_feed_newest(const struct sim_feed *feed, int figure);

#endif
