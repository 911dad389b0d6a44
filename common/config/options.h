/*
 * The command line that all three programs share.  Start of the program only.
 */
#ifndef COMMON_CONFIG_OPTIONS_H
#define COMMON_CONFIG_OPTIONS_H

#include <stdbool.h>

#include "common/base/check.h"
#include "common/base/err.h"

#define ALBATROSS_VERSION "0.1.0"

struct config_options {
	/* Set by the caller. */
	const char *program; /* "albatross-lb" */
	const char *summary; /* one line for --help */
	bool takes_plain_file;

	/* Filled in.  file borrows from argv. */
	const char *file;
	bool is_check_only; /* -t: check the file and exit */
	bool is_verbose;    /* -v: debug log */
};

enum config_options_result {
	CONFIG_OPTIONS_RUN,
	CONFIG_OPTIONS_DONE,  /* help or version is printed: exit 0 */
	CONFIG_OPTIONS_WRONG, /* why is on stderr: exit 2 */
};

/* -c FILE (or FILE alone where allowed; one is required), -t, -v, --help, --version. */
MUST_CHECK enum config_options_result config_options_parse(int argc, char **argv,
							   struct config_options *options);

/*
 * Ends a check (-t), or a start that the file forbids: says "FILE: good" on stdout when err->code
 * and text are empty, why not on stderr otherwise.  Returns the exit status, 0 or 1.
 */
int config_options_verdict(const struct config_options *options, const struct err *err);

#endif
