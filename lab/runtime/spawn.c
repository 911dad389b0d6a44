/* See spawn.h. */
#include "lab/runtime/spawn.h"

#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

int spawn_die_with(pid_t lab)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
		return -1;
	return getppid() == lab ? 0 : -1;
}

void spawn_clean(int first)
{
	enum { FALLBACK_MAX = 4096 };
	sigset_t none;

	if (close_range((unsigned)first, ~0U, 0) != 0)
		for (int fd = first; fd < FALLBACK_MAX; fd++)
			close(fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
}
