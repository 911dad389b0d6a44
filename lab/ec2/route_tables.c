/* Route tables, their associations with subnets, and (routes.c) their routes. */
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/resource.h"

static const struct filter_field fields[] = {
    {"route-table-id", "RouteTableId"},
    {"vpc-id", "VpcId"},
    {"owner-id", "OwnerId"},
    {"association.main", "Associations.Main"},
    {"association.route-table-association-id", "Associations.RouteTableAssociationId"},
    {"association.route-table-id", "Associations.RouteTableId"},
    {"association.subnet-id", "Associations.SubnetId"},
    {"association.gateway-id", "Associations.GatewayId"},
    {"route.destination-cidr-block", "Routes.DestinationCidrBlock"},
    {"route.destination-ipv6-cidr-block", "Routes.DestinationIpv6CidrBlock"},
    {"route.gateway-id", "Routes.GatewayId"},
    {"route.instance-id", "Routes.InstanceId"},
    {"route.nat-gateway-id", "Routes.NatGatewayId"},
    {"route.destination-prefix-list-id", "Routes.DestinationPrefixListId"},
    {"route.egress-only-internet-gateway-id", "Routes.EgressOnlyInternetGatewayId"},
    {"route.transit-gateway-id", "Routes.TransitGatewayId"},
    {"route.vpc-peering-connection-id", "Routes.VpcPeeringConnectionId"},
    {"route.origin", "Routes.Origin"},
    {"route.state", "Routes.State"},
    {NULL, NULL},
};

/* A route whose gateway is no longer attached leads nowhere. */
static bool is_blackhole(struct ec2 *ec2, const json_t *route, const char *vpc_id)
{
	const char *id = doc_str(route, "GatewayId", "local");
	json_t *gateway;
	bool is_attached;

	if (strcmp(id, "local") == 0)
		return false;
	gateway = ec2_find_by(ec2, &ec2_internet_gateways, "InternetGatewayId", id);
	is_attached = filter_path_is(gateway, "Attachments.VpcId", vpc_id);
	json_decref(gateway);
	return !is_attached;
}

static json_t *show(struct ec2 *ec2, const json_t *table)
{
	json_t *routes = json_array(), *route;
	size_t i;

	json_array_foreach (doc_array(table, "Routes"), i, route) {
		bool is_dead = is_blackhole(ec2, route, doc_str(table, "VpcId", ""));

		json_array_append_new(
		    routes,
		    ec2_with(route, "State", json_string(is_dead ? "blackhole" : "active")));
	}
	return ec2_with(table, "Routes", routes);
}

const struct ec2_noun ec2_route_tables = {
    .folder = "ec2/route-table/",
    .output = "RouteTables",
    .ids_input = "RouteTableIds",
    .id_member = "RouteTableId",
    .id_prefix = "rtb",
    .malformed = "InvalidRouteTableId.Malformed",
    .not_found = "InvalidRouteTableID.NotFound",
    .label = "routeTable ID",
    .fields = fields,
    .is_paged = true,
    .resource_type = "route-table",
    .show = show,
};

EC2_DESCRIBE(DescribeRouteTables, ec2_route_tables)

static json_t *new_table(const struct ec2 *ec2, const json_t *vpc)
{
	char id[ID_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:[], s:[{s:s, s:s, s:s, s:s}], s:[]}", "RouteTableId",
			 id_ec2(NULL, "rtb", id), "VpcId", doc_str(vpc, "VpcId", ""), "OwnerId",
			 ec2->account_id, "Associations", "Routes", "DestinationCidrBlock",
			 doc_str(vpc, "CidrBlock", ""), "GatewayId", "local", "Origin",
			 "CreateRouteTable", "State", "active", "PropagatingVgws");
}

EC2_HANDLER(CreateRouteTable)
{
	json_t *vpc = ec2_find(ec2, &ec2_vpcs, input, error), *table, *document;

	if (vpc == NULL)
		return NULL;
	document = new_table(ec2, vpc);
	json_decref(vpc);
	table = ec2_create_once(ec2, &ec2_route_tables, input, document, error);
	return table == NULL ? NULL : json_pack("{s:o}", "RouteTable", table);
}

EC2_HANDLER(DeleteRouteTable)
{
	json_t *table = ec2_find(ec2, &ec2_route_tables, input, error);
	size_t n = json_array_size(doc_array(table, "Associations"));

	json_decref(table);
	if (table == NULL)
		return NULL;
	if (n == 0)
		return ec2_delete(ec2, &ec2_route_tables, input, error);
	aws_error_set(error, 400, "DependencyViolation",
		      "The routeTable '%s' has dependencies and cannot be deleted.",
		      doc_str(input, "RouteTableId", ""));
	return NULL;
}

/* --- associations --- */

/* Appends an association with what (a subnet, or as main) to table; its id. */
static int add_association(json_t *table, const json_t *like, char id[ID_TEXT_MAX])
{
	return json_array_append_new(
	    doc_array(table, "Associations"),
	    json_pack("{s:b, s:s, s:s, s:s*, s:s*, s:{s:s}}", "Main", doc_bool(like, "Main", false),
		      "RouteTableAssociationId", id_ec2(NULL, "rtbassoc", id), "RouteTableId",
		      doc_str(table, "RouteTableId", ""), "SubnetId",
		      doc_str(like, "SubnetId", NULL), "GatewayId",
		      doc_str(like, "GatewayId", NULL), "AssociationState", "State", "associated"));
}

static json_t *association_answer(const char *member, const char *id)
{
	return json_pack("{s:s, s:{s:s}}", member, id, "AssociationState", "State", "associated");
}

/* What is associated must be in the table's VPC and in no table of its own. */
static int check_associate(struct ec2 *ec2, const json_t *table, const json_t *input,
			   struct aws_error *error)
{
	const char *table_id = doc_str(table, "RouteTableId", "");
	const char *subnet_id = doc_str(input, "SubnetId", "");
	json_t *subnet;
	bool is_same;

	if (*subnet_id == '\0') {
		aws_error_set(error, 400, "InvalidParameterCombination",
			      "One of the parameters SubnetId must be given; gateways cannot be "
			      "associated here.");
		return -1;
	}
	subnet = ec2_get(ec2, &ec2_subnets, subnet_id, error);
	if (subnet == NULL)
		return -1;
	is_same = strcmp(doc_str(subnet, "VpcId", ""), doc_str(table, "VpcId", "-")) == 0;
	json_decref(subnet);
	if (!is_same) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "route table %s and subnet %s belong to different networks", table_id,
			      subnet_id);
		return -1;
	}
	if (ec2_count_by(ec2, &ec2_route_tables, "Associations.SubnetId", subnet_id) == 0)
		return 0;
	aws_error_set(error, 400, "Resource.AlreadyAssociated",
		      "the specified association for route table %s conflicts with an existing "
		      "association",
		      table_id);
	return -1;
}

EC2_HANDLER(AssociateRouteTable)
{
	json_t *table = ec2_find(ec2, &ec2_route_tables, input, error), *answer;
	char id[ID_TEXT_MAX];

	if (table == NULL)
		return NULL;
	if (check_associate(ec2, table, input, error) != 0 ||
	    add_association(table, input, id) != 0) {
		json_decref(table);
		return NULL;
	}
	answer = ec2_update(ec2, &ec2_route_tables, input, table, error);
	if (answer == NULL)
		return NULL;
	json_decref(answer);
	return association_answer("AssociationId", id);
}

/* The table that has the association; *association (a new reference) is taken out of it. */
static json_t *take_association(struct ec2 *ec2, const json_t *input, json_t **association,
				struct aws_error *error)
{
	const char *id = doc_str(input, "AssociationId", "");
	json_t *table =
	    ec2_find_by(ec2, &ec2_route_tables, "Associations.RouteTableAssociationId", id);
	json_t *list = doc_array(table, "Associations");

	*association = NULL;
	for (size_t i = json_array_size(list); i-- > 0;) {
		json_t *one = json_array_get(list, i);

		if (strcmp(doc_str(one, "RouteTableAssociationId", ""), id) != 0)
			continue;
		*association = json_incref(one);
		json_array_remove(list, i);
	}
	if (table == NULL)
		aws_error_set(error, 400, "InvalidAssociationID.NotFound",
			      "The association ID '%s' does not exist", id);
	return table;
}

EC2_HANDLER(DisassociateRouteTable)
{
	json_t *association, *table = take_association(ec2, input, &association, error);
	bool is_main = doc_bool(association, "Main", false);

	json_decref(association);
	if (table == NULL)
		return NULL;
	if (!is_main)
		return ec2_update(ec2, &ec2_route_tables, input, table, error);
	json_decref(table);
	aws_error_set(error, 400, "InvalidParameterValue",
		      "cannot disassociate the main route table association %s",
		      doc_str(input, "AssociationId", ""));
	return NULL;
}

/* Moves the association to the table that the request names. */
static int move_association(struct ec2 *ec2, json_t *from, const json_t *association,
			    const json_t *input, char id[ID_TEXT_MAX], struct aws_error *error)
{
	json_t *to = ec2_find(ec2, &ec2_route_tables, input, error);
	struct store_txn *txn;
	int result = -1;
	bool is_same;

	if (to == NULL)
		return -1;
	is_same =
	    json_equal(json_object_get(from, "RouteTableId"), json_object_get(to, "RouteTableId"));
	if (strcmp(doc_str(to, "VpcId", ""), doc_str(from, "VpcId", "-")) != 0) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "route table %s belongs to a different network",
			      doc_str(to, "RouteTableId", ""));
	} else if (add_association(is_same ? from : to, association, id) == 0) {
		txn = store_begin(ec2->store);
		ec2_txn_put(txn, &ec2_route_tables, json_incref(from));
		if (!is_same)
			ec2_txn_put(txn, &ec2_route_tables, json_incref(to));
		result = ec2_commit(txn, input, error);
	}
	json_decref(to);
	return result;
}

EC2_HANDLER(ReplaceRouteTableAssociation)
{
	json_t *association, *from = take_association(ec2, input, &association, error);
	char id[ID_TEXT_MAX];
	int result;

	if (from == NULL)
		return NULL;
	result = move_association(ec2, from, association, input, id, error);
	json_decref(association);
	json_decref(from);
	return result == 0 ? association_answer("NewAssociationId", id) : NULL;
}
