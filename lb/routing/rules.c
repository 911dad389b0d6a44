/* Rules: see rules.h.  Conditions are in rule_condition.c, the way to the right rule in
 * rule_index.c. */
#include "lb/routing/rules.h"

#include <errno.h>
#include <stdlib.h>

#include "lb/routing/rewrite.h"
#include "lb/routing/rule_condition.h"
#include "lb/routing/rule_index.h"
#include "lb/routing/rule_percent.h"

struct rules {
	struct action default_action;
	size_t n_rules, cap;
	struct rule *rules; /* the heap's, as it grows */
	struct rule_index *index;
};

struct rules *rules_new(const struct action *default_action, struct arena *arena)
{
	struct rules *rules = arena_zalloc(arena, sizeof(*rules));

	if (rules)
		rules->default_action = *default_action;
	return rules;
}

static void free_rule(struct rule *rule)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		condition_fini(&rule->conditions[i]);
	if (!rule->transforms)
		return;
	rewrite_fini(&rule->transforms->host);
	rewrite_fini(&rule->transforms->url);
}

void rules_fini(struct rules *rules)
{
	for (size_t i = 0; i < rules->n_rules; i++)
		free_rule(&rules->rules[i]);
	free(rules->rules);
	rules->rules = NULL;
	rules->n_rules = rules->cap = 0;
}

static struct rule *append(struct rules *rules)
{
	if (rules->n_rules == rules->cap) {
		size_t cap = rules->cap ? rules->cap * 2 : 8;
		struct rule *more = realloc(rules->rules, cap * sizeof(*more));

		if (!more)
			return NULL;
		rules->rules = more;
		rules->cap = cap;
	}
	return &rules->rules[rules->n_rules];
}

static int compile_transforms(struct rule *rule, const struct rule_config *config,
			      struct arena *arena, struct err *err)
{
	if (!config->host_rewrite.regex && !config->url_rewrite.regex)
		return 0;
	rule->transforms = arena_zalloc(arena, sizeof(*rule->transforms));
	if (!rule->transforms) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (rewrite_compile(&rule->transforms->host, &config->host_rewrite, arena, err) < 0)
		return -1;
	return rewrite_compile(&rule->transforms->url, &config->url_rewrite, arena, err);
}

static int compile(struct rule *rule, const struct rule_config *config, struct arena *arena,
		   struct err *err)
{
	size_t n = config->n_conditions;

	rule->conditions = arena_zalloc_packed(arena, n * sizeof(*rule->conditions));
	if (!rule->conditions) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		rule->n_conditions = i + 1;
		if (condition_compile(&rule->conditions[i], &config->conditions[i], arena, err) < 0)
			return -1;
	}
	return compile_transforms(rule, config, arena, err);
}

int rules_add(struct rules *rules, const struct rule_config *config, struct arena *arena,
	      struct err *err)
{
	struct rule *rule = append(rules);

	if (!rule) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	*rule = (struct rule){.priority = config->priority, .action = config->action};
	if (compile(rule, config, arena, err) < 0) {
		free_rule(rule);
		return -1;
	}
	rules->n_rules++;
	return 0;
}

static int by_priority(const void *a, const void *b)
{
	unsigned x = ((const struct rule *)a)->priority, y = ((const struct rule *)b)->priority;

	return (x > y) - (x < y);
}

int rules_finish(struct rules *rules, struct arena *arena, struct err *err)
{
	if (rules->n_rules > 1)
		qsort(rules->rules, rules->n_rules, sizeof(*rules->rules), by_priority);
	for (size_t i = 1; i < rules->n_rules; i++) {
		if (rules->rules[i].priority != rules->rules[i - 1].priority)
			continue;
		err_set(err, EEXIST, "priority %u is used by two rules", rules->rules[i].priority);
		return -1;
	}
	rules->index = rule_index_new(rules->rules, rules->n_rules, arena, err);
	return rules->index ? 0 : -1;
}

void rules_match(const struct rules *rules, const struct rule_request *request,
		 struct rule_match *match)
{
	size_t i = rule_index_find(rules->index, request);
	const struct rule *rule;

	if (i == rules->n_rules) {
		*match =
		    (struct rule_match){.action = &rules->default_action, .evaluated = (unsigned)i};
		return;
	}
	rule = &rules->rules[i];
	*match = (struct rule_match){.action = &rule->action,
				     .transforms = rule->transforms,
				     .priority = rule->priority,
				     .evaluated = (unsigned)i + 1};
}

size_t rules_count(const struct rules *rules)
{
	return rules->n_rules;
}

unsigned rules_priority(const struct rules *rules, size_t rule)
{
	CHECK(rule < rules->n_rules);
	return rules->rules[rule].priority;
}

bool rules_condition_holds(const struct rules *rules, size_t rule, size_t condition,
			   const struct rule_request *request)
{
	CHECK(rule < rules->n_rules && condition < rules->rules[rule].n_conditions);
	return condition_holds(&rules->rules[rule].conditions[condition], request);
}

/* ---- paths ---- */

static bool is_unreserved(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* Is the segment that ends at out[len] "." or ".."?  Returns its number of dots, else 0. */
static size_t dots_at_end(const char *out, size_t len)
{
	if (len >= 2 && out[len - 1] == '.' && out[len - 2] == '/')
		return 1;
	if (len >= 3 && out[len - 1] == '.' && out[len - 2] == '.' && out[len - 3] == '/')
		return 2;
	return 0;
}

/* RFC 3986 5.2.4, on the output: drops "/." and "/.." with the segment before it; keeps the slash
 * that follows. */
static size_t drop_dots(const char *out, size_t len, size_t dots)
{
	len -= dots + 1;
	if (dots == 2)
		while (len > 0 && out[--len] != '/')
			;
	return len;
}

struct text path_normalise(struct text path, char *buffer, size_t size)
{
	size_t len = 0, dots;

	if (!memchr(path.at, '%', path.len) && !memmem(path.at, path.len, "/.", 2))
		return path;
	if (path.len + 1 > size)
		return path;
	for (size_t i = 0; i < path.len; i++) {
		int byte = percent_byte(path, i);
		char c = path.at[i];

		if (byte >= 0 && is_unreserved(byte)) {
			c = (char)byte;
			i += 2;
		}
		dots = c == '/' ? dots_at_end(buffer, len) : 0;
		if (dots > 0)
			len = drop_dots(buffer, len, dots);
		buffer[len++] = c;
	}
	dots = dots_at_end(buffer, len);
	if (dots > 0) {
		len = drop_dots(buffer, len, dots);
		buffer[len++] = '/';
	}
	return (struct text){buffer, len};
}
