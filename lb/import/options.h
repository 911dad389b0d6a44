/*
 * The command lines of "import" and "diff".
 */
#ifndef LB_IMPORT_OPTIONS_H
#define LB_IMPORT_OPTIONS_H

#include "lb/import/remote.h"

enum { IMPORT_NAMES_MAX = 64 };

struct import_options {
	bool is_diff; /* set by the caller: which of the two */

	/* Filled in; all is borrowed from argv and the environment. */
	struct remote_config remote;
	const char *balancers[IMPORT_NAMES_MAX];
	const char *groups[IMPORT_NAMES_MAX]; /* Auto Scaling groups */
	size_t n_balancers, n_groups;
	const char *file; /* -o of import (NULL = stdout), -c of diff */
	bool no_scaling;
	bool is_verbose;
};

enum import_options_result {
	IMPORT_OPTIONS_RUN,
	IMPORT_OPTIONS_DONE,  /* help is printed */
	IMPORT_OPTIONS_WRONG, /* why is on stderr */
};

/* argv[0] is the subcommand's name. */
MUST_CHECK enum import_options_result import_options_parse(int argc, char **argv,
							   struct import_options *options);

#endif
