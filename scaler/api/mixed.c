/*
 * See mixed.h.  AWS: "InstancesDistribution", "LaunchTemplateOverrides" in the API reference.
 */
#include "scaler/api/mixed.h"

#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/reply.h"

enum { MAX_OVERRIDES = 40, MAX_TEMPLATES = 20, MAX_WEIGHT = 999, MAX_SPOT_POOLS = 20 };

int mixed_check_template(const json_t *spec, struct aws_error *error)
{
	bool has_id = doc_has(spec, "LaunchTemplateId");
	bool has_name = doc_has(spec, "LaunchTemplateName");

	if (has_id != has_name)
		return 0;
	reply_invalid(error,
		      "Valid requests must contain either launchTemplateId or "
		      "LaunchTemplateName%s",
		      has_id ? ", not both" : "");
	return -1;
}

/* ---- overrides ---- */

/* -1: it is none. */
static int weight_of(const char *text)
{
	size_t len = strspn(text, "0123456789");

	if (len == 0 || len > 3 || text[len] != '\0')
		return -1;
	return atoi(text) >= 1 && atoi(text) <= MAX_WEIGHT ? atoi(text) : -1;
}

static int check_override(const json_t *override, struct aws_error *error)
{
	const json_t *spec = doc_object(override, "LaunchTemplateSpecification");
	const char *type = doc_str(override, "InstanceType", "");

	if (doc_has(override, "InstanceRequirements")) {
		reply_invalid(error, "InstanceRequirements in the overrides of a mixed instances "
				     "policy is not supported; InstanceType is");
		return -1;
	}
	if (!type[0]) {
		reply_invalid(error, "Each override of a mixed instances policy needs an "
				     "InstanceType");
		return -1;
	}
	if (doc_has(override, "WeightedCapacity") &&
	    weight_of(doc_str(override, "WeightedCapacity", "")) < 0) {
		reply_invalid(error,
			      "The WeightedCapacity '%s' of the instance type %s is not valid: a "
			      "whole number from 1 to %d",
			      doc_str(override, "WeightedCapacity", ""), type, MAX_WEIGHT);
		return -1;
	}
	return spec ? mixed_check_template(spec, error) : 0;
}

static bool is_same_type(const json_t *a, const json_t *b)
{
	return strcmp(doc_str(a, "InstanceType", ""), doc_str(b, "InstanceType", "")) == 0;
}

/* How many templates the overrides name. */
static int count_templates(const json_t *overrides)
{
	json_t *names = json_object();
	const json_t *override;
	int n;
	size_t i;

	json_array_foreach (overrides, i, override) {
		const json_t *spec = doc_object(override, "LaunchTemplateSpecification");
		const char *name = doc_str(spec, "LaunchTemplateName", "");

		if (spec)
			json_object_set_new(names, doc_str(spec, "LaunchTemplateId", name),
					    json_true());
	}
	n = (int)json_object_size(names);
	json_decref(names);
	return n;
}

static int check_overrides(const json_t *overrides, struct aws_error *error)
{
	const json_t *override, *other;
	size_t n_weights = 0, i, k;

	if (json_array_size(overrides) > MAX_OVERRIDES ||
	    count_templates(overrides) > MAX_TEMPLATES) {
		reply_invalid(error,
			      "A mixed instances policy has at most %d overrides with %d different "
			      "launch templates",
			      MAX_OVERRIDES, MAX_TEMPLATES);
		return -1;
	}
	json_array_foreach (overrides, i, override) {
		if (check_override(override, error) < 0)
			return -1;
		n_weights += doc_has(override, "WeightedCapacity");
		for (k = 0; k < i; k++) {
			other = json_array_get(overrides, k);
			if (!is_same_type(override, other))
				continue;
			reply_invalid(error, "The instance type %s is in two overrides",
				      doc_str(override, "InstanceType", ""));
			return -1;
		}
	}
	if (n_weights == 0 || n_weights == json_array_size(overrides))
		return 0;
	reply_invalid(error, "Either all overrides of a mixed instances policy have a "
			     "WeightedCapacity, or none");
	return -1;
}

/* ---- distribution ---- */

static int check_strategy(const json_t *distribution, const char *member, const char *allowed,
			  struct aws_error *error)
{
	const char *value = doc_str(distribution, member, NULL);
	const char *at = value ? strstr(allowed, value) : NULL;
	size_t len = value ? strlen(value) : 0;

	/* allowed: "[a, b, c]" */
	while (at && len > 0 &&
	       ((at[-1] != '[' && at[-1] != ' ') || (at[len] != ',' && at[len] != ']')))
		at = strstr(at + 1, value);
	if (!value || (at && len > 0))
		return 0;
	reply_invalid(error, "The %s '%s' is not valid; one of %s is", member, value, allowed);
	return -1;
}

static int check_range(const json_t *distribution, const char *member, int64_t min, int64_t max,
		       struct aws_error *error)
{
	int64_t value = doc_int(distribution, member, min);

	if (value >= min && value <= max)
		return 0;
	if (max == INT32_MAX)
		reply_invalid(error, "%s must be at least %lld", member, (long long)min);
	else
		reply_invalid(error, "%s must be from %lld to %lld", member, (long long)min,
			      (long long)max);
	return -1;
}

/* Dollars, at least a tenth of a cent; "" takes the limit away. */
static int check_price(const json_t *distribution, struct aws_error *error)
{
	const char *text = doc_str(distribution, "SpotMaxPrice", "");
	char *end;
	double price = strtod(text, &end);

	if (!text[0] ||
	    (strspn(text, "0123456789.") == strlen(text) && *end == '\0' && price >= 0.001))
		return 0;
	reply_invalid(error, "The SpotMaxPrice '%s' is not valid: a number of at least 0.001",
		      text);
	return -1;
}

static int check_distribution(const json_t *distribution, struct aws_error *error)
{
	const char *spot = doc_str(distribution, "SpotAllocationStrategy", "lowest-price");

	if (check_strategy(distribution, "OnDemandAllocationStrategy",
			   "[prioritized, lowest-price]", error) < 0 ||
	    check_strategy(distribution, "SpotAllocationStrategy",
			   "[lowest-price, capacity-optimized, capacity-optimized-prioritized, "
			   "price-capacity-optimized]",
			   error) < 0 ||
	    check_range(distribution, "OnDemandBaseCapacity", 0, INT32_MAX, error) < 0 ||
	    check_range(distribution, "OnDemandPercentageAboveBaseCapacity", 0, 100, error) < 0 ||
	    check_range(distribution, "SpotInstancePools", 1, MAX_SPOT_POOLS, error) < 0 ||
	    check_price(distribution, error) < 0)
		return -1;
	if (!doc_has(distribution, "SpotInstancePools") || strcmp(spot, "lowest-price") == 0)
		return 0;
	reply_invalid(error,
		      "SpotInstancePools is for the SpotAllocationStrategy lowest-price only");
	return -1;
}

/* ---- the whole ---- */

int mixed_check(const json_t *policy, struct aws_error *error)
{
	const json_t *template = doc_object(policy, "LaunchTemplate");
	const json_t *spec = doc_object(template, "LaunchTemplateSpecification");

	if ((spec && mixed_check_template(spec, error) < 0) ||
	    check_overrides(doc_array(template, "Overrides"), error) < 0)
		return -1;
	return check_distribution(doc_object(policy, "InstancesDistribution"), error);
}

static int check_has_template(const json_t *policy, struct aws_error *error)
{
	if (doc_object(doc_object(policy, "LaunchTemplate"), "LaunchTemplateSpecification"))
		return 0;
	reply_invalid(error, "A mixed instances policy needs a LaunchTemplate with a "
			     "LaunchTemplateSpecification");
	return -1;
}

int mixed_check_whole(const json_t *policy, struct aws_error *error)
{
	return check_has_template(policy, error) < 0 ? -1 : mixed_check(policy, error);
}

/* What member of over lacks, it gets from base. */
static int complete(json_t *over, const json_t *base, const char *member)
{
	json_t *given = doc_object(over, member), *had = doc_object(base, member);

	if (!had)
		return 0;
	return given ? json_object_update_missing(given, had)
		     : json_object_set_new(over, member, json_deep_copy(had));
}

int mixed_merge(const struct group *group, json_t *input, struct aws_error *error)
{
	const json_t *before = doc_object(group->document, "MixedInstancesPolicy");
	json_t *policy = json_deep_copy(doc_object(input, "MixedInstancesPolicy")), *distribution;
	const char *spot;

	if (!doc_has(input, "MixedInstancesPolicy"))
		return 0;
	if (!policy || json_object_set_new(input, "MixedInstancesPolicy", policy) < 0 ||
	    complete(policy, before, "LaunchTemplate") < 0 ||
	    complete(policy, before, "InstancesDistribution") < 0) {
		aws_error_set(error, 500, "InternalFailure", "out of memory");
		return -1;
	}
	/* The number of pools goes with the strategy that has them. */
	distribution = doc_object(policy, "InstancesDistribution");
	spot = doc_str(distribution, "SpotAllocationStrategy", "lowest-price");
	if (strcmp(spot, "lowest-price") != 0)
		json_object_del(distribution, "SpotInstancePools");
	/* Its template is checked already, or the group's, with all that EC2 has told of it. */
	return check_has_template(policy, error) < 0 ? -1 : check_distribution(distribution, error);
}
