/* Clients' connections: see client.h. */
#include "lb/proxy/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "lb/proxy/exchange.h"
#include "lb/proxy/worker.h"

static char *put_decimal(char *at, unsigned number)
{
	char digits[10];
	int n = 0;

	do {
		digits[n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (n > 0)
		*at++ = digits[--n];
	return at;
}

/* A tenth of what inet_ntop takes. */
static char *put_ipv4(char *at, const struct in_addr *addr)
{
	const uint8_t *bytes = (const uint8_t *)&addr->s_addr;

	for (int i = 0; i < 4; i++) {
		at = put_decimal(at, bytes[i]);
		*at++ = '.';
	}
	return at - 1;
}

static unsigned port_of(const struct client *client)
{
	return ntohs(client->addr.any.sa_family == AF_INET ? client->addr.in.sin_port
							   : client->addr.in6.sin6_port);
}

static void set_labels(struct client *client)
{
	bool is_ipv6 = client->addr.any.sa_family != AF_INET;
	char *at = client->label;

	if (is_ipv6) {
		*at++ = '[';
		inet_ntop(AF_INET6, &client->addr.in6.sin6_addr, at, INET6_ADDRSTRLEN);
		at += strlen(at);
	} else {
		at = put_ipv4(at, &client->addr.in.sin_addr);
	}
	client->ip_at = is_ipv6;
	client->ip_len = (uint8_t)(at - client->label - is_ipv6);
	if (is_ipv6)
		*at++ = ']';
	*at++ = ':';
	at = put_decimal(at, port_of(client));
	*at = '\0';
	client->label_len = (uint8_t)(at - client->label);
}

static struct text ip_of(const struct client *client)
{
	return (struct text){client->label + client->ip_at, client->ip_len};
}

/* The address that it connected to: nobody but the logs wants to know. */
static void set_node(struct client *client)
{
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);

	if (getsockname(client->conn.io.fd, (struct sockaddr *)&addr, &len) < 0)
		return;
	if (addr.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&addr)->sin_addr, client->node,
			  sizeof(client->node));
	else
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&addr)->sin6_addr, client->node,
			  sizeof(client->node));
}

static void log_connection(struct client *client)
{
	struct worker *worker = client->worker;
	const struct listener *listener = client->socket->listener;
	char ip[INET6_ADDRSTRLEN] = "";

	if (worker->config->access_log || worker->config->connection_log)
		set_node(client);
	if (!worker->config->connection_log)
		return;
	memcpy(ip, ip_of(client).at, client->ip_len);
	struct connection_entry entry = {.accepted_us = worker_wall_us(worker),
					 .client_ip = ip,
					 .client_port = port_of(client),
					 .listener_port = listener->port,
					 .connection_id = client->id,
					 .elb = listener->load_balancer->resource,
					 .node = client->node};
	connection_log_write(worker->config->connection_log, worker->lane, &entry);
}

static uint64_t n_connections(const struct worker *worker)
{
	return atomic_load_explicit(&worker->n_connections, memory_order_relaxed);
}

/* NULL: there are too many, or no memory. */
static struct client *new_client(struct worker_socket *socket)
{
	const struct client_protocol *protocol = socket->listener->protocol;
	struct worker *worker = socket->worker;
	struct slab *slab = protocol->slab(worker);
	struct client *client = NULL;

	if (n_connections(worker) < worker->config->max_connections)
		client = slab_take(slab);
	if (!client)
		return NULL;
	memset(client, 0, slab->size);
	client->protocol = protocol;
	client->worker = worker;
	client->socket = socket;
	client->id = worker_random(worker);
	return client;
}

static void count_in(struct client *client)
{
	struct worker *worker = client->worker;

	client->socket->users++;
	TAILQ_INSERT_TAIL(&worker->all_clients, client, link);
	counter_add(&client->counters->values[LB_COUNTER_NEW_CONNECTIONS], 1);
	counter_add(&client->counters->values[LB_COUNTER_ACTIVE_CONNECTIONS], 1);
	counter_add(&worker->n_connections, 1);
}

void client_accept(struct worker_socket *socket, int fd, const struct sockaddr_storage *addr)
{
	struct worker *worker = socket->worker;
	const struct load_balancer *lb = socket->listener->load_balancer;
	struct lb_counters *counters =
	    counters_lb(worker->config->counters, worker->lane, lb->slot);
	struct client *client = new_client(socket);

	if (!client) {
		counter_add(&counters->values[LB_COUNTER_REJECTED_CONNECTIONS], 1);
		close(fd);
		return;
	}
	conn_init(&client->conn, fd, client->protocol->on_event);
	client->timer.fn = client->protocol->on_timer;
	client->counters = counters;
	memcpy(&client->addr, addr, sizeof(client->addr));
	client->idle_ms = lb->attributes.idle_timeout_s * 1000;
	client->expires_us =
	    worker->loop.now_us + (int64_t)lb->attributes.client_keep_alive_s * 1000000;
	set_labels(client);
	log_connection(client);
	if (loop_add(&worker->loop, &client->conn.io) < 0) {
		counter_add(&counters->values[LB_COUNTER_REJECTED_CONNECTIONS], 1);
		close(fd);
		slab_give_back(client->protocol->slab(worker), client);
		return;
	}
	count_in(client);
	client_start_idle_timer(client);
}

void client_close(struct client *client)
{
	struct worker *worker = client->worker;

	timer_stop(&client->timer);
	conn_close(&client->conn, &worker->loop, &worker->buffers);
	counter_add(&client->counters->values[LB_COUNTER_ACTIVE_CONNECTIONS], (uint64_t)-1);
	counter_add(&worker->n_connections, (uint64_t)-1);
	TAILQ_REMOVE(&worker->all_clients, client, link);
	worker_socket_unref(client->socket);
	worker_bury(worker, &client->grave, client->protocol->slab(worker), client);
}

void client_introduce(struct client *client, struct exchange *ex)
{
	ex->client_ip = ip_of(client);
	ex->client_addr = (struct text){client->label, client->label_len};
	ex->client_sockaddr = &client->addr.any;
	ex->connection_id = client->id;
	ex->node = client->node;
}

void client_start_idle_timer(struct client *client)
{
	timer_start(&client->worker->loop, &client->timer, client->idle_ms);
}

bool client_uses(const struct client *client, const struct worker_socket *socket)
{
	return client->socket == socket;
}

struct client *client_next(struct client *client)
{
	return TAILQ_NEXT(client, link);
}

void client_close_if_idle(struct client *client)
{
	client->protocol->close_if_idle(client);
}

void client_destroy(struct client *client)
{
	client->protocol->destroy(client);
}

void client_cut_target(struct client *client, const struct target *target)
{
	client->protocol->cut_target(client, target);
}
