/* common/http/listener under a server: how many connections, and what happens without descriptors.
 */
#include "api_world.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FLOOD = 540 };

static void a_flood_of_connections_is_cut_off_and_forgotten(void **state)
{
	struct world *world = *state;
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons((uint16_t)aws_server_port(world->server))};
	int fds[FLOOD], n_closed = 0;
	struct rlimit limit;
	char byte;

	getrlimit(RLIMIT_NOFILE, &limit); /* both ends are in this process */
	if (limit.rlim_max < 4UL * FLOOD)
		skip();
	limit.rlim_cur = limit.rlim_max < 20000 ? limit.rlim_max : 20000;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < FLOOD; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_true(fds[i] >= 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
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
	    TEST(without_descriptors_accept_pauses_and_goes_on),
	    TEST(a_flood_of_connections_is_cut_off_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
