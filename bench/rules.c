/*
 * What choosing a rule costs, by number of rules: nanoseconds and instructions a match, the
 * last rule hit, and a hit spread over all of them.  Also how long building takes and what it
 * holds.  make bench calls it.
 */
#include <linux/perf_event.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lb/routing/rules.h"

enum { TEXT_MAX = 96, RUN_MS = 10, RUNS = 8, SPREAD = 4096 };

struct made {
	char host[TEXT_MAX], path[TEXT_MAX], header[TEXT_MAX];
	bool is_regex;
};

/* One kind of rule set: what rule i asks for, and a request that only it matches. */
struct scenario {
	const char *name;
	void (*make)(unsigned i, unsigned n, struct made *rule, struct made *request);
};

static void say(char *out, const char *before, unsigned i, const char *after)
{
	snprintf(out, TEXT_MAX, "%s%u%s", before, i, after);
}

static void exact_hosts(unsigned i, unsigned n, struct made *rule, struct made *request)
{
	(void)n;
	say(rule->host, "tenant-", i, ".example.com");
	say(request->host, "tenant-", i, ".example.com");
}

static void exact_paths(unsigned i, unsigned n, struct made *rule, struct made *request)
{
	(void)n;
	say(rule->path, "/service/", i, "/items");
	say(request->path, "/service/", i, "/items");
}

static void path_prefixes(unsigned i, unsigned n, struct made *rule, struct made *request)
{
	(void)n;
	say(rule->path, "/service-", i, "/*");
	say(request->path, "/service-", i, "/items/17");
}

/* 100 hosts share 100 paths: neither alone leads to the rule. */
static void hosts_and_paths(unsigned i, unsigned n, struct made *rule, struct made *request)
{
	(void)n;
	say(rule->host, "tenant-", i % 100, ".example.com");
	say(request->host, "tenant-", i % 100, ".example.com");
	say(rule->path, "/shared-", i / 100, "/*");
	say(request->path, "/shared-", i / 100, "/items/17");
}

static void headers(unsigned i, unsigned n, struct made *rule, struct made *request)
{
	(void)n;
	say(rule->header, "tenant-", i, "");
	say(request->header, "tenant-", i, "");
}

/* A third each of the above, and one in a hundred that is wild at both ends. */
static void mixed(unsigned i, unsigned n, struct made *rule, struct made *request)
{
	if (i % 100 == 50) {
		say(rule->path, "*-", i, "-*");
		say(request->path, "/x-", i, "-y");
		return;
	}
	switch (i % 3) {
	case 0:
		hosts_and_paths(i, n, rule, request);
		break;
	case 1:
		path_prefixes(i, n, rule, request);
		break;
	default:
		headers(i, n, rule, request);
	}
}

static void wildcards(unsigned i, unsigned n, struct made *rule, struct made *request)
{
	(void)n;
	say(rule->path, "*-", i, "-*");
	say(request->path, "/x-", i, "-y");
}

/* The worst: an expression that is not anchored gives nothing to be looked up by; all are tried. */
static void expressions(unsigned i, unsigned n, struct made *rule, struct made *request)
{
	(void)n;
	rule->is_regex = true;
	say(rule->path, "[-_]", i, "$");
	say(request->path, "/some/thing-", i, "");
}

static const struct scenario scenarios[] = {
    {"hosts", exact_hosts},           {"paths", exact_paths},
    {"path prefixes", path_prefixes}, {"hosts x paths", hosts_and_paths},
    {"header values", headers},       {"mixed", mixed},
    {"only *x*", wildcards},          {"only regex", expressions},
};

/* Our own processor time: others may be at work. */
static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* -1 where the kernel does not let us count. */
static int open_counter(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_HW_INSTRUCTIONS,
				       .exclude_kernel = 1,
				       .exclude_hv = 1};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static unsigned add_condition(struct condition *conditions, struct condition_value *values,
			      unsigned n, enum condition_field field, const char *text)
{
	if (!*text)
		return n;
	values[n] = (struct condition_value){NULL, text};
	conditions[n] = (struct condition){
	    .field = field, .header_name = "X-Tenant", .n_values = 1, .values = &values[n]};
	return n + 1;
}

static void add(struct rules *rules, const struct scenario *scenario, unsigned i, unsigned n)
{
	struct made rule = {0}, request = {0};
	struct condition conditions[3];
	struct condition_value values[3];
	struct rule_config config = {.priority = i + 1, .conditions = conditions};
	struct err err = {0};
	unsigned used = 0;

	scenario->make(i, n, &rule, &request);
	used = add_condition(conditions, values, used, CONDITION_HOST_HEADER, rule.host);
	used = add_condition(conditions, values, used, CONDITION_PATH_PATTERN, rule.path);
	used = add_condition(conditions, values, used, CONDITION_HTTP_HEADER, rule.header);
	config.n_conditions = used;
	conditions[0].is_regex = rule.is_regex;
	if (rules_add(rules, &config, &err) < 0) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
}

/* A request as a browser sends it. */
struct drawn {
	struct made made;
	struct header headers[8];
	struct rule_request request;
};

static void draw(const struct scenario *scenario, unsigned i, unsigned n, struct drawn *drawn)
{
	struct made rule = {0};
	const struct header common[] = {
	    {TEXT("Host"), TEXT("www.example.com")},
	    {TEXT("User-Agent"), TEXT("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101")},
	    {TEXT("Accept"), TEXT("text/html,application/xhtml+xml,*/*;q=0.8")},
	    {TEXT("Accept-Language"), TEXT("en-US,en;q=0.5")},
	    {TEXT("Accept-Encoding"), TEXT("gzip, deflate, br")},
	    {TEXT("Cookie"), TEXT("session=0123456789abcdef0123456789abcdef")},
	    {TEXT("Connection"), TEXT("keep-alive")},
	};

	memset(drawn, 0, sizeof(*drawn));
	scenario->make(i, n, &rule, &drawn->made);
	memcpy(drawn->headers, common, sizeof(common));
	drawn->headers[7] = (struct header){TEXT("X-Tenant"), text_of(drawn->made.header)};
	drawn->request = (struct rule_request){
	    .host = drawn->made.host[0] ? text_of(drawn->made.host) : TEXT("www.example.com"),
	    .path = drawn->made.path[0] ? text_of(drawn->made.path) : TEXT("/some/page.html"),
	    .query = TEXT("id=17&lang=en"),
	    .method = TEXT("GET"),
	    .headers = drawn->headers,
	    .n_headers = 8};
}

struct cost {
	double ns, instructions; /* < 0: not counted */
};

/* Each match must be the rule it was drawn from. */
static void check(const struct rules *rules, const struct drawn *drawn, unsigned n_drawn,
		  const unsigned *expected)
{
	for (unsigned i = 0; i < n_drawn; i++) {
		struct rule_match match;

		rules_match(rules, &drawn[i].request, &match);
		if (match.priority == expected[i])
			continue;
		fprintf(stderr, "bench: rule %u, not %u\n", match.priority, expected[i]);
		exit(1);
	}
}

static struct cost measure_once(const struct rules *rules, const struct drawn *drawn,
				unsigned n_drawn, int counter)
{
	struct cost cost = {.instructions = -1};
	double start = now_s(), end;
	uint64_t done = 0, counted = 0;

	ioctl(counter, PERF_EVENT_IOC_RESET, 0);
	do {
		for (int i = 0; i < 64; i++, done++) {
			struct rule_match match;

			rules_match(rules, &drawn[done % n_drawn].request, &match);
			__asm__ volatile("" : : "r"(match.action) : "memory");
		}
		end = now_s();
	} while (end < start + RUN_MS / 1e3);
	if (counter >= 0 && read(counter, &counted, sizeof(counted)) == sizeof(counted))
		cost.instructions = (double)counted / (double)done;
	cost.ns = (end - start) * 1e9 / (double)done;
	return cost;
}

/* The best of some: what disturbs only adds. */
static struct cost measure(const struct rules *rules, const struct drawn *drawn, unsigned n_drawn,
			   const unsigned *expected, int counter)
{
	struct cost best = {.ns = 1e18};

	check(rules, drawn, n_drawn, expected);
	for (int i = 0; i < RUNS; i++) {
		struct cost cost = measure_once(rules, drawn, n_drawn, counter);

		if (cost.ns < best.ns)
			best = cost;
	}
	return best;
}

static void run(const struct scenario *scenario, unsigned n, int counter, double *one_ns)
{
	static struct drawn drawn[SPREAD];
	static unsigned expected[SPREAD];
	struct action action = {.kind = ACTION_FIXED_RESPONSE};
	struct arena arena = {0};
	size_t before = mallinfo2().uordblks;
	double start = now_s(), built;
	struct rules *rules = rules_new(&action, &arena);
	unsigned n_drawn = n < SPREAD ? n : SPREAD;
	struct cost last, spread;
	struct err err = {0};

	for (unsigned i = 0; i < n; i++)
		add(rules, scenario, i, n);
	if (rules_finish(rules, &arena, &err) < 0)
		exit(1);
	built = now_s() - start;
	size_t bytes = mallinfo2().uordblks - before;
	draw(scenario, n - 1, n, &drawn[0]);
	expected[0] = n;
	last = measure(rules, drawn, 1, expected, counter);
	for (unsigned i = 0; i < n_drawn; i++) {
		unsigned rule = (unsigned)((uint64_t)i * 7919 % n);

		draw(scenario, rule, n, &drawn[i]);
		expected[i] = rule + 1;
	}
	spread = measure(rules, drawn, n_drawn, expected, counter);
	if (n == 1)
		*one_ns = last.ns;
	printf("%-14s %6u %10.0f", scenario->name, n, last.ns);
	if (last.instructions < 0)
		printf(" %10s", "-");
	else
		printf(" %10.0f", last.instructions);
	printf(" %+10.0f %10.0f %9.1f %9zu\n", last.ns - *one_ns, spread.ns, built * 1e3,
	       bytes / 1024);
	rules_fini(rules);
	arena_fini(&arena);
}

int main(void)
{
	static const unsigned sizes[] = {1, 100, 10000};
	int counter = open_counter();
	double one_ns = 0;

	printf("%-14s %6s %10s %10s %10s %10s %9s %9s\n", "rules", "number", "last ns",
	       "last instr", "vs 1, ns", "spread ns", "build ms", "KiB");
	for (size_t s = 0; s < sizeof(scenarios) / sizeof(scenarios[0]); s++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			run(&scenarios[s], sizes[i], counter, &one_ns);
	return 0;
}
