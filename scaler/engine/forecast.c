/* See forecast.h. */
#include <math.h>
#include <string.h>

#include "scaler/engine/forecast.h"

enum {
	DAY = 24,
	WEEK = 7 * DAY,
	CURVE_LEAST = 3 * DAY,
	CURVE_WEEKLY = 8 * DAY, /* from so much on the curve has a weekly part */
	DAILY_WAVES = 4,
	WEEKLY_WAVES = 3,
	TERMS = 2 + 2 * (DAILY_WAVES + WEEKLY_WAVES),
	TESTS_MAX = 7,   /* days that are forecast again from those before */
	TESTS_ERROR = 2, /* of which the error is */
	SHORT_TEST = 6,  /* hours that tell an error at all */
	RELATION_LEAST = 6,
	NEAR = 3, /* slots that a gap in a profile is bridged over */
	CAPACITY_MAX = 1000000,
};

#define NEWEST_WEEK 0.6 /* weight of the newest week against those before */
#define LEVEL_MIN 0.5   /* the last day against the profile */
#define LEVEL_MAX 2.0
#define P90 1.28 /* of a normal distribution, in standard deviations */

const char *forecast_model_name(enum forecast_model model)
{
	static const char *const names[] = {
	    [FORECAST_HOUR_OF_DAY] = "hour of day",
	    [FORECAST_HOUR_OF_WEEK] = "hour of week",
	    [FORECAST_CURVE] = "curve",
	    [FORECAST_MODELS] = "none",
	};

	return names[model];
}

/* The past up to n; what is forecast are n, n + 1, ... */
struct past {
	const double *load;
	size_t n;
	int64_t first_hour;
};

/* What a model has learnt. */
struct fit {
	enum forecast_model model;
	size_t n;
	int64_t first_hour;
	size_t slots; /* of the profile */
	double profile[WEEK];
	double level; /* the last day against the profile */
	size_t terms;
	double weights[TERMS];
};

static size_t least(enum forecast_model model)
{
	static const size_t hours[] = {FORECAST_LEAST, WEEK, CURVE_LEAST};

	return hours[model];
}

static size_t count_known(const double load[], size_t n)
{
	size_t known = 0;

	for (size_t i = 0; i < n; i++)
		known += !isnan(load[i]);
	return known;
}

/* ---- profiles ---- */

struct mean {
	double sum;
	int n;
};

static void mean_add(struct mean *mean, double value)
{
	mean->sum += value;
	mean->n++;
}

static double mean_of(const struct mean *mean)
{
	return mean->n > 0 ? mean->sum / mean->n : NAN;
}

static size_t slot_of(int64_t hour, size_t slots)
{
	return (size_t)(hour % (int64_t)slots);
}

/* Means of each slot, the newest week's weighed against those before. */
static void fill_profile(const struct past *past, size_t slots, double profile[])
{
	struct mean newest[WEEK] = {{0, 0}}, older[WEEK] = {{0, 0}};

	for (size_t i = 0; i < past->n; i++) {
		size_t slot = slot_of(past->first_hour + (int64_t)i, slots);

		if (!isnan(past->load[i]))
			mean_add(i + WEEK >= past->n ? &newest[slot] : &older[slot], past->load[i]);
	}
	for (size_t i = 0; i < slots; i++) {
		double new = mean_of(&newest[i]), old = mean_of(&older[i]);

		if (isnan(old))
			profile[i] = new;
		else
			profile[i] = isnan(new) ? old : NEWEST_WEEK * new + (1 - NEWEST_WEEK) * old;
	}
}

/* The mean of the nearest known slots on both sides; NAN: they are too far. */
static double between(const double profile[], size_t slots, size_t slot)
{
	double before = NAN, after = NAN;

	for (size_t i = 1; i <= NEAR && isnan(before); i++)
		before = profile[(slot + slots - i) % slots];
	for (size_t i = 1; i <= NEAR && isnan(after); i++)
		after = profile[(slot + i) % slots];
	return (before + after) / 2;
}

/* Slots that never had a value are what is around them, or what their hour of day is, or the mean
 * of all. */
static void fill_gaps(const struct past *past, struct fit *fit)
{
	struct mean all = {0, 0};
	double days[DAY], known[WEEK];

	fill_profile(past, DAY, days);
	for (size_t i = 0; i < DAY; i++) {
		if (!isnan(days[i]))
			mean_add(&all, days[i]);
	}
	memcpy(known, fit->profile, sizeof known);
	for (size_t i = 0; i < fit->slots; i++) {
		if (isnan(fit->profile[i]))
			fit->profile[i] = between(known, fit->slots, i);
		if (isnan(fit->profile[i]))
			fit->profile[i] = days[i % DAY];
		if (isnan(fit->profile[i]))
			fit->profile[i] = all.n > 0 ? mean_of(&all) : 0;
	}
}

/* The profile of the days before the last one, and how that one compares with it. */
static void fit_profile(const struct past *past, struct fit *fit)
{
	struct past before = *past;
	double sum = 0, expected = 0;

	if (past->n >= DAY && count_known(past->load, past->n - DAY) >= least(fit->model))
		before.n = past->n - DAY;
	fit->slots = fit->model == FORECAST_HOUR_OF_WEEK ? WEEK : DAY;
	fill_profile(&before, fit->slots, fit->profile);
	fill_gaps(&before, fit);
	for (size_t i = before.n; i < past->n; i++) {
		if (isnan(past->load[i]))
			continue;
		sum += past->load[i];
		expected += fit->profile[slot_of(past->first_hour + (int64_t)i, fit->slots)];
	}
	fit->level = expected > 0 ? fmin(fmax(sum / expected, LEVEL_MIN), LEVEL_MAX) : 1;
}

/* ---- the curve ---- */

/* The curve's terms at an hour: 1, trend, waves of a day and of a week. */
static void fill_terms(const struct fit *fit, size_t i, double terms[TERMS])
{
	double hour = (double)(fit->first_hour + (int64_t)i);
	size_t n = 0;

	terms[n++] = 1;
	terms[n++] = ((double)i - (double)fit->n) / (double)fit->n;
	for (int k = 1; k <= DAILY_WAVES; k++) {
		terms[n++] = sin(2 * M_PI * k * hour / DAY);
		terms[n++] = cos(2 * M_PI * k * hour / DAY);
	}
	for (int k = 1; k <= WEEKLY_WAVES; k++) {
		terms[n++] = sin(2 * M_PI * k * hour / WEEK);
		terms[n++] = cos(2 * M_PI * k * hour / WEEK);
	}
}

struct equations {
	size_t n;
	double a[TERMS][TERMS + 1]; /* the last column is the right side */
};

static void swap_rows(struct equations *eq, size_t i, size_t k)
{
	double row[TERMS + 1];

	memcpy(row, eq->a[i], sizeof row);
	memcpy(eq->a[i], eq->a[k], sizeof row);
	memcpy(eq->a[k], row, sizeof row);
}

/* Gauss, by rows; the matrix has no singular part (fit_curve adds to its diagonal). */
static void solve(struct equations *eq, double x[])
{
	for (size_t i = 0; i < eq->n; i++) {
		size_t pivot = i;

		for (size_t k = i + 1; k < eq->n; k++)
			pivot = fabs(eq->a[k][i]) > fabs(eq->a[pivot][i]) ? k : pivot;
		swap_rows(eq, i, pivot);
		for (size_t k = i + 1; k < eq->n; k++) {
			double part = eq->a[k][i] / eq->a[i][i];

			for (size_t c = i; c < eq->n; c++)
				eq->a[k][c] -= part * eq->a[i][c];
			eq->a[k][TERMS] -= part * eq->a[i][TERMS];
		}
	}
	for (size_t i = eq->n; i-- > 0;) {
		x[i] = eq->a[i][TERMS];
		for (size_t c = i + 1; c < eq->n; c++)
			x[i] -= eq->a[i][c] * x[c];
		x[i] /= eq->a[i][i];
	}
}

static void fit_curve(const struct past *past, struct fit *fit)
{
	struct equations eq = {.n = past->n >= CURVE_WEEKLY ? TERMS : TERMS - 2 * WEEKLY_WAVES};
	double terms[TERMS];

	fit->terms = eq.n;
	for (size_t i = 0; i < past->n; i++) {
		if (isnan(past->load[i]))
			continue;
		fill_terms(fit, i, terms);
		for (size_t r = 0; r < eq.n; r++) {
			for (size_t c = 0; c < eq.n; c++)
				eq.a[r][c] += terms[r] * terms[c];
			eq.a[r][TERMS] += terms[r] * past->load[i];
		}
	}
	for (size_t i = 0; i < eq.n; i++)
		eq.a[i][i] += 1e-6;
	solve(&eq, fit->weights);
}

/* ---- a model at work ---- */

static void learn(enum forecast_model model, const struct past *past, struct fit *fit)
{
	memset(fit, 0, sizeof *fit);
	fit->model = model;
	fit->n = past->n;
	fit->first_hour = past->first_hour;
	if (model == FORECAST_CURVE)
		fit_curve(past, fit);
	else
		fit_profile(past, fit);
}

static double foretell(const struct fit *fit, size_t i)
{
	double terms[TERMS], load = 0, ahead = (double)(i + 1 - fit->n);

	if (fit->model != FORECAST_CURVE) {
		load = fit->profile[slot_of(fit->first_hour + (int64_t)i, fit->slots)];
		/* Half of what is unusual about the last day is over in a day. */
		load *= 1 + (fit->level - 1) * pow(0.5, ahead / DAY);
		return fmax(load, 0);
	}
	fill_terms(fit, i, terms);
	for (size_t k = 0; k < fit->terms; k++)
		load += fit->weights[k] * terms[k];
	return fmax(load, 0);
}

/* ---- days forecast again ---- */

struct trial {
	double missed, loads;             /* sums over the last two days */
	double squares[DAY], all_squares; /* of what was missed, by hour of day */
	int counts[DAY], count;
};

/* Forecasts the hours from the origin on, for a day, out of those before it. */
static void try_day(enum forecast_model model, const struct past *past, size_t origin,
		    bool is_recent, struct trial *trial)
{
	struct past before = {past->load, origin, past->first_hour};
	struct fit fit;

	learn(model, &before, &fit);
	for (size_t i = origin; i < past->n && i < origin + DAY; i++) {
		size_t slot = slot_of(past->first_hour + (int64_t)i, DAY);
		double missed = past->load[i] - foretell(&fit, i);

		if (isnan(past->load[i]))
			continue;
		if (is_recent) {
			trial->missed += fabs(missed);
			trial->loads += past->load[i];
		}
		trial->squares[slot] += missed * missed;
		trial->all_squares += missed * missed;
		trial->counts[slot]++;
		trial->count++;
	}
}

static bool may_learn(enum forecast_model model, const struct past *past, size_t origin)
{
	return count_known(past->load, origin) >= least(model);
}

/* The error of the last two days; NAN when the model needs them to learn from. */
static double try_model(enum forecast_model model, const struct past *past, struct trial *trial)
{
	memset(trial, 0, sizeof *trial);
	for (size_t k = 1; k <= TESTS_MAX && k * DAY < past->n; k++) {
		if (may_learn(model, past, past->n - k * DAY))
			try_day(model, past, past->n - k * DAY, k <= TESTS_ERROR, trial);
	}
	/* Of the second day a part will do. */
	if (trial->count == 0 && past->n >= least(model) + SHORT_TEST &&
	    may_learn(model, past, past->n - SHORT_TEST))
		try_day(model, past, past->n - SHORT_TEST, true, trial);
	if (trial->count == 0)
		return NAN;
	return trial->loads > 0 ? trial->missed / trial->loads : trial->missed > 0 ? INFINITY : 0;
}

/* Standard deviation of what was missed at that hour of day. */
static double spread(const struct trial *trial, size_t slot)
{
	if (trial->counts[slot] >= 2)
		return sqrt(trial->squares[slot] / trial->counts[slot]);
	return trial->count > 0 ? sqrt(trial->all_squares / trial->count) : 0;
}

int forecast_make(const double load[], size_t n, int64_t first_hour, struct forecast *forecast)
{
	struct past past = {load, n, first_hour};
	struct trial best = {0};
	struct fit fit;

	while (past.n > 0 && isnan(past.load[0])) {
		past.load++;
		past.first_hour++;
		past.n--;
	}
	if (count_known(past.load, past.n) < FORECAST_LEAST)
		return -1;
	forecast->model = FORECAST_HOUR_OF_DAY;
	forecast->error = NAN;
	for (int i = 0; i < FORECAST_MODELS; i++) {
		enum forecast_model model = (enum forecast_model)i;
		struct trial trial;
		double error;

		if (!may_learn(model, &past, past.n))
			continue;
		error = try_model(model, &past, &trial);
		if (isnan(error) || error >= forecast->error)
			continue;
		forecast->model = model;
		forecast->error = error;
		best = trial;
	}
	learn(forecast->model, &past, &fit);
	for (size_t i = 0; i < FORECAST_AHEAD; i++) {
		size_t slot = slot_of(past.first_hour + (int64_t)(past.n + i), DAY);

		forecast->load[i] = foretell(&fit, past.n + i);
		forecast->upper[i] = forecast->load[i] + P90 * spread(&best, slot);
	}
	return 0;
}

/* ---- from load to capacity ---- */

/* Load per capacity, where all three are known; false: they are not. */
static bool pair_at(const double load[], const double metric[], const double capacity[], size_t i,
		    double *x)
{
	if (isnan(load[i]) || isnan(metric[i]) || isnan(capacity[i]) || capacity[i] <= 0)
		return false;
	*x = load[i] / capacity[i];
	return true;
}

double forecast_relation(const double load[], const double metric[], const double capacity[],
			 size_t n)
{
	double xy = 0, xx = 0, x;
	int found = 0;

	for (size_t i = 0; i < n; i++) {
		if (!pair_at(load, metric, capacity, i, &x))
			continue;
		xy += x * metric[i];
		xx += x * x;
		found++;
	}
	return found >= RELATION_LEAST && xx > 0 && xy > 0 ? xy / xx : NAN;
}

double forecast_correlation(const double load[], const double metric[], const double capacity[],
			    size_t n)
{
	double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0, x, varies;
	int found = 0;

	for (size_t i = 0; i < n; i++) {
		if (!pair_at(load, metric, capacity, i, &x))
			continue;
		sx += x;
		sy += metric[i];
		sxx += x * x;
		syy += metric[i] * metric[i];
		sxy += x * metric[i];
		found++;
	}
	if (found < RELATION_LEAST)
		return NAN;
	varies = (sxx - sx * sx / found) * (syy - sy * sy / found);
	if (!(varies > 1e-12 * sxx * syy))
		return NAN;
	return fmin(fmax((sxy - sx * sy / found) / sqrt(varies), -1), 1);
}

int forecast_capacity(double load, double relation, double target)
{
	double need = ceil(relation * load / target - 1e-9);

	return need >= CAPACITY_MAX ? CAPACITY_MAX : need > 0 ? (int)need : 0;
}
