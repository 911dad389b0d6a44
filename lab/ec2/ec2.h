/*
 * The EC2 and STS APIs of the lab: the documents (instances, launch templates, images, network,
 * tags) and what may be done to them.  Handlers stand one file a noun and are named handle_X.
 * How an instance runs is behind struct ec2_runtime.  Control thread; nothing here forks,
 * listens or sleeps.
 *
 * Documents in the store, in the shape the Describe actions print; what the lab alone knows of an
 * instance (user data, reservation, intent) is under its member "Lab", which no answer shows:
 *   ec2/NOUN/ID (the folders of struct ec2_noun)  ec2/launch-template-version/ID/NUMBER
 *   ec2/token/SCOPE/TOKEN
 */
#ifndef LAB_EC2_EC2_H
#define LAB_EC2_EC2_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/aws/server.h"
#include "common/base/clock.h"
#include "common/store/store.h"
#include "lab/ec2/filter.h"

enum {
	EC2_ADDRESS_MAX = 16,      /* "127.31.16.4" */
	EC2_KEY_MAX = 160,         /* of a document in the store */
	EC2_MAX_USER_DATA = 16384, /* bytes before base64, AWS's limit */
	EC2_MAX_INSTANCES = 64,    /* not terminated, in one lab */
	EC2_MAX_TEMPLATES = 5000,
	EC2_MAX_VERSIONS = 1000, /* of one launch template */
	EC2_MAX_TAGS = 50,       /* of one resource, AWS's limit */
};

/* What carries out instances; see lab/runtime/runtime.h.  Never calls back from inside a call. */
struct ec2_runtime {
	/* Finds a free address in the subnet and holds it until release.  -1 with err: none free.
	 */
	int (*lease)(void *arg, const char *instance_id, const char *cidr,
		     char address[EC2_ADDRESS_MAX], struct err *err);
	void (*release)(void *arg, const char *instance_id);
	/* Boots: document is the instance's, user_data base64 ("" = none).  Ends in ec2_on_running
	 * and/or ec2_on_ended. */
	void (*start)(void *arg, const json_t *document, const char *user_data);
	/* Shuts down what runs; ends in ec2_on_ended (at once in the next turn if nothing runs). */
	void (*stop)(void *arg, const char *instance_id);
	/* What the instance's console shows, at most its last 64 KiB; free() it.  NULL: nothing, or
	 * none is left. */
	char *(*console)(void *arg, const char *instance_id, size_t *len);
};

struct ec2 {
	struct store *store; /* borrowed: main's, closed after */
	const struct ec2_runtime *runtime;
	void *runtime_arg;
	const struct clock *clock; /* NULL = the real one */
	const char *region;        /* borrowed */
	const char *account_id;    /* borrowed */
	const json_t *capacity;    /* borrowed: Lab.Capacity; NULL: there is room for all */
};

/* Puts the default images, VPC, subnets and security group in the store where absent, and ends
 * what an earlier run of the lab left as running.  -1 with err: the store failed. */
MUST_CHECK int ec2_start(struct ec2 *ec2, struct err *err);

/* From the runtime: the instance runs; the instance's processes have ended (code: a StateReason
 * code such as "Client.InternalError"; "" when it was asked to stop). */
void ec2_on_running(struct ec2 *ec2, const char *instance_id);
void ec2_on_ended(struct ec2 *ec2, const char *instance_id, const char *code, const char *message);

/* Drops terminated instances and tokens that are old enough.  Once a minute or so. */
void ec2_sweep(struct ec2 *ec2);

/* How many instances are not terminated. */
int ec2_count_live(struct ec2 *ec2);

/* What the metadata service tells as nested objects with strings at the leaves:
 * {"meta-data": .., "dynamic": .., "user-data": base64, "options": MetadataOptions}; NULL when
 * unknown.  New reference. */
json_t *ec2_metadata(struct ec2 *ec2, const char *instance_id);

/* The actions, for aws_server_add_service. */
extern const struct aws_action ec2_actions[], sts_actions[];
extern const size_t n_ec2_actions, n_sts_actions;

/* --- for the handlers --- */

/*
 * Documents that a noun's must not be deleted before: those of noun whose member at path (see
 * filter.h) is its id.  Those whose member at except_path is except_value (NULL: its id again) do
 * not count.
 */
struct ec2_use {
	const struct ec2_noun *noun; /* NULL ends the table */
	const char *path;
	const char *except_path, *except_value; /* except_path NULL: all count */
};

/* A kind of resource, and all that its generic actions need to know of it. */
struct ec2_noun {
	const char *folder;    /* "ec2/subnet/" */
	const char *output;    /* member of the answer: "Subnets" */
	const char *ids_input; /* member of the request: "SubnetIds" */
	const char *id_member; /* of the document: "SubnetId" */
	const char *id_prefix; /* "subnet" */
	const char *malformed; /* error codes */
	const char *not_found;
	const char *label;       /* "subnet ID": for messages */
	const char *sort_member; /* order of the answer before the id; NULL = by id */
	const struct filter_field *fields;
	bool is_paged;
	const char *resource_type;  /* in tags, TagSpecifications and ARNs: "subnet" */
	const struct ec2_use *uses; /* NULL: nothing hinders its deletion */
	/* What is shown of a document, where that is more than the document: a new reference.  NULL
	 * member: the document itself. */
	json_t *(*show)(struct ec2 *ec2, const json_t *document);
};

/* The documents that the request asks for (ids, filters, paging) as {output: [..], "NextToken": ..}
 * or NULL with error.  owner_fn, where given, is asked last. */
typedef bool (*ec2_keep_fn)(const json_t *document, const json_t *input);
MUST_CHECK json_t *ec2_describe(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
				ec2_keep_fn keep, struct aws_error *error);

/* The same of documents that are not in the store (list is taken over): filters and paging. */
MUST_CHECK json_t *ec2_describe_list(struct ec2 *ec2, const struct ec2_noun *noun, json_t *list,
				     const json_t *input, ec2_keep_fn keep,
				     struct aws_error *error);

/* One document by id; NULL with the noun's malformed/not-found error.  New reference. */
MUST_CHECK json_t *ec2_get(struct ec2 *ec2, const struct ec2_noun *noun, const char *id,
			   struct aws_error *error);

/* All documents under a prefix, in key order; new references to borrowed documents: do not change
 * them.  NULL without memory. */
MUST_CHECK json_t *ec2_scan(struct ec2 *ec2, const char *prefix);

/* Orders documents by sort_member (NULL: none) and id_member, drops those before NextToken and
 * beyond MaxResults; *next_token (free it) or NULL.  -1 with error. */
MUST_CHECK int ec2_page(json_t *documents, const char *sort_member, const char *id_member,
			const json_t *input, char **next_token, struct aws_error *error);

/* DryRun asked for: error becomes DryRunOperation and true comes back. */
bool ec2_is_dry_run(const json_t *input, struct aws_error *error);

/* Writes one document / gives up with InternalError.  Takes over the reference. */
MUST_CHECK int ec2_put(struct ec2 *ec2, const char *key, json_t *document, struct aws_error *error);
void ec2_error_memory(struct aws_error *error);
void ec2_error_store(struct aws_error *error, const struct err *err);

/* TagSpecifications' tags for one resource type: a new list ([] when none), or NULL with error
 * (aws: prefix, duplicates, too many). */
MUST_CHECK json_t *ec2_spec_tags(const json_t *specifications, const char *resource_type,
				 struct aws_error *error);
MUST_CHECK int ec2_check_tags(const json_t *tags, struct aws_error *error);

extern const struct ec2_noun ec2_instances, ec2_images, ec2_subnets, ec2_vpcs, ec2_security_groups,
    ec2_security_group_rules, ec2_launch_templates, ec2_route_tables, ec2_internet_gateways,
    ec2_network_acls, ec2_dhcp_options, ec2_network_interfaces, ec2_key_pairs, ec2_volumes,
    ec2_volume_modifications, ec2_snapshots, ec2_addresses, ec2_profile_associations;

/* The data of the launch template that specification (LaunchTemplateId or -Name, Version) names;
 * new reference to a copy, with *id and *version filled (for tags), or NULL with error. */
MUST_CHECK json_t *ec2_template_data(struct ec2 *ec2, const json_t *specification, char id[64],
				     int64_t *version, struct aws_error *error);

#endif
