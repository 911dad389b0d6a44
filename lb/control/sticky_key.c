/* See sticky_key.h. */
#include "lb/control/sticky_key.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "common/doc/doc.h"

#define STICKY_KEY "elb/stickiness"

enum { HEX_LEN = 2 * STICKY_KEY_BYTES };

static int from_hex(const char *hex, uint8_t key[STICKY_KEY_BYTES], struct err *err)
{
	unsigned byte = 0;

	if (strlen(hex) == HEX_LEN && strspn(hex, "0123456789abcdef") == HEX_LEN) {
		for (int i = 0; i < STICKY_KEY_BYTES && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
			key[i] = (uint8_t)byte;
		return 0;
	}
	err_set(err, EINVAL, "state: " STICKY_KEY ".Key is not %d hex digits", (int)HEX_LEN);
	return -1;
}

/* STORE_CONFLICT: another has made one meanwhile. */
static enum store_result make(struct store *store, struct err *err)
{
	uint8_t key[STICKY_KEY_BYTES];
	char hex[HEX_LEN + 1];
	struct store_txn *txn;

	if (getrandom(key, sizeof(key), 0) != sizeof(key)) {
		err_set(err, errno, "getrandom: no randomness for the stickiness key");
		return STORE_FAILED;
	}
	for (int i = 0; i < STICKY_KEY_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
	txn = store_begin(store);
	store_expect(txn, STICKY_KEY, 0);
	store_put(txn, STICKY_KEY, json_pack("{s:s}", "Key", hex));
	return store_commit(txn, err);
}

int sticky_key_load(struct store *store, uint8_t key[STICKY_KEY_BYTES], struct err *err)
{
	const json_t *document = store_peek(store, STICKY_KEY, NULL);

	if (!document && make(store, err) == STORE_FAILED)
		return -1;
	document = store_peek(store, STICKY_KEY, NULL);
	return from_hex(doc_str(document, "Key", ""), key, err);
}
