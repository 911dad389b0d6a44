/*
 * The inside of metric math: the syntax tree, values, functions.  Inside scaler/metrics only; from
 * outside see math.h.
 */
#ifndef SCALER_METRICS_MATH_PARTS_H
#define SCALER_METRICS_MATH_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "scaler/metrics/math.h"

enum {
	MATH_TEXT_MAX = 2048, /* characters; AWS's limit */
	MATH_DEPTH_MAX = 40,
	MATH_NODES_MAX = 600,
	MATH_WORD_MAX = 256,
};

/* Of all values made for one evaluation: 64 MiB. */
#define MATH_POINTS_MAX ((size_t)4 << 20)

/* ---- syntax: math_parse.c ---- */

enum math_node_kind {
	NODE_NUMBER,
	NODE_TEXT, /* "cpu" */
	NODE_ID,   /* m1; also the words REPEAT, LINEAR, ASC .. as arguments */
	NODE_ARRAY,
	NODE_CALL,
	NODE_NEGATE,
	NODE_BINARY,
};

enum math_operator {
	MATH_OR,
	MATH_AND,
	MATH_EQUAL,
	MATH_NOT_EQUAL,
	MATH_LESS_EQUAL,
	MATH_GREATER_EQUAL,
	MATH_LESS,
	MATH_GREATER,
	MATH_ADD,
	MATH_SUBTRACT,
	MATH_MULTIPLY,
	MATH_DIVIDE,
	MATH_POWER,
};

struct math_node {
	enum math_node_kind kind;
	enum math_operator op;
	double number;
	char *word;                     /* of an id, a text, a call; owned */
	struct math_node *first, *next; /* arguments or operands; next of the same list */
	struct math_node *made;         /* list of all, to be freed */
};

/* The head of the list of all nodes is the last one made; root is its expression.  NULL with err
 * ERANGE (why, with the place) or ENOMEM. */
struct math_tree {
	struct math_node *all, *root;
	size_t n;
};
MUST_CHECK int math_parse(const char *text, struct math_tree *tree, struct err *err);
void math_tree_fini(struct math_tree *tree);

/* ---- values: math_value.c ---- */

struct math_series {
	struct math_point *points; /* oldest first */
	size_t n, cap;
	int period_s;
	const char *id; /* of the query it comes from; borrowed; "" when of many */
};

enum math_kind { MATH_SCALAR, MATH_SERIES, MATH_ARRAY };

/* A number (NaN: none), a series or several. */
struct math_value {
	enum math_kind kind;
	double number;
	struct math_series *series; /* [n]; of MATH_SERIES one */
	size_t n;
};

/* One evaluation.  The first error stays. */
struct math_run {
	int64_t start_ms, end_ms; /* of the time asked about */
	int64_t fill_end_ms;      /* the end, cut to now: what FILL makes is not in the future */
	size_t points;            /* made so far */
	const struct math_set *set;
	struct err *err;
};

/* These return false with run->err. */
bool math_fail(struct math_run *run, const char *format, ...) PRINTF_LIKE(2, 3);
bool math_add(struct math_run *run, struct math_series *series, int64_t at_ms, double value);
bool math_new_series(struct math_run *run, size_t n, struct math_value *value);
bool math_copy(struct math_run *run, const struct math_series *from, size_t n,
	       struct math_value *to);
void math_series_fini(struct math_series *series);
void math_value_fini(struct math_value *value);

double math_operate(enum math_operator op, double a, double b);
/* out: not initialised before. */
bool math_binary(struct math_run *run, enum math_operator op, const struct math_value *a,
		 const struct math_value *b, struct math_value *out);
/* The number at the time; NaN when there is none.  *at: where the last look ended, for times that
 * rise. */
double math_at(const struct math_series *series, int64_t at_ms, size_t *at);
/* The times of all series, each once, in order: as a series of zeros. */
bool math_union(struct math_run *run, const struct math_series *const series[], size_t n,
		struct math_series *out);

/* ---- functions: math_functions.c, math_fill.c ---- */

enum { MATH_ARGUMENTS_MAX = 4 };

struct math_arguments {
	const struct math_function *function;
	struct math_value values[MATH_ARGUMENTS_MAX]; /* of those that are values */
	const char *words[MATH_ARGUMENTS_MAX];        /* of the others; NULL */
	size_t n;
};

typedef bool (*math_function_fn)(struct math_run *run, const struct math_arguments *arguments,
				 struct math_value *out);

struct math_function {
	const char *name;
	math_function_fn call;
	size_t min, max; /* arguments */
	unsigned words;  /* bit per argument that may be a word or a text */
	int code;        /* what of several the code does */
};

/* NULL when there is none of the name. */
const struct math_function *math_function_named(const char *name);
bool math_fill(struct math_run *run, const struct math_arguments *arguments,
	       struct math_value *out);
bool math_if(struct math_run *run, const struct math_arguments *arguments, struct math_value *out);
bool math_time_series(struct math_run *run, const struct math_arguments *arguments,
		      struct math_value *out);
/* The period of series that are made of numbers: the longest of the metrics, or 60. */
int math_run_period(const struct math_run *run);
/* The series of all metrics whose ids hold the text (NULL: of all). */
bool math_set_gather(struct math_run *run, const char *text, struct math_value *out);

enum math_aggregate {
	AGGREGATE_AVG,
	AGGREGATE_MAX,
	AGGREGATE_MIN,
	AGGREGATE_SUM,
	AGGREGATE_STDDEV,
	AGGREGATE_FIRST,
	AGGREGATE_LAST,
	AGGREGATE_COUNT,
};
double math_aggregate(enum math_aggregate aggregate, const struct math_series *series);

#endif
