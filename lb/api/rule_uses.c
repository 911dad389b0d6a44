/* See rule_uses.h.  */
#include "lb/api/rule_uses.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/api/resource.h"

#define RULE_PREFIX "elb/listener-rule/"

enum { NAME_MAX_LEN = 2 * ARN_TEXT_MAX };

/* How many rules use what the name says: "LISTENER#PRIORITY", "GROUP>LOADBALANCER". */
struct use {
	UT_hash_handle hh;
	unsigned n;
	char name[];
};

/* The document as it was counted: the store's own, which it replaces but never changes. */
struct counted {
	UT_hash_handle hh;
	json_t *rule;
	char key[];
};

struct rule_uses {
	struct use *uses;
	struct counted *counted;
	json_t *users; /* {group: {load balancer: true}} */
	bool is_incomplete;
};

/* NOLINTBEGIN(readability-function-size): what counts is inside uthash's macros */

static struct use *find_use(const struct rule_uses *uses, const char *name)
{
	struct use *use;

	HASH_FIND_STR(uses->uses, name, use);
	return use;
}

static struct use *make_use(struct rule_uses *uses, const char *name)
{
	struct use *use = calloc(1, sizeof(*use) + strlen(name) + 1);

	if (!use)
		return NULL;
	strcpy(use->name, name);
	HASH_ADD_STR(uses->uses, name, use);
	if (find_use(uses, name) == use)
		return use;
	free(use);
	return NULL;
}

/* The number after the change. */
static unsigned change_use(struct rule_uses *uses, const char *name, int by)
{
	struct use *use = find_use(uses, name);

	if (!use && by > 0)
		use = make_use(uses, name);
	if (!use) {
		uses->is_incomplete = true;
		return 0;
	}
	use->n += (unsigned)by;
	if (use->n > 0)
		return use->n;
	HASH_DEL(uses->uses, use);
	free(use);
	return 0;
}

static void change_user(struct rule_uses *uses, const char *group, const char *load_balancer,
			int by)
{
	char name[NAME_MAX_LEN];
	json_t *users = json_object_get(uses->users, group);
	unsigned n;

	snprintf(name, sizeof(name), "%s>%s", group, load_balancer);
	n = change_use(uses, name, by);
	if (n == 0) {
		json_object_del(users, load_balancer);
		if (json_object_size(users) == 0)
			json_object_del(uses->users, group);
	} else if (n == 1 && by > 0) {
		if (!users && json_object_set_new(uses->users, group, users = json_object()) < 0)
			uses->is_incomplete = true;
		if (json_object_set_new(users, load_balancer, json_true()) < 0)
			uses->is_incomplete = true;
	}
}

/* A group that an action names twice is one use. */
static void change_groups(struct rule_uses *uses, const json_t *action, const char *load_balancer,
			  int by)
{
	const json_t *tuples = doc_array(doc_object(action, "ForwardConfig"), "TargetGroups");
	const char *single = doc_str(action, "TargetGroupArn", NULL);
	const json_t *tuple;
	size_t i;

	json_array_foreach (tuples, i, tuple) {
		const char *group = doc_str(tuple, "TargetGroupArn", "");

		if (!single || strcmp(single, group) != 0)
			change_user(uses, group, load_balancer, by);
	}
	if (single)
		change_user(uses, single, load_balancer, by);
}

static void priority_name(const char *listener_arn, const char *priority, char name[NAME_MAX_LEN])
{
	const char *path = strstr(listener_arn, "/app/");

	snprintf(name, NAME_MAX_LEN, "%s#%s", path ? path : listener_arn, priority);
}

static void change_rule(struct rule_uses *uses, const json_t *rule, int by)
{
	const char *arn = doc_str(rule, "RuleArn", "");
	char listener[ARN_TEXT_MAX], load_balancer[ARN_TEXT_MAX], name[NAME_MAX_LEN];
	const json_t *action;
	size_t i;

	snprintf(listener, sizeof(listener), "%s", arn);
	if (strrchr(listener, '/'))
		*strrchr(listener, '/') = '\0';
	priority_name(listener, doc_str(rule, "Priority", "default"), name);
	change_use(uses, name, by);
	if (!rule_load_balancer_arn(arn, load_balancer))
		return;
	json_array_foreach (doc_array(rule, "Actions"), i, action)
		change_groups(uses, action, load_balancer, by);
}

static void forget(struct rule_uses *uses, const char *key)
{
	struct counted *counted;

	HASH_FIND_STR(uses->counted, key, counted);
	if (!counted)
		return;
	change_rule(uses, counted->rule, -1);
	json_decref(counted->rule);
	HASH_DEL(uses->counted, counted);
	free(counted);
}

static void remember(struct rule_uses *uses, const char *key, const json_t *rule)
{
	struct counted *counted = calloc(1, sizeof(*counted) + strlen(key) + 1), *found = NULL;

	if (counted) {
		counted->rule = json_incref((json_t *)rule);
		strcpy(counted->key, key);
		HASH_ADD_STR(uses->counted, key, counted);
		HASH_FIND_STR(uses->counted, key, found);
	}
	if (!found || !found->rule) {
		uses->is_incomplete = true;
		return;
	}
	change_rule(uses, rule, 1);
}

static void on_change(void *arg, const char *key, const json_t *rule)
{
	struct rule_uses *uses = arg;

	forget(uses, key);
	if (rule)
		remember(uses, key, rule);
}

static bool on_rule(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	(void)revision;
	remember(arg, key, rule);
	return true;
}

struct rule_uses *rule_uses_new(struct store *store, struct err *err)
{
	struct rule_uses *uses = calloc(1, sizeof(*uses));

	if (!uses)
		goto oom;
	uses->users = json_object();
	if (!uses->users)
		goto oom;
	store_scan(store, RULE_PREFIX, on_rule, uses);
	if (!uses->is_incomplete && store_watch(store, RULE_PREFIX, on_change, uses) == 0)
		return uses;
oom:
	rule_uses_free(uses);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

int rule_uses_follow(struct rule_uses *uses, struct store *fork)
{
	return store_watch(fork, RULE_PREFIX, on_change, uses);
}

void rule_uses_free(struct rule_uses *uses)
{
	struct use *use, *next_use;
	struct counted *counted, *next;

	if (!uses)
		return;
	HASH_ITER(hh, uses->uses, use, next_use)
	{
		HASH_DEL(uses->uses, use);
		free(use);
	}
	HASH_ITER(hh, uses->counted, counted, next)
	{
		HASH_DEL(uses->counted, counted);
		json_decref(counted->rule);
		free(counted);
	}
	json_decref(uses->users);
	free(uses);
}

bool rule_uses_are_complete(const struct rule_uses *uses)
{
	return uses && !uses->is_incomplete;
}

bool rule_uses_priority(const struct rule_uses *uses, const char *listener_arn, int64_t priority)
{
	char name[NAME_MAX_LEN], text[32];

	snprintf(text, sizeof(text), "%lld", (long long)priority);
	priority_name(listener_arn, text, name);
	return find_use(uses, name) != NULL;
}

json_t *rule_uses_load_balancers(const struct rule_uses *uses, const char *group_arn)
{
	json_t *users = json_object_get(uses->users, group_arn), *list = json_array();
	const char *arn;
	json_t *ignored;

	json_object_foreach (users, arn, ignored)
		json_array_append_new(list, json_string(arn));
	return list;
}

/* NOLINTEND(readability-function-size) */
