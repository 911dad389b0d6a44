/*
 * The plot of a simulation: the load above, the capacity of each policy below, over the same time.
 * See report.h.
 */
#include <math.h>

#include "common/base/clock.h"
#include "scaler/sim/report.h"

enum { WIDTH = 1000, LEFT = 60, RIGHT = 20, PANEL = 200, TOP = 40, GAP = 50, TICKS = 5 };

static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
				      "#e69f00", "#56b4e9", "#7f3c8d", "#666666"};

struct panel {
	FILE *file;
	double top;     /* of the drawing */
	double highest; /* value at the top */
	size_t n;       /* samples over the width */
};

static double x_of(const struct panel *panel, size_t sample)
{
	return LEFT + (double)(WIDTH - LEFT - RIGHT) * (double)sample / (double)panel->n;
}

static double y_of(const struct panel *panel, double value)
{
	return panel->top + PANEL * (1 - value / panel->highest);
}

/* 1, 2 or 5 times a power of ten, so that TICKS of them reach value. */
static double tick_of(double value)
{
	double power = pow(10, floor(log10(fmax(value, 1e-6) / TICKS)));

	for (int i = 0; i < 3; i++) {
		static const double steps[] = {1, 2, 5};

		if (steps[i] * power * TICKS >= value)
			return steps[i] * power;
	}
	return 10 * power;
}

static void text(FILE *file, double x, double y, const char *anchor, const char *words)
{
	fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	for (; *words; words++) {
		if (*words == '<')
			fputs("&lt;", file);
		else if (*words == '&')
			fputs("&amp;", file);
		else
			fputc(*words, file);
	}
	fprintf(file, "</text>\n");
}

static void frame(struct panel *panel, double highest, const char *title)
{
	double tick = tick_of(highest);
	char words[32];
	int n = (int)ceil(fmax(highest, tick) / tick - 1e-9);

	panel->highest = n * tick;
	for (int i = 0; i <= n; i++) {
		double value = i * tick, y = y_of(panel, value);

		fprintf(panel->file,
			"<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>\n",
			LEFT, y, WIDTH - RIGHT, y);
		snprintf(words, sizeof words, "%g", value);
		text(panel->file, LEFT - 6, y + 4, "end", words);
	}
	text(panel->file, LEFT, panel->top - 8, "start", title);
}

static double load_of(const struct sim_sample *sample)
{
	return (double)sample->load;
}

static double needed_of(const struct sim_sample *sample)
{
	return sample->needed;
}

static double capacity_of(const struct sim_sample *sample)
{
	return sample->in_service;
}

/* The highest of each column of pixels, as one line. */
static void line(const struct panel *panel, const struct sim_run *run,
		 double (*value_of)(const struct sim_sample *), const char *style)
{
	size_t columns = WIDTH - LEFT - RIGHT;
	size_t step = run->n_samples > columns ? run->n_samples / columns : 1;
	double before = NAN;

	fprintf(panel->file, "<path fill=\"none\" %s d=\"", style);
	for (size_t i = 0; i < run->n_samples; i += step) {
		double value = 0, x = x_of(panel, i);

		for (size_t k = i; k < i + step && k < run->n_samples; k++)
			value = fmax(value, value_of(&run->samples[k]));
		if (isnan(before))
			fprintf(panel->file, "M%.1f %.1f", x, y_of(panel, value));
		else if (value > before || value < before)
			fprintf(panel->file, "H%.1fV%.1f", x, y_of(panel, value));
		before = value;
	}
	fprintf(panel->file, "H%d\"/>\n", WIDTH - RIGHT);
}

static void times(const struct panel *panel, const struct sim_plan *plan, const struct sim_run *run)
{
	for (int i = 0; i <= TICKS; i++) {
		size_t sample = panel->n * (size_t)i / TICKS;
		int64_t second = (int64_t)sample * run->sample_s;
		char words[CLOCK_TEXT_MAX];

		if (plan->curve->start_s)
			clock_format_iso(1000 * (plan->curve->start_s + second), words);
		else
			snprintf(words, sizeof words, "%lld s", (long long)second);
		text(panel->file, x_of(panel, sample), panel->top + PANEL + 18,
		     i == 0 ? "start" : (i == TICKS ? "end" : "middle"), words);
	}
}

static void legend(FILE *file, const struct sim_run runs[], size_t n, double y)
{
	double x = LEFT;

	for (size_t i = 0; i < n; i++) {
		fprintf(file,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"4\" fill=\"%s\"/>\n", x,
			y - 6, colours[i % (sizeof colours / sizeof colours[0])]);
		text(file, x + 16, y, "start", runs[i].label);
		x += 40 + 7.5 * (double)__builtin_strlen(runs[i].label);
	}
	fprintf(file,
		"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#999\" "
		"stroke-dasharray=\"2 2\"/>\n",
		x, y - 4, x + 14, y - 4);
	text(file, x + 18, y, "start", "needed");
}

void sim_report_svg(FILE *file, const struct sim_plan *plan, const struct sim_run runs[], size_t n)
{
	int height = TOP + 2 * PANEL + GAP + 60;
	struct panel load = {file, TOP, 0, runs[0].n_samples};
	struct panel capacity = {file, TOP + PANEL + GAP, 0, runs[0].n_samples};
	double most_load = 0, most = 1;
	char style[96];

	for (size_t k = 0; k < runs[0].n_samples; k++)
		most_load = fmax(most_load, (double)runs[0].samples[k].load);
	for (size_t i = 0; i < n; i++)
		most = fmax(most, fmax(runs[i].stats.peak, runs[i].stats.peak_needed));
	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		WIDTH, height);
	frame(&load, most_load, "load, requests/s");
	line(&load, &runs[0], load_of, "stroke=\"#333\"");
	frame(&capacity, most, "instances in service");
	line(&capacity, &runs[0], needed_of, "stroke=\"#999\" stroke-dasharray=\"2 2\"");
	for (size_t i = 0; i < n; i++) {
		snprintf(style, sizeof style, "stroke=\"%s\" stroke-width=\"1.5\"",
			 colours[i % (sizeof colours / sizeof colours[0])]);
		line(&capacity, &runs[i], capacity_of, style);
	}
	times(&capacity, plan, &runs[0]);
	legend(file, runs, n, TOP + 2 * PANEL + GAP + 44);
	fprintf(file, "</svg>\n");
}
