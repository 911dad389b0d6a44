/*
 * Registered targets: what is registered stands in the store; how it fares, only
 * the control thread knows and tells through the target_health hook.
 */
#include <arpa/inet.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/api/resource.h"

enum { MAX_TARGETS = 1000 };

static int check_id(const json_t *group, const json_t *target, struct aws_error *error)
{
	const char *id = doc_str(target, "Id", "");
	unsigned char binary[16];
	bool is_address =
	    inet_pton(AF_INET, id, binary) == 1 || inet_pton(AF_INET6, id, binary) == 1;

	if (strcmp(doc_str(group, "TargetType", "instance"), "instance") == 0) {
		if (id_is_ec2(id, "i"))
			return 0;
		aws_error_set(error, 400, "InvalidTarget",
			      "The following targets are not valid instances: '%.64s'", id);
		return -1;
	}
	if (is_address)
		return 0;
	error_validation(error, "The IP address '%.64s' is not a valid IPv4 or IPv6 address", id);
	return -1;
}

static int64_t port_of(const json_t *group, const json_t *target)
{
	return doc_int(target, "Port", doc_int(group, "Port", 0));
}

/* The index in list, or -1. */
static ssize_t find(const json_t *list, const char *id, int64_t port)
{
	const json_t *target;
	size_t i;

	json_array_foreach (list, i, target) {
		if (strcmp(doc_str(target, "Id", ""), id) == 0 &&
		    doc_int(target, "Port", 0) == port)
			return (ssize_t)i;
	}
	return -1;
}

static int put_list(struct elb_api *api, const char *arn, json_t *list, struct aws_error *error)
{
	char key[ELB_KEY_MAX];
	struct store_txn *txn;
	json_t *document = json_pack("{s:s,s:O}", "TargetGroupArn", arn, "Targets", list);

	if (!document || resource_side_key(arn, "targets", key) < 0) {
		json_decref(document);
		error_memory(error);
		return -1;
	}
	txn = store_begin(api->store);
	store_put(txn, key, document);
	return resource_commit(txn, error);
}

/* "all" belongs to no zone: not while cross-zone is off. */
static int check_zone(struct elb_api *api, const json_t *group, const json_t *target,
		      struct aws_error *error)
{
	char key[ELB_KEY_MAX];
	const json_t *attributes;

	if (strcmp(doc_str(target, "AvailabilityZone", ""), "all") != 0 ||
	    resource_side_key(doc_str(group, "TargetGroupArn", ""), "attributes", key) < 0)
		return 0;
	attributes = store_peek(api->store, key, NULL);
	if (strcmp(elb_target_group_attribute(attributes, "load_balancing.cross_zone.enabled"),
		   "false") != 0)
		return 0;
	error_validation(error, "Targets cannot be registered with Availability Zone 'all' while "
				"cross-zone load balancing is off");
	return -1;
}

/* Adds what is not there yet; -1 with error. */
static int add_targets(struct elb_api *api, const json_t *group, const json_t *targets,
		       json_t *list, bool *is_changed, struct aws_error *error)
{
	const json_t *target;
	size_t i;

	json_array_foreach (targets, i, target) {
		int64_t port = port_of(group, target);

		if (check_id(group, target, error) < 0 || check_zone(api, group, target, error) < 0)
			return -1;
		if (find(list, doc_str(target, "Id", ""), port) >= 0)
			continue;
		*is_changed = true;
		if (json_array_append_new(
			list, json_pack("{s:s,s:I,s:s*}", "Id", doc_str(target, "Id", ""), "Port",
					(json_int_t)port, "AvailabilityZone",
					doc_str(target, "AvailabilityZone", NULL))) < 0) {
			error_memory(error);
			return -1;
		}
	}
	if (json_array_size(list) <= MAX_TARGETS)
		return 0;
	aws_error_set(error, 400, "TooManyTargets", "A target group can have at most %d targets",
		      MAX_TARGETS);
	return -1;
}

json_t *handle_RegisterTargets(void *context, const struct aws_call *call, const json_t *input,
			       struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "TargetGroupArn", "");
	json_t *group = resource_get(api, RESOURCE_TARGET_GROUP, arn, error);
	bool is_changed = false;
	json_t *list;
	int result;

	(void)call;
	if (!group)
		return NULL;
	list = resource_side_list(api, arn, "targets", "Targets");
	result = add_targets(api, group, doc_array(input, "Targets"), list, &is_changed, error);
	if (result == 0 && is_changed)
		result = put_list(api, arn, list, error);
	json_decref(list);
	json_decref(group);
	return result == 0 ? json_object() : NULL;
}

json_t *handle_DeregisterTargets(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "TargetGroupArn", "");
	json_t *group = resource_get(api, RESOURCE_TARGET_GROUP, arn, error);
	bool is_changed = false;
	const json_t *target;
	json_t *list;
	int result = 0;
	size_t i;

	(void)call;
	if (!group)
		return NULL;
	list = resource_side_list(api, arn, "targets", "Targets");
	json_array_foreach (doc_array(input, "Targets"), i, target) {
		ssize_t at = find(list, doc_str(target, "Id", ""), port_of(group, target));

		if (at < 0)
			continue; /* deregistering what is not registered succeeds */
		json_array_remove(list, (size_t)at);
		is_changed = true;
	}
	if (is_changed)
		result = put_list(api, arn, list, error);
	json_decref(list);
	json_decref(group);
	return result == 0 ? json_object() : NULL;
}

/* Without a control thread behind: everything registered is initial. */
static json_t *initial_health(struct elb_api *api, const char *arn)
{
	json_t *targets = resource_side_list(api, arn, "targets", "Targets");
	json_t *list = json_array();
	json_t *target;
	size_t i;

	json_array_foreach (targets, i, target) {
		json_array_append_new(list, json_pack("{s:O,s:{s:s,s:s,s:s}}", "Target", target,
						      "TargetHealth", "State", "initial", "Reason",
						      "Elb.RegistrationInProgress", "Description",
						      "Target registration is in progress"));
	}
	json_decref(targets);
	return list;
}

static json_t *not_registered(const json_t *target, int64_t port)
{
	return json_pack("{s:{s:s,s:I},s:{s:s,s:s,s:s}}", "Target", "Id", doc_str(target, "Id", ""),
			 "Port", (json_int_t)port, "TargetHealth", "State", "unused", "Reason",
			 "Target.NotRegistered", "Description",
			 "Target is not registered to the target group");
}

/* The descriptions of the targets asked for. */
static json_t *select_targets(const json_t *all, const json_t *group, const json_t *wanted)
{
	json_t *list = json_array();
	const json_t *target;
	json_t *description;
	size_t i, j;

	json_array_foreach (wanted, i, target) {
		json_t *found = NULL;
		int64_t port = port_of(group, target);

		json_array_foreach (all, j, description) {
			const json_t *own = doc_object(description, "Target");

			if (strcmp(doc_str(own, "Id", ""), doc_str(target, "Id", "")) == 0 &&
			    doc_int(own, "Port", 0) == port)
				found = json_incref(description);
		}
		json_array_append_new(list, found ? found : not_registered(target, port));
	}
	return list;
}

/* Anomalies are told only to those who ask. */
static void leave_out_anomalies(const json_t *input, json_t *list)
{
	json_t *description;
	size_t i;

	if (json_array_size(doc_array(input, "Include")) > 0)
		return;
	json_array_foreach (list, i, description)
		json_object_del(description, "AnomalyDetection");
}

json_t *handle_DescribeTargetHealth(void *context, const struct aws_call *call, const json_t *input,
				    struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "TargetGroupArn", "");
	const json_t *wanted = doc_array(input, "Targets");
	json_t *group = resource_get(api, RESOURCE_TARGET_GROUP, arn, error);
	json_t *list;

	(void)call;
	if (!group)
		return NULL;
	if (api->hooks && api->hooks->target_health)
		list = api->hooks->target_health(api->hooks_context, arn);
	else
		list = initial_health(api, arn);
	if (json_array_size(wanted) > 0) {
		json_t *all = list;

		list = select_targets(all, group, wanted);
		json_decref(all);
	}
	leave_out_anomalies(input, list);
	json_decref(group);
	return json_pack("{s:o}", "TargetHealthDescriptions", list);
}
