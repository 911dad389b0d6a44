/* See launch.h: the documents of an instance, its interface and its volumes. */
#include "lab/ec2/launch.h"

#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/interface.h"
#include "lab/ec2/profile.h"
#include "lab/ec2/volume.h"

const json_t *launch_interface(const struct launch *launch)
{
	return json_array_get(doc_array(launch->data, "NetworkInterfaces"), 0);
}

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

/* --- the instance --- */

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

/* Burstable types have credits: as asked for, or as their family has them. */
static const char *credits_of(const struct launch *launch)
{
	const char *own = launch->type.family->credits;

	return own == NULL
		   ? NULL
		   : doc_str(doc_object(launch->data, "CreditSpecification"), "CpuCredits", own);
}

static json_t *lab_members(const struct ec2 *ec2, const struct launch *launch)
{
	const json_t *data = launch->data;

	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:s, s:s, s:s, s:s*}", "ReservationId",
			 launch->reservation_id, "OwnerId", ec2->account_id, "UserData",
			 doc_str(data, "UserData", ""), "DisableApiTermination",
			 doc_bool(data, "DisableApiTermination", false), "DisableApiStop",
			 doc_bool(data, "DisableApiStop", false),
			 "InstanceInitiatedShutdownBehavior",
			 doc_str(data, "InstanceInitiatedShutdownBehavior", "stop"), "Status", "ok",
			 "Reachability", "passed", "CpuCredits", credits_of(launch));
}

static json_t *placement(const struct launch *launch)
{
	const json_t *given = doc_object(launch->data, "Placement");

	return json_pack("{s:s, s:s, s:s, s:s}", "AvailabilityZone",
			 doc_str(launch->subnet, "AvailabilityZone", ""), "AvailabilityZoneId",
			 doc_str(launch->subnet, "AvailabilityZoneId", ""), "GroupName",
			 doc_str(given, "GroupName", ""), "Tenancy",
			 doc_str(given, "Tenancy", "default"));
}

/* Options of EC2 that a lab has no use for, as AWS shows them. */
static json_t *idle_options(const struct launch *launch)
{
	const json_t *data = launch->data;
	const json_t *names = doc_object(data, "PrivateDnsNameOptions");
	const char *market = doc_str(doc_object(data, "InstanceMarketOptions"), "MarketType", NULL);

	return json_pack(
	    "{s:s*, s:{s:i, s:i}, s:{s:b}, s:{s:b}, s:{s:s}, s:{s:s}, s:{s:s, s:b, s:b}}",
	    "InstanceLifecycle", market, "CpuOptions", "CoreCount", launch->type.cores,
	    "ThreadsPerCore", launch->type.vcpus / launch->type.cores, "EnclaveOptions", "Enabled",
	    doc_bool(doc_object(data, "EnclaveOptions"), "Enabled", false), "HibernationOptions",
	    "Configured", doc_bool(doc_object(data, "HibernationOptions"), "Configured", false),
	    "CapacityReservationSpecification", "CapacityReservationPreference",
	    doc_str(doc_object(data, "CapacityReservationSpecification"),
		    "CapacityReservationPreference", "open"),
	    "MaintenanceOptions", "AutoRecovery",
	    doc_str(doc_object(data, "MaintenanceOptions"), "AutoRecovery", "default"),
	    "PrivateDnsNameOptions", "HostnameType", doc_str(names, "HostnameType", "ip-name"),
	    "EnableResourceNameDnsARecord", doc_bool(names, "EnableResourceNameDnsARecord", false),
	    "EnableResourceNameDnsAAAARecord",
	    doc_bool(names, "EnableResourceNameDnsAAAARecord", false));
}

static json_t *instance_document(const struct ec2 *ec2, const struct launch *launch, const char *id,
				 int index)
{
	const json_t *data = launch->data;
	bool is_monitored = doc_bool(doc_object(data, "Monitoring"), "Enabled", false);
	char now[CLOCK_TEXT_MAX];
	json_t *document;

	ec2_now(ec2, now);
	document = json_pack(
	    "{s:s, s:s, s:s, s:i, s:s, s:o, s:s, s:s, s:s*, s:s*, s:o, s:{s:s}, s:s, s:s, s:s, s:s,"
	    " s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:[], s:[], s:O, s:O*, s:o, s:o}",
	    "InstanceId", id, "ImageId", doc_str(launch->image, "ImageId", ""), "InstanceType",
	    launch->type_name, "AmiLaunchIndex", index, "LaunchTime", now, "State",
	    instance_state_document(INSTANCE_PENDING), "StateTransitionReason", "", "PublicDnsName",
	    "", "KeyName", doc_str(data, "KeyName", NULL), "ClientToken",
	    doc_str(data, "ClientToken", NULL), "Placement", placement(launch), "Monitoring",
	    "State", is_monitored ? "enabled" : "disabled", "Architecture",
	    doc_str(launch->image, "Architecture", "x86_64"), "Hypervisor", "xen", "RootDeviceName",
	    doc_str(launch->image, "RootDeviceName", "/dev/xvda"), "RootDeviceType", "ebs",
	    "VirtualizationType", "hvm", "PlatformDetails", "Linux/UNIX", "UsageOperation",
	    "RunInstances", "UsageOperationUpdateTime", now, "EbsOptimized",
	    doc_bool(data, "EbsOptimized", false), "EnaSupport", 1, "SourceDestCheck", 1,
	    "BlockDeviceMappings", "ProductCodes", "Tags", launch->tags, "IamInstanceProfile",
	    launch->profile, "MetadataOptions", metadata_options(launch), "Lab",
	    lab_members(ec2, launch));
	if (json_object_update_new(document, idle_options(launch)) == 0)
		return document;
	json_decref(document);
	return NULL;
}

/* --- its interface --- */

static bool is_public(const struct launch *launch)
{
	return doc_bool(launch_interface(launch), "AssociatePublicIpAddress",
			doc_bool(launch->subnet, "MapPublicIpOnLaunch", false));
}

static int make_interface(const struct ec2 *ec2, const struct launch *launch, const char *address,
			  struct launched *made)
{
	const json_t *given = launch_interface(launch);
	char dns[96];

	private_dns_name(ec2, address, dns);
	made->interface = interface_document(
	    ec2, &(struct interface_new){
		     .instance_id = doc_str(made->instance, "InstanceId", ""),
		     .address = address,
		     .dns_name = dns,
		     .description = doc_str(given, "Description", ""),
		     .subnet = launch->subnet,
		     .groups = launch->groups,
		     .tags = json_deep_copy(launch->interface_tags),
		     .is_public = is_public(launch),
		     .is_deleted_with_instance = doc_bool(given, "DeleteOnTermination", true),
		 });
	if (made->interface == NULL || interface_show_on(made->instance, made->interface) != 0)
		return -1;
	return json_object_update_new(made->instance,
				      json_pack("{s:s, s:s, s:s, s:s}", "PrivateIpAddress", address,
						"PrivateDnsName", dns, "SubnetId",
						doc_str(launch->subnet, "SubnetId", ""), "VpcId",
						doc_str(launch->subnet, "VpcId", "")));
}

/* --- its volumes --- */

static int make_volumes(struct ec2 *ec2, const struct launch *launch, struct launched *made,
			struct aws_error *error)
{
	const char *zone = doc_str(launch->subnet, "AvailabilityZone", "");
	const json_t *device;
	size_t i;

	made->volumes = json_array();
	json_array_foreach (launch->devices, i, device) {
		const json_t *ebs = doc_object(device, "Ebs");
		json_t *volume = volume_document(ec2, ebs, zone, error);

		if (volume == NULL)
			return -1;
		if (json_object_set_new(volume, "Tags", json_deep_copy(launch->volume_tags)) != 0 ||
		    volume_attach(ec2, volume, made->instance, doc_str(device, "DeviceName", ""),
				  doc_bool(ebs, "DeleteOnTermination", true)) != 0) {
			json_decref(volume);
			return -1;
		}
		if (json_array_append_new(made->volumes, volume) != 0)
			return -1;
	}
	return 0;
}

int launch_make(struct ec2 *ec2, const struct launch *launch, const struct launch_place *place,
		struct launched *made, struct aws_error *error)
{
	*made =
	    (struct launched){.instance = instance_document(ec2, launch, place->id, place->index)};
	if (launch->profile != NULL)
		made->association = profile_association(ec2, place->id, launch->profile);
	if (made->instance != NULL && make_interface(ec2, launch, place->address, made) == 0 &&
	    make_volumes(ec2, launch, made, error) == 0)
		return 0;
	if (error->http_status == 0)
		ec2_error_memory(error);
	launched_fini(made);
	return -1;
}

void launched_put(struct store_txn *txn, const struct launched *made)
{
	json_t *volume;
	size_t i;

	ec2_txn_put(txn, &ec2_instances, json_incref(made->instance));
	ec2_txn_put(txn, &ec2_network_interfaces, json_incref(made->interface));
	json_array_foreach (made->volumes, i, volume) {
		ec2_txn_put(txn, &ec2_volumes, json_incref(volume));
	}
	if (made->association != NULL)
		ec2_txn_put(txn, &ec2_profile_associations, json_incref(made->association));
}

void launched_fini(struct launched *made)
{
	json_decref(made->instance);
	json_decref(made->interface);
	json_decref(made->volumes);
	json_decref(made->association);
	*made = (struct launched){0};
}
