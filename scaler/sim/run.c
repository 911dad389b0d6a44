/*
 * See run.h.
 */
#include "scaler/sim/run.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/alarm_names.h"
#include "common/doc/doc.h"
#include "scaler/api/autoscaling.h"
#include "scaler/sim/alarms.h"
#include "scaler/sim/aws.h"

enum { DATA_LATE_MS = 300 }; /* a second's figures are there so long after it */

/* The first day of a load without calendar: a Monday, midnight. */
#define EPOCH_S INT64_C(1767571200) /* 2026-01-05T00:00:00Z */

struct runner {
	const struct sim_plan *plan;
	const struct sim_choice *choice;
	struct sim_run *run;
	struct clock clock;
	struct sim_world *world;
	struct sim_group *group;
	struct sim_feed feed;
	struct sim_alarms *alarms;
	struct sim_aws *aws; /* NULL: the engine tracks targets itself */
	struct autoscaling api;
	struct id_source noise;
	struct metric_source metrics;
	uint64_t launches_before; /* when the load began */
	uint64_t failures_before, terminations_before;
	int64_t instance_ms_before;
};

void sim_run_note(struct sim_run *run, const char *format, ...)
{
	va_list args;

	if (run->n_notes == SIM_NOTES_MAX)
		return;
	va_start(args, format);
	vsnprintf(run->notes[run->n_notes++], sizeof run->notes[0], format, args);
	va_end(args);
}

void sim_run_fini(struct sim_run *run)
{
	free(run->samples);
	run->samples = NULL;
}

/* ---- setting up ---- */

static int commit_nothing(void *arg, struct err *err)
{
	(void)arg;
	(void)err;
	return 0;
}

static bool is_type(const json_t *policy, const char *type)
{
	return strcmp(doc_str(policy, "PolicyType", "SimpleScaling"), type) == 0;
}

/* Under simulated AWS the engine does not see the policies that track targets. */
static json_t *policies_of(const struct sim_choice *choice, bool are_trackers)
{
	json_t *out = json_array(), *policy;
	size_t i;

	json_array_foreach (doc_array(choice->config, "ScalingPolicies"), i, policy) {
		if (is_type(policy, "TargetTrackingScaling") == are_trackers)
			json_array_append(out, policy);
	}
	return out;
}

static int apply(struct runner *runner, struct err *err)
{
	json_t *config = json_copy(runner->choice->config), *alarms;
	int result;

	if (runner->choice->is_aws)
		json_object_set_new(config, "ScalingPolicies", policies_of(runner->choice, false));
	/* They name policies, and are added when these have ARNs. */
	alarms = json_incref(doc_array(config, "MetricAlarms"));
	json_object_del(config, "MetricAlarms");
	result = autoscaling_check_file(&runner->api, config, err);
	if (result == 0)
		result = autoscaling_apply_file(&runner->api, config, err);
	json_decref(alarms);
	json_decref(config);
	return result;
}

static int on_alarm(void *arg, const struct alarm_event *event, struct err *err)
{
	struct runner *runner = arg;

	if (!event->action)
		return 0;
	if (runner->aws && sim_aws_on_alarm(runner->aws, event))
		return 0;
	return autoscaling_on_alarm(&runner->api, event, err);
}

/* Alarms of the file name policies, target groups and load balancers as the file does. */
static json_t *resolved_alarms(const struct runner *runner)
{
	json_t *alarms = json_deep_copy(doc_array(runner->choice->config, "MetricAlarms"));
	json_t *known = json_object(), *alarm, *action;
	char arn[2 * ARN_MAX];
	size_t i, k;

	for (int n = 0; n < runner->group->n_target_groups; n++)
		alarm_names_learn(known, runner->group->target_groups[n]);
	snprintf(arn, sizeof arn,
		 "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/%s",
		 runner->plan->load_balancer);
	alarm_names_learn(known, arn);
	alarm_names_resolve(alarms, known);
	json_decref(known);
	json_array_foreach (alarms, i, alarm) {
		json_t *actions = doc_array(alarm, "AlarmActions");

		json_array_foreach (actions, k, action) {
			const struct policy *policy =
			    group_policy(runner->group->group, json_string_value(action));

			if (policy)
				json_array_set(actions, k,
					       json_object_get(policy->document, "PolicyARN"));
		}
	}
	return alarms;
}

/* Metrics that policies read themselves: those that nobody makes are said, once. */
static void check_metrics(struct runner *runner)
{
	const json_t *policy;
	size_t i;

	json_array_foreach (doc_array(runner->choice->config, "ScalingPolicies"), i, policy) {
		const json_t *config = doc_object(policy, "TargetTrackingConfiguration");
		const json_t *custom = doc_object(config, "CustomizedMetricSpecification");
		const json_t *given = doc_object(config, "PredefinedMetricSpecification");
		const char *name = doc_str(policy, "PolicyName", "");

		sim_alarms_watch(runner->alarms, doc_array(custom, "Metrics"), name, runner->run);
		if (doc_has(custom, "MetricName") &&
		    sim_figure_of(&runner->feed, doc_str(custom, "Namespace", ""),
				  doc_str(custom, "MetricName", ""),
				  doc_array(custom, "Dimensions")) < 0)
			sim_run_note(runner->run,
				     "%.60s watches %.60s, which is not simulated: it does nothing",
				     name, doc_str(custom, "MetricName", ""));
		if (strstr(doc_str(given, "PredefinedMetricType", ""), "Network"))
			sim_run_note(runner->run,
				     "%.60s watches the network, which is not simulated: it does "
				     "nothing",
				     name);
	}
}

static int set_alarms(struct runner *runner, struct err *err)
{
	struct sim_alarms_config config = {
	    &runner->clock, &runner->feed, runner->choice->is_aws, runner->plan->aws_delay_ms,
	    on_alarm,       runner};
	json_t *trackers = policies_of(runner->choice, true), *alarms;
	int result = -1;

	runner->alarms = sim_alarms_new(&config, err);
	if (runner->alarms) {
		alarms = resolved_alarms(runner);
		result = sim_alarms_add(runner->alarms, alarms, runner->run, err);
		json_decref(alarms);
	}
	if (result == 0 && runner->choice->is_aws) {
		runner->aws =
		    sim_aws_new(runner->group, runner->alarms, trackers, runner->run, err);
		result = runner->aws ? 0 : -1;
	}
	json_decref(trackers);
	if (result == 0 && !runner->choice->is_aws) {
		check_metrics(runner);
		runner->feed.metrics = cloudwatch_metrics(sim_alarms_cloudwatch(runner->alarms));
	}
	return result;
}

static bool is_busy(const struct sim_instance *instance)
{
	const struct sim_load *load = instance->load;

	return load && load->queue > 0;
}

static int set_up(struct runner *runner, struct err *err)
{
	const struct sim_plan *plan = runner->plan;
	struct sim_params params = plan->params;
	int64_t start_s = plan->curve->start_s ? plan->curve->start_s : EPOCH_S;

	params.start_ms = (start_s - plan->settle_s) * 1000 + DATA_LATE_MS;
	params.drains_in_full = runner->choice->is_aws;
	params.instance_type = plan->instance_type;
	runner->noise.state = params.seed ^ 0x9e3779b97f4a7c15u;
	runner->clock = (struct clock){true, params.start_ms};
	runner->world = sim_world_new(&params);
	if (!runner->world)
		goto oom;
	runner->world->is_busy = is_busy;
	runner->api.engine = runner->world->engine;
	runner->api.clock = &runner->clock;
	runner->api.commit = commit_nothing;
	if (apply(runner, err) < 0)
		return -1;
	runner->group = sim_world_adopt(runner->world, plan->group);
	if (!runner->group ||
	    sim_feed_init(&runner->feed, runner->world, runner->group, plan->load_balancer) < 0)
		goto oom;
	runner->metrics = (struct metric_source){sim_feed_read, &runner->feed};
	return set_alarms(runner, err);
oom:
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

static void tear_down(struct runner *runner)
{
	sim_aws_free(runner->aws);
	sim_alarms_free(runner->alarms);
	sim_feed_fini(&runner->feed);
	sim_world_free(runner->world);
}

/* ---- a second of load ---- */

/* What all instances did in it. */
struct flows {
	double served, dropped, waits, in_flight, busy;
	int serving;
};

static double with_noise(struct runner *runner, double load)
{
	double a, b;

	if (!(runner->plan->noise > 0))
		return load;
	a = 1 - sim_random(&runner->noise); /* Box and Muller */
	b = sim_random(&runner->noise);
	return fmax(0, load * (1 + runner->plan->noise * sqrt(-2 * log(a)) * cos(2 * M_PI * b)));
}

static struct sim_load *load_of(struct sim_instance *instance)
{
	if (!instance->load)
		instance->load = calloc(1, sizeof(struct sim_load));
	return instance->load;
}

static void add_flow(struct runner *runner, struct flows *flows, const struct sim_flow *flow,
		     bool counts)
{
	double taken = flow->arrived - flow->dropped;

	flows->served += flow->served;
	flows->dropped += flow->dropped;
	flows->waits += taken * flow->wait_s;
	flows->in_flight += flow->in_flight;
	flows->busy += flow->busy;
	if (counts)
		sim_stats_wait(&runner->run->stats, flow->wait_s, taken);
}

static int count_serving(const struct runner *runner)
{
	const struct sim_instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &runner->group->instances, link)
		n += sim_instance_serves(instance, runner->world->now_ms);
	return n;
}

/* Shared evenly among those that serve; those that drain finish what they have. */
static int share_load(struct runner *runner, double load, int64_t second, bool counts,
		      struct flows *flows)
{
	const struct sim_capacity *capacity = &runner->plan->capacity;
	int n = count_serving(runner);
	struct sim_instance *instance;
	struct sim_flow plain = {0}; /* of those without a queue: all the same */
	bool has_plain = false;
	double left = 0; /* in the queue of such a one */

	flows->serving = n;
	if (n == 0)
		flows->dropped += load;
	TAILQ_FOREACH (instance, &runner->group->instances, link) {
		bool serves = sim_instance_serves(instance, runner->world->now_ms);
		struct sim_load *own = load_of(instance);
		struct sim_flow flow = {0};

		if (!own)
			return -1;
		if (!sim_instance_runs(instance)) {
			flows->dropped += own->queue;
			own->queue = 0;
			continue;
		}
		if (serves && !(own->queue > 0)) {
			if (!has_plain)
				plain = sim_capacity_flow(capacity, load / n, 1, &left);
			has_plain = true;
			flow = plain;
			own->queue = left;
		} else if (serves || own->queue > 0) {
			flow = sim_capacity_flow(capacity, serves ? load / n : 0, 1, &own->queue);
		}
		sim_load_put_cpu(own, second, 100 * flow.busy);
		add_flow(runner, flows, &flow, counts);
	}
	return 0;
}

/* Mean CPU of those in service; on AWS those that warm up are left out. */
static double group_cpu(const struct runner *runner)
{
	const struct group *group = runner->group->group;
	int64_t warmup_ms = runner->choice->is_aws ? 1000 * sim_aws_warmup_s(group, NULL) : 0;
	const struct instance *instance;
	double sum = 0;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		const struct sim_instance *own;
		const struct sim_load *load;

		if (instance->state != INSTANCE_IN_SERVICE ||
		    runner->world->now_ms - instance->in_service_ms < warmup_ms)
			continue;
		own = sim_world_instance(runner->world, instance->id);
		load = own ? own->load : NULL;
		if (!load)
			continue;
		sum += (double)load->cpu[load->newest_s % FEED_CPU_SECONDS];
		n++;
	}
	return n > 0 ? sum / n : NAN;
}

static int measure(struct runner *runner, int64_t second, double load, const struct flows *flows,
		   const struct group_counts *counts)
{
	const struct group *group = runner->group->group;
	double taken = load - flows->dropped;
	double values[FIGURES] = {
	    [FIGURE_CPU] = runner->feed.wants_cpu ? group_cpu(runner) : NAN,
	    [FIGURE_REQUESTS] = load,
	    [FIGURE_REQUESTS_PER_TARGET] = flows->serving > 0 ? load / flows->serving : NAN,
	    [FIGURE_RESPONSE_TIME] =
		taken > 0 ? runner->plan->capacity.service_s + flows->waits / taken : NAN,
	    [FIGURE_IN_FLIGHT] = flows->in_flight,
	    [FIGURE_HEALTHY] = flows->serving,
	    [FIGURE_UNHEALTHY] = 0,
	    [FIGURE_MIN] = group->min,
	    [FIGURE_MAX] = group->max,
	    [FIGURE_DESIRED] = group->desired,
	    [FIGURE_IN_SERVICE] = counts->in_service,
	    [FIGURE_PENDING] = counts->pending,
	    [FIGURE_TERMINATING] = counts->terminating,
	    [FIGURE_TOTAL] = counts->in_service + counts->pending + counts->terminating,
	};

	return sim_feed_put(&runner->feed, second, values);
}

/* ---- samples ---- */

static void put_sample(struct sim_run *run, size_t at, const struct sim_second *second)
{
	struct sim_sample *sample = &run->samples[at / (size_t)run->sample_s];
	float part = 1.0f / (float)run->sample_s;

	run->n_samples = at / (size_t)run->sample_s + 1;
	sample->load += part * (float)second->load;
	sample->served += part * (float)second->served;
	sample->dropped += part * (float)second->dropped;
	sample->busy += part * (float)second->busy;
	if ((float)second->wait_s > sample->wait_s)
		sample->wait_s = (float)second->wait_s;
	if (second->desired > sample->desired)
		sample->desired = second->desired;
	if (second->in_service > sample->in_service)
		sample->in_service = second->in_service;
	if (second->needed > sample->needed)
		sample->needed = second->needed;
}

static int make_samples(struct sim_run *run, size_t seconds, struct err *err)
{
	run->sample_s = (int)((seconds + SIM_SAMPLES_MAX - 1) / SIM_SAMPLES_MAX);
	run->samples = calloc(seconds / (size_t)run->sample_s + 1, sizeof *run->samples);
	if (run->samples)
		return 0;
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

/* ---- time ---- */

/* Noise is chance: what is needed goes by the load behind it. */
static int needed_at(const struct sim_plan *plan, size_t at)
{
	return (int)ceil(plan->curve->rps[at] / (plan->capacity.rps * plan->utilization) - 1e-9);
}

static void note(struct runner *runner, size_t at, double load, const struct flows *flows,
		 const struct group_counts *counts, bool has_launched)
{
	const struct sim_plan *plan = runner->plan;
	struct sim_second second = {
	    .load = load,
	    .served = flows->served,
	    .dropped = flows->dropped,
	    .wait_s = load > 0 ? flows->waits / load : 0,
	    .in_flight = flows->in_flight,
	    .busy = flows->serving > 0 ? flows->busy / flows->serving : 0,
	    .desired = runner->group->group->desired,
	    .in_service = counts->in_service,
	    .serving = flows->serving,
	    .needed = needed_at(plan, at),
	    .has_launched = has_launched,
	};

	sim_stats_add(&runner->run->stats, &second);
	put_sample(runner->run, at, &second);
}

static void begin_counting(struct runner *runner)
{
	runner->launches_before = runner->group->launches;
	runner->failures_before = runner->group->launch_failures;
	runner->terminations_before = runner->group->terminations;
	runner->instance_ms_before = runner->group->instance_ms;
}

/* at < 0: the load has not begun. */
static int pass_second(struct runner *runner, int64_t at, double load)
{
	struct flows flows = {0};
	uint64_t launches = runner->group->launches;
	struct group_counts counts;
	int64_t second;

	sim_world_advance(runner->world, 1000);
	runner->clock.virtual_ms = runner->world->now_ms;
	second = runner->world->now_ms / 1000 - 1;
	if (share_load(runner, load, second, at >= 0, &flows) < 0)
		return -1;
	counts = group_count(runner->group->group);
	if (measure(runner, second, load, &flows, &counts) < 0)
		return -1;
	if (runner->aws)
		sim_aws_pass(runner->aws);
	sim_alarms_pass(runner->alarms, runner->world->now_ms);
	if (second % runner->plan->step_s == 0 && !sim_world_tick(runner->world, &runner->metrics))
		return -1;
	if (at >= 0)
		note(runner, (size_t)at, load, &flows, &counts, runner->group->launches > launches);
	return 0;
}

static int pass_all(struct runner *runner)
{
	const struct sim_curve *curve = runner->plan->curve;

	for (int64_t at = -runner->plan->settle_s; at < (int64_t)curve->n; at++) {
		double load = curve->rps[at < 0 ? 0 : at];

		if (at == 0)
			begin_counting(runner);
		if (pass_second(runner, at, with_noise(runner, load)) < 0 || !runner->group->group)
			return -1;
	}
	return 0;
}

int sim_run(struct sim_run *run, const struct sim_plan *plan, const struct sim_choice *choice,
	    struct err *err)
{
	struct runner runner = {.plan = plan, .choice = choice, .run = run};
	int result = -1;

	memset(run, 0, sizeof *run);
	snprintf(run->label, sizeof run->label, "%s", choice->label);
	if (make_samples(run, plan->curve->n, err) == 0 && set_up(&runner, err) == 0) {
		result = pass_all(&runner);
		if (result < 0)
			err_set(err, ENOMEM, "out of memory");
	}
	if (result == 0) {
		sim_stats_end(&run->stats);
		run->launches = runner.group->launches - runner.launches_before;
		run->launch_failures = runner.group->launch_failures - runner.failures_before;
		run->terminations = runner.group->terminations - runner.terminations_before;
		run->instance_hours =
		    (double)(runner.group->instance_ms - runner.instance_ms_before) / 3.6e6;
	}
	tear_down(&runner);
	return result;
}
