/* See zones.h. */
#include "lb/api/zones.h"

#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"

static int check_subnet(const json_t *entry, struct aws_error *error)
{
	static const char *const addresses[] = {"AllocationId", "PrivateIPv4Address",
						"IPv6Address"};
	const char *id =
	    json_is_string(entry) ? json_string_value(entry) : doc_str(entry, "SubnetId", "");

	if (!id_is_ec2(id, "subnet")) {
		error_validation(error, "The subnet ID '%.64s' is not valid", id);
		return -1;
	}
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		if (!doc_has(entry, addresses[i]))
			continue;
		error_validation(error,
				 "'%s' cannot be specified for load balancers of type "
				 "application",
				 addresses[i]);
		return -1;
	}
	return 0;
}

int zones_check_input(const json_t *input, struct aws_error *error)
{
	const json_t *entry;
	size_t i;

	if (doc_has(input, "Subnets") && doc_has(input, "SubnetMappings")) {
		error_validation(error, "Either subnets or subnet mappings, but not both");
		return -1;
	}
	json_array_foreach (doc_array(input, "Subnets"), i, entry) {
		if (check_subnet(entry, error) < 0)
			return -1;
	}
	json_array_foreach (doc_array(input, "SubnetMappings"), i, entry) {
		if (check_subnet(entry, error) < 0)
			return -1;
	}
	json_array_foreach (doc_array(input, "SecurityGroups"), i, entry) {
		if (id_is_ec2(json_string_value(entry), "sg"))
			continue;
		aws_error_set(error, 400, "InvalidSecurityGroup",
			      "The security group ID '%.64s' is not valid",
			      json_string_value(entry));
		return -1;
	}
	return 0;
}

/* Zones are named by EC2 where it told us, else a, b, c... of the region in the order given. */
static json_t *zone_of(struct elb_api *api, const struct aws_call *call, const char *subnet_id,
		       size_t index)
{
	const json_t *subnet = NULL;
	char zone[80];

	if (api->hooks && api->hooks->subnet_find)
		subnet = api->hooks->subnet_find(api->hooks_context, subnet_id);
	snprintf(zone, sizeof(zone), "%.64s%c", call->region, (char)('a' + (int)(index % 26)));
	return json_pack("{s:s,s:s,s:[]}", "ZoneName", doc_str(subnet, "AvailabilityZone", zone),
			 "SubnetId", subnet_id, "LoadBalancerAddresses");
}

json_t *zones_make(struct elb_api *api, const struct aws_call *call, const json_t *input)
{
	const json_t *subnets = doc_array(input, "Subnets");
	json_t *zones = json_array();
	const json_t *entry;
	size_t i;

	if (!subnets)
		subnets = doc_array(input, "SubnetMappings");
	json_array_foreach (subnets, i, entry) {
		const char *id = json_is_string(entry) ? json_string_value(entry)
						       : doc_str(entry, "SubnetId", "");

		if (json_array_append_new(zones, zone_of(api, call, id, i)) < 0) {
			json_decref(zones);
			return NULL;
		}
	}
	return zones;
}

const char *zones_vpc(struct elb_api *api, const json_t *zones)
{
	const char *id = doc_str(json_array_get(zones, 0), "SubnetId", "");

	if (!api->hooks || !api->hooks->subnet_find || !id[0])
		return NULL;
	return doc_str(api->hooks->subnet_find(api->hooks_context, id), "VpcId", NULL);
}

static bool is_same_zone(struct elb_api *api, const char *subnet_id, const char *other_id)
{
	const json_t *subnet, *other;

	if (strcmp(subnet_id, other_id) == 0)
		return true;
	if (!api->hooks || !api->hooks->subnet_find)
		return false;
	subnet = api->hooks->subnet_find(api->hooks_context, subnet_id);
	other = api->hooks->subnet_find(api->hooks_context, other_id);
	return subnet && other &&
	       strcmp(doc_str(subnet, "AvailabilityZone", "?"),
		      doc_str(other, "AvailabilityZone", "")) == 0;
}

int zones_check(struct elb_api *api, const json_t *zones, struct aws_error *error)
{
	const json_t *zone, *other;
	size_t i, j;

	json_array_foreach (zones, i, zone) {
		json_array_foreach (zones, j, other) {
			if (j >= i || !is_same_zone(api, doc_str(zone, "SubnetId", ""),
						    doc_str(other, "SubnetId", "")))
				continue;
			aws_error_set(error, 400, "InvalidConfigurationRequest",
				      "A load balancer cannot be attached to multiple subnets in "
				      "the same Availability Zone");
			return -1;
		}
	}
	return 0;
}

/* New array, or NULL when the zones are named rightly already. */
static json_t *renamed(struct elb_api *api, const json_t *zones)
{
	json_t *list = json_array();
	const json_t *zone, *subnet;
	bool is_changed = false;
	size_t i;

	json_array_foreach (zones, i, zone) {
		json_t *copy = json_copy((json_t *)zone);

		subnet = api->hooks->subnet_find(api->hooks_context, doc_str(zone, "SubnetId", ""));
		if (subnet && strcmp(doc_str(subnet, "AvailabilityZone", ""),
				     doc_str(zone, "ZoneName", "")) != 0) {
			json_object_set(copy, "ZoneName",
					json_object_get(subnet, "AvailabilityZone"));
			is_changed = true;
		}
		json_array_append_new(list, copy);
	}
	if (is_changed)
		return list;
	json_decref(list);
	return NULL;
}

struct learning {
	struct elb_api *api;
	json_t *changed; /* {key: document} */
};

static bool learn_one(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct learning *learning = arg;
	const json_t *zones = doc_array(document, "AvailabilityZones");
	const char *vpc = zones_vpc(learning->api, zones);
	json_t *named = renamed(learning->api, zones), *copy;
	bool is_new_vpc = vpc && strcmp(vpc, doc_str(document, "VpcId", "")) != 0;

	(void)revision;
	if (!named && !is_new_vpc)
		return true;
	copy = json_copy((json_t *)document);
	if (named)
		json_object_set_new(copy, "AvailabilityZones", named);
	if (is_new_vpc)
		json_object_set_new(copy, "VpcId", json_string(vpc));
	json_object_set_new(learning->changed, key, copy);
	return true;
}

void elb_subnets_learned(struct elb_api *api)
{
	struct learning learning = {api, json_object()};
	struct aws_error error = {0};
	struct store_txn *txn;
	const char *key;
	json_t *document;

	if (!api->hooks || !api->hooks->subnet_find)
		return;
	store_scan(api->store, "elb/loadbalancer/", learn_one, &learning);
	if (json_object_size(learning.changed) > 0) {
		txn = store_begin(api->store);
		json_object_foreach (learning.changed, key, document)
			store_put(txn, key, json_incref(document));
		if (resource_commit(txn, &error) < 0)
			log_warn("zones-not-kept", "why=\"%s\"", error.message);
	}
	json_decref(learning.changed);
}
