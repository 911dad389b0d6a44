/*
 * Listeners.  A listener's default actions also stand in its default rule, a
 * document like any other rule's, so that describe-rules and the rule compiler need no special
 * case.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/api/limits.h"
#include "lb/api/rule_parts.h"

static int check_protocol(const char *protocol, struct aws_error *error)
{
	if (strcmp(protocol, "HTTP") == 0)
		return 0;
	if (strcmp(protocol, "HTTPS") == 0)
		aws_error_set(error, 400, "UnsupportedProtocol",
			      "HTTPS listeners are not supported yet by albatross-lb: use an HTTP "
			      "listener, and end TLS in front of it");
	else
		aws_error_set(error, 400, "UnsupportedProtocol",
			      "Protocol '%.16s' is not supported for an application load balancer",
			      protocol);
	return -1;
}

/* New reference to the load balancer's listener on the port, or NULL. */
static json_t *listener_on(struct elb_api *api, const char *load_balancer_arn, int64_t port)
{
	json_t *listeners = resource_children(api, load_balancer_arn, RESOURCE_LISTENER);
	json_t *listener, *found = NULL;
	size_t i;

	json_array_foreach (listeners, i, listener) {
		if (doc_int(listener, "Port", 0) == port)
			found = json_incref(listener);
	}
	json_decref(listeners);
	return found;
}

/* Another load balancer's listener on the same socket address; "" and "0.0.0.0" take them all. */
struct socket_search {
	struct elb_api *api;
	const char *address;
	const char *load_balancer_arn; /* not counted: it has DuplicateListener */
	int64_t port;
	char taken_by[ARN_TEXT_MAX];
};

static bool is_any(const char *address)
{
	return !address[0] || strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

static bool search_socket(void *arg, const char *key, const json_t *listener, int64_t revision)
{
	struct socket_search *search = arg;
	const char *arn = doc_str(listener, "LoadBalancerArn", "");
	struct aws_error ignored = {0};
	const json_t *load_balancer;
	const char *address;

	(void)key;
	(void)revision;
	if (doc_int(listener, "Port", 0) != search->port ||
	    strcmp(arn, search->load_balancer_arn) == 0)
		return true;
	load_balancer = resource_peek(search->api, RESOURCE_LOAD_BALANCER, arn, &ignored);
	address = doc_str(load_balancer, "ListenAddress", "");
	if (is_any(address) || is_any(search->address) || strcmp(address, search->address) == 0)
		snprintf(search->taken_by, sizeof(search->taken_by), "%s",
			 doc_str(load_balancer, "LoadBalancerName", "?"));
	return !search->taken_by[0];
}

/* Can the load balancer listen there?  Nothing is opened yet. */
static int check_port(struct elb_api *api, const json_t *load_balancer, int64_t port,
		      struct aws_error *error)
{
	const char *address = doc_str(load_balancer, "ListenAddress", "");
	struct socket_search search = {.api = api,
				       .address = address,
				       .load_balancer_arn =
					   doc_str(load_balancer, "LoadBalancerArn", ""),
				       .port = port};
	struct err err = {0};

	store_scan(api->store, "elb/listener/", search_socket, &search);
	if (search.taken_by[0]) {
		aws_error_set(error, 400, "InvalidConfigurationRequest",
			      "port %d is in use by load balancer '%.64s' on the same address",
			      (int)port, search.taken_by);
		return -1;
	}
	if (!api->hooks || !api->hooks->port_check)
		return 0;
	if (api->hooks->port_check(api->hooks_context, address, (int)port, &err) == 0)
		return 0;
	aws_error_set(error, 400, "InvalidConfigurationRequest", "%s", err.text);
	return -1;
}

static int check_count(struct elb_api *api, const char *load_balancer_arn, struct aws_error *error)
{
	char prefix[ELB_KEY_MAX + 16];

	if (resource_children_prefix(load_balancer_arn, RESOURCE_LISTENER, prefix) < 0)
		return 0;
	return limit_check(api, prefix, LIMIT_LISTENERS, "TooManyListeners", error);
}

/* What belongs to TLS cannot be asked of an HTTP listener; empty is as good as absent. */
static int check_no_tls(const json_t *input, struct aws_error *error)
{
	const json_t *mutual = doc_object(input, "MutualAuthentication");
	const char *what = NULL;

	if (json_array_size(doc_array(input, "Certificates")) > 0)
		what = "Certificates";
	else if (doc_str(input, "SslPolicy", "")[0])
		what = "An SSL policy";
	else if (json_array_size(doc_array(input, "AlpnPolicy")) > 0)
		what = "An ALPN policy";
	else if (strcmp(doc_str(mutual, "Mode", "off"), "off") != 0)
		what = "Mutual authentication";
	if (!what)
		return 0;
	error_validation(error, "%s cannot be specified for a listener of protocol HTTP", what);
	return -1;
}

/* Repeating a create is fine, changing it in passing is not. */
static json_t *existing_or_duplicate(json_t *existing, const json_t *actions, const json_t *input,
				     struct aws_error *error)
{
	if (json_equal(doc_array(existing, "DefaultActions"), actions) &&
	    strcmp(doc_str(existing, "Protocol", ""), doc_str(input, "Protocol", "")) == 0)
		return resource_answer("Listeners", existing);
	aws_error_set(error, 400, "DuplicateListener",
		      "A listener already exists on this port for this load balancer '%.200s'",
		      doc_str(existing, "LoadBalancerArn", ""));
	json_decref(existing);
	return NULL;
}

/* LISTENER-ARN with another type in front and an id behind: the ARN of a child. */
static void child_arn(const char *parent, const char *from, const char *to, char arn[ARN_TEXT_MAX])
{
	const char *at = strstr(parent, from);
	char id[ID_TEXT_MAX];

	snprintf(arn, ARN_TEXT_MAX, "%.*s%s%s/%s", (int)(at - parent), parent, to,
		 at + strlen(from), id_hex16(NULL, id));
}

static json_t *default_rule(const char *listener_arn, const json_t *actions, char arn[ARN_TEXT_MAX])
{
	child_arn(listener_arn, ":listener/", ":listener-rule/", arn);
	return json_pack("{s:s,s:s,s:[],s:O,s:b}", "RuleArn", arn, "Priority", "default",
			 "Conditions", "Actions", actions, "IsDefault", 1);
}

/* Listener, default rule and tags in one transaction. */
static json_t *create(struct elb_api *api, const json_t *input, const json_t *actions,
		      struct aws_error *error)
{
	const char *load_balancer_arn = doc_str(input, "LoadBalancerArn", "");
	char arn[ARN_TEXT_MAX], rule_arn[ARN_TEXT_MAX], key[ELB_KEY_MAX], rule_key[ELB_KEY_MAX];
	struct store_txn *txn;
	json_t *listener, *rule;

	child_arn(load_balancer_arn, ":loadbalancer/", ":listener/", arn);
	listener =
	    json_pack("{s:s,s:s,s:I,s:s,s:O}", "ListenerArn", arn, "LoadBalancerArn",
		      load_balancer_arn, "Port", (json_int_t)doc_int(input, "Port", 0), "Protocol",
		      doc_str(input, "Protocol", "HTTP"), "DefaultActions", actions);
	rule = default_rule(arn, actions, rule_arn);
	if (!listener || !rule || resource_key(arn, RESOURCE_LISTENER, key) < 0 ||
	    resource_key(rule_arn, RESOURCE_RULE, rule_key) < 0)
		goto oom;
	txn = store_begin(api->store);
	if (resource_put_tags(txn, arn, doc_array(input, "Tags"), error) < 0) {
		store_abort(txn);
		goto fail;
	}
	store_put(txn, key, json_incref(listener));
	store_put(txn, rule_key, rule);
	if (resource_commit(txn, error) == 0)
		return resource_answer("Listeners", listener);
	json_decref(listener);
	return NULL;
oom:
	error_memory(error);
fail:
	json_decref(listener);
	json_decref(rule);
	return NULL;
}

json_t *handle_CreateListener(void *context, const struct aws_call *call, const json_t *input,
			      struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "LoadBalancerArn", "");
	json_t *load_balancer, *actions, *existing, *answer = NULL;

	(void)call;
	if (!doc_has(input, "Protocol") || !doc_has(input, "Port")) {
		error_validation(error, "A listener %s must be specified",
				 doc_has(input, "Port") ? "protocol" : "port");
		return NULL;
	}
	if (check_protocol(doc_str(input, "Protocol", ""), error) < 0 ||
	    check_no_tls(input, error) < 0)
		return NULL;
	load_balancer = resource_get(api, RESOURCE_LOAD_BALANCER, arn, error);
	if (!load_balancer)
		return NULL;
	actions = rule_actions_complete(api, input, doc_array(input, "DefaultActions"), error);
	if (!actions)
		goto out;
	existing = listener_on(api, arn, doc_int(input, "Port", 0));
	if (existing)
		answer = existing_or_duplicate(existing, actions, input, error);
	else if (check_count(api, arn, error) == 0 &&
		 check_port(api, load_balancer, doc_int(input, "Port", 0), error) == 0)
		answer = create(api, input, actions, error);
out:
	json_decref(actions);
	json_decref(load_balancer);
	return answer;
}

static void page_key(const json_t *item, char key[ELB_KEY_MAX])
{
	snprintf(key, ELB_KEY_MAX, "%s", resource_suffix(doc_str(item, "ListenerArn", "")));
}

json_t *handle_DescribeListeners(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	struct elb_api *api = context;
	const json_t *arns = doc_array(input, "ListenerArns");
	const char *load_balancer_arn = doc_str(input, "LoadBalancerArn", NULL);
	json_t *list, *load_balancer;

	(void)call;
	if (json_array_size(arns) && load_balancer_arn) {
		error_validation(error,
				 "Either a load balancer or listeners can be specified, not both");
		return NULL;
	}
	if (json_array_size(arns)) {
		list = resource_get_all(api, RESOURCE_LISTENER, arns, error);
	} else if (load_balancer_arn) {
		load_balancer = resource_get(api, RESOURCE_LOAD_BALANCER, load_balancer_arn, error);
		if (!load_balancer)
			return NULL;
		json_decref(load_balancer);
		list = resource_children(api, load_balancer_arn, RESOURCE_LISTENER);
	} else {
		error_validation(error, "You must specify either listener ARNs or a load balancer "
					"ARN");
		return NULL;
	}
	return list ? resource_page(input, "Listeners", list, page_key, error) : NULL;
}

/* Moving to another port needs that port to be free. */
static int modify_port(struct elb_api *api, json_t *listener, const json_t *input,
		       struct aws_error *error)
{
	const char *arn = doc_str(listener, "LoadBalancerArn", "");
	int64_t port = doc_int(input, "Port", doc_int(listener, "Port", 0));
	json_t *load_balancer, *other;
	int result;

	if (port == doc_int(listener, "Port", 0))
		return 0;
	other = listener_on(api, arn, port);
	if (other) {
		json_decref(other);
		aws_error_set(error, 400, "DuplicateListener",
			      "A listener already exists on this port for this load balancer "
			      "'%.200s'",
			      arn);
		return -1;
	}
	load_balancer = resource_get(api, RESOURCE_LOAD_BALANCER, arn, error);
	if (!load_balancer)
		return -1;
	result = check_port(api, load_balancer, port, error);
	json_decref(load_balancer);
	if (result == 0)
		json_object_set_new(listener, "Port", json_integer(port));
	return result;
}

static bool search_default(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	const json_t **found = arg;

	(void)key;
	(void)revision;
	if (doc_bool(rule, "IsDefault", false))
		*found = rule;
	return !*found;
}

/* The default rule gets the new actions too. */
static void put_default_rule(struct elb_api *api, struct store_txn *txn, const char *listener_arn,
			     json_t *actions)
{
	char prefix[ELB_KEY_MAX + 16], key[ELB_KEY_MAX];
	const json_t *found = NULL;
	json_t *rule;

	if (resource_children_prefix(listener_arn, RESOURCE_RULE, prefix) < 0)
		return;
	store_scan(api->store, prefix, search_default, &found);
	if (!found || resource_key(doc_str(found, "RuleArn", ""), RESOURCE_RULE, key) < 0)
		return;
	rule = json_copy((json_t *)found);
	if (rule)
		json_object_set(rule, "Actions", actions);
	store_put(txn, key, rule);
}

struct loop_search {
	const json_t *listener;
	struct aws_error *error;
	int result;
};

static bool search_loop(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	struct loop_search *search = arg;

	(void)key;
	(void)revision;
	if (!doc_bool(rule, "IsDefault", false))
		search->result = rule_actions_check_loop(search->listener,
							 doc_array(rule, "Actions"), search->error);
	return search->result == 0;
}

/* On another port a redirect may lead to itself. */
static int check_loops(struct elb_api *api, const json_t *listener, struct aws_error *error)
{
	const char *arn = doc_str(listener, "ListenerArn", "");
	const json_t *old = resource_peek(api, RESOURCE_LISTENER, arn, error);
	struct loop_search search = {.listener = listener, .error = error};
	char prefix[ELB_KEY_MAX + 16];

	if (rule_actions_check_loop(listener, doc_array(listener, "DefaultActions"), error) < 0)
		return -1;
	/* Rules were checked against these when they were made; there may be very many. */
	if (json_equal(json_object_get(old, "Port"), json_object_get(listener, "Port")) &&
	    json_equal(json_object_get(old, "Protocol"), json_object_get(listener, "Protocol")))
		return 0;
	if (resource_children_prefix(arn, RESOURCE_RULE, prefix) == 0)
		store_scan(api->store, prefix, search_loop, &search);
	return search.result;
}

json_t *handle_ModifyListener(void *context, const struct aws_call *call, const json_t *input,
			      struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "ListenerArn", "");
	json_t *listener = resource_get(api, RESOURCE_LISTENER, arn, error);
	json_t *actions = NULL;
	char key[ELB_KEY_MAX];
	struct store_txn *txn;

	(void)call;
	if (!listener)
		return NULL;
	if (check_protocol(doc_str(input, "Protocol", "HTTP"), error) < 0 ||
	    check_no_tls(input, error) < 0)
		goto fail;
	if (modify_port(api, listener, input, error) < 0 ||
	    resource_key(arn, RESOURCE_LISTENER, key) < 0)
		goto fail;
	if (json_array_size(doc_array(input, "DefaultActions")) > 0) {
		actions =
		    rule_actions_complete(api, listener, doc_array(input, "DefaultActions"), error);
		if (!actions)
			goto fail;
		json_object_set(listener, "DefaultActions", actions);
	}
	if (check_loops(api, listener, error) < 0)
		goto fail;
	txn = store_begin(api->store);
	store_put(txn, key, json_incref(listener));
	if (actions)
		put_default_rule(api, txn, arn, actions);
	json_decref(actions);
	if (resource_commit(txn, error) == 0)
		return resource_answer("Listeners", listener);
	actions = NULL;
fail:
	json_decref(actions);
	json_decref(listener);
	return NULL;
}

json_t *handle_DeleteListener(void *context, const struct aws_call *call, const json_t *input,
			      struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "ListenerArn", "");
	json_t *listener = resource_get(api, RESOURCE_LISTENER, arn, error);
	json_t *rules;
	const json_t *rule;
	struct store_txn *txn;
	size_t i;

	(void)call;
	if (!listener)
		return NULL;
	json_decref(listener);
	rules = resource_children(api, arn, RESOURCE_RULE);
	txn = store_begin(api->store);
	json_array_foreach (rules, i, rule)
		resource_delete(txn, doc_str(rule, "RuleArn", ""));
	resource_delete(txn, arn);
	json_decref(rules);
	return resource_commit(txn, error) == 0 ? json_object() : NULL;
}
