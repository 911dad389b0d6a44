/*
 * albatross-scaler: one thread, one loop.  Reads the configuration, opens the store, answers
 * the Auto Scaling and CloudWatch APIs and keeps the groups at their capacity.  SIGHUP reads the
 * file again (a bad one changes nothing), SIGTERM and SIGINT end the program; the instances stay.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/client.h"
#include "common/aws/server.h"
#include "common/base/log.h"
#include "common/config/alarm_names.h"
#include "common/config/config.h"
#include "common/config/options.h"
#include "common/config/settings.h"
#include "common/doc/doc.h"
#include "common/http/curl_loop.h"
#include "common/store/store.h"
#include "scaler/api/autoscaling.h"
#include "scaler/api/cloudwatch.h"
#include "scaler/api/events.h"
#include "scaler/cloud/event_sender.h"
#include "scaler/cloud/explain_page.h"
#include "scaler/cloud/notices.h"
#include "scaler/cloud/rim.h"
#include "scaler/sim/simulate.h"

struct scaler {
	const char *file;
	json_t *config; /* as it was at the start: settings are borrowed from it */
	json_t *alarms; /* MetricAlarms of the file in force */
	struct config_settings settings;
	struct event_base *base;
	struct curl_loop *curl_loop;
	struct aws_credentials *credentials;
	struct store *store;
	struct cloudwatch *cloudwatch;
	struct topics *topics;
	struct notices *notices;
	struct rim *rim;
	struct autoscaling api;
	struct aws_server *server;
	struct event *signals[3];
};

/* ---- the file ---- */

static const struct policy *policy_named(const struct scaler *scaler, const char *name)
{
	const struct policy *policy = NULL;
	const struct group *group;

	TAILQ_FOREACH (group, &rim_engine(scaler->rim)->groups, link) {
		policy = group_policy(group, name);
		if (policy)
			break;
	}
	return policy;
}

/* An alarm of the file may name a policy or a topic of the file where AWS wants its ARN. */
static void resolve_list(const struct scaler *scaler, json_t *actions)
{
	json_t *action;
	size_t i;

	json_array_foreach (actions, i, action) {
		const struct policy *policy = policy_named(scaler, json_string_value(action));
		char arn[ARN_TEXT_MAX];

		if (policy)
			json_array_set(actions, i, json_object_get(policy->document, "PolicyARN"));
		else if (topics_named(scaler->topics, json_string_value(action), arn))
			json_array_set_new(actions, i, json_string(arn));
	}
}

static void resolve_actions(const struct scaler *scaler, json_t *alarms)
{
	json_t *alarm;
	size_t i;

	json_array_foreach (alarms, i, alarm) {
		resolve_list(scaler, doc_array(alarm, "AlarmActions"));
		resolve_list(scaler, doc_array(alarm, "OKActions"));
		resolve_list(scaler, doc_array(alarm, "InsufficientDataActions"));
	}
}

static int apply_alarms(const struct scaler *scaler, const json_t *given, struct err *err)
{
	json_t *alarms = json_deep_copy(given);
	int result;

	resolve_actions(scaler, alarms);
	alarm_names_resolve(alarms, rim_names(scaler->rim));
	result = cloudwatch_apply_file(scaler->cloudwatch, alarms, err);
	json_decref(alarms);
	return result;
}

/* The load balancer has told what it calls the names in the alarms. */
static void on_names(void *arg)
{
	const struct scaler *scaler = arg;
	struct err err = {0};

	if (apply_alarms(scaler, scaler->alarms, &err) < 0)
		log_error("alarms-not-named", "why=\"%s\"", err.text);
}

static int apply(struct scaler *scaler, const json_t *config, struct err *err)
{
	json_t *alarms = doc_array(config, "MetricAlarms");

	if (autoscaling_check_file(&scaler->api, config, err) < 0)
		return -1;
	rim_set_templates(scaler->rim, doc_array(config, "LaunchTemplates"));
	engine_set_prices(rim_engine(scaler->rim),
			  doc_array(doc_object(config, "Scaler"), "Prices"));
	engine_limit_cost(rim_engine(scaler->rim),
			  doc_num(doc_object(config, "Scaler"), "MaxHourlyCost", 0));
	if (autoscaling_apply_file(&scaler->api, config, err) < 0 ||
	    apply_alarms(scaler, alarms, err) < 0)
		return -1;
	json_decref(scaler->alarms);
	scaler->alarms = json_incref(alarms);
	return 0;
}

/* What only a new start can change. */
static void warn_of_settings(const struct scaler *scaler, const json_t *config)
{
	const json_t *before = doc_object(scaler->config, "Scaler");
	const json_t *after = doc_object(config, "Scaler");

	if (before != after && !json_equal(before, after))
		log_warn("settings-kept",
			 "file=%s why=\"changes in Scaler take effect at the next "
			 "start\"",
			 scaler->file);
}

static void on_reload(evutil_socket_t number, short events, void *arg)
{
	struct scaler *scaler = arg;
	struct err err = {0};
	json_t *config = config_load(scaler->file, &err);

	(void)number;
	(void)events;
	if (config && apply(scaler, config, &err) == 0) {
		warn_of_settings(scaler, config);
		log_info("reloaded", "file=%s", scaler->file);
	} else {
		log_error("not-reloaded", "file=%s why=\"%s\"", scaler->file, err.text);
	}
	json_decref(config);
}

static void on_end(evutil_socket_t number, short events, void *arg)
{
	struct scaler *scaler = arg;

	(void)events;
	log_info("stopping", "signal=%d", (int)number);
	event_base_loopbreak(scaler->base);
}

/* ---- pages and alarms ---- */

static void on_health_page(void *context, struct aws_page *page)
{
	(void)context;
	buf_add_str(page->body, "ok\n");
}

/* The address is a fixed point that the lab prints; the page itself is still to come. */
static void on_dashboard_page(void *context, struct aws_page *page)
{
	(void)context;
	page->status = 501;
	buf_add_str(page->body,
		    "The dashboard is not supported yet. /metrics has the figures, and "
		    "the AWS APIs of this port have the groups and their activities.\n");
}

static void on_events_page(void *context, struct aws_page *page)
{
	const struct scaler *scaler = context;
	bool is_open = json_array_size(scaler->settings.credentials) == 0;

	/* Anybody may read the page: who needs keys otherwise is not given tokens here. */
	if (event_page(rim_engine(scaler->rim), page->query, !is_open, page->body) < 0)
		page->status = 400;
	else
		page->content_type = "application/json";
}

static void on_explain_page(void *context, struct aws_page *page)
{
	const struct scaler *scaler = context;

	page->status = explain_page(scaler->rim, page->query, page->body);
	if (page->status == 200)
		page->content_type = "application/json";
}

static void on_metrics_page(void *context, struct aws_page *page)
{
	struct scaler *scaler = context;

	rim_print(scaler->rim, page->body);
	cloudwatch_print(scaler->cloudwatch, page->body);
	aws_server_metrics(scaler->server, page->body);
}

static int on_alarm(void *arg, const struct alarm_event *event, struct err *err)
{
	struct scaler *scaler = arg;

	return autoscaling_on_alarm(&scaler->api, event, err);
}

/* ---- start and end ---- */

static int start_topics(struct scaler *scaler, struct err *err)
{
	const json_t *own = scaler->settings.section;
	struct topics_config config = {
	    .loop = scaler->curl_loop,
	    .credentials = scaler->credentials,
	    .region = scaler->settings.region,
	    .account_id = scaler->settings.account_id,
	    .sns_endpoint = doc_str(own, "SnsEndpoint", NULL),
	    .topics = doc_array(own, "Topics"),
	    .smtp = doc_object(own, "Smtp"),
	};

	scaler->topics = topics_new(&config, err);
	if (!scaler->topics)
		return -1;
	scaler->notices = notices_new(scaler->topics, scaler->cloudwatch, err);
	return scaler->notices ? 0 : -1;
}

static int start_clients(struct scaler *scaler, struct err *err)
{
	const json_t *own = scaler->settings.section;
	struct rim_config config = {
	    .region = scaler->settings.region,
	    .account_id = scaler->settings.account_id,
	    .ec2_endpoint = doc_str(own, "Ec2Endpoint", NULL),
	    .elb_endpoint = doc_str(own, "ElbEndpoint", NULL),
	    .cloudwatch_endpoint = doc_str(own, "CloudWatchEndpoint", NULL),
	    .event_webhook = doc_str(own, "EventWebhook", NULL),
	    .is_dry_run = doc_bool(own, "DryRun", false),
	};

	scaler->curl_loop = curl_loop_new(scaler->base, err);
	if (!scaler->curl_loop)
		return -1;
	scaler->credentials = aws_credentials_new(scaler->curl_loop, err);
	if (!scaler->credentials)
		return -1;
	if (start_topics(scaler, err) < 0)
		return -1;
	config.topics = scaler->topics;
	config.base = scaler->base;
	config.curl_loop = scaler->curl_loop;
	config.credentials = scaler->credentials;
	config.store = scaler->store;
	config.cloudwatch = scaler->cloudwatch;
	config.on_names = on_names;
	config.names_arg = scaler;
	scaler->rim = rim_new(&config, err);
	return scaler->rim ? 0 : -1;
}

static int start_server(struct scaler *scaler, struct err *err)
{
	struct aws_server_config config = {
	    .address = scaler->settings.api_address,
	    .region = scaler->settings.region,
	    .account_id = scaler->settings.account_id,
	    .credentials = scaler->settings.credentials,
	};

	scaler->server = aws_server_new(scaler->base, &config, err);
	if (!scaler->server) {
		err_wrap(err, "Scaler.ApiAddress: ");
		return -1;
	}
	if (aws_server_add_service(scaler->server, "autoscaling", autoscaling_actions,
				   autoscaling_n_actions, &scaler->api, err) < 0 ||
	    aws_server_add_service(scaler->server, "monitoring", cloudwatch_actions,
				   cloudwatch_n_actions, scaler->cloudwatch, err) < 0)
		return -1;
	if (aws_server_add_page(scaler->server, "/healthz", on_health_page, scaler) < 0 ||
	    aws_server_add_page(scaler->server, "/metrics", on_metrics_page, scaler) < 0 ||
	    aws_server_add_page(scaler->server, "/explain", on_explain_page, scaler) < 0 ||
	    aws_server_add_page(scaler->server, "/events", on_events_page, scaler) < 0 ||
	    aws_server_add_page(scaler->server, "/dashboard", on_dashboard_page, scaler) < 0 ||
	    aws_server_add_inbox(scaler->server, "/events/ec2",
				 doc_str(scaler->settings.section, "EventsKey", NULL), events_take,
				 &scaler->api) < 0) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	return 0;
}

static int start_signals(struct scaler *scaler, struct err *err)
{
	static const struct {
		int number;
		event_callback_fn fn;
	} table[] = {{SIGHUP, on_reload}, {SIGTERM, on_end}, {SIGINT, on_end}};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		scaler->signals[i] =
		    evsignal_new(scaler->base, table[i].number, table[i].fn, scaler);
		if (!scaler->signals[i] || event_add(scaler->signals[i], NULL) < 0) {
			err_set(err, ENOMEM, "out of memory");
			return -1;
		}
	}
	return 0;
}

static int start(struct scaler *scaler, struct err *err)
{
	scaler->base = event_base_new();
	if (!scaler->base) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (start_signals(scaler, err) < 0)
		return -1;
	if (strcmp(scaler->settings.state_url, "memory:") == 0)
		log_info("state-not-kept",
			 "why=\"StateUrl is memory: and is gone with the program\"");
	scaler->store = store_open(scaler->settings.state_url, err);
	if (!scaler->store)
		return -1;
	scaler->cloudwatch = cloudwatch_new(scaler->store, NULL, scaler->settings.region,
					    scaler->settings.account_id, err);
	if (scaler->cloudwatch && strcmp(scaler->settings.state_url, "memory:") != 0)
		cloudwatch_keep(scaler->cloudwatch);
	if (!scaler->cloudwatch || start_clients(scaler, err) < 0)
		return -1;
	scaler->api = (struct autoscaling){
	    .engine = rim_engine(scaler->rim),
	    .cloudwatch = scaler->cloudwatch,
	    .commit = rim_commit,
	    .commit_arg = scaler->rim,
	};
	cloudwatch_on_alarm(scaler->cloudwatch, on_alarm, scaler);
	if (start_server(scaler, err) < 0 || apply(scaler, scaler->config, err) < 0)
		return -1;
	return rim_start(scaler->rim, err);
}

static void end(struct scaler *scaler)
{
	if (scaler->server)
		aws_server_free(scaler->server);
	topics_free(scaler->topics); /* first: what is on its way points at who sent it */
	rim_free(scaler->rim);
	notices_free(scaler->notices);
	cloudwatch_free(scaler->cloudwatch);
	store_close(scaler->store);
	if (scaler->credentials)
		aws_credentials_free(scaler->credentials);
	if (scaler->curl_loop)
		curl_loop_free(scaler->curl_loop);
	for (size_t i = 0; i < sizeof scaler->signals / sizeof scaler->signals[0]; i++) {
		if (scaler->signals[i])
			event_free(scaler->signals[i]);
	}
	if (scaler->base)
		event_base_free(scaler->base);
	json_decref(scaler->alarms);
	json_decref(scaler->config);
	libevent_global_shutdown();
}

/* -t: as far as can be told without a store. */
static int check_only(const struct scaler *scaler, const struct config_options *options)
{
	struct autoscaling api = {
	    .engine = engine_new(scaler->settings.region, scaler->settings.account_id, NULL)};
	struct err err = {0};

	if (!api.engine)
		err_set(&err, ENOMEM, "out of memory");
	else if (autoscaling_check_file(&api, scaler->config, &err) < 0)
		err_wrap(&err, "%s: ", scaler->file);
	engine_free(api.engine);
	return config_options_verdict(options, &err);
}

static int run(struct scaler *scaler)
{
	struct err err = {0};

	if (start(scaler, &err) < 0) {
		log_error("not-started", "file=%s why=\"%s\"", scaler->file, err.text);
		return EXIT_FAILURE;
	}
	log_info("started", "api=%s port=%d", scaler->settings.api_address,
		 aws_server_port(scaler->server));
	event_base_dispatch(scaler->base);
	log_info("stopped", "status=0");
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct config_options options = {
	    .program = "albatross-scaler",
	    .summary = "keeps groups of instances at the capacity their load needs",
	};
	enum config_options_result parsed;
	struct scaler scaler = {0};
	struct err err = {0};
	int status;

	if (argc > 1 && strcmp(argv[1], "simulate") == 0)
		return sim_main(argc - 1, argv + 1);
	parsed = config_options_parse(argc, argv, &options);
	scaler.file = options.file;
	if (parsed != CONFIG_OPTIONS_RUN)
		return parsed == CONFIG_OPTIONS_DONE ? EXIT_SUCCESS : 2;
	log_start(options.program, options.is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	scaler.config = config_load(options.file, &err);
	if (!scaler.config)
		return config_options_verdict(&options, &err);
	config_settings_read(scaler.config, "Scaler", &scaler.settings);
	if (options.is_check_only) {
		status = check_only(&scaler, &options);
		json_decref(scaler.config);
		return status;
	}
	status = run(&scaler);
	end(&scaler);
	return status;
}
