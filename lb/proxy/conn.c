/* Connections' I/O: see conn.h. */
#include "lb/proxy/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lb/proxy/syscalls.h"

enum { MAX_IOV = 256, FLAT_BYTES = 1024 };

void conn_init(struct conn *conn, int fd, io_fn fn)
{
	memset(conn, 0, sizeof(*conn));
	conn->io.fd = fd;
	conn->io.fn = fn;
	conn->is_writable = true;
}

void conn_close(struct conn *conn, struct loop *loop, struct buffer_pool *buffers)
{
	loop_undefer(loop, &conn->io);
	if (conn->io.fd >= 0)
		close(conn->io.fd);
	conn->io.fd = -1;
	buffer_give_back(buffers, conn->in);
	buffer_give_back(buffers, conn->out);
	pipe_give_back(conn->pipe);
	conn->in = conn->out = NULL;
	conn->pipe = NULL;
}

void conn_note(struct conn *conn, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn->is_readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		conn->is_writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn->peer_hung_up = true;
}

static enum conn_result make_room(struct conn *conn, struct buffer_pool *buffers)
{
	struct buffer *in = conn->in;

	if (!in && !buffer_may_read(buffers, conn->is_urgent))
		return CONN_SHORT;
	if (!in) {
		conn->in = in = buffer_take_to_read(buffers, conn->is_bulk);
		return in ? CONN_OK : CONN_NO_ROOM;
	}
	if (in->from == in->to)
		in->from = in->to = 0;
	return in->to < in->cap ? CONN_OK : CONN_NO_ROOM;
}

enum conn_result conn_fill(struct conn *conn, struct buffer_pool *buffers)
{
	if (conn->is_eof)
		return CONN_EOF;
	if (!conn->is_readable)
		return CONN_AGAIN;
	enum conn_result result = make_room(conn, buffers);

	if (result != CONN_OK)
		return result;
	size_t room = conn->in->cap - conn->in->to;
	ssize_t n;

	do {
		n = fast_recv(conn->io.fd, conn->in->bytes + conn->in->to, room, 0);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		conn->in->to += (uint32_t)n;
		conn->bytes_received += (uint64_t)n;
		/* A short count empties the socket: the next edge will tell of more.  Not so once
		 * the peer has hung up, for its edge may have come before the bytes were read. */
		conn->is_readable = (size_t)n == room || conn->peer_hung_up;
		conn->is_bulk = (size_t)n == room;
		return CONN_OK;
	}
	conn_trim(conn, buffers);
	if (n == 0) {
		conn->is_eof = true;
		conn->is_readable = false;
		return CONN_EOF;
	}
	if (errno != EAGAIN)
		return CONN_FAILED;
	conn->is_readable = false;
	return CONN_AGAIN;
}

static ssize_t splice_once(int from, int to, size_t len)
{
	ssize_t n;

	do {
		n = splice(from, NULL, to, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* All that was asked for came: is that all there is? */
static void look_for_more(struct conn *conn)
{
	char byte;

	if (recv(conn->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
		conn->is_readable = false;
}

enum conn_result conn_fill_pipe(struct conn *conn, struct pipe *pipe, size_t max)
{
	ssize_t n;

	CHECK(pipe->held == 0 && conn_pending(conn) == 0);
	if (conn->is_eof)
		return CONN_EOF;
	if (!conn->is_readable)
		return CONN_AGAIN;
	n = splice_once(conn->io.fd, pipe->write_fd, max);
	if (n > 0) {
		pipe->held = (size_t)n;
		conn->bytes_received += (uint64_t)n;
		/* A short count says nothing: the pipe may have been full of small pieces. */
		if ((size_t)n == max)
			look_for_more(conn);
		return CONN_OK;
	}
	if (n == 0) {
		conn->is_eof = true;
		conn->is_readable = false;
		return CONN_EOF;
	}
	if (errno == EINVAL || errno == ENOMEM) {
		pipe->pool->is_off = errno == EINVAL;
		return CONN_NO_ROOM;
	}
	if (errno != EAGAIN)
		return CONN_FAILED;
	conn->is_readable = false;
	return CONN_AGAIN;
}

void conn_trim(struct conn *conn, struct buffer_pool *buffers)
{
	if (!conn->in || conn->in->from < conn->in->to)
		return;
	buffer_give_back(buffers, conn->in);
	conn->in = NULL;
}

bool conn_grow(struct conn *conn, struct buffer_pool *buffers)
{
	struct buffer *in = conn->in, *large;

	if (in->cap == BUFFER_LARGE && in->from == 0)
		return false;
	large = buffer_take(buffers, BUFFER_LARGE);
	if (!large)
		return false;
	large->to = in->to - in->from;
	memcpy(large->bytes, in->bytes + in->from, large->to);
	buffer_give_back(buffers, in);
	conn->in = large;
	return true;
}

static size_t iov_bytes(const struct iovec *iov, int n_iov)
{
	size_t sum = 0;

	for (int i = 0; i < n_iov; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* Appends to out what is left of iov after its first skip bytes. */
static enum conn_result keep(struct conn *conn, struct buffer_pool *buffers,
			     const struct iovec *iov, int n_iov, size_t skip)
{
	size_t held = conn->out ? conn->out->to - conn->out->from : 0;
	size_t need = held + iov_bytes(iov, n_iov) - skip;
	struct buffer *out = conn->out;

	if (!out || out->cap - out->to < need - held) {
		out = buffer_take(buffers, need);
		if (!out)
			return CONN_NO_ROOM;
		if (held > 0)
			memcpy(out->bytes, conn->out->bytes + conn->out->from, held);
		out->to = (uint32_t)held;
		buffer_give_back(buffers, conn->out);
		conn->out = out;
	}
	for (int i = 0; i < n_iov; i++) {
		size_t len = iov[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		memcpy(out->bytes + out->to, (const char *)iov[i].iov_base + skip, len - skip);
		out->to += (uint32_t)(len - skip);
		skip = 0;
	}
	return CONN_OK;
}

/* Few bytes in pieces: copying them together costs less than telling the kernel of each. */
static ssize_t send_flat(int fd, const struct iovec *iov, int n_iov, int flags)
{
	char flat[FLAT_BYTES], *at = flat;

	for (int i = 0; i < n_iov; i++) {
		memcpy(at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	return fast_send(fd, flat, (size_t)(at - flat), flags);
}

static ssize_t send_now(const struct conn *conn, const struct iovec *iov, int n_iov, size_t total)
{
	/* sendmsg is writev that can be told not to raise SIGPIPE */
	struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n_iov};

	/* What close(2) finds unsent leaves with the FIN, as one segment: a connection for each
	 * request costs a sixth less. */
	int fd = conn->io.fd, flags = MSG_NOSIGNAL | (conn->is_last ? MSG_MORE : 0);

	if (n_iov == 1)
		return fast_send(fd, iov->iov_base, iov->iov_len, flags);
	return total <= FLAT_BYTES ? send_flat(fd, iov, n_iov, flags)
				   : sendmsg(fd, &message, flags);
}

enum conn_result conn_send(struct conn *conn, struct buffer_pool *buffers, const struct iovec *iov,
			   int n_iov)
{
	size_t total = iov_bytes(iov, n_iov);
	ssize_t n = 0;

	CHECK(n_iov <= MAX_IOV && !conn->pipe);
	if (total == 0)
		return CONN_OK;
	if (!conn->out && conn->is_writable) {
		n = send_now(conn, iov, n_iov, total);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return CONN_FAILED;
		n = n < 0 ? 0 : n;
		conn->bytes_sent += (uint64_t)n;
	}
	if ((size_t)n == total)
		return CONN_OK;
	conn->is_writable = false;
	return keep(conn, buffers, iov, n_iov, (size_t)n);
}

static enum conn_result flush_pipe(struct conn *conn)
{
	struct pipe *pipe = conn->pipe;

	while (pipe->held > 0) {
		ssize_t n = splice_once(pipe->read_fd, conn->io.fd, pipe->held);

		if (n <= 0 && (n == 0 || errno != EAGAIN))
			return CONN_FAILED;
		if (n < 0) {
			conn->is_writable = false;
			return CONN_AGAIN;
		}
		pipe->held -= (size_t)n;
		conn->bytes_sent += (uint64_t)n;
	}
	pipe_give_back(pipe);
	conn->pipe = NULL;
	return CONN_OK;
}

enum conn_result conn_send_pipe(struct conn *conn, struct pipe *pipe)
{
	CHECK(!conn->pipe);
	conn->pipe = pipe;
	if (conn->out || !conn->is_writable)
		return CONN_OK;
	return flush_pipe(conn) == CONN_FAILED ? CONN_FAILED : CONN_OK;
}

static enum conn_result flush_buffer(struct conn *conn, struct buffer_pool *buffers)
{
	struct buffer *out = conn->out;
	ssize_t n =
	    fast_send(conn->io.fd, out->bytes + out->from, out->to - out->from, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return CONN_FAILED;
	if (n > 0) {
		out->from += (uint32_t)n;
		conn->bytes_sent += (uint64_t)n;
	}
	if (out->from < out->to) {
		conn->is_writable = false;
		return CONN_AGAIN;
	}
	buffer_give_back(buffers, out);
	conn->out = NULL;
	return CONN_OK;
}

enum conn_result conn_flush(struct conn *conn, struct buffer_pool *buffers)
{
	enum conn_result result = CONN_OK;

	if (conn_is_blocked(conn) && !conn->is_writable)
		return CONN_AGAIN;
	if (conn->out)
		result = flush_buffer(conn, buffers);
	if (result == CONN_OK && conn->pipe)
		result = flush_pipe(conn);
	return result;
}
