/*
 * The scaler's figures in Prometheus text.
 */
#include <inttypes.h>
#include <string.h>

#include "scaler/cloud/rim_parts.h"

/* A label's value, escaped as Prometheus wants it. */
static void add_label(struct buf *text, const char *value)
{
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf_add_char(text, '\\');
		buf_add_char(text, *value);
	}
}

static void add_group(struct buf *text, const char *metric, const struct group *group, double value)
{
	buf_printf(text, "%s{group=\"", metric);
	add_label(text, group->name);
	buf_printf(text, "\"} %g\n", value);
}

enum figure {
	FIGURE_DESIRED,
	FIGURE_MIN,
	FIGURE_MAX,
	FIGURE_PENDING,
	FIGURE_IN_SERVICE,
	FIGURE_TERMINATING,
	FIGURE_LAUNCHED,
	FIGURE_LAUNCH_FAILURES,
	FIGURE_TERMINATED,
	FIGURE_COUNT,
};

static const struct {
	const char *name, *type, *help;
} figures[FIGURE_COUNT] = {
    [FIGURE_DESIRED] = {"albatross_group_desired_capacity", "gauge", "Desired capacity"},
    [FIGURE_MIN] = {"albatross_group_min_size", "gauge", "Minimum size"},
    [FIGURE_MAX] = {"albatross_group_max_size", "gauge", "Maximum size"},
    [FIGURE_PENDING] = {"albatross_group_pending_instances", "gauge", "Instances pending"},
    [FIGURE_IN_SERVICE] = {"albatross_group_in_service_instances", "gauge", "Instances in service"},
    [FIGURE_TERMINATING] = {"albatross_group_terminating_instances", "gauge",
			    "Instances on their way out"},
    [FIGURE_LAUNCHED] = {"albatross_group_launched_instances_total", "counter",
			 "Instances launched since the start"},
    [FIGURE_LAUNCH_FAILURES] = {"albatross_group_launch_failures_total", "counter",
				"Launches that failed since the start"},
    [FIGURE_TERMINATED] = {"albatross_group_terminated_instances_total", "counter",
			   "Instances terminated since the start"},
};

static double figure_of(const struct group *group, enum figure figure)
{
	struct group_counts counts = group_count(group);

	switch (figure) {
	case FIGURE_DESIRED:
		return group->desired;
	case FIGURE_MIN:
		return group->min;
	case FIGURE_MAX:
		return group->max;
	case FIGURE_PENDING:
		return counts.pending;
	case FIGURE_IN_SERVICE:
		return counts.in_service;
	case FIGURE_TERMINATING:
		return counts.terminating;
	case FIGURE_LAUNCHED:
		return (double)group->launched;
	case FIGURE_LAUNCH_FAILURES:
		return (double)group->launch_failures;
	case FIGURE_TERMINATED:
		return (double)group->terminated;
	case FIGURE_COUNT:
		break;
	}
	return 0;
}

static void add_calls(struct buf *text, const char *name, uint64_t calls, uint64_t failed)
{
	buf_printf(text, "albatross_calls_total{action=\"%s\"} %" PRIu64 "\n", name, calls);
	buf_printf(text, "albatross_calls_failed_total{action=\"%s\"} %" PRIu64 "\n", name, failed);
}

void rim_print(const struct rim *rim, struct buf *text)
{
	const struct call_counts *counts = &rim->counts;
	const struct group *group;

	for (int i = 0; i < FIGURE_COUNT; i++) {
		buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", figures[i].name, figures[i].help,
			   figures[i].name, figures[i].type);
		TAILQ_FOREACH (group, &rim->engine->groups, link)
			add_group(text, figures[i].name, group, figure_of(group, (enum figure)i));
	}
	buf_printf(text,
		   "# TYPE albatross_ticks_total counter\nalbatross_ticks_total %" PRIu64 "\n",
		   rim->engine->ticks);
	buf_add_str(text, "# TYPE albatross_endpoint_up gauge\n");
	buf_printf(text, "albatross_endpoint_up{service=\"ec2\"} %d\n", !rim->ec2_reach.is_down);
	buf_printf(text, "albatross_endpoint_up{service=\"elasticloadbalancing\"} %d\n",
		   !rim->elb_reach.is_down);
	add_calls(text, "RunInstances", counts->run_instances, counts->run_instances_failed);
	add_calls(text, "TerminateInstances", counts->terminate_instances,
		  counts->terminate_instances_failed);
	add_calls(text, "Describe", counts->describes, counts->describes_failed);
	add_calls(text, "RegisterTargets", counts->registers, counts->registers_failed);
	event_sender_print(rim->sender, text);
}
