/* See ready.h. */
#include "lab/ready.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/doc/doc.h"

enum { PERIOD_MS = 100, PAGE_TIMEOUT_MS = 2000, REPEAT_US = 5 * 1000 * 1000 };

struct ready {
	struct ready_config config;
	struct event *timer;
	size_t page;           /* the one asked for next */
	CURL *easy;            /* a page being asked for */
	bool is_asking;        /* a call or a page is under way */
	json_t *target_groups; /* [{Arn, Expected}] of one round */
	size_t target_group;
	char waiting[160];
	int64_t said_us;
	bool is_over;
};

static void ask_again(struct ready *ready)
{
	struct timeval pause = {.tv_usec = PERIOD_MS * 1000L};

	ready->is_asking = false;
	event_add(ready->timer, &pause);
}

/* Says what is waited for when that changes, and every few seconds. */
static void wait_for(struct ready *ready, const char *what)
{
	int64_t now_us = clock_monotonic_us();

	if (strcmp(what, ready->waiting) != 0 || now_us - ready->said_us > REPEAT_US) {
		log_info("waiting", "for=\"%s\"", what);
		snprintf(ready->waiting, sizeof(ready->waiting), "%s", what);
		ready->said_us = now_us;
	}
	ask_again(ready);
}

static void finish(struct ready *ready)
{
	ready->is_over = true;
	ready->is_asking = false;
	ready->config.on_ready(ready->config.arg);
}

/* --- target groups --- */

void ready_targets_lack(const json_t *answer, const char *arn, int64_t expected, char text[160])
{
	const char *name = strstr(arn, ":targetgroup/");
	const json_t *row;
	int64_t healthy = 0, n = 0;
	size_t i;

	json_array_foreach (doc_array(answer, "TargetHealthDescriptions"), i, row) {
		const char *state = doc_str(doc_object(row, "TargetHealth"), "State", "");

		n += strcmp(state, "draining") != 0;
		healthy += strcmp(state, "healthy") == 0;
	}
	text[0] = '\0';
	if (name != NULL)
		name += strlen(":targetgroup/");
	if (healthy < expected || healthy < n)
		snprintf(text, 160, "healthy targets in %.60s: %lld of %lld",
			 name != NULL ? name : arn, (long long)healthy,
			 (long long)(n > expected ? n : expected));
}

static void ask_target_group(struct ready *ready);

static void on_target_health(void *arg, const json_t *output, const struct aws_error *error)
{
	struct ready *ready = arg;
	const json_t *asked = json_array_get(ready->target_groups, ready->target_group);
	char text[160];

	if (error->http_status != 0)
		snprintf(text, sizeof(text), "target health (%.80s)", error->code);
	else
		ready_targets_lack(output, doc_str(asked, "Arn", ""), doc_int(asked, "Expected", 0),
				   text);
	if (text[0] != '\0') {
		wait_for(ready, text);
		return;
	}
	ready->target_group++;
	ask_target_group(ready);
}

static void ask_target_group(struct ready *ready)
{
	const json_t *asked = json_array_get(ready->target_groups, ready->target_group);
	json_t *input;
	struct err err = {0};

	if (asked == NULL || ready->config.elb == NULL) {
		finish(ready);
		return;
	}
	input = json_pack("{s:s}", "TargetGroupArn", doc_str(asked, "Arn", ""));
	if (aws_client_call(ready->config.elb, "DescribeTargetHealth", input, on_target_health,
			    ready, &err) == NULL)
		wait_for(ready, err.text);
	json_decref(input);
}

/* --- groups --- */

static const json_t *find_group(const json_t *answer, const char *name)
{
	return doc_find(doc_array(answer, "AutoScalingGroups"), "AutoScalingGroupName", name);
}

static int64_t count_in_service(const json_t *group)
{
	const json_t *instance;
	int64_t n = 0;
	size_t i;

	json_array_foreach (doc_array(group, "Instances"), i, instance) {
		n += strcmp(doc_str(instance, "LifecycleState", ""), "InService") == 0 &&
		     strcmp(doc_str(instance, "HealthStatus", ""), "Healthy") == 0;
	}
	return n;
}

void ready_group_lacks(const json_t *answer, const char *name, char text[160])
{
	const json_t *group = find_group(answer, name);
	int64_t desired = doc_int(group, "DesiredCapacity", 0);
	int64_t in_service = count_in_service(group);

	text[0] = '\0';
	if (group == NULL)
		snprintf(text, 160, "group %.80s", name);
	else if (in_service < desired)
		snprintf(text, 160, "instances of %.80s in service: %lld of %lld", name,
			 (long long)in_service, (long long)desired);
}

static void add_target_groups(struct ready *ready, const json_t *group)
{
	const json_t *arn;
	size_t i;

	json_array_foreach (doc_array(group, "TargetGroupARNs"), i, arn) {
		json_array_append_new(ready->target_groups,
				      json_pack("{s:O, s:I}", "Arn", arn, "Expected",
						(json_int_t)count_in_service(group)));
	}
}

static void on_groups(void *arg, const json_t *output, const struct aws_error *error)
{
	struct ready *ready = arg;
	const json_t *entry;
	char text[160];
	size_t i;

	if (error->http_status != 0) {
		snprintf(text, sizeof(text), "the scaler's groups (%.80s)", error->code);
		wait_for(ready, text);
		return;
	}
	json_array_clear(ready->target_groups);
	json_array_foreach (ready->config.groups, i, entry) {
		const char *name = doc_str(entry, "AutoScalingGroupName", "");

		ready_group_lacks(output, name, text);
		if (text[0] != '\0') {
			wait_for(ready, text);
			return;
		}
		add_target_groups(ready, find_group(output, name));
	}
	ready->target_group = 0;
	ask_target_group(ready);
}

static void ask_groups(struct ready *ready)
{
	json_t *input, *names;
	const json_t *entry;
	struct err err = {0};
	size_t i;

	if (json_array_size(ready->config.groups) == 0 || ready->config.autoscaling == NULL) {
		finish(ready);
		return;
	}
	names = json_array();
	json_array_foreach (ready->config.groups, i, entry) {
		json_array_append(names, json_object_get(entry, "AutoScalingGroupName"));
	}
	input = json_pack("{s:o}", "AutoScalingGroupNames", names);
	if (aws_client_call(ready->config.autoscaling, "DescribeAutoScalingGroups", input,
			    on_groups, ready, &err) == NULL)
		wait_for(ready, err.text);
	json_decref(input);
}

/* --- pages --- */

static size_t drop(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

static void on_page(void *arg, CURL *easy, CURLcode result)
{
	struct ready *ready = arg;
	char text[160];
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(easy);
	ready->easy = NULL;
	if (result == CURLE_OK && status == 200) {
		ready->page++;
		if (ready->config.pages[ready->page] == NULL)
			ready->config.on_pages(ready->config.arg);
		ready->is_asking = false;
		event_active(ready->timer, EV_TIMEOUT, 0);
		return;
	}
	snprintf(text, sizeof(text), "%.100s", ready->config.pages[ready->page]);
	wait_for(ready, text);
}

static void ask_page(struct ready *ready)
{
	CURL *easy = curl_easy_init();

	if (easy == NULL) {
		wait_for(ready, "memory");
		return;
	}
	curl_easy_setopt(easy, CURLOPT_URL, ready->config.pages[ready->page]);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)PAGE_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
	ready->easy = easy;
	if (curl_loop_add(ready->config.loop, easy, on_page, ready) == 0)
		return;
	curl_easy_cleanup(easy);
	ready->easy = NULL;
	wait_for(ready, "memory");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ready *ready = arg;

	(void)fd;
	(void)what;
	if (ready->is_asking || ready->is_over)
		return;
	ready->is_asking = true;
	if (ready->config.pages[ready->page] != NULL)
		ask_page(ready);
	else
		ask_groups(ready);
}

struct ready *ready_new(const struct ready_config *config, struct err *err)
{
	struct ready *ready = calloc(1, sizeof(*ready));

	if (ready == NULL)
		goto oom;
	ready->config = *config;
	json_incref((json_t *)config->groups);
	ready->target_groups = json_array();
	ready->timer = evtimer_new(config->base, on_timer, ready);
	if (ready->timer == NULL || ready->target_groups == NULL)
		goto oom;
	ask_again(ready);
	return ready;
oom:
	ready_free(ready);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void ready_free(struct ready *ready)
{
	if (ready == NULL)
		return;
	if (ready->easy != NULL) {
		curl_loop_cancel(ready->config.loop, ready->easy);
		curl_easy_cleanup(ready->easy);
	}
	if (ready->timer != NULL)
		event_free(ready->timer);
	json_decref(ready->target_groups);
	json_decref((json_t *)ready->config.groups);
	free(ready);
}
