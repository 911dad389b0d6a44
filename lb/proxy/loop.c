/* The event loop: see loop.h. */
#include "lb/proxy/loop.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "lb/proxy/syscalls.h"

enum { EVENTS_PER_TURN = 256 };

static void on_alarm(struct io *io, uint32_t events)
{
	struct loop *loop = (struct loop *)(void *)((char *)io - offsetof(struct loop, alarm));

	(void)events; /* edge-triggered: its count need not be read */
	loop->alarm_us = INT64_MAX;
}

int loop_init(struct loop *loop, io_fn on_wake, struct err *err)
{
	memset(loop, 0, sizeof(*loop));
	TAILQ_INIT(&loop->deferred);
	TAILQ_INIT(&loop->parked);
	loop->wake.fn = on_wake;
	loop->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	loop->alarm.fn = on_alarm;
	loop->alarm.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	loop->alarm_us = INT64_MAX;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->now_us = clock_monotonic_us();
	if (loop->wake.fd >= 0 && loop->alarm.fd >= 0 && loop->epoll_fd >= 0 &&
	    loop_add(loop, &loop->wake) == 0 && loop_add(loop, &loop->alarm) == 0)
		return 0;
	err_set(err, errno, "event loop: %s", strerror(errno));
	loop_fini(loop);
	return -1;
}

void loop_fini(struct loop *loop)
{
	if (loop->wake.fd >= 0)
		close(loop->wake.fd);
	if (loop->alarm.fd >= 0)
		close(loop->alarm.fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->wake.fd = loop->alarm.fd = loop->epoll_fd = -1;
}

void loop_wake(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t n = write(loop->wake.fd, &one, sizeof(one));

	(void)n; /* EAGAIN: it is awake already */
}

static int add(struct loop *loop, struct io *io, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = io};

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, io->fd, &event);
}

int loop_add(struct loop *loop, struct io *io)
{
	return add(loop, io, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int loop_add_listener(struct loop *loop, struct io *io)
{
	return add(loop, io, EPOLLIN);
}

void loop_remove(struct loop *loop, struct io *io)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
}

void loop_defer(struct loop *loop, struct io *io)
{
	if (io->is_deferred)
		return;
	loop_undefer(loop, io);
	io->is_deferred = true;
	loop->n_deferred++;
	TAILQ_INSERT_TAIL(&loop->deferred, io, link);
}

void loop_undefer(struct loop *loop, struct io *io)
{
	if (io->is_parked)
		TAILQ_REMOVE(&loop->parked, io, link);
	io->is_parked = false;
	if (!io->is_deferred)
		return;
	io->is_deferred = false;
	loop->n_deferred--;
	TAILQ_REMOVE(&loop->deferred, io, link);
}

void loop_park(struct loop *loop, struct io *io)
{
	if (io->is_deferred || io->is_parked)
		return;
	io->is_parked = true;
	TAILQ_INSERT_TAIL(&loop->parked, io, link);
}

void loop_unpark(struct loop *loop)
{
	struct io *io;

	while ((io = TAILQ_FIRST(&loop->parked)))
		loop_defer(loop, io);
}

static int64_t next_due(const struct loop *loop)
{
	int64_t next_us = loop->now_us + 1000000; /* never sleeps longer than a second */

	for (unsigned i = 0; i < loop->n_classes; i++) {
		const struct timer *first = TAILQ_FIRST(&loop->classes[i].timers);

		if (first && first->expires_us < next_us)
			next_us = first->expires_us;
	}
	return next_us;
}

/*
 * How long epoll_wait may take: 0 or for ever, until the alarm goes off.  A time-out of its own
 * would start and stop a timer of the kernel's in every turn, which on a virtual machine leaves
 * it twice.  The alarm is only set when something is due before it; most timers are
 * moved on before they are due.
 */
static int wait_ms(struct loop *loop)
{
	int64_t next_us = next_due(loop);
	struct itimerspec when = {
	    .it_value = {.tv_sec = next_us / 1000000, .tv_nsec = next_us % 1000000 * 1000}};

	if (!TAILQ_EMPTY(&loop->deferred) || next_us <= loop->now_us)
		return 0;
	if (next_us >= loop->alarm_us)
		return -1;
	CHECK(timerfd_settime(loop->alarm.fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
	loop->alarm_us = next_us;
	return -1;
}

void loop_run_timers(struct loop *loop)
{
	for (unsigned i = 0; i < loop->n_classes; i++) {
		struct timer *timer;

		while ((timer = TAILQ_FIRST(&loop->classes[i].timers)) &&
		       timer->expires_us <= loop->now_us) {
			timer_stop(timer);
			timer->fn(timer);
		}
	}
}

/* Only as many as there were at the start, so that handlers that put themselves off for ever do not
 * keep the turn from ending.  Taken from the head one by one, because a handler may undefer any
 * other. */
static void run_deferred(struct loop *loop)
{
	struct io *io;

	for (unsigned n = loop->n_deferred; n > 0 && (io = TAILQ_FIRST(&loop->deferred)); n--) {
		loop_undefer(loop, io);
		io->fn(io, 0);
	}
}

void loop_turn(struct loop *loop)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int n = fast_epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, wait_ms(loop));

	loop->now_us = clock_monotonic_us();
	for (int i = 0; i < n; i++) {
		struct io *io = events[i].data.ptr;

		if (io->fd >= 0)
			io->fn(io, events[i].events);
	}
	run_deferred(loop);
	loop_run_timers(loop);
}

static struct timer_class *class_of(struct loop *loop, unsigned ms)
{
	struct timer_class *best = NULL;

	for (unsigned i = 0; i < loop->n_classes; i++) {
		struct timer_class *at = &loop->classes[i];

		if (at->ms == ms)
			return at;
		if (!best ||
		    (best->ms < ms ? at->ms > best->ms : at->ms >= ms && at->ms < best->ms))
			best = at;
	}
	if (loop->n_classes == LOOP_MAX_CLASSES)
		return best;
	best = &loop->classes[loop->n_classes++];
	best->ms = ms;
	TAILQ_INIT(&best->timers);
	return best;
}

static int64_t expiry(const struct loop *loop, const struct timer_class *timer_class)
{
	return loop->now_us + (int64_t)timer_class->ms * 1000;
}

static void append(struct loop *loop, struct timer *timer, struct timer_class *timer_class)
{
	timer->timer_class = timer_class;
	timer->expires_us = expiry(loop, timer_class);
	TAILQ_INSERT_TAIL(&timer_class->timers, timer, link);
}

void timer_start(struct loop *loop, struct timer *timer, unsigned ms)
{
	struct timer_class *timer_class = timer->timer_class;

	timer_stop(timer);
	if (!timer_class || timer_class->ms != ms)
		timer_class = class_of(loop, ms);
	append(loop, timer, timer_class);
}

void timer_touch(struct loop *loop, struct timer *timer)
{
	struct timer_class *timer_class = timer->timer_class;

	/* Several times in a turn is once. */
	if (!timer_class || timer->expires_us == expiry(loop, timer_class))
		return;
	timer_stop(timer);
	append(loop, timer, timer_class);
}

void timer_stop(struct timer *timer)
{
	if (!timer->timer_class)
		return;
	TAILQ_REMOVE(&timer->timer_class->timers, timer, link);
	timer->timer_class = NULL;
}
