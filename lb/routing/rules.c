/* Rules: see rules.h.  Conditions are in rule_condition.c, the way to the right rule in
 * rule_index.c. */
#include "lb/routing/rules.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "lb/routing/rewrite.h"
#include "lb/routing/rule_condition.h"
#include "lb/routing/rule_index.h"
#include "lb/routing/rule_percent.h"

/* The groups of a rule's action, as places in the set's list. */
struct group_places {
	uint16_t at[FORWARD_GROUPS_MAX];
};

/* What is compiled, and shared.  The groups in its actions are those of the snapshot that it was
 * made for: not to be followed. */
struct rule_set {
	_Atomic unsigned refs;
	struct arena arena;
	size_t n_rules, cap;
	struct rule *rules; /* the heap's, as it grows */
	struct rule_index *index;
	/* Made by rules_finish(). */
	size_t n_groups;
	const char **group_arns; /* sorted by the groups' addresses then */
	struct group_places *places;
};

struct rules {
	struct action default_action;
	struct rule_set *set;
	const struct action *actions; /* the rules', for this snapshot */
};

struct rules *rules_new(const struct action *default_action, struct arena *arena)
{
	struct rules *rules = arena_zalloc(arena, sizeof(*rules));

	if (!rules)
		return NULL;
	rules->default_action = *default_action;
	rules->set = calloc(1, sizeof(*rules->set));
	if (!rules->set)
		return NULL;
	atomic_init(&rules->set->refs, 1);
	return rules;
}

struct arena *rules_arena(struct rules *rules)
{
	return &rules->set->arena;
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

static void set_unref(struct rule_set *set)
{
	if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < set->n_rules; i++)
		free_rule(&set->rules[i]);
	free(set->rules);
	arena_fini(&set->arena);
	free(set);
}

void rules_fini(struct rules *rules)
{
	set_unref(rules->set);
	rules->set = NULL;
}

static struct rule *append(struct rule_set *set)
{
	if (set->n_rules == set->cap) {
		size_t cap = set->cap ? set->cap * 2 : 8;
		struct rule *more = realloc(set->rules, cap * sizeof(*more));

		if (!more)
			return NULL;
		set->rules = more;
		set->cap = cap;
	}
	return &set->rules[set->n_rules];
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

int rules_add(struct rules *rules, const struct rule_config *config, struct err *err)
{
	struct rule_set *set = rules->set;
	struct rule *rule = append(set);

	if (!rule) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	*rule = (struct rule){.priority = config->priority, .action = config->action};
	if (compile(rule, config, &set->arena, err) < 0) {
		free_rule(rule);
		return -1;
	}
	set->n_rules++;
	return 0;
}

static int by_priority(const void *a, const void *b)
{
	unsigned x = ((const struct rule *)a)->priority, y = ((const struct rule *)b)->priority;

	return (x > y) - (x < y);
}

/* ---- groups: from a snapshot to places in the set, and back ---- */

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (struct target_group *const *)a;
	uintptr_t y = (uintptr_t) * (struct target_group *const *)b;

	return (x > y) - (x < y);
}

static unsigned n_groups_of(const struct rule *rule)
{
	return rule->action.kind == ACTION_FORWARD ? rule->action.forward.n_groups : 0;
}

/* The distinct groups of all rules, sorted; free() it.  NULL without memory. */
static struct target_group **list_groups(const struct rule_set *set, size_t *n)
{
	struct target_group **list;
	size_t total = 0;

	for (size_t i = 0; i < set->n_rules; i++)
		total += n_groups_of(&set->rules[i]);
	list = calloc(total + 1, sizeof(*list));
	*n = 0;
	for (size_t i = 0; list && i < set->n_rules; i++)
		for (unsigned g = 0; g < n_groups_of(&set->rules[i]); g++) {
			list[*n] = set->rules[i].action.forward.groups[g].group;
			/* Many in a row are often the same. */
			*n += *n == 0 || list[*n] != list[*n - 1];
		}
	if (!list || *n == 0)
		return list;
	qsort(list, *n, sizeof(*list), by_address);
	total = *n;
	*n = 1;
	for (size_t i = 1; i < total; i++)
		if (list[i] != list[*n - 1])
			list[(*n)++] = list[i];
	return list;
}

static void place_groups(struct rule_set *set, struct target_group *const *list)
{
	for (size_t i = 0; i < set->n_rules; i++)
		for (unsigned g = 0; g < n_groups_of(&set->rules[i]); g++) {
			struct target_group *const *found =
			    bsearch(&set->rules[i].action.forward.groups[g].group, list,
				    set->n_groups, sizeof(*list), by_address);

			CHECK(found);
			set->places[i].at[g] = (uint16_t)(found - list);
		}
}

static int remember_groups(struct rule_set *set)
{
	struct target_group **list = list_groups(set, &set->n_groups);
	int result = -1;

	if (!list || set->n_groups > UINT16_MAX)
		goto out;
	set->group_arns = arena_zalloc(&set->arena, set->n_groups * sizeof(*set->group_arns));
	set->places = arena_zalloc(&set->arena, set->n_rules * sizeof(*set->places));
	if (!set->group_arns || !set->places)
		goto out;
	for (size_t i = 0; i < set->n_groups; i++)
		set->group_arns[i] =
		    arena_strdup(&set->arena, list[i] && list[i]->arn ? list[i]->arn : "");
	place_groups(set, list);
	result = arena_failed(&set->arena) ? -1 : 0;
out:
	free(list);
	return result;
}

/* A copy of the rules' actions; groups NULL: as they are. */
static const struct action *copy_actions(const struct rule_set *set,
					 struct target_group *const *groups, struct arena *arena)
{
	struct action *actions = arena_zalloc(arena, set->n_rules * sizeof(*actions));

	for (size_t i = 0; actions && i < set->n_rules; i++) {
		actions[i] = set->rules[i].action;
		for (unsigned g = 0; groups && g < n_groups_of(&set->rules[i]); g++)
			actions[i].forward.groups[g].group = groups[set->places[i].at[g]];
	}
	return actions;
}

int rules_finish(struct rules *rules, struct arena *arena, struct err *err)
{
	struct rule_set *set = rules->set;

	if (set->n_rules > 1)
		qsort(set->rules, set->n_rules, sizeof(*set->rules), by_priority);
	for (size_t i = 1; i < set->n_rules; i++) {
		if (set->rules[i].priority != set->rules[i - 1].priority)
			continue;
		err_set(err, EEXIST, "priority %u is used by two rules", set->rules[i].priority);
		return -1;
	}
	set->index = rule_index_new(set->rules, set->n_rules, &set->arena, err);
	if (!set->index)
		return -1;
	rules->actions = copy_actions(set, NULL, arena);
	if (rules->actions && remember_groups(set) == 0)
		return 0;
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

const struct action *rules_default(const struct rules *rules)
{
	return &rules->default_action;
}

bool rules_are_finished(const struct rules *rules)
{
	return rules->actions != NULL;
}

static int find_groups(const struct rule_set *set, rules_find_fn find, void *arg,
		       struct target_group **groups, struct err *err)
{
	for (size_t i = 0; i < set->n_groups; i++) {
		groups[i] = find(arg, set->group_arns[i]);
		if (groups[i])
			continue;
		err_set(err, ENOENT, "target group %s is not there", set->group_arns[i]);
		return -1;
	}
	return 0;
}

struct rules *rules_again(const struct rules *rules, const struct action *default_action,
			  rules_find_fn find, void *arg, struct arena *arena, struct err *err)
{
	struct target_group **groups = calloc(rules->set->n_groups + 1, sizeof(*groups));
	struct rules *again = arena_zalloc(arena, sizeof(*again));

	if (!groups || !again)
		goto oom;
	if (find_groups(rules->set, find, arg, groups, err) < 0)
		goto fail;
	again->default_action = *default_action;
	again->actions = copy_actions(rules->set, groups, arena);
	if (!again->actions)
		goto oom;
	again->set = rules->set;
	atomic_fetch_add_explicit(&again->set->refs, 1, memory_order_relaxed);
	free(groups);
	return again;
oom:
	err_set(err, ENOMEM, "out of memory");
fail:
	free(groups);
	return NULL;
}

void rules_match(const struct rules *rules, const struct rule_request *request,
		 struct rule_match *match)
{
	const struct rule_set *set = rules->set;
	size_t i = rule_index_find(set->index, request);

	if (i == set->n_rules) {
		*match =
		    (struct rule_match){.action = &rules->default_action, .evaluated = (unsigned)i};
		return;
	}
	*match = (struct rule_match){.action = &rules->actions[i],
				     .transforms = set->rules[i].transforms,
				     .priority = set->rules[i].priority,
				     .evaluated = (unsigned)i + 1};
}

size_t rules_count(const struct rules *rules)
{
	return rules->set->n_rules;
}

unsigned rules_priority(const struct rules *rules, size_t rule)
{
	CHECK(rule < rules->set->n_rules);
	return rules->set->rules[rule].priority;
}

bool rules_condition_holds(const struct rules *rules, size_t rule, size_t condition,
			   const struct rule_request *request)
{
	CHECK(rule < rules->set->n_rules && condition < rules->set->rules[rule].n_conditions);
	return condition_holds(&rules->set->rules[rule].conditions[condition], request);
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
