/*
 * Workers as the control thread's side of lb/proxy uses them: start, mail, stop.
 */
#ifndef LB_PROXY_WORKER_MAIN_H
#define LB_PROXY_WORKER_MAIN_H

#include "lb/proxy/worker.h"

enum mail_kind { MAIL_INSTALL, MAIL_CUT, MAIL_DRAIN, MAIL_STOP };

struct mail_socket {
	uint64_t id;
	bool is_new; /* it comes, or has come, through the handover */
	struct listener *listener;
};

/* malloc'ed by the sender, freed by the worker. */
struct mail {
	struct mail *next;
	enum mail_kind kind;
	struct snapshot *snapshot; /* INSTALL: a reference */
	struct target *target;     /* CUT: a reference */
	size_t n_sockets;
	struct mail_socket sockets[];
};

/* Without a thread: worker_start and worker_join do both. */
MUST_CHECK struct worker *worker_new(const struct proxy_config *config, unsigned lane,
				     struct err *err);
void worker_free(struct worker *worker);

/* Starts the thread. */
MUST_CHECK struct worker *worker_start(const struct proxy_config *config, unsigned lane,
				       struct err *err);
void worker_send(struct worker *worker, struct mail *mail);
/* After MAIL_STOP was sent: waits for the thread, frees. */
void worker_join(struct worker *worker);

#endif
