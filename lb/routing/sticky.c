/* See sticky.h. */
#include "lb/routing/sticky.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

/*
 * A value: nonce, sealed, tag; in base64.  Sealed: the number of bindings, then four of scope,
 * choice, expiry (little endian), then two bytes that make the length one without padding.
 */
enum {
	NONCE_BYTES = 12,
	TAG_BYTES = 16,
	BINDING_BYTES = 20,
	PLAIN_BYTES = 1 + STICKY_BINDINGS_MAX * BINDING_BYTES + 2,
	SEALED_BYTES = NONCE_BYTES + PLAIN_BYTES + TAG_BYTES,
	EXPIRES_MAX = 40,
};
_Static_assert(SEALED_BYTES % 3 == 0 && SEALED_BYTES / 3 * 4 == STICKY_VALUE_LEN, "no padding");

struct sticky_sealer {
	EVP_CIPHER_CTX *seal, *open; /* the key is set; each message sets its nonce */
	uint8_t nonce[NONCE_BYTES];  /* eight random bytes, then a counter */
	uint32_t n_sealed;
	int64_t expires_at_s; /* what the text says */
	char expires[EXPIRES_MAX];
};

static const struct kind {
	struct text names[2]; /* the first found is read */
	const char *flags[2];
	bool is_fragmented; /* the other three of AWSALBAPP-n are removed */
} kinds[STICKY_KIND_COUNT] = {
    [STICKY_TARGET] = {{{"AWSALBCORS", 10}, {"AWSALB", 6}}, {"; SameSite=None; Secure", ""}, false},
    [STICKY_APP] = {{{"AWSALBAPP-0", 11}, {NULL, 0}}, {"", ""}, true},
    [STICKY_GROUP] = {{{"AWSALBTGCORS", 12}, {"AWSALBTG", 8}},
		      {"; SameSite=None; Secure", ""},
		      false},
};

static const char *const fragments[] = {"AWSALBAPP-0", "AWSALBAPP-1", "AWSALBAPP-2", "AWSALBAPP-3"};

/* ---- the sealer ---- */

/* NIST SP 800-38D 8.2.2: a nonce of random bits must not repeat under a key; ours differ in the
 * counter within a sealer and in 64 random bits between sealers. */
static int renew_nonce(struct sticky_sealer *sealer)
{
	return getrandom(sealer->nonce, 8, 0) == 8 ? 0 : -1;
}

struct sticky_sealer *sticky_new(const uint8_t key[STICKY_KEY_BYTES], struct err *err)
{
	struct sticky_sealer *sealer = calloc(1, sizeof(*sealer));

	if (!sealer)
		goto fail;
	sealer->seal = EVP_CIPHER_CTX_new();
	sealer->open = EVP_CIPHER_CTX_new();
	if (!sealer->seal || !sealer->open || renew_nonce(sealer) < 0)
		goto fail;
	if (EVP_EncryptInit_ex(sealer->seal, EVP_aes_256_gcm(), NULL, key, NULL) != 1 ||
	    EVP_DecryptInit_ex(sealer->open, EVP_aes_256_gcm(), NULL, key, NULL) != 1)
		goto fail;
	return sealer;
fail:
	sticky_free(sealer);
	err_set(err, ENOMEM, "stickiness: AES-256-GCM cannot be set up");
	return NULL;
}

void sticky_free(struct sticky_sealer *sealer)
{
	if (!sealer)
		return;
	EVP_CIPHER_CTX_free(sealer->seal);
	EVP_CIPHER_CTX_free(sealer->open);
	free(sealer);
}

/* ---- bytes ---- */

static uint8_t *put_number(uint8_t *at, uint64_t number, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*at++ = (uint8_t)(number >> (8 * i));
	return at;
}

static uint64_t get_number(const uint8_t *at, int bytes)
{
	uint64_t number = 0;

	for (int i = 0; i < bytes; i++)
		number |= (uint64_t)at[i] << (8 * i);
	return number;
}

static void pack(const struct sticky_jar *jar, uint8_t plain[PLAIN_BYTES])
{
	uint8_t *at = plain;

	memset(plain, 0, PLAIN_BYTES);
	*at++ = (uint8_t)jar->n;
	for (unsigned i = 0; i < jar->n; i++) {
		at = put_number(at, jar->bindings[i].scope, 8);
		at = put_number(at, jar->bindings[i].choice, 8);
		at = put_number(at, jar->bindings[i].expires_s, 4);
	}
}

static bool unpack(const uint8_t plain[PLAIN_BYTES], struct sticky_jar *jar)
{
	const uint8_t *at = plain;

	if (*at > STICKY_BINDINGS_MAX)
		return false;
	jar->n = *at++;
	for (unsigned i = 0; i < jar->n; i++, at += BINDING_BYTES)
		jar->bindings[i] = (struct sticky_binding){get_number(at, 8), get_number(at + 8, 8),
							   (uint32_t)get_number(at + 16, 4)};
	return true;
}

/* The kind is authenticated, not sealed: a cookie under another name is no cookie. */
static bool seal(struct sticky_sealer *sealer, enum sticky_kind kind, const struct sticky_jar *jar,
		 char value[STICKY_VALUE_LEN + 1])
{
	uint8_t plain[PLAIN_BYTES], sealed[SEALED_BYTES], aad = (uint8_t)kind;
	EVP_CIPHER_CTX *ctx = sealer->seal;
	int len;

	if (++sealer->n_sealed == 0 && renew_nonce(sealer) < 0)
		return false;
	put_number(sealer->nonce + 8, sealer->n_sealed, 4);
	pack(jar, plain);
	memcpy(sealed, sealer->nonce, NONCE_BYTES);
	if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, sealer->nonce) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &len, &aad, 1) != 1 ||
	    EVP_EncryptUpdate(ctx, sealed + NONCE_BYTES, &len, plain, PLAIN_BYTES) != 1 ||
	    EVP_EncryptFinal_ex(ctx, sealed + NONCE_BYTES + len, &len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES,
				sealed + NONCE_BYTES + PLAIN_BYTES) != 1)
		return false;
	return EVP_EncodeBlock((unsigned char *)value, sealed, SEALED_BYTES) == STICKY_VALUE_LEN;
}

static bool unseal(struct sticky_sealer *sealer, enum sticky_kind kind, struct text value,
		   struct sticky_jar *jar)
{
	uint8_t plain[PLAIN_BYTES], sealed[SEALED_BYTES], aad = (uint8_t)kind;
	EVP_CIPHER_CTX *ctx = sealer->open;
	int len;

	if (value.len != STICKY_VALUE_LEN ||
	    EVP_DecodeBlock(sealed, (const unsigned char *)value.at, STICKY_VALUE_LEN) !=
		SEALED_BYTES)
		return false;
	if (EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, sealed) != 1 ||
	    EVP_DecryptUpdate(ctx, NULL, &len, &aad, 1) != 1 ||
	    EVP_DecryptUpdate(ctx, plain, &len, sealed + NONCE_BYTES, PLAIN_BYTES) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES,
				sealed + NONCE_BYTES + PLAIN_BYTES) != 1 ||
	    EVP_DecryptFinal_ex(ctx, plain + len, &len) != 1)
		return false;
	return unpack(plain, jar);
}

/* ---- bindings ---- */

bool sticky_find(const struct sticky_jar *jar, uint64_t scope, int64_t now_s, uint64_t *choice)
{
	for (unsigned i = 0; i < jar->n; i++) {
		if (jar->bindings[i].scope != scope)
			continue;
		*choice = jar->bindings[i].choice;
		return jar->bindings[i].expires_s > now_s;
	}
	return false;
}

void sticky_unbind(struct sticky_jar *jar, uint64_t scope)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < jar->n; i++)
		if (jar->bindings[i].scope != scope)
			jar->bindings[kept++] = jar->bindings[i];
	jar->n = kept;
}

void sticky_bind(struct sticky_jar *jar, uint64_t scope, uint64_t choice, int64_t now_s,
		 unsigned duration_s)
{
	sticky_unbind(jar, scope);
	if (jar->n == STICKY_BINDINGS_MAX)
		jar->n--;
	memmove(&jar->bindings[1], &jar->bindings[0], jar->n * sizeof(jar->bindings[0]));
	jar->bindings[0] = (struct sticky_binding){scope, choice, (uint32_t)(now_s + duration_s)};
	jar->n++;
}

/* ---- reading headers ---- */

static struct text trim(struct text text)
{
	while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
		text.at++;
		text.len--;
	}
	while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* Is this "name=value" of that name?  RFC 6265 5.4: names are compared as they are. */
static bool is_pair(struct text pair, struct text name, struct text *value)
{
	pair = trim(pair);
	if (pair.len <= name.len || pair.at[name.len] != '=' ||
	    memcmp(pair.at, name.at, name.len) != 0)
		return false;
	if (value)
		*value = trim((struct text){pair.at + name.len + 1, pair.len - name.len - 1});
	return true;
}

static bool find_in(struct text cookies, struct text name, struct text *value)
{
	while (cookies.len > 0) {
		const char *semicolon = memchr(cookies.at, ';', cookies.len);
		size_t len = semicolon ? (size_t)(semicolon - cookies.at) : cookies.len;

		if (is_pair((struct text){cookies.at, len}, name, value))
			return true;
		len += semicolon != NULL;
		cookies = (struct text){cookies.at + len, cookies.len - len};
	}
	return false;
}

bool sticky_has_cookie(const struct header *headers, size_t n_headers, struct text name,
		       struct text *value)
{
	for (size_t i = 0; i < n_headers; i++)
		if (text_equal_nocase(headers[i].name, TEXT("Cookie")) &&
		    find_in(headers[i].value, name, value))
			return true;
	return false;
}

bool sticky_sets_cookie(const struct header *headers, size_t n_headers, struct text name)
{
	for (size_t i = 0; i < n_headers; i++)
		if (text_equal_nocase(headers[i].name, TEXT("Set-Cookie")) &&
		    is_pair(headers[i].value, name, NULL))
			return true;
	return false;
}

enum sticky_found sticky_read(struct sticky_sealer *sealer, enum sticky_kind kind,
			      const struct header *headers, size_t n_headers,
			      struct sticky_jar *jar)
{
	enum sticky_found found = STICKY_NONE;
	struct text value;

	*jar = (struct sticky_jar){0};
	for (int i = 0; i < 2 && kinds[kind].names[i].at; i++) {
		if (!sticky_has_cookie(headers, n_headers, kinds[kind].names[i], &value))
			continue;
		if (unseal(sealer, kind, value, jar))
			return STICKY_GOOD;
		if (!text_equal(value, TEXT("_remove_")))
			found = STICKY_INVALID;
	}
	return found;
}

/* ---- writing ---- */

/* strftime(3) once a second, not once a response. */
static const char *expires_of(struct sticky_sealer *sealer, int64_t now_s)
{
	time_t at = (time_t)(now_s + STICKY_LIFETIME_S);
	struct tm tm;

	if (sealer->expires_at_s == at)
		return sealer->expires;
	gmtime_r(&at, &tm);
	strftime(sealer->expires, sizeof(sealer->expires), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	sealer->expires_at_s = at;
	return sealer->expires;
}

static bool add(struct sticky_cookies *cookies, const char *name, const char *value,
		const char *expires, const char *flags)
{
	char *at = cookies->bytes + cookies->used;
	size_t room = sizeof(cookies->bytes) - cookies->used;
	int len;

	if (cookies->n == STICKY_COOKIES_MAX)
		return false;
	len = snprintf(at, room, "%s=%s; Expires=%s; Path=/%s", name, value, expires, flags);
	if (len < 0 || (size_t)len >= room)
		return false;
	cookies->headers[cookies->n++] = (struct header){TEXT("Set-Cookie"), {at, (size_t)len}};
	cookies->used += (size_t)len;
	return true;
}

static bool add_all(struct sticky_sealer *sealer, enum sticky_kind kind, const char *value,
		    int64_t now_s, struct sticky_cookies *cookies)
{
	const char *expires = expires_of(sealer, now_s);

	/* AWSALB stands before AWSALBCORS on the wire, and is looked for after it. */
	for (int i = 1; i >= 0; i--)
		if (kinds[kind].names[i].at &&
		    !add(cookies, kinds[kind].names[i].at, value, expires, kinds[kind].flags[i]))
			return false;
	for (int i = 1; kinds[kind].is_fragmented && i < 4; i++)
		if (!add(cookies, fragments[i], "_remove_", expires, ""))
			return false;
	return true;
}

bool sticky_write(struct sticky_sealer *sealer, enum sticky_kind kind, const struct sticky_jar *jar,
		  int64_t now_s, struct sticky_cookies *cookies)
{
	unsigned n = cookies->n;
	size_t used = cookies->used;
	char value[STICKY_VALUE_LEN + 1];

	if (seal(sealer, kind, jar, value) && add_all(sealer, kind, value, now_s, cookies))
		return true;
	cookies->n = n;
	cookies->used = used;
	return false;
}

bool sticky_write_removed(struct sticky_sealer *sealer, int64_t now_s,
			  struct sticky_cookies *cookies)
{
	unsigned n = cookies->n;
	size_t used = cookies->used;

	if (add_all(sealer, STICKY_APP, "_remove_", now_s, cookies))
		return true;
	cookies->n = n;
	cookies->used = used;
	return false;
}

/* FNV-1a, 64 bits: nobody can choose cookies, so collisions need not be feared, only rare. */
uint64_t sticky_id(const char *text, unsigned number)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
	for (int i = 0; i < 4; i++)
		hash = (hash ^ (number >> (8 * i) & 0xff)) * 0x100000001b3u;
	return hash;
}
