/*
 * The time of one engine tick over a large fleet: groups of instances in service, each group with a
 * target tracking policy, metrics of every instance and second in the scaler's own store of
 * datapoints.  Only engine_tick is timed (and, apart, the look for changes to be stored after it),
 * in time on a processor.  Prints JSON.  EC2, load balancer and time are simulated.
 *
 *   build/bench/fleet [--groups N] [--instances N] [--ticks N] [--busy PERCENT]
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/doc/doc.h"
#include "scaler/api/autoscaling.h"
#include "scaler/api/metric_source.h"
#include "scaler/metrics/series.h"
#include "scaler/sim/world.h"

enum { WARM_S = 120, FILL_S = 40 };

#define TARGET 50.0

struct fleet {
	int groups, instances, ticks;
	double busy; /* part of the groups whose load changes in a second */
	struct sim_world *world;
	struct metrics *metrics;
	struct clock clock;
	struct id_source random;
	double *loads; /* CPU of each group's instances, by place */
};

static void die(const char *what)
{
	fprintf(stderr, "fleet: %s\n", what);
	exit(1);
}

/* ---- metrics ---- */

static void put_cpu(struct fleet *fleet, const char *id, double value)
{
	struct metric_dimension dimension = {"InstanceId", id};
	struct metric_datum datum = {.key = {"AWS/EC2", "CPUUtilization", &dimension, 1},
				     .unit = METRIC_UNIT_NONE,
				     .resolution_s = 1,
				     .at_ms = fleet->world->now_ms / 1000 * 1000 - 1000,
				     .set = {1, value, value, value}};

	if (metrics_put(fleet->metrics, &datum, fleet->world->now_ms) != METRICS_OK)
		die("a datapoint was not taken");
}

/* Every instance tells its second; the load of some groups changes. */
static void put_second(struct fleet *fleet)
{
	const struct sim_instance *instance;
	const struct sim_group *group;
	int place = 0;

	TAILQ_FOREACH (group, &fleet->world->groups, link) {
		if (sim_random(&fleet->random) < fleet->busy)
			fleet->loads[place] = TARGET * (0.7 + 0.6 * sim_random(&fleet->random));
		TAILQ_FOREACH (instance, &group->instances, link) {
			double noise = 4 * (sim_random(&fleet->random) - 0.5);

			if (sim_instance_runs(instance))
				put_cpu(fleet, instance->id, fleet->loads[place] + noise);
		}
		place++;
	}
	metrics_tick(fleet->metrics, fleet->world->now_ms);
}

/* ---- the fleet ---- */

static int commit_nothing(void *arg, struct err *err)
{
	(void)arg;
	(void)err;
	return 0;
}

static json_t *config_of(const struct fleet *fleet)
{
	json_t *groups = json_array(), *policies = json_array();
	char name[32];

	for (int i = 0; i < fleet->groups; i++) {
		snprintf(name, sizeof name, "group-%05d", i);
		json_array_append_new(
		    groups,
		    json_pack("{s:s, s:i, s:i, s:i, s:{s:s}, s:[s, s], s:[s], s:s, s:i, s:i}",
			      "AutoScalingGroupName", name, "MinSize", 1, "MaxSize",
			      2 * fleet->instances, "DesiredCapacity", fleet->instances,
			      "LaunchTemplate", "LaunchTemplateName", "web", "AvailabilityZones",
			      "us-east-1a", "us-east-1b", "TargetGroupARNs", name,
			      "HealthCheckType", "ELB", "HealthCheckGracePeriod", 60,
			      "DefaultInstanceWarmup", 30));
		json_array_append_new(
		    policies, json_pack("{s:s, s:s, s:s, s:{s:{s:s}, s:f}}", "AutoScalingGroupName",
					name, "PolicyName", "cpu", "PolicyType",
					"TargetTrackingScaling", "TargetTrackingConfiguration",
					"PredefinedMetricSpecification", "PredefinedMetricType",
					"ASGAverageCPUUtilization", "TargetValue", TARGET));
	}
	return json_pack("{s:o, s:o}", "AutoScalingGroups", groups, "ScalingPolicies", policies);
}

static void make_groups(struct fleet *fleet)
{
	struct autoscaling api = {
	    .engine = fleet->world->engine, .clock = &fleet->clock, .commit = commit_nothing};
	json_t *config = config_of(fleet);
	struct err err = {0};
	char name[32];

	if (autoscaling_apply_file(&api, config, &err) < 0)
		die(err.text);
	json_decref(config);
	for (int i = 0; i < fleet->groups; i++) {
		snprintf(name, sizeof name, "group-%05d", i);
		if (!sim_world_adopt(fleet->world, name))
			die("out of memory");
	}
}

static void pass(struct fleet *fleet, const struct metric_source *metrics)
{
	sim_world_advance(fleet->world, 1000);
	fleet->clock.virtual_ms = fleet->world->now_ms;
	put_second(fleet);
	if (metrics && !sim_world_tick(fleet->world, metrics))
		die("out of memory");
}

static void set_up(struct fleet *fleet)
{
	struct sim_params params = {.seed = 1,
				    .start_ms = 1786096805300,
				    .boot_ms = 20000,
				    .boot_spread = 0.2,
				    .check_ms = 5000,
				    .drain_ms = 10000,
				    .end_ms = 5000,
				    .instance_type = "t3.micro"};
	struct metrics_limits limits = {0, (size_t)1 << 30};
	static const struct metric_source nothing;

	fleet->random.state = 7;
	fleet->clock = (struct clock){true, params.start_ms};
	fleet->world = sim_world_new(&params);
	fleet->metrics = metrics_new(&limits);
	fleet->loads = calloc((size_t)fleet->groups, sizeof(double));
	if (!fleet->world || !fleet->metrics || !fleet->loads)
		die("out of memory");
	for (int i = 0; i < fleet->groups; i++)
		fleet->loads[i] = 0.95 * TARGET;
	make_groups(fleet);
	for (int i = 0; i < WARM_S; i++)
		pass(fleet, &nothing);
}

static int in_service(const struct fleet *fleet)
{
	const struct sim_group *group;
	int n = 0;

	TAILQ_FOREACH (group, &fleet->world->groups, link)
		n += group_count(group->group).in_service;
	return n;
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static json_t *figures(double *ms, int n)
{
	qsort(ms, (size_t)n, sizeof *ms, compare);
	return json_pack("{s:f, s:f, s:f, s:f}", "least", ms[0], "median", ms[n / 2], "p90",
			 ms[n * 9 / 10], "most", ms[n - 1]);
}

static void forget(void *arg, const char *key, json_t *document)
{
	(void)arg;
	(void)key;
	json_decref(document);
}

/* Of this thread on a processor: others that use the machine do not count. */
static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return 1000.0 * (double)now.tv_sec + (double)now.tv_nsec / 1e6;
}

static void measure_one(struct fleet *fleet, const struct metric_source *metrics, double *tick_ms,
			double *changes_ms)
{
	struct actions actions = {0};
	double start_ms, ticked_ms;

	sim_world_tell(fleet->world);
	start_ms = cpu_ms();
	engine_tick(fleet->world->engine, metrics, fleet->world->now_ms, &actions);
	ticked_ms = cpu_ms();
	if (engine_has_changes(fleet->world->engine)) {
		if (engine_changes(fleet->world->engine, forget, NULL) < 0)
			die("out of memory");
		engine_saved(fleet->world->engine);
	}
	*tick_ms = ticked_ms - start_ms;
	*changes_ms = cpu_ms() - ticked_ms;
	sim_world_do(fleet->world, &actions);
	actions_fini(&actions);
}

static json_t *measure(struct fleet *fleet)
{
	struct metric_store store = {fleet->metrics, 0};
	struct metric_source metrics = {metric_source_read, &store};
	double *tick_ms = calloc((size_t)fleet->ticks, sizeof(double));
	double *changes_ms = calloc((size_t)fleet->ticks, sizeof(double));
	json_t *out;

	if (!tick_ms || !changes_ms)
		die("out of memory");
	for (int i = 0; i < FILL_S; i++)
		pass(fleet, &metrics);
	for (int i = 0; i < fleet->ticks; i++) {
		pass(fleet, NULL);
		store.now_ms = fleet->world->now_ms;
		measure_one(fleet, &metrics, &tick_ms[i], &changes_ms[i]);
	}
	out = json_pack("{s:i, s:i, s:f, s:i, s:o, s:o}", "groups", fleet->groups, "instances",
			in_service(fleet), "busy", fleet->busy, "ticks", fleet->ticks, "tick_ms",
			figures(tick_ms, fleet->ticks), "changes_ms",
			figures(changes_ms, fleet->ticks));
	free(tick_ms);
	free(changes_ms);
	return out;
}

static void read_options(int argc, char **argv, struct fleet *fleet)
{
	static const struct option longs[] = {{"groups", required_argument, NULL, 'g'},
					      {"instances", required_argument, NULL, 'i'},
					      {"ticks", required_argument, NULL, 't'},
					      {"busy", required_argument, NULL, 'b'},
					      {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		long value = optarg ? strtol(optarg, NULL, 10) : 0;

		if (option == 'b' && optarg)
			fleet->busy = strtod(optarg, NULL) / 100;
		else if (option == '?' || value < 1 || value > 1000000)
			die("usage: fleet [--groups N] [--instances N] [--ticks N] [--busy "
			    "PERCENT]");
		else if (option == 'g')
			fleet->groups = (int)value;
		else if (option == 'i')
			fleet->instances = (int)value;
		else
			fleet->ticks = (int)value;
	}
}

int main(int argc, char **argv)
{
	struct fleet fleet = {.groups = 1000, .instances = 10, .ticks = 100};
	json_t *out;

	read_options(argc, argv, &fleet);
	set_up(&fleet);
	if (in_service(&fleet) != fleet.groups * fleet.instances)
		die("not all instances came into service");
	out = measure(&fleet);
	json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	printf("\n");
	json_decref(out);
	sim_world_free(fleet.world);
	metrics_free(fleet.metrics);
	free(fleet.loads);
	return 0;
}
