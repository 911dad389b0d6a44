/*
 * A worker's event loop: epoll, timers, and work put off to the next turn.
 *
 * It is epoll itself and not libevent: every socket is registered once, edge-triggered, for
 * both directions, and never touched again before close(2); timers are lists by
 * duration, so moving one is relinking it; and there is nothing else.  What libevent adds (a
 * heap of timers, change lists, back ends) would only stand between.
 *
 * One thread owns a loop.  Only loop_wake() may be called from another.
 */
#ifndef LB_PROXY_LOOP_H
#define LB_PROXY_LOOP_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/base/err.h"

struct io;
/* events: EPOLL*; 0 when it was put off by loop_defer. */
typedef void (*io_fn)(struct io *io, uint32_t events);

/* What a socket's owner embeds.  fd < 0: closed; events still queued for it are dropped, so the
 * memory must live until the turn ends. */
struct io {
	int fd;
	bool is_deferred, is_parked;
	io_fn fn;
	TAILQ_ENTRY(io) link;
};
TAILQ_HEAD(io_list, io);

struct timer;
typedef void (*timer_fn)(struct timer *timer);

struct timer {
	struct timer_class *timer_class; /* NULL = not running */
	int64_t expires_us;
	timer_fn fn;
	TAILQ_ENTRY(timer) link;
};
TAILQ_HEAD(timer_list, timer);

enum { LOOP_MAX_CLASSES = 32 };

struct timer_class {
	unsigned ms;
	struct timer_list timers; /* in order of expiry */
};

struct loop {
	int epoll_fd;
	int64_t now_us; /* monotonic; read once a turn */
	struct io_list deferred, parked;
	unsigned n_deferred;
	unsigned n_classes;
	struct timer_class classes[LOOP_MAX_CLASSES];
	struct io wake;   /* eventfd */
	struct io alarm;  /* timerfd */
	int64_t alarm_us; /* when it goes off; INT64_MAX = not set */
};

/* on_wake: called in the loop after loop_wake. */
MUST_CHECK int loop_init(struct loop *loop, io_fn on_wake, struct err *err);
void loop_fini(struct loop *loop);

/* Runs the timers that are due at now_us; a turn ends so. */
void loop_run_timers(struct loop *loop);
/* Waits once, runs what is due. */
void loop_turn(struct loop *loop);
/* Any thread. */
void loop_wake(struct loop *loop);

/* Edge-triggered, both directions.  -1: errno. */
MUST_CHECK int loop_add(struct loop *loop, struct io *io);
/* Level-triggered, reading only: for listening sockets. */
MUST_CHECK int loop_add_listener(struct loop *loop, struct io *io);
/* Takes a socket out without closing it. */
void loop_remove(struct loop *loop, struct io *io);

/* io->fn(io, 0) in the next turn, which will not wait.  Twice is once. */
void loop_defer(struct loop *loop, struct io *io);
/* Neither deferred nor parked any more. */
void loop_undefer(struct loop *loop, struct io *io);
/* Until loop_unpark, which defers all that are parked. */
void loop_park(struct loop *loop, struct io *io);
void loop_unpark(struct loop *loop);

/* (Re)starts; timer->fn must be set.  With more durations than classes the nearest longer one, or
 * the longest, is taken. */
void timer_start(struct loop *loop, struct timer *timer, unsigned ms);
/* Starts a running timer's time anew. */
void timer_touch(struct loop *loop, struct timer *timer);
void timer_stop(struct timer *timer);

#endif
