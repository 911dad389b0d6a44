/*
 * The cycle: poll, tick, write, act.  See rim.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/time_zone.h"
#include "common/doc/doc.h"
#include "scaler/api/metric_source.h"
#include "scaler/cloud/rim_parts.h"

enum {
	TICK_MS = 250,
	DATA_MS = 25, /* between ticks because of new datapoints: their senders are not our clock */
	RETRY_MAX_MS = 10000,
};

int64_t rim_now_ms(void)
{
	return clock_now_ms(NULL);
}

struct engine *rim_engine(struct rim *rim)
{
	return rim->engine;
}

const json_t *rim_names(const struct rim *rim)
{
	return rim->names;
}

void rim_wake(struct rim *rim)
{
	struct timeval now = {0, 0};

	if (rim->timer)
		event_add(rim->timer, &now);
}

bool rim_is_moving(const struct rim *rim)
{
	const struct group *group;

	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		if (group_is_moving(group))
			return true;
	}
	return false;
}

int64_t rim_retry_ms(const struct poll *poll)
{
	int64_t delay_ms = 500;

	for (int i = 1; i < poll->failures && delay_ms < RETRY_MAX_MS; i++)
		delay_ms *= 2;
	return delay_ms < RETRY_MAX_MS ? delay_ms : RETRY_MAX_MS;
}

bool rim_note_answer(struct reach *reach, const struct aws_error *error)
{
	bool is_silent = error && error->http_status != 0 && error->http_status < 100;

	if (is_silent && !reach->is_down)
		log_warn("endpoint-down", "service=%s endpoint=%s why=\"%s\"", reach->service,
			 reach->endpoint, error->message);
	if (!is_silent && reach->is_down)
		log_info("endpoint-up", "service=%s endpoint=%s", reach->service, reach->endpoint);
	reach->is_down = is_silent;
	return is_silent;
}

/* ---- state ---- */

static void put_change(void *arg, const char *key, json_t *document)
{
	struct store_txn *txn = arg;

	if (document)
		store_put(txn, key, document);
	else
		store_delete(txn, key);
}

static int write_changes(struct rim *rim, struct err *err)
{
	struct store_txn *txn;

	if (!engine_has_changes(rim->engine))
		return 0;
	txn = store_begin(rim->config.store);
	if (!txn) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (engine_changes(rim->engine, put_change, txn) < 0) {
		store_abort(txn);
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (store_commit(txn, err) != STORE_OK)
		return -1;
	engine_saved(rim->engine);
	return 0;
}

static int write_noting(struct rim *rim, struct err *err)
{
	int result = write_changes(rim, err);

	if (result < 0 && !rim->is_store_down)
		log_error("state-not-written", "why=\"%s\"", err->text);
	if (result == 0 && rim->is_store_down)
		log_info("state-written", "why=\"the store takes changes again\"");
	rim->is_store_down = result < 0;
	return result;
}

int rim_commit(void *arg, struct err *err)
{
	struct rim *rim = arg;
	int result = write_noting(rim, err);

	rim_wake(rim);
	return result;
}

static bool load_one(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct rim *rim = arg;

	(void)revision;
	if (engine_load(rim->engine, key, document) < 0)
		log_warn("state-not-understood", "key=%s", key);
	return true;
}

/* ---- the cycle ---- */

int rim_read_metric(void *arg, const struct metric_request *request)
{
	const struct rim *rim = arg;
	struct metric_store store = {cloudwatch_metrics(rim->config.cloudwatch), rim_now_ms()};

	return metric_source_read(&store, request);
}

/* What is due when is the clock's time: set back, nothing would be asked for as long. */
static void ask_again(struct rim *rim)
{
	struct target_poll *poll;

	rim->instances.due_ms = rim->zones.due_ms = rim->template.due_ms = 0;
	rim->published_ms = rim->moving_since_ms = 0;
	TAILQ_FOREACH (poll, &rim->targets, link)
		poll->health.due_ms = poll->attributes.due_ms = poll->lookup.due_ms = 0;
}

static void tick(struct rim *rim)
{
	struct metric_source metrics = {rim_read_metric, rim};
	struct actions actions = {0};
	int64_t now_ms = rim_now_ms();
	struct err err = {0};
	bool is_written;

	if (now_ms < rim->ticked_ms)
		ask_again(rim);
	rim->ticked_ms = now_ms;
	cloudwatch_tick(rim->config.cloudwatch, now_ms);
	rim_publish(rim, now_ms);
	rim_find_flaps(rim, now_ms);
	engine_tick(rim->engine, &metrics, now_ms, &actions);
	is_written = write_noting(rim, &err) == 0;
	for (size_t i = 0; i < actions.n; i++) {
		if (is_written)
			rim_carry_out(rim, &actions.items[i]);
		else
			rim_refuse(rim, &actions.items[i]);
	}
	actions_fini(&actions);
	if (rim->config.is_dry_run)
		rim_tell_plans(rim, &metrics, now_ms);
	if (is_written)
		event_sender_run(rim->sender, now_ms);
	rim_poll_ec2(rim, now_ms);
	rim_poll_targets(rim, now_ms);
	rim_poll_metrics(rim, now_ms);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct timeval later = {0, 1000L * TICK_MS};
	struct rim *rim = arg;

	(void)fd;
	(void)events;
	/* Set before the tick: what wakes us during it comes sooner. */
	event_add(rim->timer, &later);
	tick(rim);
}

/* ---- start and end ---- */

static struct aws_client *client(const struct rim_config *config, const char *service,
				 const char *endpoint, struct err *err)
{
	struct aws_client_config settings = {
	    .service = service,
	    .endpoint = endpoint,
	    .region = config->region,
	};

	return aws_client_new(config->curl_loop, config->credentials, &settings, err);
}

static void on_event_done(void *arg)
{
	rim_wake(arg);
}

static int start_sender(struct rim *rim, struct err *err)
{
	struct event_sender_config config = {
	    .loop = rim->config.curl_loop,
	    .engine = rim->engine,
	    .topics = rim->config.topics,
	    .webhook = rim->config.event_webhook,
	    .on_done = on_event_done,
	    .arg = rim,
	};

	rim->sender = event_sender_new(&config, err);
	return rim->sender ? 0 : -1;
}

/* AWS lets an account call RunInstances 5 times at once and then twice a second ("Request
 * throttling for the Amazon EC2 API"): what it would refuse is not asked. */
static void set_pace(const struct rim *rim)
{
	const char *endpoint = rim->config.ec2_endpoint;

	if (!endpoint || strstr(endpoint, ".amazonaws.com"))
		engine_pace_runs(rim->engine, 5, 2);
}

struct rim *rim_new(const struct rim_config *config, struct err *err)
{
	struct rim *rim = calloc(1, sizeof *rim);

	if (!rim) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	rim->config = *config;
	TAILQ_INIT(&rim->targets);
	LIST_INIT(&rim->calls);
	LIST_INIT(&rim->metric_asks);
	rim->ec2_reach.service = "ec2";
	rim->ec2_reach.endpoint = config->ec2_endpoint ? config->ec2_endpoint : "aws";
	rim->elb_reach.service = "elasticloadbalancing";
	rim->elb_reach.endpoint = config->elb_endpoint ? config->elb_endpoint : "aws";
	rim->engine = engine_new(config->region, config->account_id, NULL);
	if (rim->engine)
		engine_set_zones(rim->engine, time_zone_offset);
	if (rim->engine)
		set_pace(rim);
	if (rim->engine && config->is_dry_run)
		engine_set_dry_run(rim->engine);
	rim->names = json_object();
	if (!rim->engine || !rim->names) {
		err_set(err, ENOMEM, "out of memory");
		goto fail;
	}
	rim->ec2 = client(config, "ec2", config->ec2_endpoint, err);
	rim->elb = client(config, "elasticloadbalancing", config->elb_endpoint, err);
	if (config->cloudwatch_endpoint) {
		rim->monitoring_reach =
		    (struct reach){"monitoring", config->cloudwatch_endpoint, false};
		rim->monitoring = client(config, "monitoring", config->cloudwatch_endpoint, err);
		if (!rim->monitoring)
			goto fail;
	}
	if (!rim->ec2 || !rim->elb || start_sender(rim, err) < 0)
		goto fail;
	store_scan(config->store, ENGINE_KEYS, load_one, rim);
	engine_loaded(rim->engine);
	return rim;
fail:
	rim_free(rim);
	return NULL;
}

/* New datapoints are judged at once, but senders do not make us do nothing else. */
static void on_data(void *arg)
{
	struct rim *rim = arg;
	int64_t since_ms = rim_now_ms() - rim->ticked_ms;
	bool is_soon = since_ms >= 0 && since_ms < DATA_MS;
	struct timeval pause = {0, is_soon ? 1000L * (DATA_MS - since_ms) : 0};

	event_add(rim->timer, &pause);
}

int rim_start(struct rim *rim, struct err *err)
{
	rim->timer = event_new(rim->config.base, -1, 0, on_timer, rim);
	if (!rim->timer) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	cloudwatch_on_data(rim->config.cloudwatch, on_data, rim);
	rim_wake(rim);
	return 0;
}

void rim_free(struct rim *rim)
{
	if (!rim)
		return;
	if (rim->timer) {
		cloudwatch_on_data(rim->config.cloudwatch, NULL, NULL);
		event_free(rim->timer);
	}
	if (rim->ec2)
		aws_client_free(rim->ec2);
	if (rim->elb)
		aws_client_free(rim->elb);
	event_sender_free(rim->sender);
	rim_free_metric_polls(rim);
	while (!LIST_EMPTY(&rim->calls))
		call_free(LIST_FIRST(&rim->calls));
	rim_free_targets(rim);
	json_decref(rim->templates);
	json_decref(rim->plans);
	json_decref(rim->names);
	json_decref(rim->instances_so_far);
	json_decref(rim->instances_filter);
	engine_free(rim->engine);
	free(rim);
}

void rim_set_templates(struct rim *rim, const json_t *templates)
{
	struct group *group;

	/* Groups whose template has changed try again at once. */
	if (rim->templates && !json_equal(rim->templates, templates)) {
		TAILQ_FOREACH (group, &rim->engine->groups, link) {
			breaker_reset(group);
			pools_forget(group);
		}
	}
	json_decref(rim->templates);
	rim->templates = json_deep_copy(templates);
	rim_wake(rim);
}
