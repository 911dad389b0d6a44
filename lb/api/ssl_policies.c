/*
 * The security policies of HTTPS listeners, as AWS documents them: a constant
 * list, for who asks what there would be.  albatross-lb has no HTTPS listeners yet.
 */
#include <string.h>

#include "common/doc/doc.h"
#include "lb/api/resource.h"

/* In the order of preference inside every policy; set: the letters that policies name. */
static const struct {
	char set;
	const char *name;
} ciphers[] = {
    {'A', "TLS_AES_128_GCM_SHA256"},
    {'A', "TLS_AES_256_GCM_SHA384"},
    {'P', "TLS_CHACHA20_POLY1305_SHA256"},
    {'B', "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {'B', "ECDHE-RSA-AES128-GCM-SHA256"},
    {'C', "ECDHE-ECDSA-AES128-SHA256"},
    {'C', "ECDHE-RSA-AES128-SHA256"},
    {'D', "ECDHE-ECDSA-AES128-SHA"},
    {'D', "ECDHE-RSA-AES128-SHA"},
    {'B', "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {'B', "ECDHE-RSA-AES256-GCM-SHA384"},
    {'C', "ECDHE-ECDSA-AES256-SHA384"},
    {'C', "ECDHE-RSA-AES256-SHA384"},
    {'D', "ECDHE-ECDSA-AES256-SHA"},
    {'D', "ECDHE-RSA-AES256-SHA"},
    {'E', "AES128-GCM-SHA256"},
    {'F', "AES128-SHA256"},
    {'G', "AES128-SHA"},
    {'E', "AES256-GCM-SHA384"},
    {'F', "AES256-SHA256"},
    {'G', "AES256-SHA"},
};

static const char *const protocols[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};

struct policy {
	const char *name;       /* behind "ELBSecurityPolicy-"; in order, for the pages */
	unsigned char from, to; /* of protocols */
	const char *sets;
};

static const struct policy policies[] = {
    {"2015-05", 0, 2, "BCDEFG"},
    {"2016-08", 0, 2, "BCDEFG"},
    {"FS-1-1-2019-08", 1, 2, "BCD"},
    {"FS-1-2-2019-08", 2, 2, "BCD"},
    {"FS-1-2-Res-2019-08", 2, 2, "BC"},
    {"FS-1-2-Res-2020-10", 2, 2, "B"},
    {"FS-2018-06", 0, 2, "BCD"},
    {"TLS-1-1-2017-01", 1, 2, "BCDEFG"},
    {"TLS-1-2-2017-01", 2, 2, "BCEF"},
    {"TLS-1-2-Ext-2018-06", 2, 2, "BCDEFG"},
    {"TLS13-1-0-2021-06", 0, 3, "APBCDEFG"},
    {"TLS13-1-0-FIPS-2023-04", 0, 3, "ABCDEFG"},
    {"TLS13-1-0-FIPS-PQ-2025-09", 0, 3, "ABCDEFG"},
    {"TLS13-1-0-PQ-2025-09", 0, 3, "APBCDEFG"},
    {"TLS13-1-1-2021-06", 1, 3, "APBCDEFG"},
    {"TLS13-1-1-FIPS-2023-04", 1, 3, "ABCDEFG"},
    {"TLS13-1-2-2021-06", 2, 3, "APBC"},
    {"TLS13-1-2-Ext0-FIPS-2023-04", 2, 3, "ABCD"},
    {"TLS13-1-2-Ext0-FIPS-PQ-2025-09", 2, 3, "ABCD"},
    {"TLS13-1-2-Ext1-2021-06", 2, 3, "APBCEF"},
    {"TLS13-1-2-Ext1-FIPS-2023-04", 2, 3, "ABCEF"},
    {"TLS13-1-2-Ext1-FIPS-PQ-2025-09", 2, 3, "ABCEF"},
    {"TLS13-1-2-Ext1-PQ-2025-09", 2, 3, "APBCEF"},
    {"TLS13-1-2-Ext2-2021-06", 2, 3, "APBCDEFG"},
    {"TLS13-1-2-Ext2-FIPS-2023-04", 2, 3, "ABCDEFG"},
    {"TLS13-1-2-Ext2-FIPS-PQ-2025-09", 2, 3, "ABCDEFG"},
    {"TLS13-1-2-Ext2-PQ-2025-09", 2, 3, "APBCDEFG"},
    {"TLS13-1-2-FIPS-2023-04", 2, 3, "ABC"},
    {"TLS13-1-2-FIPS-PQ-2025-09", 2, 3, "ABC"},
    {"TLS13-1-2-PQ-2025-09", 2, 3, "APBC"},
    {"TLS13-1-2-Res-2021-06", 2, 3, "APB"},
    {"TLS13-1-2-Res-FIPS-2023-04", 2, 3, "AB"},
    {"TLS13-1-2-Res-FIPS-PQ-2025-09", 2, 3, "AB"},
    {"TLS13-1-2-Res-PQ-2025-09", 2, 3, "APB"},
    {"TLS13-1-3-2021-06", 3, 3, "AP"},
    {"TLS13-1-3-FIPS-2023-04", 3, 3, "A"},
    {"TLS13-1-3-FIPS-PQ-2025-09", 3, 3, "A"},
    {"TLS13-1-3-PQ-2025-09", 3, 3, "AP"},
};
enum { POLICIES = sizeof(policies) / sizeof(policies[0]) };

static json_t *protocols_of(const struct policy *policy)
{
	json_t *list = json_array();

	for (int i = policy->from; i <= policy->to; i++)
		json_array_append_new(list, json_string(protocols[i]));
	return list;
}

static json_t *ciphers_of(const struct policy *policy)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
		if (!strchr(policy->sets, ciphers[i].set))
			continue;
		json_array_append_new(list, json_pack("{s:s,s:i}", "Name", ciphers[i].name,
						      "Priority", (int)json_array_size(list) + 1));
	}
	return list;
}

static json_t *document_of(const struct policy *policy)
{
	char name[64];

	snprintf(name, sizeof(name), "ELBSecurityPolicy-%s", policy->name);
	return json_pack("{s:s,s:o,s:o,s:[ss]}", "Name", name, "SslProtocols", protocols_of(policy),
			 "Ciphers", ciphers_of(policy), "SupportedLoadBalancerTypes", "application",
			 "network");
}

static const struct policy *find(const char *name)
{
	if (strncmp(name, "ELBSecurityPolicy-", 18) != 0)
		return NULL;
	for (size_t i = 0; i < POLICIES; i++) {
		if (strcmp(policies[i].name, name + 18) == 0)
			return &policies[i];
	}
	return NULL;
}

static json_t *named(const json_t *names, struct aws_error *error)
{
	json_t *list = json_array();
	const json_t *name;
	size_t i;

	json_array_foreach (names, i, name) {
		const struct policy *policy = find(json_string_value(name));

		if (!policy) {
			aws_error_set(error, 400, "SSLPolicyNotFound",
				      "SSL policy '%.128s' not found", json_string_value(name));
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, document_of(policy));
	}
	return list;
}

static void page_key(const json_t *item, char key[ELB_KEY_MAX])
{
	snprintf(key, ELB_KEY_MAX, "%s", doc_str(item, "Name", ""));
}

json_t *handle_DescribeSSLPolicies(void *context, const struct aws_call *call, const json_t *input,
				   struct aws_error *error)
{
	const json_t *names = doc_array(input, "Names");
	const char *type = doc_str(input, "LoadBalancerType", "application");
	json_t *list = NULL;

	(void)context;
	(void)call;
	if (json_array_size(names) > 0) {
		list = named(names, error);
		return list ? json_pack("{s:o}", "SslPolicies", list) : NULL;
	}
	list = json_array();
	for (size_t i = 0; i < POLICIES && strcmp(type, "gateway") != 0; i++)
		json_array_append_new(list, document_of(&policies[i]));
	return resource_page(input, "SslPolicies", list, page_key, error);
}
