/*
 * See sigv4.h.  What the request claims is gathered first (struct claim), from the header or the
 * query; then the claim is checked step by step, the signature last.
 */
#include "common/aws/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/aws/sigv4_canonical.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define TERMINATOR "aws4_request"
#define AUTH_FAILURE "AWS was not able to validate the provided access credentials: "

enum {
	MAX_SKEW_S = 300,
	MAX_EXPIRES_S = 604800,
	MAX_CREDENTIAL = 320,
	MAX_SIGNED_HEADERS = 2048,
	STAMP_LEN = 16, /* 20260102T030405Z */
};

struct claim {
	struct sigv4_scope scope;
	char signed_headers[MAX_SIGNED_HEADERS];
	char signature[SIGV4_HEX_MAX];
	char stamp[STAMP_LEN + 1];
	int64_t time_s;
	int64_t expires_s;  /* query form only */
	bool is_query_form; /* presigned */
};

static bool is_ec2(const struct claim *claim)
{
	return strcmp(claim->scope.service, "ec2") == 0;
}

static int incomplete(struct aws_error *error, const char *what)
{
	aws_error_set(error, 400, "IncompleteSignature", "%s", what);
	return -1;
}

static int mismatch(const struct claim *claim, struct aws_error *error, const char *why)
{
	if (is_ec2(claim))
		aws_error_set(error, 401, "AuthFailure", AUTH_FAILURE "%s", why);
	else
		aws_error_set(error, 403, "SignatureDoesNotMatch", "%s", why);
	return -1;
}

static int bad_key(const struct claim *claim, struct aws_error *error, const char *why)
{
	if (is_ec2(claim))
		aws_error_set(error, 401, "AuthFailure", AUTH_FAILURE "%s", why);
	else
		aws_error_set(error, 403, "InvalidClientTokenId", "%s", why);
	return -1;
}

static void format_stamp(int64_t time_ms, char text[STAMP_LEN + 1])
{
	time_t time_s = (time_t)(time_ms / 1000);
	struct tm utc;

	gmtime_r(&time_s, &utc);
	strftime(text, STAMP_LEN + 1, "%Y%m%dT%H%M%SZ", &utc);
}

/* AWS's words, which clients look for: what the request says, the bound, and (the clock -/+ skew).
 */
static int bad_time(const struct claim *claim, int64_t now_ms, bool is_late,
		    struct aws_error *error)
{
	int64_t lifetime_s = claim->is_query_form && is_late ? claim->expires_s : MAX_SKEW_S;
	char now[STAMP_LEN + 1], bound[STAMP_LEN + 1];

	format_stamp(now_ms, now);
	format_stamp(now_ms + (is_late ? -lifetime_s : lifetime_s) * 1000, bound);
	if (is_ec2(claim))
		aws_error_set(error, 400, "RequestExpired",
			      "Request has expired. It is of %s; the server's clock says %s",
			      claim->stamp, now);
	else
		aws_error_set(error, 403, "SignatureDoesNotMatch",
			      is_late ? "Signature expired: %s is now earlier than %s (%s - %lld "
					"min.)"
				      : "Signature not yet current: %s is still later than %s (%s "
					"+ %lld min.)",
			      claim->stamp, bound, now, (long long)lifetime_s / 60);
	return -1;
}

static int copy(char *to, size_t size, const char *from, size_t len)
{
	if (len == 0 || len >= size)
		return -1;
	memcpy(to, from, len);
	to[len] = '\0';
	return 0;
}

/* Cuts the last "/part" off text[0..*len). */
static int cut_part(const char *text, size_t *len, char *part, size_t size)
{
	const char *slash = memrchr(text, '/', *len);
	size_t at;

	if (slash == NULL)
		return -1;
	at = (size_t)(slash - text);
	if (copy(part, size, slash + 1, *len - at - 1) != 0)
		return -1;
	*len = at;
	return 0;
}

/* An access key may hold slashes, so the four known parts are taken from the right. */
static int parse_credential(const char *text, size_t len, struct sigv4_scope *scope,
			    struct aws_error *error)
{
	char terminator[sizeof(TERMINATOR) + 1];

	if (cut_part(text, &len, terminator, sizeof(terminator)) != 0 ||
	    strcmp(terminator, TERMINATOR) != 0 ||
	    cut_part(text, &len, scope->service, sizeof(scope->service)) != 0 ||
	    cut_part(text, &len, scope->region, sizeof(scope->region)) != 0 ||
	    cut_part(text, &len, scope->date, sizeof(scope->date)) != 0 ||
	    copy(scope->access_key, sizeof(scope->access_key), text, len) != 0)
		return incomplete(error, "Credential is not of the form "
					 "ACCESS-KEY/yyyymmdd/REGION/SERVICE/aws4_request");
	scope->is_present = true;
	return 0;
}

/* The value of "name=" in the comma-separated list; NULL when it is not there. */
static const char *list_value(const char *list, const char *name, size_t *len)
{
	size_t name_len = strlen(name);

	for (const char *p = list; *p != '\0';) {
		p += strspn(p, ", \t");
		*len = strcspn(p, ",");
		if (*len > name_len && strncmp(p, name, name_len) == 0 && p[name_len] == '=') {
			const char *value = p + name_len + 1;

			*len -= name_len + 1;
			while (*len > 0 && (value[*len - 1] == ' ' || value[*len - 1] == '\t'))
				--*len;
			return value;
		}
		p += *len;
	}
	return NULL;
}

static int claim_from_header(const char *authorization, struct claim *claim,
			     struct aws_error *error)
{
	const char *credential, *headers, *signature, *list = authorization + strlen(ALGORITHM);
	size_t credential_len, headers_len, signature_len;

	if (strncmp(authorization, ALGORITHM, strlen(ALGORITHM)) != 0 ||
	    (*list != ' ' && *list != '\t'))
		return incomplete(error, "Authorization is not an " ALGORITHM " signature");
	credential = list_value(list, "Credential", &credential_len);
	headers = list_value(list, "SignedHeaders", &headers_len);
	signature = list_value(list, "Signature", &signature_len);
	if (credential == NULL)
		return incomplete(error, "Authorization header requires 'Credential' parameter");
	if (headers == NULL ||
	    copy(claim->signed_headers, sizeof(claim->signed_headers), headers, headers_len) != 0)
		return incomplete(error,
				  "Authorization header requires a 'SignedHeaders' parameter of "
				  "at most 2,047 characters");
	if (signature == NULL ||
	    copy(claim->signature, sizeof(claim->signature), signature, signature_len) != 0)
		return incomplete(error, "Authorization header requires a 'Signature' parameter of "
					 "64 hexadecimal digits");
	return parse_credential(credential, credential_len, &claim->scope, error);
}

static int claim_from_query(const struct sigv4_request *request, struct claim *claim,
			    struct aws_error *error)
{
	char text[MAX_CREDENTIAL];

	if (sigv4_query_value(request->query, "X-Amz-Algorithm", text, sizeof(text)) != 0 ||
	    strcmp(text, ALGORITHM) != 0)
		return incomplete(error, "X-Amz-Algorithm must be " ALGORITHM);
	if (sigv4_query_value(request->query, "X-Amz-SignedHeaders", claim->signed_headers,
			      sizeof(claim->signed_headers)) != 0)
		return incomplete(error, "X-Amz-SignedHeaders is missing or too long");
	if (sigv4_query_value(request->query, "X-Amz-Signature", claim->signature,
			      sizeof(claim->signature)) != 0)
		return incomplete(error, "X-Amz-Signature is missing or not 64 hexadecimal digits");
	if (sigv4_query_value(request->query, "X-Amz-Credential", text, sizeof(text)) != 0)
		return incomplete(error, "X-Amz-Credential is missing or too long");
	claim->is_query_form = true;
	return parse_credential(text, strlen(text), &claim->scope, error);
}

/* 0 also for a request without any signature: scope.is_present tells. */
static int claim_read(const struct sigv4_request *request, struct claim *claim,
		      struct aws_error *error)
{
	const char *authorization = sigv4_header(request, "authorization");
	char text[MAX_CREDENTIAL];
	bool has_query =
	    sigv4_query_value(request->query, "X-Amz-Algorithm", text, sizeof(text)) != 1 ||
	    sigv4_query_value(request->query, "X-Amz-Credential", text, sizeof(text)) != 1 ||
	    sigv4_query_value(request->query, "X-Amz-Signature", text, sizeof(text)) != 1;

	memset(claim, 0, sizeof(*claim));
	if (authorization != NULL && has_query)
		return incomplete(error, "The request is signed twice, in the Authorization header "
					 "and in the query string: only one is allowed");
	if (authorization != NULL)
		return claim_from_header(authorization, claim, error);
	return has_query ? claim_from_query(request, claim, error) : 0;
}

int sigv4_scope(const struct sigv4_request *request, struct sigv4_scope *scope,
		struct aws_error *error)
{
	struct claim claim;
	int result = claim_read(request, &claim, error);

	*scope = claim.scope;
	return result;
}

/* All of text, nothing less: strptime() alone takes "2026 1 2T...". */
static int parse_stamp(const char *text, int64_t *time_s)
{
	struct tm utc = {0};
	const char *end;

	if (strlen(text) != STAMP_LEN || strspn(text, "0123456789") != 8 || text[8] != 'T' ||
	    strspn(text + 9, "0123456789") != 6)
		return -1;
	end = strptime(text, "%Y%m%dT%H%M%SZ", &utc);
	if (end == NULL || *end != '\0')
		return -1;
	*time_s = timegm(&utc);
	return 0;
}

/* A Date header (RFC 9110 5.6.7) stands in for X-Amz-Date and is signed in its compact form. */
static int parse_http_date(const char *text, struct claim *claim)
{
	struct tm utc = {0};
	const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &utc);

	if (end == NULL || *end != '\0')
		return -1;
	claim->time_s = timegm(&utc);
	return strftime(claim->stamp, sizeof(claim->stamp), "%Y%m%dT%H%M%SZ", &utc) == STAMP_LEN
		   ? 0
		   : -1;
}

static int read_time(const struct sigv4_request *request, struct claim *claim,
		     struct aws_error *error)
{
	const char *text = sigv4_header(request, "x-amz-date");
	char in_query[STAMP_LEN + 1];

	if (claim->is_query_form) {
		if (sigv4_query_value(request->query, "X-Amz-Date", in_query, sizeof(in_query)) !=
		    0)
			return incomplete(error, "X-Amz-Date is missing or not yyyymmddThhmmssZ");
		text = in_query;
	} else if (text == NULL) {
		text = sigv4_header(request, "date");
		if (text != NULL && parse_http_date(text, claim) == 0)
			return 0;
	}
	if (text == NULL)
		return incomplete(error, "X-Amz-Date or Date is required");
	if (parse_stamp(text, &claim->time_s) != 0)
		return incomplete(error, "X-Amz-Date is not of the form yyyymmddThhmmssZ");
	snprintf(claim->stamp, sizeof(claim->stamp), "%s", text);
	return 0;
}

static int read_expires(const struct sigv4_request *request, struct claim *claim,
			struct aws_error *error)
{
	char text[8];

	if (sigv4_query_value(request->query, "X-Amz-Expires", text, sizeof(text)) != 0 ||
	    text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
		return incomplete(error, "X-Amz-Expires must be a number of seconds");
	claim->expires_s = strtol(text, NULL, 10);
	if (claim->expires_s < 1 || claim->expires_s > MAX_EXPIRES_S)
		return incomplete(error, "X-Amz-Expires must be in 1..604800");
	return 0;
}

static int check_time(const struct sigv4_request *request, struct claim *claim, int64_t now_ms,
		      struct aws_error *error)
{
	int64_t lifetime_s = MAX_SKEW_S;

	if (read_time(request, claim, error) != 0)
		return -1;
	if (strlen(claim->scope.date) != 8 || strncmp(claim->scope.date, claim->stamp, 8) != 0)
		return mismatch(claim, error,
				"The date in the credential scope is not that of the request");
	if (claim->is_query_form) {
		if (read_expires(request, claim, error) != 0)
			return -1;
		lifetime_s = claim->expires_s;
	}
	if (now_ms - claim->time_s * 1000 > lifetime_s * 1000)
		return bad_time(claim, now_ms, true, error);
	if (claim->time_s * 1000 - now_ms > (int64_t)MAX_SKEW_S * 1000)
		return bad_time(claim, now_ms, false, error);
	return 0;
}

/*
 * What a middleman must not be able to change or to add: these, where present, have to be signed.
 * Content-Type need not be (curl does not sign its own): the body is signed, and the protocols
 * besides Query want more than a type, in what is signed.
 */
static bool must_be_signed(const char *name)
{
	return strcasecmp(name, "host") == 0 || strncasecmp(name, "x-amz-", 6) == 0;
}

static int check_signed_headers(const struct sigv4_request *request, const struct claim *claim,
				struct aws_error *error)
{
	char why[160];

	if (!sigv4_is_listed(claim->signed_headers, "host"))
		return mismatch(claim, error, "'host' must be one of the signed headers");
	for (size_t i = 0; i < request->n_headers; i++) {
		const char *name = request->headers[i].name;

		if (!must_be_signed(name) || sigv4_is_listed(claim->signed_headers, name))
			continue;
		snprintf(why, sizeof(why), "'%.64s' is in the request and must be a signed header",
			 name);
		return mismatch(claim, error, why);
	}
	return 0;
}

/* The key's credential; NULL with error. */
static const json_t *find_key(const struct claim *claim, const json_t *credentials,
			      struct aws_error *error)
{
	const json_t *credential;
	size_t i;

	json_array_foreach (credentials, i, credential) {
		const char *id = json_string_value(json_object_get(credential, "AccessKeyId"));
		const json_t *secret = json_object_get(credential, "SecretAccessKey");

		if (id != NULL && strcmp(id, claim->scope.access_key) == 0 &&
		    json_string_length(secret) > 0)
			return credential;
	}
	bad_key(claim, error, "The security token included in the request is invalid");
	return NULL;
}

/* A session's token goes with its key, and a long-term key goes with none. */
static int check_token(const struct sigv4_request *request, const struct claim *claim,
		       const json_t *credential, struct aws_error *error)
{
	const char *wanted = json_string_value(json_object_get(credential, "SessionToken"));
	const char *given = sigv4_header(request, "x-amz-security-token");
	char in_query[4096] = "";

	if (given == NULL && sigv4_query_value(request->query, "X-Amz-Security-Token", in_query,
					       sizeof(in_query)) != 1)
		given = in_query;
	if (given == NULL && wanted == NULL)
		return 0;
	if (given != NULL && wanted != NULL && strlen(given) == strlen(wanted) &&
	    CRYPTO_memcmp(given, wanted, strlen(wanted)) == 0)
		return 0;
	return bad_key(claim, error, "The security token included in the request is invalid");
}

static int payload_hash(const struct sigv4_request *request, const struct claim *claim,
			char hash[SIGV4_HEX_MAX], struct aws_error *error)
{
	const char *claimed = sigv4_header(request, "x-amz-content-sha256");

	sigv4_sha256_hex(request->body, request->body_len, hash);
	if (claimed == NULL || strcmp(claimed, hash) == 0)
		return 0;
	if (strcmp(claimed, "UNSIGNED-PAYLOAD") != 0)
		return mismatch(claim, error, "X-Amz-Content-Sha256 is not the hash of the body");
	snprintf(hash, SIGV4_HEX_MAX, "%s", claimed);
	return 0;
}

static void hmac(const void *key, size_t key_len, const char *text, unsigned char out[32])
{
	unsigned int size = 0;

	CHECK(HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), out,
		   &size) != NULL &&
	      size == 32);
}

/* The key chain over date, region, service and terminator, then the text itself. */
static int sign(const char *secret, const struct sigv4_scope *scope, const char *text,
		char hex[SIGV4_HEX_MAX])
{
	const char *const links[] = {scope->date, scope->region, scope->service, TERMINATOR, text};
	unsigned char key[2][32];
	struct buf first = {0};
	const void *with;
	size_t with_len;

	buf_printf(&first, "AWS4%s", secret);
	if (buf_failed(&first))
		return -1;
	with = first.data;
	with_len = first.len;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		hmac(with, with_len, links[i], key[i % 2]);
		with = key[i % 2];
		with_len = sizeof(key[0]);
	}
	for (size_t i = 0; i < with_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", ((const unsigned char *)with)[i]);
	OPENSSL_cleanse(first.data, first.len);
	OPENSSL_cleanse(key, sizeof(key));
	buf_fini(&first);
	return 0;
}

static int check_signature(const struct sigv4_request *request, const struct claim *claim,
			   const char *secret, struct aws_error *error)
{
	char hash[SIGV4_HEX_MAX], hex[SIGV4_HEX_MAX], missing[64], why[160];
	struct buf canonical = {0}, text = {0};
	int result = -1;

	if (payload_hash(request, claim, hash, error) != 0)
		return -1;
	if (sigv4_canonical_request(request, claim->signed_headers, hash, &canonical, missing,
				    sizeof(missing)) != 0) {
		snprintf(why, sizeof(why), "the signed header '%s' is not in the request", missing);
		mismatch(claim, error, why);
		goto out;
	}
	sigv4_sha256_hex(buf_text(&canonical), canonical.len, hash);
	buf_printf(&text, ALGORITHM "\n%s\n%s/%s/%s/" TERMINATOR "\n%s", claim->stamp,
		   claim->scope.date, claim->scope.region, claim->scope.service, hash);
	if (buf_failed(&canonical) || buf_failed(&text) ||
	    sign(secret, &claim->scope, buf_text(&text), hex) != 0) {
		aws_error_set(error, 500, "InternalFailure", "out of memory");
		goto out;
	}
	if (strlen(claim->signature) == SIGV4_HEX_MAX - 1 &&
	    CRYPTO_memcmp(hex, claim->signature, SIGV4_HEX_MAX - 1) == 0)
		result = 0;
	else
		mismatch(claim, error,
			 "The request signature we calculated does not match the signature you "
			 "provided. Check the secret access key, and that nothing between changes "
			 "Host, path or body");
out:
	buf_fini(&canonical);
	buf_fini(&text);
	return result;
}

int sigv4_verify(const struct sigv4_request *request, const json_t *credentials, int64_t now_ms,
		 struct aws_error *error)
{
	const json_t *credential;
	struct claim claim;

	if (claim_read(request, &claim, error) != 0)
		return -1;
	if (!claim.scope.is_present) {
		aws_error_set(error, 403, "MissingAuthenticationToken",
			      "Missing Authentication Token: the request is not signed");
		return -1;
	}
	if (check_time(request, &claim, now_ms, error) != 0 ||
	    check_signed_headers(request, &claim, error) != 0)
		return -1;
	credential = find_key(&claim, credentials, error);
	if (credential == NULL || check_token(request, &claim, credential, error) != 0)
		return -1;
	return check_signature(request, &claim,
			       json_string_value(json_object_get(credential, "SecretAccessKey")),
			       error);
}
