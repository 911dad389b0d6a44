/*
 * RunInstances: parameters put together and checked, addresses leased, documents written in one
 * transaction with the client token, and only then the runtime asked to boot.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "lab/ec2/cidr.h"
#include "lab/ec2/interface.h"
#include "lab/ec2/launch.h"
#include "lab/ec2/profile.h"
#include "lab/ec2/spot.h"
#include "lab/ec2/template.h"
#include "lab/ec2/tokens.h"
#include "lab/ec2/volume.h"

static const char default_type[] = "t2.micro";

static void launch_fini(struct launch *launch)
{
	json_decref(launch->data);
	json_decref(launch->image);
	json_decref(launch->subnet);
	json_decref(launch->groups);
	json_decref(launch->devices);
	json_decref(launch->tags);
	json_decref(launch->volume_tags);
	json_decref(launch->interface_tags);
	json_decref(launch->profile);
}

/* --- parameters --- */

static int merge_parameters(struct ec2 *ec2, struct launch *launch, const json_t *input,
			    struct aws_error *error)
{
	const json_t *specification = doc_object(input, "LaunchTemplate");
	json_t *base = NULL;

	if (specification != NULL) {
		base = ec2_template_data(ec2, specification, launch->template_id,
					 &launch->template_version, error);
		if (base == NULL)
			return -1;
	}
	launch->data = template_merge(base, input);
	json_decref(base);
	if (launch->data != NULL)
		return 0;
	ec2_error_memory(error);
	return -1;
}

static int check_counts(struct ec2 *ec2, struct launch *launch, const json_t *input,
			struct aws_error *error)
{
	int64_t min = doc_int(input, "MinCount", 1), max = doc_int(input, "MaxCount", 1);
	int64_t left = EC2_MAX_INSTANCES - ec2_count_live(ec2);

	if (min < 1 || max < min) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "MinCount %lld and MaxCount %lld: at least 1, and MaxCount not "
			      "below MinCount",
			      (long long)min, (long long)max);
		return -1;
	}
	if (min > left) {
		aws_error_set(error, 400, "InstanceLimitExceeded",
			      "You have requested more instances (%lld) than your current "
			      "instance limit of %d allows.",
			      (long long)min, EC2_MAX_INSTANCES);
		return -1;
	}
	launch->count = max < left ? max : left;
	return 0;
}

static int check_architecture(const struct launch *launch, struct aws_error *error)
{
	const char *of_type = launch->type.family->architecture;
	const char *of_image = doc_str(launch->image, "Architecture", "x86_64");

	if (strcmp(of_type, of_image) == 0)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "The architecture '%s' of the specified instance type does not match the "
		      "architecture '%s' of the specified AMI. Specify an instance type and an AMI "
		      "that have matching architectures, and try again.",
		      of_type, of_image);
	return -1;
}

static int check_image_and_type(struct ec2 *ec2, struct launch *launch, struct aws_error *error)
{
	const char *image_id = doc_str(launch->data, "ImageId", "");

	if (*image_id == '\0') {
		aws_error_set(error, 400, "MissingParameter",
			      "The request must contain the parameter ImageId");
		return -1;
	}
	launch->image = ec2_get(ec2, &ec2_images, image_id, error);
	if (launch->image == NULL)
		return -1;
	launch->type_name = doc_str(launch->data, "InstanceType", default_type);
	if (instance_type_find(launch->type_name, &launch->type) != 0) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Invalid value '%.80s' for InstanceType.", launch->type_name);
		return -1;
	}
	return check_architecture(launch, error) != 0
		   ? -1
		   : template_check_user_data(doc_str(launch->data, "UserData", ""), error);
}

static int check_key(struct ec2 *ec2, const struct launch *launch, struct aws_error *error)
{
	const char *name = doc_str(launch->data, "KeyName", "");

	if (*name == '\0' || ec2_count_by(ec2, &ec2_key_pairs, "KeyName", name) > 0)
		return 0;
	aws_error_set(error, 400, "InvalidKeyPair.NotFound", "The key pair '%.255s' does not exist",
		      name);
	return -1;
}

/* What cannot be had here must not be ignored: who asked for it would wait for it. */
static int check_possible(const struct launch *launch, struct aws_error *error)
{
	const json_t *first = launch_interface(launch);
	const char *what = NULL;

	if (doc_has(launch->data, "PrivateIpAddress") || doc_has(first, "PrivateIpAddress") ||
	    doc_has(first, "PrivateIpAddresses"))
		what = "A private address of one's choice";
	else if (doc_has(first, "NetworkInterfaceId"))
		what = "A network interface made before";
	else if (json_array_size(doc_array(launch->data, "NetworkInterfaces")) > 1)
		what = "A second network interface";
	if (what == NULL)
		return 0;
	aws_error_set(error, 400, "UnsupportedOperation", "%s is not supported in a lab.", what);
	return -1;
}

static int check_interfaces(const struct launch *launch, struct aws_error *error)
{
	bool has_own = doc_has(launch->data, "SubnetId") ||
		       doc_has(launch->data, "SecurityGroupIds") ||
		       doc_has(launch->data, "SecurityGroups");

	if (launch_interface(launch) == NULL || !has_own)
		return check_possible(launch, error);
	aws_error_set(error, 400, "InvalidParameterCombination",
		      "Network interfaces and an instance-level subnet ID or security groups may "
		      "not be specified on the same request");
	return -1;
}

/* How many live instances a subnet has: launches without a place go where the fewest are. */
static int count_in_subnet(const json_t *instances, const char *subnet_id)
{
	const json_t *instance;
	int n = 0;
	size_t i;

	json_array_foreach (instances, i, instance) {
		n += strcmp(doc_str(instance, "SubnetId", ""), subnet_id) == 0;
	}
	return n;
}

/* The default subnet of the zone, or, zone "", of the zone with the fewest instances. */
static json_t *choose_subnet(struct ec2 *ec2, const char *zone)
{
	json_t *subnets = ec2_scan(ec2, ec2_subnets.folder);
	json_t *instances = ec2_scan(ec2, ec2_instances.folder);
	json_t *subnet, *best = NULL;
	int best_count = 0;
	size_t i;

	json_array_foreach (subnets, i, subnet) {
		int count = count_in_subnet(instances, doc_str(subnet, "SubnetId", ""));

		if (!doc_bool(subnet, "DefaultForAz", false) ||
		    (*zone != '\0' && strcmp(doc_str(subnet, "AvailabilityZone", ""), zone) != 0))
			continue;
		if (best == NULL || count < best_count) {
			best = subnet;
			best_count = count;
		}
	}
	best = json_incref(best);
	json_decref(subnets);
	json_decref(instances);
	return best;
}

static int find_subnet(struct ec2 *ec2, struct launch *launch, struct aws_error *error)
{
	const char *zone = doc_str(doc_object(launch->data, "Placement"), "AvailabilityZone", "");
	const char *id = doc_str(launch->data, "SubnetId", "");

	if (launch_interface(launch) != NULL)
		id = doc_str(launch_interface(launch), "SubnetId", "");
	if (*id == '\0') {
		launch->subnet = choose_subnet(ec2, zone);
		if (launch->subnet != NULL)
			return 0;
		if (*zone != '\0')
			aws_error_set(error, 400, "InvalidParameterValue",
				      "Invalid availability zone: [%s]", zone);
		else
			aws_error_set(error, 400, "MissingInput",
				      "No subnets found for the default VPC. Please specify a "
				      "subnet.");
		return -1;
	}
	launch->subnet = ec2_get(ec2, &ec2_subnets, id, error);
	if (launch->subnet == NULL)
		return -1;
	if (*zone == '\0' || strcmp(zone, doc_str(launch->subnet, "AvailabilityZone", "")) == 0)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "The subnet %s is not in the availability zone %s", id, zone);
	return -1;
}

/* --- room --- */

static bool fits_entry(const json_t *entry, const char *zone, const char *type, const char *market)
{
	return strcmp(doc_str(entry, "AvailabilityZone", zone), zone) == 0 &&
	       strcmp(doc_str(entry, "InstanceType", type), type) == 0 &&
	       strcmp(doc_str(entry, "MarketType", market), market) == 0;
}

/* How many more instances the entry of Lab.Capacity has room for. */
static int64_t room_of(struct ec2 *ec2, const json_t *entry)
{
	json_t *documents = ec2_scan(ec2, ec2_instances.folder), *document;
	int64_t room = doc_int(entry, "Instances", 0);
	size_t i;

	json_array_foreach (documents, i, document) {
		const char *zone =
		    doc_str(doc_object(document, "Placement"), "AvailabilityZone", "");

		room -= instance_state_of(document) != INSTANCE_TERMINATED &&
			fits_entry(entry, zone, doc_str(document, "InstanceType", ""),
				   spot_life_cycle(document));
	}
	json_decref(documents);
	return room < 0 ? 0 : room;
}

/* A lab can be short of something on purpose, as AWS is by chance. */
static int check_room(struct ec2 *ec2, struct launch *launch, const json_t *input,
		      struct aws_error *error)
{
	const char *zone = doc_str(launch->subnet, "AvailabilityZone", "");
	const char *market =
	    doc_str(doc_object(launch->data, "InstanceMarketOptions"), "MarketType", "on-demand");
	const json_t *entry;
	size_t i;

	json_array_foreach (ec2->capacity, i, entry) {
		int64_t room;

		if (!fits_entry(entry, zone, launch->type_name, market))
			continue;
		room = room_of(ec2, entry);
		launch->count = room < launch->count ? room : launch->count;
	}
	if (launch->count >= doc_int(input, "MinCount", 1))
		return 0;
	aws_error_set(error, 500, "InsufficientInstanceCapacity",
		      "We currently do not have sufficient %.80s capacity in the Availability Zone "
		      "you requested (%s).",
		      launch->type_name, zone);
	return -1;
}

/* The id of the VPC's group of that name, appended to ids. */
static int add_group_by_name(struct ec2 *ec2, json_t *ids, const char *name, const char *vpc_id,
			     struct aws_error *error)
{
	json_t *groups = ec2_find_all(ec2, &ec2_security_groups, "VpcId", vpc_id), *group;
	size_t i, before = json_array_size(ids);

	json_array_foreach (groups, i, group) {
		if (strcmp(doc_str(group, "GroupName", ""), name) == 0)
			json_array_append(ids, json_object_get(group, "GroupId"));
	}
	json_decref(groups);
	if (json_array_size(ids) > before)
		return 0;
	aws_error_set(error, 400, "InvalidGroup.NotFound",
		      "The security group '%.255s' does not exist in VPC '%s'", name, vpc_id);
	return -1;
}

/* By id and by name, or the VPC's default group. */
static int find_groups(struct ec2 *ec2, struct launch *launch, struct aws_error *error)
{
	const json_t *given = doc_array(launch->data, "SecurityGroupIds"), *name;
	const char *vpc_id = doc_str(launch->subnet, "VpcId", "");
	json_t *ids;
	int result = 0;
	size_t i;

	if (launch_interface(launch) != NULL)
		given = doc_array(launch_interface(launch), "Groups");
	ids = json_copy((json_t *)given);
	if (ids == NULL)
		ids = json_array();
	json_array_foreach (doc_array(launch->data, "SecurityGroups"), i, name) {
		if (result == 0)
			result =
			    add_group_by_name(ec2, ids, json_string_value(name), vpc_id, error);
	}
	if (result == 0 && json_array_size(ids) == 0)
		result = add_group_by_name(ec2, ids, "default", vpc_id, error);
	if (result == 0)
		launch->groups = interface_groups(ec2, ids, vpc_id, error);
	json_decref(ids);
	return launch->groups != NULL ? 0 : -1;
}

/* --- devices --- */

/* The image's devices under the request's: its size and snapshot stay where the request names
 * none; NoDevice takes one away. */
static int find_devices(struct ec2 *ec2, struct launch *launch, struct aws_error *error)
{
	const char *zone = doc_str(launch->subnet, "AvailabilityZone", "");
	json_t *device, *test;
	size_t i;

	launch->devices = template_merge_devices(doc_array(launch->image, "BlockDeviceMappings"),
						 doc_array(launch->data, "BlockDeviceMappings"));
	if (launch->devices == NULL) {
		ec2_error_memory(error);
		return -1;
	}
	/* Whatever is wrong with one is to be said before anything is made. */
	json_array_foreach (launch->devices, i, device) {
		test = volume_document(ec2, doc_object(device, "Ebs"), zone, error);
		json_decref(test);
		if (test == NULL)
			return -1;
	}
	return 0;
}

static int find_tags(struct launch *launch, struct aws_error *error)
{
	const json_t *given = doc_array(launch->data, "TagSpecifications");
	char version[24];

	launch->tags = ec2_spec_tags(given, "instance", error);
	if (launch->tags != NULL)
		launch->volume_tags = ec2_spec_tags(given, "volume", error);
	if (launch->volume_tags != NULL)
		launch->interface_tags = ec2_spec_tags(given, "network-interface", error);
	if (launch->interface_tags == NULL)
		return -1;
	if (launch->template_id[0] == '\0')
		return 0;
	/* As EC2 does; Terraform reads them back. */
	snprintf(version, sizeof(version), "%lld", (long long)launch->template_version);
	if (doc_kv_set(launch->tags, "aws:ec2launchtemplate:id", launch->template_id) == 0 &&
	    doc_kv_set(launch->tags, "aws:ec2launchtemplate:version", version) == 0)
		return 0;
	ec2_error_memory(error);
	return -1;
}

static int prepare(struct ec2 *ec2, struct launch *launch, const json_t *input,
		   struct aws_error *error)
{
	if (merge_parameters(ec2, launch, input, error) != 0 ||
	    check_counts(ec2, launch, input, error) != 0 ||
	    check_image_and_type(ec2, launch, error) != 0 || check_interfaces(launch, error) != 0 ||
	    check_key(ec2, launch, error) != 0 || find_subnet(ec2, launch, error) != 0 ||
	    check_room(ec2, launch, input, error) != 0 || find_groups(ec2, launch, error) != 0 ||
	    find_devices(ec2, launch, error) != 0 || find_tags(launch, error) != 0)
		return -1;
	if (doc_has(launch->data, "IamInstanceProfile"))
		launch->profile =
		    profile_document(ec2, doc_object(launch->data, "IamInstanceProfile"));
	id_ec2(NULL, "r", launch->reservation_id);
	return ec2_is_dry_run(input, error) ? -1 : 0;
}

/* --- launching --- */

static void release_all(struct ec2 *ec2, const struct launched *made, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ec2->runtime->release(ec2->runtime_arg,
				      doc_str(made[i].instance, "InstanceId", ""));
}

static void free_all(struct launched *made, size_t n)
{
	for (size_t i = 0; i < n; i++)
		launched_fini(&made[i]);
	free(made);
}

/* Subnets of other networks than this machine's own have their instances here instead. */
static const char *lease_range(const struct launch *launch)
{
	const char *text = doc_str(launch->subnet, "CidrBlock", "");
	struct cidr cidr;

	return cidr_parse(text, &cidr) == 0 && cidr.base >> 24 == 127 ? text : "127.31.128.0/17";
}

/* Leases an address and makes the documents. */
static int make_one(struct ec2 *ec2, const struct launch *launch, int index, struct launched *made,
		    struct aws_error *error)
{
	struct launch_place place = {.index = index};
	struct err err = {0};

	id_ec2(NULL, "i", place.id);
	if (ec2->runtime->lease(ec2->runtime_arg, place.id, lease_range(launch), place.address,
				&err) != 0) {
		aws_error_set(error, 400, "InsufficientFreeAddressesInSubnet",
			      "There are not enough free addresses in subnet %s: %s",
			      doc_str(launch->subnet, "SubnetId", ""), err.text);
		return -1;
	}
	if (launch_make(ec2, launch, &place, made, error) == 0)
		return 0;
	ec2->runtime->release(ec2->runtime_arg, place.id);
	return -1;
}

/* At least min instances (*n of them, free_all() them), or NULL with error. */
static struct launched *make_instances(struct ec2 *ec2, const struct launch *launch, int64_t min,
				       size_t *n, struct aws_error *error)
{
	struct launched *made = calloc((size_t)launch->count, sizeof(*made));

	*n = 0;
	if (made == NULL) {
		ec2_error_memory(error);
		return NULL;
	}
	while (*n < (size_t)launch->count && make_one(ec2, launch, (int)*n, &made[*n], error) == 0)
		++*n;
	if (*n > 0 && (int64_t)*n >= min)
		return made;
	release_all(ec2, made, *n);
	free_all(made, *n);
	return NULL;
}

static int commit_instances(struct ec2 *ec2, const struct launch *launch,
			    const struct launched *made, size_t n, const struct token *token,
			    struct aws_error *error)
{
	struct store_txn *txn = store_begin(ec2->store);
	json_t *ids = json_array();
	struct err err = {0};

	for (size_t i = 0; i < n; i++) {
		json_array_append(ids, json_object_get(made[i].instance, "InstanceId"));
		launched_put(txn, &made[i]);
	}
	token_put(
	    ec2, txn, token,
	    json_pack("{s:s, s:o}", "ReservationId", launch->reservation_id, "InstanceIds", ids));
	if (store_commit(txn, &err) == STORE_OK)
		return 0;
	ec2_error_store(error, &err);
	return -1;
}

/* The one reservation of the documents. */
static json_t *answer_of(struct ec2 *ec2, const json_t *documents, struct aws_error *error)
{
	json_t *reservations = instance_reservations(ec2, documents);
	json_t *first = json_incref(json_array_get(reservations, 0));

	json_decref(reservations);
	if (first == NULL)
		ec2_error_memory(error);
	return first;
}

static json_t *boot_all(struct ec2 *ec2, const struct launch *launch, const struct launched *made,
			size_t n, struct aws_error *error)
{
	json_t *documents = json_array(), *answer;

	for (size_t i = 0; i < n; i++) {
		const json_t *document = made[i].instance;

		log_info("instance-launch", "id=%s type=%s zone=%s address=%s template=%s",
			 doc_str(document, "InstanceId", ""), launch->type_name,
			 doc_str(launch->subnet, "AvailabilityZone", ""),
			 doc_str(document, "PrivateIpAddress", ""), launch->template_id);
		ec2->runtime->start(ec2->runtime_arg, document, instance_user_data(document));
		json_array_append(documents, made[i].instance);
	}
	answer = answer_of(ec2, documents, error);
	json_decref(documents);
	return answer;
}

static json_t *launch_now(struct ec2 *ec2, struct launch *launch, const json_t *input,
			  const struct token *token, struct aws_error *error)
{
	json_t *answer = NULL;
	struct launched *made;
	size_t n;

	made = make_instances(ec2, launch, doc_int(input, "MinCount", 1), &n, error);
	if (made == NULL)
		return NULL;
	/* Fewer than asked for, but enough: what stopped the others is no error. */
	*error = (struct aws_error){0};
	if (commit_instances(ec2, launch, made, n, token, error) == 0)
		answer = boot_all(ec2, launch, made, n, error);
	else
		release_all(ec2, made, n);
	free_all(made, n);
	return answer;
}

/* The answer to a token seen before: the same instances, as they are now. */
static json_t *answer_again(struct ec2 *ec2, json_t *result, struct aws_error *error)
{
	json_t *documents = json_array(), *answer;
	char key[EC2_KEY_MAX];
	const json_t *id;
	size_t i;

	json_array_foreach (doc_array(result, "InstanceIds"), i, id) {
		json_t *document;

		instance_key(json_string_value(id), key);
		document = store_get(ec2->store, key, NULL);
		if (document != NULL)
			json_array_append_new(documents, document);
	}
	if (json_array_size(documents) > 0)
		answer = answer_of(ec2, documents, error);
	else
		answer = json_pack("{s:s, s:s, s:[], s:[]}", "ReservationId",
				   doc_str(result, "ReservationId", ""), "OwnerId", ec2->account_id,
				   "Groups", "Instances");
	json_decref(documents);
	json_decref(result);
	return answer;
}

/* Regional without, zonal with a zone or subnet in the request itself. */
static void token_scope(const json_t *input, char scope[96])
{
	const char *place = doc_str(doc_object(input, "Placement"), "AvailabilityZone", "");

	if (*place == '\0')
		place = doc_str(input, "SubnetId", "");
	snprintf(scope, 96, "RunInstances%s%.64s", *place != '\0' ? "@" : "", place);
}

EC2_HANDLER(RunInstances)
{
	struct launch launch = {0};
	json_t *answer = NULL, *result = NULL;
	struct token token;
	char scope[96];

	token_scope(input, scope);
	switch (token_check(ec2, scope, input, &token, &result, error)) {
	case TOKEN_REPEATED:
		return answer_again(ec2, result, error);
	case TOKEN_FAILED:
		return NULL;
	case TOKEN_NEW:
		break;
	}
	if (prepare(ec2, &launch, input, error) == 0)
		answer = launch_now(ec2, &launch, input, &token, error);
	launch_fini(&launch);
	return answer;
}
