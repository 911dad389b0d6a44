/*
 * A connected socket with its buffers: reads and writes are tried at once, the
 * loop is only waited for when the kernel said EAGAIN (or a short count, which
 * means the same).  Clear text; TLS will stand behind the same calls.  Idle
 * connections hold no buffer.  One worker's thread.
 */
#ifndef LB_PROXY_CONN_H
#define LB_PROXY_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lb/proxy/loop.h"
#include "lb/proxy/pipe.h"
#include "lb/proxy/slab.h"

struct conn {
	struct io io;
	bool is_readable; /* the kernel may have bytes, or the end, for us */
	bool is_writable;
	bool peer_hung_up; /* EPOLLRDHUP was seen: read on until the end */
	bool is_eof;
	bool is_last;       /* set by who closes right after the next send: its FIN goes along */
	bool is_bulk;       /* the last read filled the buffer: use large ones */
	bool is_urgent;     /* reads heads: those that cannot be served shall be told so */
	struct buffer *in;  /* received, not used up; NULL when none */
	struct buffer *out; /* to send, refused by the kernel so far; NULL when none */
	struct pipe *pipe;  /* to send after out, refused so far; NULL when none */
	uint64_t bytes_received, bytes_sent;
};

enum conn_result {
	CONN_OK,    /* some bytes; all were taken (kernel or out) */
	CONN_AGAIN, /* nothing now */
	CONN_EOF,
	CONN_FAILED,  /* the connection is broken */
	CONN_NO_ROOM, /* the in buffer is full; or no memory */
	CONN_SHORT,   /* all buffers that there may be are in use: later (worker_await_buffers) */
};

/* Reads of one connection in a turn: who has more waits, so that others get theirs. */
enum { CONN_READS_PER_TURN = 16 };

void conn_init(struct conn *conn, int fd, io_fn fn);
/* Closes the socket, gives the buffers back.  The memory must live until the turn ends. */
void conn_close(struct conn *conn, struct loop *loop, struct buffer_pool *buffers);

/* Notes what epoll said. */
void conn_note(struct conn *conn, uint32_t events);

/* Reads once into conn->in, taking a buffer when there is none. */
enum conn_result conn_fill(struct conn *conn, struct buffer_pool *buffers);
/* Moves up to max bytes from the socket to the empty pipe, if none are pending.  CONN_NO_ROOM: the
 * kernel does not splice this socket; fill instead. */
enum conn_result conn_fill_pipe(struct conn *conn, struct pipe *pipe, size_t max);
/* Gives conn->in back when it is used up. */
void conn_trim(struct conn *conn, struct buffer_pool *buffers);
/* Moves conn->in to a large buffer.  False when it is one already, or without memory. */
bool conn_grow(struct conn *conn, struct buffer_pool *buffers);

/*
 * Sends, or keeps in conn->out what the kernel does not take: the caller's memory is free to reuse
 * when it returns.  CONN_NO_ROOM when out cannot hold the rest (bounded by BUFFER_HUGE: callers
 * stop producing while conn_is_blocked).
 */
enum conn_result conn_send(struct conn *conn, struct buffer_pool *buffers, const struct iovec *iov,
			   int n_iov);
/* The same for what a pipe holds.  The pipe is the connection's from now on, whatever comes of it.
 */
enum conn_result conn_send_pipe(struct conn *conn, struct pipe *pipe);
/* Sends from out and pipe.  CONN_OK: both are empty now. */
enum conn_result conn_flush(struct conn *conn, struct buffer_pool *buffers);

static inline bool conn_is_blocked(const struct conn *conn)
{
	return conn->out || conn->pipe;
}

static inline size_t conn_pending(const struct conn *conn)
{
	return conn->in ? conn->in->to - conn->in->from : 0;
}

#endif
