/* Pipes: see pipe.h. */
#include "lb/proxy/pipe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void close_pipe(struct pipe *pipe)
{
	pipe->pool->n_pipes--;
	close(pipe->read_fd);
	close(pipe->write_fd);
	free(pipe);
}

/* A user who has many pipes gets no larger ones (pipe-user-pages-soft), and in the end such of two
 * pages: copying is better then. */
static bool is_large(const struct pipe *pipe)
{
	return fcntl(pipe->write_fd, F_SETPIPE_SZ, PIPE_BYTES) >= 0 ||
	       fcntl(pipe->write_fd, F_GETPIPE_SZ) >= PIPE_LEAST_BYTES;
}

static struct pipe *open_pipe(struct pipe_pool *pool)
{
	struct pipe *pipe = malloc(sizeof(*pipe));
	int fds[2];

	if (!pipe)
		return NULL;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) {
		free(pipe);
		return NULL;
	}
	*pipe = (struct pipe){.pool = pool, .read_fd = fds[0], .write_fd = fds[1]};
	pool->n_pipes++;
	if (is_large(pipe))
		return pipe;
	close_pipe(pipe);
	return NULL;
}

void pipe_pool_fini(struct pipe_pool *pool)
{
	struct pipe *pipe;

	while ((pipe = pool->idle)) {
		pool->idle = pipe->next;
		close_pipe(pipe);
	}
	pool->n_idle = 0;
}

struct pipe *pipe_take(struct pipe_pool *pool)
{
	struct pipe *pipe = pool->idle;

	if (pool->is_off)
		return NULL;
	if (!pipe)
		return pool->n_pipes < PIPE_MAX ? open_pipe(pool) : NULL;
	pool->idle = pipe->next;
	pool->n_idle--;
	return pipe;
}

void pipe_give_back(struct pipe *pipe)
{
	struct pipe_pool *pool;

	if (!pipe)
		return;
	pool = pipe->pool;
	if (pipe->held > 0 || pool->n_idle == PIPE_MAX_IDLE) {
		close_pipe(pipe);
		return;
	}
	pipe->next = pool->idle;
	pool->idle = pipe;
	pool->n_idle++;
}
