/* A worker's thread: its loop, its listening sockets, its mail.  See worker.h. */
#include "lb/proxy/worker.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "lb/proxy/client.h"
#include "lb/proxy/exchange.h"
#include "lb/proxy/worker_main.h"

/* AT_CLOSE: the longest queue there may be; who still comes then is no reason to go on for ever. */
enum {
	ACCEPTS_PER_TURN = 64,
	ACCEPTS_AT_CLOSE = 16384,
	ACCEPT_PAUSE_MS = 100,
	TRIM_MS = 100,
	WALL_REFRESH_US = 500000,
	SHORT_LOG_US = 10000000
};

/* ---- small services ---- */

/* xorshift64*: for choices and trace ids, not for secrets. */
uint64_t worker_random(struct worker *worker)
{
	uint64_t x = worker->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	worker->random = x;
	return x * 0x2545F4914F6CDD1Dull;
}

int64_t worker_wall_us(struct worker *worker)
{
	int64_t now_us = worker->loop.now_us;

	if (now_us - worker->wall_checked_us >= WALL_REFRESH_US || worker->wall_offset_us == 0) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		worker->wall_offset_us =
		    (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - clock_monotonic_us();
		worker->wall_checked_us = now_us;
	}
	return now_us + worker->wall_offset_us;
}

const char *worker_date(struct worker *worker)
{
	int64_t now_s = worker_wall_us(worker) / 1000000;

	if (now_s != worker->date_s) {
		time_t seconds = (time_t)now_s;
		struct tm tm;

		worker->date_s = now_s;
		gmtime_r(&seconds, &tm);
		strftime(worker->date, sizeof(worker->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		snprintf(worker->ascii_time, sizeof(worker->ascii_time), "%08x", (unsigned)now_s);
	}
	return worker->date;
}

void worker_note_short(struct worker *worker)
{
	int64_t now_us = worker->loop.now_us;

	if (worker->short_logged_us != 0 && now_us - worker->short_logged_us < SHORT_LOG_US)
		return;
	worker->short_logged_us = now_us;
	log_warn("buffers-short", "worker=%u bytes=%zu limit=%zu", worker->lane,
		 worker->buffers.used, worker->buffers.limit);
}

void worker_await_buffers(struct worker *worker, struct io *io)
{
	worker_note_short(worker);
	counter_add(&worker->n_waits, 1);
	loop_park(&worker->loop, io);
}

/* At the end of a turn: only in turns are buffers given back. */
static void tend_buffers(struct worker *worker)
{
	atomic_store_explicit(&worker->buffer_bytes, worker->buffers.used, memory_order_relaxed);
	if (!TAILQ_EMPTY(&worker->loop.parked) && buffer_may_read(&worker->buffers, false))
		loop_unpark(&worker->loop);
}

struct view *view_ref(struct view *view)
{
	view->users++;
	return view;
}

void view_unref(struct view *view)
{
	if (!view || --view->users > 0)
		return;
	snapshot_unref(view->snapshot);
	free(view);
}

void worker_bury(struct worker *worker, struct grave *grave, struct slab *slab, void *object)
{
	*grave = (struct grave){slab, object, worker->graves};
	worker->graves = grave;
}

static void free_graves(struct worker *worker)
{
	struct grave *grave = worker->graves;

	worker->graves = NULL;
	while (grave) {
		struct grave *next = grave->next;

		/* grave lies in the object */
		if (grave->slab)
			slab_give_back(grave->slab, grave->object);
		else
			free(grave->object);
		grave = next;
	}
}

/* ---- listening sockets ---- */

void worker_socket_unref(struct worker_socket *socket)
{
	if (--socket->users == 0)
		worker_bury(socket->worker, &socket->grave, NULL, socket);
}

static void pause_accepting(struct worker *worker)
{
	struct worker_socket *socket;

	log_warn("accept-paused", "worker=%u why=\"%s\"", worker->lane, strerror(errno));
	LIST_FOREACH (socket, &worker->sockets, link)
		loop_remove(&worker->loop, &socket->io);
	timer_start(&worker->loop, &worker->accept_pause, ACCEPT_PAUSE_MS);
}

static void on_accept_pause_over(struct timer *timer)
{
	struct worker *worker =
	    (struct worker *)(void *)((char *)timer - offsetof(struct worker, accept_pause));
	struct worker_socket *socket;

	LIST_FOREACH (socket, &worker->sockets, link)
		if (loop_add_listener(&worker->loop, &socket->io) < 0 && errno != EEXIST)
			log_error("listen-failed", "worker=%u why=\"%s\"", worker->lane,
				  strerror(errno));
}

/* False when nothing more is queued. */
static bool accept_one(struct worker_socket *socket)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int fd =
	    accept4(socket->io.fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		client_accept(socket, fd, &addr);
		return true;
	}
	switch (errno) {
	case ECONNABORTED:
	case EINTR:
	case EPROTO:
		return true;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		pause_accepting(socket->worker);
		return false;
	default:
		return false;
	}
}

static void on_acceptable(struct io *io, uint32_t events)
{
	struct worker_socket *socket = (struct worker_socket *)(void *)io;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(socket); i++)
		;
}

static void open_socket(struct worker *worker, const struct mail_socket *mail, int fd)
{
	struct worker_socket *socket = calloc(1, sizeof(*socket));

	if (!socket) {
		log_error("listen-failed", "worker=%u why=\"out of memory\"", worker->lane);
		close(fd);
		return;
	}
	socket->io.fd = fd;
	socket->io.fn = on_acceptable;
	socket->worker = worker;
	socket->id = mail->id;
	socket->listener = mail->listener;
	socket->users = 1;
	LIST_INSERT_HEAD(&worker->sockets, socket, link);
	if (loop_add_listener(&worker->loop, &socket->io) < 0)
		log_error("listen-failed", "worker=%u why=\"%s\"", worker->lane, strerror(errno));
}

static void for_clients(struct worker *worker, const struct worker_socket *socket,
			void (*fn)(struct client *client))
{
	struct client *client = TAILQ_FIRST(&worker->all_clients);

	while (client) {
		struct client *next = client_next(client);

		if (!socket || client_uses(client, socket))
			fn(client);
		client = next;
	}
}

/* Who is in the queue was promised a connection: accept them all first. */
static void close_socket(struct worker *worker, struct worker_socket *socket)
{
	for (int i = 0; i < ACCEPTS_AT_CLOSE && accept_one(socket); i++)
		;
	loop_remove(&worker->loop, &socket->io);
	close(socket->io.fd);
	socket->io.fd = -1;
	LIST_REMOVE(socket, link);
	for_clients(worker, socket, client_close_if_idle);
	socket->listener = NULL; /* what its clients still send is answered by a close */
	worker_socket_unref(socket);
}

/* ---- mail ---- */

static const struct mail_socket *find_mail(const struct mail *mail, uint64_t id)
{
	for (size_t i = 0; i < mail->n_sockets; i++)
		if (mail->sockets[i].id == id)
			return &mail->sockets[i];
	return NULL;
}

static size_t count_new(const struct mail *mail)
{
	size_t n = 0;

	for (size_t i = 0; i < mail->n_sockets; i++)
		n += mail->sockets[i].is_new;
	return n;
}

/* What it brings of others is of an install that failed. */
static void open_sockets(struct worker *worker, const struct mail *mail)
{
	size_t missing = count_new(mail);
	uint64_t ids[HANDOVER_MAX];
	int fds[HANDOVER_MAX], n;

	while (missing > 0) {
		n = handover_receive(&worker->handover, ids, fds);
		if (n <= 0)
			break;
		for (int i = 0; i < n; i++) {
			const struct mail_socket *found = find_mail(mail, ids[i]);

			if (found) {
				open_socket(worker, found, fds[i]);
				missing--;
			} else {
				close(fds[i]);
			}
		}
	}
	if (missing > 0)
		log_error("listen-failed", "worker=%u sockets=%zu why=\"%s\"", worker->lane,
			  missing, n < 0 ? strerror(errno) : "they did not come");
}

static void update_sockets(struct worker *worker, const struct mail *mail)
{
	struct worker_socket *socket, *next;

	LIST_FOREACH_SAFE (socket, &worker->sockets, link, next) {
		const struct mail_socket *found = find_mail(mail, socket->id);

		if (found)
			socket->listener = found->listener;
		else
			close_socket(worker, socket);
	}
}

static void install(struct worker *worker, const struct mail *mail)
{
	struct view *old = worker->view, *view = malloc(sizeof(*view));

	if (!view) {
		log_error("install-failed", "worker=%u why=\"out of memory\"", worker->lane);
		snapshot_unref(mail->snapshot);
		return;
	}
	*view = (struct view){mail->snapshot, 1};
	update_sockets(worker, mail);
	worker->view = view;
	open_sockets(worker, mail);
	view_unref(old);
	upstream_pools_sweep(worker);
	exchange_wake_held(worker);
}

static void cut_target(struct worker *worker, struct target *target)
{
	struct client *client = TAILQ_FIRST(&worker->all_clients);

	while (client) {
		struct client *next = client_next(client);

		client_cut_target(client, target);
		client = next;
	}
	target_unref(target);
}

static void drain(struct worker *worker)
{
	struct worker_socket *socket, *next;

	worker->is_draining = true;
	LIST_FOREACH_SAFE (socket, &worker->sockets, link, next)
		close_socket(worker, socket);
	for_clients(worker, NULL, client_close_if_idle);
	upstream_pools_fini(worker);
}

static void handle(struct worker *worker, struct mail *mail)
{
	switch (mail->kind) {
	case MAIL_INSTALL:
		install(worker, mail);
		break;
	case MAIL_CUT:
		cut_target(worker, mail->target);
		break;
	case MAIL_DRAIN:
		drain(worker);
		break;
	case MAIL_STOP:
		worker->is_stopping = true;
		break;
	}
	free(mail);
}

static void on_mail(struct io *io, uint32_t events)
{
	struct worker *worker =
	    (struct worker *)(void *)((char *)io - offsetof(struct worker, loop.wake));
	struct mail *newest =
	    atomic_exchange_explicit(&worker->mailbox, NULL, memory_order_acquire);
	struct mail *in_order = NULL;

	(void)events; /* edge-triggered: the eventfd's count need not be read */
	while (newest) {
		struct mail *next = newest->next;

		newest->next = in_order;
		in_order = newest;
		newest = next;
	}
	while (in_order) {
		struct mail *next = in_order->next;

		handle(worker, in_order);
		in_order = next;
	}
}

void worker_send(struct worker *worker, struct mail *mail)
{
	mail->next = atomic_load_explicit(&worker->mailbox, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&worker->mailbox, &mail->next, mail,
						      memory_order_release, memory_order_relaxed))
		;
	loop_wake(&worker->loop);
}

/* ---- the thread ---- */

static void on_held_timer(struct timer *timer)
{
	exchange_wake_held(
	    (struct worker *)(void *)((char *)timer - offsetof(struct worker, held_timer)));
}

/* Memory of a burst goes back when it has not been needed for TRIM_MS. */
static void on_trim_timer(struct timer *timer)
{
	struct worker *worker =
	    (struct worker *)(void *)((char *)timer - offsetof(struct worker, trim_timer));

	slab_trim(&worker->clients);
	slab_trim(&worker->exchanges);
	slab_trim(&worker->messages);
	slab_trim(&worker->upstreams);
	buffer_pool_trim(&worker->buffers);
}

static void start_trimming(struct worker *worker)
{
	bool has_empty = worker->clients.n_empty + worker->exchanges.n_empty +
				 worker->messages.n_empty + worker->upstreams.n_empty >
			     0 ||
			 buffer_pool_has_empty(&worker->buffers);

	if (has_empty && !worker->trim_timer.timer_class)
		timer_start(&worker->loop, &worker->trim_timer, TRIM_MS);
}

static void note_drained(struct worker *worker)
{
	if (worker->is_draining && TAILQ_EMPTY(&worker->all_clients))
		atomic_store_explicit(&worker->is_drained, true, memory_order_release);
}

static void fini(struct worker *worker)
{
	struct worker_socket *socket;

	for_clients(worker, NULL, client_destroy);
	while ((socket = LIST_FIRST(&worker->sockets))) {
		close(socket->io.fd);
		LIST_REMOVE(socket, link);
		worker_socket_unref(socket);
	}
	upstream_pools_fini(worker);
	free_graves(worker);
	view_unref(worker->view);
}

/* Everything that the thread has to do with the world, before its sockets come. */
static void own_descriptors(const struct worker *worker)
{
	const struct proxy_config *config = worker->config;
	int kept[] = {worker->loop.wake.fd,
		      worker->loop.alarm.fd,
		      worker->loop.epoll_fd,
		      worker->handover.worker_fd,
		      access_log_wake_fd(config->access_log),
		      log_file_wake_fd(config->connection_log)};

	handover_own_table(kept, sizeof(kept) / sizeof(kept[0]));
}

static void *run(void *arg)
{
	struct worker *worker = arg;

	own_descriptors(worker);
	while (!worker->is_stopping) {
		loop_turn(&worker->loop);
		free_graves(worker);
		start_trimming(worker);
		tend_buffers(worker);
		note_drained(worker);
	}
	fini(worker);
	return NULL;
}

void worker_free(struct worker *worker)
{
	loop_fini(&worker->loop);
	handover_fini(&worker->handover);
	slab_fini(&worker->clients);
	slab_fini(&worker->exchanges);
	slab_fini(&worker->messages);
	slab_fini(&worker->upstreams);
	buffer_pool_fini(&worker->buffers);
	pipe_pool_fini(&worker->pipes);
	free(worker->scratch);
	sticky_free(worker->sticky);
	free(worker);
}

struct worker *worker_new(const struct proxy_config *config, unsigned lane, struct err *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	uint64_t seed = 0;

	if (!worker)
		goto oom;
	worker->scratch = malloc(SCRATCH_BYTES);
	if (!worker->scratch)
		goto oom;
	if (config->sticky_key) {
		worker->sticky = sticky_new(config->sticky_key, err);
		if (!worker->sticky)
			goto fail;
	}
	if (handover_init(&worker->handover, err) < 0)
		goto fail;
	if (loop_init(&worker->loop, on_mail, err) < 0) {
		handover_fini(&worker->handover);
		goto fail;
	}
	worker->lane = lane;
	worker->config = config;
	buffer_pool_init(&worker->buffers);
	if (config->buffer_bytes > 0)
		worker->buffers.limit = config->buffer_bytes > BUFFER_LIMIT_LEAST
					    ? config->buffer_bytes
					    : BUFFER_LIMIT_LEAST;
	client_h1_slabs_init(worker);
	upstream_h1_slabs_init(worker);
	slab_init(&worker->exchanges, sizeof(struct exchange), 8);
	LIST_INIT(&worker->sockets);
	LIST_INIT(&worker->pools);
	TAILQ_INIT(&worker->all_clients);
	worker->accept_pause.fn = on_accept_pause_over;
	TAILQ_INIT(&worker->held);
	worker->held_timer.fn = on_held_timer;
	worker->trim_timer.fn = on_trim_timer;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)clock_monotonic_us();
	worker->random = seed | 1;
	return worker;
oom:
	err_set(err, ENOMEM, "out of memory");
fail:
	if (worker) {
		free(worker->scratch);
		sticky_free(worker->sticky);
	}
	free(worker);
	return NULL;
}

struct worker *worker_start(const struct proxy_config *config, unsigned lane, struct err *err)
{
	struct worker *worker = worker_new(config, lane, err);
	sigset_t all, before;
	int error;

	if (!worker)
		return NULL;
	/* Signals are the control thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&worker->thread, NULL, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		return worker;
	err_set(err, error, "worker %u: %s", lane, strerror(error));
	worker_free(worker);
	return NULL;
}

void worker_join(struct worker *worker)
{
	struct mail *mail;

	pthread_join(worker->thread, NULL);
	mail = atomic_exchange(&worker->mailbox, NULL);
	while (mail) { /* sent, but after the stop: nobody read it */
		struct mail *next = mail->next;

		snapshot_unref(mail->snapshot);
		target_unref(mail->target);
		free(mail);
		mail = next;
	}
	worker_free(worker);
}
