/* See derive.h. */
#include "lab/derive.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"

enum { MAX_URL = 600 };

#define OWN_NAME "albatross-lab"

void derive_endpoint(const char *address, char *url, size_t size)
{
	const char *port = strrchr(address, ':');

	if (strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0)
		snprintf(url, size, "http://127.0.0.1%s", port);
	else
		snprintf(url, size, "http://%s", address);
}

void derive_state_url(const json_t *config, const char *state_dir, const char *program, char *url,
		      size_t size)
{
	const char *own = doc_str(doc_object(config, "Lab"), "StateUrl", "");
	bool is_lab = strcmp(program, "lab") == 0;

	if (strncmp(own, "sqlite:", 7) == 0)
		snprintf(url, size, "%s%s%s", own, is_lab ? "" : ".", is_lab ? "" : program);
	else if (*own != '\0')
		snprintf(url, size, "%s", own);
	else
		snprintf(url, size, "sqlite:%s/%s.db", state_dir, program);
}

/* The user's own word stands. */
static int set_default(json_t *section, const char *member, const char *value)
{
	if (value == NULL || doc_has(section, member))
		return 0;
	return json_object_set_new(section, member, json_string(value));
}

static json_t *section_of(json_t *config, const char *name)
{
	if (doc_object(config, name) == NULL)
		json_object_set_new(config, name, json_object());
	return doc_object(config, name);
}

/* Region, account and keys are the lab's unless the section has its own. */
static int inherit(json_t *section, const json_t *lab)
{
	const json_t *credentials = doc_array(lab, "Credentials");

	if (set_default(section, "Region", doc_str(lab, "Region", NULL)) != 0 ||
	    set_default(section, "AccountId", doc_str(lab, "AccountId", NULL)) != 0)
		return -1;
	if (credentials == NULL || doc_has(section, "Credentials"))
		return 0;
	return json_object_set_new(section, "Credentials", json_deep_copy(credentials));
}

static int fill_settings(json_t *config, const struct derive *derive)
{
	json_t *lb = section_of(config, "Lb"), *scaler = section_of(config, "Scaler");
	const json_t *lab = doc_object(config, "Lab");
	char lb_url[MAX_URL], scaler_url[MAX_URL], lab_url[MAX_URL], state[MAX_URL];
	int failed = 0;

	derive_endpoint(derive->lb_api, lb_url, sizeof(lb_url));
	derive_endpoint(derive->scaler_api, scaler_url, sizeof(scaler_url));
	derive_endpoint(derive->lab_api, lab_url, sizeof(lab_url));
	failed |= inherit(lb, lab) | inherit(scaler, lab);
	failed |= json_object_set_new(lb, "ApiAddress", json_string(derive->lb_api));
	failed |= set_default(lb, "MetricsEndpoint", scaler_url);
	failed |= set_default(lb, "Ec2Endpoint", lab_url);
	failed |= set_default(lb, "AutoAddress", "127.0.1.0/24");
	derive_state_url(config, derive->state_dir, "lb", state, sizeof(state));
	failed |= set_default(lb, "StateUrl", state);
	failed |= json_object_set_new(scaler, "ApiAddress", json_string(derive->scaler_api));
	failed |= set_default(scaler, "Ec2Endpoint", lab_url);
	failed |= set_default(scaler, "ElbEndpoint", lb_url);
	failed |= set_default(scaler, "SnsEndpoint", lab_url);
	derive_state_url(config, derive->state_dir, "scaler", state, sizeof(state));
	failed |= set_default(scaler, "StateUrl", state);
	return failed ? -1 : 0;
}

/* --- the single endpoint --- */

static json_t *own_target_group(const char *which, const char *api)
{
	char name[64], url[MAX_URL], host[MAX_URL];
	const char *port = strrchr(api, ':');

	snprintf(name, sizeof(name), OWN_NAME "-%s", which);
	derive_endpoint(api, url, sizeof(url));
	snprintf(host, sizeof(host), "%.*s", (int)(strrchr(url, ':') - url - 7), url + 7);
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:i, s:i, s:i, s:i, s:[{s:s, s:i}], s:{s:s}}",
			 "TargetGroupName", name, "Protocol", "HTTP", "Port", atoi(port + 1),
			 "TargetType", "ip", "HealthCheckPath", "/healthz",
			 "HealthCheckIntervalSeconds", 5, "HealthCheckTimeoutSeconds", 4,
			 "HealthyThresholdCount", 2, "UnhealthyThresholdCount", 10, "Targets", "Id",
			 host, "Port", atoi(port + 1), "Attributes",
			 "deregistration_delay.timeout_seconds", "0");
}

static json_t *forward_to(const char *which)
{
	char name[64];

	snprintf(name, sizeof(name), OWN_NAME "-%s", which);
	return json_pack("[{s:s, s:s}]", "Type", "forward", "TargetGroupArn", name);
}

enum { MAX_ROUTE_VALUES = 4 };

/*
 * Signed requests name their service in the credential's scope, in a header or (presigned) in the
 * query; browsers ask by path; what nobody signed tells itself by target, Version or User-Agent.
 * ALB's limits hold here too: five values and six wildcards a rule.
 */
static const struct {
	const char *field, *name;
	const char *values[MAX_ROUTE_VALUES];
	const char *to;
} routes[] = {
    {"http-header",
     "Authorization",
     {"*/elasticloadbalancing/aws4_request*", "*/acm/aws4_request*"},
     "lb"},
    {"http-header",
     "Authorization",
     {"*/autoscaling/aws4_request*", "*/monitoring/aws4_request*"},
     "scaler"},
    {"path-pattern", NULL, {"/dashboard", "/dashboard/*", "/metrics"}, "scaler"},
    {"path-pattern",
     NULL,
     {"*/service/GraniteServiceVersion20100801/*", "*/service/*.GraniteServiceVersion20100801/*"},
     "scaler"},
    {"query-string",
     "X-Amz-Credential",
     {"*%2Felasticloadbalancing%2Faws4_request", "*/elasticloadbalancing/aws4_request",
      "*%2Facm%2Faws4_request", "*/acm/aws4_request"},
     "lb"},
    {"query-string",
     "X-Amz-Credential",
     {"*%2Fautoscaling%2Faws4_request", "*/autoscaling/aws4_request",
      "*%2Fmonitoring%2Faws4_request", "*/monitoring/aws4_request"},
     "scaler"},
    {"http-header", "X-Amz-Target", {"GraniteServiceVersion20100801.*"}, "scaler"},
    {"http-header", "X-Amz-Target", {"CertificateManager.*"}, "lb"},
    {"query-string", "Version", {"2015-12-01", "2012-06-01"}, "lb"},
    {"query-string", "Version", {"2011-01-01", "2010-08-01"}, "scaler"},
    {"http-header", "User-Agent", {"*command/elbv2.*", "*command#elbv2.*"}, "lb"},
    {"http-header",
     "User-Agent",
     {"*api/elastic-load-balancing-v2#*", "*api/elasticloadbalancingv2#*"},
     "lb"},
    {"http-header", "User-Agent", {"*command/autoscaling.*", "*command#autoscaling.*"}, "scaler"},
    {"http-header", "User-Agent", {"*api/auto-scaling#*", "*api/autoscaling#*"}, "scaler"},
    {"http-header",
     "User-Agent",
     {"*command/cloudwatch.*", "*command#cloudwatch.*", "*api/cloudwatch#*"},
     "scaler"},
};

static json_t *route_values(size_t route)
{
	json_t *values = json_array();

	for (size_t i = 0; i < MAX_ROUTE_VALUES && routes[route].values[i] != NULL; i++) {
		const char *value = routes[route].values[i];

		json_array_append_new(
		    values, strcmp(routes[route].field, "query-string") == 0
				? json_pack("{s:s, s:s}", "Key", routes[route].name, "Value", value)
				: json_string(value));
	}
	return values;
}

static json_t *condition_of(size_t route)
{
	const char *field = routes[route].field;
	json_t *values = route_values(route);

	if (strcmp(field, "http-header") == 0)
		return json_pack("[{s:s, s:{s:s, s:o}}]", "Field", field, "HttpHeaderConfig",
				 "HttpHeaderName", routes[route].name, "Values", values);
	return json_pack("[{s:s, s:{s:o}}]", "Field", field,
			 strcmp(field, "path-pattern") == 0 ? "PathPatternConfig"
							    : "QueryStringConfig",
			 "Values", values);
}

static json_t *own_load_balancer(int port)
{
	json_t *rules = json_array();

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		json_array_append_new(rules,
				      json_pack("{s:i, s:o, s:o}", "Priority", (int)(10 * (i + 1)),
						"Conditions", condition_of(i), "Actions",
						forward_to(routes[i].to)));
	/* The rest is what the lab itself answers, and what it refuses by name. */
	return json_pack("{s:s, s:s, s:[{s:s, s:i, s:o, s:o}]}", "LoadBalancerName", OWN_NAME,
			 "ListenAddress", "127.0.0.1", "Listeners", "Protocol", "HTTP", "Port",
			 port, "DefaultActions", forward_to("ec2"), "Rules", rules);
}

static json_t *list_of(json_t *config, const char *name)
{
	if (doc_array(config, name) == NULL)
		json_object_set_new(config, name, json_array());
	return doc_array(config, name);
}

static int add_endpoint(json_t *config, const struct derive *derive)
{
	json_t *groups = list_of(config, "TargetGroups");
	json_t *balancers = list_of(config, "LoadBalancers");
	int failed = 0;

	failed |= json_array_append_new(groups, own_target_group("lb", derive->lb_api));
	failed |= json_array_append_new(groups, own_target_group("scaler", derive->scaler_api));
	failed |= json_array_append_new(groups, own_target_group("ec2", derive->lab_api));
	failed |= json_array_append_new(balancers, own_load_balancer(derive->aws_port));
	return failed ? -1 : 0;
}

json_t *derive_config(const json_t *config, const struct derive *derive)
{
	json_t *derived = json_deep_copy(config);

	if (derived != NULL && fill_settings(derived, derive) == 0 &&
	    add_endpoint(derived, derive) == 0)
		return derived;
	json_decref(derived);
	return NULL;
}
