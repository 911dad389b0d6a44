/* See http1_pipe.h. */
#include "lb/proxy/http1_pipe.h"

/* As much as the pipe takes, but nobody's turn lasts for ever. */
enum { FILL_MAX = 1 << 20 };

bool h1_is_for_pipe(const struct h1_message *h1, const struct conn *conn)
{
	uint64_t rest = h1_rest(h1);

	return conn_pending(conn) == 0 && rest >= (h1->is_piped ? 1 : PIPE_LEAST_REST);
}

enum conn_result h1_fill_pipe(struct h1_message *h1, struct conn *conn, struct pipe_pool *pipes)
{
	uint64_t rest = h1_rest(h1);
	struct pipe *pipe = pipe_take(pipes);
	enum conn_result result;

	if (!pipe)
		return CONN_NO_ROOM;
	result = conn_fill_pipe(conn, pipe, rest < FILL_MAX ? (size_t)rest : FILL_MAX);
	if (result != CONN_OK) {
		pipe_give_back(pipe);
		return result;
	}
	h1_skip(h1, pipe->held);
	h1->message.pipe = pipe;
	return CONN_OK;
}
