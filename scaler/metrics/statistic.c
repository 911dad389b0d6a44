/*
 * Units, names of statistics, and the arithmetic on sets and distributions.  Pure.
 */
#include "scaler/metrics/statistic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const units[METRIC_UNIT_COUNT] = {
    "None",
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
};

int metric_unit_from_name(const char *name)
{
	for (int i = 0; i < METRIC_UNIT_COUNT; i++)
		if (strcmp(units[i], name) == 0)
			return i;
	return -1;
}

const char *metric_unit_name(int unit)
{
	return unit >= 0 && unit < METRIC_UNIT_COUNT ? units[unit] : NULL;
}

static const char *const simple_names[] = {
    [STATISTIC_SAMPLE_COUNT] = "SampleCount", [STATISTIC_SUM] = "Sum",
    [STATISTIC_AVERAGE] = "Average",          [STATISTIC_MINIMUM] = "Minimum",
    [STATISTIC_MAXIMUM] = "Maximum",
};

static const struct {
	char name[3];
	enum statistic_kind kind;
} trims[] = {
    {"tm", STATISTIC_TRIMMED_MEAN},    {"wm", STATISTIC_WINSORIZED_MEAN},
    {"tc", STATISTIC_TRIMMED_COUNT},   {"ts", STATISTIC_TRIMMED_SUM},
    {"pr", STATISTIC_PERCENTILE_RANK},
};

enum { N_TRIMS = sizeof(trims) / sizeof(trims[0]), NUMBER_MAX = 24 };

/* A plain decimal number (no sign, no exponent) at *text, which is moved behind it. */
static int parse_number(const char **text, double *number)
{
	size_t len = strspn(*text, "0123456789.");
	char copy[NUMBER_MAX + 1], *end;

	if (len == 0 || len > NUMBER_MAX)
		return -1;
	memcpy(copy, *text, len);
	copy[len] = '\0';
	*number = strtod(copy, &end);
	if (*end != '\0' || !isfinite(*number))
		return -1;
	*text += len;
	return 0;
}

/* One bound of "(a:b)": absent, a value or a percentage.  *is_percent: -1 not told yet. */
static int parse_bound(const char **text, double *bound, int *is_percent)
{
	int here;

	if (**text == ':' || **text == ')')
		return 0;
	if (parse_number(text, bound) != 0)
		return -1;
	here = **text == '%';
	*text += here;
	if (*is_percent != -1 && *is_percent != here)
		return -1;
	*is_percent = here;
	return 0;
}

static int parse_bounds(const char *text, struct statistic *statistic)
{
	int is_percent = -1;
	double low = 0, high = INFINITY;

	if (*text++ != '(' || parse_bound(&text, &low, &is_percent) != 0 || *text++ != ':' ||
	    parse_bound(&text, &high, &is_percent) != 0 || strcmp(text, ")") != 0 ||
	    is_percent == -1)
		return -1;
	if (is_percent == 1 && isinf(high))
		high = 100;
	if (low >= high || (is_percent == 1 && high > 100))
		return -1;
	statistic->is_percent = is_percent == 1;
	statistic->low = low;
	statistic->high = high;
	return 0;
}

/* The digits of "p99.9" or "tm90". */
static int parse_share(const char *text, struct statistic *statistic)
{
	if (parse_number(&text, &statistic->high) != 0 || *text != '\0' || statistic->high > 100)
		return -1;
	statistic->is_percent = true;
	statistic->low = 0;
	return 0;
}

static int parse_trim(const char *text, struct statistic *statistic)
{
	for (int i = 0; i < N_TRIMS; i++) {
		if (strncasecmp(text, trims[i].name, 2) != 0)
			continue;
		statistic->kind = trims[i].kind;
		if (text[2] == '(')
			return parse_bounds(text + 2, statistic) == 0 &&
				       !(statistic->kind == STATISTIC_PERCENTILE_RANK &&
					 statistic->is_percent)
				   ? 0
				   : -1;
		return statistic->kind == STATISTIC_PERCENTILE_RANK
			   ? -1
			   : parse_share(text + 2, statistic);
	}
	return -1;
}

int statistic_parse(const char *text, struct statistic *statistic)
{
	*statistic = (struct statistic){0};
	for (int i = STATISTIC_SAMPLE_COUNT; i <= STATISTIC_MAXIMUM; i++) {
		statistic->kind = (enum statistic_kind)i;
		if (strcmp(text, simple_names[i]) == 0)
			return 0;
	}
	if (strcasecmp(text, "iqm") == 0) {
		*statistic = (struct statistic){STATISTIC_TRIMMED_MEAN, true, 25, 75};
		return 0;
	}
	if (text[0] == 'p' && text[1] != 'r') {
		statistic->kind = STATISTIC_PERCENTILE;
		return parse_share(text + 1, statistic);
	}
	return parse_trim(text, statistic);
}

bool statistic_is_simple(const struct statistic *statistic)
{
	return statistic->kind <= STATISTIC_MAXIMUM;
}

void stat_set_merge(struct stat_set *into, const struct stat_set *from)
{
	if (from->count <= 0)
		return;
	if (into->count <= 0) {
		*into = *from;
		return;
	}
	into->count += from->count;
	into->sum += from->sum;
	if (from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
}

/* ---- distributions ---- */

#define BUCKET_RATIO_LOG 0.0198026272961797 /* ln 1.02: the middle is within 1 % of both ends */

void dist_fini(struct dist *dist)
{
	free(dist->entries);
	*dist = (struct dist){0};
}

static int compare_entries(const void *a, const void *b)
{
	const struct dist_entry *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

/* Sorts and puts equal values together. */
static void normalise(struct dist *dist)
{
	uint32_t n = 0;

	if (dist->n_sorted == dist->n)
		return;
	qsort(dist->entries, dist->n, sizeof(dist->entries[0]), compare_entries);
	for (uint32_t i = 1; i < dist->n; i++) {
		if (dist->entries[i].value == dist->entries[n].value)
			dist->entries[n].count += dist->entries[i].count;
		else
			dist->entries[++n] = dist->entries[i];
	}
	dist->n = dist->n_sorted = n + 1;
}

static double bucket_value(double value)
{
	return value > 0 ? exp((floor(log(value) / BUCKET_RATIO_LOG) + 0.5) * BUCKET_RATIO_LOG) : 0;
}

static void round_to_buckets(struct dist *dist)
{
	if (!dist->is_bucketed) {
		for (uint32_t i = 0; i < dist->n; i++)
			dist->entries[i].value = bucket_value(dist->entries[i].value);
		dist->is_bucketed = true;
		dist->n_sorted = 0;
	}
	normalise(dist);
}

void dist_compact(struct dist *dist)
{
	struct dist_entry *smaller;

	round_to_buckets(dist);
	if (dist->n == 0 || dist->n == dist->cap)
		return;
	smaller = realloc(dist->entries, dist->n * sizeof(*smaller));
	if (smaller == NULL)
		return;
	dist->entries = smaller;
	dist->cap = dist->n;
}

/* Room for one more entry. */
static int make_room(struct dist *dist)
{
	struct dist_entry *larger;
	uint32_t cap;

	if (dist->n < dist->cap)
		return 0;
	normalise(dist);
	if (dist->n > DIST_EXACT_MAX)
		round_to_buckets(dist);
	/* At least a quarter free again, so that sorting stays rare. */
	if (dist->n + dist->n / 4 < dist->cap)
		return 0;
	cap = dist->cap == 0 ? 4 : dist->cap * 2;
	larger = realloc(dist->entries, cap * sizeof(*larger));
	if (larger == NULL)
		return -1;
	dist->entries = larger;
	dist->cap = cap;
	return 0;
}

int dist_add(struct dist *dist, double value, double count)
{
	if (value < 0)
		dist->is_unknown = true;
	if (dist->is_unknown || count <= 0)
		return 0;
	if (make_room(dist) != 0)
		return -1;
	if (dist->is_bucketed)
		value = bucket_value(value);
	dist->entries[dist->n++] = (struct dist_entry){value, count};
	if (dist->n == 1)
		dist->n_sorted = 1;
	return 0;
}

int dist_merge(struct dist *into, const struct dist *from)
{
	if (from->is_unknown)
		into->is_unknown = true;
	for (uint32_t i = 0; i < from->n; i++)
		if (dist_add(into, from->entries[i].value, from->entries[i].count) != 0)
			return -1;
	return 0;
}

/* ---- the values of statistics ---- */

/* What lies inside the bounds, and the values that stand at them. */
struct cut {
	double count, sum, low_value, high_value;
};

static double overlap(double from, double to, double low, double high)
{
	double width = fmin(to, high) - fmax(from, low);

	return width > 0 ? width : 0;
}

static double total_count(const struct dist *dist)
{
	double total = 0;

	for (uint32_t i = 0; i < dist->n; i++)
		total += dist->entries[i].count;
	return total;
}

/* Nearest rank: the first value at which `share` percent of the samples are reached. */
static double value_at(const struct dist *dist, double share)
{
	double total = total_count(dist), rank = share / 100 * total, seen = 0;

	for (uint32_t i = 0; i < dist->n; i++) {
		seen += dist->entries[i].count;
		if (seen >= rank - total * 1e-12)
			return dist->entries[i].value;
	}
	return dist->entries[dist->n - 1].value;
}

/* Bounds are percentages: samples are cut through where a bound falls into one value's. */
static struct cut cut_by_percent(const struct dist *dist, double low, double high)
{
	double total = total_count(dist), seen = 0;
	struct cut cut = {.low_value = value_at(dist, low), .high_value = value_at(dist, high)};

	for (uint32_t i = 0; i < dist->n; i++) {
		const struct dist_entry *entry = &dist->entries[i];
		double inside =
		    overlap(seen, seen + entry->count, low / 100 * total, high / 100 * total);

		cut.count += inside;
		cut.sum += inside * entry->value;
		seen += entry->count;
	}
	return cut;
}

/* Bounds are values: the lower one is outside, the upper one inside (AWS: TM(150:1000)). */
static struct cut cut_by_value(const struct dist *dist, double low, double high)
{
	struct cut cut = {.low_value = low, .high_value = high};

	for (uint32_t i = 0; i < dist->n; i++) {
		const struct dist_entry *entry = &dist->entries[i];

		if (entry->value > high || (entry->value <= low && low > 0))
			continue;
		cut.count += entry->count;
		cut.sum += entry->count * entry->value;
	}
	return cut;
}

/* The samples outside count as if they stood at the bounds. */
static double winsorized_mean(const struct statistic *statistic, const struct dist *dist,
			      const struct cut *cut)
{
	double total = total_count(dist), sum = 0;

	if (statistic->is_percent)
		return (cut->sum + cut->low_value * total * statistic->low / 100 +
			cut->high_value * total * (100 - statistic->high) / 100) /
		       total;
	for (uint32_t i = 0; i < dist->n; i++)
		sum += dist->entries[i].count *
		       fmin(fmax(dist->entries[i].value, cut->low_value), cut->high_value);
	return sum / total;
}

static bool extended_value(const struct statistic *statistic, struct dist *dist, double *value)
{
	struct cut cut;

	normalise(dist);
	if (statistic->kind == STATISTIC_PERCENTILE) {
		*value = value_at(dist, statistic->high);
		return true;
	}
	cut = statistic->is_percent ? cut_by_percent(dist, statistic->low, statistic->high)
				    : cut_by_value(dist, statistic->low, statistic->high);
	if (statistic->kind == STATISTIC_TRIMMED_COUNT)
		*value = cut.count;
	else if (statistic->kind == STATISTIC_TRIMMED_SUM)
		*value = cut.sum;
	else if (statistic->kind == STATISTIC_PERCENTILE_RANK)
		*value = cut.count / total_count(dist) * 100;
	else if (statistic->kind == STATISTIC_WINSORIZED_MEAN)
		*value = winsorized_mean(statistic, dist, &cut);
	else if (cut.count > 0)
		*value = cut.sum / cut.count;
	else
		return false;
	return true;
}

/* Buckets' middles may lie outside of what was sent. */
static double within(double value, const struct stat_set *set)
{
	return fmin(fmax(value, set->min), set->max);
}

bool statistic_value(const struct statistic *statistic, const struct stat_set *set,
		     struct dist *dist, double *value)
{
	if (set->count <= 0)
		return false;
	switch (statistic->kind) {
	case STATISTIC_SAMPLE_COUNT:
		*value = set->count;
		return true;
	case STATISTIC_SUM:
		*value = set->sum;
		return true;
	case STATISTIC_AVERAGE:
		*value = set->sum / set->count;
		return true;
	case STATISTIC_MINIMUM:
		*value = set->min;
		return true;
	case STATISTIC_MAXIMUM:
		*value = set->max;
		return true;
	case STATISTIC_PERCENTILE:
	case STATISTIC_TRIMMED_MEAN:
	case STATISTIC_WINSORIZED_MEAN:
	case STATISTIC_TRIMMED_COUNT:
	case STATISTIC_TRIMMED_SUM:
	case STATISTIC_PERCENTILE_RANK:
		break;
	}
	if (dist == NULL || dist->is_unknown || dist->n == 0 ||
	    !extended_value(statistic, dist, value))
		return false;
	if (statistic->kind <= STATISTIC_WINSORIZED_MEAN)
		*value = within(*value, set);
	return true;
}
