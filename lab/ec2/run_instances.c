/*
 * RunInstances: parameters put together and checked, addresses leased, documents written in one
 * transaction with the client token, and only then the runtime asked to boot.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "lab/ec2/defaults.h"
#include "lab/ec2/instance.h"
#include "lab/ec2/instance_types.h"
#include "lab/ec2/template.h"
#include "lab/ec2/tokens.h"

#define AWS_ACTION AWS_DECLARE_ACTION
#include "lab/ec2/ec2.def"
#undef AWS_ACTION

static const char default_type[] = "t2.micro";

/* All that the instances of one call share. */
struct launch {
	json_t *data;         /* parameters, the request's over its template's */
	char template_id[64]; /* "" without a template */
	int64_t template_version;
	json_t *image, *subnet;
	json_t *groups; /* [{GroupId, GroupName}] */
	json_t *tags;
	const char *type_name; /* borrowed from data */
	struct instance_type type;
	int64_t count;
	char reservation_id[ID_TEXT_MAX];
};

static void launch_fini(struct launch *launch)
{
	json_decref(launch->data);
	json_decref(launch->image);
	json_decref(launch->subnet);
	json_decref(launch->groups);
	json_decref(launch->tags);
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
	if (instance_type_find(launch->type_name, &launch->type) == 0)
		return template_check_user_data(doc_str(launch->data, "UserData", ""), error);
	aws_error_set(error, 400, "InvalidParameterValue", "Invalid value '%s' for InstanceType.",
		      launch->type_name);
	return -1;
}

static const json_t *first_interface(const struct launch *launch)
{
	return json_array_get(doc_array(launch->data, "NetworkInterfaces"), 0);
}

static int check_interfaces(const struct launch *launch, struct aws_error *error)
{
	bool has_own = doc_has(launch->data, "SubnetId") ||
		       doc_has(launch->data, "SecurityGroupIds") ||
		       doc_has(launch->data, "SecurityGroups");

	if (first_interface(launch) == NULL || !has_own)
		return 0;
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

	if (first_interface(launch) != NULL)
		id = doc_str(first_interface(launch), "SubnetId", "");
	if (*id == '\0') {
		launch->subnet = choose_subnet(ec2, zone);
		if (launch->subnet != NULL)
			return 0;
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Invalid availability zone: [%s]", zone);
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

static int add_group(struct launch *launch, const json_t *group)
{
	return json_array_append_new(
	    launch->groups, json_pack("{s:s, s:s}", "GroupId", doc_str(group, "GroupId", ""),
				      "GroupName", doc_str(group, "GroupName", "")));
}

static int add_group_by_name(struct ec2 *ec2, struct launch *launch, const char *name,
			     struct aws_error *error)
{
	json_t *groups = ec2_scan(ec2, ec2_security_groups.folder), *group;
	int result = 1;
	size_t i;

	json_array_foreach (groups, i, group) {
		if (strcmp(doc_str(group, "GroupName", ""), name) == 0)
			result = add_group(launch, group);
	}
	json_decref(groups);
	if (result == 1)
		aws_error_set(error, 400, "InvalidGroup.NotFound",
			      "The security group '%s' does not exist", name);
	return result;
}

static int find_groups(struct ec2 *ec2, struct launch *launch, struct aws_error *error)
{
	const json_t *ids = doc_array(launch->data, "SecurityGroupIds"), *name;
	const json_t *names = doc_array(launch->data, "SecurityGroups");
	size_t i;

	if (first_interface(launch) != NULL)
		ids = doc_array(first_interface(launch), "Groups");
	launch->groups = json_array();
	json_array_foreach (ids, i, name) {
		json_t *group = ec2_get(ec2, &ec2_security_groups, json_string_value(name), error);

		if (group == NULL)
			return -1;
		add_group(launch, group);
		json_decref(group);
	}
	json_array_foreach (names, i, name) {
		if (add_group_by_name(ec2, launch, json_string_value(name), error) != 0)
			return -1;
	}
	if (json_array_size(launch->groups) > 0)
		return 0;
	return add_group_by_name(ec2, launch, "default", error) == 0 ? 0 : -1;
}

static int find_tags(struct launch *launch, struct aws_error *error)
{
	char version[24];

	launch->tags =
	    ec2_spec_tags(doc_array(launch->data, "TagSpecifications"), "instance", error);
	if (launch->tags == NULL)
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
	    find_subnet(ec2, launch, error) != 0 || find_groups(ec2, launch, error) != 0 ||
	    find_tags(launch, error) != 0)
		return -1;
	id_ec2(NULL, "r", launch->reservation_id);
	return ec2_is_dry_run(input, error) ? -1 : 0;
}

/* --- documents --- */

/* ip-127-31-0-4.ec2.internal */
static void private_dns_name(const struct ec2 *ec2, const char *address, char name[96])
{
	bool is_first_region = strcmp(ec2->region, "us-east-1") == 0;

	snprintf(name, 96, "ip-%s", address);
	for (char *c = name; *c != '\0'; c++)
		if (*c == '.')
			*c = '-';
	snprintf(name + strlen(name), 96 - strlen(name), ".%.48s%s",
		 is_first_region ? "ec2" : ec2->region,
		 is_first_region ? ".internal" : ".compute.internal");
}

static int add_network(const struct ec2 *ec2, const struct launch *launch, json_t *document,
		       const char *address)
{
	const char *subnet_id = doc_str(launch->subnet, "SubnetId", "");
	const char *vpc_id = doc_str(launch->subnet, "VpcId", "");
	char eni[ID_TEXT_MAX], mac[32], dns[96];
	uint64_t random = id_random(NULL);
	json_t *interface;

	private_dns_name(ec2, address, dns);
	snprintf(mac, sizeof(mac), "0a:ff:%02x:%02x:%02x:%02x", (unsigned)(random & 255),
		 (unsigned)(random >> 8 & 255), (unsigned)(random >> 16 & 255),
		 (unsigned)(random >> 24 & 255));
	interface =
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:O, s:s,"
		      " s:{s:i, s:s, s:b}, s:[{s:b, s:s}]}",
		      "NetworkInterfaceId", id_ec2(NULL, "eni", eni), "SubnetId", subnet_id,
		      "VpcId", vpc_id, "MacAddress", mac, "OwnerId", ec2->account_id,
		      "PrivateDnsName", dns, "PrivateIpAddress", address, "Status", "in-use",
		      "SourceDestCheck", 1, "Groups", launch->groups, "InterfaceType", "interface",
		      "Attachment", "DeviceIndex", 0, "Status", "attached", "DeleteOnTermination",
		      1, "PrivateIpAddresses", "Primary", 1, "PrivateIpAddress", address);
	return json_object_update_new(
	    document, json_pack("{s:s, s:s, s:s, s:s, s:s, s:O, s:[o]}", "PrivateIpAddress",
				address, "PublicIpAddress", address, "PrivateDnsName", dns,
				"SubnetId", subnet_id, "VpcId", vpc_id, "SecurityGroups",
				launch->groups, "NetworkInterfaces", interface));
}

/* What the caller chose, or AWS's defaults.  Tokens are required, as for new accounts. */
static json_t *metadata_options(const struct launch *launch)
{
	const json_t *given = doc_object(launch->data, "MetadataOptions");

	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "State", "applied", "HttpTokens",
			 doc_str(given, "HttpTokens", "required"), "HttpPutResponseHopLimit",
			 (json_int_t)doc_int(given, "HttpPutResponseHopLimit", 2), "HttpEndpoint",
			 doc_str(given, "HttpEndpoint", "enabled"), "HttpProtocolIpv6",
			 doc_str(given, "HttpProtocolIpv6", "disabled"), "InstanceMetadataTags",
			 doc_str(given, "InstanceMetadataTags", "disabled"));
}

static json_t *lab_members(const struct ec2 *ec2, const struct launch *launch)
{
	const json_t *data = launch->data;

	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s}", "ReservationId",
			 launch->reservation_id, "OwnerId", ec2->account_id, "UserData",
			 doc_str(data, "UserData", ""), "DisableApiTermination",
			 doc_bool(data, "DisableApiTermination", false),
			 "InstanceInitiatedShutdownBehavior",
			 doc_str(data, "InstanceInitiatedShutdownBehavior", "stop"), "Status", "ok",
			 "Reachability", "passed");
}

static json_t *instance_document(const struct ec2 *ec2, const struct launch *launch, const char *id,
				 int index, const char *address)
{
	const json_t *data = launch->data, *placement = doc_object(data, "Placement");
	bool is_monitored = doc_bool(doc_object(data, "Monitoring"), "Enabled", false);
	char now[CLOCK_TEXT_MAX];
	json_t *document = json_pack(
	    "{s:s, s:s, s:s, s:i, s:s, s:o, s:s, s:s, s:s*, s:s*, s:{s:s, s:s, s:s}, s:{s:s},"
	    " s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:[], s:[], s:O, s:o, s:{s:i, s:i},"
	    " s:{s:b}, s:o}",
	    "InstanceId", id, "ImageId", doc_str(launch->image, "ImageId", ""), "InstanceType",
	    launch->type_name, "AmiLaunchIndex", index, "LaunchTime",
	    clock_format_iso(clock_now_ms(ec2->clock), now), "State",
	    instance_state_document(INSTANCE_PENDING), "StateTransitionReason", "", "PublicDnsName",
	    "", "KeyName", doc_str(data, "KeyName", NULL), "ClientToken",
	    doc_str(data, "ClientToken", NULL), "Placement", "AvailabilityZone",
	    doc_str(launch->subnet, "AvailabilityZone", ""), "GroupName",
	    doc_str(placement, "GroupName", ""), "Tenancy",
	    doc_str(placement, "Tenancy", "default"), "Monitoring", "State",
	    is_monitored ? "enabled" : "disabled", "Architecture",
	    doc_str(launch->image, "Architecture", "x86_64"), "Hypervisor", "xen", "RootDeviceName",
	    doc_str(launch->image, "RootDeviceName", "/dev/xvda"), "RootDeviceType", "ebs",
	    "VirtualizationType", "hvm", "PlatformDetails", "Linux/UNIX", "EbsOptimized",
	    doc_bool(data, "EbsOptimized", false), "EnaSupport", 1, "SourceDestCheck", 1,
	    "BlockDeviceMappings", "ProductCodes", "Tags", launch->tags, "MetadataOptions",
	    metadata_options(launch), "CpuOptions", "CoreCount", launch->type.vcpus,
	    "ThreadsPerCore", 1, "EnclaveOptions", "Enabled", 0, "Lab", lab_members(ec2, launch));

	if (document == NULL || add_network(ec2, launch, document, address) != 0) {
		json_decref(document);
		return NULL;
	}
	return document;
}

/* --- launching --- */

static void release_all(struct ec2 *ec2, const json_t *documents)
{
	const json_t *document;
	size_t i;

	json_array_foreach (documents, i, document) {
		ec2->runtime->release(ec2->runtime_arg, doc_str(document, "InstanceId", ""));
	}
}

/* Leases addresses and makes the documents; at least min of them or none. */
static json_t *make_instances(struct ec2 *ec2, const struct launch *launch, int64_t min,
			      struct aws_error *error)
{
	const char *cidr = doc_str(launch->subnet, "CidrBlock", "");
	char id[ID_TEXT_MAX], address[EC2_ADDRESS_MAX];
	json_t *documents = json_array();
	struct err err = {0};

	for (int i = 0; i < launch->count; i++) {
		json_t *document;

		id_ec2(NULL, "i", id);
		if (ec2->runtime->lease(ec2->runtime_arg, id, cidr, address, &err) != 0)
			break;
		document = instance_document(ec2, launch, id, i, address);
		if (json_array_append_new(documents, document) != 0) {
			ec2->runtime->release(ec2->runtime_arg, id);
			break;
		}
	}
	if (json_array_size(documents) > 0 && (int64_t)json_array_size(documents) >= min)
		return documents;
	aws_error_set(error, 400, "InsufficientFreeAddressesInSubnet",
		      "There are not enough free addresses in subnet %s: %s",
		      doc_str(launch->subnet, "SubnetId", ""),
		      err.text[0] != '\0' ? err.text : "out of memory");
	release_all(ec2, documents);
	json_decref(documents);
	return NULL;
}

static int commit_instances(struct ec2 *ec2, const struct launch *launch, const json_t *documents,
			    const struct token *token, struct aws_error *error)
{
	struct store_txn *txn = store_begin(ec2->store);
	json_t *ids = json_array(), *document;
	char key[EC2_KEY_MAX];
	struct err err = {0};
	size_t i;

	if (txn == NULL || ids == NULL) {
		if (txn != NULL)
			store_abort(txn);
		json_decref(ids);
		ec2_error_memory(error);
		return -1;
	}
	json_array_foreach (documents, i, document) {
		const char *id = doc_str(document, "InstanceId", "");

		json_array_append_new(ids, json_string(id));
		instance_key(id, key);
		store_put(txn, key, json_deep_copy(document));
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

static json_t *launch_now(struct ec2 *ec2, struct launch *launch, const json_t *input,
			  const struct token *token, struct aws_error *error)
{
	json_t *documents, *document, *answer;
	size_t i;

	documents = make_instances(ec2, launch, doc_int(input, "MinCount", 1), error);
	if (documents == NULL)
		return NULL;
	if (commit_instances(ec2, launch, documents, token, error) != 0) {
		release_all(ec2, documents);
		json_decref(documents);
		return NULL;
	}
	json_array_foreach (documents, i, document) {
		log_info("instance-launch", "id=%s type=%s zone=%s address=%s template=%s",
			 doc_str(document, "InstanceId", ""), launch->type_name,
			 doc_str(launch->subnet, "AvailabilityZone", ""),
			 doc_str(document, "PrivateIpAddress", ""), launch->template_id);
		ec2->runtime->start(ec2->runtime_arg, document, instance_user_data(document));
	}
	answer = answer_of(ec2, documents, error);
	json_decref(documents);
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

json_t *handle_RunInstances(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	struct ec2 *ec2 = context;
	struct launch launch = {0};
	json_t *answer = NULL, *result = NULL;
	struct token token;
	char scope[96];

	(void)call;
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
