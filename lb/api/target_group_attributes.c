/*
 * The attributes of target groups, and which of them exclude each other.  Those that
 * start with health_check. are ours, and routing.http.hold_seconds: AWS has none of that name.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/doc/doc.h"
#include "lb/api/attribute_table.h"

#define HEALTH(what) "target_group_health." what ".minimum_healthy_targets"

const struct attribute target_group_attributes[] = {
    {"deregistration_delay.timeout_seconds", "300", VALUE_NUMBER, 0, 3600, NULL},
    {"stickiness.enabled", "false", VALUE_BOOL, 0, 0, NULL},
    {"stickiness.type", "lb_cookie", VALUE_WORD, 0, 0, " lb_cookie app_cookie "},
    {"stickiness.lb_cookie.duration_seconds", "86400", VALUE_NUMBER, 1, 604800, NULL},
    {"stickiness.app_cookie.cookie_name", "", VALUE_TEXT, 0, 0, NULL},
    {"stickiness.app_cookie.duration_seconds", "86400", VALUE_NUMBER, 1, 604800, NULL},
    {"slow_start.duration_seconds", "0", VALUE_ZERO_OR_NUMBER, 30, 900, NULL},
    {"load_balancing.algorithm.type", "round_robin", VALUE_WORD, 0, 0,
     " round_robin least_outstanding_requests weighted_random "},
    {"load_balancing.algorithm.anomaly_mitigation", "off", VALUE_WORD, 0, 0, " on off "},
    {"load_balancing.cross_zone.enabled", "use_load_balancer_configuration", VALUE_WORD, 0, 0,
     " true false use_load_balancer_configuration "},
    {HEALTH("dns_failover") ".count", "1", VALUE_OFF_OR_NUMBER, 1, 1000, NULL},
    {HEALTH("dns_failover") ".percentage", "off", VALUE_OFF_OR_NUMBER, 1, 100, NULL},
    {HEALTH("unhealthy_state_routing") ".count", "1", VALUE_NUMBER, 1, 1000, NULL},
    {HEALTH("unhealthy_state_routing") ".percentage", "off", VALUE_OFF_OR_NUMBER, 1, 100, NULL},
    {"health_check.interval_ms", "0", VALUE_ZERO_OR_NUMBER, 50, 300000, NULL},
    {"health_check.timeout_ms", "0", VALUE_ZERO_OR_NUMBER, 10, 120000, NULL},
    {"health_check.passive.consecutive_5xx", "off", VALUE_OFF_OR_NUMBER, 1, 1000, NULL},
    {"health_check.passive.consecutive_connection_errors", "off", VALUE_OFF_OR_NUMBER, 1, 1000,
     NULL},
    {"routing.http.hold_seconds", "0", VALUE_ZERO_OR_NUMBER, 1, 300, NULL},
};
const size_t n_target_group_attributes =
    sizeof(target_group_attributes) / sizeof(target_group_attributes[0]);

/* The attributes as they would be. */
struct wanted {
	const json_t *changed;
};

static const char *value(const struct wanted *wanted, const char *key)
{
	for (size_t i = 0; i < n_target_group_attributes; i++)
		if (strcmp(target_group_attributes[i].key, key) == 0)
			return doc_kv_get(wanted->changed, key, target_group_attributes[i].value);
	CHECK(!"an attribute of the table");
	return NULL;
}

static bool is(const struct wanted *wanted, const char *key, const char *text)
{
	return strcmp(value(wanted, key), text) == 0;
}

static long number(const struct wanted *wanted, const char *key)
{
	return strtol(value(wanted, key), NULL, 10); /* "off" is 0 */
}

static int refuse(struct aws_error *error, const char *why)
{
	aws_error_set(error, 400, "InvalidConfigurationRequest", "%s", why);
	return -1;
}

/* Pairs that AWS refuses. */
static int check_pairs(const struct wanted *wanted, struct aws_error *error)
{
	bool is_round_robin = is(wanted, "load_balancing.algorithm.type", "round_robin");
	bool is_random = is(wanted, "load_balancing.algorithm.type", "weighted_random");
	bool is_sticky = is(wanted, "stickiness.enabled", "true");

	if (number(wanted, "slow_start.duration_seconds") > 0 && !is_round_robin)
		return refuse(error, "'slow_start.duration_seconds' can be enabled only with the "
				     "'round_robin' algorithm");
	if (is_random && is_sticky)
		return refuse(error, "Stickiness cannot be enabled with the 'weighted_random' "
				     "algorithm");
	if (is(wanted, "load_balancing.algorithm.anomaly_mitigation", "on") && !is_random)
		return refuse(error, "'load_balancing.algorithm.anomaly_mitigation' can be 'on' "
				     "only with the 'weighted_random' algorithm");
	if (is(wanted, "load_balancing.cross_zone.enabled", "false") && is_sticky)
		return refuse(error, "Stickiness cannot be enabled while cross-zone load "
				     "balancing is off");
	return 0;
}

static int check_cookie(const struct wanted *wanted, struct aws_error *error)
{
	const char *name = value(wanted, "stickiness.app_cookie.cookie_name");

	if (strncasecmp(name, "AWSALB", 6) == 0)
		return refuse(error, "'stickiness.app_cookie.cookie_name' must not start with "
				     "AWSALB, AWSALBAPP or AWSALBTG");
	/* RFC 6265 4.1.1: a token. */
	if (strpbrk(name, "()<>@,;:\\\"/[]?={} \t"))
		return refuse(error, "'stickiness.app_cookie.cookie_name' contains a character "
				     "that is not valid in the name of a cookie");
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			return refuse(error, "'stickiness.app_cookie.cookie_name' must be ASCII");
	if (is(wanted, "stickiness.enabled", "true") &&
	    is(wanted, "stickiness.type", "app_cookie") && !name[0])
		return refuse(error, "'stickiness.app_cookie.cookie_name' is required when "
				     "'stickiness.type' is 'app_cookie'");
	return 0;
}

/* A zone leaves DNS before, or when, its healthy targets are too few to route to them alone. */
static int check_thresholds(const struct wanted *wanted, struct aws_error *error)
{
	static const char *const units[] = {"count", "percentage"};
	char dns[96], routing[96];

	for (size_t i = 0; i < 2; i++) {
		snprintf(dns, sizeof(dns), HEALTH("dns_failover") ".%s", units[i]);
		snprintf(routing, sizeof(routing), HEALTH("unhealthy_state_routing") ".%s",
			 units[i]);
		if (is(wanted, dns, "off") || number(wanted, dns) >= number(wanted, routing))
			continue;
		aws_error_set(error, 400, "InvalidConfigurationRequest",
			      "'%s' must be greater than or equal to '%s'", dns, routing);
		return -1;
	}
	return 0;
}

/* Cross-zone off asks for targets that have a zone. */
static int check_zones(const struct wanted *wanted, struct elb_api *api, const char *arn,
		       struct aws_error *error)
{
	json_t *targets;
	const json_t *target;
	int result = 0;
	size_t i;

	if (!is(wanted, "load_balancing.cross_zone.enabled", "false"))
		return 0;
	targets = resource_side_list(api, arn, "targets", "Targets");
	json_array_foreach (targets, i, target) {
		if (strcmp(doc_str(target, "AvailabilityZone", ""), "all") == 0)
			result = refuse(error, "Cross-zone load balancing cannot be turned off "
					       "while a target is registered with "
					       "Availability Zone 'all'");
	}
	json_decref(targets);
	return result;
}

struct rule_search {
	const char *group_arn;
	char rule[ARN_TEXT_MAX]; /* of the first rule found */
};

static bool weighs_without_stickiness(const json_t *action, const char *group_arn)
{
	const json_t *config = doc_object(action, "ForwardConfig");
	const json_t *tuples = doc_array(config, "TargetGroups"), *tuple;
	size_t i;

	if (json_array_size(tuples) < 2 ||
	    doc_bool(doc_object(config, "TargetGroupStickinessConfig"), "Enabled", false))
		return false;
	json_array_foreach (tuples, i, tuple) {
		if (strcmp(doc_str(tuple, "TargetGroupArn", ""), group_arn) == 0)
			return true;
	}
	return false;
}

static bool search_rule(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	struct rule_search *search = arg;
	const json_t *action;
	size_t i;

	(void)key;
	(void)revision;
	json_array_foreach (doc_array(rule, "Actions"), i, action) {
		if (weighs_without_stickiness(action, search->group_arn))
			snprintf(search->rule, sizeof(search->rule), "%s",
				 doc_str(rule, "RuleArn", "?"));
	}
	return !search->rule[0];
}

/* Where several groups share the traffic, clients must be bound to their group first.  A file's
 * rules come after its groups, and are held against them then. */
static int check_rules(const struct wanted *wanted, struct elb_api *api, const char *arn,
		       struct aws_error *error)
{
	struct rule_search search = {.group_arn = arn};

	if (api->is_of_file || !is(wanted, "stickiness.enabled", "true"))
		return 0;
	store_scan(api->store, "elb/listener-rule/", search_rule, &search);
	if (!search.rule[0])
		return 0;
	aws_error_set(error, 400, "InvalidConfigurationRequest",
		      "This target group appears behind a rule with group stickiness disabled "
		      "(%.200s). You must enable group stickiness before enabling target "
		      "stickiness",
		      search.rule);
	return -1;
}

int target_group_attributes_check(struct elb_api *api, const char *arn, const json_t *changed,
				  struct aws_error *error)
{
	struct wanted wanted = {changed};

	if (check_pairs(&wanted, error) < 0 || check_cookie(&wanted, error) < 0 ||
	    check_thresholds(&wanted, error) < 0)
		return -1;
	if (check_zones(&wanted, api, arn, error) < 0)
		return -1;
	return check_rules(&wanted, api, arn, error);
}
