/* See shape.h: load balancers, listeners, rules. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lb/api/api.h"
#include "lb/import/shape.h"
#include "lb/import/shape_parts.h"

enum { PATH_TEXT_MAX = 160 };

/* What is made of one document. */
struct work {
	const json_t *tags;  /* of fetch.h */
	const json_t *names; /* of shape_names() */
	json_t *notes;
};

static const struct file_member balancer_members[] = {
    {"LoadBalancerName", MEMBER_KEPT, NULL},
    {"Scheme", MEMBER_INERT, "\"internet-facing\""},
    {"IpAddressType", MEMBER_INERT, "\"ipv4\""},
    {"SecurityGroups", MEMBER_INERT, NULL},
    {"AvailabilityZones", MEMBER_COMPUTED, NULL}, /* becomes Subnets */
    {"LoadBalancerArn", MEMBER_COMPUTED, NULL},
    {"DNSName", MEMBER_COMPUTED, NULL},
    {"CanonicalHostedZoneId", MEMBER_COMPUTED, NULL},
    {"CreatedTime", MEMBER_COMPUTED, NULL},
    {"VpcId", MEMBER_COMPUTED, NULL},
    {"State", MEMBER_COMPUTED, NULL},
    {"Type", MEMBER_LOST, "\"application\""},
    {"CustomerOwnedIpv4Pool", MEMBER_LOST, NULL},
};

static const struct file_member listener_members[] = {
    {"Protocol", MEMBER_KEPT, NULL},
    {"Port", MEMBER_KEPT, NULL},
    {"SslPolicy", MEMBER_KEPT, NULL},
    {"Certificates", MEMBER_KEPT, NULL},
    {"AlpnPolicy", MEMBER_KEPT, NULL},
    {"DefaultActions", MEMBER_COMPUTED, NULL}, /* with names for ARNs */
    {"ListenerArn", MEMBER_COMPUTED, NULL},
    {"LoadBalancerArn", MEMBER_COMPUTED, NULL},
};

static const struct file_member rule_members[] = {
    {"Priority", MEMBER_COMPUTED, NULL}, {"Conditions", MEMBER_COMPUTED, NULL},
    {"Actions", MEMBER_COMPUTED, NULL},  {"Transforms", MEMBER_COMPUTED, NULL},
    {"RuleArn", MEMBER_COMPUTED, NULL},  {"IsDefault", MEMBER_COMPUTED, NULL},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- attributes ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_inert(const char *key)
{
	static const char *const keys[] = {"access_logs.s3.",
					   "connection_logs.s3.",
					   "health_check_logs.s3.",
					   "ipv6.deny_all_igw_traffic",
					   "routing.http.x_amzn_tls_version_and_cipher_suite.",
					   "routing.http2.enabled",
					   "waf.fail_open.enabled",
					   "zonal_shift.config.enabled"};

	for (size_t i = 0; i < COUNT(keys); i++) {
		if (strncmp(key, keys[i], strlen(keys[i])) == 0)
			return true;
	}
	return false;
}

json_t *shape_attributes(const json_t *list, attribute_default_fn default_of, const char *path,
			 json_t *notes)
{
	size_t n = json_array_size(list);
	const char **keys = calloc(n + 1, sizeof(*keys));
	json_t *map = json_object();
	const json_t *pair;
	size_t i;

	CHECK(keys);
	json_array_foreach (list, i, pair)
		keys[i] = doc_str(pair, "Key", "");
	qsort(keys, n, sizeof(*keys), by_text);
	for (i = 0; i < n; i++) {
		const char *value = doc_kv_get(list, keys[i], "");
		const char *otherwise = default_of(NULL, keys[i]);

		/* An unknown one that says nothing cannot matter. */
		if (strcmp(value, otherwise ? otherwise : "") == 0)
			continue;
		json_object_set_new(map, keys[i], json_string(value));
		if (is_inert(keys[i]))
			shape_note(notes, path, "the attribute %s has no effect", keys[i]);
	}
	free(keys);
	return map;
}

/* ---- actions ---- */

/* Removes the members that say what would be so without them. */
static void drop_defaults(json_t *object, const struct file_member *defaults, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(doc_str(object, defaults[i].name, ""), defaults[i].otherwise) == 0)
			json_object_del(object, defaults[i].name);
	}
}

static void shorten_redirect(json_t *config)
{
	static const struct file_member defaults[] = {
	    {"Protocol", MEMBER_KEPT, "#{protocol}"}, {"Port", MEMBER_KEPT, "#{port}"},
	    {"Host", MEMBER_KEPT, "#{host}"},         {"Path", MEMBER_KEPT, "/#{path}"},
	    {"Query", MEMBER_KEPT, "#{query}"},
	};

	drop_defaults(config, defaults, COUNT(defaults));
}

/* One group of weight 1 needs no ForwardConfig; else the action's own
 * TargetGroupArn is needless.
 */
static void shorten_forward(json_t *action, const json_t *names)
{
	json_t *config = doc_object(action, "ForwardConfig");
	json_t *groups = doc_array(config, "TargetGroups"), *group;
	bool is_sticky =
	    doc_bool(doc_object(config, "TargetGroupStickinessConfig"), "Enabled", false);
	size_t i;

	shape_rename(action, "TargetGroupArn", names);
	json_array_foreach (groups, i, group)
		shape_rename(group, "TargetGroupArn", names);
	if (json_array_size(groups) == 0)
		return;
	if (!is_sticky)
		json_object_del(config, "TargetGroupStickinessConfig");
	group = json_array_get(groups, 0);
	if (json_array_size(groups) == 1 && !is_sticky && doc_int(group, "Weight", 1) == 1) {
		json_object_set(action, "TargetGroupArn", json_object_get(group, "TargetGroupArn"));
		json_object_del(action, "ForwardConfig");
	} else {
		json_object_del(action, "TargetGroupArn");
	}
}

/* New reference. */
static json_t *actions_of(const struct work *work, const json_t *described)
{
	json_t *actions = json_deep_copy(described), *action;
	size_t i;

	json_array_foreach (actions, i, action) {
		if (json_array_size(actions) == 1)
			json_object_del(action, "Order");
		shorten_redirect(doc_object(action, "RedirectConfig"));
		if (strcmp(doc_str(action, "Type", ""), "forward") == 0)
			shorten_forward(action, work->names);
	}
	return actions;
}

/* ---- rules ---- */

/* Values stand twice, beside the config and in it: once is enough.  New
 * reference. */
static json_t *conditions_of(const json_t *described)
{
	static const char *const configs[] = {"HostHeaderConfig", "PathPatternConfig",
					      "HttpHeaderConfig", "QueryStringConfig",
					      "SourceIpConfig",   "HttpRequestMethodConfig"};
	json_t *conditions = json_deep_copy(described), *condition;
	size_t i;

	json_array_foreach (conditions, i, condition) {
		for (size_t c = 0; c < COUNT(configs); c++) {
			json_t *config = doc_object(condition, configs[c]);

			if (!config)
				continue;
			json_object_del(condition, "Values");
			json_object_del(condition, "RegexValues");
			if (json_array_size(doc_array(config, "Values")) == 0)
				json_object_del(config, "Values");
			if (json_array_size(doc_array(config, "RegexValues")) == 0)
				json_object_del(config, "RegexValues");
		}
	}
	return conditions;
}

static const json_t *tags_of(const struct work *work, const json_t *described, const char *member)
{
	return doc_array(work->tags, doc_str(described, member, ""));
}

static json_t *rule_of(const struct work *work, const json_t *described, const char *above)
{
	long priority = strtol(doc_str(described, "Priority", "0"), NULL, 10);
	json_t *rule, *transforms;
	char path[PATH_TEXT_MAX];

	snprintf(path, sizeof(path), "%.120s.Rules[%ld]", above, priority);
	rule = shape_object(described, rule_members, COUNT(rule_members), path, work->notes);
	json_object_set_new(rule, "Priority", json_integer(priority));
	json_object_set_new(rule, "Conditions", conditions_of(doc_array(described, "Conditions")));
	json_object_set_new(rule, "Actions", actions_of(work, doc_array(described, "Actions")));
	transforms = doc_array(described, "Transforms");
	shape_put(rule, "Transforms", transforms ? json_deep_copy(transforms) : json_array());
	shape_put(rule, "Tags", shape_tags(tags_of(work, described, "RuleArn"), path, work->notes));
	return rule;
}

static int by_priority(const void *a, const void *b)
{
	int64_t x = doc_int(*(json_t *const *)a, "Priority", 0);
	int64_t y = doc_int(*(json_t *const *)b, "Priority", 0);

	return (x > y) - (x < y);
}

/* The default rule is the listener's DefaultActions. */
static json_t *rules_of(const struct work *work, const json_t *described, const char *path)
{
	json_t *rules = json_array();
	const json_t *rule;
	size_t i;

	json_array_foreach (described, i, rule) {
		if (!doc_bool(rule, "IsDefault", false))
			json_array_append_new(rules, rule_of(work, rule, path));
		else if (json_array_size(tags_of(work, rule, "RuleArn")) > 0)
			shape_note(work->notes, path, "the tags of the default rule are not kept");
	}
	return shape_sorted(rules, by_priority);
}

/* ---- listeners and load balancers ---- */

static json_t *listener_of(const struct work *work, const json_t *found, const char *above)
{
	const json_t *described = doc_object(found, "Described");
	char path[PATH_TEXT_MAX];
	json_t *listener;

	snprintf(path, sizeof(path), "%.120s.Listeners[%d]", above,
		 (int)doc_int(described, "Port", 0));
	listener =
	    shape_object(described, listener_members, COUNT(listener_members), path, work->notes);
	json_object_set_new(listener, "DefaultActions",
			    actions_of(work, doc_array(described, "DefaultActions")));
	shape_put(listener, "Attributes",
		  shape_attributes(doc_array(found, "Attributes"), elb_listener_attribute, path,
				   work->notes));
	shape_put(listener, "Tags",
		  shape_tags(tags_of(work, described, "ListenerArn"), path, work->notes));
	shape_put(listener, "Rules", rules_of(work, doc_array(found, "Rules"), path));
	return listener;
}

static int by_port(const void *a, const void *b)
{
	int64_t x = doc_int(*(json_t *const *)a, "Port", 0);
	int64_t y = doc_int(*(json_t *const *)b, "Port", 0);

	return (x > y) - (x < y);
}

static json_t *subnets_of(const json_t *zones)
{
	json_t *subnets = json_array();
	const json_t *zone;
	size_t i;

	json_array_foreach (zones, i, zone) {
		if (doc_str(zone, "SubnetId", "")[0])
			json_array_append(subnets, json_object_get(zone, "SubnetId"));
	}
	return subnets;
}

/* Where our own listen on one address, they are known under it. */
static void put_address(json_t *balancer, const char *dns_name)
{
	unsigned char binary[16];

	if (inet_pton(AF_INET, dns_name, binary) == 1 || inet_pton(AF_INET6, dns_name, binary) == 1)
		json_object_set_new(balancer, "ListenAddress", json_string(dns_name));
}

static json_t *balancer_of(const struct work *work, const json_t *found)
{
	const json_t *described = doc_object(found, "Described"), *listener;
	json_t *listeners = json_array(), *balancer;
	char path[PATH_TEXT_MAX];
	size_t i;

	snprintf(path, sizeof(path), "LoadBalancers[%.64s]",
		 doc_str(described, "LoadBalancerName", ""));
	balancer =
	    shape_object(described, balancer_members, COUNT(balancer_members), path, work->notes);
	put_address(balancer, doc_str(described, "DNSName", ""));
	if (json_array_size(doc_array(described, "AvailabilityZones")) > 0)
		shape_note(work->notes, path, "Subnets is kept, but has no effect");
	shape_put(balancer, "Subnets", subnets_of(doc_array(described, "AvailabilityZones")));
	shape_put(balancer, "Attributes",
		  shape_attributes(doc_array(found, "Attributes"), elb_load_balancer_attribute,
				   path, work->notes));
	shape_put(balancer, "Tags",
		  shape_tags(tags_of(work, described, "LoadBalancerArn"), path, work->notes));
	json_array_foreach (doc_array(found, "Listeners"), i, listener)
		json_array_append_new(listeners, listener_of(work, listener, path));
	shape_put(balancer, "Listeners", shape_sorted(listeners, by_port));
	return balancer;
}

static int by_group_name(const void *a, const void *b)
{
	return strcmp(doc_str(*(json_t *const *)a, "TargetGroupName", ""),
		      doc_str(*(json_t *const *)b, "TargetGroupName", ""));
}

json_t *shape_balancers(const json_t *found, const json_t *owned_targets, json_t *notes)
{
	json_t *names = shape_names(found), *balancers = json_array(), *groups = json_array();
	struct work work = {doc_object(found, "Tags"), names, notes};
	const json_t *item;
	size_t i;

	json_array_foreach (doc_array(found, "LoadBalancers"), i, item)
		json_array_append_new(balancers, balancer_of(&work, item));
	json_array_foreach (doc_array(found, "TargetGroups"), i, item)
		json_array_append_new(groups,
				      shape_target_group(item, work.tags, owned_targets, notes));
	json_decref(names);
	return json_pack("{s:o,s:o}", "LoadBalancers", balancers, "TargetGroups",
			 shape_sorted(groups, by_group_name));
}
