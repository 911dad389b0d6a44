/*
 * See simulate.h.  Prints on stdout and stderr.
 */
#include "scaler/sim/simulate.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/config/config.h"
#include "common/doc/doc.h"
#include "scaler/sim/report.h"

enum option_kind {
	OPTION_TEXT,
	OPTION_SECONDS, /* "30", "30s", "5m", "1h", "200ms" */
	OPTION_PERCENT, /* "20", "20%" */
	OPTION_NUMBER,
};

struct options {
	const char *config, *load, *group, *csv, *svg, *json;
	const char *policies[SIM_POLICIES_MAX];
	int n_policies;
	double step, boot, boot_spread, settle, service, drain, check, aws_delay, end;
	double capacity, queue, utilization, noise, failures, price, seed;
};

struct definition {
	const char *name;
	enum option_kind kind;
	size_t offset;
	double least, most;
	const char *argument, *help;
};

#define MEMBER(member) offsetof(struct options, member)

static const struct definition definitions[] = {
    {"config", OPTION_TEXT, MEMBER(config), 0, 0, "FILE", "the configuration file"},
    {"load", OPTION_TEXT, MEMBER(load), 0, 0, "FILE",
     "the load: CSV (seconds or ISO time, requests/s) or an access log; .gz too"},
    {"policy", OPTION_TEXT, 0, 0, 0, "WHAT",
     "all, NAME, FILE.json, fixed:N, or aws:NAME for simulated AWS; again for more"},
    {"group", OPTION_TEXT, MEMBER(group), 0, 0, "NAME", "which group, when there are several"},
    {"csv", OPTION_TEXT, MEMBER(csv), 0, 0, "FILE", "writes the time series"},
    {"svg", OPTION_TEXT, MEMBER(svg), 0, 0, "FILE", "writes a plot of load and capacity"},
    {"json", OPTION_TEXT, MEMBER(json), 0, 0, "FILE", "writes all figures (- is stdout)"},
    {"capacity", OPTION_NUMBER, MEMBER(capacity), 0.001, 1e9, "N",
     "requests/s that one instance can do"},
    {"service-time", OPTION_SECONDS, MEMBER(service), 0, 3600, "TIME",
     "that one request takes without waiting"},
    {"queue", OPTION_NUMBER, MEMBER(queue), 0, 1e9, "N",
     "requests that may wait at an instance; more are dropped"},
    {"boot", OPTION_SECONDS, MEMBER(boot), 0, 86400, "TIME",
     "from RunInstances until an instance can serve"},
    {"boot-spread", OPTION_PERCENT, MEMBER(boot_spread), 0, 100, "PERCENT", "either way, evenly"},
    {"step", OPTION_SECONDS, MEMBER(step), 1, 3600, "TIME", "the engine decides this often"},
    {"settle", OPTION_SECONDS, MEMBER(settle), 0, 86400, "TIME",
     "the first load before the beginning, not counted"},
    {"utilization", OPTION_PERCENT, MEMBER(utilization), 1, 100, "PERCENT",
     "what an instance is meant to carry (default: the policies' target)"},
    {"noise", OPTION_PERCENT, MEMBER(noise), 0, 1000, "PERCENT",
     "standard deviation of each second's load"},
    {"launch-failures", OPTION_PERCENT, MEMBER(failures), 0, 100, "PERCENT",
     "of RunInstances calls find no capacity in the zone"},
    {"drain", OPTION_SECONDS, MEMBER(drain), 0, 3600, "TIME",
     "deregistration delay (default: the target group's)"},
    {"check", OPTION_SECONDS, MEMBER(check), 0, 300, "TIME",
     "interval of health checks (default: the target group's)"},
    {"aws-delay", OPTION_SECONDS, MEMBER(aws_delay), 0, 600, "TIME",
     "simulated AWS: from a minute's end to the action"},
    {"price", OPTION_NUMBER, MEMBER(price), 0, 1e6, "DOLLARS",
     "an instance-hour (default: by instance type)"},
    {"seed", OPTION_NUMBER, MEMBER(seed), 0, 9e15, "N", "another course of chance"},
};

enum { N_DEFINITIONS = sizeof definitions / sizeof definitions[0], OPTION_BASE = 256 };

static void print_usage(FILE *file)
{
	fprintf(file,
		"usage: albatross-scaler simulate --config FILE --load FILE [--policy WHAT]... "
		"[options]\n");
}

/* ---- defaults ---- */

static const struct options defaults = {
    .step = 1,
    .boot = 30,
    .boot_spread = 0.2,
    .settle = 1800,
    .service = 0.05,
    .drain = -1,
    .check = -1,
    .aws_delay = 40,
    .end = 5,
    .capacity = 100,
    .queue = -1,
    .price = -1,
    .seed = 1,
};

static void print_default(const struct definition *definition)
{
	const double *value =
	    (const double *)(const void *)((const char *)&defaults + definition->offset);

	if (definition->kind == OPTION_TEXT || *value < 0 || strstr(definition->help, "default"))
		return;
	if (definition->kind == OPTION_PERCENT)
		printf(" (default %g%%)", 100 * *value);
	else if (definition->kind == OPTION_SECONDS && *value < 1 && *value > 0)
		printf(" (default %gms)", 1000 * *value);
	else
		printf(" (default %g%s)", *value, definition->kind == OPTION_SECONDS ? "s" : "");
}

static void print_help(void)
{
	print_usage(stdout);
	printf("runs the group's policies over a load, with the very engine under a virtual clock, "
	       "side by side\n\n");
	for (int i = 0; i < N_DEFINITIONS; i++) {
		char option[64];

		snprintf(option, sizeof option, "%s--%s %s",
			 strcmp(definitions[i].name, "config") == 0 ? "-c, " : "    ",
			 definitions[i].name, definitions[i].argument);
		printf("  %-32s %s", option, definitions[i].help);
		print_default(&definitions[i]);
		printf("\n");
	}
	printf("  -h, %-28s %s\n", "--help", "this text; docs/simulation.md says what is modelled");
}

/* ---- parsing ---- */

static int bad_value(const struct definition *definition, const char *text, const char *what)
{
	fprintf(stderr, "albatross-scaler simulate: --%s %s: %s\n", definition->name, text, what);
	return -1;
}

static bool take_unit(enum option_kind kind, const char *unit, double *value)
{
	static const struct {
		const char *unit;
		enum option_kind kind;
		double factor;
	} units[] = {
	    {"ms", OPTION_SECONDS, 0.001}, {"s", OPTION_SECONDS, 1},    {"", OPTION_SECONDS, 1},
	    {"m", OPTION_SECONDS, 60},     {"h", OPTION_SECONDS, 3600}, {"%", OPTION_PERCENT, 1},
	    {"", OPTION_PERCENT, 1},       {"", OPTION_NUMBER, 1},
	};

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (units[i].kind == kind && strcmp(units[i].unit, unit) == 0) {
			*value *= units[i].factor;
			return true;
		}
	}
	return false;
}

static int take_value(struct options *options, const struct definition *definition,
		      const char *text)
{
	static const char *const meant[] = {
	    [OPTION_TEXT] = "",
	    [OPTION_SECONDS] = "a time is meant: 30s, 200ms, 5m, 1h",
	    [OPTION_PERCENT] = "a percentage is meant: 20%",
	    [OPTION_NUMBER] = "a number is meant",
	};
	char range[96], *end;
	double value;

	if (strcmp(definition->name, "policy") == 0) {
		if (options->n_policies == SIM_POLICIES_MAX)
			return bad_value(definition, text, "sixteen at most");
		options->policies[options->n_policies++] = text;
		return 0;
	}
	if (definition->kind == OPTION_TEXT) {
		*(const char **)(void *)((char *)options + definition->offset) = text;
		return 0;
	}
	value = strtod(text, &end);
	if (end == text || !take_unit(definition->kind, end, &value))
		return bad_value(definition, text, meant[definition->kind]);
	snprintf(range, sizeof range, "not in %g..%g%s", definition->least, definition->most,
		 definition->kind == OPTION_SECONDS ? " seconds" : "");
	if (!(value >= definition->least && value <= definition->most))
		return bad_value(definition, text, range);
	if (definition->kind == OPTION_PERCENT)
		value /= 100;
	*(double *)(void *)((char *)options + definition->offset) = value;
	return 0;
}

/* 1: go on, 0: all is said, -1: wrong. */
static int parse(int argc, char **argv, struct options *options)
{
	struct option longs[N_DEFINITIONS + 2] = {0};
	int option;

	*options = defaults;
	for (int i = 0; i < N_DEFINITIONS; i++)
		longs[i] =
		    (struct option){definitions[i].name, required_argument, NULL, OPTION_BASE + i};
	longs[N_DEFINITIONS] = (struct option){"help", no_argument, NULL, 'h'};
	optind = 0;
	while ((option = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		if (option == 'h') {
			print_help();
			return 0;
		}
		if (option == 'c')
			option = OPTION_BASE;
		if (option < OPTION_BASE ||
		    take_value(options, &definitions[option - OPTION_BASE], optarg) < 0)
			return -1;
	}
	if (optind < argc)
		fprintf(stderr, "albatross-scaler simulate: '%s' is one argument too many\n",
			argv[optind]);
	else if (!options->config)
		fprintf(stderr,
			"albatross-scaler simulate: which configuration file? (--config)\n");
	else if (!options->load)
		fprintf(stderr, "albatross-scaler simulate: which load? (--load)\n");
	else
		return 1;
	return -1;
}

/* ---- doing ---- */

static void fill_plan(struct sim_plan *plan, const struct options *options)
{
	double queue = options->queue < 0 ? 5 * options->capacity : options->queue;

	*plan = (struct sim_plan){
	    .params = {.seed = (uint64_t)options->seed,
		       .boot_ms = (int64_t)(1000 * options->boot),
		       .boot_spread = options->boot_spread,
		       .check_ms = options->check < 0 ? -1 : (int64_t)(1000 * options->check),
		       .drain_ms = options->drain < 0 ? -1 : (int64_t)(1000 * options->drain),
		       .end_ms = (int64_t)(1000 * options->end),
		       .failure_share = options->failures},
	    .capacity = {options->capacity, options->service, queue},
	    .utilization = options->utilization,
	    .noise = options->noise,
	    .step_s = (int)options->step,
	    .settle_s = (int)options->settle,
	    .aws_delay_ms = (int64_t)(1000 * options->aws_delay),
	    .price = options->price,
	};
}

typedef void (*write_fn)(FILE *file, const struct sim_plan *plan, const struct sim_run runs[],
			 size_t n);

static void write_json(FILE *file, const struct sim_plan *plan, const struct sim_run runs[],
		       size_t n)
{
	json_t *json = sim_report_json(plan, runs, n);

	json_dumpf(json, file, JSON_INDENT(2));
	fputc('\n', file);
	json_decref(json);
}

static int write_file(const char *path, write_fn write, const struct sim_plan *plan,
		      const struct sim_run runs[], size_t n)
{
	FILE *file;
	bool is_bad;

	if (!path)
		return 0;
	if (strcmp(path, "-") == 0) {
		write(stdout, plan, runs, n);
		return 0;
	}
	file = fopen(path, "w");
	if (!file) {
		fprintf(stderr, "albatross-scaler simulate: %s: %s\n", path, strerror(errno));
		return -1;
	}
	write(file, plan, runs, n);
	is_bad = ferror(file) != 0;
	is_bad |= fclose(file) != 0;
	if (is_bad)
		fprintf(stderr, "albatross-scaler simulate: %s: %s\n", path, strerror(errno));
	return is_bad ? -1 : 0;
}

static bool is_stdout(const char *path)
{
	return path && strcmp(path, "-") == 0;
}

static void print_head(const struct sim_plan *plan, const struct options *options)
{
	const struct sim_curve *curve = plan->curve;
	double most = 0, sum = 0;

	for (size_t i = 0; i < curve->n; i++) {
		most = fmax(most, curve->rps[i]);
		sum += curve->rps[i];
	}
	printf("group %s, %zu s of load (mean %.1f, peak %.1f requests/s), %g requests/s an "
	       "instance, meant to carry %.0f%%\n",
	       plan->group, curve->n, sum / (double)curve->n, most, plan->capacity.rps,
	       100 * plan->utilization);
	if (curve->n_bad > 0)
		printf("note: %s: %zu of %zu lines are of no known form and left out, the first is "
		       "line %zu\n",
		       options->load, curve->n_bad, curve->n_bad + curve->n_lines,
		       curve->first_bad_line);
}

static int report(const struct sim_plan *plan, const struct options *options,
		  const struct sim_run runs[], size_t n)
{
	if (!is_stdout(options->json) && !is_stdout(options->csv) && !is_stdout(options->svg)) {
		print_head(plan, options);
		sim_report_table(stdout, plan, runs, n);
	}
	if (write_file(options->json, write_json, plan, runs, n) < 0 ||
	    write_file(options->csv, sim_report_csv, plan, runs, n) < 0)
		return -1;
	return write_file(options->svg, sim_report_svg, plan, runs, n);
}

/* Each choice in a world of its own. */
static int run_all(const struct sim_plan *plan, const struct options *options, const json_t *config,
		   struct sim_run runs[], struct err *err)
{
	for (int i = 0; i < options->n_policies; i++) {
		struct sim_choice choice;
		int result = sim_choice_read(&choice, plan, options->config, config,
					     options->policies[i], err);

		if (result == 0)
			result = sim_run(&runs[i], plan, &choice, err);
		sim_choice_fini(&choice);
		if (result < 0)
			return -1;
	}
	return 0;
}

static int simulate(struct options *options, struct err *err)
{
	struct sim_run *runs = calloc(SIM_POLICIES_MAX, sizeof *runs);
	struct sim_curve curve = {0};
	struct sim_plan plan;
	json_t *config = NULL;
	int result = -1;

	if (options->n_policies == 0)
		options->policies[options->n_policies++] = "all";
	fill_plan(&plan, options);
	plan.curve = &curve;
	if (!runs)
		err_set(err, ENOMEM, "out of memory");
	else if (!(config = config_load(options->config, err)))
		result = -1;
	else if (sim_curve_read(options->load, &curve, err) == 0 &&
		 sim_plan_read(&plan, options->config, config, options->group, err) == 0)
		result = run_all(&plan, options, config, runs, err);
	if (result == 0)
		result = report(&plan, options, runs, (size_t)options->n_policies);
	for (int i = 0; runs && i < options->n_policies; i++)
		sim_run_fini(&runs[i]);
	free(runs);
	sim_curve_fini(&curve);
	json_decref(config);
	return result;
}

int sim_main(int argc, char **argv)
{
	struct options options;
	struct err err = {0};
	int parsed = parse(argc, argv, &options);

	if (parsed == 0)
		return EXIT_SUCCESS;
	if (parsed < 0) {
		print_usage(stderr);
		return 2;
	}
	log_start("albatross-scaler", LOG_LEVEL_ERROR);
	if (simulate(&options, &err) == 0)
		return EXIT_SUCCESS;
	if (err.text[0])
		fprintf(stderr, "albatross-scaler simulate: %s\n", err.text);
	return EXIT_FAILURE;
}
