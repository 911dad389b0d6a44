/*
 * Elastic IP addresses.  They are shown wherever AWS shows them, but nothing in a lab listens on
 * them: an instance is reached at its private address.
 */
#include "lab/ec2/elastic_ips.h"

#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/interface.h"

enum { MAX_ADDRESSES = 100 };

static const struct filter_field fields[] = {
    {"allocation-id", "AllocationId"},
    {"association-id", "AssociationId"},
    {"domain", "Domain"},
    {"instance-id", "InstanceId"},
    {"network-border-group", "NetworkBorderGroup"},
    {"network-interface-id", "NetworkInterfaceId"},
    {"network-interface-owner-id", "NetworkInterfaceOwnerId"},
    {"private-ip-address", "PrivateIpAddress"},
    {"public-ip", "PublicIp"},
    {NULL, NULL},
};

const struct ec2_noun ec2_addresses = {
    .folder = "ec2/address/",
    .output = "Addresses",
    .ids_input = "AllocationIds",
    .id_member = "AllocationId",
    .id_prefix = "eipalloc",
    .malformed = "InvalidAllocationID.NotFound",
    .not_found = "InvalidAllocationID.NotFound",
    .label = "allocation ID",
    .fields = fields,
    .resource_type = "elastic-ip",
};

/* --- describing --- */

static void error_no_address(struct aws_error *error, const char *public_ip)
{
	aws_error_set(error, 400, "InvalidAddress.NotFound", "Address '%.40s' not found.",
		      public_ip);
}

static bool is_asked_address(const json_t *address, const json_t *input)
{
	const json_t *asked = doc_array(input, "PublicIps");

	return json_array_size(asked) == 0 || doc_list_has(asked, doc_str(address, "PublicIp", ""));
}

EC2_HANDLER(DescribeAddresses)
{
	const json_t *asked;
	size_t i;

	json_array_foreach (doc_array(input, "PublicIps"), i, asked) {
		if (ec2_count_by(ec2, &ec2_addresses, "PublicIp", json_string_value(asked)) > 0)
			continue;
		error_no_address(error, json_string_value(asked));
		return NULL;
	}
	return ec2_describe(ec2, &ec2_addresses, input, is_asked_address, error);
}

/* None has a reverse name, and so none an attribute. */
EC2_HANDLER(DescribeAddressesAttribute)
{
	json_t *answer = ec2_describe(ec2, &ec2_addresses, input, NULL, error);

	json_array_clear(doc_array(answer, "Addresses"));
	return answer;
}

/* --- allocating --- */

/* The first free of 127.30.0.1 to .254: loopback, so that who tries it is refused at once. */
static int free_address(struct ec2 *ec2, char public_ip[16])
{
	for (uint8_t i = 1; i < 255; i++) {
		snprintf(public_ip, 16, "127.30.0.%u", i);
		if (ec2_count_by(ec2, &ec2_addresses, "PublicIp", public_ip) == 0)
			return 0;
	}
	return -1;
}

EC2_HANDLER(AllocateAddress)
{
	char id[ID_TEXT_MAX], public_ip[16];

	if (ec2_count_by(ec2, &ec2_addresses, NULL, "") >= MAX_ADDRESSES ||
	    free_address(ec2, public_ip) != 0) {
		aws_error_set(error, 400, "AddressLimitExceeded",
			      "The maximum number of addresses has been reached.");
		return NULL;
	}
	if (doc_has(input, "Address")) {
		error_no_address(error, doc_str(input, "Address", ""));
		return NULL;
	}
	return ec2_create(ec2, &ec2_addresses, input,
			  json_pack("{s:s, s:s, s:s, s:s, s:s}", "AllocationId",
				    id_ec2(NULL, "eipalloc", id), "PublicIp", public_ip, "Domain",
				    "vpc", "PublicIpv4Pool", "amazon", "NetworkBorderGroup",
				    ec2->region),
			  error);
}

/* By AllocationId, AssociationId or PublicIp, whichever is given; a copy, or NULL with error. */
static json_t *address_of(struct ec2 *ec2, const json_t *input, struct aws_error *error)
{
	const char *association = doc_str(input, "AssociationId", "");
	const char *public_ip = doc_str(input, "PublicIp", "");
	json_t *address;

	if (*association != '\0') {
		address = ec2_find_by(ec2, &ec2_addresses, "AssociationId", association);
		if (address == NULL)
			aws_error_set(error, 400, "InvalidAssociationID.NotFound",
				      "The association ID '%.80s' does not exist", association);
		return address;
	}
	if (doc_has(input, "AllocationId") || *public_ip == '\0')
		return ec2_find(ec2, &ec2_addresses, input, error);
	address = ec2_find_by(ec2, &ec2_addresses, "PublicIp", public_ip);
	if (address == NULL)
		error_no_address(error, public_ip);
	return address;
}

EC2_HANDLER(ReleaseAddress)
{
	json_t *address = address_of(ec2, input, error);
	struct store_txn *txn;
	bool is_used = doc_has(address, "AssociationId");
	int result = -1;

	if (address == NULL)
		return NULL;
	if (is_used) {
		aws_error_set(error, 400, "InvalidIPAddress.InUse", "Address %s is in use.",
			      doc_str(address, "PublicIp", ""));
	} else {
		txn = store_begin(ec2->store);
		ec2_txn_delete(txn, &ec2_addresses, doc_str(address, "AllocationId", ""));
		result = ec2_commit(txn, input, error);
	}
	json_decref(address);
	return result == 0 ? ec2_answer_true() : NULL;
}

/* --- associating --- */

static void clear_association(json_t *address)
{
	static const char *const members[] = {"AssociationId", "InstanceId", "NetworkInterfaceId",
					      "NetworkInterfaceOwnerId", "PrivateIpAddress"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_object_del(address, members[i]);
}

void elastic_ips_let_go(struct ec2 *ec2, struct store_txn *txn, const char *instance_id)
{
	json_t *list = ec2_find_all(ec2, &ec2_addresses, "InstanceId", instance_id), *one;
	size_t i;

	json_array_foreach (list, i, one) {
		json_t *copy = json_deep_copy(one);

		clear_association(copy);
		ec2_txn_put(txn, &ec2_addresses, copy);
	}
	json_decref(list);
}

/* The interface that the request means, by itself or by its instance; a copy or NULL with error. */
static json_t *interface_asked(struct ec2 *ec2, const json_t *input, struct aws_error *error)
{
	const char *instance_id = doc_str(input, "InstanceId", "");
	json_t *interface;

	if (doc_has(input, "NetworkInterfaceId"))
		return ec2_find(ec2, &ec2_network_interfaces, input, error);
	if (*instance_id == '\0') {
		aws_error_set(error, 400, "MissingParameter",
			      "Either 'InstanceId' or 'NetworkInterfaceId' must be specified");
		return NULL;
	}
	if (ec2_check_exists(ec2, &ec2_instances, instance_id, error) != 0)
		return NULL;
	interface = interface_of_instance(ec2, instance_id);
	if (interface == NULL)
		aws_error_set(error, 400, "IncorrectInstanceState",
			      "The instance '%s' is not in a valid state for this operation.",
			      instance_id);
	return interface;
}

static int check_associate(struct ec2 *ec2, const json_t *address, const json_t *interface,
			   const json_t *input, struct aws_error *error)
{
	const char *vpc_id = doc_str(interface, "VpcId", "");

	if (doc_has(address, "AssociationId") && !doc_bool(input, "AllowReassociation", true)) {
		aws_error_set(error, 400, "Resource.AlreadyAssociated",
			      "resource %s is already associated with associate-id %s",
			      doc_str(address, "AllocationId", ""),
			      doc_str(address, "AssociationId", ""));
		return -1;
	}
	if (ec2_count_by(ec2, &ec2_internet_gateways, "Attachments.VpcId", vpc_id) > 0)
		return 0;
	aws_error_set(error, 400, "Gateway.NotAttached",
		      "Network %s is not attached to any internet gateway", vpc_id);
	return -1;
}

/* What the address was associated with gets its own one back. */
static void release_old_interface(struct ec2 *ec2, struct store_txn *txn, const json_t *address)
{
	json_t *interface = ec2_find_by(ec2, &ec2_network_interfaces, "NetworkInterfaceId",
					doc_str(address, "NetworkInterfaceId", "-"));

	if (interface == NULL)
		return;
	if (interface_set_association(interface, NULL) == 0)
		interface_put(ec2, txn, interface);
	else
		json_decref(interface);
}

static void bind_address(const struct ec2 *ec2, json_t *address, json_t *interface,
			 const char *association_id)
{
	const char *instance_id = doc_str(doc_object(interface, "Attachment"), "InstanceId", NULL);
	json_t *binding = json_pack("{s:s, s:s*, s:s, s:s, s:s}", "AssociationId", association_id,
				    "InstanceId", instance_id, "NetworkInterfaceId",
				    doc_str(interface, "NetworkInterfaceId", ""),
				    "NetworkInterfaceOwnerId", ec2->account_id, "PrivateIpAddress",
				    doc_str(interface, "PrivateIpAddress", ""));

	json_object_update_new(address, binding);
	if (interface_set_association(
		interface, json_pack("{s:s, s:s, s:s, s:s, s:s}", "AllocationId",
				     doc_str(address, "AllocationId", ""), "AssociationId",
				     association_id, "IpOwnerId", ec2->account_id, "PublicDnsName",
				     "", "PublicIp", doc_str(address, "PublicIp", ""))) != 0)
		json_object_clear(interface);
}

/* address and interface are changed and put. */
static int associate(struct ec2 *ec2, json_t *address, json_t *interface, const json_t *input,
		     char id[ID_TEXT_MAX], struct aws_error *error)
{
	const char *instance_id = doc_str(doc_object(interface, "Attachment"), "InstanceId", "");
	struct store_txn *txn = store_begin(ec2->store);

	elastic_ips_let_go(ec2, txn, instance_id);
	release_old_interface(ec2, txn, address);
	clear_association(address);
	bind_address(ec2, address, interface, id_ec2(NULL, "eipassoc", id));
	interface_put(ec2, txn, json_incref(interface));
	ec2_txn_put(txn, &ec2_addresses, json_incref(address));
	return ec2_commit(txn, input, error);
}

EC2_HANDLER(AssociateAddress)
{
	json_t *address = address_of(ec2, input, error), *interface = NULL;
	char id[ID_TEXT_MAX];
	int result = -1;

	if (address != NULL)
		interface = interface_asked(ec2, input, error);
	if (interface != NULL && check_associate(ec2, address, interface, input, error) == 0)
		result = associate(ec2, address, interface, input, id, error);
	json_decref(address);
	json_decref(interface);
	return result == 0 ? json_pack("{s:b, s:s}", "Return", 1, "AssociationId", id) : NULL;
}

EC2_HANDLER(DisassociateAddress)
{
	json_t *address = address_of(ec2, input, error);
	struct store_txn *txn;

	if (address == NULL)
		return NULL;
	txn = store_begin(ec2->store);
	release_old_interface(ec2, txn, address);
	clear_association(address);
	ec2_txn_put(txn, &ec2_addresses, address);
	return ec2_commit(txn, input, error) == 0 ? ec2_answer_true() : NULL;
}
