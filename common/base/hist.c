/* See hist.h.  Relaxed atomics throughout: a reader may see a recording in one member and not yet
 * in another, which costs it one count of precision and nothing else. */
#include "common/base/hist.h"

#include <math.h>

static uint64_t load(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void store(_Atomic uint64_t *value, uint64_t now)
{
	atomic_store_explicit(value, now, memory_order_relaxed);
}

/* Not a locked addition: there is one writer. */
static void add(_Atomic uint64_t *value, uint64_t more)
{
	store(value, load(value) + more);
}

/* Never below zero, should a copy have been taken in the middle of a recording. */
static void take_off(_Atomic uint64_t *value, uint64_t less)
{
	uint64_t now = load(value);

	store(value, now > less ? now - less : 0);
}

size_t hist_bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < HIST_SUB)
		return (size_t)value;
	if (value >= UINT64_C(1) << HIST_VALUE_BITS)
		return HIST_BUCKETS - 1;
	shift = 63 - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
	/* value >> shift is in HIST_SUB..2 * HIST_SUB - 1: the row's index and the place in it. */
	return ((size_t)shift << HIST_SUB_BITS) + (size_t)(value >> shift);
}

uint64_t hist_bucket_value(size_t bucket)
{
	unsigned shift;
	uint64_t low;

	if (bucket < HIST_SUB)
		return bucket;
	shift = (unsigned)(bucket >> HIST_SUB_BITS) - 1;
	low = (uint64_t)(HIST_SUB + (bucket & (HIST_SUB - 1))) << shift;
	return low + ((UINT64_C(1) << shift) >> 1);
}

void hist_record(struct hist *hist, uint64_t value)
{
	add(&hist->buckets[hist_bucket_of(value)], 1);
	add(&hist->count, 1);
	add(&hist->sum, value);
	if (value > load(&hist->max))
		store(&hist->max, value);
}

void hist_copy(struct hist *into, const struct hist *from)
{
	for (size_t i = 0; i < HIST_BUCKETS; i++)
		store(&into->buckets[i], load(&from->buckets[i]));
	store(&into->count, load(&from->count));
	store(&into->sum, load(&from->sum));
	store(&into->max, load(&from->max));
}

void hist_merge(struct hist *into, const struct hist *from)
{
	for (size_t i = 0; i < HIST_BUCKETS; i++)
		add(&into->buckets[i], load(&from->buckets[i]));
	add(&into->count, load(&from->count));
	add(&into->sum, load(&from->sum));
	if (load(&from->max) > load(&into->max))
		store(&into->max, load(&from->max));
}

void hist_subtract(struct hist *into, const struct hist *earlier)
{
	uint64_t max = 0;

	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		take_off(&into->buckets[i], load(&earlier->buckets[i]));
		if (load(&into->buckets[i]) > 0)
			max = hist_bucket_value(i);
	}
	take_off(&into->count, load(&earlier->count));
	take_off(&into->sum, load(&earlier->sum));
	/* Larger than any earlier one: then it came since, and is exact.  Else it may be old, but
	 * still bounds what came since. */
	if (max > load(&into->max) || load(&into->max) > load(&earlier->max))
		max = max == 0 ? 0 : load(&into->max);
	store(&into->max, max);
}

uint64_t hist_quantile(const struct hist *hist, double quantile)
{
	uint64_t total = 0, seen = 0, rank, value;
	size_t i;

	/* Not hist->count, which may be a recording ahead of the buckets. */
	for (i = 0; i < HIST_BUCKETS; i++)
		total += load(&hist->buckets[i]);
	if (total == 0)
		return 0;
	rank = (uint64_t)ceil(quantile * (double)total);
	for (i = 0; i < HIST_BUCKETS - 1; i++) {
		seen += load(&hist->buckets[i]);
		if (seen >= rank && seen > 0)
			break;
	}
	value = hist_bucket_value(i);
	return value < load(&hist->max) ? value : load(&hist->max);
}
