/* See names.h. */
#include "lab/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/config/alarm_names.h"
#include "common/doc/doc.h"

enum { AGAIN_MS = 25, TRIES_A_WORD = 200 };

/* The two questions, and where names and ids stand in the answers. */
static const struct {
	const char *action, *list, *name, *arn;
	const char *dimension;
	const char *before_value; /* in the ARN, what the dimension's value comes after */
} questions[] = {
    {"DescribeLoadBalancers", "LoadBalancers", "LoadBalancerName", "LoadBalancerArn",
     "LoadBalancer", ":loadbalancer/"},
    {"DescribeTargetGroups", "TargetGroups", "TargetGroupName", "TargetGroupArn", "TargetGroup",
     ":"},
};
enum { N_QUESTIONS = sizeof(questions) / sizeof(questions[0]) };

struct names {
	struct aws_client *elb;
	struct event *timer;
	struct aws_client_call *call; /* the question under way; NULL none */
	names_fn fn;
	void *arg;
	json_t *known;
	size_t question; /* N_QUESTIONS = all answered */
	int tries;
};

static void wait_ms(struct names *names, int ms)
{
	struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};

	event_add(names->timer, &pause);
}

/* "app/web/1f" of a load balancer, "targetgroup/web/2e" of a target group. */
static const char *dimension_value(const char *arn, size_t question)
{
	const char *at = question == 0 ? strstr(arn, questions[0].before_value) : strrchr(arn, ':');

	return at != NULL ? at + strlen(questions[question].before_value) : arn;
}

static void take(struct names *names, const json_t *output)
{
	size_t q = names->question, i;
	json_t *ids = json_object();
	const json_t *item;

	json_array_foreach (doc_array(output, questions[q].list), i, item) {
		const char *arn = doc_str(item, questions[q].arn, "");

		json_object_set_new(ids, doc_str(item, questions[q].name, ""),
				    json_string(dimension_value(arn, q)));
	}
	json_object_set_new(names->known, questions[q].dimension, ids);
}

static void on_answer(void *arg, const json_t *output, const struct aws_error *error)
{
	struct names *names = arg;

	names->call = NULL;
	if (error->http_status != 0) {
		/* Every five seconds or so. */
		if (++names->tries % TRIES_A_WORD == 0)
			log_info("waiting", "for=\"the load balancer's API\"");
		wait_ms(names, AGAIN_MS);
		return;
	}
	take(names, output);
	if (++names->question == N_QUESTIONS)
		names->fn(names->arg, names->known);
	else
		wait_ms(names, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct names *names = arg;
	json_t *input = json_object();
	struct err err = {0};

	(void)fd;
	(void)what;
	names->call = aws_client_call(names->elb, questions[names->question].action, input,
				      on_answer, names, &err);
	if (names->call == NULL) {
		log_warn("names-not-asked", "why=\"%s\"", err.text);
		wait_ms(names, AGAIN_MS);
	}
	json_decref(input);
}

struct names *names_new(struct event_base *base, struct aws_client *elb, names_fn fn, void *arg,
			struct err *err)
{
	struct names *names = calloc(1, sizeof(*names));

	if (names == NULL)
		goto oom;
	*names = (struct names){.elb = elb, .fn = fn, .arg = arg, .known = json_object()};
	names->timer = evtimer_new(base, on_timer, names);
	if (names->timer != NULL && names->known != NULL)
		return names;
oom:
	names_free(names);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void names_free(struct names *names)
{
	if (names == NULL)
		return;
	if (names->timer != NULL)
		event_free(names->timer);
	json_decref(names->known);
	free(names);
}

void names_ask(struct names *names, int delay_ms)
{
	/* Asked anew while a question is under way: its answer would be taken for the first's. */
	if (names->call != NULL)
		aws_client_cancel(names->call);
	names->call = NULL;
	names->question = 0;
	wait_ms(names, delay_ms);
}

void names_resolve_alarms(json_t *config, const json_t *known)
{
	alarm_names_resolve(doc_array(config, "MetricAlarms"), known);
}
