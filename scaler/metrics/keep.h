/*
 * Metrics as documents, so that a store can keep them over a restart: one document names a metric
 * ("cw/metric/ID"), one holds a chunk of 60 slots ("cw/data/LEVEL/START/ID/UNIT", base64 of the
 * slots in this machine's byte order).  Only what has changed is given out.  At most
 * METRICS_KEPT_MAX bytes are kept, the oldest seconds go first; distributions of more than
 * METRICS_KEPT_ENTRIES_MAX values a chunk are not kept (their percentiles are lost at a restart).
 * Pure: who writes is the caller.
 */
#ifndef SCALER_METRICS_KEEP_H
#define SCALER_METRICS_KEEP_H

#include <jansson.h>

#include "scaler/metrics/series.h"

enum { METRICS_KEPT_MAX = 48 << 20, METRICS_KEPT_ENTRIES_MAX = 1000 };

#define METRICS_KEPT_NAMES "cw/metric/"
#define METRICS_KEPT_DATA "cw/data/"

/* From now on changes are noted.  Before anything is put; restore after it. */
void metrics_track(struct metrics *metrics);

/* A document of one of the two prefixes: all names first, each prefix in the order of keys.  -1:
 * it is not one of ours, or there is no memory. */
MUST_CHECK int metrics_restore(struct metrics *metrics, const char *key, const json_t *document,
			       int64_t now_ms);
/* All documents have been given: metrics without data go. */
void metrics_restored(struct metrics *metrics);

/* document: taken; NULL = the key is to be deleted. */
typedef void (*metrics_write_fn)(void *arg, const char *key, json_t *document);
/* Gives at most about max changes to fn.  True: there are more. */
bool metrics_changes(struct metrics *metrics, size_t max, metrics_write_fn fn, void *arg);
/* Were they written?  If not, all will be given again. */
void metrics_written(struct metrics *metrics, bool is_good);

#endif
