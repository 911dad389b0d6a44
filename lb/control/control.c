/* See control.h. */
#include "lb/control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/client.h"
#include "common/aws/server.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/config/config.h"
#include "common/doc/doc.h"
#include "lb/api/acm.h"
#include "lb/api/resource.h"
#include "lb/api/rule_uses.h"
#include "lb/control/compile.h"
#include "lb/control/explain_page.h"
#include "lb/control/feed.h"
#include "lb/control/file_apply.h"
#include "lb/control/instances.h"
#include "lb/control/pages.h"
#include "lb/control/rebuild_pace.h"
#include "lb/control/rollout.h"
#include "lb/control/settings.h"
#include "lb/control/sockets.h"
#include "lb/control/sticky_key.h"

enum { RETRY_MS = 5000, DRAIN_POLL_MS = 50 };

struct control {
	struct event_base *base; /* borrowed: freed after us */
	char *config_path;
	json_t *config; /* the settings borrow from it */
	struct lb_settings settings;
	struct store *store;
	struct curl_loop *curl;
	struct aws_credentials *credentials;
	struct aws_client *ec2, *cloudwatch;
	uint8_t sticky_key[STICKY_KEY_BYTES];
	struct counters *counters;
	struct access_log *access_log;
	struct health_log *health_log;
	struct log_file *connection_log;
	struct proxy *proxy;
	struct registry *registry;
	struct instances *instances;
	struct address_pool *pool; /* NULL = load balancers listen on all addresses */
	struct feed *feed;
	struct elb_api api;
	struct rule_uses *uses;          /* of the store */
	struct file_memory *file_memory; /* of the file as applied */
	struct aws_server *server;
	struct pages_context pages;
	struct event *rebuild; /* made active by changes; runs once a turn */
	bool is_stale;         /* something changed that the workers have not been told */
	struct rebuild_pace pace;
	struct rollout *rollout;
	char *listening; /* the addresses, as last logged */
	/* Draining. */
	struct event *drain_timer;
	int64_t drain_until_ms;
	void (*drain_done)(void *arg);
	void *drain_arg;
};

static int hook_port_check(void *context, const char *address, int port, struct err *err)
{
	struct control *control = context;
	struct socket_address out;

	return socket_resolve(control->proxy, address, port, &out, err);
}

static int hook_address_assign(void *context, char address[64], struct err *err)
{
	struct control *control = context;

	address[0] = '\0';
	if (!control->pool)
		return 0;
	return address_pool_take(control->pool, control->store, address, err);
}

static json_t *hook_target_health(void *context, const char *group_arn)
{
	struct control *control = context;
	struct err ignored = {0};

	/* What was just registered is told of, rebuilt or not. */
	if (control->is_stale && registry_sync(control->registry, &control->api, &ignored) < 0)
		return NULL;
	return registry_describe(control->registry, group_arn);
}

static const json_t *hook_subnet_find(void *context, const char *subnet_id)
{
	struct control *control = context;

	return control->instances ? instances_subnet(control->instances, subnet_id) : NULL;
}

static void on_subnets(void *arg)
{
	struct control *control = arg;

	elb_subnets_learned(&control->api);
}

static const struct elb_hooks hooks = {
    .port_check = hook_port_check,
    .address_assign = hook_address_assign,
    .target_health = hook_target_health,
    .subnet_find = hook_subnet_find,
};

/* At once as a rule: in this turn of the loop, and so before the call that changed it is answered.
 */
static void wake_rebuild(struct control *control)
{
	int64_t wait_us = rebuild_pace_wait_us(&control->pace, clock_monotonic_us());
	struct timeval wait = {wait_us / 1000000, wait_us % 1000000};

	if (wait_us == 0)
		event_active(control->rebuild, EV_TIMEOUT, 1);
	else
		event_add(control->rebuild, &wait);
}

static void mark_changed(void *arg)
{
	struct control *control = arg;

	control->is_stale = true;
	if (control->rebuild)
		wake_rebuild(control);
}

static void cut_target(void *arg, struct target *target)
{
	struct control *control = arg;

	if (control->proxy)
		proxy_cut_target(control->proxy, target);
}

static void on_store_change(void *arg, const char *key, const json_t *document)
{
	struct control *control = arg;

	rollout_note_change(control->rollout, key, document);
	mark_changed(control);
}

/* Says where we listen, when that has changed. */
static void note_listening(struct control *control, const struct compile_output *output)
{
	const char *now = buf_text(&output->addresses);

	if (control->listening && strcmp(control->listening, now) == 0)
		return;
	free(control->listening);
	control->listening = strdup(now);
	if (output->moved.len > 0)
		log_warn("ports-moved",
			 "ports=\"%s\" why=\"this process may not bind ports below 1024\"",
			 buf_text(&output->moved));
	log_info("listening", "addresses=\"%s\"", now);
}

static int install(struct control *control, struct err *err)
{
	struct compile_input input = {.store = control->store,
				      .rollout = control->rollout,
				      .registry = control->registry,
				      .counters = control->counters,
				      .proxy = control->proxy,
				      .n_lanes = control->settings.n_workers};
	struct compile_output output;
	int result;

	if (compile_snapshot(&input, &output, err) < 0)
		return -1;
	result = proxy_install(control->proxy, output.snapshot, err);
	if (result == 0)
		rollout_done(control->rollout, output.snapshot);
	snapshot_unref(output.snapshot);
	if (result == 0)
		note_listening(control, &output);
	if (result == 0 && output.n_unbound > 0) {
		err_set(err, EADDRINUSE, "%s", output.unbound);
		result = -1;
	}
	buf_fini(&output.addresses);
	buf_fini(&output.moved);
	return result;
}

/* Is the load balancer ("app/n/id") or target group ("targetgroup/n/id") still there? */
static bool is_resource(void *arg, const char *resource)
{
	struct control *control = arg;
	bool is_group = strncmp(resource, "targetgroup/", 12) == 0;
	char key[ELB_KEY_MAX];

	if (strcmp(resource, COUNTERS_OVERFLOW) == 0)
		return true;
	snprintf(key, sizeof(key), "elb/%s%s", is_group ? "" : "loadbalancer/", resource);
	return store_peek(control->store, key, NULL) != NULL;
}

/* The store as it is now into registry, snapshot and sockets. */
static int rebuild(struct control *control, struct err *err)
{
	if (registry_sync(control->registry, &control->api, err) < 0)
		return -1;
	if (control->pool)
		address_pool_sync(control->pool, control->store);
	if (control->instances)
		instances_wake(control->instances);
	counters_sweep(control->counters, is_resource, control, clock_monotonic_us() / 1000);
	if (control->feed)
		feed_sync(control->feed);
	return install(control, err);
}

static void rebuild_or_retry(struct control *control)
{
	static const struct timeval later = {RETRY_MS / 1000, 0};
	int64_t start_us = clock_monotonic_us(), end_us;
	struct err err = {0};
	int result;

	event_del(control->rebuild);
	control->is_stale = false;
	result = rebuild(control, &err);
	end_us = clock_monotonic_us();
	rebuild_pace_note(&control->pace, end_us, end_us - start_us);
	if (result == 0)
		return;
	control->is_stale = true;
	log_error("rebuild-failed", "why=\"%s\" retry_ms=%d", err.text, (int)RETRY_MS);
	event_add(control->rebuild, &later);
}

static void on_rebuild(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	rebuild_or_retry(arg);
}

static struct aws_call call_of(const struct control *control)
{
	return (struct aws_call){.action = "file",
				 .request_id = "file",
				 .region = control->settings.common.region,
				 .account_id = control->settings.common.account_id,
				 .host = ""};
}

static int apply(struct control *control, const json_t *config, struct file_changes *changes,
		 struct err *err)
{
	struct aws_call call = call_of(control);

	if (file_apply(&control->api, &call, config, control->file_memory, changes, err) == 0)
		return 0;
	err_wrap(err, "%s: ", control->config_path);
	return -1;
}

static int open_state(struct control *control, struct err *err)
{
	const char *url = control->settings.common.state_url;

	control->store = store_open(url, err);
	if (!control->store)
		return -1;
	if (strcmp(url, "memory:") == 0)
		log_info("state", "url=memory: note=\"state is not kept over a restart\"");
	else
		log_info("state", "url=%s", url);
	if (store_watch(control->store, "elb/", on_store_change, control) < 0) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	control->uses = rule_uses_new(control->store, err);
	control->api = (struct elb_api){.store = control->store,
					.hooks = &hooks,
					.hooks_context = control,
					.uses = control->uses};
	return control->uses ? 0 : -1;
}

static struct aws_client *client_new(struct control *control, const char *service,
				     const char *endpoint, struct err *err)
{
	struct aws_client_config config = {.service = service,
					   .endpoint = endpoint,
					   .region = control->settings.common.region,
					   .timeout_ms = 5000};

	return aws_client_new(control->curl, control->credentials, &config, err);
}

/* What calls out: health checks, EC2, CloudWatch. */
static int open_clients(struct control *control, struct err *err)
{
	struct registry_config registry = {.base = control->base,
					   .n_lanes = control->settings.n_workers,
					   .zone = control->settings.zone,
					   .on_change = mark_changed,
					   .on_cut = cut_target,
					   .arg = control};

	control->curl = curl_loop_new(control->base, err);
	if (!control->curl)
		return -1;
	registry.curl = control->curl;
	if (control->settings.health_check_log) {
		control->health_log = health_log_open(control->settings.health_check_log, err);
		if (!control->health_log)
			return -1;
	}
	registry.health_log = control->health_log;
	control->registry = registry_new(&registry, err);
	control->credentials = aws_credentials_new(control->curl, err);
	if (!control->registry || !control->credentials)
		return -1;
	control->ec2 = client_new(control, "ec2", control->settings.ec2_endpoint, err);
	if (!control->ec2)
		return -1;
	control->instances = instances_new(control->base, control->ec2, control->registry, err);
	if (!control->instances)
		return -1;
	instances_on_subnets(control->instances, on_subnets, control);
	if (!control->settings.metrics_endpoint)
		return 0;
	control->cloudwatch =
	    client_new(control, "monitoring", control->settings.metrics_endpoint, err);
	return control->cloudwatch ? 0 : -1;
}

static int open_logs(struct control *control, struct err *err)
{
	const struct lb_settings *settings = &control->settings;

	if (settings->access_log) {
		control->access_log =
		    access_log_open(settings->access_log,
				    settings->is_access_log_json ? ACCESS_LOG_JSON : ACCESS_LOG_ALB,
				    settings->n_workers, err);
		if (!control->access_log)
			return -1;
	}
	if (settings->connection_log) {
		control->connection_log =
		    log_file_open(settings->connection_log, settings->n_workers, err);
		if (!control->connection_log)
			return -1;
	}
	return 0;
}

static int open_proxy(struct control *control, struct err *err)
{
	struct proxy_config config = {.n_workers = control->settings.n_workers,
				      .buffer_bytes = control->settings.buffer_bytes};

	if (sticky_key_load(control->store, control->sticky_key, err) < 0)
		return -1;
	control->counters = counters_new(config.n_workers, err);
	if (!control->counters || counters_lb_slot(control->counters, COUNTERS_OVERFLOW, err) < 0 ||
	    counters_group_slot(control->counters, COUNTERS_OVERFLOW, err) < 0)
		return -1;
	if (open_logs(control, err) < 0)
		return -1;
	config.counters = control->counters;
	config.access_log = control->access_log;
	config.sticky_key = control->sticky_key;
	config.connection_log = control->connection_log;
	control->proxy = proxy_start(&config, err);
	return control->proxy ? 0 : -1;
}

static int open_feed(struct control *control, struct err *err)
{
	struct feed_config config = {.base = control->base,
				     .client = control->cloudwatch,
				     .counters = control->counters,
				     .registry = control->registry,
				     .store = control->store,
				     .zone = control->settings.zone};

	if (!control->cloudwatch)
		return 0;
	control->feed = feed_new(&config, err);
	return control->feed ? 0 : -1;
}

static int open_api(struct control *control, struct err *err)
{
	struct aws_server_config config = {.address = control->settings.common.api_address,
					   .region = control->settings.common.region,
					   .account_id = control->settings.common.account_id,
					   .credentials = control->settings.common.credentials};

	control->server = aws_server_new(control->base, &config, err);
	if (!control->server) {
		err_wrap(err, "Lb.ApiAddress: ");
		return -1;
	}
	control->pages = (struct pages_context){.counters = control->counters,
						.registry = control->registry,
						.store = control->store,
						.rollout = control->rollout,
						.proxy = control->proxy,
						.access_log = control->access_log,
						.feed = control->feed,
						.server = control->server,
						.started_ms = clock_now_ms(NULL)};
	if (aws_server_add_service(control->server, "elasticloadbalancing", elb_actions,
				   n_elb_actions, &control->api, err) < 0 ||
	    aws_server_add_service(control->server, "acm", acm_actions, n_acm_actions,
				   control->store, err) < 0)
		return -1;
	if (aws_server_add_page(control->server, "/metrics", page_metrics, &control->pages) < 0 ||
	    aws_server_add_page(control->server, "/healthz", page_healthz, &control->pages) < 0 ||
	    aws_server_add_page(control->server, "/explain", page_explain, &control->pages) < 0) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	return 0;
}

static int open_all(struct control *control, struct err *err)
{
	if (control->settings.auto_address) {
		control->pool = address_pool_new(control->settings.auto_address, err);
		if (!control->pool)
			return -1;
	}
	control->file_memory = file_memory_new();
	control->rollout = rollout_new(control->base, err);
	if (!control->rollout)
		return -1;
	control->rebuild = event_new(control->base, -1, 0, on_rebuild, control);
	if (!control->rebuild) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (open_state(control, err) < 0 || open_clients(control, err) < 0 ||
	    open_proxy(control, err) < 0 || open_feed(control, err) < 0 ||
	    open_api(control, err) < 0 || apply(control, control->config, NULL, err) < 0)
		return -1;
	return 0;
}

struct control *control_start(struct event_base *base, const char *config_path, struct err *err)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		goto oom;
	control->base = base;
	control->config_path = strdup(config_path);
	if (!control->config_path)
		goto oom;
	control->config = config_load(config_path, err);
	if (!control->config)
		goto fail;
	lb_settings_read(control->config, &control->settings);
	if (open_all(control, err) < 0)
		goto fail;
	/* What the API made before a restart and cannot listen now is tried again; the file's own
	 * ports were checked when it was applied. */
	rebuild_or_retry(control);
	log_info("ready", "api=%s port=%d workers=%u listening=\"%s\"",
		 control->settings.common.api_address, aws_server_port(control->server),
		 control->settings.n_workers, control->listening ? control->listening : "");
	return control;
oom:
	err_set(err, ENOMEM, "out of memory");
fail:
	control_stop(control);
	return NULL;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	aws_server_free(control->server);
	feed_free(control->feed);
	instances_free(control->instances);
	proxy_stop(control->proxy);
	access_log_close(control->access_log);
	log_file_close(control->connection_log);
	registry_free(control->registry);
	health_log_close(control->health_log);
	counters_free(control->counters);
	aws_client_free(control->ec2);
	aws_client_free(control->cloudwatch);
	aws_credentials_free(control->credentials);
	curl_loop_free(control->curl);
	store_close(control->store);
	rule_uses_free(control->uses);
	file_memory_free(control->file_memory);
	rollout_free(control->rollout);
	address_pool_free(control->pool);
	if (control->rebuild)
		event_free(control->rebuild);
	if (control->drain_timer)
		event_free(control->drain_timer);
	json_decref(control->config);
	free(control->config_path);
	free(control->listening);
	free(control);
}

void control_reload(struct control *control)
{
	struct err err = {0};
	struct file_changes changes = {0};
	json_t *config = config_load(control->config_path, &err);

	if (!config || apply(control, config, &changes, &err) < 0) {
		log_error("reload-refused", "why=\"%s\"", err.text);
		json_decref(config);
		return;
	}
	if (!json_equal(doc_object(config, "Lb"), doc_object(control->config, "Lb")))
		log_warn("reload", "note=\"changes in section Lb take effect at the next start\"");
	json_decref(config);
	/* Before it is said that the file holds, the workers have been told. */
	if (control->is_stale)
		rebuild_or_retry(control);
	log_info("reload", "file=%s created=%u changed=%u deleted=%u settings=%u",
		 control->config_path, changes.created, changes.changed, changes.deleted,
		 changes.settings);
}

void control_reopen_logs(struct control *control)
{
	if (control->access_log)
		access_log_reopen(control->access_log);
	if (control->health_log)
		health_log_reopen(control->health_log);
	if (control->connection_log)
		log_file_reopen(control->connection_log);
	log_info("logs-reopened", "path=%s",
		 control->settings.access_log ? control->settings.access_log : "none");
}

static void on_drain_timer(int fd, short what, void *arg)
{
	struct control *control = arg;
	bool is_late = clock_monotonic_us() / 1000 >= control->drain_until_ms;

	(void)fd;
	(void)what;
	if (!is_late && !proxy_is_drained(control->proxy))
		return;
	if (is_late)
		log_warn("drain-limit", "connections=%llu",
			 (unsigned long long)proxy_n_connections(control->proxy));
	event_del(control->drain_timer);
	control->drain_done(control->drain_arg);
}

void control_drain(struct control *control, int limit_ms, void (*done)(void *arg), void *arg)
{
	static const struct timeval poll = {0, DRAIN_POLL_MS * 1000};

	log_info("draining", "connections=%llu limit_ms=%d",
		 (unsigned long long)proxy_n_connections(control->proxy), limit_ms);
	control->pages.is_draining = true;
	control->drain_done = done;
	control->drain_arg = arg;
	control->drain_until_ms = clock_monotonic_us() / 1000 + limit_ms;
	control->drain_timer = event_new(control->base, -1, EV_PERSIST, on_drain_timer, control);
	if (!control->drain_timer) {
		done(arg);
		return;
	}
	proxy_drain(control->proxy);
	event_add(control->drain_timer, &poll);
}

int control_check(const char *config_path, struct err *err)
{
	struct aws_call call = {.action = "file", .request_id = "file", .host = ""};
	json_t *config = config_load(config_path, err);
	struct elb_api api = {0};
	struct lb_settings settings;
	struct address_pool *pool = NULL;
	int result = -1;

	if (!config)
		return -1;
	lb_settings_read(config, &settings);
	call.region = settings.common.region;
	call.account_id = settings.common.account_id;
	if (settings.auto_address && !(pool = address_pool_new(settings.auto_address, err)))
		goto out;
	api.store = store_open("memory:", err);
	if (api.store)
		result = file_apply(&api, &call, config, NULL, NULL, err);
	if (result < 0)
		err_wrap(err, "%s: ", config_path);
out:
	address_pool_free(pool);
	store_close(api.store);
	json_decref(config);
	return result;
}
