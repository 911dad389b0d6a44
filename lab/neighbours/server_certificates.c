/*
 * IAM's server certificates: checked as ACM's are, and kept without their keys.  No listener serves
 * them: those that the load balancer is to use are imported into its ACM.
 */
#include <stdio.h>
#include <string.h>

#include "common/aws/certificate_pem.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/neighbours/iam.h"

#define AWS_ACTION(name) AWS_DECLARE_ACTION(name)
#include "lab/neighbours/iam.def"
#undef AWS_ACTION

#define NOUN "The Server Certificate with name"

/* The facts of what is uploaded; NULL with IAM's code for what is wrong with it. */
static json_t *check(const json_t *input, struct aws_error *error)
{
	const struct certificate_pem pem = {.certificate = doc_str(input, "CertificateBody", ""),
					    .chain = doc_str(input, "CertificateChain", ""),
					    .key = doc_str(input, "PrivateKey", ""),
					    .may_lack_chain = true};
	struct aws_error why = {0};
	json_t *facts = certificate_pem_facts(&pem, clock_now_ms(NULL), &why);
	bool is_mismatch = strstr(why.message, "does not match") != NULL;

	if (facts == NULL)
		aws_error_set(error, 400, is_mismatch ? "KeyPairMismatch" : "MalformedCertificate",
			      "%s", why.message);
	return facts;
}

static json_t *new_certificate(const struct aws_call *call, const json_t *input,
			       const json_t *facts)
{
	const char *name = doc_str(input, "ServerCertificateName", "");
	const char *path = doc_str(input, "Path", "/");
	char arn[ARN_TEXT_MAX], id[32], now[CLOCK_TEXT_MAX];

	snprintf(arn, sizeof(arn), "arn:aws:iam::%.12s:server-certificate%.512s%.128s",
		 call->account_id, path, name);
	iam_new_id("ASCA", id);
	return json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:s}, s:s, s:s*}",
			 "ServerCertificateMetadata", "Path", path, "ServerCertificateName", name,
			 "ServerCertificateId", id, "Arn", arn, "UploadDate",
			 clock_format_iso(clock_now_ms(NULL), now), "Expiration",
			 doc_str(facts, "NotAfter", ""), "CertificateBody",
			 doc_str(input, "CertificateBody", ""), "CertificateChain",
			 doc_str(input, "CertificateChain", NULL));
}

json_t *handle_UploadServerCertificate(void *context, const struct aws_call *call,
				       const json_t *input, struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *facts, *certificate, *answer;

	if (iam_check_free(context, IAM_CERTIFICATES, NOUN,
			   doc_str(input, "ServerCertificateName", ""), key, error) != 0)
		return NULL;
	facts = check(input, error);
	if (facts == NULL)
		return NULL;
	certificate = new_certificate(call, input, facts);
	json_decref(facts);
	answer = json_pack("{s:O}", "ServerCertificateMetadata",
			   doc_object(certificate, "ServerCertificateMetadata"));
	if (neighbours_put(context, key, certificate, error) == 0)
		return answer;
	json_decref(answer);
	return NULL;
}

static json_t *find(void *context, const json_t *input, char key[NEIGHBOURS_KEY_MAX],
		    struct aws_error *error)
{
	return iam_find(context, IAM_CERTIFICATES, NOUN,
			doc_str(input, "ServerCertificateName", ""), key, error);
}

json_t *handle_GetServerCertificate(void *context, const struct aws_call *call, const json_t *input,
				    struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *certificate = find(context, input, key, error);

	(void)call;
	return certificate == NULL ? NULL : json_pack("{s:o}", "ServerCertificate", certificate);
}

json_t *handle_ListServerCertificates(void *context, const struct aws_call *call,
				      const json_t *input, struct aws_error *error)
{
	const char *prefix = doc_str(input, "PathPrefix", "/");
	json_t *all = neighbours_list(context, IAM_CERTIFICATES), *list = json_array();
	const json_t *one;
	size_t i;

	(void)call;
	json_array_foreach (all, i, one) {
		json_t *metadata = doc_object(one, "ServerCertificateMetadata");

		if (strncmp(doc_str(metadata, "Path", "/"), prefix, strlen(prefix)) == 0)
			json_array_append(list, metadata);
	}
	json_decref(all);
	return iam_list_answer("ServerCertificateMetadataList", list, error);
}

json_t *handle_DeleteServerCertificate(void *context, const struct aws_call *call,
				       const json_t *input, struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *certificate = find(context, input, key, error);

	(void)call;
	if (certificate == NULL)
		return NULL;
	json_decref(certificate);
	return neighbours_delete(context, key, error) == 0 ? json_object() : NULL;
}
