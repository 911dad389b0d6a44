/*
 * An AWS API endpoint and the program's plain pages (/metrics, /healthz) on one
 * evhttp server in the control thread's loop.  It finds the service (credential
 * scope, Version, Host), verifies SigV4 where credentials are configured, decodes, calls the
 * handler, encodes.  An action without handler answers 400 InvalidAction, never 5xx.
 * Limits: bodies 2 MiB (413), headers 32 KiB, 512 connections, 30 s of silence.  Without
 * credentials it takes no requests from web pages (Origin, Sec-Fetch-Site) and none to a public
 * name in Host.
 */
#ifndef COMMON_AWS_SERVER_H
#define COMMON_AWS_SERVER_H

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/aws/codec.h"

/* One API call, for the handler. */
struct aws_call {
	const char *action;
	const char *request_id;
	const char *region, *account_id;
	const char *host; /* the Host header as sent; "" if none */
};

/*
 * Returns the output document (new reference; json_object() for an empty one), or NULL with error
 * filled. input is validated, borrowed, and may be kept by json_incref.  A NULL without error is
 * our bug: 500.
 */
typedef json_t *(*aws_handler_fn)(void *context, const struct aws_call *call, const json_t *input,
				  struct aws_error *error);

struct aws_action {
	const char *name;
	aws_handler_fn handle;
};

/*
 * A service's list of actions is one .def file with a line AWS_ACTION(Name) each: tools/shapes.py
 * reads it to know which shapes to extract, and C includes it twice, with these two, to declare and
 * to list the handlers. The handler of X is named handle_X, so adding an action is a line in the
 * list and a function.
 */
#define AWS_DECLARE_ACTION(name) \
	json_t *handle_##name(void *context, const struct aws_call *call, const json_t *input, \
			      struct aws_error *error);
#define AWS_LIST_ACTION(name) {#name, handle_##name},

/* The body of an answer to a page; content_type NULL = text/plain; charset=utf-8. */
struct aws_page {
	const char *path;
	const char *query; /* undecoded; "" when none */
	int status;        /* 200 when called */
	const char *content_type;
	struct buf *body;
	const char *sent; /* an inbox's: what was posted, sent_len bytes, no NUL behind */
	size_t sent_len;
};
typedef void (*aws_page_fn)(void *context, struct aws_page *page);

struct aws_server_config {
	const char *address; /* "127.0.0.1:7001"; port 0 = any free one */
	const char *region, *account_id;
	const json_t *credentials; /* [{AccessKeyId, SecretAccessKey}], borrowed; NULL or empty =
				      loopback only, unsigned accepted */
	const char *beside; /* services that others answer behind the same endpoint: "a, b"; NULL =
			       none.  For messages only */
};

struct aws_server;

/* Listens at once.  Fails when the address is taken, or is not loopback and no credentials are
 * configured. */
MUST_CHECK struct aws_server *
aws_server_new(struct event_base *base, const struct aws_server_config *config, struct err *err);
/* Would aws_server_new() take this address, as far as can be told without opening it?  0, or -1
 * with err. */
MUST_CHECK int aws_server_check_address(const char *address, bool has_credentials, struct err *err);
void aws_server_free(struct aws_server *server);
int aws_server_port(const struct aws_server *server);

/* actions and context must outlive the server. */
MUST_CHECK int aws_server_add_service(struct aws_server *server, const char *service,
				      const struct aws_action *actions, size_t n_actions,
				      void *context, struct err *err);
/* GET path, unsigned. */
MUST_CHECK int aws_server_add_page(struct aws_server *server, const char *path, aws_page_fn fn,
				   void *context);

/*
 * POST path: takes messages of others that cannot sign as AWS's API wants it (an EventBridge API
 * destination, a webhook).  With a key (copied) each carries it in the header X-Api-Key.  Without
 * one it is open to whom the API is open to without a signature: a server that has credentials
 * refuses them all.
 */
MUST_CHECK int aws_server_add_inbox(struct aws_server *server, const char *path, const char *key,
				    aws_page_fn fn, void *context);

/* Requests answered, by service, action and code, in Prometheus text: for /metrics. */
void aws_server_metrics(const struct aws_server *server, struct buf *text);

#endif
