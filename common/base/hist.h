/*
 * Log-linear histogram: one writer, readers may run at the same time (relaxed
 * atomics), relative error below 1/HIST_SUB.  Values are unsigned 64-bit (microseconds, bytes).
 */
#ifndef COMMON_BASE_HIST_H
#define COMMON_BASE_HIST_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HIST_SUB_BITS = 5, /* 32 linear buckets in each power of two: error <= 3.2 % */
	HIST_SUB = 1 << HIST_SUB_BITS,
	HIST_VALUE_BITS = 40, /* values below 2^40; larger ones count as the largest */
	HIST_BUCKETS = (HIST_VALUE_BITS - HIST_SUB_BITS + 1) * HIST_SUB,
};

struct hist {
	_Atomic uint64_t buckets[HIST_BUCKETS];
	_Atomic uint64_t count;
	_Atomic uint64_t sum;
	_Atomic uint64_t max; /* exact */
};

void hist_record(struct hist *hist, uint64_t value);

/* What from holds now (struct assignment is not for what another thread writes). */
void hist_copy(struct hist *into, const struct hist *from);

/* Adds from's counts to into's (into must not be written meanwhile). */
void hist_merge(struct hist *into, const struct hist *from);

/* into -= earlier, bucket by bucket: the recordings since the copy earlier was taken.  max stays
 * exact if it is new since then, else it becomes that of the highest bucket left. */
void hist_subtract(struct hist *into, const struct hist *earlier);

/* 0 < quantile <= 1: within 1/HIST_SUB of the recording of that rank, never above max; 0 when
 * empty. */
uint64_t hist_quantile(const struct hist *hist, double quantile);

size_t hist_bucket_of(uint64_t value);
/* The middle of a bucket's range, the value that stands for all in it. */
uint64_t hist_bucket_value(size_t bucket);

#endif
