/* Instances described; the launch is in run_instances.c, changes of state in instance_states.c. */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/instance.h"

static const struct filter_field fields[] = {
    {"instance-id", "InstanceId"},
    {"instance-state-name", "State.Name"},
    {"instance-state-code", "State.Code"},
    {"instance-type", "InstanceType"},
    {"instance-lifecycle", "InstanceLifecycle"},
    {"image-id", "ImageId"},
    {"availability-zone", "Placement.AvailabilityZone"},
    {"subnet-id", "SubnetId"},
    {"vpc-id", "VpcId"},
    {"private-ip-address", "PrivateIpAddress"},
    {"ip-address", "PublicIpAddress"},
    {"private-dns-name", "PrivateDnsName"},
    {"dns-name", "PublicDnsName"},
    {"network-interface.subnet-id", "NetworkInterfaces.SubnetId"},
    {"network-interface.vpc-id", "NetworkInterfaces.VpcId"},
    {"network-interface.network-interface-id", "NetworkInterfaces.NetworkInterfaceId"},
    {"network-interface.addresses.private-ip-address", "NetworkInterfaces.PrivateIpAddress"},
    {"network-interface.group-id", "NetworkInterfaces.Groups.GroupId"},
    {"instance.group-id", "SecurityGroups.GroupId"},
    {"instance.group-name", "SecurityGroups.GroupName"},
    {"group-id", "SecurityGroups.GroupId"},
    {"group-name", "SecurityGroups.GroupName"},
    {"key-name", "KeyName"},
    {"client-token", "ClientToken"},
    {"launch-time", "LaunchTime"},
    {"launch-index", "AmiLaunchIndex"},
    {"architecture", "Architecture"},
    {"hypervisor", "Hypervisor"},
    {"platform", "Platform"},
    {"owner-id", "Lab.OwnerId"},
    {"reservation-id", "Lab.ReservationId"},
    {"monitoring-state", "Monitoring.State"},
    {"tenancy", "Placement.Tenancy"},
    {"placement-group-name", "Placement.GroupName"},
    {"root-device-type", "RootDeviceType"},
    {"root-device-name", "RootDeviceName"},
    {"virtualization-type", "VirtualizationType"},
    {"state-reason-code", "StateReason.Code"},
    {"reason", "StateTransitionReason"},
    {"source-dest-check", "SourceDestCheck"},
    {"iam-instance-profile.arn", "IamInstanceProfile.Arn"},
    {"iam-instance-profile.id", "IamInstanceProfile.Id"},
    {"block-device-mapping.volume-id", "BlockDeviceMappings.Ebs.VolumeId"},
    {"block-device-mapping.device-name", "BlockDeviceMappings.DeviceName"},
    {"block-device-mapping.status", "BlockDeviceMappings.Ebs.Status"},
    {"block-device-mapping.attach-time", "BlockDeviceMappings.Ebs.AttachTime"},
    {"block-device-mapping.delete-on-termination", "BlockDeviceMappings.Ebs.DeleteOnTermination"},
    {"network-interface.attachment.attachment-id", "NetworkInterfaces.Attachment.AttachmentId"},
    {"network-interface.attachment.instance-id", "NetworkInterfaces.Attachment.InstanceId"},
    {"network-interface.attachment.device-index", "NetworkInterfaces.Attachment.DeviceIndex"},
    {"network-interface.attachment.status", "NetworkInterfaces.Attachment.Status"},
    {"network-interface.addresses.primary", "NetworkInterfaces.PrivateIpAddresses.Primary"},
    {"network-interface.addresses.association.public-ip", "NetworkInterfaces.Association.PublicIp"},
    {"network-interface.association.public-ip", "NetworkInterfaces.Association.PublicIp"},
    {"network-interface.association.allocation-id", "NetworkInterfaces.Association.AllocationId"},
    {"network-interface.association.association-id", "NetworkInterfaces.Association.AssociationId"},
    {"network-interface.association.ip-owner-id", "NetworkInterfaces.Association.IpOwnerId"},
    {"network-interface.availability-zone", "NetworkInterfaces.AvailabilityZone"},
    {"network-interface.description", "NetworkInterfaces.Description"},
    {"network-interface.group-name", "NetworkInterfaces.Groups.GroupName"},
    {"network-interface.mac-address", "NetworkInterfaces.MacAddress"},
    {"network-interface.owner-id", "NetworkInterfaces.OwnerId"},
    {"network-interface.private-dns-name", "NetworkInterfaces.PrivateDnsName"},
    {"network-interface.private-ip-address", "NetworkInterfaces.PrivateIpAddress"},
    {"network-interface.source-dest-check", "NetworkInterfaces.SourceDestCheck"},
    {"network-interface.status", "NetworkInterfaces.Status"},
    {"availability-zone-id", "Placement.AvailabilityZoneId"},
    {"enclave-options.enabled", "EnclaveOptions.Enabled"},
    {"hibernation-options.configured", "HibernationOptions.Configured"},
    {"kernel-id", "KernelId"},
    {"ramdisk-id", "RamdiskId"},
    {"maintenance-options.auto-recovery", "MaintenanceOptions.AutoRecovery"},
    {"metadata-options.http-endpoint", "MetadataOptions.HttpEndpoint"},
    {"metadata-options.http-put-response-hop-limit", "MetadataOptions.HttpPutResponseHopLimit"},
    {"metadata-options.http-protocol-ipv6", "MetadataOptions.HttpProtocolIpv6"},
    {"metadata-options.instance-metadata-tags", "MetadataOptions.InstanceMetadataTags"},
    {"metadata-options.state", "MetadataOptions.State"},
    {"platform-details", "PlatformDetails"},
    {"product-code", "ProductCodes.ProductCodeId"},
    {"spot-instance-request-id", "SpotInstanceRequestId"},
    {"state-reason-message", "StateReason.Message"},
    {"usage-operation", "UsageOperation"},
    {"affinity", "Placement.Affinity"},
    {"capacity-reservation-id", "CapacityReservationId"},
    {"host-id", "Placement.HostId"},
    {"network-interface.addresses.association.ip-owner-id",
     "NetworkInterfaces.Association.IpOwnerId"},
    {"network-interface.attachment.instance-owner-id",
     "NetworkInterfaces.Attachment.InstanceOwnerId"},
    {"network-interface.attachment.attach-time", "NetworkInterfaces.Attachment.AttachTime"},
    {"network-interface.attachment.delete-on-termination",
     "NetworkInterfaces.Attachment.DeleteOnTermination"},
    {"network-interface.ipv6-addresses.ipv6-address",
     "NetworkInterfaces.Ipv6Addresses.Ipv6Address"},
    {"network-interface.requester-id", "NetworkInterfaces.RequesterId"},
    {"network-interface.requester-managed", "NetworkInterfaces.RequesterManaged"},
    {"outpost-arn", "OutpostArn"},
    {"placement-partition-number", "Placement.PartitionNumber"},
    {"product-code.type", "ProductCodes.ProductCodeType"},
    {"requester-id", "Lab.RequesterId"},
    {"metadata-options.http-tokens", "MetadataOptions.HttpTokens"},
    {NULL, NULL},
};

const struct ec2_noun ec2_instances = {
    .folder = "ec2/instance/",
    .output = "Instances",
    .ids_input = "InstanceIds",
    .id_member = "InstanceId",
    .id_prefix = "i",
    .malformed = "InvalidInstanceID.Malformed",
    .not_found = "InvalidInstanceID.NotFound",
    .label = "instance ID",
    .sort_member = "LaunchTime",
    .fields = fields,
    .is_paged = true,
    .resource_type = "instance",
};

static const struct {
	const char *name;
	int code;
} states[INSTANCE_STATES] = {
    [INSTANCE_PENDING] = {"pending", 0},
    [INSTANCE_RUNNING] = {"running", 16},
    [INSTANCE_SHUTTING_DOWN] = {"shutting-down", 32},
    [INSTANCE_TERMINATED] = {"terminated", 48},
    [INSTANCE_STOPPING] = {"stopping", 64},
    [INSTANCE_STOPPED] = {"stopped", 80},
};

void instance_key(const char *id, char key[EC2_KEY_MAX])
{
	snprintf(key, EC2_KEY_MAX, "%s%s", ec2_instances.folder, id);
}

json_t *instance_state_document(enum instance_state state)
{
	return json_pack("{s:i, s:s}", "Code", states[state].code, "Name", states[state].name);
}

enum instance_state instance_state_of(const json_t *document)
{
	const char *name = doc_str(json_object_get(document, "State"), "Name", "");

	for (int i = 0; i < INSTANCE_STATES; i++)
		if (strcmp(name, states[i].name) == 0)
			return (enum instance_state)i;
	return INSTANCE_TERMINATED;
}

int instance_set_state(json_t *document, enum instance_state state)
{
	return json_object_set_new(document, "State", instance_state_document(state));
}

int instance_set_reason(json_t *document, const char *code, const char *message)
{
	if (*code == '\0') {
		json_object_del(document, "StateReason");
		return json_object_set_new(document, "StateTransitionReason", json_string(""));
	}
	return json_object_set_new(document, "StateReason",
				   json_pack("{s:s, s:s}", "Code", code, "Message", message));
}

const char *instance_user_data(const json_t *document)
{
	return doc_str(json_object_get(document, "Lab"), "UserData", "");
}

json_t *instance_shown(const json_t *document)
{
	json_t *copy = json_copy((json_t *)document);

	if (copy != NULL)
		json_object_del(copy, "Lab");
	return copy;
}

json_t *instance_reservations(const struct ec2 *ec2, const json_t *documents)
{
	json_t *reservations = json_array(), *document;
	size_t i;

	json_array_foreach (documents, i, document) {
		const char *id = doc_str(json_object_get(document, "Lab"), "ReservationId", "");
		json_t *reservation = doc_find(reservations, "ReservationId", id);

		if (reservation == NULL) {
			reservation = json_pack("{s:s, s:s, s:[], s:[]}", "ReservationId", id,
						"OwnerId", ec2->account_id, "Groups", "Instances");
			if (json_array_append_new(reservations, reservation) != 0)
				goto oom;
		}
		if (json_array_append_new(json_object_get(reservation, "Instances"),
					  instance_shown(document)) != 0)
			goto oom;
	}
	return reservations;
oom:
	json_decref(reservations);
	return NULL;
}

EC2_HANDLER(DescribeInstances)
{
	json_t *found = ec2_describe(ec2, &ec2_instances, input, NULL, error), *answer;

	if (found == NULL)
		return NULL;
	answer = json_pack("{s:o, s:s*}", "Reservations",
			   instance_reservations(ec2, doc_array(found, "Instances")), "NextToken",
			   doc_str(found, "NextToken", NULL));
	if (answer == NULL)
		ec2_error_memory(error);
	json_decref(found);
	return answer;
}

/* --- status --- */

static const struct filter_field status_fields[] = {
    {"instance-state-name", "State.Name"},
    {"instance-state-code", "State.Code"},
    {"availability-zone", "Placement.AvailabilityZone"},
    {"event.code", "Events.Code"},
    {"event.description", "Events.Description"},
    {"event.instance-event-id", "Events.InstanceEventId"},
    {"event.not-after", "Events.NotAfter"},
    {"event.not-before", "Events.NotBefore"},
    {"event.not-before-deadline", "Events.NotBeforeDeadline"},
    /* All that runs is well: the lab has no failing hardware. */
    {"instance-status.status", "Lab.Status"},
    {"system-status.status", "Lab.Status"},
    {"instance-status.reachability", "Lab.Reachability"},
    {"system-status.reachability", "Lab.Reachability"},
    {NULL, NULL},
};

static bool is_shown_in_status(const json_t *document, const json_t *input)
{
	return doc_bool(input, "IncludeAllInstances", false) ||
	       instance_state_of(document) == INSTANCE_RUNNING;
}

static json_t *status_document(const json_t *document)
{
	bool is_running = instance_state_of(document) == INSTANCE_RUNNING;
	const char *status = is_running ? "ok" : "not-applicable";
	json_t *summary = json_pack("{s:s, s:[]}", "Status", status, "Details");

	if (is_running)
		json_array_append_new(
		    json_object_get(summary, "Details"),
		    json_pack("{s:s, s:s}", "Name", "reachability", "Status", "passed"));
	return json_pack("{s:s, s:s, s:O, s:O, s:o, s:[]}", "InstanceId",
			 doc_str(document, "InstanceId", ""), "AvailabilityZone",
			 doc_str(doc_object(document, "Placement"), "AvailabilityZone", ""),
			 "InstanceState", json_object_get(document, "State"), "InstanceStatus",
			 summary, "SystemStatus", summary, "Events");
}

EC2_HANDLER(DescribeInstanceStatus)
{
	struct ec2_noun noun = ec2_instances;
	json_t *found, *list, *document, *answer;
	size_t i;

	noun.fields = status_fields;
	found = ec2_describe(ec2, &noun, input, is_shown_in_status, error);
	if (found == NULL)
		return NULL;
	list = json_array();
	json_array_foreach (doc_array(found, "Instances"), i, document) {
		json_array_append_new(list, status_document(document));
	}
	answer = json_pack("{s:o, s:s*}", "InstanceStatuses", list, "NextToken",
			   doc_str(found, "NextToken", NULL));
	if (answer == NULL)
		ec2_error_memory(error);
	json_decref(found);
	return answer;
}
