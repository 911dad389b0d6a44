/* See curl_loop.h.  libcurl says which sockets and which timer it wants; libevent watches them. */
#include "common/http/curl_loop.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/log.h"

enum {
	MAX_IDLE_CONNECTIONS = 128, /* kept open for reuse, over all hosts */
};

struct transfer {
	CURL *easy; /* borrowed: the caller's until its callback */
	curl_done_fn fn;
	void *arg;
	TAILQ_ENTRY(transfer) link;
};

struct watch {
	struct event *event;
	short wanted; /* EV_READ | EV_WRITE */
};

struct curl_loop {
	struct event_base *base; /* borrowed: outlives the loop */
	CURLM *multi;
	struct event *timer;
	TAILQ_HEAD(, transfer) transfers;
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void init_global(void)
{
	global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static struct transfer *transfer_of(CURL *easy)
{
	char *private = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	return (struct transfer *)(void *)private;
}

static void remove_transfer(struct curl_loop *loop, struct transfer *transfer)
{
	curl_multi_remove_handle(loop->multi, transfer->easy);
	curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, NULL);
	TAILQ_REMOVE(&loop->transfers, transfer, link);
	free(transfer);
}

/* A callback may add, cancel and clean up any handle: nothing is held over the call. */
static void report_finished(struct curl_loop *loop)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(loop->multi, &left)) != NULL) {
		CURL *easy = message->easy_handle;
		CURLcode result = message->data.result;
		struct transfer *transfer = transfer_of(easy);
		curl_done_fn fn;
		void *arg;

		if (message->msg != CURLMSG_DONE)
			continue;
		CHECK(transfer != NULL);
		fn = transfer->fn;
		arg = transfer->arg;
		remove_transfer(loop, transfer);
		fn(arg, easy, result);
	}
}

static void act(struct curl_loop *loop, curl_socket_t fd, int flags)
{
	int n_running;
	CURLMcode code = curl_multi_socket_action(loop->multi, fd, flags, &n_running);

	if (code != CURLM_OK)
		log_error("curl-loop", "why=\"%s\"", curl_multi_strerror(code));
	report_finished(loop);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	int flags = ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
		    ((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);

	act(arg, fd, flags);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->event != NULL)
		event_free(watch->event);
	free(watch);
}

static int watch_set(struct curl_loop *loop, struct watch *watch, curl_socket_t fd, short wanted)
{
	if (watch->event != NULL && watch->wanted == wanted)
		return 0;
	if (watch->event != NULL)
		event_free(watch->event);
	watch->event = event_new(loop->base, fd, (short)(wanted | EV_PERSIST), on_socket, loop);
	watch->wanted = wanted;
	return watch->event == NULL || event_add(watch->event, NULL) != 0 ? -1 : 0;
}

/*
 * libcurl: which events of fd it wants.  A failure is only logged: telling libcurl would end every
 * transfer of the loop, while without the event this one ends by its own timeout.
 */
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct curl_loop *loop = arg;
	struct watch *watch = socket_arg;
	short wanted = (short)(((what & CURL_POLL_IN) != 0 ? EV_READ : 0) |
			       ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0));

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(loop->multi, fd, NULL);
		watch_free(watch);
		return 0;
	}
	if (watch == NULL) {
		watch = calloc(1, sizeof(*watch));
		if (watch == NULL)
			goto fail;
		curl_multi_assign(loop->multi, fd, watch);
	}
	if (watch_set(loop, watch, fd, wanted) == 0)
		return 0;
fail:
	log_error("curl-loop", "fd=%d why=\"cannot watch the socket\"", fd);
	return 0;
}

/* libcurl: when it wants to be called without an event.  Never call it back from here. */
static int want_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct curl_loop *loop = arg;
	struct timeval delay = {.tv_sec = timeout_ms / 1000,
				.tv_usec = (timeout_ms % 1000) * 1000L};

	(void)multi;
	if (timeout_ms < 0)
		event_del(loop->timer);
	else
		event_add(loop->timer, &delay);
	return 0;
}

static void set_up_multi(struct curl_loop *loop)
{
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long)MAX_IDLE_CONNECTIONS);
}

struct curl_loop *curl_loop_new(struct event_base *base, struct err *err)
{
	struct curl_loop *loop = NULL;

	pthread_once(&global_once, init_global);
	if (global_result != CURLE_OK) {
		err_set(err, EINVAL, "libcurl does not start: %s",
			curl_easy_strerror(global_result));
		return NULL;
	}
	loop = calloc(1, sizeof(*loop));
	if (loop == NULL)
		goto oom;
	TAILQ_INIT(&loop->transfers);
	loop->base = base;
	loop->timer = evtimer_new(base, on_timer, loop);
	loop->multi = curl_multi_init();
	if (loop->timer == NULL || loop->multi == NULL)
		goto oom;
	set_up_multi(loop);
	return loop;
oom:
	curl_loop_free(loop);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void curl_loop_free(struct curl_loop *loop)
{
	struct transfer *transfer, *next;

	if (loop == NULL)
		return;
	TAILQ_FOREACH_SAFE (transfer, &loop->transfers, link, next) {
		remove_transfer(loop, transfer);
	}
	if (loop->multi != NULL)
		curl_multi_cleanup(loop->multi);
	if (loop->timer != NULL)
		event_free(loop->timer);
	free(loop);
}

struct event_base *curl_loop_base(const struct curl_loop *loop)
{
	return loop->base;
}

int curl_loop_add(struct curl_loop *loop, CURL *easy, curl_done_fn fn, void *arg)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));

	if (transfer == NULL)
		return -1;
	*transfer = (struct transfer){.easy = easy, .fn = fn, .arg = arg};
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	if (curl_multi_add_handle(loop->multi, easy) != CURLM_OK) {
		curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
		free(transfer);
		return -1;
	}
	TAILQ_INSERT_TAIL(&loop->transfers, transfer, link);
	return 0;
}

void curl_loop_cancel(struct curl_loop *loop, CURL *easy)
{
	struct transfer *transfer = transfer_of(easy);

	if (transfer != NULL)
		remove_transfer(loop, transfer);
}
