/* common/http/listener under a server: how many connections, and what happens without descriptors.
 */
#include "api_world.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FLOOD = 540 };

static int connect_to(const struct world *world)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons((uint16_t)aws_server_port(world->server))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void assert_connections(const struct world *world, int n)
{
	char line[64];
	struct buf text = {0};

	snprintf(line, sizeof(line), "\nalbatross_api_connections %d\n", n);
	aws_server_metrics(world->server, &text);
	assert_non_null(strstr(buf_text(&text), line));
	buf_fini(&text);
}

static void a_connection_counts_from_its_accept_to_its_end(void **state)
{
	struct world *world = *state;
	int silent = connect_to(world), other = connect_to(world);

	run(world, 20);
	assert_connections(world, 2);
	close(other);
	run(world, 20);
	assert_connections(world, 1);
	close(silent);
	run(world, 20);
	assert_connections(world, 0);
}

/* As another thread may: of the number that is free again, and even of the same socket. */
static void a_descriptor_that_others_opened_since_is_none_of_ours(void **state)
{
	struct world *world = *state;
	int fd = connect_to(world), ours = dup(0), copy;

	close(ours); /* the next number that is free: what accept() will give */
	run(world, 20);
	copy = dup(ours);
	assert_true(copy >= 0);
	close(fd);
	run(world, 20);
	assert_int_equal(dup2(copy, ours), ours);
	assert_connections(world, 0);
	close(ours);
	close(copy);
}

static void a_flood_of_connections_is_cut_off_and_forgotten(void **state)
{
	struct world *world = *state;
	int fds[FLOOD], n_closed = 0;
	struct rlimit limit;
	char byte;

	getrlimit(RLIMIT_NOFILE, &limit); /* both ends are in this process */
	if (limit.rlim_max < 4UL * FLOOD)
		skip();
	limit.rlim_cur = limit.rlim_max < 20000 ? limit.rlim_max : 20000;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < FLOOD; i++) {
		fds[i] = connect_to(world);
		if (i % 64 == 63)
			event_base_loop(world->base, EVLOOP_NONBLOCK); /* empties the backlog */
	}
	run(world, 50);
	for (int i = 0; i < FLOOD; i++)
		n_closed += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 0;
	assert_int_equal(n_closed, FLOOD - 512);
	for (int i = 0; i < FLOOD; i++)
		close(fds[i]);
	run(world, 50);
	ask(world, "/", IDENTITY);
	assert_int_equal(world->status, 200);
}

static void without_descriptors_accept_pauses_and_goes_on(void **state)
{
	static const char request[] = "GET /healthz HTTP/1.0\r\n\r\n";
	struct world *world = *state;
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons((uint16_t)aws_server_port(world->server))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct rlimit limit, none;
	char answer[512] = "";

	event_base_loop(world->base, EVLOOP_NONBLOCK);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(send(fd, request, sizeof(request) - 1, 0), sizeof(request) - 1);
	run(world, 50);
	assert_int_equal(recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	run(world, 300);
	assert_true(recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT) > 0);
	assert_non_null(strstr(answer, "200 OK"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_connection_counts_from_its_accept_to_its_end),
	    TEST(a_descriptor_that_others_opened_since_is_none_of_ours),
	    TEST(without_descriptors_accept_pauses_and_goes_on),
	    TEST(a_flood_of_connections_is_cut_off_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
