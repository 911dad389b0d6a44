/* See prober.h. */
#include "lb/control/prober.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "lb/api/resource.h"
#include "lb/control/registry_watch.h"

enum {
	MAX_RUNNING = 256,
	MAX_BODY = 1 << 20, /* what follows does not change the verdict */
	EAGER_MS = 1000,    /* how often an initial target is asked; only passes count early */
};

TAILQ_HEAD(probes, probe);

struct prober {
	struct event_base *base; /* borrowed: outlives all */
	struct curl_loop *curl;  /* borrowed: outlives all */
	struct health_log *log;  /* borrowed: outlives all; NULL = none */
	struct curl_slist *headers;
	struct probes waiting;
	unsigned n_running;
};

struct probe {
	struct prober *prober;      /* borrowed: outlives every probe */
	struct live_target *target; /* borrowed: stops its probe before it goes */
	struct event *timer;
	CURL *easy;
	size_t body_bytes;
	int64_t started_us; /* Unix time */
	int due_ms;         /* until the next probe that counts */
	bool is_first;
	bool is_counted; /* the one under way */
	bool is_running;
	bool is_waiting;
	TAILQ_ENTRY(probe) link;
};

static void start_next(struct prober *prober);

bool matcher_has(const char *matcher, long code)
{
	const char *at = matcher;

	while (*at) {
		char *end;
		long from = strtol(at, &end, 10), to = from;

		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		if (code >= from && code <= to)
			return true;
		if (*end != ',')
			return false;
		at = end + 1;
	}
	return false;
}

struct prober *prober_new(struct event_base *base, struct curl_loop *curl, struct health_log *log,
			  struct err *err)
{
	static const char *const lines[] = {"User-Agent: ELB-HealthChecker/2.0",
					    "Connection: close",
					    "Accept-Encoding: gzip, compressed", "Accept:"};
	struct prober *prober = calloc(1, sizeof(*prober));

	if (!prober)
		goto oom;
	prober->base = base;
	prober->curl = curl;
	prober->log = log;
	TAILQ_INIT(&prober->waiting);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct curl_slist *longer = curl_slist_append(prober->headers, lines[i]);

		if (!longer)
			goto oom;
		prober->headers = longer;
	}
	return prober;
oom:
	prober_free(prober);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void prober_free(struct prober *prober)
{
	if (!prober)
		return;
	CHECK(TAILQ_EMPTY(&prober->waiting) && prober->n_running == 0);
	curl_slist_free_all(prober->headers);
	free(prober);
}

/* The body is read, so that the answer is whole, and thrown away. */
static size_t swallow(char *data, size_t size, size_t n, void *arg)
{
	struct probe *probe = arg;

	(void)data;
	probe->body_bytes += size * n;
	return probe->body_bytes > MAX_BODY ? 0 : size * n;
}

static void url_of(const struct probe *probe, char url[HEALTH_PATH_MAX + 96])
{
	const struct health_check *check = &probe->target->group->check;
	const struct target *target = probe->target->target;
	const char *colon = strrchr(target->label, ':');

	snprintf(url, HEALTH_PATH_MAX + 96, "%s://%.*s:%u%s", check->is_https ? "https" : "http",
		 (int)(colon - target->label), target->label,
		 check->port ? check->port : target->port, check->path);
}

static void set_options(struct probe *probe)
{
	const struct health_check *check = &probe->target->group->check;
	char url[HEALTH_PATH_MAX + 96];
	CURL *easy = probe->easy;

	url_of(probe, url);
	curl_easy_reset(easy);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, probe->prober->headers);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)check->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, probe);
}

static enum probe_result verdict(const struct probe *probe, CURLcode result, long code)
{
	/* Too long a body is our own end of it. */
	if (result == CURLE_OK || (result == CURLE_WRITE_ERROR && code > 0))
		return matcher_has(probe->target->group->check.matcher, code) ? PROBE_PASS
									      : PROBE_WRONG_CODE;
	if (result == CURLE_OPERATION_TIMEDOUT)
		return PROBE_TIMEOUT;
	if (result == CURLE_OUT_OF_MEMORY)
		return PROBE_INTERNAL_ERROR;
	return PROBE_FAILED;
}

static void feed_result(struct probe *probe, enum probe_result result, long code)
{
	struct live_target *target = probe->target;
	char text[HEALTH_DESCRIPTION_MAX];
	const char *why;

	if (result != PROBE_PASS && !probe->is_counted)
		return;
	if (!health_probe(&target->health, &target->group->check.thresholds, result, (int)code))
		return;
	live_target_publish(target);
	why = health_description(&target->health, text);
	log_info("target-health", "group=%s target=%s state=%s%s%s%s", target->group->arn,
		 target->target->label, target_state_name(target->health.state),
		 why ? " why=\"" : "", why ? why : "", why ? "\"" : "");
}

static const char *log_reason(enum probe_result result, long code)
{
	switch (result) {
	case PROBE_PASS:
		return NULL;
	case PROBE_WRONG_CODE:
		return code >= 500 ? "TargetError" : "ResponseCodeMismatch";
	case PROBE_TIMEOUT:
		return "TimedOut";
	case PROBE_FAILED:
		return "ConnectionReset";
	case PROBE_INTERNAL_ERROR:
		break;
	}
	return "InternalError";
}

static void write_log(const struct probe *probe, enum probe_result result, long code)
{
	const struct live_group *group = probe->target->group;
	struct health_entry entry = {.type = group->check.is_https ? "https" : "http",
				     .started_us = probe->started_us,
				     .target = probe->target->target->label,
				     .group = group->name,
				     .code = code,
				     .reason = log_reason(result, code),
				     .elb = resource_suffix(group->load_balancer)};
	curl_off_t total_us = 0;

	if (!probe->prober->log)
		return;
	curl_easy_getinfo(probe->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	entry.latency_ns = (int64_t)total_us * 1000;
	health_log_write(probe->prober->log, &entry);
}

static void on_done(void *arg, CURL *easy, CURLcode result)
{
	struct probe *probe = arg;
	struct prober *prober = probe->prober;
	long code = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
	probe->is_running = false;
	prober->n_running--;
	write_log(probe, verdict(probe, result, code), code);
	feed_result(probe, verdict(probe, result, code), code);
	start_next(prober);
}

static void run(struct probe *probe)
{
	probe->body_bytes = 0;
	probe->started_us = clock_now_ms(NULL) * 1000;
	set_options(probe);
	if (curl_loop_add(probe->prober->curl, probe->easy, on_done, probe) < 0) {
		feed_result(probe, PROBE_INTERNAL_ERROR, 0);
		return;
	}
	probe->is_running = true;
	probe->prober->n_running++;
}

static void start_next(struct prober *prober)
{
	while (prober->n_running < MAX_RUNNING && !TAILQ_EMPTY(&prober->waiting)) {
		struct probe *probe = TAILQ_FIRST(&prober->waiting);

		TAILQ_REMOVE(&prober->waiting, probe, link);
		probe->is_waiting = false;
		run(probe);
	}
}

static void wait_ms(struct probe *probe, int ms)
{
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	event_add(probe->timer, &tv);
}

/* How long until the next probe; decides whether the coming one counts as a failure, too. */
static int next_wait(struct probe *probe)
{
	int interval = probe->target->group->check.interval_ms;

	if (probe->due_ms <= 0) {
		/* Spread the targets that came together over the interval. */
		probe->due_ms =
		    probe->is_first
			? interval / 2 + (int)(id_random(NULL) % (uint64_t)(interval / 2))
			: interval;
		probe->is_first = false;
	}
	if (probe->target->health.state == TARGET_INITIAL && probe->due_ms > EAGER_MS)
		return EAGER_MS;
	return probe->due_ms;
}

static void on_timer(int fd, short what, void *arg)
{
	struct probe *probe = arg;
	int ms;

	(void)fd;
	(void)what;
	if (probe->due_ms <= 0)
		probe->is_counted =
		    true; /* an eager one still under way becomes the one that counts */
	if (!probe->is_running && !probe->is_waiting) {
		probe->is_counted = probe->due_ms <= 0;
		TAILQ_INSERT_TAIL(&probe->prober->waiting, probe, link);
		probe->is_waiting = true;
	}
	ms = next_wait(probe);
	probe->due_ms -= ms;
	wait_ms(probe, ms);
	start_next(probe->prober);
}

int prober_start(struct prober *prober, struct live_target *target)
{
	struct probe *probe;

	if (target->probe)
		return 0;
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		return -1;
	probe->prober = prober;
	probe->target = target;
	probe->is_first = true;
	probe->easy = curl_easy_init();
	probe->timer = evtimer_new(prober->base, on_timer, probe);
	target->probe = probe;
	if (!probe->easy || !probe->timer) {
		prober_stop(target);
		return -1;
	}
	health_set(&target->health, TARGET_INITIAL, HEALTH_INITIAL_HEALTH_CHECKING);
	wait_ms(probe, 0);
	return 0;
}

void prober_stop(struct live_target *target)
{
	struct probe *probe = target->probe;

	if (!probe)
		return;
	target->probe = NULL;
	if (probe->is_waiting)
		TAILQ_REMOVE(&probe->prober->waiting, probe, link);
	if (probe->is_running) {
		curl_loop_cancel(probe->prober->curl, probe->easy);
		probe->prober->n_running--;
	}
	if (probe->timer)
		event_free(probe->timer);
	curl_easy_cleanup(probe->easy);
	free(probe);
}
