/*
 * Actions: forward, redirect and fixed-response, with their defaults filled in.
 */
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lb/api/resource.h"
#include "lb/api/rule_parts.h"
#include "lb/routing/snapshot.h"

/* A group may serve one load balancer only, any number of rules of it. */
static int check_group(struct elb_api *api, const char *load_balancer_arn, const char *group_arn,
		       struct aws_error *error)
{
	json_t *users;
	bool is_free;

	if (!resource_peek(api, RESOURCE_TARGET_GROUP, group_arn, error))
		return -1;
	users = group_load_balancers(api, group_arn);
	is_free = json_array_size(users) == 0 || doc_list_has(users, load_balancer_arn);
	json_decref(users);
	if (is_free)
		return 0;
	aws_error_set(error, 400, "TargetGroupAssociationLimit",
		      "The following target groups cannot be associated with more than one load "
		      "balancer: %.300s",
		      group_arn);
	return -1;
}

static int check_stickiness(const json_t *config, struct aws_error *error)
{
	const json_t *stickiness = doc_object(config, "TargetGroupStickinessConfig");

	int64_t duration = doc_int(stickiness, "DurationSeconds", 0);

	if (!doc_bool(stickiness, "Enabled", false) || (duration >= 1 && duration <= 604800))
		return 0;
	error_validation(error, "Target group stickiness duration must be specified, between 1 and "
				"604800 seconds, when target group stickiness is enabled");
	return -1;
}

static bool has_sticky_targets(struct elb_api *api, const char *group_arn)
{
	char key[ELB_KEY_MAX];
	const json_t *attributes = NULL;

	if (resource_side_key(group_arn, "attributes", key) == 0)
		attributes = store_peek(api->store, key, NULL);
	return strcmp(elb_target_group_attribute(attributes, "stickiness.enabled"), "true") == 0;
}

/* AWS: a client that is bound to a target must be bound to its group first. */
static int check_sticky_groups(struct elb_api *api, const json_t *tuples, const json_t *stickiness,
			       struct aws_error *error)
{
	const json_t *tuple;
	size_t i;

	if (json_array_size(tuples) < 2 || doc_bool(stickiness, "Enabled", false))
		return 0;
	json_array_foreach (tuples, i, tuple) {
		if (!has_sticky_targets(api, doc_str(tuple, "TargetGroupArn", "")))
			continue;
		aws_error_set(error, 400, "InvalidConfigurationRequest",
			      "You must enable group stickiness on a rule if you enabled target "
			      "stickiness on one of its target groups");
		return -1;
	}
	return 0;
}

/* One {TargetGroupArn, Weight} into tuples. */
static int add_tuple(struct elb_api *api, const char *load_balancer_arn, const json_t *tuple,
		     json_t *tuples, struct aws_error *error)
{
	const char *arn = doc_str(tuple, "TargetGroupArn", "");
	int64_t weight = doc_int(tuple, "Weight", 1);

	if (weight < 0 || weight > GROUP_WEIGHT_MAX) {
		error_validation(error, "Weight must be between 0 and %d", GROUP_WEIGHT_MAX);
		return -1;
	}
	if (check_group(api, load_balancer_arn, arn, error) < 0)
		return -1;
	return json_array_append_new(
	    tuples, json_pack("{s:s,s:I}", "TargetGroupArn", arn, "Weight", weight));
}

static json_t *forward_tuples(struct elb_api *api, const char *load_balancer_arn,
			      const json_t *action, struct aws_error *error)
{
	const char *single = doc_str(action, "TargetGroupArn", NULL);
	const json_t *given = doc_array(doc_object(action, "ForwardConfig"), "TargetGroups");
	const char *first = doc_str(json_array_get(given, 0), "TargetGroupArn", "");
	json_t *tuples = json_array();
	const json_t *tuple;
	size_t i;

	if (json_array_size(given) > FORWARD_GROUPS_MAX) {
		aws_error_set(error, 400, "TooManyTargetGroups",
			      "A forward action can have at most %d target groups",
			      FORWARD_GROUPS_MAX);
		goto fail;
	}
	if (single && given && (json_array_size(given) != 1 || strcmp(single, first) != 0)) {
		error_validation(error, "You cannot specify both a target group ARN and a forward "
					"configuration that differs from it");
		goto fail;
	}
	json_array_foreach (given, i, tuple) {
		if (add_tuple(api, load_balancer_arn, tuple, tuples, error) < 0)
			goto fail;
	}
	if (given && i > 0)
		return tuples;
	if (!single) {
		error_validation(error, "A forward action needs a target group");
		goto fail;
	}
	if (add_tuple(api, load_balancer_arn, action, tuples, error) == 0)
		return tuples;
fail:
	json_decref(tuples);
	return NULL;
}

static json_t *complete_forward(struct elb_api *api, const char *load_balancer_arn,
				const json_t *action, struct aws_error *error)
{
	const json_t *stickiness;
	json_t *tuples, *done;

	if (check_stickiness(doc_object(action, "ForwardConfig"), error) < 0)
		return NULL;
	tuples = forward_tuples(api, load_balancer_arn, action, error);
	if (!tuples)
		return NULL;
	stickiness = doc_object(doc_object(action, "ForwardConfig"), "TargetGroupStickinessConfig");
	if (check_sticky_groups(api, tuples, stickiness, error) < 0) {
		json_decref(tuples);
		return NULL;
	}
	done = json_pack("{s:s}", "Type", "forward");
	if (done && json_array_size(tuples) == 1)
		json_object_set(done, "TargetGroupArn",
				json_object_get(json_array_get(tuples, 0), "TargetGroupArn"));
	if (json_object_set_new(
		done, "ForwardConfig",
		doc_bool(stickiness, "Enabled", false)
		    ? json_pack("{s:o,s:{s:b,s:I}}", "TargetGroups", tuples,
				"TargetGroupStickinessConfig", "Enabled", 1, "DurationSeconds",
				(json_int_t)doc_int(stickiness, "DurationSeconds", 0))
		    : json_pack("{s:o,s:{s:b}}", "TargetGroups", tuples,
				"TargetGroupStickinessConfig", "Enabled", 0)) < 0) {
		json_decref(done);
		error_memory(error);
		return NULL;
	}
	return done;
}

static bool is_text(const json_t *config, const char *member, const char *text)
{
	return strcmp(doc_str(config, member, text), text) == 0;
}

/*
 * AWS: at least one of protocol, host, port and path must change, or the redirect is a loop; the
 * query does not count.  A port and a protocol that are the listener's own change nothing.  A host
 * or path of its own does, though a rule may send requests here that have it already.
 */
static bool is_loop(const json_t *config, const json_t *listener)
{
	const char *port = doc_str(config, "Port", "#{port}");
	bool keeps_protocol = is_text(config, "Protocol", "#{protocol}") ||
			      is_text(config, "Protocol", doc_str(listener, "Protocol", "HTTP"));
	bool keeps_port =
	    strcmp(port, "#{port}") == 0 || strtoll(port, NULL, 10) == doc_int(listener, "Port", 0);

	return keeps_protocol && keeps_port && is_text(config, "Host", "#{host}") &&
	       is_text(config, "Path", "/#{path}");
}

int rule_actions_check_loop(const json_t *listener, const json_t *actions, struct aws_error *error)
{
	const json_t *action;
	size_t i;

	json_array_foreach (actions, i, action) {
		const json_t *config = doc_object(action, "RedirectConfig");

		if (!config || !is_loop(config, listener))
			continue;
		aws_error_set(error, 400, "InvalidLoadBalancerAction",
			      "The redirect configuration is not valid because it creates a loop: "
			      "at least one of protocol, host, port and path must change");
		return -1;
	}
	return 0;
}

/* A keyword that AWS does not fill in there would go to clients as it stands. */
static bool has_only_keywords(const char *text, const char *allowed)
{
	for (const char *at = strstr(text, "#{"); at; at = strstr(at + 2, "#{")) {
		size_t len = strcspn(at, "}") + 1;
		const char *found = allowed;

		while (found && (strncmp(found, at, len) != 0 || len > strlen(found)))
			found = strstr(found + 1, "#{");
		if (!found)
			return false;
	}
	return true;
}

/* It becomes part of a header, and is not encoded. */
static int check_component(const json_t *config, const char *member, const char *allowed,
			   struct aws_error *error)
{
	const char *text = doc_str(config, member, "");

	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c > 0x20 && *c != 0x7f)
			continue;
		error_validation(error, "The redirect's %s contains a blank or a control byte",
				 member);
		return -1;
	}
	if (has_only_keywords(text, allowed))
		return 0;
	error_validation(error, "The redirect's %s '%.128s' may have no keywords but %s", member,
			 text, allowed);
	return -1;
}

static int check_components(const json_t *config, struct aws_error *error)
{
	if (check_component(config, "Host", "#{host}", error) < 0 ||
	    check_component(config, "Path", "#{host} #{path} #{port}", error) < 0)
		return -1;
	return check_component(config, "Query", "#{protocol} #{host} #{port} #{path} #{query}",
			       error);
}

static int check_redirect(const json_t *config, struct aws_error *error)
{
	const char *path = doc_str(config, "Path", "/#{path}");
	const char *port = doc_str(config, "Port", "#{port}");
	const char *query = doc_str(config, "Query", "#{query}");
	bool is_number = strlen(port) == strspn(port, "0123456789");
	long number = strtol(port, NULL, 10);

	if (path[0] != '/') {
		error_validation(error, "The redirect path '%.128s' must start with '/'", path);
		return -1;
	}
	if (strcmp(port, "#{port}") != 0 && (!is_number || number < 1 || number > 65535)) {
		error_validation(error, "The redirect port '%.32s' is not in 1..65535", port);
		return -1;
	}
	if (query[0] == '?') {
		error_validation(error, "The redirect query must not begin with '?'");
		return -1;
	}
	return check_components(config, error);
}

static json_t *complete_redirect(const json_t *action, struct aws_error *error)
{
	const json_t *config = doc_object(action, "RedirectConfig");

	if (!config) {
		error_validation(error, "A redirect action needs a RedirectConfig");
		return NULL;
	}
	if (check_redirect(config, error) < 0)
		return NULL;
	return json_pack(
	    "{s:s,s:{s:s,s:s,s:s,s:s,s:s,s:s}}", "Type", "redirect", "RedirectConfig", "Protocol",
	    doc_str(config, "Protocol", "#{protocol}"), "Port", doc_str(config, "Port", "#{port}"),
	    "Host", doc_str(config, "Host", "#{host}"), "Path", doc_str(config, "Path", "/#{path}"),
	    "Query", doc_str(config, "Query", "#{query}"), "StatusCode",
	    doc_str(config, "StatusCode", "HTTP_302"));
}

static json_t *complete_fixed_response(const json_t *action, struct aws_error *error)
{
	static const char *const types[] = {"text/plain", "text/css", "text/html",
					    "application/javascript", "application/json"};
	const json_t *config = doc_object(action, "FixedResponseConfig");
	const char *type = doc_str(config, "ContentType", "text/plain");
	bool is_known = false;

	if (!config) {
		error_validation(error, "A fixed-response action needs a FixedResponseConfig");
		return NULL;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		is_known |= strcmp(types[i], type) == 0;
	if (!is_known) {
		error_validation(error,
				 "The fixed response's content type '%.64s' is not one of "
				 "text/plain, text/css, text/html, application/javascript, "
				 "application/json",
				 type);
		return NULL;
	}
	return json_pack("{s:s,s:O}", "Type", "fixed-response", "FixedResponseConfig", config);
}

static json_t *complete_one(struct elb_api *api, const char *load_balancer_arn,
			    const json_t *action, struct aws_error *error)
{
	const char *type = doc_str(action, "Type", "");
	json_t *done;

	if (strcmp(type, "forward") == 0)
		done = complete_forward(api, load_balancer_arn, action, error);
	else if (strcmp(type, "redirect") == 0)
		done = complete_redirect(action, error);
	else if (strcmp(type, "fixed-response") == 0)
		done = complete_fixed_response(action, error);
	else {
		aws_error_set(error, 400, "InvalidLoadBalancerAction",
			      "actions of type '%.64s' are not supported yet by albatross-lb",
			      type);
		return NULL;
	}
	if (done && doc_has(action, "Order"))
		json_object_set(done, "Order", json_object_get(action, "Order"));
	return done;
}

json_t *rule_actions_complete(struct elb_api *api, const json_t *listener, const json_t *actions,
			      struct aws_error *error)
{
	const char *load_balancer_arn = doc_str(listener, "LoadBalancerArn", "");
	json_t *one, *all;

	if (json_array_size(actions) == 0) {
		error_validation(error, "You must specify an action");
		return NULL;
	}
	if (json_array_size(actions) > 1) {
		aws_error_set(error, 400, "InvalidLoadBalancerAction",
			      "A rule must have exactly one of forward, redirect and "
			      "fixed-response; actions before it are not supported yet by "
			      "albatross-lb");
		return NULL;
	}
	one = complete_one(api, load_balancer_arn, json_array_get(actions, 0), error);
	if (!one)
		return NULL;
	all = json_pack("[o]", one);
	if (rule_actions_check_loop(listener, all, error) == 0)
		return all;
	json_decref(all);
	return NULL;
}
