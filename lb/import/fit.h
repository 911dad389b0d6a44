/*
 * Leaves out of a configuration what our programs refuse, each with a note that
 * says what and why, so that the rest loads.  Pure but for the store in memory
 * that the trying takes.
 */
#ifndef LB_IMPORT_FIT_H
#define LB_IMPORT_FIT_H

#include <jansson.h>

/* New reference: the configuration, or as much of it as loads.  Takes over
 * config. */
json_t *fit_config(json_t *config, json_t *notes);

#endif
