/* Descriptors go from one table to another, and a table of its own holds what it was told to. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "lb/proxy/handover.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int new_fd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void a_descriptor_arrives_under_its_id_and_works(void **state)
{
	struct handover handover;
	uint64_t ids[HANDOVER_MAX], id = 42;
	int fds[HANDOVER_MAX], fd = new_fd();
	eventfd_t value;

	(void)state;
	assert_int_equal(handover_init(&handover, NULL), 0);
	assert_int_equal(handover_receive(&handover, ids, fds), 0);
	assert_int_equal(handover_send(&handover, &id, &fd, 1), 0);
	assert_int_equal(handover_receive(&handover, ids, fds), 1);
	assert_int_equal(ids[0], 42);
	assert_int_not_equal(fds[0], fd);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(eventfd_write(fd, 7), 0);
	assert_int_equal(eventfd_read(fds[0], &value), 0);
	assert_int_equal(value, 7);
	close(fd);
	close(fds[0]);
	handover_fini(&handover);
}

static void more_than_a_message_holds_comes_in_several(void **state)
{
	enum { N = 2 * HANDOVER_MAX + 3 };
	static uint64_t ids[N], got[HANDOVER_MAX];
	static int fds[N], got_fds[HANDOVER_MAX];
	struct handover handover;
	int fd = new_fd(), total = 0, n;

	(void)state;
	for (int i = 0; i < N; i++) {
		ids[i] = (uint64_t)i;
		fds[i] = fd;
	}
	assert_int_equal(handover_init(&handover, NULL), 0);
	assert_int_equal(handover_send(&handover, ids, fds, N), 0);
	while ((n = handover_receive(&handover, got, got_fds)) > 0) {
		for (int i = 0; i < n; i++) {
			assert_int_equal(got[i], (uint64_t)total++);
			close(got_fds[i]);
		}
	}
	assert_int_equal(n, 0);
	assert_int_equal(total, N);
	close(fd);
	handover_fini(&handover);
}

static void what_nobody_received_is_closed_with_the_pair(void **state)
{
	struct handover handover;
	uint64_t id = 1;
	int ends[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(handover_init(&handover, NULL), 0);
	assert_int_equal(handover_send(&handover, &id, &ends[1], 1), 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), -1);
	handover_fini(&handover);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* the writing end is gone everywhere */
	close(ends[0]);
}

struct own {
	int kept[2], dropped;
	bool has_kept, has_dropped;
};

static void *take_own_table(void *arg)
{
	struct own *own = arg;
	int kept[] = {own->kept[1], -1, own->kept[0]};

	handover_own_table(kept, 3);
	own->has_kept = is_open(own->kept[0]) && is_open(own->kept[1]) && is_open(0);
	own->has_dropped = is_open(own->dropped);
	return NULL;
}

static void a_thread_with_its_own_table_has_only_what_it_kept(void **state)
{
	struct own own = {.kept = {new_fd(), 0}};
	pthread_t thread;

	(void)state;
	own.dropped = new_fd();
	own.kept[1] = new_fd();
	assert_int_equal(pthread_create(&thread, NULL, take_own_table, &own), 0);
	pthread_join(thread, NULL);
	assert_true(own.has_kept);
#if !defined(__SANITIZE_THREAD__)
	assert_false(own.has_dropped);
#endif
	assert_true(is_open(own.dropped)); /* here it is as before */
	close(own.kept[0]);
	close(own.kept[1]);
	close(own.dropped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_descriptor_arrives_under_its_id_and_works),
	    cmocka_unit_test(more_than_a_message_holds_comes_in_several),
	    cmocka_unit_test(what_nobody_received_is_closed_with_the_pair),
	    cmocka_unit_test(a_thread_with_its_own_table_has_only_what_it_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
