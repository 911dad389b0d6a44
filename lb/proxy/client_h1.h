/*
 * A client's HTTP/1 connection: one exchange at a time, in order; what a client
 * sends ahead stays in the kernel or in its buffer until its turn.  Plays the client
 * party of an exchange (struct client_ops).  For the files client_h1*.c alone.  Worker's thread.
 *
 *   IDLE -> HEAD -> EXCHANGE -> IDLE
 *     |      |        |  \--> FLUSH -> LINGER -> closed
 *     +------+--------+----> closed
 */
#ifndef LB_PROXY_CLIENT_H1_H
#define LB_PROXY_CLIENT_H1_H

#include "lb/proxy/client.h"
#include "lb/proxy/exchange.h"
#include "lb/proxy/http1.h"
#include "lb/proxy/http1_compose.h"

enum client_h1_state {
	CLIENT_IDLE,     /* between requests: no buffer, no exchange */
	CLIENT_HEAD,     /* a request's head is arriving */
	CLIENT_EXCHANGE, /* in the hands of the exchange */
	CLIENT_FLUSH,    /* the last answer is on its way */
	CLIENT_LINGER,   /* sent, our side shut: reads on so that no reset overtakes the answer */
	CLIENT_CLOSED,
};

struct client_h1 {
	struct client
	    base; /* first; its timer: idle, head, flush, linger; exchanges have their own */
	enum client_h1_state state;
	struct exchange *ex;        /* NULL while idle */
	struct h1_message *request; /* leased from the worker while there is an exchange */
	uint32_t parsed;            /* bytes of conn.in that the head's parser has seen */
	uint64_t received;          /* of this request */
	uint64_t n_requests;
	enum out_framing framing;
	bool sent_continue;
	bool wants_close; /* the client said that this request is its last */
	bool is_doubtful; /* the head is not for the strict reader: it gets a second look */
};

extern const struct client_ops client_h1_ops;

/* Safe from any callback, even twice: the memory lives until the loop turns. */
void client_h1_close(struct client_h1 *client);

/* client_h1_head.c */

/* Parses what is there, and begins the exchange when it is all.  False: the head needs more bytes.
 */
bool client_h1_parse_head(struct client_h1 *client);
/* Answers so what has come of the head. */
void client_h1_refuse(struct client_h1 *client, unsigned status);

#endif
