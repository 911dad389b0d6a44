/*
 * The calls of the request path without the C library's: in a process with threads each of those
 * is a cancellation point, with two locked instructions around the call (a hundredth of what a
 * request costs).  Nobody cancels a worker.  Results and errno are the library's.
 */
#ifndef LB_PROXY_SYSCALLS_H
#define LB_PROXY_SYSCALLS_H

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* Sanitizers want to see what the calls read and write. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(SYS_epoll_wait)
#define fast_recv recv
#define fast_send send
#define fast_epoll_wait epoll_wait
#else

static inline ssize_t fast_recv(int fd, void *bytes, size_t len, int flags)
{
	return syscall(SYS_recvfrom, fd, bytes, len, flags, NULL, NULL);
}

static inline ssize_t fast_send(int fd, const void *bytes, size_t len, int flags)
{
	return syscall(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}

static inline int fast_epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms)
{
	return (int)syscall(SYS_epoll_wait, fd, events, n, timeout_ms);
}

#endif

#endif
