/* Zones, regions and the account: not in the store, nobody changes them. */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/defaults.h"
#include "lab/ec2/network.h"

/* Keeps what passes the filters and, where names are asked for, is among them (each must be). */
static json_t *choose(json_t *all, const struct filter_field *fields, const char *member,
		      const json_t *names, const json_t *filters, struct aws_error *error)
{
	json_t *chosen = json_array(), *one;
	const json_t *name;
	size_t i, j;

	if (chosen == NULL || all == NULL) {
		ec2_error_memory(error);
		goto fail;
	}
	if (filter_check(filters, fields, error) != 0)
		goto fail;
	json_array_foreach (names, i, name) {
		json_array_foreach (all, j, one) {
			if (strcmp(doc_str(one, member, ""), json_string_value(name)) == 0)
				break;
		}
		if (j < json_array_size(all))
			continue;
		aws_error_set(error, 400, "InvalidParameterValue", "Invalid %s: [%s]",
			      strcmp(member, "RegionName") == 0 ? "region name"
								: "availability zone",
			      json_string_value(name));
		goto fail;
	}
	json_array_foreach (all, j, one) {
		if ((json_array_size(names) == 0 ||
		     doc_list_has(names, doc_str(one, member, ""))) &&
		    filter_match(filters, fields, one) && json_array_append(chosen, one) != 0)
			goto fail;
	}
	json_decref(all);
	return chosen;
fail:
	json_decref(all);
	json_decref(chosen);
	return NULL;
}

static json_t *all_zones(const struct ec2 *ec2)
{
	json_t *all = json_array();
	char name[DEFAULTS_ZONE_MAX], id[DEFAULTS_ZONE_MAX], group[DEFAULTS_ZONE_MAX];

	snprintf(group, sizeof(group), "%.64s-zg-1", ec2->region);
	for (int i = 0; i < DEFAULTS_ZONES; i++) {
		defaults_zone_name(ec2->region, i, name);
		defaults_zone_id(ec2->region, i, id);
		json_array_append_new(
		    all, json_pack("{s:s, s:s, s:[], s:s, s:s, s:s, s:s, s:s, s:s}", "State",
				   "available", "OptInStatus", "opt-in-not-required", "Messages",
				   "RegionName", ec2->region, "ZoneName", name, "ZoneId", id,
				   "GroupName", group, "NetworkBorderGroup", ec2->region,
				   "ZoneType", "availability-zone"));
	}
	return all;
}

EC2_HANDLER(DescribeAvailabilityZones)
{
	static const struct filter_field fields[] = {
	    {"zone-name", "ZoneName"},
	    {"zone-id", "ZoneId"},
	    {"zone-type", "ZoneType"},
	    {"state", "State"},
	    {"group-name", "GroupName"},
	    {"opt-in-status", "OptInStatus"},
	    {"message", "Messages"},
	    {"region-name", "RegionName"},
	    {NULL, NULL},
	};
	bool by_id = json_array_size(doc_array(input, "ZoneIds")) > 0;
	json_t *zones;

	if (ec2_is_dry_run(input, error))
		return NULL;
	zones = choose(all_zones(ec2), fields, by_id ? "ZoneId" : "ZoneName",
		       doc_array(input, by_id ? "ZoneIds" : "ZoneNames"),
		       doc_array(input, "Filters"), error);
	return zones == NULL ? NULL : json_pack("{s:o}", "AvailabilityZones", zones);
}

/* Only what is served: the lab's own region. */
EC2_HANDLER(DescribeRegions)
{
	static const struct filter_field fields[] = {
	    {"region-name", "RegionName"},
	    {"endpoint", "Endpoint"},
	    {"opt-in-status", "OptInStatus"},
	    {NULL, NULL},
	};
	char endpoint[128];
	json_t *regions;

	if (ec2_is_dry_run(input, error))
		return NULL;
	snprintf(endpoint, sizeof(endpoint), "ec2.%.64s.amazonaws.com", ec2->region);
	regions = choose(json_pack("[{s:s, s:s, s:s}]", "RegionName", ec2->region, "Endpoint",
				   endpoint, "OptInStatus", "opt-in-not-required"),
			 fields, "RegionName", doc_array(input, "RegionNames"),
			 doc_array(input, "Filters"), error);
	return regions == NULL ? NULL : json_pack("{s:o}", "Regions", regions);
}

/* --- the account --- */

static json_t *attribute(const char *name, const char *value)
{
	return json_pack("{s:s, s:[{s:s}]}", "AttributeName", name, "AttributeValues",
			 "AttributeValue", value);
}

EC2_HANDLER(DescribeAccountAttributes)
{
	const json_t *names = doc_array(input, "AttributeNames");
	json_t *vpc, *list;

	if (ec2_is_dry_run(input, error))
		return NULL;
	vpc = network_default_vpc(ec2);
	list = json_pack("[o, o, o, o, o, o]", attribute("supported-platforms", "VPC"),
			 attribute("default-vpc", doc_str(vpc, "VpcId", "none")),
			 attribute("max-instances", "64"), attribute("max-elastic-ips", "5"),
			 attribute("vpc-max-elastic-ips", "5"),
			 attribute("vpc-max-security-groups-per-interface", "5"));
	json_decref(vpc);
	for (size_t i = json_array_size(list); i-- > 0;)
		if (json_array_size(names) > 0 &&
		    !doc_list_has(names, doc_str(json_array_get(list, i), "AttributeName", "")))
			json_array_remove(list, i);
	return json_pack("{s:o}", "AccountAttributes", list);
}
