/*
 * Attributes: tables of every key with its default and what it may be (target groups' in
 * target_group_attributes.c); the store keeps only what was changed.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lb/api/attribute_table.h"
#include "lb/routing/header_edits.h"

static const struct attribute load_balancer_attributes[] = {
    {"access_logs.s3.enabled", "false", VALUE_FIXED, 0, 0, NULL},
    {"access_logs.s3.bucket", "", VALUE_TEXT, 0, 0, NULL},
    {"access_logs.s3.prefix", "", VALUE_TEXT, 0, 0, NULL},
    {"connection_logs.s3.enabled", "false", VALUE_FIXED, 0, 0, NULL},
    {"connection_logs.s3.bucket", "", VALUE_TEXT, 0, 0, NULL},
    {"connection_logs.s3.prefix", "", VALUE_TEXT, 0, 0, NULL},
    {"health_check_logs.s3.enabled", "false", VALUE_FIXED, 0, 0, NULL},
    {"health_check_logs.s3.bucket", "", VALUE_TEXT, 0, 0, NULL},
    {"health_check_logs.s3.prefix", "", VALUE_TEXT, 0, 0, NULL},
    {"client_keep_alive.seconds", "3600", VALUE_NUMBER, 1, 604800, NULL}, /* AWS: from 60 */
    {"deletion_protection.enabled", "false", VALUE_BOOL, 0, 0, NULL},
    {"idle_timeout.timeout_seconds", "60", VALUE_NUMBER, 1, 4000, NULL},
    {"ipv6.deny_all_igw_traffic", "false", VALUE_BOOL, 0, 0, NULL},
    {"load_balancing.cross_zone.enabled", "true", VALUE_FIXED, 0, 0, NULL},
    {"routing.http.desync_mitigation_mode", "defensive", VALUE_WORD, 0, 0,
     " monitor defensive strictest "},
    {"routing.http.drop_invalid_header_fields.enabled", "false", VALUE_BOOL, 0, 0, NULL},
    {"routing.http.minimum_body_bytes_per_second", "100", VALUE_NUMBER, 0, 1000000,
     NULL}, /* ours */
    {"routing.http.preserve_host_header.enabled", "false", VALUE_BOOL, 0, 0, NULL},
    {"routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", VALUE_BOOL, 0, 0, NULL},
    {"routing.http.xff_client_port.enabled", "false", VALUE_BOOL, 0, 0, NULL},
    {"routing.http.xff_header_processing.mode", "append", VALUE_WORD, 0, 0,
     " append preserve remove "},
    {"routing.http2.enabled", "true", VALUE_BOOL, 0, 0, NULL},
    {"waf.fail_open.enabled", "false", VALUE_BOOL, 0, 0, NULL},
    {"zonal_shift.config.enabled", "false", VALUE_BOOL, 0, 0, NULL},
};

#define RESPONSE_HEADER(name) \
	{ \
		"routing.http.response." name ".header_value", "", VALUE_HEADER, 0, 0, NULL \
	}

#define TLS_HEADER(name) \
	{ \
		"routing.http.request.x_amzn_" name ".header_name", "", VALUE_HTTPS, 0, 0, NULL \
	}

/* The last six but the TLS ones are extensions. */
static const struct attribute listener_attributes[] = {
    {"routing.http.response.server.enabled", "true", VALUE_BOOL, 0, 0, NULL},
    RESPONSE_HEADER("strict_transport_security"),
    RESPONSE_HEADER("access_control_allow_origin"),
    RESPONSE_HEADER("access_control_allow_methods"),
    RESPONSE_HEADER("access_control_allow_headers"),
    RESPONSE_HEADER("access_control_allow_credentials"),
    RESPONSE_HEADER("access_control_expose_headers"),
    RESPONSE_HEADER("access_control_max_age"),
    RESPONSE_HEADER("content_security_policy"),
    RESPONSE_HEADER("x_content_type_options"),
    RESPONSE_HEADER("x_frame_options"),
    {"routing.http.request.headers.insert", "", VALUE_EDITS, HEADER_EDIT_INSERT, 0, NULL},
    {"routing.http.request.headers.rename", "", VALUE_EDITS, HEADER_EDIT_RENAME, 0, NULL},
    {"routing.http.request.headers.remove", "", VALUE_EDITS, HEADER_EDIT_REMOVE, 0, NULL},
    {"routing.http.response.headers.insert", "", VALUE_EDITS, HEADER_EDIT_INSERT, 0, NULL},
    {"routing.http.response.headers.rename", "", VALUE_EDITS, HEADER_EDIT_RENAME, 0, NULL},
    {"routing.http.response.headers.remove", "", VALUE_EDITS, HEADER_EDIT_REMOVE, 0, NULL},
    TLS_HEADER("mtls_clientcert_serial_number"),
    TLS_HEADER("mtls_clientcert_issuer"),
    TLS_HEADER("mtls_clientcert_subject"),
    TLS_HEADER("mtls_clientcert_validity"),
    TLS_HEADER("mtls_clientcert_leaf"),
    TLS_HEADER("mtls_clientcert"),
    TLS_HEADER("tls_version"),
    TLS_HEADER("tls_cipher_suite"),
};

/* What attributes belong to. */
struct owner {
	enum resource_kind kind;
	const char *title; /* in messages */
	const char *arn_member;
	const struct attribute *table;
	const size_t *n;
	/* What no single attribute tells; NULL = nothing. */
	int (*check)(struct elb_api *api, const char *arn, const json_t *changed,
		     struct aws_error *error);
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
static const size_t n_load_balancer_attributes = COUNT(load_balancer_attributes);
static const size_t n_listener_attributes = COUNT(listener_attributes);
static const struct owner load_balancer = {RESOURCE_LOAD_BALANCER,      "Load balancer",
					   "LoadBalancerArn",           load_balancer_attributes,
					   &n_load_balancer_attributes, NULL};
static const struct owner target_group = {
    RESOURCE_TARGET_GROUP,      "Target group",
    "TargetGroupArn",           target_group_attributes,
    &n_target_group_attributes, target_group_attributes_check};
static const struct owner listener = {RESOURCE_LISTENER,      "Listener",
				      "ListenerArn",          listener_attributes,
				      &n_listener_attributes, NULL};

static const struct attribute *find(const struct owner *owner, const char *key)
{
	for (size_t i = 0; i < *owner->n; i++) {
		if (strcmp(owner->table[i].key, key) == 0)
			return &owner->table[i];
	}
	return NULL;
}

static bool is_number_in(const char *text, long min, long max)
{
	char *end;
	long number = strtol(text, &end, 10);

	return isdigit((unsigned char)*text) && !*end && number >= min && number <= max;
}

static bool is_word_of(const char *words, const char *text)
{
	char probe[64];

	if (strchr(text, ' ') || strlen(text) > sizeof(probe) - 3)
		return false;
	snprintf(probe, sizeof(probe), " %s ", text);
	return strstr(words, probe) != NULL;
}

/* AWS: letters, digits, blank and these. */
static bool is_header_value(const char *value)
{
	static const char marks[] = " _:;.,\\/'?!(){}[]@<>=-+*#&`|~^%";

	for (const char *c = value; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr(marks, *c))
			return false;
	}
	return strlen(value) <= 1024;
}

static bool is_edits(enum header_edit_kind kind, const char *value)
{
	static struct header_edit_list list; /* big; this thread's only */

	list.n = 0;
	return strlen(value) <= 1024 && header_edits_parse(&list, kind, text_of(value), NULL) == 0;
}

static bool is_valid(const struct attribute *attribute, const char *value)
{
	switch (attribute->kind) {
	case VALUE_BOOL:
		return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
	case VALUE_NUMBER:
		return is_number_in(value, attribute->min, attribute->max);
	case VALUE_WORD:
		return is_word_of(attribute->words, value);
	case VALUE_OFF_OR_NUMBER:
		return strcmp(value, "off") == 0 ||
		       is_number_in(value, attribute->min, attribute->max);
	case VALUE_ZERO_OR_NUMBER:
		return strcmp(value, "0") == 0 ||
		       is_number_in(value, attribute->min, attribute->max);
	case VALUE_TEXT:
		return strlen(value) <= 1024;
	case VALUE_FIXED:
	case VALUE_HTTPS:
		return strcmp(value, attribute->value) == 0;
	case VALUE_HEADER:
		return is_header_value(value);
	case VALUE_EDITS:
		return is_edits((enum header_edit_kind)attribute->min, value);
	}
	return false;
}

static int check(const struct owner *owner, const json_t *given, struct aws_error *error)
{
	const char *key = doc_str(given, "Key", "");
	const char *value = doc_str(given, "Value", "");
	const struct attribute *attribute = find(owner, key);

	if (!attribute) {
		/* Terraform's provider looks for these words and goes on without the key. */
		error_validation(error, "%s attribute key '%.128s' is not recognized", owner->title,
				 key);
		return -1;
	}
	if (is_valid(attribute, value))
		return 0;
	if (attribute->kind == VALUE_FIXED)
		aws_error_set(error, 400, "InvalidConfigurationRequest",
			      "'%s' other than '%s' is not supported yet by albatross-lb",
			      attribute->key, attribute->value);
	else if (attribute->kind == VALUE_HTTPS)
		aws_error_set(error, 400, "InvalidConfigurationRequest",
			      "'%s' is for HTTPS listeners, which albatross-lb does not have yet",
			      attribute->key);
	else
		error_validation(error, "'%.128s' is not a valid value for attribute '%s'", value,
				 attribute->key);
	return -1;
}

/* One default depends on what it belongs to. */
static const char *default_of(const struct attribute *attribute, const json_t *document)
{
	if (strcmp(attribute->key, "ipv6.deny_all_igw_traffic") == 0 &&
	    strcmp(doc_str(document, "Scheme", ""), "internal") == 0)
		return "true";
	return attribute->value;
}

/* Every key with its value: the changed ones over the defaults. */
static json_t *complete(const struct owner *owner, const json_t *document, const json_t *changed)
{
	json_t *list = json_array();

	for (size_t i = 0; i < *owner->n; i++) {
		const struct attribute *attribute = &owner->table[i];

		if (attribute->kind == VALUE_HTTPS)
			continue;
		json_array_append_new(list, json_pack("{s:s,s:s}", "Key", attribute->key, "Value",
						      doc_kv_get(changed, attribute->key,
								 default_of(attribute, document))));
	}
	return json_pack("{s:o}", "Attributes", list);
}

static json_t *describe(const struct owner *owner, struct elb_api *api, const json_t *input,
			struct aws_error *error)
{
	const char *arn = doc_str(input, owner->arn_member, "");
	json_t *document = resource_get(api, owner->kind, arn, error);
	json_t *changed, *answer;

	if (!document)
		return NULL;
	changed = resource_side_list(api, arn, "attributes", "Attributes");
	answer = complete(owner, document, changed);
	json_decref(changed);
	json_decref(document);
	return answer;
}

static int put(struct elb_api *api, const char *arn, json_t *changed, struct aws_error *error)
{
	char key[ELB_KEY_MAX];
	struct store_txn *txn;
	json_t *document = json_pack("{s:O}", "Attributes", changed);

	if (!document || resource_side_key(arn, "attributes", key) < 0) {
		json_decref(document);
		error_memory(error);
		return -1;
	}
	txn = store_begin(api->store);
	store_put(txn, key, document);
	return resource_commit(txn, error);
}

/* Checks all, then changes all. */
static json_t *modify(const struct owner *owner, struct elb_api *api, const json_t *input,
		      struct aws_error *error)
{
	const char *arn = doc_str(input, owner->arn_member, "");
	json_t *document = resource_get(api, owner->kind, arn, error);
	json_t *changed, *answer = NULL;
	const json_t *given;
	size_t i;

	if (!document)
		return NULL;
	changed = resource_side_list(api, arn, "attributes", "Attributes");
	json_array_foreach (doc_array(input, "Attributes"), i, given) {
		if (check(owner, given, error) < 0)
			goto out;
		if (doc_kv_set(changed, doc_str(given, "Key", ""), doc_str(given, "Value", "")) <
		    0) {
			error_memory(error);
			goto out;
		}
	}
	if (owner->check && owner->check(api, arn, changed, error) < 0)
		goto out;
	if (put(api, arn, changed, error) == 0)
		answer = complete(owner, document, changed);
out:
	json_decref(changed);
	json_decref(document);
	return answer;
}

static const char *value_of(const struct owner *owner, const json_t *document, const char *key)
{
	const struct attribute *attribute = find(owner, key);

	if (!attribute)
		return NULL;
	return doc_kv_get(doc_array(document, "Attributes"), key, attribute->value);
}

const char *elb_load_balancer_attribute(const json_t *document, const char *key)
{
	return value_of(&load_balancer, document, key);
}

const char *elb_listener_attribute(const json_t *document, const char *key)
{
	return value_of(&listener, document, key);
}

const char *elb_target_group_attribute(const json_t *document, const char *key)
{
	return value_of(&target_group, document, key);
}

json_t *handle_DescribeLoadBalancerAttributes(void *context, const struct aws_call *call,
					      const json_t *input, struct aws_error *error)
{
	(void)call;
	return describe(&load_balancer, context, input, error);
}

json_t *handle_ModifyLoadBalancerAttributes(void *context, const struct aws_call *call,
					    const json_t *input, struct aws_error *error)
{
	(void)call;
	return modify(&load_balancer, context, input, error);
}

json_t *handle_DescribeTargetGroupAttributes(void *context, const struct aws_call *call,
					     const json_t *input, struct aws_error *error)
{
	(void)call;
	return describe(&target_group, context, input, error);
}

json_t *handle_ModifyTargetGroupAttributes(void *context, const struct aws_call *call,
					   const json_t *input, struct aws_error *error)
{
	(void)call;
	return modify(&target_group, context, input, error);
}

json_t *handle_DescribeListenerAttributes(void *context, const struct aws_call *call,
					  const json_t *input, struct aws_error *error)
{
	(void)call;
	return describe(&listener, context, input, error);
}

json_t *handle_ModifyListenerAttributes(void *context, const struct aws_call *call,
					const json_t *input, struct aws_error *error)
{
	(void)call;
	return modify(&listener, context, input, error);
}
