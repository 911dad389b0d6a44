/*
 * Load balancers: create (idempotent), describe, delete with all that hangs on them.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/api/limits.h"
#include "lb/api/zones.h"

/* The hosted zone of us-east-1's load balancers: a constant that clients only store. */
#define HOSTED_ZONE_ID "Z35SXDOTRQ7X7K"

static int check_input(const json_t *input, const char *listen_address, struct aws_error *error)
{
	const char *name = doc_str(input, "Name", "");
	const char *type = doc_str(input, "Type", "application");
	unsigned char binary[16];

	if (resource_check_name(name, "Load balancer", error) < 0)
		return -1;
	if (strncmp(name, "internal-", 9) == 0) {
		error_validation(error, "Load balancer name '%s' cannot begin with 'internal-'",
				 name);
		return -1;
	}
	if (strcmp(type, "application") != 0) {
		aws_error_set(error, 400, "InvalidConfigurationRequest",
			      "load balancers of type '%s' are not supported yet by albatross-lb",
			      type);
		return -1;
	}
	if (zones_check_input(input, error) < 0)
		return -1;
	if (doc_str(input, "CustomerOwnedIpv4Pool", "")[0]) {
		aws_error_set(error, 400, "InvalidConfigurationRequest",
			      "'CustomerOwnedIpv4Pool' is not supported by albatross-lb");
		return -1;
	}
	if (listen_address && listen_address[0] &&
	    inet_pton(AF_INET, listen_address, binary) != 1 &&
	    inet_pton(AF_INET6, listen_address, binary) != 1) {
		error_validation(error, "ListenAddress '%.64s' is not an IP address",
				 listen_address);
		return -1;
	}
	return 0;
}

static bool same_subnets(const json_t *a, const json_t *b)
{
	const json_t *zone, *other;
	size_t i, j;

	if (json_array_size(a) != json_array_size(b))
		return false;
	json_array_foreach (a, i, zone) {
		bool is_found = false;

		json_array_foreach (b, j, other) {
			if (strcmp(doc_str(zone, "SubnetId", ""), doc_str(other, "SubnetId", "")) ==
			    0)
				is_found = true;
		}
		if (!is_found)
			return false;
	}
	return true;
}

static bool same_texts(const json_t *a, const json_t *b)
{
	const json_t *text;
	size_t i;

	if (json_array_size(a) != json_array_size(b))
		return false;
	json_array_foreach (a, i, text) {
		if (!doc_list_has(b, json_string_value(text)))
			return false;
	}
	return true;
}

static bool same_settings(const json_t *existing, const json_t *made)
{
	return strcmp(doc_str(existing, "Scheme", ""), doc_str(made, "Scheme", "")) == 0 &&
	       strcmp(doc_str(existing, "IpAddressType", ""), doc_str(made, "IpAddressType", "")) ==
		   0 &&
	       same_subnets(doc_array(existing, "AvailabilityZones"),
			    doc_array(made, "AvailabilityZones")) &&
	       same_texts(doc_array(existing, "SecurityGroups"), doc_array(made, "SecurityGroups"));
}

/* Under which name clients find it: its own address, else this machine. */
static void dns_name(const char *address, char name[256])
{
	if (address[0] && strcmp(address, "0.0.0.0") != 0 && strcmp(address, "::") != 0)
		snprintf(name, 256, "%s", address);
	else if (gethostname(name, 255) < 0 || !name[0])
		snprintf(name, 256, "localhost");
}

static int assign_address(struct elb_api *api, const char *listen_address, char address[64],
			  struct aws_error *error)
{
	struct err err = {0};

	address[0] = '\0';
	if (listen_address) {
		snprintf(address, 64, "%s", listen_address);
		return 0;
	}
	if (!api->hooks || !api->hooks->address_assign)
		return 0;
	if (api->hooks->address_assign(api->hooks_context, address, &err) == 0)
		return 0;
	aws_error_set(error, 400, "InvalidConfigurationRequest", "%s", err.text);
	return -1;
}

/* The new document, still without what only a really new one gets (ARN, address). */
static json_t *build(struct elb_api *api, const struct aws_call *call, const json_t *input)
{
	json_t *zones = zones_make(api, call, input);
	json_t *groups = json_incref(doc_array(input, "SecurityGroups"));
	const char *vpc = zones ? zones_vpc(api, zones) : NULL;
	char now[CLOCK_TEXT_MAX];

	return json_pack("{s:s,s:s,s:s,s:s,s:s*,s:{s:s},s:s,s:o,s:o,s:s}", "LoadBalancerName",
			 doc_str(input, "Name", ""), "CanonicalHostedZoneId", HOSTED_ZONE_ID,
			 "CreatedTime", clock_format_iso_ms(clock_now_ms(NULL), now), "Scheme",
			 doc_str(input, "Scheme", "internet-facing"), "VpcId", vpc, "State", "Code",
			 "active", "Type", "application", "AvailabilityZones", zones,
			 "SecurityGroups", groups ? groups : json_array(), "IpAddressType",
			 doc_str(input, "IpAddressType", "ipv4"));
}

static int name_it(const struct aws_call *call, json_t *document, const char *address)
{
	char arn[ARN_TEXT_MAX], id[ID_TEXT_MAX], name[256] = "";

	snprintf(arn, sizeof(arn), "arn:aws:elasticloadbalancing:%s:%s:loadbalancer/app/%s/%s",
		 call->region, call->account_id, doc_str(document, "LoadBalancerName", ""),
		 id_hex16(NULL, id));
	dns_name(address, name);
	if (json_object_set_new(document, "LoadBalancerArn", json_string(arn)) < 0 ||
	    json_object_set_new(document, "DNSName", json_string(name)) < 0 ||
	    json_object_set_new(document, "ListenAddress", json_string(address)) < 0)
		return -1;
	return 0;
}

static json_t *existing_or_duplicate(json_t *existing, json_t *made, struct aws_error *error)
{
	bool is_same = same_settings(existing, made);

	json_decref(made);
	if (is_same)
		return resource_answer("LoadBalancers", existing);
	aws_error_set(error, 400, "DuplicateLoadBalancerName",
		      "A load balancer with the same name '%s' exists, but with different settings",
		      doc_str(existing, "LoadBalancerName", ""));
	json_decref(existing);
	return NULL;
}

/* The answer to a create says provisioning, as AWS's does; the next describe says active. */
static json_t *created_answer(json_t *document)
{
	json_t *answer = resource_answer("LoadBalancers", json_deep_copy(document));
	json_t *created = json_array_get(doc_array(answer, "LoadBalancers"), 0);

	if (created)
		json_object_set_new(created, "State", json_pack("{s:s}", "Code", "provisioning"));
	return answer;
}

json_t *elb_load_balancer_create(struct elb_api *api, const struct aws_call *call,
				 const json_t *input, const char *listen_address,
				 struct aws_error *error)
{
	char key[ELB_KEY_MAX], address[64];
	json_t *document, *existing, *answer = NULL;
	struct store_txn *txn;

	if (check_input(input, listen_address, error) < 0)
		return NULL;
	document = build(api, call, input);
	if (document && zones_check(api, doc_array(document, "AvailabilityZones"), error) < 0) {
		json_decref(document);
		return NULL;
	}
	existing = resource_by_name(api, RESOURCE_LOAD_BALANCER, doc_str(input, "Name", ""));
	if (existing)
		return existing_or_duplicate(existing, document, error);
	if (limit_check(api, "elb/loadbalancer/", LIMIT_LOAD_BALANCERS, "TooManyLoadBalancers",
			error) < 0)
		goto out;
	if (assign_address(api, listen_address, address, error) < 0)
		goto out;
	if (!document || name_it(call, document, address) < 0 ||
	    resource_key(doc_str(document, "LoadBalancerArn", ""), RESOURCE_LOAD_BALANCER, key) <
		0) {
		error_memory(error);
		goto out;
	}
	txn = store_begin(api->store);
	if (resource_put_tags(txn, doc_str(document, "LoadBalancerArn", ""),
			      doc_array(input, "Tags"), error) < 0) {
		store_abort(txn);
		goto out;
	}
	store_put(txn, key, json_incref(document));
	if (resource_commit(txn, error) == 0)
		answer = created_answer(document);
out:
	json_decref(document);
	return answer;
}

json_t *handle_CreateLoadBalancer(void *context, const struct aws_call *call, const json_t *input,
				  struct aws_error *error)
{
	return elb_load_balancer_create(context, call, input, NULL, error);
}

static void page_key(const json_t *item, char key[ELB_KEY_MAX])
{
	snprintf(key, ELB_KEY_MAX, "%s", resource_suffix(doc_str(item, "LoadBalancerArn", "")));
}

json_t *handle_DescribeLoadBalancers(void *context, const struct aws_call *call,
				     const json_t *input, struct aws_error *error)
{
	struct elb_api *api = context;
	const json_t *arns = doc_array(input, "LoadBalancerArns");
	const json_t *names = doc_array(input, "Names");
	json_t *list;

	(void)call;
	if (json_array_size(arns) && json_array_size(names)) {
		error_validation(error,
				 "Load balancer names and load balancer ARNs cannot be specified "
				 "at the same time");
		return NULL;
	}
	if (json_array_size(arns))
		list = resource_get_all(api, RESOURCE_LOAD_BALANCER, arns, error);
	else if (json_array_size(names))
		list = resource_get_named(api, RESOURCE_LOAD_BALANCER, names, error);
	else
		list = resource_list(api->store, "elb/loadbalancer/");
	return list ? resource_page(input, "LoadBalancers", list, page_key, error) : NULL;
}

static void delete_children(struct elb_api *api, struct store_txn *txn, const char *arn)
{
	json_t *listeners = resource_children(api, arn, RESOURCE_LISTENER);
	json_t *rules = resource_children(api, arn, RESOURCE_RULE);
	const json_t *child;
	size_t i;

	json_array_foreach (listeners, i, child)
		resource_delete(txn, doc_str(child, "ListenerArn", ""));
	json_array_foreach (rules, i, child)
		resource_delete(txn, doc_str(child, "RuleArn", ""));
	json_decref(listeners);
	json_decref(rules);
}

static bool is_protected(struct elb_api *api, const char *arn)
{
	json_t *attributes = resource_side_list(api, arn, "attributes", "Attributes");
	bool is_on =
	    strcmp(doc_kv_get(attributes, "deletion_protection.enabled", "false"), "true") == 0;

	json_decref(attributes);
	return is_on;
}

json_t *handle_DeleteLoadBalancer(void *context, const struct aws_call *call, const json_t *input,
				  struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "LoadBalancerArn", "");
	char key[ELB_KEY_MAX];
	struct store_txn *txn;

	(void)call;
	if (resource_key(arn, RESOURCE_LOAD_BALANCER, key) < 0) {
		error_validation(error, "'%.200s' is not a valid load balancer ARN", arn);
		return NULL;
	}
	if (!resource_exists(api, arn))
		return json_object();
	if (is_protected(api, arn)) {
		aws_error_set(error, 400, "OperationNotPermitted",
			      "Load balancer '%.200s' cannot be deleted because deletion "
			      "protection is enabled",
			      arn);
		return NULL;
	}
	txn = store_begin(api->store);
	delete_children(api, txn, arn);
	resource_delete(txn, arn);
	return resource_commit(txn, error) == 0 ? json_object() : NULL;
}

/* Writes the load balancer with one member new (takes it over); answers the members named. */
static json_t *set_member(struct elb_api *api, const json_t *input, const char *member,
			  json_t *value, const char *const answered[], struct aws_error *error)
{
	const char *arn = doc_str(input, "LoadBalancerArn", "");
	json_t *document = resource_get(api, RESOURCE_LOAD_BALANCER, arn, error);
	json_t *answer = NULL;
	char key[ELB_KEY_MAX];
	struct store_txn *txn;

	if (!document || resource_key(arn, RESOURCE_LOAD_BALANCER, key) < 0)
		goto out;
	json_object_set(document, member, value);
	txn = store_begin(api->store);
	store_put(txn, key, json_incref(document));
	if (resource_commit(txn, error) < 0)
		goto out;
	answer = json_object();
	for (size_t i = 0; answered[i]; i++)
		json_object_set(answer, answered[i], json_object_get(document, answered[i]));
out:
	json_decref(document);
	json_decref(value);
	return answer;
}

json_t *handle_SetSubnets(void *context, const struct aws_call *call, const json_t *input,
			  struct aws_error *error)
{
	static const char *const answered[] = {"AvailabilityZones", "IpAddressType", NULL};
	json_t *zones;

	if (!json_array_size(doc_array(input, "Subnets")) &&
	    !json_array_size(doc_array(input, "SubnetMappings"))) {
		error_validation(error, "You must specify subnets or subnet mappings");
		return NULL;
	}
	if (zones_check_input(input, error) < 0)
		return NULL;
	zones = zones_make(context, call, input);
	if (zones_check(context, zones, error) == 0)
		return set_member(context, input, "AvailabilityZones", zones, answered, error);
	json_decref(zones);
	return NULL;
}

json_t *handle_SetSecurityGroups(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	static const char *const answered[] = {"SecurityGroups", NULL};
	json_t *groups, *answer;

	(void)call;
	if (zones_check_input(input, error) < 0)
		return NULL;
	groups = json_incref(doc_array(input, "SecurityGroups"));
	answer = set_member(context, input, "SecurityGroups", groups ? groups : json_array(),
			    answered, error);
	if (answer)
		json_object_set(answer, "SecurityGroupIds",
				json_object_get(answer, "SecurityGroups"));
	json_object_del(answer, "SecurityGroups");
	return answer;
}

json_t *handle_SetIpAddressType(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	static const char *const answered[] = {"IpAddressType", NULL};

	(void)call;
	return set_member(context, input, "IpAddressType",
			  json_string(doc_str(input, "IpAddressType", "ipv4")), answered, error);
}

/* Nothing is ever reserved here; Terraform asks at every read. */
json_t *handle_DescribeCapacityReservation(void *context, const struct aws_call *call,
					   const json_t *input, struct aws_error *error)
{
	json_t *document = resource_get(context, RESOURCE_LOAD_BALANCER,
					doc_str(input, "LoadBalancerArn", ""), error);

	(void)call;
	if (!document)
		return NULL;
	json_decref(document);
	return json_pack("{s:[]}", "CapacityReservationState");
}
