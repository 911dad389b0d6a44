/*
 * The ELBv2 API's handlers: one file a noun, each handler a function of the
 * input, the store and (for what is alive) the hooks below.  A handler that changes state commits
 * one transaction or changes nothing.  Control thread only; no socket is touched here.
 *
 * Documents in the store, by key (RESOURCE is the last part of the ARN):
 *   elb/loadbalancer/app/NAME/ID       as describe-load-balancers prints it, and ListenAddress
 *   elb/listener/app/NAME/ID/LID       as describe-listeners prints it
 *   elb/listener-rule/app/NAME/ID/LID/RID
 *   elb/targetgroup/NAME/ID            without LoadBalancerArns, which is computed
 *   elb/attributes/RESOURCE            {"Attributes": [{Key, Value}]}: only what was changed
 *   elb/tags/RESOURCE                  {"Tags": [{Key, Value}]}
 *   elb/targets/targetgroup/NAME/ID    {"Targets": [{Id, Port, AvailabilityZone}]}
 */
#ifndef LB_API_API_H
#define LB_API_API_H

#include <jansson.h>
#include <stdbool.h>

#include "common/aws/server.h"
#include "common/base/err.h"
#include "common/store/store.h"

struct rule_uses; /* lb/api/rule_uses.h */

/* What the handlers ask of the running load balancer.  A NULL member means there is none behind
 * (tests): ports are always free, targets always initial. */
struct elb_hooks {
	/* Can this address ("" = all) and port be listened on?  listener_arn is the listener that
	 * moves there, NULL for a new one. */
	int (*port_check)(void *context, const char *address, int port, struct err *err);
	/* The address of a load balancer that names none itself; "" for all addresses. */
	int (*address_assign)(void *context, char address[64], struct err *err);
	/* TargetHealthDescriptions of the group's targets, draining ones too.  New reference. */
	json_t *(*target_health)(void *context, const char *group_arn);
	/* {SubnetId, VpcId, AvailabilityZone} if EC2 told us; borrowed, NULL when unknown. */
	const json_t *(*subnet_find)(void *context, const char *subnet_id);
};

struct elb_api {
	struct store *store;           /* borrowed: closed after the API */
	const struct elb_hooks *hooks; /* NULL: none */
	struct rule_uses *uses;        /* of the store; NULL: rules are read through instead */
	void *hooks_context;
	bool is_of_file; /* a file is being applied: groups first, then the rules about them */
};

#define AWS_ACTION(name) AWS_DECLARE_ACTION(name)
#include "lb/api/elasticloadbalancing.def"
#undef AWS_ACTION

/* The list of them all, for aws_server_add_service(), with a struct elb_api as the context. */
extern const struct aws_action elb_actions[];
extern const size_t n_elb_actions;

/* The handler of an action, for the file that is applied; NULL when there is none. */
aws_handler_fn elb_action_find(const char *name);

/* CreateLoadBalancer with the file's own member ListenAddress (NULL = none given). */
json_t *elb_load_balancer_create(struct elb_api *api, const struct aws_call *call,
				 const json_t *input, const char *listen_address,
				 struct aws_error *error);

/* The subnet_find hook knows more than before: zones and VPCs of load balancers are set right. */
void elb_subnets_learned(struct elb_api *api);

/* The attribute's value, or its default when it was never changed; NULL for an unknown key.
 * Borrowed from document (an elb/attributes/ document, may be NULL) or from the table. */
const char *elb_load_balancer_attribute(const json_t *document, const char *key);
const char *elb_target_group_attribute(const json_t *document, const char *key);
const char *elb_listener_attribute(const json_t *document, const char *key);

#endif
