/* See shape.h: target groups and targets. */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lb/api/api.h"
#include "lb/import/shape.h"
#include "lb/import/shape_parts.h"

static const struct file_member members[] = {
    {"TargetGroupName", MEMBER_KEPT, NULL},
    {"TargetType", MEMBER_KEPT, "\"instance\""},
    {"Protocol", MEMBER_KEPT, NULL},
    {"ProtocolVersion", MEMBER_KEPT, "\"HTTP1\""},
    {"Port", MEMBER_KEPT, NULL},
    {"IpAddressType", MEMBER_KEPT, "\"ipv4\""},
    {"VpcId", MEMBER_INERT, NULL},
    {"HealthCheckEnabled", MEMBER_KEPT, "true"},
    {"HealthCheckProtocol", MEMBER_KEPT, "\"HTTP\""},
    {"HealthCheckPort", MEMBER_KEPT, "\"traffic-port\""},
    {"HealthCheckPath", MEMBER_KEPT, "\"/\""},
    {"HealthCheckIntervalSeconds", MEMBER_KEPT, "30"},
    {"HealthCheckTimeoutSeconds", MEMBER_COMPUTED, NULL}, /* its default depends */
    {"HealthyThresholdCount", MEMBER_KEPT, "5"},
    {"UnhealthyThresholdCount", MEMBER_KEPT, "2"},
    {"Matcher", MEMBER_KEPT, "{\"HttpCode\": \"200\"}"},
    {"TargetGroupArn", MEMBER_COMPUTED, NULL},
    {"LoadBalancerArns", MEMBER_COMPUTED, NULL},
};

static int by_target(const void *a, const void *b)
{
	const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;
	int order = strcmp(doc_str(one, "Id", ""), doc_str(other, "Id", ""));
	int64_t x = doc_int(one, "Port", 0), y = doc_int(other, "Port", 0);

	return order ? order : (x > y) - (x < y);
}

static bool is_leaving(const json_t *health)
{
	return strcmp(doc_str(doc_object(health, "TargetHealth"), "Reason", ""),
		      "Target.DeregistrationInProgress") == 0;
}

/* The zone of an instance is EC2's to tell; of an address, it was given.  Those that leave are
 * gone; those that a group of instances registers come by
 * themselves. */
static json_t *targets_of(const json_t *health, bool has_zones, const json_t *owned)
{
	json_t *targets = json_array(), *target;
	const json_t *item, *described;
	size_t i;

	json_array_foreach (health, i, item) {
		described = doc_object(item, "Target");
		if (is_leaving(item) || json_object_get(owned, doc_str(described, "Id", "")))
			continue;
		target = json_pack("{s:s}", "Id", doc_str(described, "Id", ""));
		if (doc_has(described, "Port"))
			json_object_set(target, "Port", json_object_get(described, "Port"));
		if (has_zones && doc_has(described, "AvailabilityZone"))
			json_object_set(target, "AvailabilityZone",
					json_object_get(described, "AvailabilityZone"));
		json_array_append_new(targets, target);
	}
	return shape_sorted(targets, by_target);
}

/* The default timeout shrinks with a short interval, so only the usual pair
 * goes unsaid. */
static void put_timeout(json_t *group, const json_t *described)
{
	if (doc_int(described, "HealthCheckTimeoutSeconds", 5) == 5 &&
	    doc_int(described, "HealthCheckIntervalSeconds", 30) > 5)
		return;
	json_object_set(group, "HealthCheckTimeoutSeconds",
			json_object_get(described, "HealthCheckTimeoutSeconds"));
}

json_t *shape_target_group(const json_t *found_group, const json_t *tags, const json_t *owned,
			   json_t *notes)
{
	const json_t *described = doc_object(found_group, "Described");
	bool has_zones = strcmp(doc_str(described, "TargetType", "instance"), "instance") != 0;
	char path[96];
	json_t *group;

	snprintf(path, sizeof(path), "TargetGroups[%.64s]",
		 doc_str(described, "TargetGroupName", ""));
	group = shape_object(described, members, sizeof(members) / sizeof(members[0]), path, notes);
	put_timeout(group, described);
	shape_put(group, "Attributes",
		  shape_attributes(doc_array(found_group, "Attributes"), elb_target_group_attribute,
				   path, notes));
	shape_put(
	    group, "Tags",
	    shape_tags(doc_array(tags, doc_str(described, "TargetGroupArn", "")), path, notes));
	shape_put(group, "Targets", targets_of(doc_array(found_group, "Health"), has_zones, owned));
	return group;
}
