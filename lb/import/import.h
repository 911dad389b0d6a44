/*
 * The subcommands "import" and "diff" of albatross-lb: one-shot programs of one
 * thread.  They change nothing but the file that they write.
 */
#ifndef LB_IMPORT_IMPORT_H
#define LB_IMPORT_IMPORT_H

#include <stdbool.h>

/* Runs argv[1] if it is a subcommand: true, and *status is the exit status. */
bool import_command(int argc, char **argv, int *status);

#endif
