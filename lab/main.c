/*
 * albatross-lab: starts the load balancer and the scaler, answers EC2 and STS with instances that
 * are local processes, and takes all of it down again.  One thread, one loop.  With INIT_MODE as
 * its first argument it is an instance's first process instead (runtime/init.h).
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/aws/server.h"
#include "common/base/log.h"
#include "common/config/config.h"
#include "common/config/options.h"
#include "common/config/settings.h"
#include "common/doc/doc.h"
#include "lab/apply.h"
#include "lab/children.h"
#include "lab/derive.h"
#include "lab/feed.h"
#include "lab/lifecycle.h"
#include "lab/names.h"
#include "lab/neighbours/neighbours.h"
#include "lab/ports.h"
#include "lab/ready.h"
#include "lab/runtime/files.h"
#include "lab/runtime/init.h"
#include "lab/spot_notices.h"

enum {
	URL_MAX = 200,
	STOP_POLL_MS = 20,
	STOP_MS = 4000, /* then all is killed: 5 s are promised */
	SWEEP_S = 30,
	RELOAD_MS = 300, /* what the load balancer may take for its new file */
	DEFAULT_WEB_PORT = 80,
};

struct lab {
	struct config_options options;
	json_t *config; /* the file as it is now in force */
	struct config_settings settings;
	struct work_dir dir;
	char lb_config[FILES_PATH_MAX + 16], scaler_config[FILES_PATH_MAX + 16];
	char instances_dir[FILES_PATH_MAX + 16];
	char lab_api[PORTS_ADDRESS_MAX], lb_api[PORTS_ADDRESS_MAX], scaler_api[PORTS_ADDRESS_MAX];
	struct port_hold lb_port, scaler_port;
	int aws_port;
	char aws_url[URL_MAX];
	bool has_lb, has_scaler, is_scaler_up;

	struct event_base *base;
	struct event *signals[3], *sweep_timer, *stop_timer;
	struct store *store;
	struct aws_server *server;
	struct reaper *reaper;
	struct process_runtime *runtime;
	struct children *children;
	struct ec2 ec2;
	struct neighbours neighbours;
	struct curl_loop *curl;
	struct aws_credentials *credentials;
	struct aws_client *monitoring, *autoscaling, *elb;
	struct names *names;
	struct feed *feed;
	struct lifecycle *lifecycle;
	struct ready *ready;
	struct spot_notices *notices;
	json_t *capacity; /* Lab.Capacity, as last read */
	int64_t stop_us;  /* when stopping began; 0 = not stopping */
	int status;       /* to exit with */
};

/* --- stopping --- */

static void on_stop_poll(evutil_socket_t fd, short what, void *arg)
{
	struct lab *lab = arg;
	bool is_late = clock_monotonic_us() - lab->stop_us > (int64_t)STOP_MS * 1000;

	(void)fd;
	(void)what;
	if (children_count(lab->children) == 0 && process_runtime_count(lab->runtime) == 0) {
		event_base_loopbreak(lab->base);
		return;
	}
	/* An instance that was being started when the order came is stopped now. */
	process_runtime_stop_all(lab->runtime);
	if (!is_late)
		return;
	log_warn("stop-forced", "children=%d instances=%d", children_count(lab->children),
		 process_runtime_count(lab->runtime));
	event_base_loopbreak(lab->base);
}

static void stop(struct lab *lab, int status)
{
	struct timeval period = {.tv_usec = STOP_POLL_MS * 1000L};

	if (lab->stop_us != 0)
		return;
	lab->stop_us = clock_monotonic_us();
	lab->status = status;
	log_info("stopping", "instances=%d children=%d", process_runtime_count(lab->runtime),
		 children_count(lab->children));
	/* Nobody may launch any more. */
	aws_server_free(lab->server);
	lab->server = NULL;
	children_stop(lab->children);
	process_runtime_stop_all(lab->runtime);
	event_add(lab->stop_timer, &period);
}

static void on_fatal_child(void *arg, const char *program, int status)
{
	struct lab *lab = arg;

	log_error("lab-failed", "why=\"%s ended with status %d; what it said is above\"", program,
		  status);
	stop(lab, 1);
}

static void on_end_signal(evutil_socket_t signal, short what, void *arg)
{
	(void)signal;
	(void)what;
	stop(arg, 0);
}

/* --- the children's configuration --- */

/* known: see names.h; NULL for the load balancer's own, which gives the names their ids. */
static int write_config(struct lab *lab, const char *path, const json_t *known, struct err *err)
{
	struct derive derive = {
	    .lb_api = lab->lb_api,
	    .scaler_api = lab->scaler_api,
	    .lab_api = lab->lab_api,
	    .aws_port = lab->aws_port,
	    .state_dir = lab->dir.path,
	};
	json_t *derived = derive_config(lab->config, &derive);
	int result = -1;
	char *text;

	names_resolve_alarms(derived, known);
	text = derived != NULL ? json_dumps(derived, JSON_INDENT(2)) : NULL;
	if (text != NULL)
		result = files_write(path, text, strlen(text), 0600, err);
	else
		err_set(err, ENOMEM, "out of memory");
	json_decref(derived);
	free(text);
	return result;
}

/* The load balancer first: the scaler follows when the names are known (on_names). */
static int reload_children(struct lab *lab, struct err *err)
{
	if (!lab->has_lb) {
		if (write_config(lab, lab->scaler_config, NULL, err) != 0)
			return -1;
		children_signal(lab->children, NULL, SIGHUP);
		return 0;
	}
	if (write_config(lab, lab->lb_config, NULL, err) != 0)
		return -1;
	children_signal(lab->children, "albatross-lb", SIGHUP);
	names_ask(lab->names, RELOAD_MS);
	return 0;
}

/* How much of what there is room for: this, too, can be changed while the lab runs. */
static void set_capacity(struct lab *lab, const json_t *config)
{
	json_decref(lab->capacity);
	lab->capacity = json_incref(doc_array(doc_object(config, "Lab"), "Capacity"));
	lab->ec2.capacity = lab->capacity;
}

static void on_reload(evutil_socket_t signal, short what, void *arg)
{
	struct lab *lab = arg;
	struct err err = {0};
	json_t *config = config_load(lab->options.file, &err);

	(void)signal;
	(void)what;
	if (config == NULL || apply_launch_templates(&lab->ec2, config, &err) != 0) {
		log_error("reload-refused", "why=\"%s\"", err.text);
		json_decref(config);
		return;
	}
	set_capacity(lab, config);
	/* The running settings (addresses, region, keys) stay as they are until a restart. */
	if (doc_has(lab->config, "Lab"))
		json_object_set(config, "Lab", json_object_get(lab->config, "Lab"));
	else
		json_object_del(config, "Lab");
	json_decref(lab->config);
	lab->config = config;
	config_settings_read(config, "Lab", &lab->settings);
	if (reload_children(lab, &err) != 0)
		log_error("reload-failed", "why=\"%s\"", err.text);
	else
		log_info("reloaded", "file=%s", lab->options.file);
}

/* --- ready --- */

/* The first plain HTTP listener of the file's first load balancer. */
static void web_url(const struct lab *lab, char url[URL_MAX])
{
	const json_t *balancer = json_array_get(doc_array(lab->config, "LoadBalancers"), 0);
	const json_t *listener = json_array_get(doc_array(balancer, "Listeners"), 0);
	const char *address = doc_str(balancer, "ListenAddress", "127.0.0.1");

	snprintf(url, URL_MAX, "http://%.64s:%lld",
		 strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1" : address,
		 (long long)doc_int(listener, "Port", DEFAULT_WEB_PORT));
}

static void on_ready(void *arg)
{
	struct lab *lab = arg;
	char web[URL_MAX];

	printf("ready");
	if (lab->has_lb && json_array_size(doc_array(lab->config, "LoadBalancers")) > 0) {
		web_url(lab, web);
		printf(" web=%s", web);
	}
	printf(" aws=%s", lab->aws_url);
	if (lab->has_scaler)
		printf(" dashboard=%s/dashboard", lab->aws_url);
	printf("\n");
	fflush(stdout);
}

static void on_pages(void *arg)
{
	struct lab *lab = arg;

	children_have_worked(lab->children);
}

static int watch_readiness(struct lab *lab, struct err *err)
{
	static char pages[3][URL_MAX + 16];
	struct ready_config config = {
	    .base = lab->base,
	    .loop = lab->curl,
	    .autoscaling = lab->autoscaling,
	    .elb = lab->elb,
	    .groups = doc_array(lab->config, "AutoScalingGroups"),
	    .on_ready = on_ready,
	    .on_pages = on_pages,
	    .arg = lab,
	};
	int n = 0;

	if (lab->has_lb)
		snprintf(pages[n++], sizeof(pages[0]), "http://%s/healthz", lab->lb_api);
	if (lab->has_scaler)
		snprintf(pages[n++], sizeof(pages[0]), "http://%s/healthz", lab->scaler_api);
	snprintf(pages[n++], sizeof(pages[0]), "%s/healthz", lab->aws_url);
	for (int i = 0; i < n; i++)
		config.pages[i] = pages[i];
	lab->ready = ready_new(&config, err);
	return lab->ready != NULL ? 0 : -1;
}

/* --- our own API --- */

/* When it was launched, or started again, at the latest. */
static int64_t launch_ms(const struct lab *lab, const char *instance_id)
{
	char key[EC2_KEY_MAX];
	json_t *document;
	int64_t at_ms = 0;

	snprintf(key, sizeof(key), "%s%s", ec2_instances.folder, instance_id);
	document = store_get(lab->ec2.store, key, NULL);
	(void)!clock_parse_iso(doc_str(document, "LaunchTime", ""), &at_ms);
	json_decref(document);
	return at_ms + 1000; /* its fraction is cut off */
}

static json_t *metadata(void *arg, const char *instance_id)
{
	struct lab *lab = arg;
	json_t *tree = ec2_metadata(&lab->ec2, instance_id);
	const char *target = NULL;

	if (tree != NULL && lab->lifecycle != NULL)
		target = lifecycle_target(lab->lifecycle, instance_id, launch_ms(lab, instance_id));
	if (target != NULL)
		json_object_set_new(json_object_get(tree, "meta-data"), "autoscaling",
				    json_pack("{s:s}", "target-lifecycle-state", target));
	return tree;
}

static void on_running(void *arg, const char *instance_id)
{
	struct lab *lab = arg;

	ec2_on_running(&lab->ec2, instance_id);
}

static void on_ended(void *arg, const char *instance_id, const char *code, const char *message)
{
	struct lab *lab = arg;

	ec2_on_ended(&lab->ec2, instance_id, code, message);
}

static void health_page(void *context, struct aws_page *page)
{
	(void)context;
	buf_add_str(page->body, "ok\n");
}

static void metrics_page(void *context, struct aws_page *page)
{
	struct lab *lab = context;

	buf_add_str(page->body, "# HELP albatross_lab_instances Instances that are not terminated\n"
				"# TYPE albatross_lab_instances gauge\n");
	buf_printf(page->body, "albatross_lab_instances %d\n", ec2_count_live(&lab->ec2));
	aws_server_metrics(lab->server, page->body);
}

static int start_notices(struct lab *lab)
{
	const json_t *scaler = doc_object(lab->config, "Scaler");
	struct spot_notices_config config = {
	    .base = lab->base,
	    .ec2 = &lab->ec2,
	    .delivery = lab->neighbours.delivery,
	    .scaler_api = lab->scaler_api,
	    .events_key = doc_str(scaler, "EventsKey", NULL),
	};

	lab->notices = spot_notices_new(&config);
	return lab->notices == NULL ? -1
				    : aws_server_add_inbox(lab->server, "/lab/spot-notices", NULL,
							   spot_notices_take, lab->notices);
}

static int start_server(struct lab *lab, struct err *err)
{
	bool is_given = doc_has(lab->settings.section, "ApiAddress");
	struct aws_server_config config = {
	    .address = is_given ? lab->settings.api_address : "127.0.0.1:0",
	    .region = lab->settings.region,
	    .account_id = lab->settings.account_id,
	    .credentials = lab->settings.credentials,
	    .beside = "elasticloadbalancing, autoscaling, monitoring, acm",
	};
	char host[PORTS_ADDRESS_MAX];

	lab->server = aws_server_new(lab->base, &config, err);
	if (lab->server == NULL) {
		err_wrap(err, "Lab.ApiAddress: ");
		return -1;
	}
	snprintf(host, sizeof(host), "%.*s", (int)(strrchr(config.address, ':') - config.address),
		 config.address);
	snprintf(lab->lab_api, sizeof(lab->lab_api), "%.140s:%d", host,
		 aws_server_port(lab->server));
	if (aws_server_add_service(lab->server, "ec2", ec2_actions, n_ec2_actions, &lab->ec2,
				   err) != 0 ||
	    aws_server_add_service(lab->server, "sts", sts_actions, n_sts_actions, &lab->ec2,
				   err) != 0 ||
	    aws_server_add_service(lab->server, "iam", iam_actions, n_iam_actions, &lab->neighbours,
				   err) != 0 ||
	    aws_server_add_service(lab->server, "sns", sns_actions, n_sns_actions, &lab->neighbours,
				   err) != 0 ||
	    aws_server_add_service(lab->server, "ssm", ssm_actions, n_ssm_actions, &lab->neighbours,
				   err) != 0)
		return -1;
	if (aws_server_add_page(lab->server, "/healthz", health_page, lab) == 0 &&
	    aws_server_add_page(lab->server, "/metrics", metrics_page, lab) == 0 &&
	    start_notices(lab) == 0)
		return 0;
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct lab *lab = arg;

	(void)fd;
	(void)what;
	ec2_sweep(&lab->ec2);
}

static int start_ec2(struct lab *lab, struct err *err)
{
	char url[FILES_PATH_MAX + 32];
	struct process_runtime_config config = {
	    .base = lab->base,
	    .reaper = lab->reaper,
	    .dir = lab->instances_dir,
	    .region = lab->settings.region,
	    .aws_endpoint = lab->aws_url,
	    .on_running = on_running,
	    .on_ended = on_ended,
	    .metadata = metadata,
	    .arg = lab,
	};

	derive_state_url(lab->config, lab->dir.path, "lab", url, sizeof(url));
	lab->store = store_open(url, err);
	if (lab->store == NULL)
		return -1;
	snprintf(lab->instances_dir, sizeof(lab->instances_dir), "%s/instances", lab->dir.path);
	if (mkdir(lab->instances_dir, 0700) != 0) {
		err_set(err, errno, "%s: %s", lab->instances_dir, strerror(errno));
		return -1;
	}
	lab->runtime = process_runtime_new(&config, err);
	if (lab->runtime == NULL)
		return -1;
	lab->ec2 = (struct ec2){
	    .store = lab->store,
	    .runtime = &process_runtime_ops,
	    .runtime_arg = lab->runtime,
	    .region = lab->settings.region,
	    .account_id = lab->settings.account_id,
	};
	set_capacity(lab, lab->config);
	return ec2_start(&lab->ec2, err) != 0 ? -1
					      : apply_launch_templates(&lab->ec2, lab->config, err);
}

static int start_neighbours(struct lab *lab, struct err *err)
{
	lab->curl = curl_loop_new(lab->base, err);
	if (lab->curl == NULL)
		return -1;
	lab->neighbours.delivery = delivery_new(lab->curl, err);
	lab->neighbours.store = lab->store;
	return lab->neighbours.delivery == NULL ? -1 : 0;
}

/* --- ports --- */

/* Before anything is started: what would fail later, and less clearly. */
static int check_ports(struct lab *lab, struct err *err)
{
	lab->aws_port = (int)doc_int(lab->settings.section, "AwsPort", DERIVE_PORT_DEFAULT);
	if (ports_check_listeners(lab->config, err) != 0)
		return -1;
	if (port_check_free("127.0.0.1", lab->aws_port, err) == 0)
		return 0;
	err_wrap(err, "Lab.AwsPort: ");
	return -1;
}

/* --- start --- */

/* Our own calls and the children's are signed by the lab's first key, where there is one. */
static int set_keys(const struct lab *lab)
{
	const json_t *first = json_array_get(lab->settings.credentials, 0);

	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_PROFILE");
	if (setenv("AWS_ACCESS_KEY_ID", doc_str(first, "AccessKeyId", "test"), 1) != 0)
		return -1;
	return setenv("AWS_SECRET_ACCESS_KEY", doc_str(first, "SecretAccessKey", "test"), 1);
}

static bool start_child(struct lab *lab, const char *program, const char *config,
			struct port_hold *hold)
{
	struct err err = {0};

	port_hold_give_back(hold);
	if (children_start(lab->children, program, config, lab->options.is_verbose, &err) == 0)
		return true;
	log_warn("child-not-started", "program=%s why=\"%s\"", program, err.text);
	return false;
}

static struct aws_client *new_client(struct lab *lab, const char *service, const char *address,
				     struct err *err)
{
	char url[URL_MAX];
	struct aws_client_config config = {
	    .service = service,
	    .endpoint = url,
	    .region = lab->settings.region,
	    .timeout_ms = 2000,
	    .max_attempts = 1, /* everybody here asks again by himself */
	};

	derive_endpoint(address, url, sizeof(url));
	return aws_client_new(lab->curl, lab->credentials, &config, err);
}

/* What talks to the scaler. */
static int start_scaler_clients(struct lab *lab, struct err *err)
{
	if (!lab->has_scaler)
		return 0;
	lab->autoscaling = new_client(lab, "autoscaling", lab->scaler_api, err);
	lab->monitoring = new_client(lab, "monitoring", lab->scaler_api, err);
	if (lab->autoscaling == NULL || lab->monitoring == NULL)
		return -1;
	lab->lifecycle = lifecycle_new(lab->base, lab->autoscaling, err);
	if (lab->lifecycle == NULL)
		return -1;
	lab->feed =
	    feed_new(lab->base, &lab->ec2, lab->runtime, lab->monitoring, lab->lifecycle, err);
	return lab->feed != NULL ? 0 : -1;
}

static int start_scaler(struct lab *lab, struct err *err)
{
	lab->has_scaler =
	    start_child(lab, "albatross-scaler", lab->scaler_config, &lab->scaler_port);
	return start_scaler_clients(lab, err) != 0 ? -1 : watch_readiness(lab, err);
}

/* At start, and after each reload of the load balancer. */
static void on_names(void *arg, const json_t *known)
{
	struct lab *lab = arg;
	struct err err = {0};

	if (lab->stop_us != 0)
		return;
	if (write_config(lab, lab->scaler_config, known, &err) != 0 ||
	    (lab->ready == NULL && start_scaler(lab, &err) != 0)) {
		log_error("lab-failed", "why=\"%s\"", err.text);
		stop(lab, 1);
		return;
	}
	if (lab->is_scaler_up)
		children_signal(lab->children, "albatross-scaler", SIGHUP);
	lab->is_scaler_up = true;
}

static int start_loop(struct lab *lab, struct err *err)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	struct timeval sweep = {.tv_sec = SWEEP_S};
	int failed = 0;

	lab->base = event_base_new();
	if (lab->base == NULL)
		goto oom;
	for (int i = 0; i < 3; i++) {
		lab->signals[i] = evsignal_new(
		    lab->base, numbers[i], numbers[i] == SIGHUP ? on_reload : on_end_signal, lab);
		failed |= lab->signals[i] == NULL || event_add(lab->signals[i], NULL) != 0;
	}
	lab->sweep_timer = event_new(lab->base, -1, EV_PERSIST, on_sweep, lab);
	lab->stop_timer = event_new(lab->base, -1, EV_PERSIST, on_stop_poll, lab);
	if (failed || lab->sweep_timer == NULL || lab->stop_timer == NULL ||
	    event_add(lab->sweep_timer, &sweep) != 0)
		goto oom;
	return 0;
oom:
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

static int start_programs(struct lab *lab, struct err *err)
{
	lab->children = children_new(lab->base, lab->reaper, on_fatal_child, lab, err);
	if (lab->children == NULL)
		return -1;
	lab->credentials = aws_credentials_new(lab->curl, err);
	if (lab->credentials == NULL || write_config(lab, lab->lb_config, NULL, err) != 0)
		return -1;
	lab->has_lb = start_child(lab, "albatross-lb", lab->lb_config, &lab->lb_port);
	if (!lab->has_lb) {
		/* No single endpoint without a load balancer: EC2 alone answers. */
		derive_endpoint(lab->lab_api, lab->aws_url, sizeof(lab->aws_url));
		return write_config(lab, lab->scaler_config, NULL, err) != 0
			   ? -1
			   : start_scaler(lab, err);
	}
	lab->elb = new_client(lab, "elasticloadbalancing", lab->lb_api, err);
	if (lab->elb == NULL)
		return -1;
	lab->names = names_new(lab->base, lab->elb, on_names, lab, err);
	if (lab->names == NULL)
		return -1;
	names_ask(lab->names, 0);
	return 0;
}

static int start(struct lab *lab, struct err *err)
{
	if (strcmp(doc_str(lab->settings.section, "Runtime", "process"), "process") != 0) {
		err_set(err, ENOTSUP, "Lab.Runtime: namespace is not supported yet; use process");
		return -1;
	}
	if (check_ports(lab, err) != 0 ||
	    ports_choose_api(lab->config, "Lb", &lab->lb_port, lab->lb_api, err) != 0 ||
	    ports_choose_api(lab->config, "Scaler", &lab->scaler_port, lab->scaler_api, err) != 0)
		return -1;
	snprintf(lab->aws_url, sizeof(lab->aws_url), "http://127.0.0.1:%d", lab->aws_port);
	if (set_keys(lab) != 0 || start_loop(lab, err) != 0 || work_dir_make(&lab->dir, err) != 0)
		return -1;
	snprintf(lab->lb_config, sizeof(lab->lb_config), "%s/lb.json", lab->dir.path);
	snprintf(lab->scaler_config, sizeof(lab->scaler_config), "%s/scaler.json", lab->dir.path);
	lab->reaper = reaper_new(lab->base, err);
	if (lab->reaper == NULL || start_ec2(lab, err) != 0 || start_neighbours(lab, err) != 0 ||
	    start_server(lab, err) != 0 || start_programs(lab, err) != 0)
		return -1;
	return 0;
}

static void lab_fini(struct lab *lab)
{
	/* The clients first: their calls end without calling into what goes next. */
	aws_client_free(lab->elb);
	aws_client_free(lab->autoscaling);
	aws_client_free(lab->monitoring);
	names_free(lab->names);
	ready_free(lab->ready);
	feed_free(lab->feed);
	lifecycle_free(lab->lifecycle);
	aws_credentials_free(lab->credentials);
	spot_notices_free(lab->notices);
	delivery_free(lab->neighbours.delivery);
	curl_loop_free(lab->curl);
	children_free(lab->children);
	process_runtime_free(lab->runtime);
	aws_server_free(lab->server);
	reaper_free(lab->reaper);
	store_close(lab->store);
	for (int i = 0; i < 3; i++)
		if (lab->signals[i] != NULL)
			event_free(lab->signals[i]);
	if (lab->sweep_timer != NULL)
		event_free(lab->sweep_timer);
	if (lab->stop_timer != NULL)
		event_free(lab->stop_timer);
	if (lab->base != NULL)
		event_base_free(lab->base);
	port_hold_give_back(&lab->lb_port);
	port_hold_give_back(&lab->scaler_port);
	work_dir_remove(&lab->dir);
	json_decref(lab->capacity);
	json_decref(lab->config);
}

static int run(struct lab *lab)
{
	struct err err = {0};

	signal(SIGPIPE, SIG_IGN);
	if (start(lab, &err) != 0) {
		log_error("lab-failed", "why=\"%s\"", err.text);
		return 1;
	}
	event_base_dispatch(lab->base);
	return lab->status;
}

int main(int argc, char *argv[])
{
	struct lab lab = {
	    .options = {.program = "albatross-lab",
			.summary = "a whole lab on one machine: load balancer, scaler, and EC2 "
				   "with local processes as instances",
			.takes_plain_file = true},
	    .dir = {.lock = -1},
	    .lb_port = {.fd = -1},
	    .scaler_port = {.fd = -1},
	};
	struct err err = {0};
	int status;

	if (argc > 1 && strcmp(argv[1], INIT_MODE) == 0)
		return init_main(argc, argv);
	switch (config_options_parse(argc, argv, &lab.options)) {
	case CONFIG_OPTIONS_DONE:
		return 0;
	case CONFIG_OPTIONS_WRONG:
		return 2;
	case CONFIG_OPTIONS_RUN:
		break;
	}
	log_start("albatross-lab", lab.options.is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	lab.config = config_load(lab.options.file, &err);
	if (lab.config == NULL)
		return config_options_verdict(&lab.options, &err);
	config_settings_read(lab.config, "Lab", &lab.settings);
	status = lab.options.is_check_only ? config_options_verdict(&lab.options, &err) : run(&lab);
	lab_fini(&lab);
	return status;
}
