/* The routes of a route table. */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/cidr.h"
#include "lab/ec2/resource.h"

enum { MAX_ROUTES = 50 };

static const char *const destinations[] = {"DestinationCidrBlock", "DestinationIpv6CidrBlock",
					   "DestinationPrefixListId"};
enum { N_DESTINATIONS = sizeof(destinations) / sizeof(destinations[0]) };

/* Where a route may lead; what the lab does not keep (noun NULL) cannot be found. */
static const struct target {
	const char *member;
	const struct ec2_noun *noun;
	const char *not_found;
} targets[] = {
    {"GatewayId", &ec2_internet_gateways, NULL},
    {"InstanceId", &ec2_instances, NULL},
    {"NetworkInterfaceId", &ec2_network_interfaces, NULL},
    {"NatGatewayId", NULL, "InvalidNatGatewayID.NotFound"},
    {"TransitGatewayId", NULL, "InvalidTransitGatewayID.NotFound"},
    {"VpcPeeringConnectionId", NULL, "InvalidVpcPeeringConnectionID.NotFound"},
    {"EgressOnlyInternetGatewayId", NULL, "InvalidEgressOnlyInternetGatewayId.NotFound"},
    {"VpcEndpointId", NULL, "InvalidVpcEndpointId.NotFound"},
    {"LocalGatewayId", NULL, "InvalidLocalGatewayID.NotFound"},
    {"CarrierGatewayId", NULL, "InvalidCarrierGatewayID.NotFound"},
    {"CoreNetworkArn", NULL, "InvalidCoreNetworkArn.NotFound"},
};
enum { N_TARGETS = sizeof(targets) / sizeof(targets[0]) };

/* The request's one destination (which member, and its text, ranges without host bits); -1 with
 * error. */
static int destination_of(const json_t *input, char text[64], struct aws_error *error)
{
	int found = -1, n = 0;
	struct cidr cidr;

	for (int i = 0; i < N_DESTINATIONS; i++) {
		if (!doc_has(input, destinations[i]))
			continue;
		found = i;
		n++;
	}
	if (n != 1) {
		aws_error_set(error, 400,
			      n == 0 ? "MissingParameter" : "InvalidParameterCombination",
			      "The request must contain exactly one of destinationCidrBlock, "
			      "destinationIpv6CidrBlock, destinationPrefixListId");
		return -1;
	}
	snprintf(text, 64, "%.60s", doc_str(input, destinations[found], ""));
	if (found != 0)
		return found;
	if (cidr_parse(text, &cidr) == 0) {
		cidr_format(&cidr, text);
		return found;
	}
	aws_error_set(error, 400, "InvalidParameterValue",
		      "Value (%s) for parameter destinationCidrBlock is invalid. This is not a "
		      "valid CIDR block.",
		      text);
	return -1;
}

/* Its index in the table's Routes, or -1. */
static int find_route(const json_t *table, int destination, const char *text)
{
	const json_t *routes = doc_array(table, "Routes"), *route;
	size_t i;

	json_array_foreach (routes, i, route) {
		if (strcmp(doc_str(route, destinations[destination], ""), text) == 0)
			return (int)i;
	}
	return -1;
}

static bool is_local(const json_t *route)
{
	return strcmp(doc_str(route, "GatewayId", ""), "local") == 0;
}

static int check_gateway(struct ec2 *ec2, const json_t *table, const char *id,
			 struct aws_error *error)
{
	json_t *gateway = ec2_get(ec2, &ec2_internet_gateways, id, error);
	bool is_here = filter_path_is(gateway, "Attachments.VpcId", doc_str(table, "VpcId", ""));

	json_decref(gateway);
	if (gateway == NULL)
		return -1;
	if (is_here)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "route table %s and network gateway %s belong to different networks",
		      doc_str(table, "RouteTableId", ""), id);
	return -1;
}

static int check_target(struct ec2 *ec2, const json_t *table, const struct target *target,
			const char *id, struct aws_error *error)
{
	if (target->noun == &ec2_internet_gateways)
		return check_gateway(ec2, table, id, error);
	if (target->noun != NULL)
		return ec2_check_exists(ec2, target->noun, id, error);
	aws_error_set(error, 400, target->not_found, "The %s '%.80s' does not exist",
		      target->member, id);
	return -1;
}

static const struct target *target_of(const json_t *input, struct aws_error *error)
{
	const struct target *found = NULL;
	int n = 0;

	for (int i = 0; i < N_TARGETS; i++) {
		if (!doc_has(input, targets[i].member))
			continue;
		found = &targets[i];
		n++;
	}
	if (n == 1)
		return found;
	aws_error_set(error, 400, n == 0 ? "MissingParameter" : "InvalidParameterCombination",
		      "The request must contain exactly one target of the route, such as "
		      "GatewayId");
	return NULL;
}

/* A new route to the request's target, or NULL with error. */
static json_t *new_route(struct ec2 *ec2, const json_t *table, const json_t *input, int destination,
			 const char *text, struct aws_error *error)
{
	const struct target *target = target_of(input, error);
	const char *id = target == NULL ? "" : doc_str(input, target->member, "");

	if (target == NULL || check_target(ec2, table, target, id, error) != 0)
		return NULL;
	return json_pack("{s:s, s:s, s:s, s:s}", destinations[destination], text, target->member,
			 id, "Origin", "CreateRoute", "State", "active");
}

static int check_new(const json_t *table, int destination, const char *text,
		     struct aws_error *error)
{
	if (find_route(table, destination, text) >= 0) {
		aws_error_set(error, 400, "RouteAlreadyExists",
			      "The route identified by %s already exists.", text);
		return -1;
	}
	if (json_array_size(doc_array(table, "Routes")) < MAX_ROUTES)
		return 0;
	aws_error_set(error, 400, "RouteLimitExceeded",
		      "The maximum number of routes has been reached.");
	return -1;
}

EC2_HANDLER(CreateRoute)
{
	json_t *table = ec2_find(ec2, &ec2_route_tables, input, error), *route = NULL;
	char text[64];
	int destination = table == NULL ? -1 : destination_of(input, text, error);

	if (destination >= 0 && check_new(table, destination, text, error) == 0)
		route = new_route(ec2, table, input, destination, text, error);
	if (route == NULL) {
		json_decref(table);
		return NULL;
	}
	json_array_append_new(doc_array(table, "Routes"), route);
	return ec2_update(ec2, &ec2_route_tables, input, table, error);
}

EC2_HANDLER(ReplaceRoute)
{
	json_t *table = ec2_find(ec2, &ec2_route_tables, input, error), *route = NULL;
	char text[64];
	int destination = table == NULL ? -1 : destination_of(input, text, error);
	int index = destination < 0 ? -1 : find_route(table, destination, text);

	if (index >= 0)
		route = new_route(ec2, table, input, destination, text, error);
	else if (destination >= 0)
		aws_error_set(error, 400, "InvalidParameterValue",
			      "There is no route defined for '%s' in the route table. Use "
			      "CreateRoute instead.",
			      text);
	if (route == NULL) {
		json_decref(table);
		return NULL;
	}
	json_array_set_new(doc_array(table, "Routes"), (size_t)index, route);
	return ec2_update(ec2, &ec2_route_tables, input, table, error);
}

static int check_delete(const json_t *table, int index, const char *text, struct aws_error *error)
{
	const char *id = doc_str(table, "RouteTableId", "");

	if (index < 0) {
		aws_error_set(error, 400, "InvalidRoute.NotFound",
			      "no route with destination-cidr-block %s in route table %s", text,
			      id);
		return -1;
	}
	if (!is_local(json_array_get(doc_array(table, "Routes"), (size_t)index)))
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "cannot remove local route %s in route table %s", text, id);
	return -1;
}

EC2_HANDLER(DeleteRoute)
{
	json_t *table = ec2_find(ec2, &ec2_route_tables, input, error);
	char text[64];
	int destination = table == NULL ? -1 : destination_of(input, text, error);
	int index = destination < 0 ? -1 : find_route(table, destination, text);

	if (destination < 0 || check_delete(table, index, text, error) != 0) {
		json_decref(table);
		return NULL;
	}
	json_array_remove(doc_array(table, "Routes"), (size_t)index);
	return ec2_update(ec2, &ec2_route_tables, input, table, error);
}
