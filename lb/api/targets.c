/*
 * Registered targets: what is registered stands in the store; how it fares, only
 * the control thread knows and tells through the target_health hook.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/api/limits.h"
#include "lb/api/target_index.h"

enum { MAX_TARGETS = LIMIT_TARGETS };

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

/* The list is the store's from here on. */
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
	store_put_frozen(txn, key, document);
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

static json_t *registration(const json_t *target, int64_t port)
{
	return json_pack("{s:s,s:I,s:s*}", "Id", doc_str(target, "Id", ""), "Port",
			 (json_int_t)port, "AvailabilityZone",
			 doc_str(target, "AvailabilityZone", NULL));
}

/* What a call names, beside what is registered already. */
struct registering {
	struct elb_api *api;
	const json_t *group;
	const struct target_index *held, *given;
};

/* Adds what is not in the list yet; -1 with error. */
static int add_targets(const struct registering *reg, const json_t *targets, json_t *list,
		       bool *is_changed, struct aws_error *error)
{
	const json_t *target;
	size_t i;

	json_array_foreach (targets, i, target) {
		const char *id = doc_str(target, "Id", "");
		int64_t port = port_of(reg->group, target);

		if (check_id(reg->group, target, error) < 0 ||
		    check_zone(reg->api, reg->group, target, error) < 0)
			return -1;
		if (target_index_find(reg->held, id, port) >= 0 ||
		    target_index_find(reg->given, id, port) != (ssize_t)i)
			continue;
		*is_changed = true;
		if (json_array_append_new(list, registration(target, port)) < 0) {
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

/* The list may grow; what is in it is the store's. */
static int add_to(struct elb_api *api, const json_t *group, const json_t *targets, json_t *list,
		  struct aws_error *error)
{
	int64_t port = doc_int(group, "Port", 0);
	const char *arn = doc_str(group, "TargetGroupArn", "");
	struct target_index *held = target_index_new(list, port);
	struct target_index *given = target_index_new(targets, port);
	bool is_changed = false;
	int result = -1;

	if (list && held && given)
		result = add_targets(&(struct registering){api, group, held, given}, targets, list,
				     &is_changed, error);
	else
		error_memory(error);
	target_index_free(held);
	target_index_free(given);
	return result == 0 && is_changed ? put_list(api, arn, list, error) : result;
}

/* New array with the store's own targets in it. */
static json_t *targets_in(const struct elb_api *api, const char *arn)
{
	const json_t *targets = resource_side_peek(api, arn, "targets", "Targets");

	return targets ? json_copy((json_t *)targets) : json_array();
}

json_t *handle_RegisterTargets(void *context, const struct aws_call *call, const json_t *input,
			       struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "TargetGroupArn", "");
	const json_t *group = resource_peek(api, RESOURCE_TARGET_GROUP, arn, error);
	json_t *list;
	int result;

	(void)call;
	if (!group)
		return NULL;
	list = targets_in(api, arn);
	result = add_to(api, group, doc_array(input, "Targets"), list, error);
	json_decref(list);
	return result == 0 ? json_object() : NULL;
}

/* New array: those of held that targets does not name; deregistering what is not registered
 * succeeds.  NULL without memory. */
static json_t *without(const json_t *held, const json_t *targets, int64_t port)
{
	struct target_index *gone = target_index_new(targets, port);
	json_t *list = json_array(), *target;
	size_t i;

	json_array_foreach (held, i, target) {
		const char *id = doc_str(target, "Id", "");

		if (gone && target_index_find(gone, id, doc_int(target, "Port", 0)) < 0)
			json_array_append(list, target);
	}
	if (!gone) {
		json_decref(list);
		list = NULL;
	}
	target_index_free(gone);
	return list;
}

json_t *handle_DeregisterTargets(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "TargetGroupArn", "");
	const json_t *group = resource_peek(api, RESOURCE_TARGET_GROUP, arn, error);
	const json_t *held;
	json_t *list;
	int result = 0;

	(void)call;
	if (!group)
		return NULL;
	held = resource_side_peek(api, arn, "targets", "Targets");
	list = without(held, doc_array(input, "Targets"), doc_int(group, "Port", 0));
	if (!list) {
		error_memory(error);
		return NULL;
	}
	if (json_array_size(list) != json_array_size(held))
		result = put_list(api, arn, list, error);
	json_decref(list);
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

static const char *id_of(const json_t *description)
{
	return doc_str(doc_object(description, "Target"), "Id", "");
}

static int64_t port_in(const json_t *description)
{
	return doc_int(doc_object(description, "Target"), "Port", 0);
}

/* The descriptions of the targets asked for: one pass over all, in the order that was asked. */
static json_t *select_targets(const json_t *all, const json_t *group, const json_t *wanted)
{
	struct target_index *index = target_index_new(wanted, doc_int(group, "Port", 0));
	size_t n = json_array_size(wanted), i;
	json_t **found = calloc(n + 1, sizeof(*found)), *list = json_array(), *description;
	const json_t *target;

	json_array_foreach (all, i, description) {
		ssize_t at = index && found ? target_index_find(index, id_of(description),
								port_in(description))
					    : -1;

		if (at >= 0)
			found[at] = description;
	}
	json_array_foreach (wanted, i, target) {
		int64_t port = port_of(group, target);
		ssize_t at = index ? target_index_find(index, doc_str(target, "Id", ""), port) : -1;
		json_t *one = at >= 0 && found ? json_incref(found[at]) : NULL;

		json_array_append_new(list, one ? one : not_registered(target, port));
	}
	target_index_free(index);
	free(found);
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
	const json_t *group = resource_peek(api, RESOURCE_TARGET_GROUP, arn, error);
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
	return json_pack("{s:o}", "TargetHealthDescriptions", list);
}
