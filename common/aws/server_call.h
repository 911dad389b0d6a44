/*
 * One request to the API server while it is being answered, and how it is read.  It stands on the
 * stack of server_on_request().  Private to server_call.c and server_read.c.
 */
#ifndef COMMON_AWS_SERVER_CALL_H
#define COMMON_AWS_SERVER_CALL_H

#include "common/aws/server_answer.h"
#include "common/aws/server_private.h"
#include "common/aws/server_protocol.h"
#include "common/aws/sigv4.h"
#include "common/base/ids.h"

struct call {
	struct aws_server *server;
	struct answer answer;
	struct sigv4_request request;
	struct sigv4_header *headers;
	struct sigv4_scope scope;
	const char *body; /* inflated where the request's is compressed */
	size_t body_len;
	char *inflated;
	struct protocol protocol;
	struct aws_form *form; /* the Query protocol's only */
	const struct service *service;
	const char *action; /* the peer's; "" when there is none */
	const char *counted_service, *counted_action;
	char id[ID_TEXT_MAX];
	char *path; /* "/" when the request has none */
	struct aws_error error;
};

/* Borrowed; NULL when the request does not have it. */
const char *call_header(const struct call *call, const char *name);

/* Sets the error; -1. */
int call_refuse(struct call *call, int status, const char *code, const char *message);

/* Method, path, query, headers and body as sent.  0, or -1 with the error. */
MUST_CHECK int call_read(struct call *call);

/* The body as it is to be read: inflated.  0, or -1 with the error. */
MUST_CHECK int call_read_body(struct call *call);

/* What call_read() and call_read_body() allocated. */
void call_fini(struct call *call);

#endif
