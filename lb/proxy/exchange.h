/*
 * One request and its response.  The client's connection and the upstream's are two
 * parties, each with its protocol behind a small table of functions; the exchange
 * in the middle decides (rule, target, retry, which error) and knows no bytes.
 *
 *   HEAD -> CONNECT -> WAIT -> RELAY -> DONE
 *     |      ^ |  ^      |
 *     +-> HOLD |  +------+  (another target, or a fresh connection)
 *     |      | |         |
 *     +------+-+---------+-> DONE  (answered by us, or client gone)
 *
 * Worker's thread only.  Bodies: what arrived lies in the message's spans during the call that
 * announces it; the receiving party has sent or copied it when it returns.
 */
#ifndef LB_PROXY_EXCHANGE_H
#define LB_PROXY_EXCHANGE_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "lb/proxy/affinity.h"
#include "lb/proxy/conn.h"
#include "lb/proxy/message.h"
#include "lb/proxy/transform.h"
#include "lb/routing/desync.h"
#include "lb/routing/snapshot.h"

struct worker;
struct view;
struct exchange;

enum exchange_state {
	EXCHANGE_HEAD,    /* the request's head is arriving */
	EXCHANGE_HOLD,    /* its group has no target yet, but may get one */
	EXCHANGE_CONNECT, /* a target was chosen, its connection is not up yet */
	EXCHANGE_WAIT,    /* sent, or being sent; no response yet */
	EXCHANGE_RELAY,   /* the response's head went to the client */
	EXCHANGE_DONE,
	EXCHANGE_STATE_COUNT,
};

enum exchange_end {
	END_KEEP,  /* the client's connection may go on */
	END_CLOSE, /* close it when everything is sent */
	END_ABORT, /* the client must see that this was not the whole answer; or it is gone */
};

/* What a client's protocol is to the exchange.  client_h1.c has HTTP/1.1's; HTTP/2's will be
 * another table, TLS sits below either (conn.h). */
struct client_ops {
	const char *log_type;          /* access log, field 1: "http" */
	struct text scheme;            /* X-Forwarded-Proto, access log: "http" */
	struct text redirect_protocol; /* #{protocol}: "HTTP" */
	/* ex->response's head and spans. closes: say so to the client. */
	enum conn_result (*respond)(struct exchange *ex, bool closes);
	enum conn_result (*body)(struct exchange *ex); /* more of ex->response's spans */
	enum conn_result (*generate)(struct exchange *ex, const struct generated *generated);
	bool (*is_blocked)(const struct exchange *ex); /* has not sent what it was given */
	/* May body() be given a pipe?  (No framing around the bytes, no encryption.) */
	bool (*takes_pipe)(const struct exchange *ex);
	void (*want_body)(struct exchange *ex); /* read on, the upstream has room */
	/* Takes the exchange back: it is the client's to free. */
	void (*end)(struct exchange *ex, enum exchange_end how);
};

/* The same for a target's; how one is opened: upstream.h. */
struct upstream_ops {
	enum conn_result (*request)(struct exchange *ex); /* head and first spans of ex->request */
	enum conn_result (*body)(struct exchange *ex);
	bool (*is_blocked)(const struct exchange *ex);
	bool (*takes_pipe)(const struct exchange *ex);
	void (*want_response)(struct exchange *ex); /* read on, the client has room */
	bool (*is_reused)(const struct exchange *ex);
	/* Lets go of the exchange; keeps the connection for others if is_reusable. */
	void (*release)(struct exchange *ex, bool is_reusable);
};

enum upstream_failure {
	UPSTREAM_CONNECT_FAILED,
	UPSTREAM_CONNECT_TIMEOUT,
	UPSTREAM_CLOSED,    /* before any byte of the response */
	UPSTREAM_BROKEN,    /* after some */
	UPSTREAM_MALFORMED, /* not HTTP, too large, or a switch of protocols nobody asked for */
};

enum { EXCHANGE_MAX_TRIES = 3 };

struct exchange {
	struct worker *worker;
	enum exchange_state state;
	struct message *request;  /* borrowed from the client, until its end() */
	struct message *response; /* borrowed from the upstream; NULL until one begins */
	struct timer timer;       /* no progress for the idle timeout */
	struct view *view;        /* leased: the snapshot it is routed by */
	struct listener *listener;

	const struct client_ops *client_ops;
	void *client;
	struct text client_ip, client_addr; /* borrowed from the client */
	const struct sockaddr *client_sockaddr;
	const char *node; /* the address that the client connected to; "" = not known */
	uint64_t connection_id;
	struct buffer *head; /* what request's texts point into */

	const struct upstream_ops *upstream_ops;
	void *upstream; /* NULL while there is none */
	struct target_group *group;
	struct target *target;   /* counted as in flight while set */
	struct view *group_view; /* leased: where the group is from, when not from view */
	int64_t held_until_us;
	TAILQ_ENTRY(exchange) held; /* in worker's held, in EXCHANGE_HOLD */
	struct target *tried[EXCHANGE_MAX_TRIES];
	unsigned n_tried;
	struct affinity affinity;
	bool has_retried;       /* on a fresh connection after a stale one */
	bool is_body_consumed;  /* request body went on that cannot be sent again */
	int64_t body_since_us;  /* the client was free to send since then, */
	uint64_t body_bytes;    /* and so much came */
	bool is_response_begun; /* bytes of the response came in */
	bool is_target_lost;    /* it broke off: answered_us is when */

	struct desync_verdict desync; /* the client's protocol sets these before it begins */
	bool desync_closes;           /* close both connections after this */
	bool has_lost_header;         /* one that nobody could read in one way only */

	/* For the log. */
	struct request_target target_uri;
	/* What the target sees: target_uri, or transformed's. */
	const struct request_target *outgoing;
	struct transformed transformed;
	int64_t created_us, sent_us, answered_us; /* monotonic; 0 = not yet */
	int priority;
	const char *action;
	unsigned elb_status, target_status;
	uint64_t received_bytes, sent_bytes;
	struct text redirect_url;
	const char *error_reason;   /* AWS's code; NULL = none */
	struct target *last_target; /* for the log; kept alive by the view */
	struct text trace_id;
	char trace[TRACE_ID_MAX];
};

/* The client begins to read a request, into a message of its own.  NULL without memory. */
struct exchange *exchange_new(struct worker *worker, struct message *request);
/* After end(); gives back all memory. */
void exchange_free(struct exchange *ex);

/* From the client. */
void exchange_begin(struct exchange *ex);                   /* the head is complete */
void exchange_refuse(struct exchange *ex, unsigned status); /* the head, or the body, is bad */
void exchange_request_body(struct exchange *ex); /* more spans; request->is_done: the last */
void exchange_client_drained(struct exchange *ex);
void exchange_client_gone(struct exchange *ex);

/* May the client read more of the body?  Else want_body will say when. */
bool exchange_wants_body(const struct exchange *ex);

/* From the upstream. */
void exchange_upstream_ready(struct exchange *ex);
void exchange_upstream_drained(struct exchange *ex);
void exchange_upstream_failed(struct exchange *ex, enum upstream_failure failure);
void exchange_response(struct exchange *ex); /* head and first spans */
void exchange_response_body(struct exchange *ex);

/* Requests that wait look whether their group has a target by now. */
void exchange_wake_held(struct worker *worker);

const char *exchange_state_name(enum exchange_state state);
bool exchange_may_move(enum exchange_state from, enum exchange_state to);

#endif
