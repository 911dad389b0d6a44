/* lb/proxy/conn and loop: what the kernel refuses is kept, and turns end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lb/proxy/conn.h"

struct pair {
	struct conn conn;
	int peer;
	struct buffer_pool buffers;
	struct loop loop;
};

static void ignore(struct io *io, uint32_t events)
{
	(void)io;
	(void)events;
}

static int open_pair(void **state)
{
	struct pair *pair = test_calloc(1, sizeof(*pair));
	struct err err = {0};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(loop_init(&pair->loop, ignore, &err), 0);
	buffer_pool_init(&pair->buffers);
	conn_init(&pair->conn, fds[0], ignore);
	pair->peer = fds[1];
	*state = pair;
	return 0;
}

static int close_pair(void **state)
{
	struct pair *pair = *state;

	conn_close(&pair->conn, &pair->loop, &pair->buffers);
	close(pair->peer);
	buffer_pool_fini(&pair->buffers);
	loop_fini(&pair->loop);
	test_free(pair);
	return 0;
}

static size_t fill_kernel(int fd)
{
	static char bytes[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	while ((n = send(fd, bytes, 1, MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	return sum;
}

/* A chunk as large as the largest buffer is read, and goes out with its framing. */
static void a_full_buffer_and_its_framing_are_kept_when_the_kernel_is_full(void **state)
{
	struct pair *pair = *state;
	char *body = test_malloc(BUFFER_LARGE), *head = test_malloc(128 * 1024);
	struct iovec iov[] = {{head, 128 * 1024}, {body, BUFFER_LARGE}, {(char *)"\r\n", 2}};
	size_t in_kernel = fill_kernel(pair->conn.io.fd), got = 0;
	char sink[65536];
	ssize_t n;

	memset(head, 'h', 128 * 1024);
	memset(body, 'b', BUFFER_LARGE);
	assert_int_equal(conn_send(&pair->conn, &pair->buffers, iov, 3), CONN_OK);
	assert_true(conn_is_blocked(&pair->conn));
	do {
		while ((n = recv(pair->peer, sink, sizeof(sink), 0)) > 0)
			got += (size_t)n;
		pair->conn.is_writable = true;
	} while (conn_flush(&pair->conn, &pair->buffers) == CONN_AGAIN);
	while ((n = recv(pair->peer, sink, sizeof(sink), 0)) > 0)
		got += (size_t)n;
	assert_int_equal(got, in_kernel + 128 * 1024 + BUFFER_LARGE + 2);
	assert_false(conn_is_blocked(&pair->conn));
	test_free(body);
	test_free(head);
}

struct again {
	struct io io;
	struct loop *loop;
	struct again *victim; /* not to be called any more */
	int calls;
};

static void on_again(struct io *io, uint32_t events)
{
	struct again *again = (struct again *)(void *)io;

	(void)events;
	again->calls++;
	if (again->victim)
		loop_undefer(again->loop, &again->victim->io);
	loop_defer(again->loop, io);
	assert_true(again->calls < 100);
}

/* The last of a turn's handlers is called off by an earlier one: the turn ends all the same. */
static void a_turn_ends_though_handlers_put_themselves_off_for_ever(void **state)
{
	struct pair *pair = *state;
	struct again last = {.io = {.fn = on_again}, .loop = &pair->loop};
	struct again first = {.io = {.fn = on_again}, .loop = &pair->loop, .victim = &last};

	loop_defer(&pair->loop, &first.io);
	loop_defer(&pair->loop, &last.io);
	loop_turn(&pair->loop);
	assert_in_range(first.calls, 1, 2);
	assert_int_equal(last.calls, 0);
	loop_undefer(&pair->loop, &first.io);
}

static void memory_of_a_burst_goes_back_when_it_is_not_needed(void **state)
{
	enum { N = 100 };
	struct slab slab;
	void *objects[N];

	(void)state;
	slab_init(&slab, 1000, 10);
	for (int i = 0; i < N; i++) {
		objects[i] = slab_take(&slab);
		memset(objects[i], i, 1000);
	}
	for (int i = 1; i < N; i++)
		slab_give_back(&slab, objects[i]);
	assert_true(slab.n_empty > 0);
	slab_trim(&slab); /* needed since the last time */
	assert_true(slab.n_empty > 0);
	slab_trim(&slab);
	assert_int_equal(slab.n_empty, 0);
	assert_int_equal(*(unsigned char *)objects[0], 0);
	assert_non_null(slab_take(&slab)); /* beside the one that stayed */
	assert_int_equal(slab.n_empty, 0);
	slab_fini(&slab);
}

struct alarm {
	struct timer timer; /* first */
	int n;
};

static void on_timer(struct timer *timer)
{
	((struct alarm *)(void *)timer)->n++;
}

static void a_timer_runs_though_nothing_else_happens(void **state)
{
	struct pair *pair = *state;
	struct alarm late = {.timer.fn = on_timer}, soon = {.timer.fn = on_timer};

	timer_start(&pair->loop, &late.timer, 60000);
	loop_turn(&pair->loop); /* the wake of a new alarm, or a second */
	timer_start(&pair->loop, &soon.timer, 20);
	for (int turns = 0; soon.n == 0 && turns < 5; turns++)
		loop_turn(&pair->loop);
	assert_int_equal(soon.n, 1);
	assert_int_equal(late.n, 0);
	timer_stop(&late.timer);
}

/* ---- pipes ---- */

/* The other end of pair, and a second connection behind it. */
struct relay {
	struct conn conn;
	int peer;
	struct pipe_pool pipes;
};

static void open_relay(struct relay *relay)
{
	int fds[2];

	memset(relay, 0, sizeof(*relay));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	conn_init(&relay->conn, fds[0], ignore);
	relay->peer = fds[1];
	relay->conn.is_readable = true;
}

static void close_relay(struct pair *pair, struct relay *relay)
{
	conn_close(&relay->conn, &pair->loop, &pair->buffers);
	close(relay->peer);
	pipe_pool_fini(&relay->pipes);
	assert_int_equal(relay->pipes.n_pipes, 0);
}

static void bytes_pass_through_a_pipe_which_is_used_again(void **state)
{
	struct pair *pair = *state;
	struct relay relay;
	struct pipe *pipe;
	char got[8] = {0};

	open_relay(&relay);
	pipe = pipe_take(&relay.pipes);
	assert_non_null(pipe);
	assert_int_equal(conn_fill_pipe(&relay.conn, pipe, 100), CONN_AGAIN);
	assert_int_equal(send(relay.peer, "bodynext", 8, 0), 8);
	relay.conn.is_readable = true;
	assert_int_equal(conn_fill_pipe(&relay.conn, pipe, 4), CONN_OK);
	assert_int_equal(pipe->held, 4);
	assert_true(relay.conn.is_readable); /* "next" */
	assert_int_equal(conn_send_pipe(&pair->conn, pipe), CONN_OK);
	assert_false(conn_is_blocked(&pair->conn));
	assert_int_equal(recv(pair->peer, got, sizeof(got), 0), 4);
	assert_memory_equal(got, "body", 4);
	assert_ptr_equal(pipe_take(&relay.pipes), pipe);
	assert_int_equal(conn_fill_pipe(&relay.conn, pipe, 4), CONN_OK);
	assert_false(relay.conn.is_readable); /* it looked: there is nothing more */
	assert_int_equal(conn_send_pipe(&pair->conn, pipe), CONN_OK);
	close_relay(pair, &relay);
}

static void what_the_kernel_refuses_stays_in_the_pipe_and_follows_in_order(void **state)
{
	struct pair *pair = *state;
	struct relay relay;
	struct pipe *pipe;
	char sink[65536];
	size_t in_kernel, got = 0;
	ssize_t n;

	open_relay(&relay);
	in_kernel = fill_kernel(pair->conn.io.fd);
	struct iovec head = {(char *)"head", 4};
	assert_int_equal(conn_send(&pair->conn, &pair->buffers, &head, 1), CONN_OK);
	pipe = pipe_take(&relay.pipes);
	assert_int_equal(send(relay.peer, "body", 4, 0), 4);
	assert_int_equal(conn_fill_pipe(&relay.conn, pipe, 100), CONN_OK);
	assert_int_equal(conn_send_pipe(&pair->conn, pipe), CONN_OK);
	assert_true(conn_is_blocked(&pair->conn));
	assert_int_equal(conn_flush(&pair->conn, &pair->buffers), CONN_AGAIN);
	while ((n = recv(pair->peer, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
		got += (size_t)n;
	assert_int_equal(got, in_kernel);
	pair->conn.is_writable = true;
	assert_int_equal(conn_flush(&pair->conn, &pair->buffers), CONN_OK);
	assert_int_equal(recv(pair->peer, sink, 8, MSG_WAITALL), 8);
	assert_memory_equal(sink, "headbody", 8);
	assert_int_equal(relay.pipes.n_idle, 1);
	close_relay(pair, &relay);
}

static void pipe_with_bytes_in_it_is_never_used_again(void **state)
{
	struct pair *pair = *state;
	struct relay relay;
	struct pipe *pipe;

	open_relay(&relay);
	fill_kernel(pair->conn.io.fd);
	pipe = pipe_take(&relay.pipes);
	assert_int_equal(send(relay.peer, "left", 4, 0), 4);
	assert_int_equal(conn_fill_pipe(&relay.conn, pipe, 100), CONN_OK);
	assert_int_equal(conn_send_pipe(&pair->conn, pipe), CONN_OK);
	assert_int_equal(relay.pipes.n_pipes, 1);
	conn_close(&pair->conn, &pair->loop, &pair->buffers);
	assert_int_equal(relay.pipes.n_pipes, 0);
	assert_int_equal(relay.pipes.n_idle, 0);
	close_relay(pair, &relay);
}

static void end_of_the_peer_and_of_the_pool_are_told(void **state)
{
	struct pair *pair = *state;
	struct pipe *pipes[PIPE_MAX];
	struct relay relay;

	open_relay(&relay);
	for (int i = 0; i < PIPE_MAX; i++)
		pipes[i] = pipe_take(&relay.pipes);
	assert_null(pipe_take(&relay.pipes));
	close(relay.peer);
	relay.peer = -1;
	assert_int_equal(conn_fill_pipe(&relay.conn, pipes[0], 100), CONN_EOF);
	assert_true(relay.conn.is_eof);
	for (int i = 0; i < PIPE_MAX; i++)
		pipe_give_back(pipes[i]);
	assert_int_equal(relay.pipes.n_pipes, PIPE_MAX_IDLE);
	relay.pipes.is_off = true;
	assert_null(pipe_take(&relay.pipes));
	close_relay(pair, &relay);
}

static void reads_wait_before_the_limit_of_all_buffers_is_reached(void **state)
{
	struct pair *pair = *state;
	struct buffer *held[128];
	unsigned n = 0;

	pair->buffers.limit = BUFFER_LIMIT_LEAST;
	pair->conn.is_readable = pair->conn.is_bulk = true;
	assert_int_equal(send(pair->peer, "abc", 3, 0), 3);
	while (buffer_may_read(&pair->buffers, false))
		held[n++] = buffer_take_to_read(&pair->buffers, false);
	assert_true(buffers_are_short(&pair->buffers));
	assert_true(buffer_may_read(&pair->buffers, true));
	assert_int_equal(conn_fill(&pair->conn, &pair->buffers), CONN_SHORT);
	/* What was read before can be kept. */
	held[n] = buffer_take(&pair->buffers, BUFFER_HUGE);
	assert_non_null(held[n++]);
	for (int i = 0; i < 3; i++) {
		held[n] = buffer_take(&pair->buffers, BUFFER_SMALL);
		assert_non_null(held[n++]);
	}
	while (buffer_may_read(&pair->buffers, true))
		held[n++] = buffer_take(&pair->buffers, 1);
	assert_null(buffer_take(&pair->buffers, 1));
	pair->conn.is_urgent = true;
	assert_int_equal(conn_fill(&pair->conn, &pair->buffers), CONN_SHORT);
	pair->conn.is_urgent = false;
	while (pair->buffers.used > BUFFER_LIMIT_LEAST / 4 * 3 + BUFFER_SMALL)
		buffer_give_back(&pair->buffers, held[--n]);
	assert_int_equal(conn_fill(&pair->conn, &pair->buffers), CONN_OK);
	assert_int_equal(pair->conn.in->cap, BUFFER_SMALL); /* though bulk: they are short */
	while (n > 0)
		buffer_give_back(&pair->buffers, held[--n]);
	assert_int_equal(pair->buffers.used, BUFFER_SMALL);
}

struct counting {
	struct io io;
	int n_calls;
};

static void count_call(struct io *io, uint32_t events)
{
	(void)events;
	((struct counting *)(void *)io)->n_calls++;
}

static void what_is_parked_is_called_once_when_it_is_let_go(void **state)
{
	struct pair *pair = *state;
	struct counting one = {.io = {.fn = count_call}}, other = {.io = {.fn = count_call}},
			gone = {.io = {.fn = count_call}};

	loop_park(&pair->loop, &one.io);
	loop_park(&pair->loop, &one.io);
	loop_park(&pair->loop, &other.io);
	loop_park(&pair->loop, &gone.io);
	loop_undefer(&pair->loop, &gone.io);
	loop_defer(&pair->loop, &other.io); /* as if it had not been */
	loop_turn(&pair->loop);
	assert_int_equal(one.n_calls, 0);
	assert_int_equal(other.n_calls, 1);
	loop_unpark(&pair->loop);
	loop_turn(&pair->loop);
	assert_int_equal(one.n_calls, 1);
	assert_int_equal(other.n_calls, 1);
	assert_int_equal(gone.n_calls, 0);
	assert_true(TAILQ_EMPTY(&pair->loop.parked) && TAILQ_EMPTY(&pair->loop.deferred));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_full_buffer_and_its_framing_are_kept_when_the_kernel_is_full, open_pair,
		close_pair),
	    cmocka_unit_test_setup_teardown(a_turn_ends_though_handlers_put_themselves_off_for_ever,
					    open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(a_timer_runs_though_nothing_else_happens, open_pair,
					    close_pair),
	    cmocka_unit_test_setup_teardown(bytes_pass_through_a_pipe_which_is_used_again,
					    open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(
		what_the_kernel_refuses_stays_in_the_pipe_and_follows_in_order, open_pair,
		close_pair),
	    cmocka_unit_test_setup_teardown(pipe_with_bytes_in_it_is_never_used_again, open_pair,
					    close_pair),
	    cmocka_unit_test_setup_teardown(end_of_the_peer_and_of_the_pool_are_told, open_pair,
					    close_pair),
	    cmocka_unit_test_setup_teardown(reads_wait_before_the_limit_of_all_buffers_is_reached,
					    open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(what_is_parked_is_called_once_when_it_is_let_go,
					    open_pair, close_pair),
	    cmocka_unit_test(memory_of_a_burst_goes_back_when_it_is_not_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
