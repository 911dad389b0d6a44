/*
 * Target groups: create (idempotent) with every default filled in, describe with
 * the load balancers that use them, change of the health check, delete.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/api/limits.h"

enum { AWS_LEAST_INTERVAL = 5 }; /* of health checks, seconds */

static int unsupported(struct aws_error *error, const char *what, const char *value)
{
	aws_error_set(error, 400, "InvalidConfigurationRequest",
		      "target groups of %s '%.32s' are not supported yet by albatross-lb", what,
		      value);
	return -1;
}

static int check_kind(const json_t *input, struct aws_error *error)
{
	const char *type = doc_str(input, "TargetType", "instance");
	const char *protocol = doc_str(input, "Protocol", NULL);
	const char *version = doc_str(input, "ProtocolVersion", "HTTP1");

	if (strcmp(type, "instance") != 0 && strcmp(type, "ip") != 0)
		return unsupported(error, "type", type);
	if (!protocol || !doc_has(input, "Port")) {
		error_validation(error, "A %s must be specified", protocol ? "port" : "protocol");
		return -1;
	}
	if (strcmp(protocol, "HTTP") != 0)
		return unsupported(error, "protocol", protocol);
	if (strcasecmp(version, "HTTP1") != 0)
		return unsupported(error, "protocol version", version);
	return 0;
}

/* One code or range of "200,202" or "200-299"; moves *text behind it. */
static bool read_codes(const char **text)
{
	char *end;
	long from = strtol(*text, &end, 10), to = from;

	if (!isdigit((unsigned char)**text))
		return false;
	if (*end == '-') {
		if (!isdigit((unsigned char)end[1]))
			return false;
		to = strtol(end + 1, &end, 10);
	}
	*text = end;
	return from >= 200 && to <= 499 && from <= to;
}

static bool codes_are_valid(const char *at)
{
	do {
		if (!read_codes(&at))
			return false;
	} while (*at++ == ',');
	return at[-1] == '\0';
}

static int check_matcher(const json_t *matcher, struct aws_error *error)
{
	const char *codes = doc_str(matcher, "HttpCode", "200");

	if (doc_has(matcher, "GrpcCode")) {
		error_validation(error, "GrpcCode is only for target groups of protocol version "
					"GRPC");
		return -1;
	}
	if (codes_are_valid(codes))
		return 0;
	error_validation(error,
			 "Health check matcher HTTP code '%.64s' must be within '200-499' "
			 "inclusive",
			 codes);
	return -1;
}

static int check_port_text(const char *text, struct aws_error *error)
{
	char *end;
	long port = strtol(text, &end, 10);

	if (strcmp(text, "traffic-port") == 0)
		return 0;
	if (isdigit((unsigned char)*text) && !*end && port >= 1 && port <= 65535)
		return 0;
	error_validation(error, "Health check port '%.32s' must be 'traffic-port' or in 1..65535",
			 text);
	return -1;
}

/* The finished document's health check. */
static int check_health_check(const json_t *group, struct aws_error *error)
{
	const char *protocol = doc_str(group, "HealthCheckProtocol", "HTTP");
	const char *path = doc_str(group, "HealthCheckPath", "/");
	int64_t interval = doc_int(group, "HealthCheckIntervalSeconds", 30);
	int64_t timeout = doc_int(group, "HealthCheckTimeoutSeconds", 5);

	if (strcmp(protocol, "HTTP") != 0 && strcmp(protocol, "HTTPS") != 0) {
		error_validation(error, "Health check protocol '%.16s' must be HTTP or HTTPS",
				 protocol);
		return -1;
	}
	if (path[0] != '/') {
		error_validation(error,
				 "Health check path '%.128s' must begin with a '/' "
				 "character",
				 path);
		return -1;
	}
	for (const char *c = path; *c; c++) {
		if (*c > 0x20 && *c < 0x7f)
			continue;
		error_validation(error,
				 "Health check path '%.128s' contains a character that is "
				 "not valid in a path",
				 path);
		return -1;
	}
	/* AWS begins at 5 seconds; the shorter intervals that we allow may be all timeout. */
	if (timeout > interval || (timeout == interval && interval >= AWS_LEAST_INTERVAL)) {
		error_validation(error,
				 "Health check interval must be greater than the timeout (%d and "
				 "%d seconds given)",
				 (int)interval, (int)timeout);
		return -1;
	}
	if (!doc_bool(group, "HealthCheckEnabled", true)) {
		error_validation(error, "Health checks must be enabled for target groups of type "
					"instance and ip");
		return -1;
	}
	if (check_port_text(doc_str(group, "HealthCheckPort", "traffic-port"), error) < 0)
		return -1;
	return check_matcher(doc_object(group, "Matcher"), error);
}

static const char *const health_members[] = {
    "HealthCheckProtocol",        "HealthCheckPort",           "HealthCheckEnabled",
    "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds", "HealthyThresholdCount",
    "UnhealthyThresholdCount",    "HealthCheckPath",           "Matcher"};
enum { HEALTH_MEMBERS = sizeof(health_members) / sizeof(health_members[0]) };

static void copy_health_check(json_t *group, const json_t *input)
{
	for (size_t i = 0; i < HEALTH_MEMBERS; i++) {
		if (doc_has(input, health_members[i]))
			json_object_set(group, health_members[i],
					json_object_get(input, health_members[i]));
	}
}

/* The default timeout must fit a short interval. */
static void shorten_timeout(json_t *group)
{
	int64_t interval = doc_int(group, "HealthCheckIntervalSeconds", 30);
	int64_t longest = interval > 1 ? interval - 1 : 1;

	if (doc_int(group, "HealthCheckTimeoutSeconds", 5) > longest)
		json_object_set_new(group, "HealthCheckTimeoutSeconds", json_integer(longest));
}

/* Every member with AWS's defaults; without the ARN. */
static json_t *build(const json_t *input)
{
	json_t *group = json_pack(
	    "{s:s,s:s,s:I,s:s*,s:s,s:s,s:b,s:i,s:i,s:i,s:i,s:s,s:{s:s},s:s,s:s,s:s}",
	    "TargetGroupName", doc_str(input, "Name", ""), "Protocol",
	    doc_str(input, "Protocol", "HTTP"), "Port", (json_int_t)doc_int(input, "Port", 0),
	    "VpcId", doc_str(input, "VpcId", NULL), "HealthCheckProtocol", "HTTP",
	    "HealthCheckPort", "traffic-port", "HealthCheckEnabled", 1,
	    "HealthCheckIntervalSeconds", 30, "HealthCheckTimeoutSeconds", 5,
	    "HealthyThresholdCount", 5, "UnhealthyThresholdCount", 2, "HealthCheckPath", "/",
	    "Matcher", "HttpCode", "200", "TargetType", doc_str(input, "TargetType", "instance"),
	    "ProtocolVersion", "HTTP1", "IpAddressType", doc_str(input, "IpAddressType", "ipv4"));

	if (!group)
		return NULL;
	copy_health_check(group, input);
	if (!doc_has(input, "HealthCheckTimeoutSeconds"))
		shorten_timeout(group);
	return group;
}

static int put(struct elb_api *api, json_t *group, const json_t *tags, struct aws_error *error)
{
	const char *arn = doc_str(group, "TargetGroupArn", "");
	char key[ELB_KEY_MAX];
	struct store_txn *txn;

	if (resource_key(arn, RESOURCE_TARGET_GROUP, key) < 0) {
		error_memory(error);
		return -1;
	}
	txn = store_begin(api->store);
	if (resource_put_tags(txn, arn, tags, error) < 0) {
		store_abort(txn);
		return -1;
	}
	store_put(txn, key, json_deep_copy(group));
	return resource_commit(txn, error);
}

/* Adds what is computed, not kept. */
static void add_load_balancers(struct elb_api *api, json_t *group)
{
	json_object_set_new(group, "LoadBalancerArns",
			    group_load_balancers(api, doc_str(group, "TargetGroupArn", "")));
}

static json_t *answer_with(struct elb_api *api, json_t *group)
{
	add_load_balancers(api, group);
	return resource_answer("TargetGroups", group);
}

static json_t *existing_or_duplicate(struct elb_api *api, json_t *existing, json_t *made,
				     struct aws_error *error)
{
	json_t *arn = json_incref(json_object_get(existing, "TargetGroupArn"));
	bool is_same;

	json_object_del(existing, "TargetGroupArn");
	is_same = json_equal(existing, made);
	json_object_set_new(existing, "TargetGroupArn", arn);
	json_decref(made);
	if (is_same)
		return answer_with(api, existing);
	aws_error_set(error, 400, "DuplicateTargetGroupName",
		      "A target group with the same name '%s' exists, but with different settings",
		      doc_str(existing, "TargetGroupName", ""));
	json_decref(existing);
	return NULL;
}

json_t *handle_CreateTargetGroup(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	struct elb_api *api = context;
	const char *name = doc_str(input, "Name", "");
	char arn[ARN_TEXT_MAX], id[ID_TEXT_MAX];
	json_t *group, *existing;

	if (resource_check_name(name, "Target group", error) < 0 || check_kind(input, error) < 0)
		return NULL;
	group = build(input);
	if (!group) {
		error_memory(error);
		return NULL;
	}
	if (check_health_check(group, error) < 0)
		goto fail;
	existing = resource_by_name(api, RESOURCE_TARGET_GROUP, name);
	if (existing)
		return existing_or_duplicate(api, existing, group, error);
	if (limit_check(api, "elb/targetgroup/", LIMIT_TARGET_GROUPS, "TooManyTargetGroups",
			error) < 0)
		goto fail;
	snprintf(arn, sizeof(arn), "arn:aws:elasticloadbalancing:%s:%s:targetgroup/%s/%s",
		 call->region, call->account_id, name, id_hex16(NULL, id));
	json_object_set_new(group, "TargetGroupArn", json_string(arn));
	if (put(api, group, doc_array(input, "Tags"), error) < 0)
		goto fail;
	return answer_with(api, group);
fail:
	json_decref(group);
	return NULL;
}

static void page_key(const json_t *item, char key[ELB_KEY_MAX])
{
	snprintf(key, ELB_KEY_MAX, "%s", resource_suffix(doc_str(item, "TargetGroupArn", "")));
}

/* Those that the load balancer's rules forward to; takes over list. */
static json_t *only_of(json_t *list, const char *load_balancer_arn)
{
	json_t *result = json_array();
	json_t *group;
	size_t i;

	json_array_foreach (list, i, group) {
		if (doc_list_has(doc_array(group, "LoadBalancerArns"), load_balancer_arn))
			json_array_append(result, group);
	}
	json_decref(list);
	return result;
}

static json_t *find_groups(struct elb_api *api, const json_t *input, struct aws_error *error)
{
	const json_t *arns = doc_array(input, "TargetGroupArns");
	const json_t *names = doc_array(input, "Names");
	json_t *load_balancer;

	if (json_array_size(arns))
		return resource_get_all(api, RESOURCE_TARGET_GROUP, arns, error);
	if (json_array_size(names))
		return resource_get_named(api, RESOURCE_TARGET_GROUP, names, error);
	if (doc_has(input, "LoadBalancerArn")) {
		load_balancer = resource_get(api, RESOURCE_LOAD_BALANCER,
					     doc_str(input, "LoadBalancerArn", ""), error);
		if (!load_balancer)
			return NULL;
		json_decref(load_balancer);
	}
	return resource_list(api->store, "elb/targetgroup/");
}

json_t *handle_DescribeTargetGroups(void *context, const struct aws_call *call, const json_t *input,
				    struct aws_error *error)
{
	struct elb_api *api = context;
	int selectors = (json_array_size(doc_array(input, "TargetGroupArns")) > 0) +
			(json_array_size(doc_array(input, "Names")) > 0) +
			doc_has(input, "LoadBalancerArn");
	json_t *list, *group;
	size_t i;

	(void)call;
	if (selectors > 1) {
		error_validation(error, "Target group ARNs, names and a load balancer ARN cannot "
					"be specified at the same time");
		return NULL;
	}
	list = find_groups(api, input, error);
	if (!list)
		return NULL;
	json_array_foreach (list, i, group)
		add_load_balancers(api, group);
	if (doc_has(input, "LoadBalancerArn"))
		list = only_of(list, doc_str(input, "LoadBalancerArn", ""));
	return resource_page(input, "TargetGroups", list, page_key, error);
}

json_t *handle_ModifyTargetGroup(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	struct elb_api *api = context;
	json_t *group =
	    resource_get(api, RESOURCE_TARGET_GROUP, doc_str(input, "TargetGroupArn", ""), error);

	(void)call;
	if (!group)
		return NULL;
	copy_health_check(group, input);
	if (check_health_check(group, error) == 0 && put(api, group, NULL, error) == 0)
		return answer_with(api, group);
	json_decref(group);
	return NULL;
}

json_t *handle_DeleteTargetGroup(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "TargetGroupArn", "");
	char key[ELB_KEY_MAX];
	struct store_txn *txn;
	json_t *users;
	size_t n;

	(void)call;
	if (resource_key(arn, RESOURCE_TARGET_GROUP, key) < 0) {
		error_validation(error, "'%.200s' is not a valid target group ARN", arn);
		return NULL;
	}
	users = group_load_balancers(api, arn);
	n = json_array_size(users);
	json_decref(users);
	if (n > 0) {
		aws_error_set(error, 400, "ResourceInUse",
			      "Target group '%.300s' is currently in use by a listener or a rule",
			      arn);
		return NULL;
	}
	txn = store_begin(api->store);
	resource_delete(txn, arn);
	return resource_commit(txn, error) == 0 ? json_object() : NULL;
}
