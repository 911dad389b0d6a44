/* The proxy's face to the control thread: see proxy.h.  Runs there. */
#include "lb/proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/log.h"
#include "lb/proxy/sockets.h"
#include "lb/proxy/worker_main.h"

enum { DEFAULT_CONNECT_MS = 10000, SPARE_FDS = 128 };

/* An address that the workers listen on. */
struct bound {
	uint64_t id;
	struct sockaddr_storage addr;
	bool is_new; /* during an install */
	int *fds;    /* n_workers of them while is_new */
};

struct bound_list {
	size_t n;
	struct bound *items;
};

struct proxy {
	struct proxy_config config;
	uint64_t next_id;
	struct bound_list bound;
	unsigned n_workers; /* started */
	struct worker *workers[MAX_LANES];
};

static const struct sockaddr *sockaddr_of(const struct sockaddr_storage *addr)
{
	return (const struct sockaddr *)addr;
}

static struct bound *find_bound(const struct bound_list *list, const struct sockaddr *addr)
{
	for (size_t i = 0; i < list->n; i++)
		if (address_equal(sockaddr_of(&list->items[i].addr), addr))
			return &list->items[i];
	return NULL;
}

/* Every connection may need two descriptors; the soft limit of 1024 is for select(2). */
static unsigned default_max_connections(unsigned n_workers)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 400;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > 1000000)
		limit.rlim_cur = 1000000;
	if (limit.rlim_cur <= 2 * SPARE_FDS)
		return 16;
	return (unsigned)(limit.rlim_cur - SPARE_FDS) / 2 / n_workers;
}

struct proxy *proxy_start(const struct proxy_config *config, struct err *err)
{
	CHECK(config->n_workers > 0 && config->n_workers <= MAX_LANES);
	struct proxy *proxy = calloc(1, sizeof(*proxy));

	if (!proxy) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	proxy->config = *config;
	if (proxy->config.connect_timeout_ms == 0)
		proxy->config.connect_timeout_ms = DEFAULT_CONNECT_MS;
	if (proxy->config.max_connections == 0)
		proxy->config.max_connections = default_max_connections(config->n_workers);
	while (proxy->n_workers < config->n_workers) {
		struct worker *worker = worker_start(&proxy->config, proxy->n_workers, err);

		if (!worker) {
			proxy_stop(proxy);
			return NULL;
		}
		proxy->workers[proxy->n_workers++] = worker;
	}
	return proxy;
}

/* ---- install ---- */

/* Workers have descriptors of their own for what was handed over. */
static void close_new(struct bound_list *list, unsigned n_workers)
{
	for (size_t i = 0; i < list->n; i++) {
		struct bound *bound = &list->items[i];

		if (!bound->is_new)
			continue;
		for (unsigned w = 0; w < n_workers; w++)
			close(bound->fds[w]);
		free(bound->fds);
		bound->fds = NULL;
		bound->is_new = false;
	}
}

static int add_bound(struct proxy *proxy, struct bound_list *list, const struct listener *listener,
		     struct err *err)
{
	const struct sockaddr *addr = sockaddr_of(&listener->addr);
	const struct bound *held = find_bound(&proxy->bound, addr);
	struct bound *bound = &list->items[list->n];
	char text[ADDRESS_TEXT_MAX];

	if (find_bound(list, addr)) {
		err_set(err, EADDRINUSE, "two listeners on %s", address_text(addr, text));
		return -1;
	}
	*bound = held ? *held : (struct bound){.addr = listener->addr, .is_new = true};
	if (!held) {
		bound->fds = calloc(proxy->n_workers, sizeof(int));
		if (!bound->fds) {
			err_set(err, ENOMEM, "out of memory");
			return -1;
		}
		if (sockets_open(addr, listener->addr_len, bound->fds, proxy->n_workers, err) < 0) {
			free(bound->fds);
			return -1;
		}
		bound->id = ++proxy->next_id;
	}
	list->n++;
	return 0;
}

static struct mail *mail_new(enum mail_kind kind, size_t n_sockets)
{
	struct mail *mail = calloc(1, sizeof(*mail) + n_sockets * sizeof(struct mail_socket));

	if (mail) {
		mail->kind = kind;
		mail->n_sockets = n_sockets;
	}
	return mail;
}

static struct mail *install_mail(const struct bound_list *list, struct snapshot *snapshot)
{
	struct mail *mail = mail_new(MAIL_INSTALL, list->n);

	if (!mail)
		return NULL;
	mail->snapshot = snapshot_ref(snapshot);
	for (size_t i = 0; i < list->n; i++)
		mail->sockets[i] = (struct mail_socket){
		    .id = list->items[i].id,
		    .is_new = list->items[i].is_new,
		    .listener = snapshot_listener(snapshot, i),
		};
	return mail;
}

static int hand_over(struct worker *worker, const struct bound_list *list, uint64_t *ids, int *fds)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (!list->items[i].is_new)
			continue;
		ids[n] = list->items[i].id;
		fds[n++] = list->items[i].fds[worker->lane];
	}
	return handover_send(&worker->handover, ids, fds, n);
}

/* To all workers or, for all that they see of it, to none: without its mail a worker throws away
 * what it was handed. */
static int hand_over_all(struct proxy *proxy, const struct bound_list *list)
{
	uint64_t *ids = calloc(list->n + 1, sizeof(*ids));
	int *fds = calloc(list->n + 1, sizeof(*fds)), result = 0;

	if (!ids || !fds)
		result = -1;
	for (unsigned w = 0; result == 0 && w < proxy->n_workers; w++)
		result = hand_over(proxy->workers[w], list, ids, fds);
	free(ids);
	free(fds);
	return result;
}

/* To all workers or to none. */
static int send_install(struct proxy *proxy, const struct bound_list *list,
			struct snapshot *snapshot)
{
	struct mail *mails[MAX_LANES];

	for (unsigned w = 0; w < proxy->n_workers; w++) {
		mails[w] = install_mail(list, snapshot);
		if (mails[w])
			continue;
		while (w > 0) {
			snapshot_unref(snapshot);
			free(mails[--w]);
		}
		return -1;
	}
	for (unsigned w = 0; w < proxy->n_workers; w++)
		worker_send(proxy->workers[w], mails[w]);
	return 0;
}

int proxy_install(struct proxy *proxy, struct snapshot *snapshot, struct err *err)
{
	size_t n = snapshot_n_listeners(snapshot);
	struct bound_list list = {.items = calloc(n + 1, sizeof(struct bound))};

	if (!list.items)
		goto oom;
	for (size_t i = 0; i < n; i++)
		if (add_bound(proxy, &list, snapshot_listener(snapshot, i), err) < 0)
			goto fail;
	if (hand_over_all(proxy, &list) < 0) {
		err_set(err, errno, "listening sockets to the workers: %s", strerror(errno));
		goto fail;
	}
	if (send_install(proxy, &list, snapshot) < 0)
		goto oom;
	close_new(&list, proxy->n_workers);
	free(proxy->bound.items);
	proxy->bound = list;
	return 0;
oom:
	err_set(err, ENOMEM, "out of memory");
fail:
	close_new(&list, proxy->n_workers);
	free(list.items);
	return -1;
}

int proxy_try_address(const struct proxy *proxy, const struct sockaddr *addr, socklen_t addr_len,
		      struct err *err)
{
	if (proxy && find_bound(&proxy->bound, addr))
		return 0;
	return sockets_probe(addr, addr_len, err);
}

/* ---- the end ---- */

static void send_all(struct proxy *proxy, enum mail_kind kind, struct target *target)
{
	for (unsigned w = 0; w < proxy->n_workers; w++) {
		struct mail *mail = mail_new(kind, 0);

		CHECK(mail); /* there is no going on without it */
		mail->target = target ? target_ref(target) : NULL;
		worker_send(proxy->workers[w], mail);
	}
}

void proxy_cut_target(struct proxy *proxy, struct target *target)
{
	send_all(proxy, MAIL_CUT, target);
}

void proxy_drain(struct proxy *proxy)
{
	send_all(proxy, MAIL_DRAIN, NULL);
	proxy->bound.n = 0;
}

bool proxy_is_drained(const struct proxy *proxy)
{
	for (unsigned w = 0; w < proxy->n_workers; w++)
		if (!atomic_load_explicit(&proxy->workers[w]->is_drained, memory_order_acquire))
			return false;
	return true;
}

void proxy_stop(struct proxy *proxy)
{
	if (!proxy)
		return;
	send_all(proxy, MAIL_STOP, NULL);
	for (unsigned w = 0; w < proxy->n_workers; w++)
		worker_join(proxy->workers[w]);
	free(proxy->bound.items);
	free(proxy);
}

uint64_t proxy_n_connections(const struct proxy *proxy)
{
	uint64_t sum = 0;

	for (unsigned w = 0; w < proxy->n_workers; w++)
		sum +=
		    atomic_load_explicit(&proxy->workers[w]->n_connections, memory_order_relaxed);
	return sum;
}

struct proxy_buffers proxy_buffers(const struct proxy *proxy)
{
	struct proxy_buffers sum = {0};

	for (unsigned w = 0; w < proxy->n_workers; w++) {
		struct worker *worker = proxy->workers[w];

		sum.bytes += atomic_load_explicit(&worker->buffer_bytes, memory_order_relaxed);
		sum.n_waits += atomic_load_explicit(&worker->n_waits, memory_order_relaxed);
	}
	return sum;
}
