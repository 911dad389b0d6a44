/*
 * Kernel pipes that large bodies pass through on their way from one socket to the other, so
 * that nobody copies their bytes (splice(2)).  A worker keeps the empty ones for the next body. Who
 * takes a pipe gives it back; one that still holds bytes is closed then, never used again.  One
 * worker's thread.
 */
#ifndef LB_PROXY_PIPE_H
#define LB_PROXY_PIPE_H

#include <stdbool.h>
#include <stddef.h>

struct pipe_pool;

struct pipe {
	struct pipe_pool *pool;
	int read_fd, write_fd;
	size_t held; /* bytes in it; whoever splices counts */
	struct pipe *next;
};

struct pipe_pool {
	struct pipe *idle;
	unsigned n_idle, n_pipes; /* all: those in use, too */
	bool is_off;              /* the kernel does not splice these sockets */
};

/*
 * PIPE_BYTES is what a pipe is asked for: a place for each page that the network card fills.  Over
 * loopback, where pieces are larger, it holds more.  Two descriptors each, so not for everybody.
 */
enum {
	PIPE_BYTES = 256 * 1024,
	PIPE_LEAST_BYTES = 64 * 1024,
	PIPE_MAX = 256,
	PIPE_MAX_IDLE = 32,
};

void pipe_pool_fini(struct pipe_pool *pool); /* all were given back */
/* Empty.  NULL: there are too many, or the system has none; copy instead. */
struct pipe *pipe_take(struct pipe_pool *pool);
void pipe_give_back(struct pipe *pipe); /* NULL is fine */

#endif
