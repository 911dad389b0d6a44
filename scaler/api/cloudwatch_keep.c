/*
 * Metric data and history over a restart: written to the store every few seconds and at the end,
 * read from it at the start.  Control thread only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "scaler/api/cloudwatch_state.h"
#include "scaler/metrics/keep.h"

#define WRITE_EVERY_MS 5000
/* More changes than fit into one go are written second by second. */
#define WRITE_MORE_MS 1000
#define HISTORY_PREFIX "cw/history/"

enum { CHUNKS_MAX = 500 };

/* ---- writing ---- */

static char *history_key(uint64_t number, char key[CLOUDWATCH_KEY_MAX])
{
	snprintf(key, CLOUDWATCH_KEY_MAX, HISTORY_PREFIX "%020" PRIu64, number);
	return key;
}

static void write_change(void *arg, const char *key, json_t *document)
{
	struct store_txn *txn = arg;

	if (document != NULL)
		store_put_frozen(txn, key, document);
	else
		store_delete(txn, key);
}

/* The newest that are not in the store, and the end of those that are gone. */
static void write_history(struct cloudwatch *cw, struct store_txn *txn)
{
	const struct history_item *item = TAILQ_FIRST(&cw->history);
	uint64_t first = item != NULL ? item->number : cw->history_number + 1;
	char key[CLOUDWATCH_KEY_MAX];

	for (uint64_t n = cw->history_first; n < first && n <= cw->history_written; n++)
		store_delete(txn, history_key(n, key));
	TAILQ_FOREACH_REVERSE(item, &cw->history, history_list, link)
	{
		if (item->number <= cw->history_written)
			break;
		store_put_frozen(txn, history_key(item->number, key),
				 cloudwatch_history_document(item));
	}
}

static void write_noted(struct cloudwatch *cw)
{
	const struct history_item *item = TAILQ_FIRST(&cw->history);

	cw->history_written = cw->history_number;
	cw->history_first = item != NULL ? item->number : cw->history_number + 1;
}

/* True: there is more to write. */
static bool write_some(struct cloudwatch *cw, size_t max)
{
	struct store_txn *txn = store_begin(cw->store);
	bool is_more = metrics_changes(cw->metrics, max, write_change, txn), is_good;
	struct err err = {0};

	write_history(cw, txn);
	is_good = store_commit(txn, &err) == STORE_OK;
	metrics_written(cw->metrics, is_good);
	cw->kept_writes += is_good;
	cw->kept_failures += !is_good;
	if (is_good)
		write_noted(cw);
	else
		log_error("metrics-not-kept", "why=\"%s\"", err.text);
	return is_more;
}

void cloudwatch_write(struct cloudwatch *cw, size_t max)
{
	if (cw->is_kept)
		write_some(cw, max);
}

void cloudwatch_write_due(struct cloudwatch *cw, int64_t now_ms)
{
	if (cw->is_kept && now_ms >= cw->write_ms)
		cw->write_ms =
		    now_ms + (write_some(cw, CHUNKS_MAX) ? WRITE_MORE_MS : WRITE_EVERY_MS);
}

/* ---- reading ---- */

struct reading {
	struct cloudwatch *cw;
	size_t n, bad;
};

static bool read_data(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct reading *reading = arg;

	(void)revision;
	reading->n++;
	if (metrics_restore(reading->cw->metrics, key, document, cloudwatch_now_ms(reading->cw)) !=
	    0)
		reading->bad++;
	return true;
}

static bool read_history(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct reading *reading = arg;
	uint64_t number = strtoull(key + strlen(HISTORY_PREFIX), NULL, 10);

	(void)revision;
	if (reading->cw->history_first == 0)
		reading->cw->history_first = number;
	reading->cw->history_written = number;
	if (cloudwatch_history_restore(reading->cw, number, document) != 0)
		reading->bad++;
	return true;
}

void cloudwatch_keep(struct cloudwatch *cw)
{
	struct reading reading = {.cw = cw};

	metrics_track(cw->metrics);
	store_scan(cw->store, METRICS_KEPT_NAMES, read_data, &reading);
	store_scan(cw->store, METRICS_KEPT_DATA, read_data, &reading);
	metrics_restored(cw->metrics);
	store_scan(cw->store, HISTORY_PREFIX, read_history, &reading);
	cw->is_kept = true;
	cw->write_ms = cloudwatch_now_ms(cw) + WRITE_EVERY_MS;
	if (reading.bad > 0)
		log_warn("metrics-not-read", "documents=%zu", reading.bad);
	log_info("metrics-read", "documents=%zu metrics=%zu history=%zu", reading.n,
		 metrics_usage(cw->metrics).metrics, cw->n_history);
}
