/* See ssh_key.h.  The blobs are those of RFC 4253 section 6.6 and RFC 8709 section 4. */
#include "lab/ec2/ssh_key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "lab/ec2/base64.h"

enum {
	RSA_BITS = 2048,
	RSA_BITS_MIN = 1024,
	RSA_BITS_MAX = 16384,
	ED25519_BYTES = 32,
	BLOB_MAX = 4096,
	PEM_COLUMNS = 70,
};

static const char rsa_name[] = "ssh-rsa", ed25519_name[] = "ssh-ed25519";

/* --- writing the wire form --- */

static void add_u32(struct buf *blob, size_t number)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_add_char(blob, (char)(number >> shift & 255));
}

static void add_string(struct buf *blob, const void *bytes, size_t len)
{
	add_u32(blob, len);
	buf_add(blob, bytes, len);
}

/* A positive number has a zero in front where its first bit is set. */
static void add_mpint(struct buf *blob, const BIGNUM *number)
{
	unsigned char bytes[BLOB_MAX] = {0};
	int len = BN_num_bytes(number);

	if (len >= BLOB_MAX)
		return;
	BN_bn2bin(number, bytes + 1);
	if ((bytes[1] & 0x80) != 0)
		add_string(blob, bytes, (size_t)len + 1);
	else
		add_string(blob, bytes + 1, (size_t)len);
}

static void add_base64(struct buf *text, const void *bytes, size_t len)
{
	char *encoded = malloc(len / 3 * 4 + 8);

	if (encoded == NULL)
		return;
	EVP_EncodeBlock((unsigned char *)encoded, bytes, (int)len);
	buf_add_str(text, encoded);
	OPENSSL_cleanse(encoded, strlen(encoded));
	free(encoded);
}

static int rsa_blob(EVP_PKEY *pkey, struct buf *blob)
{
	BIGNUM *e = NULL, *n = NULL;
	int ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
		 EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1;

	if (ok) {
		add_string(blob, rsa_name, strlen(rsa_name));
		add_mpint(blob, e);
		add_mpint(blob, n);
	}
	BN_free(e);
	BN_free(n);
	return ok && !buf_failed(blob) ? 0 : -1;
}

static void ed25519_blob(const unsigned char public[ED25519_BYTES], struct buf *blob)
{
	add_string(blob, ed25519_name, strlen(ed25519_name));
	add_string(blob, public, ED25519_BYTES);
}

static int set_public_line(struct ssh_key *key, const char *algorithm, const struct buf *blob,
			   const char *name)
{
	struct buf line = {0};

	buf_printf(&line, "%s ", algorithm);
	add_base64(&line, blob->data, blob->len);
	buf_printf(&line, " %s", name);
	if (!buf_failed(&line))
		key->public_line = strndup(line.data, line.len);
	buf_fini(&line);
	return key->public_line != NULL ? 0 : -1;
}

/* --- fingerprints --- */

static int colon_hex(struct ssh_key *key, const EVP_MD *digest, const void *bytes, size_t len)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_Digest(bytes, len, sum, &n, digest, NULL) != 1)
		return -1;
	for (unsigned i = 0; i < n; i++)
		snprintf(key->fingerprint + 3 * (size_t)i, 4, i + 1 < n ? "%02x:" : "%02x", sum[i]);
	return 0;
}

/* Created RSA keys: SHA-1 of the private key in PKCS #8. */
static int print_private(struct ssh_key *key, EVP_PKEY *pkey)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	unsigned char *der = NULL;
	int len = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	int result = len > 0 ? colon_hex(key, EVP_sha1(), der, (size_t)len) : -1;

	if (len > 0)
		OPENSSL_clear_free(der, (size_t)len);
	PKCS8_PRIV_KEY_INFO_free(info);
	return result;
}

/* Imported RSA keys: MD5 of the public key. */
static int print_public(struct ssh_key *key, EVP_PKEY *pkey)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(pkey, &der);
	int result = len > 0 ? colon_hex(key, EVP_md5(), der, (size_t)len) : -1;

	OPENSSL_free(der);
	return result;
}

/* Ed25519 keys: SHA-256 of the blob in base64, as ssh-keygen prints it. */
static int print_blob(struct ssh_key *key, const struct buf *blob)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_Digest(blob->data, blob->len, sum, &n, EVP_sha256(), NULL) != 1)
		return -1;
	EVP_EncodeBlock((unsigned char *)key->fingerprint, sum, (int)n);
	return 0;
}

/* --- generating --- */

static int rsa_pem(struct ssh_key *key, EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text = NULL;
	long len;

	if (bio == NULL)
		return -1;
	if (PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1) {
		len = BIO_get_mem_data(bio, &text);
		key->private_pem = strndup(text, (size_t)len);
	}
	BIO_free(bio);
	return key->private_pem != NULL ? 0 : -1;
}

static int generate_rsa(struct ssh_key *key, const char *name)
{
	EVP_PKEY *pkey = EVP_RSA_gen(RSA_BITS);
	struct buf blob = {0};
	int result = -1;

	key->type = "rsa";
	if (pkey != NULL && rsa_blob(pkey, &blob) == 0 &&
	    set_public_line(key, rsa_name, &blob, name) == 0 && print_private(key, pkey) == 0)
		result = rsa_pem(key, pkey);
	buf_fini(&blob);
	EVP_PKEY_free(pkey);
	return result;
}

/* The secret part of an OpenSSH key file: PROTOCOL.key, section 3. */
static void add_secret(struct buf *secret, const unsigned char private[ED25519_BYTES],
		       const unsigned char public[ED25519_BYTES], const char *name)
{
	unsigned char check[4] = {0}, pair[2 * ED25519_BYTES];

	RAND_bytes(check, sizeof(check));
	buf_add(secret, (char *)check, sizeof(check));
	buf_add(secret, (char *)check, sizeof(check));
	ed25519_blob(public, secret);
	memcpy(pair, private, ED25519_BYTES);
	memcpy(pair + ED25519_BYTES, public, ED25519_BYTES);
	add_string(secret, pair, sizeof(pair));
	OPENSSL_cleanse(pair, sizeof(pair));
	add_string(secret, name, strlen(name));
	for (char pad = 1; secret->len % 8 != 0; pad++)
		buf_add_char(secret, pad);
}

/* Ed25519 keys have no older form that ssh reads. */
static int ed25519_pem(struct ssh_key *key, const struct buf *blob, const struct buf *secret)
{
	static const char magic[] = "openssh-key-v1";
	struct buf file = {0}, text = {0}, pem = {0};

	buf_add(&file, magic, sizeof(magic));
	add_string(&file, "none", 4);
	add_string(&file, "none", 4);
	add_string(&file, "", 0);
	add_u32(&file, 1);
	add_string(&file, blob->data, blob->len);
	add_string(&file, secret->data, secret->len);
	add_base64(&text, file.data, file.len);
	buf_add_str(&pem, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
	for (size_t at = 0; at < text.len; at += PEM_COLUMNS)
		buf_printf(&pem, "%.*s\n", PEM_COLUMNS, text.data + at);
	buf_add_str(&pem, "-----END OPENSSH PRIVATE KEY-----\n");
	if (!buf_failed(&file) && !buf_failed(&text) && !buf_failed(&pem))
		key->private_pem = strndup(pem.data, pem.len);
	buf_fini(&file);
	buf_fini(&text);
	buf_fini(&pem);
	return key->private_pem != NULL ? 0 : -1;
}

static int generate_ed25519(struct ssh_key *key, const char *name)
{
	unsigned char private[ED25519_BYTES], public[ED25519_BYTES];
	size_t n_private = sizeof(private), n_public = sizeof(public);
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct buf blob = {0}, secret = {0};
	int result = -1;

	key->type = "ed25519";
	if (pkey == NULL || EVP_PKEY_get_raw_private_key(pkey, private, &n_private) != 1 ||
	    EVP_PKEY_get_raw_public_key(pkey, public, &n_public) != 1)
		goto out;
	ed25519_blob(public, &blob);
	add_secret(&secret, private, public, name);
	if (!buf_failed(&blob) && !buf_failed(&secret) &&
	    set_public_line(key, ed25519_name, &blob, name) == 0 && print_blob(key, &blob) == 0)
		result = ed25519_pem(key, &blob, &secret);
out:
	OPENSSL_cleanse(private, sizeof(private));
	buf_fini(&blob);
	buf_fini(&secret);
	EVP_PKEY_free(pkey);
	return result;
}

int ssh_key_generate(struct ssh_key *key, const char *type, const char *name)
{
	*key = (struct ssh_key){0};
	if (strcmp(type, "ed25519") == 0)
		return generate_ed25519(key, name);
	return generate_rsa(key, name);
}

/* --- importing --- */

struct cursor {
	const unsigned char *at;
	size_t left;
};

/* The next string of a blob; -1 beyond its end. */
static int take_string(struct cursor *cursor, const unsigned char **bytes, size_t *len)
{
	size_t n;

	if (cursor->left < 4)
		return -1;
	n = (size_t)cursor->at[0] << 24 | (size_t)cursor->at[1] << 16 | (size_t)cursor->at[2] << 8 |
	    cursor->at[3];
	if (n > cursor->left - 4 || n > BLOB_MAX)
		return -1;
	*bytes = cursor->at + 4;
	*len = n;
	cursor->at += 4 + n;
	cursor->left -= 4 + n;
	return 0;
}

static EVP_PKEY *rsa_from_numbers(const BIGNUM *e, const BIGNUM *n)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	if (build != NULL && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(context);
	return pkey;
}

static int import_rsa(struct ssh_key *key, struct cursor *cursor)
{
	const unsigned char *e, *n;
	size_t e_len, n_len;
	BIGNUM *e_number, *n_number;
	EVP_PKEY *pkey = NULL;
	int result = -1;

	key->type = "rsa";
	if (take_string(cursor, &e, &e_len) != 0 || take_string(cursor, &n, &n_len) != 0)
		return -1;
	e_number = BN_bin2bn(e, (int)e_len, NULL);
	n_number = BN_bin2bn(n, (int)n_len, NULL);
	if (n_number != NULL && BN_num_bits(n_number) >= RSA_BITS_MIN &&
	    BN_num_bits(n_number) <= RSA_BITS_MAX)
		pkey = rsa_from_numbers(e_number, n_number);
	if (pkey != NULL)
		result = print_public(key, pkey);
	EVP_PKEY_free(pkey);
	BN_free(e_number);
	BN_free(n_number);
	return result;
}

static int import_ed25519(struct ssh_key *key, struct cursor *cursor)
{
	const unsigned char *public;
	struct buf blob = {0};
	size_t len;
	int result;

	key->type = "ed25519";
	if (take_string(cursor, &public, &len) != 0 || len != ED25519_BYTES)
		return -1;
	ed25519_blob(public, &blob);
	result = buf_failed(&blob) ? -1 : print_blob(key, &blob);
	buf_fini(&blob);
	return result;
}

static int import_blob(struct ssh_key *key, const char *algorithm, const unsigned char *bytes,
		       size_t len)
{
	struct cursor cursor = {bytes, len};
	const unsigned char *name;
	size_t n;

	if (take_string(&cursor, &name, &n) != 0 || n != strlen(algorithm) ||
	    memcmp(name, algorithm, n) != 0)
		return -1;
	if (strcmp(algorithm, rsa_name) == 0)
		return import_rsa(key, &cursor);
	if (strcmp(algorithm, ed25519_name) == 0)
		return import_ed25519(key, &cursor);
	return -1;
}

/* "ssh-rsa AAAA.. comment" */
static int import_line(struct ssh_key *key, char *line)
{
	char *save = NULL, *algorithm, *text;
	unsigned char *blob;
	size_t len;
	int result;

	key->public_line = strdup(line);
	algorithm = strtok_r(line, " \t", &save);
	text = strtok_r(NULL, " \t", &save);
	if (key->public_line == NULL || algorithm == NULL || text == NULL)
		return -1;
	blob = base64_decode(text, &len);
	if (blob == NULL)
		return -1;
	result = import_blob(key, algorithm, blob, len);
	free(blob);
	return result;
}

int ssh_key_import(struct ssh_key *key, const char *base64)
{
	size_t len;
	unsigned char *text = base64_decode(base64, &len);
	int result;

	*key = (struct ssh_key){0};
	if (text == NULL)
		return -1;
	text[strcspn((char *)text, "\r\n")] = '\0';
	result = import_line(key, (char *)text);
	free(text);
	return result;
}

void ssh_key_fini(struct ssh_key *key)
{
	if (key->private_pem != NULL)
		OPENSSL_cleanse(key->private_pem, strlen(key->private_pem));
	free(key->private_pem);
	free(key->public_line);
	*key = (struct ssh_key){0};
}
