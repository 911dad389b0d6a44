/*
 * Listening sockets on their way from the control thread to a worker, whose table of descriptors
 * is its own: numbers mean nothing there, so they go through a socket (SCM_RIGHTS).
 * handover_send is the control thread's, handover_receive the worker's.
 */
#ifndef LB_PROXY_HANDOVER_H
#define LB_PROXY_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/base/err.h"

/* The kernel passes up to 253 descriptors a message. */
enum { HANDOVER_MAX = 250 };

struct handover {
	int control_fd, worker_fd;
};

MUST_CHECK int handover_init(struct handover *handover, struct err *err);
/* What was sent and not received is closed. */
void handover_fini(struct handover *handover);

/* The descriptors stay the sender's.  -1 with errno: none, or not all, were sent; the receiver
 * knows by their ids which it was to get. */
MUST_CHECK int handover_send(struct handover *handover, const uint64_t *ids, const int *fds,
			     size_t n);
/* The next message: how many ids and descriptors it brought, now the caller's; 0: none is there;
 * -1 with errno: it was lost (out of descriptors). */
int handover_receive(struct handover *handover, uint64_t ids[HANDOVER_MAX], int fds[HANDOVER_MAX]);

/*
 * Gives the calling thread a table of descriptors of its own, with nothing in it but 0, 1, 2 and
 * the n of kept (sorted by the call): a system call of a thread that shares its table counts
 * references in it, twice each time.  The others are closed in the new table only.  Kernels that
 * cannot, and ThreadSanitizer, which takes equal numbers for equal files, leave it shared.
 */
void handover_own_table(int kept[], size_t n);

#endif
