/* See limits.h. */
#include "lb/api/limits.h"

#include "common/doc/doc.h"
#include "lb/routing/snapshot.h"

static const struct {
	const char *name; /* AWS's; in order, for the pages */
	int max;
} limits[] = {
    {"application-load-balancers", LIMIT_LOAD_BALANCERS},
    {"condition-values-per-alb-rule", LIMIT_CONDITION_VALUES},
    {"condition-wildcards-per-alb-rule", LIMIT_CONDITION_WILDCARDS},
    {"listeners-per-application-load-balancer", LIMIT_LISTENERS},
    {"rules-per-application-load-balancer", LIMIT_RULES},
    {"target-groups", LIMIT_TARGET_GROUPS},
    {"target-groups-per-action-on-application-load-balancer", FORWARD_GROUPS_MAX},
    {"targets-per-target-group", LIMIT_TARGETS},
};

static bool count_one(void *arg, const char *key, const json_t *document, int64_t revision)
{
	int *n = arg;

	(void)key;
	(void)document;
	(void)revision;
	++*n;
	return true;
}

int limit_check(struct elb_api *api, const char *prefix, int max, const char *code,
		struct aws_error *error)
{
	int n = 0;

	store_scan(api->store, prefix, count_one, &n);
	if (n < max)
		return 0;
	aws_error_set(error, 400, code, "There are %d already, and there can be no more", n);
	return -1;
}

static void page_key(const json_t *item, char key[ELB_KEY_MAX])
{
	snprintf(key, ELB_KEY_MAX, "%s", doc_str(item, "Name", ""));
}

json_t *handle_DescribeAccountLimits(void *context, const struct aws_call *call,
				     const json_t *input, struct aws_error *error)
{
	json_t *list = json_array();
	char text[16];

	(void)context;
	(void)call;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		snprintf(text, sizeof(text), "%d", limits[i].max);
		json_array_append_new(list,
				      json_pack("{s:s,s:s}", "Name", limits[i].name, "Max", text));
	}
	return resource_page(input, "Limits", list, page_key, error);
}
