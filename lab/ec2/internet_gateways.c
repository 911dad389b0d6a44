/* Internet gateways, attached to one VPC at most. */
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/resource.h"

static const struct filter_field fields[] = {
    {"internet-gateway-id", "InternetGatewayId"},
    {"attachment.vpc-id", "Attachments.VpcId"},
    {"attachment.state", "Attachments.State"},
    {"owner-id", "OwnerId"},
    {NULL, NULL},
};

const struct ec2_noun ec2_internet_gateways = {
    .folder = "ec2/internet-gateway/",
    .output = "InternetGateways",
    .ids_input = "InternetGatewayIds",
    .id_member = "InternetGatewayId",
    .id_prefix = "igw",
    .malformed = "InvalidInternetGatewayId.Malformed",
    .not_found = "InvalidInternetGatewayID.NotFound",
    .label = "internetGateway ID",
    .fields = fields,
    .is_paged = true,
    .resource_type = "internet-gateway",
};

EC2_DESCRIBE(DescribeInternetGateways, ec2_internet_gateways)

EC2_HANDLER(CreateInternetGateway)
{
	char id[ID_TEXT_MAX];
	json_t *gateway =
	    ec2_create(ec2, &ec2_internet_gateways, input,
		       json_pack("{s:s, s:s, s:[]}", "InternetGatewayId", id_ec2(NULL, "igw", id),
				 "OwnerId", ec2->account_id, "Attachments"),
		       error);

	return gateway == NULL ? NULL : json_pack("{s:o}", "InternetGateway", gateway);
}

static const char *attached_vpc(const json_t *gateway)
{
	return doc_str(json_array_get(doc_array(gateway, "Attachments"), 0), "VpcId", "");
}

static int check_attach(struct ec2 *ec2, const json_t *gateway, const char *vpc_id,
			struct aws_error *error)
{
	if (ec2_check_exists(ec2, &ec2_vpcs, vpc_id, error) != 0)
		return -1;
	if (*attached_vpc(gateway) != '\0') {
		aws_error_set(error, 400, "Resource.AlreadyAssociated",
			      "resource %s is already attached to network %s",
			      doc_str(gateway, "InternetGatewayId", ""), attached_vpc(gateway));
		return -1;
	}
	if (ec2_count_by(ec2, &ec2_internet_gateways, "Attachments.VpcId", vpc_id) == 0)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "Network %s already has an internet gateway attached", vpc_id);
	return -1;
}

EC2_HANDLER(AttachInternetGateway)
{
	json_t *gateway = ec2_find(ec2, &ec2_internet_gateways, input, error);
	const char *vpc_id = doc_str(input, "VpcId", "");

	if (gateway == NULL)
		return NULL;
	if (check_attach(ec2, gateway, vpc_id, error) != 0) {
		json_decref(gateway);
		return NULL;
	}
	json_object_set_new(gateway, "Attachments",
			    json_pack("[{s:s, s:s}]", "State", "available", "VpcId", vpc_id));
	return ec2_update(ec2, &ec2_internet_gateways, input, gateway, error);
}

/* Does an address of the VPC's reach the world by way of the gateway? */
static bool has_public_address(struct ec2 *ec2, const char *vpc_id)
{
	json_t *interfaces = ec2_find_all(ec2, &ec2_network_interfaces, "VpcId", vpc_id);
	const json_t *interface;
	bool found = false;
	size_t i;

	json_array_foreach (interfaces, i, interface) {
		found |= doc_has(interface, "Association");
	}
	json_decref(interfaces);
	return found;
}

static int check_detach(struct ec2 *ec2, const json_t *gateway, const char *vpc_id,
			struct aws_error *error)
{
	if (ec2_check_exists(ec2, &ec2_vpcs, vpc_id, error) != 0)
		return -1;
	if (strcmp(attached_vpc(gateway), vpc_id) != 0) {
		aws_error_set(error, 400, "Gateway.NotAttached",
			      "resource %s is not attached to network %s",
			      doc_str(gateway, "InternetGatewayId", ""), vpc_id);
		return -1;
	}
	if (!has_public_address(ec2, vpc_id))
		return 0;
	aws_error_set(error, 400, "DependencyViolation",
		      "Network %s has some mapped public address(es). Please unmap those public "
		      "address(es) before detaching the gateway.",
		      vpc_id);
	return -1;
}

EC2_HANDLER(DetachInternetGateway)
{
	json_t *gateway = ec2_find(ec2, &ec2_internet_gateways, input, error);

	if (gateway == NULL)
		return NULL;
	if (check_detach(ec2, gateway, doc_str(input, "VpcId", ""), error) != 0) {
		json_decref(gateway);
		return NULL;
	}
	json_object_set_new(gateway, "Attachments", json_array());
	return ec2_update(ec2, &ec2_internet_gateways, input, gateway, error);
}

EC2_HANDLER(DeleteInternetGateway)
{
	json_t *gateway = ec2_find(ec2, &ec2_internet_gateways, input, error);
	bool is_attached = *attached_vpc(gateway) != '\0';

	json_decref(gateway);
	if (gateway == NULL)
		return NULL;
	if (!is_attached)
		return ec2_delete(ec2, &ec2_internet_gateways, input, error);
	aws_error_set(error, 400, "DependencyViolation",
		      "The internetGateway '%s' has dependencies and cannot be deleted.",
		      doc_str(input, "InternetGatewayId", ""));
	return NULL;
}
