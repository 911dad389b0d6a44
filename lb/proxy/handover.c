/* Descriptors for workers: see handover.h. */
#include "lb/proxy/handover.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"

int handover_init(struct handover *handover, struct err *err)
{
	int ends[2];

	*handover = (struct handover){-1, -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
		err_set(err, errno, "a worker's socket pair: %s", strerror(errno));
		return -1;
	}
	*handover = (struct handover){ends[0], ends[1]};
	return 0;
}

void handover_fini(struct handover *handover)
{
	if (handover->control_fd >= 0)
		close(handover->control_fd);
	if (handover->worker_fd >= 0)
		close(handover->worker_fd);
	*handover = (struct handover){-1, -1};
}

/* Room for a message's descriptors, aligned as the macros want it. */
union ancillary {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(HANDOVER_MAX * sizeof(int))];
};

static int send_some(int fd, const uint64_t *ids, const int *fds, size_t n)
{
	union ancillary ancillary;
	struct iovec payload = {(void *)(uintptr_t)ids, n * sizeof(*ids)};
	struct msghdr message = {.msg_iov = &payload,
				 .msg_iovlen = 1,
				 .msg_control = ancillary.bytes,
				 .msg_controllen = CMSG_SPACE(n * sizeof(int))};
	struct cmsghdr *head;

	memset(&ancillary, 0, sizeof(ancillary));
	head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(head), fds, n * sizeof(int));
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int handover_send(struct handover *handover, const uint64_t *ids, const int *fds, size_t n)
{
	for (size_t sent = 0; sent < n; sent += HANDOVER_MAX) {
		size_t some = n - sent < HANDOVER_MAX ? n - sent : HANDOVER_MAX;

		if (send_some(handover->control_fd, ids + sent, fds + sent, some) < 0)
			return -1;
	}
	return 0;
}

int handover_receive(struct handover *handover, uint64_t ids[HANDOVER_MAX], int fds[HANDOVER_MAX])
{
	union ancillary ancillary;
	struct iovec payload = {ids, HANDOVER_MAX * sizeof(*ids)};
	struct msghdr message = {.msg_iov = &payload,
				 .msg_iovlen = 1,
				 .msg_control = ancillary.bytes,
				 .msg_controllen = sizeof(ancillary.bytes)};
	ssize_t n = recvmsg(handover->worker_fd, &message, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head;
	size_t got;

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	head = CMSG_FIRSTHDR(&message);
	got = head ? (head->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
	if (head)
		memcpy(fds, CMSG_DATA(head), got * sizeof(int));
	if (got == (size_t)n / sizeof(*ids))
		return (int)got;
	while (got > 0) /* the table was full half-way: whose they are is not worth telling */
		close(fds[--got]);
	errno = EMFILE;
	return -1;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void handover_own_table(int kept[], size_t n)
{
#if defined(__SANITIZE_THREAD__)
	(void)kept;
	(void)n;
	(void)by_number;
#else
	unsigned from = STDERR_FILENO + 1;

	if (unshare(CLONE_FILES) < 0) {
		log_debug("descriptors-shared", "why=\"%s\"", strerror(errno));
		return;
	}
	qsort(kept, n, sizeof(*kept), by_number);
	for (size_t i = 0; i < n; i++) {
		unsigned fd = (unsigned)kept[i];

		if (kept[i] < 0)
			continue;

		if (fd > from)
			close_range(from, fd - 1, 0);
		if (fd >= from)
			from = fd + 1;
	}
	close_range(from, ~0U, 0);
#endif
}
