/* See acm.h. */
#include "lb/api/acm.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/certificate_pem.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/doc/doc.h"

#define AWS_ACTION(name) AWS_DECLARE_ACTION(name)
#include "lb/api/acm.def"
#undef AWS_ACTION

#define AWS_ACTION(name) AWS_LIST_ACTION(name)
const struct aws_action acm_actions[] = {
#include "lb/api/acm.def"
};
#undef AWS_ACTION
const size_t n_acm_actions = sizeof(acm_actions) / sizeof(acm_actions[0]);

enum {
	MAX_CERTIFICATES = 2500, /* ACM's quota of imported ones */
	MAX_TAGS = 50,
	KEY_MAX = 128,
	PAGE_DEFAULT = 1000,
};

#define CERTIFICATES "acm/certificate/"
#define PEMS "acm/pem/"
#define RESOURCE "certificate/"

static void error_memory(struct aws_error *error)
{
	aws_error_set(error, 500, "InternalFailure", "out of memory");
}

static int error_tag(struct aws_error *error, const char *code, const char *why)
{
	aws_error_set(error, 400, code, "%s", why);
	return -1;
}

/* "acm/certificate/UUID" of an ARN; -1 when it is none of a certificate. */
static int key_of(const char *arn, const char *folder, char key[KEY_MAX])
{
	struct arn parts;
	const char *id;

	if (arn_parse(arn, &parts) != 0 || strcmp(parts.service, "acm") != 0 ||
	    strncmp(parts.resource, RESOURCE, strlen(RESOURCE)) != 0)
		return -1;
	id = parts.resource + strlen(RESOURCE);
	if (strlen(id) != 36 || strspn(id, "0123456789abcdef-") != 36)
		return -1;
	snprintf(key, KEY_MAX, "%s%s", folder, id);
	return 0;
}

json_t *certificate_pem_get(struct store *store, const char *arn)
{
	char key[KEY_MAX];

	return key_of(arn, PEMS, key) == 0 ? store_get(store, key, NULL) : NULL;
}

/* New reference; NULL with error.  key is filled. */
static json_t *certificate_get(struct store *store, const char *arn, char key[KEY_MAX],
			       struct aws_error *error)
{
	json_t *document = NULL;

	if (key_of(arn, CERTIFICATES, key) == 0)
		document = store_get(store, key, NULL);
	if (document == NULL)
		aws_error_set(error, 400, "ResourceNotFoundException",
			      "Could not find certificate %.200s.", arn);
	return document;
}

/* --- tags --- */

static int check_tags(const json_t *tags, struct aws_error *error)
{
	const json_t *tag;
	size_t i, j;

	if (json_array_size(tags) > MAX_TAGS)
		return error_tag(error, "TooManyTagsException",
				 "A certificate has at most 50 tags.");
	json_array_foreach (tags, i, tag) {
		const char *key = doc_str(tag, "Key", "");

		if (strncasecmp(key, "aws:", 4) == 0)
			return error_tag(error, "InvalidTagException",
					 "Tag keys that start with aws: are reserved.");
		for (j = 0; j < i; j++)
			if (strcmp(doc_str(json_array_get(tags, j), "Key", ""), key) == 0)
				return error_tag(error, "InvalidTagException",
						 "A tag key is given twice.");
	}
	return 0;
}

static int merge_tags(json_t *tags, const json_t *added, struct aws_error *error)
{
	const json_t *tag;
	size_t i;

	if (check_tags(added, error) != 0)
		return -1;
	json_array_foreach (added, i, tag)
		if (doc_kv_set(tags, doc_str(tag, "Key", ""), doc_str(tag, "Value", "")) != 0) {
			error_memory(error);
			return -1;
		}
	return check_tags(tags, error);
}

/* Writes the document, which it takes over. */
static json_t *put(struct store *store, const char *key, json_t *document, struct aws_error *error)
{
	struct err err = {0};

	if (store_put_one(store, key, document, &err) == STORE_OK)
		return json_object();
	aws_error_set(error, 500, "InternalFailure", "the state could not be written: %s",
		      err.text);
	return NULL;
}

json_t *handle_AddTagsToCertificate(void *context, const struct aws_call *call, const json_t *input,
				    struct aws_error *error)
{
	char key[KEY_MAX];
	json_t *document =
	    certificate_get(context, doc_str(input, "CertificateArn", ""), key, error);

	(void)call;
	if (document == NULL)
		return NULL;
	if (merge_tags(doc_array(document, "Tags"), doc_array(input, "Tags"), error) == 0)
		return put(context, key, document, error);
	json_decref(document);
	return NULL;
}

/* A tag given with its value goes only if it has that value. */
json_t *handle_RemoveTagsFromCertificate(void *context, const struct aws_call *call,
					 const json_t *input, struct aws_error *error)
{
	char key[KEY_MAX];
	json_t *document =
	    certificate_get(context, doc_str(input, "CertificateArn", ""), key, error);
	json_t *tags = doc_array(document, "Tags");
	const json_t *tag;
	size_t i;

	(void)call;
	if (document == NULL)
		return NULL;
	json_array_foreach (doc_array(input, "Tags"), i, tag) {
		const char *name = doc_str(tag, "Key", ""), *value = doc_str(tag, "Value", NULL);
		const char *has = doc_kv_get(tags, name, NULL);

		if (has != NULL && (value == NULL || strcmp(value, has) == 0))
			doc_kv_remove(tags, name);
	}
	return put(context, key, document, error);
}

json_t *handle_ListTagsForCertificate(void *context, const struct aws_call *call,
				      const json_t *input, struct aws_error *error)
{
	char key[KEY_MAX];
	json_t *document =
	    certificate_get(context, doc_str(input, "CertificateArn", ""), key, error);
	json_t *answer;

	(void)call;
	if (document == NULL)
		return NULL;
	answer = json_pack("{s:O}", "Tags", doc_array(document, "Tags"));
	json_decref(document);
	if (answer == NULL)
		error_memory(error);
	return answer;
}

/* --- importing --- */

/* A blob member (base64) as NUL-terminated text; NULL when it is no text.  free() it. */
static char *blob_text(const json_t *input, const char *member)
{
	const char *base64 = doc_str(input, member, "");
	size_t len = strlen(base64);
	unsigned char *text = malloc(len / 4 * 3 + 1);
	int n;

	if (text == NULL || len % 4 != 0)
		goto fail;
	n = EVP_DecodeBlock(text, (const unsigned char *)base64, (int)len);
	if (n < 0)
		goto fail;
	for (size_t i = len; i > 0 && base64[i - 1] == '='; i--)
		n--;
	text[n] = '\0';
	if (strlen((char *)text) == (size_t)n)
		return (char *)text;
fail:
	free(text);
	return NULL;
}

struct import {
	char *certificate, *chain, *key; /* PEM */
	char arn[ARN_TEXT_MAX];
	char document_key[KEY_MAX], pem_key[KEY_MAX];
};

static void import_fini(struct import *import)
{
	free(import->certificate);
	free(import->chain);
	if (import->key != NULL)
		OPENSSL_cleanse(import->key, strlen(import->key));
	free(import->key);
}

static int import_read(struct import *import, const json_t *input, struct aws_error *error)
{
	import->certificate = blob_text(input, "Certificate");
	import->chain = blob_text(input, "CertificateChain");
	import->key = blob_text(input, "PrivateKey");
	if (import->certificate != NULL && import->chain != NULL && import->key != NULL)
		return 0;
	aws_error_set(error, 400, "ValidationError",
		      "Certificate, CertificateChain and PrivateKey must be PEM text in base64.");
	return -1;
}

static json_t *new_document(const char *arn)
{
	char now[CLOCK_TEXT_MAX];

	clock_format_iso(clock_now_ms(NULL), now);
	return json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:s, s:{s:s}}, s:[]}", "Certificate",
			 "CertificateArn", arn, "Type", "IMPORTED", "Status", "ISSUED",
			 "RenewalEligibility", "INELIGIBLE", "CreatedAt", now, "ImportedAt", now,
			 "Options", "CertificateTransparencyLoggingPreference", "DISABLED", "Tags");
}

static bool count_one(void *arg, const char *key, const json_t *document, int64_t revision)
{
	(void)key;
	(void)document;
	(void)revision;
	++*(size_t *)arg;
	return true;
}

/* The certificate that is imported anew, or a new one; NULL with error. */
static json_t *import_document(struct import *import, struct store *store,
			       const struct aws_call *call, const json_t *input,
			       struct aws_error *error)
{
	char id[ID_TEXT_MAX], now[CLOCK_TEXT_MAX];
	json_t *document;
	size_t n = 0;

	if (doc_has(input, "CertificateArn")) {
		if (json_array_size(doc_array(input, "Tags")) > 0) {
			aws_error_set(error, 400, "ValidationError",
				      "Tagging is not permitted on re-import.");
			return NULL;
		}
		snprintf(import->arn, sizeof(import->arn), "%.1000s",
			 doc_str(input, "CertificateArn", ""));
		document = certificate_get(store, import->arn, import->document_key, error);
		json_object_set_new(doc_object(document, "Certificate"), "ImportedAt",
				    json_string(clock_format_iso(clock_now_ms(NULL), now)));
		return document;
	}
	store_scan(store, CERTIFICATES, count_one, &n);
	if (n >= MAX_CERTIFICATES) {
		aws_error_set(error, 400, "LimitExceededException",
			      "There are %d certificates already.", MAX_CERTIFICATES);
		return NULL;
	}
	snprintf(import->arn, sizeof(import->arn), "arn:aws:acm:%.64s:%.12s:" RESOURCE "%s",
		 call->region, call->account_id, id_uuid(NULL, id));
	document = new_document(import->arn);
	if (document == NULL)
		error_memory(error);
	return document;
}

/* Takes over document. */
static json_t *import_commit(const struct import *import, struct store *store, json_t *document,
			     struct aws_error *error)
{
	struct store_txn *txn = store_begin(store);
	char key[KEY_MAX], pem_key[KEY_MAX];
	struct err err = {0};

	CHECK(key_of(import->arn, CERTIFICATES, key) == 0 &&
	      key_of(import->arn, PEMS, pem_key) == 0);
	store_put(txn, key, document);
	store_put(txn, pem_key,
		  json_pack("{s:s, s:s, s:s}", "Certificate", import->certificate,
			    "CertificateChain", import->chain, "PrivateKey", import->key));
	if (store_commit(txn, &err) == STORE_OK)
		return json_pack("{s:s}", "CertificateArn", import->arn);
	aws_error_set(error, 500, "InternalFailure", "the state could not be written: %s",
		      err.text);
	return NULL;
}

static json_t *import_checked(struct import *import, struct store *store,
			      const struct aws_call *call, const json_t *input,
			      struct aws_error *error)
{
	const struct certificate_pem pem = {
	    .certificate = import->certificate, .chain = import->chain, .key = import->key};
	json_t *facts = certificate_pem_facts(&pem, clock_now_ms(NULL), error), *document;

	if (facts == NULL)
		return NULL;
	document = import_document(import, store, call, input, error);
	if (document != NULL &&
	    (json_object_update(doc_object(document, "Certificate"), facts) != 0 ||
	     merge_tags(doc_array(document, "Tags"), doc_array(input, "Tags"), error) != 0)) {
		json_decref(document);
		document = NULL;
	}
	json_decref(facts);
	return document == NULL ? NULL : import_commit(import, store, document, error);
}

json_t *handle_ImportCertificate(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	struct import import = {0};
	json_t *answer = NULL;

	if (import_read(&import, input, error) == 0)
		answer = import_checked(&import, context, call, input, error);
	import_fini(&import);
	return answer;
}

/* --- reading --- */

struct users {
	const char *arn;
	json_t *found; /* ARNs of load balancers */
};

/* "…:listener/app/web/ID/ID" is of "…:loadbalancer/app/web/ID". */
static void add_balancer(json_t *found, const json_t *listener)
{
	const char *arn = doc_str(listener, "LoadBalancerArn", "");

	if (!doc_list_has(found, arn))
		json_array_append_new(found, json_string(arn));
}

static bool look_at_listener(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct users *users = arg;
	const json_t *certificate;
	size_t i;

	(void)key;
	(void)revision;
	json_array_foreach (doc_array(document, "Certificates"), i, certificate)
		if (strcmp(doc_str(certificate, "CertificateArn", ""), users->arn) == 0)
			add_balancer(users->found, document);
	return true;
}

/* The load balancers whose listeners name it. */
static json_t *used_by(struct store *store, const char *arn)
{
	struct users users = {.arn = arn, .found = json_array()};

	if (users.found != NULL)
		store_scan(store, "elb/listener/", look_at_listener, &users);
	return users.found;
}

json_t *handle_DescribeCertificate(void *context, const struct aws_call *call, const json_t *input,
				   struct aws_error *error)
{
	const char *arn = doc_str(input, "CertificateArn", "");
	char key[KEY_MAX];
	json_t *document = certificate_get(context, arn, key, error), *answer;

	(void)call;
	if (document == NULL)
		return NULL;
	answer = json_pack("{s:O}", "Certificate", doc_object(document, "Certificate"));
	json_object_set_new(doc_object(answer, "Certificate"), "InUseBy", used_by(context, arn));
	json_decref(document);
	if (answer == NULL)
		error_memory(error);
	return answer;
}

json_t *handle_GetCertificate(void *context, const struct aws_call *call, const json_t *input,
			      struct aws_error *error)
{
	const char *arn = doc_str(input, "CertificateArn", "");
	json_t *pem = certificate_pem_get(context, arn), *answer;
	const char *chain = doc_str(pem, "CertificateChain", "");

	(void)call;
	if (pem == NULL) {
		aws_error_set(error, 400, "ResourceNotFoundException",
			      "Could not find certificate %.200s.", arn);
		return NULL;
	}
	answer = json_pack("{s:s, s:s*}", "Certificate", doc_str(pem, "Certificate", ""),
			   "CertificateChain", *chain == '\0' ? NULL : chain);
	json_decref(pem);
	if (answer == NULL)
		error_memory(error);
	return answer;
}

json_t *handle_DeleteCertificate(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	const char *arn = doc_str(input, "CertificateArn", "");
	char key[KEY_MAX], pem_key[KEY_MAX];
	json_t *document = certificate_get(context, arn, key, error), *users;
	struct err err = {0};
	struct store_txn *txn;
	size_t n_users;

	(void)call;
	if (document == NULL)
		return NULL;
	json_decref(document);
	users = used_by(context, arn);
	n_users = json_array_size(users);
	json_decref(users);
	if (n_users > 0) {
		aws_error_set(error, 400, "ResourceInUseException", "Certificate %.200s is in use.",
			      arn);
		return NULL;
	}
	CHECK(key_of(arn, PEMS, pem_key) == 0);
	txn = store_begin(context);
	store_delete(txn, key);
	store_delete(txn, pem_key);
	if (store_commit(txn, &err) == STORE_OK)
		return json_object();
	aws_error_set(error, 500, "InternalFailure", "the state could not be written: %s",
		      err.text);
	return NULL;
}

/* --- listing --- */

struct listing {
	struct store *store;
	const json_t *input;
	const char *after; /* key of the last one shown before */
	size_t limit;
	json_t *list;
	char last[KEY_MAX];
	bool has_more;
};

/* ACM shows RSA keys of up to 2048 bits unless key types are asked for. */
static bool is_wanted_key(const json_t *includes, const char *algorithm)
{
	const json_t *types = doc_array(includes, "keyTypes");

	if (json_array_size(types) > 0)
		return doc_list_has(types, algorithm);
	return strcmp(algorithm, "RSA_2048") == 0 || strcmp(algorithm, "RSA_1024") == 0;
}

static bool is_wanted(const struct listing *listing, const json_t *certificate)
{
	const json_t *statuses = doc_array(listing->input, "CertificateStatuses");

	if (json_array_size(statuses) > 0 &&
	    !doc_list_has(statuses, doc_str(certificate, "Status", "")))
		return false;
	return is_wanted_key(doc_object(listing->input, "Includes"),
			     doc_str(certificate, "KeyAlgorithm", ""));
}

/* Of [{"Name": x}] the names. */
static json_t *names_of(const json_t *list)
{
	json_t *names = json_array();
	const json_t *one;
	size_t i;

	json_array_foreach (list, i, one)
		json_array_append_new(names, json_string(doc_str(one, "Name", "")));
	return names;
}

static json_t *summary_of(struct store *store, const json_t *certificate)
{
	static const char *const members[] = {
	    "CertificateArn",     "DomainName", "Status",   "Type",      "KeyAlgorithm",
	    "RenewalEligibility", "NotBefore",  "NotAfter", "CreatedAt", "ImportedAt"};
	json_t *summary = json_object();
	json_t *users = used_by(store, doc_str(certificate, "CertificateArn", ""));

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_object_set(summary, members[i], json_object_get(certificate, members[i]));
	json_object_set(summary, "SubjectAlternativeNameSummaries",
			doc_array(certificate, "SubjectAlternativeNames"));
	json_object_set_new(summary, "HasAdditionalSubjectAlternativeNames", json_false());
	json_object_set_new(summary, "InUse", json_boolean(json_array_size(users) > 0));
	json_object_set_new(summary, "KeyUsages", names_of(doc_array(certificate, "KeyUsages")));
	json_object_set_new(summary, "ExtendedKeyUsages",
			    names_of(doc_array(certificate, "ExtendedKeyUsages")));
	json_decref(users);
	return summary;
}

static bool list_one(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct listing *listing = arg;
	const json_t *certificate = doc_object(document, "Certificate");

	(void)revision;
	if (strcmp(key, listing->after) <= 0 || !is_wanted(listing, certificate))
		return true;
	if (json_array_size(listing->list) == listing->limit) {
		listing->has_more = true;
		return false;
	}
	/* The summaries are made later: a scan must not run inside a scan. */
	json_array_append(listing->list, (json_t *)certificate);
	snprintf(listing->last, sizeof(listing->last), "%s", key);
	return true;
}

json_t *handle_ListCertificates(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	struct listing listing = {.store = context,
				  .input = input,
				  .after = doc_str(input, "NextToken", ""),
				  .limit = (size_t)doc_int(input, "MaxItems", PAGE_DEFAULT),
				  .list = json_array()};
	json_t *summaries = json_array(), *certificate, *answer;
	size_t i;

	(void)call;
	if (*listing.after != '\0' &&
	    strncmp(listing.after, CERTIFICATES, strlen(CERTIFICATES)) != 0) {
		json_decref(listing.list);
		json_decref(summaries);
		aws_error_set(error, 400, "ValidationError", "The NextToken is not valid.");
		return NULL;
	}
	store_scan(context, CERTIFICATES, list_one, &listing);
	json_array_foreach (listing.list, i, certificate)
		json_array_append_new(summaries, summary_of(context, certificate));
	answer = json_pack("{s:o, s:s*}", "CertificateSummaryList", summaries, "NextToken",
			   listing.has_more ? listing.last : NULL);
	json_decref(listing.list);
	if (answer == NULL)
		error_memory(error);
	return answer;
}
