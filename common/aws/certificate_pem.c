/* See certificate_pem.h. */
#include "common/aws/certificate_pem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

enum { MAX_CHAIN = 20, MAX_NAMES = 100, MAX_NAME_TEXT = 2048 };

/* What is being put together. */
struct bundle {
	X509 *leaf;
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
};

static int invalid(struct aws_error *error, const char *why)
{
	aws_error_set(error, 400, "ValidationError", "%s", why);
	return -1;
}

/* OpenSSL would ask the terminal. */
static int no_passphrase(char *text, int size, int is_writing, void *arg)
{
	(void)text;
	(void)size;
	(void)is_writing;
	(void)arg;
	return -1;
}

static BIO *bio_of(const char *pem)
{
	return BIO_new_mem_buf(pem, -1);
}

static X509 *next_certificate(BIO *bio)
{
	return PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
}

static int read_leaf(struct bundle *bundle, const char *pem, struct aws_error *error)
{
	BIO *bio = bio_of(pem);
	X509 *second = NULL;

	if (bio != NULL) {
		bundle->leaf = next_certificate(bio);
		second = bundle->leaf == NULL ? NULL : next_certificate(bio);
	}
	BIO_free(bio);
	X509_free(second);
	if (bundle->leaf == NULL)
		return invalid(error, "The certificate is not a PEM-encoded X.509 certificate.");
	if (second != NULL)
		return invalid(error,
			       "The certificate field contains more than one certificate. You can "
			       "specify only one certificate in this field.");
	return 0;
}

static int read_chain(struct bundle *bundle, const char *pem, struct aws_error *error)
{
	BIO *bio = bio_of(pem);
	X509 *one;

	bundle->chain = sk_X509_new_null();
	while (bio != NULL && bundle->chain != NULL && sk_X509_num(bundle->chain) <= MAX_CHAIN &&
	       (one = next_certificate(bio)) != NULL)
		if (sk_X509_push(bundle->chain, one) <= 0)
			X509_free(one);
	BIO_free(bio);
	if (sk_X509_num(bundle->chain) <= 0)
		return invalid(error, "The certificate chain is not a list of PEM-encoded X.509 "
				      "certificates.");
	if (sk_X509_num(bundle->chain) > MAX_CHAIN)
		return invalid(error, "The certificate chain is too long.");
	return 0;
}

static int read_key(struct bundle *bundle, const char *pem, struct aws_error *error)
{
	BIO *bio = bio_of(pem);

	if (bio != NULL)
		bundle->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (bundle->key != NULL)
		return 0;
	return invalid(error, strstr(pem, "ENCRYPTED") != NULL
				  ? "The private key is encrypted. It must not be protected by a "
				    "password or passphrase."
				  : "The private key is not a PEM-encoded private key.");
}

static int check_times(const X509 *leaf, int64_t now_ms, struct aws_error *error)
{
	time_t now = (time_t)(now_ms / 1000);

	if (X509_cmp_time(X509_get0_notBefore(leaf), &now) > 0)
		return invalid(error, "The certificate is not valid yet.");
	if (X509_cmp_time(X509_get0_notAfter(leaf), &now) < 0)
		return invalid(error, "The certificate has expired.");
	return 0;
}

/* Does the chain lead from the leaf to its last certificate?  Each one signs the one before. */
static bool chain_leads(const struct bundle *bundle)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_STORE *anchors = X509_STORE_new();
	int n = sk_X509_num(bundle->chain);
	bool is_good = false;

	if (context != NULL && anchors != NULL &&
	    X509_STORE_add_cert(anchors, sk_X509_value(bundle->chain, n - 1)) == 1 &&
	    X509_STORE_CTX_init(context, anchors, bundle->leaf, bundle->chain) == 1) {
		/* An intermediate may stand at the end, and its time is the clients' matter. */
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context),
					    X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
		is_good = X509_verify_cert(context) == 1;
	}
	X509_STORE_CTX_free(context);
	X509_STORE_free(anchors);
	return is_good;
}

static int check_chain(const struct bundle *bundle, bool may_lack, struct aws_error *error)
{
	if (bundle->chain != NULL)
		return chain_leads(bundle)
			   ? 0
			   : invalid(error, "Could not validate the certificate with the "
					    "certificate chain.");
	if (may_lack || X509_self_signed(bundle->leaf, 1) == 1)
		return 0;
	return invalid(error, "Provided certificate is not a valid self signed. Please provide "
			      "either a valid self-signed certificate or certificate chain.");
}

/* --- what the certificate says --- */

static const char *key_algorithm(EVP_PKEY *key)
{
	static const struct {
		int bits;
		const char *rsa;
	} sizes[] = {
	    {1024, "RSA_1024"}, {2048, "RSA_2048"}, {3072, "RSA_3072"}, {4096, "RSA_4096"}};
	static const char *const curves[][2] = {{"prime256v1", "EC_prime256v1"},
						{"secp384r1", "EC_secp384r1"},
						{"secp521r1", "EC_secp521r1"}};
	char group[64];
	size_t len;

	if (EVP_PKEY_is_a(key, "RSA"))
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			if (EVP_PKEY_get_bits(key) == sizes[i].bits)
				return sizes[i].rsa;
	if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), &len))
		for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
			if (strcmp(group, curves[i][0]) == 0)
				return curves[i][1];
	return NULL;
}

/* "SHA256WITHRSA" */
static void signature_algorithm(const X509 *leaf, struct buf *text)
{
	int digest = 0, key = 0;

	OBJ_find_sigid_algs(X509_get_signature_nid(leaf), &digest, &key);
	buf_printf(text, "%sWITH%s", digest == 0 ? "" : OBJ_nid2sn(digest),
		   key == NID_X9_62_id_ecPublicKey ? "ECDSA" : "RSA");
}

static json_t *time_of(const ASN1_TIME *time)
{
	char text[CLOCK_TEXT_MAX];
	struct tm utc;

	if (ASN1_TIME_to_tm(time, &utc) != 1)
		return NULL;
	return json_string(clock_format_iso((int64_t)timegm(&utc) * 1000, text));
}

static json_t *serial_of(const X509 *leaf)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
	struct buf text = {0};
	json_t *value;

	for (int i = 0; i < ASN1_STRING_length(serial); i++)
		buf_printf(&text, "%s%02x", i == 0 ? "" : ":", ASN1_STRING_get0_data(serial)[i]);
	value = json_string(buf_text(&text));
	buf_fini(&text);
	return value;
}

/* "C=FR,O=Lab,CN=example.com"; NULL when it is no text. */
static json_t *name_text(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	json_t *value = NULL;
	char *text;
	long len;

	if (bio == NULL)
		return NULL;
	if (X509_NAME_print_ex(bio, name, 0,
			       (XN_FLAG_RFC2253 & ~(unsigned long)XN_FLAG_DN_REV &
				~(unsigned long)ASN1_STRFLGS_ESC_MSB)) >= 0) {
		len = BIO_get_mem_data(bio, &text);
		if (len >= 0 && len <= MAX_NAME_TEXT)
			value = json_stringn(text, (size_t)len);
	}
	BIO_free(bio);
	return value;
}

/* One part of a name as UTF-8; "" when there is none. */
static void name_part(const X509_NAME *name, int nid, struct buf *text)
{
	int at = X509_NAME_get_index_by_NID(name, nid, -1), len;
	unsigned char *utf8 = NULL;

	if (at < 0)
		return;
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len > 0 && len <= MAX_NAME_TEXT && memchr(utf8, '\0', (size_t)len) == NULL)
		buf_add(text, utf8, (size_t)len);
	OPENSSL_free(utf8);
}

/* The one that signed, by its organization where it has one. */
static json_t *issuer_of(const X509 *leaf)
{
	const X509_NAME *name = X509_get_issuer_name(leaf);
	struct buf text = {0};
	json_t *value;

	name_part(name, NID_organizationName, &text);
	if (text.len == 0)
		name_part(name, NID_commonName, &text);
	value = json_string(buf_text(&text));
	buf_fini(&text);
	return value;
}

static bool has_text(const json_t *list, const char *text)
{
	const json_t *one;
	size_t i;

	json_array_foreach (list, i, one)
		if (strcasecmp(json_string_value(one), text) == 0)
			return true;
	return false;
}

/* The common name, if it is one of a host or all there is, then the DNS names. */
static json_t *domains_of(const X509 *leaf)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	json_t *domains = json_array();
	struct buf common = {0};

	name_part(X509_get_subject_name(leaf), NID_commonName, &common);
	if (common.len > 0)
		json_array_append_new(domains, json_string(buf_text(&common)));
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < MAX_NAMES; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		char text[256];

		if (name->type != GEN_DNS || ASN1_STRING_length(name->d.dNSName) >= 256)
			continue;
		snprintf(text, sizeof(text), "%.*s", ASN1_STRING_length(name->d.dNSName),
			 (const char *)ASN1_STRING_get0_data(name->d.dNSName));
		if (!has_text(domains, text))
			json_array_append_new(domains, json_string(text));
	}
	GENERAL_NAMES_free(names);
	buf_fini(&common);
	return domains;
}

static json_t *key_usages(X509 *leaf)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} usages[] = {{KU_DIGITAL_SIGNATURE, "DIGITAL_SIGNATURE"},
		      {KU_NON_REPUDIATION, "NON_REPUDIATION"},
		      {KU_KEY_ENCIPHERMENT, "KEY_ENCIPHERMENT"},
		      {KU_DATA_ENCIPHERMENT, "DATA_ENCIPHERMENT"},
		      {KU_KEY_AGREEMENT, "KEY_AGREEMENT"},
		      {KU_KEY_CERT_SIGN, "CERTIFICATE_SIGNING"},
		      {KU_CRL_SIGN, "CRL_SIGNING"},
		      {KU_ENCIPHER_ONLY, "ENCIPHER_ONLY"},
		      {KU_DECIPHER_ONLY, "DECIPHER_ONLY"}};
	uint32_t bits = X509_get_key_usage(leaf);
	json_t *list = json_array();

	if (bits == UINT32_MAX) { /* no such extension: good for anything */
		json_array_append_new(list, json_pack("{s:s}", "Name", "ANY"));
		return list;
	}
	for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++)
		if (bits & usages[i].bit)
			json_array_append_new(list, json_pack("{s:s}", "Name", usages[i].name));
	return list;
}

static json_t *extended_key_usages(X509 *leaf)
{
	static const struct {
		uint32_t bit;
		const char *name, *oid;
	} usages[] = {
	    {XKU_SSL_SERVER, "TLS_WEB_SERVER_AUTHENTICATION", "1.3.6.1.5.5.7.3.1"},
	    {XKU_SSL_CLIENT, "TLS_WEB_CLIENT_AUTHENTICATION", "1.3.6.1.5.5.7.3.2"},
	    {XKU_CODE_SIGN, "CODE_SIGNING", "1.3.6.1.5.5.7.3.3"},
	    {XKU_SMIME, "EMAIL_PROTECTION", "1.3.6.1.5.5.7.3.4"},
	    {XKU_TIMESTAMP, "TIME_STAMPING", "1.3.6.1.5.5.7.3.8"},
	    {XKU_OCSP_SIGN, "OCSP_SIGNING", "1.3.6.1.5.5.7.3.9"},
	};
	uint32_t bits = X509_get_extended_key_usage(leaf);
	json_t *list = json_array();

	for (size_t i = 0; bits != UINT32_MAX && i < sizeof(usages) / sizeof(usages[0]); i++)
		if (bits & usages[i].bit)
			json_array_append_new(list, json_pack("{s:s, s:s}", "Name", usages[i].name,
							      "OID", usages[i].oid));
	return list;
}

static json_t *facts_of(const struct bundle *bundle, struct aws_error *error)
{
	const char *algorithm = key_algorithm(bundle->key);
	json_t *domains = domains_of(bundle->leaf), *facts = NULL;
	struct buf signature = {0};

	if (algorithm == NULL) {
		invalid(error, "The key algorithm of the certificate is not supported: RSA of "
			       "1024, 2048, 3072 or 4096 bits, or EC prime256v1, secp384r1 or "
			       "secp521r1.");
	} else if (json_array_size(domains) == 0) {
		invalid(error, "The certificate has neither a common name nor a DNS name.");
	} else {
		signature_algorithm(bundle->leaf, &signature);
		facts =
		    json_pack("{s:O, s:O, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o}",
			      "DomainName", json_array_get(domains, 0), "SubjectAlternativeNames",
			      domains, "Serial", serial_of(bundle->leaf), "Subject",
			      name_text(X509_get_subject_name(bundle->leaf)), "Issuer",
			      issuer_of(bundle->leaf), "NotBefore",
			      time_of(X509_get0_notBefore(bundle->leaf)), "NotAfter",
			      time_of(X509_get0_notAfter(bundle->leaf)), "KeyAlgorithm", algorithm,
			      "SignatureAlgorithm", buf_text(&signature), "KeyUsages",
			      key_usages(bundle->leaf), "ExtendedKeyUsages",
			      extended_key_usages(bundle->leaf));
		if (facts == NULL)
			invalid(error, "The certificate's names or times cannot be read.");
	}
	buf_fini(&signature);
	json_decref(domains);
	return facts;
}

json_t *certificate_pem_facts(const struct certificate_pem *pem, int64_t now_ms,
			      struct aws_error *error)
{
	struct bundle bundle = {0};
	json_t *facts = NULL;

	if (read_leaf(&bundle, pem->certificate, error) != 0 ||
	    (*pem->chain != '\0' && read_chain(&bundle, pem->chain, error) != 0) ||
	    read_key(&bundle, pem->key, error) != 0 || check_times(bundle.leaf, now_ms, error) != 0)
		goto out;
	if (X509_check_private_key(bundle.leaf, bundle.key) != 1)
		invalid(error, "The private key does not match the certificate.");
	else if (check_chain(&bundle, pem->may_lack_chain, error) == 0)
		facts = facts_of(&bundle, error);
out:
	X509_free(bundle.leaf);
	EVP_PKEY_free(bundle.key);
	sk_X509_pop_free(bundle.chain, X509_free);
	ERR_clear_error();
	return facts;
}
