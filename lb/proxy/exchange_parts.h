/*
 * What the files of the exchange share among themselves: exchange.c (its life and its states,
 * bodies, our own answers), exchange_route.c (rule and action), exchange_target.c (which target,
 * and what is tried after it), exchange_hold.c (waiting for a target), exchange_log.c (log and
 * counts).  Nobody else includes this.  Worker's thread.
 */
#ifndef LB_PROXY_EXCHANGE_PARTS_H
#define LB_PROXY_EXCHANGE_PARTS_H

#include "lb/observe/counters.h"
#include "lb/proxy/exchange.h"
#include "lb/proxy/worker.h"

/* exchange.c */

/* The only writer of ex->state. */
void exchange_set_state(struct exchange *ex, enum exchange_state next);
/* The upstream has room for more of the request. */
void exchange_await_body(struct exchange *ex);
/* Each ends the exchange: with this answer, or by breaking off what is half sent. */
void exchange_generate(struct exchange *ex, struct generated *generated);
void exchange_answer_error(struct exchange *ex, unsigned status);

/* exchange_target.c */

/* Opens a connection to the next target that takes one; answers 502 or 503 when none does. */
void exchange_forward(struct exchange *ex);
/* Lets go of upstream and target, where there are any. */
void exchange_release_upstream(struct exchange *ex, bool is_reusable);

/* The connection to the target broke, or it did not answer in time. */
void exchange_note_break(struct exchange *ex);

/* exchange_hold.c */

/* True: it waits now. */
bool exchange_hold(struct exchange *ex);
void exchange_leave_hold(struct exchange *ex);

/* exchange_log.c */

void exchange_write_log(struct exchange *ex);
void exchange_count_bytes(const struct exchange *ex);
void exchange_count_generated(const struct exchange *ex);
void exchange_count_desync(const struct exchange *ex);

static inline struct lb_counters *exchange_lb_counters(const struct exchange *ex)
{
	return counters_lb(ex->worker->config->counters, ex->worker->lane,
			   ex->listener->load_balancer->slot);
}

static inline struct group_counters *exchange_group_counters(const struct exchange *ex)
{
	return counters_group(ex->worker->config->counters, ex->worker->lane, ex->group->slot);
}

static inline void exchange_count(const struct exchange *ex, enum lb_counter counter, uint64_t n)
{
	counter_add(&exchange_lb_counters(ex)->values[counter], n);
}

static inline bool exchange_is_ipv6(const struct exchange *ex)
{
	return ex->client_sockaddr->sa_family == AF_INET6;
}

#endif
