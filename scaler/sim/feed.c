/*
 * See feed.h.
 */
#include "scaler/sim/feed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"

static const struct {
	const char *namespace, *name;
	enum sim_figure figure;
} figures[] = {
    {"AWS/EC2", "CPUUtilization", FIGURE_CPU},
    {"AWS/ApplicationELB", "RequestCount", FIGURE_REQUESTS},
    {"AWS/ApplicationELB", "RequestCountPerTarget", FIGURE_REQUESTS_PER_TARGET},
    {"AWS/ApplicationELB", "TargetResponseTime", FIGURE_RESPONSE_TIME},
    {"AWS/ApplicationELB", "ActiveConnectionCount", FIGURE_IN_FLIGHT},
    {"AWS/ApplicationELB", "InFlightRequestCount", FIGURE_IN_FLIGHT},
    {"AWS/ApplicationELB", "HealthyHostCount", FIGURE_HEALTHY},
    {"AWS/ApplicationELB", "UnHealthyHostCount", FIGURE_UNHEALTHY},
    {"AWS/AutoScaling", "GroupMinSize", FIGURE_MIN},
    {"AWS/AutoScaling", "GroupMaxSize", FIGURE_MAX},
    {"AWS/AutoScaling", "GroupDesiredCapacity", FIGURE_DESIRED},
    {"AWS/AutoScaling", "GroupInServiceInstances", FIGURE_IN_SERVICE},
    {"AWS/AutoScaling", "GroupPendingInstances", FIGURE_PENDING},
    {"AWS/AutoScaling", "GroupTerminatingInstances", FIGURE_TERMINATING},
    {"AWS/AutoScaling", "GroupTotalInstances", FIGURE_TOTAL},
};

int sim_feed_init(struct sim_feed *feed, const struct sim_world *world,
		  const struct sim_group *group, const char *load_balancer)
{
	memset(feed, 0, sizeof *feed);
	feed->world = world;
	feed->group = group;
	feed->start_s = world->now_ms / 1000;
	feed->newest_s = feed->start_s - 1;
	snprintf(feed->load_balancer, sizeof feed->load_balancer, "%s", load_balancer);
	for (int i = 0; i < FIGURES; i++) {
		feed->seconds[i] = calloc(FEED_SECONDS, sizeof(double));
		if (!feed->seconds[i]) {
			sim_feed_fini(feed);
			return -1;
		}
	}
	return 0;
}

void sim_feed_fini(struct sim_feed *feed)
{
	for (int i = 0; i < FIGURES; i++) {
		free(feed->seconds[i]);
		free(feed->minutes[i]);
		feed->seconds[i] = NULL;
		feed->minutes[i] = NULL;
	}
}

/* ---- in ---- */

static int grow(struct sim_feed *feed)
{
	size_t cap = feed->cap_minutes ? 2 * feed->cap_minutes : 2048;

	for (int i = 0; i < FIGURES; i++) {
		struct sim_minute *minutes =
		    reallocarray(feed->minutes[i], cap, sizeof *feed->minutes[i]);

		if (!minutes)
			return -1;
		feed->minutes[i] = minutes;
	}
	feed->cap_minutes = cap;
	return 0;
}

static void add_to_minute(struct sim_minute *minute, double value)
{
	if (isnan(value))
		return;
	minute->min = minute->n == 0 || value < minute->min ? value : minute->min;
	minute->max = minute->n == 0 || value > minute->max ? value : minute->max;
	minute->sum += value;
	minute->n++;
}

int sim_feed_put(struct sim_feed *feed, int64_t second, const double values[FIGURES])
{
	size_t minute = (size_t)(second / 60 - feed->start_s / 60);

	while (feed->n_minutes <= minute) {
		if (feed->n_minutes == feed->cap_minutes && grow(feed) < 0)
			return -1;
		for (int i = 0; i < FIGURES; i++)
			memset(&feed->minutes[i][feed->n_minutes], 0, sizeof(struct sim_minute));
		feed->n_minutes++;
	}
	for (int i = 0; i < FIGURES; i++) {
		feed->seconds[i][second % FEED_SECONDS] = values[i];
		add_to_minute(&feed->minutes[i][minute], values[i]);
	}
	feed->newest_s = second;
	return 0;
}

void sim_load_put_cpu(struct sim_load *load, int64_t second, double percent)
{
	if (load->newest_s == 0)
		load->from_s = second - 1;
	load->newest_s = second;
	load->cpu[second % FEED_CPU_SECONDS] = (float)percent;
}

/* ---- out ---- */

static const char *dimension(const json_t *dimensions, const char *name)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (dimensions, i, entry) {
		if (strcmp(doc_str(entry, "Name", ""), name) == 0)
			return doc_str(entry, "Value", "");
	}
	return NULL;
}

/* "targetgroup/NAME/ID" is the end of the ARN; a name alone will do. */
static bool is_own_target_group(const struct sim_feed *feed, const char *value)
{
	for (int i = 0; i < feed->group->n_target_groups; i++) {
		const char *arn = feed->group->target_groups[i], *at = strstr(arn, value);

		if (at && (at[strlen(value)] == '\0' || at[strlen(value)] == '/'))
			return true;
	}
	return false;
}

int sim_figure_of(const struct sim_feed *feed, const char *namespace, const char *name,
		  const json_t *dimensions)
{
	const char *group = dimension(dimensions, "AutoScalingGroupName");
	const char *target_group = dimension(dimensions, "TargetGroup");
	const char *balancer = dimension(dimensions, "LoadBalancer");
	bool is_elb = strcmp(namespace, "AWS/ApplicationELB") == 0;

	if (is_elb ? (!target_group && !balancer) ||
			 (target_group && !is_own_target_group(feed, target_group))
		   : !group || strcmp(group, feed->group->name) != 0)
		return -1;
	for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
		if (strcmp(figures[i].name, name) == 0 &&
		    strcmp(figures[i].namespace, namespace) == 0)
			return (int)figures[i].figure;
	}
	return -1;
}

const struct sim_minute *sim_feed_minute(const struct sim_feed *feed, int figure, int64_t at_s)
{
	int64_t place = at_s / 60 - feed->start_s / 60;

	if (place < 0 || place >= (int64_t)feed->n_minutes || feed->minutes[figure][place].n == 0)
		return NULL;
	return &feed->minutes[figure][place];
}

double sim_feed_newest(const struct sim_feed *feed, int figure)
{
	return feed->newest_s < feed->start_s
		   ? NAN
		   : feed->seconds[figure][feed->newest_s % FEED_SECONDS];
}

static void merge(struct sim_minute *into, const struct sim_minute *from)
{
	if (!from || from->n == 0)
		return;
	into->min = into->n == 0 || from->min < into->min ? from->min : into->min;
	into->max = into->n == 0 || from->max > into->max ? from->max : into->max;
	into->sum += from->sum;
	into->n += from->n;
}

/* Extended statistics are not kept: the mean stands for them. */
static double statistic(const char *name, const struct sim_minute *set)
{
	if (set->n == 0)
		return NAN;
	switch (name[0] | (name[0] && name[1] ? name[1] << 8 : 0)) {
	case 'S' | 'u' << 8:
		return set->sum;
	case 'S' | 'a' << 8:
		return set->n;
	case 'M' | 'i' << 8:
		return set->min;
	case 'M' | 'a' << 8:
		return set->max;
	default:
		return set->sum / set->n;
	}
}

static bool has_second(const struct sim_feed *feed, int64_t second)
{
	return second >= feed->start_s && second <= feed->newest_s &&
	       second > feed->newest_s - FEED_SECONDS;
}

static struct sim_minute period_of(const struct sim_feed *feed, int figure, int64_t from_s,
				   int period_s)
{
	struct sim_minute set = {0};

	if (period_s % 60 == 0) {
		for (int64_t at = from_s; at < from_s + period_s; at += 60)
			merge(&set, sim_feed_minute(feed, figure, at));
		return set;
	}
	for (int64_t at = from_s; at < from_s + period_s; at++) {
		if (has_second(feed, at))
			add_to_minute(&set, feed->seconds[figure][at % FEED_SECONDS]);
	}
	return set;
}

static int read_figure(const struct sim_feed *feed, const struct metric_request *request,
		       int figure)
{
	int64_t from_s = request->end_ms / 1000 - (int64_t)request->n * request->period_s;
	int found = 0;

	for (int i = 0; i < request->n; i++) {
		int64_t at_s = from_s + (int64_t)i * request->period_s;
		struct sim_minute set;
		double value;

		if (at_s + request->period_s - 1 > feed->newest_s)
			break;
		set = period_of(feed, figure, at_s, request->period_s);
		value = statistic(request->statistic, &set);
		if (isnan(value))
			continue;
		request->values[i] = value;
		found++;
	}
	return found;
}

static bool has_cpu(const struct sim_load *load, int64_t second)
{
	return second > load->from_s && second <= load->newest_s &&
	       second > load->newest_s - FEED_CPU_SECONDS;
}

static double cpu_of(const struct sim_load *load, const char *name, int64_t from_s, int period_s)
{
	struct sim_minute set = {0};

	if (period_s == 1)
		return has_cpu(load, from_s) ? (double)load->cpu[from_s % FEED_CPU_SECONDS] : NAN;
	for (int64_t at = from_s; at < from_s + period_s; at++) {
		if (has_cpu(load, at))
			add_to_minute(&set, (double)load->cpu[at % FEED_CPU_SECONDS]);
	}
	return statistic(name, &set);
}

static int read_cpu(const struct sim_feed *feed, const char *id,
		    const struct metric_request *request)
{
	int64_t from_s = request->end_ms / 1000 - (int64_t)request->n * request->period_s;
	const struct sim_instance *instance = sim_world_instance(feed->world, id);
	const struct sim_load *load = instance ? instance->load : NULL;
	int found = 0;

	for (int i = 0; load && i < request->n; i++) {
		double value = cpu_of(load, request->statistic,
				      from_s + (int64_t)i * request->period_s, request->period_s);

		if (isnan(value))
			continue;
		request->values[i] = value;
		found++;
	}
	return found;
}

int sim_feed_read(void *arg, const struct metric_request *request)
{
	struct sim_feed *feed = arg;
	const json_t *first = json_array_get(request->dimensions, 0);
	struct metric_store store = {feed->metrics, feed->world->now_ms};
	int figure;

	if (request->queries)
		return feed->metrics ? metric_source_read(&store, request) : 0;
	if (strcmp(doc_str(first, "Name", ""), "InstanceId") == 0)
		return strcmp(request->name, "CPUUtilization") == 0
			   ? read_cpu(feed, doc_str(first, "Value", ""), request)
			   : 0;
	figure = sim_figure_of(feed, request->namespace, request->name, request->dimensions);
	if (figure < 0)
		return 0;
	feed->wants_cpu |= figure == FIGURE_CPU;
	return read_figure(feed, request, figure);
}
