/*
 * Large bodies of HTTP/1 messages, from a connection into a pipe: what both parties that read
 * HTTP/1 share.  Worker's thread.
 */
#ifndef LB_PROXY_HTTP1_PIPE_H
#define LB_PROXY_HTTP1_PIPE_H

#include "lb/proxy/conn.h"
#include "lb/proxy/http1.h"

/* Shorter rests are copied, unless they are the end of one that was not. */
enum { PIPE_LEAST_REST = 65536 };

/* A pipe counts as so many reads of CONN_READS_PER_TURN. */
enum { PIPE_READS = 4 };

/* Is what comes next on the connection worth a pipe? */
bool h1_is_for_pipe(const struct h1_message *h1, const struct conn *conn);

/* CONN_OK: the message's pipe and span_bytes are set, is_done if that was the last of it.
 * CONN_NO_ROOM: there is no pipe, fill instead. */
enum conn_result h1_fill_pipe(struct h1_message *h1, struct conn *conn, struct pipe_pool *pipes);

#endif
