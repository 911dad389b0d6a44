/* See fetch.h: ELBv2. */
#include <errno.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/import/fetch.h"

enum { TAGS_AT_ONCE = 20 }; /* DescribeTags takes no more */

static const struct source_listing described_balancers = {SOURCE_ELB, "DescribeLoadBalancers",
							  "LoadBalancers"};
static const struct source_listing described_groups = {SOURCE_ELB, "DescribeTargetGroups",
						       "TargetGroups"};

json_t *fetch_new(void)
{
	json_t *found = json_pack("{s:[],s:[],s:{}}", "LoadBalancers", "TargetGroups", "Tags");

	CHECK(found);
	return found;
}

/* New reference to the list of a call with one member in its input. */
static json_t *list(const struct source *source, const char *action, const char *result,
		    const char *member, const char *value, struct err *err)
{
	struct source_listing listing = {SOURCE_ELB, action, result};

	return source_list(source, &listing, json_pack("{s:s}", member, value), err);
}

/* Notes that the thing has tags to ask for. */
static void wants_tags(json_t *found, const char *arn)
{
	json_object_set_new(doc_object(found, "Tags"), arn, json_array());
}

/* Attributes of who has none are no error: older endpoints lack the call for
 * listeners. */
static json_t *attributes_of(const struct source *source, const char *action, const char *member,
			     const char *arn, struct err *err)
{
	struct err why = {0};
	json_t *attributes = list(source, action, "Attributes", member, arn, &why);

	if (attributes || why.code == ENOTSUP)
		return attributes ? attributes : json_array();
	*err = why;
	return NULL;
}

static json_t *listener_of(const struct source *source, json_t *described, json_t *found,
			   struct err *err)
{
	const char *arn = doc_str(described, "ListenerArn", "");
	json_t *rules = list(source, "DescribeRules", "Rules", "ListenerArn", arn, err);
	json_t *attributes =
	    rules ? attributes_of(source, "DescribeListenerAttributes", "ListenerArn", arn, err)
		  : NULL;
	const json_t *rule;
	size_t i;

	if (!attributes) {
		json_decref(rules);
		return NULL;
	}
	wants_tags(found, arn);
	json_array_foreach (rules, i, rule)
		wants_tags(found, doc_str(rule, "RuleArn", ""));
	return json_pack("{s:O,s:o,s:o}", "Described", described, "Attributes", attributes, "Rules",
			 rules);
}

static json_t *listeners_of(const struct source *source, const char *arn, json_t *found,
			    struct err *err)
{
	json_t *described =
	    list(source, "DescribeListeners", "Listeners", "LoadBalancerArn", arn, err);
	json_t *listeners = json_array(), *item, *listener;
	size_t i;

	json_array_foreach (described, i, item) {
		listener = listener_of(source, item, found, err);
		if (!listener)
			goto fail;
		json_array_append_new(listeners, listener);
	}
	if (described) {
		json_decref(described);
		return listeners;
	}
fail:
	json_decref(described);
	json_decref(listeners);
	return NULL;
}

static bool has_group(const json_t *found, const char *arn)
{
	const json_t *group;
	size_t i;

	json_array_foreach (doc_array(found, "TargetGroups"), i, group) {
		if (strcmp(doc_str(doc_object(group, "Described"), "TargetGroupArn", ""), arn) == 0)
			return true;
	}
	return false;
}

static int add_group(const struct source *source, json_t *described, json_t *found, struct err *err)
{
	const char *arn = doc_str(described, "TargetGroupArn", "");
	json_t *attributes, *health;

	if (has_group(found, arn))
		return 0;
	attributes =
	    attributes_of(source, "DescribeTargetGroupAttributes", "TargetGroupArn", arn, err);
	health = attributes ? list(source, "DescribeTargetHealth", "TargetHealthDescriptions",
				   "TargetGroupArn", arn, err)
			    : NULL;
	if (!health) {
		json_decref(attributes);
		return -1;
	}
	wants_tags(found, arn);
	return json_array_append_new(doc_array(found, "TargetGroups"),
				     json_pack("{s:O,s:o,s:o}", "Described", described,
					       "Attributes", attributes, "Health", health));
}

/* Takes over groups, NULL included. */
static int add_groups(const struct source *source, json_t *groups, json_t *found, struct err *err)
{
	int result = groups ? 0 : -1;
	json_t *group;
	size_t i;

	json_array_foreach (groups, i, group) {
		if (result == 0)
			result = add_group(source, group, found, err);
	}
	json_decref(groups);
	return result;
}

/* Names or ARNs, as one list in the input. */
static json_t *named(const char *name, const char *arns_member)
{
	return json_pack("{s:[s]}", arn_is(name) ? arns_member : "Names", name);
}

int fetch_target_group(const struct source *source, const char *name, json_t *found,
		       struct err *err)
{
	if (has_group(found, name))
		return 0;
	return add_groups(
	    source, source_list(source, &described_groups, named(name, "TargetGroupArns"), err),
	    found, err);
}

static int add_balancer(const struct source *source, json_t *described, json_t *found,
			struct err *err)
{
	const char *arn = doc_str(described, "LoadBalancerArn", "");
	json_t *attributes, *listeners;

	attributes =
	    attributes_of(source, "DescribeLoadBalancerAttributes", "LoadBalancerArn", arn, err);
	listeners = attributes ? listeners_of(source, arn, found, err) : NULL;
	if (!listeners) {
		json_decref(attributes);
		return -1;
	}
	wants_tags(found, arn);
	json_array_append_new(doc_array(found, "LoadBalancers"),
			      json_pack("{s:O,s:o,s:o}", "Described", described, "Attributes",
					attributes, "Listeners", listeners));
	return add_groups(
	    source,
	    list(source, "DescribeTargetGroups", "TargetGroups", "LoadBalancerArn", arn, err),
	    found, err);
}

int fetch_load_balancer(const struct source *source, const char *name, json_t *found,
			struct err *err)
{
	json_t *balancers =
	    source_list(source, &described_balancers, named(name, "LoadBalancerArns"), err);
	json_t *balancer = json_array_get(balancers, 0);
	int result = -1;

	if (balancer)
		result = add_balancer(source, balancer, found, err);
	else if (balancers)
		err_set(err, ENOENT, "there is no load balancer '%.128s'", name);
	json_decref(balancers);
	return result;
}

static int add_tags(const struct source *source, json_t *arns, json_t *tags, struct err *err)
{
	json_t *answer;
	json_t *description;
	size_t i;

	if (json_array_size(arns) == 0)
		return 0;
	answer = source_call(source, SOURCE_ELB, "DescribeTags",
			     json_pack("{s:O}", "ResourceArns", arns), err);
	json_array_foreach (doc_array(answer, "TagDescriptions"), i, description)
		json_object_set(tags, doc_str(description, "ResourceArn", ""),
				doc_array(description, "Tags"));
	json_array_clear(arns);
	json_decref(answer);
	return answer ? 0 : -1;
}

int fetch_tags(const struct source *source, json_t *found, struct err *err)
{
	json_t *tags = doc_object(found, "Tags"), *wanted = json_copy(tags), *arns = json_array();
	const char *arn;
	json_t *value;
	int result = 0;

	json_object_foreach (wanted, arn, value) {
		json_array_append_new(arns, json_string(arn));
		if (result == 0 && json_array_size(arns) == TAGS_AT_ONCE)
			result = add_tags(source, arns, tags, err);
	}
	if (result == 0)
		result = add_tags(source, arns, tags, err);
	json_decref(arns);
	json_decref(wanted);
	return result;
}
