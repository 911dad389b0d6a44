/*
 * The keys that our own calls are signed with, found as every AWS SDK finds them: environment,
 * shared files, container endpoint, instance metadata (IMDSv2).  Keys that expire are renewed
 * before they do.  Private to the client: programs only make and free the chain (client.h).
 * Control threads only.
 */
#ifndef COMMON_AWS_CREDENTIALS_H
#define COMMON_AWS_CREDENTIALS_H

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "common/aws/client.h"

struct aws_keys {
	char *access_key, *secret;
	char *token;        /* NULL for long-term keys */
	int64_t expires_ms; /* Unix time; 0 = never */
};

void aws_keys_fini(struct aws_keys *keys);

/* keys: borrowed, NULL when there are none and why says where was looked. */
typedef void (*aws_keys_fn)(void *arg, const struct aws_keys *keys, const char *why);

/* In the waiter's own memory; is_waiting and round are the chain's to write. */
struct aws_keys_waiter {
	aws_keys_fn fn;
	void *arg;
	bool is_waiting;
	uint64_t round;
	TAILQ_ENTRY(aws_keys_waiter) link;
};

/* Usable now, borrowed until the loop turns; NULL: wait for them. */
const struct aws_keys *aws_credentials_now(struct aws_credentials *credentials);
/* fn is called once, from the loop and never from inside this call. */
void aws_credentials_wait(struct aws_credentials *credentials, struct aws_keys_waiter *waiter);
void aws_credentials_unwait(struct aws_credentials *credentials, struct aws_keys_waiter *waiter);
/* The peer says that the keys have expired: the next use fetches new ones where there can be any.
 */
void aws_credentials_distrust(struct aws_credentials *credentials);

#endif
