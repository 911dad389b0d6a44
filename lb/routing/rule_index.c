/* See rule_index.h. */
#include "lb/routing/rule_index.h"

#include <errno.h>
#include <stdlib.h>

#include "lb/routing/rule_key.h"

/*
 * A node that holds no more than LEAF_RULES is not split again; no rule is looked up by more than
 * MAX_DEPTH of its conditions; copies of a rule (one a value and level) stop at COPIES_PER_RULE.
 */
enum { LEAF_RULES = 2, MAX_DEPTH = 4, COPIES_PER_RULE = 32 };

#define SINGLE_RULE 0x80000000u /* in a slot's target: a rule, not a node */

struct slot {
	uint64_t key; /* 0 = empty */
	uint32_t target;
};

/* The rules under one key: those to try one by one, and the kinds of keys to go on with. */
struct node {
	uint32_t first, n; /* in postings, ascending */
	uint32_t kinds;
	uint32_t min_rule; /* none in or below the node comes earlier */
};

struct rule_index {
	const struct rule *rules;
	size_t n_rules;
	struct key_census census;
	const struct node *nodes; /* the root is the first */
	const uint32_t *postings;
	const struct slot *slots;
	uint64_t mask;
};

/* murmur3's finalizer: all bits of both count. */
static uint64_t slot_key(uint32_t node, uint64_t hash)
{
	hash += (uint64_t)node * 0x9e3779b97f4a7c15ull;
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
	hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ull;
	hash ^= hash >> 33;
	return hash ? hash : 1;
}

/* ---- building ---- */

struct array {
	void *items;
	size_t n, cap;
};

/* The place of a new item; NULL without memory. */
static void *array_add(struct array *array, size_t size)
{
	if (array->n == array->cap) {
		size_t cap = array->cap ? array->cap * 2 : 64;
		void *items = realloc(array->items, cap * size);

		if (!items)
			return NULL;
		array->items = items;
		array->cap = cap;
	}
	return (char *)array->items + array->n++ * size;
}

/* Keys of a condition, one a value; n = 0: it cannot be looked up. */
struct candidate {
	uint32_t first, n;
};

struct item {
	uint32_t rule;
	uint32_t used; /* conditions it is filed under already */
};

struct filing {
	uint64_t hash;
	uint32_t kind;
	struct item item;
};

struct counter {
	uint64_t hash;
	uint32_t n;
};

struct build {
	const struct rule *rules;
	size_t n_rules;
	struct array keys;       /* struct rule_key */
	struct array candidates; /* struct candidate, the rules' conditions one after another */
	uint32_t *first_candidate;
	struct array nodes, postings, slots;
	size_t budget; /* postings and slots that may still be made */
};

enum { CONDITIONS_LOOKED_AT = 32 }; /* the bits of item.used */

static size_t n_looked_at(const struct rule *rule)
{
	return rule->n_conditions < CONDITIONS_LOOKED_AT ? rule->n_conditions
							 : CONDITIONS_LOOKED_AT;
}

static int add_candidate(struct build *b, const struct compiled_condition *condition)
{
	struct candidate *candidate = array_add(&b->candidates, sizeof(*candidate));

	if (!candidate)
		return -1;
	*candidate = (struct candidate){.first = (uint32_t)b->keys.n};
	for (size_t i = 0; i < condition->n_matchers; i++) {
		struct rule_key *key = array_add(&b->keys, sizeof(*key));

		if (!key)
			return -1;
		if (!rule_key_of(condition, &condition->matchers[i], key)) {
			b->keys.n = candidate->first;
			return 0;
		}
	}
	candidate->n = (uint32_t)condition->n_matchers;
	return 0;
}

static int find_keys(struct build *b)
{
	b->first_candidate = calloc(b->n_rules + 1, sizeof(*b->first_candidate));
	if (!b->first_candidate)
		return -1;
	for (size_t r = 0; r < b->n_rules; r++) {
		b->first_candidate[r] = (uint32_t)b->candidates.n;
		for (size_t c = 0; c < n_looked_at(&b->rules[r]); c++)
			if (add_candidate(b, &b->rules[r].conditions[c]) < 0)
				return -1;
	}
	return 0;
}

static const struct candidate *candidate_of(const struct build *b, uint32_t rule, size_t condition)
{
	return (const struct candidate *)b->candidates.items + b->first_candidate[rule] + condition;
}

static const struct rule_key *keys_of(const struct build *b, const struct candidate *candidate)
{
	return (const struct rule_key *)b->keys.items + candidate->first;
}

/* How often each key occurs among the items: an open table. */
struct counts {
	struct counter *counters;
	uint64_t mask;
};

static struct counter *counter_of(const struct counts *counts, uint64_t hash)
{
	uint64_t at = slot_key(0, hash) & counts->mask;

	while (counts->counters[at].n > 0 && counts->counters[at].hash != hash)
		at = (at + 1) & counts->mask;
	return &counts->counters[at];
}

static bool is_usable(const struct build *b, const struct item *item, size_t condition)
{
	return !(item->used >> condition & 1) && candidate_of(b, item->rule, condition)->n > 0;
}

static void count_item(const struct build *b, const struct item *item, const struct counts *counts)
{
	for (size_t c = 0; c < n_looked_at(&b->rules[item->rule]); c++) {
		const struct candidate *candidate = candidate_of(b, item->rule, c);

		for (size_t k = 0; is_usable(b, item, c) && k < candidate->n; k++) {
			uint64_t hash = keys_of(b, candidate)[k].hash;
			struct counter *counter = counter_of(counts, hash);

			counter->hash = hash;
			counter->n++;
		}
	}
}

static int count_keys(const struct build *b, const struct item *items, size_t n,
		      struct counts *counts)
{
	size_t total = 0, size = 64;

	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < n_looked_at(&b->rules[items[i].rule]); c++)
			total += candidate_of(b, items[i].rule, c)->n;
	while (size < 2 * total)
		size *= 2;
	counts->mask = size - 1;
	counts->counters = calloc(size, sizeof(*counts->counters));
	if (!counts->counters)
		return -1;
	for (size_t i = 0; i < n; i++)
		count_item(b, &items[i], counts);
	return 0;
}

/* The condition whose commonest value is the rarest; -1 when none can be looked up. */
static int rarest(const struct build *b, const struct item *item, const struct counts *counts)
{
	uint32_t best_n = UINT32_MAX;
	int best = -1;

	for (size_t c = 0; c < n_looked_at(&b->rules[item->rule]); c++) {
		const struct candidate *candidate = candidate_of(b, item->rule, c);
		uint32_t commonest = 0;

		if (!is_usable(b, item, c))
			continue;
		for (size_t k = 0; k < candidate->n; k++) {
			uint32_t count = counter_of(counts, keys_of(b, candidate)[k].hash)->n;

			commonest = count > commonest ? count : commonest;
		}
		if (commonest < best_n) {
			best_n = commonest;
			best = (int)c;
		}
	}
	return best;
}

static int by_hash_and_rule(const void *a, const void *b)
{
	const struct filing *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash > y->hash ? 1 : -1;
	return (x->item.rule > y->item.rule) - (x->item.rule < y->item.rule);
}

static struct node *node_at(struct build *b, uint32_t node)
{
	return (struct node *)b->nodes.items + node;
}

static int add_posting(struct build *b, uint32_t node, uint32_t rule)
{
	uint32_t *posting = array_add(&b->postings, sizeof(*posting));

	if (!posting)
		return -1;
	*posting = rule;
	node_at(b, node)->n++;
	b->budget -= b->budget > 0;
	return 0;
}

static int add_slot(struct build *b, uint32_t node, uint64_t hash, uint32_t target)
{
	struct slot *slot = array_add(&b->slots, sizeof(*slot));

	if (!slot)
		return -1;
	*slot = (struct slot){slot_key(node, hash), target};
	b->budget -= b->budget > 0;
	return 0;
}

/* Each item under its rarest condition's keys; those without one stay in the node. */
static int file_items(struct build *b, uint32_t node, const struct item *items, size_t n,
		      const struct counts *counts, struct array *filings)
{
	for (size_t i = 0; i < n; i++) {
		int c = rarest(b, &items[i], counts);
		const struct candidate *candidate;

		if (c < 0) {
			if (add_posting(b, node, items[i].rule) < 0)
				return -1;
			continue;
		}
		candidate = candidate_of(b, items[i].rule, (size_t)c);
		for (size_t k = 0; k < candidate->n; k++) {
			const struct rule_key *key = &keys_of(b, candidate)[k];
			struct filing *filing = array_add(filings, sizeof(*filing));

			if (!filing)
				return -1;
			*filing = (struct filing){key->hash,
						  KEY_BIT(key->kind),
						  {items[i].rule, items[i].used | 1u << c}};
		}
	}
	return 0;
}

static int build_node(struct build *b, const struct item *items, size_t n, int depth,
		      uint32_t *node);

/* The filings of one key become a child, or a slot's single rule. */
static int build_child(struct build *b, uint32_t node, const struct filing *filings, size_t n,
		       int depth)
{
	struct item *items = calloc(n, sizeof(*items));
	size_t n_items = 0;
	uint32_t target = filings[0].item.rule | SINGLE_RULE;
	int result = items ? 0 : -1;

	for (size_t i = 0; items && i < n; i++) /* a value may be given twice */
		if (n_items == 0 || items[n_items - 1].rule != filings[i].item.rule)
			items[n_items++] = filings[i].item;
	if (n_items > 1)
		result = build_node(b, items, n_items, depth + 1, &target);
	free(items);
	return result < 0 ? -1 : add_slot(b, node, filings[0].hash, target);
}

static int build_children(struct build *b, uint32_t node, const struct array *filings, int depth)
{
	const struct filing *all = filings->items;
	uint32_t kinds = 0;

	for (size_t i = 0, end; i < filings->n; i = end) {
		for (end = i; end < filings->n && all[end].hash == all[i].hash; end++)
			kinds |= all[end].kind;
		if (build_child(b, node, &all[i], end - i, depth) < 0)
			return -1;
	}
	node_at(b, node)->kinds = kinds;
	return 0;
}

static int split(struct build *b, uint32_t node, const struct item *items, size_t n, int depth)
{
	struct counts counts = {0};
	struct array filings = {0};
	int result = count_keys(b, items, n, &counts);

	if (result == 0)
		result = file_items(b, node, items, n, &counts, &filings);
	free(counts.counters);
	if (result == 0 && filings.n > 0) {
		qsort(filings.items, filings.n, sizeof(struct filing), by_hash_and_rule);
		result = build_children(b, node, &filings, depth);
	}
	free(filings.items);
	return result;
}

static int build_node(struct build *b, const struct item *items, size_t n, int depth,
		      uint32_t *node)
{
	struct node *made = array_add(&b->nodes, sizeof(*made));

	if (!made)
		return -1;
	*made = (struct node){.first = (uint32_t)b->postings.n,
			      .min_rule = n > 0 ? items[0].rule : UINT32_MAX};
	*node = (uint32_t)b->nodes.n - 1;
	if (n > LEAF_RULES && depth < MAX_DEPTH && b->budget > n)
		return split(b, *node, items, n, depth);
	for (size_t i = 0; i < n; i++)
		if (add_posting(b, *node, items[i].rule) < 0)
			return -1;
	return 0;
}

static int build_root(struct build *b)
{
	struct item *items = calloc(b->n_rules + 1, sizeof(*items));
	uint32_t root;
	int result;

	if (!items)
		return -1;
	for (size_t i = 0; i < b->n_rules; i++)
		items[i].rule = (uint32_t)i;
	result = build_node(b, items, b->n_rules, 0, &root);
	free(items);
	return result;
}

static void take_census(const struct build *b, struct key_census *census)
{
	for (size_t r = 0; r < b->n_rules; r++) {
		for (size_t c = 0; c < n_looked_at(&b->rules[r]); c++) {
			const struct candidate *candidate = candidate_of(b, (uint32_t)r, c);

			for (size_t k = 0; k < candidate->n; k++)
				key_census_add(census, &b->rules[r].conditions[c],
					       &keys_of(b, candidate)[k]);
		}
	}
}

static const void *keep(const struct array *array, size_t size, struct arena *arena)
{
	void *copy = arena_zalloc(arena, array->n * size + 1);

	return copy && array->n > 0 ? memcpy(copy, array->items, array->n * size) : copy;
}

static int keep_slots(const struct build *b, struct rule_index *index, struct arena *arena)
{
	const struct slot *made = b->slots.items;
	size_t size = 4;
	struct slot *slots;

	while (size < 2 * b->slots.n)
		size *= 2;
	slots = arena_zalloc(arena, size * sizeof(*slots));
	if (!slots)
		return -1;
	index->mask = size - 1;
	for (size_t i = 0; i < b->slots.n; i++) {
		uint64_t at = made[i].key & index->mask;

		while (slots[at].key != 0)
			at = (at + 1) & index->mask;
		slots[at] = made[i];
	}
	index->slots = slots;
	return 0;
}

static int keep_all(const struct build *b, struct rule_index *index, struct arena *arena)
{
	index->rules = b->rules;
	index->n_rules = b->n_rules;
	index->nodes = keep(&b->nodes, sizeof(struct node), arena);
	index->postings = keep(&b->postings, sizeof(uint32_t), arena);
	take_census(b, &index->census);
	return index->nodes && index->postings ? keep_slots(b, index, arena) : -1;
}

struct rule_index *rule_index_new(const struct rule *rules, size_t n_rules, struct arena *arena,
				  struct err *err)
{
	struct build b = {.rules = rules, .n_rules = n_rules, .budget = n_rules * COPIES_PER_RULE};
	struct rule_index *index = arena_zalloc(arena, sizeof(*index));
	bool is_made =
	    index && find_keys(&b) == 0 && build_root(&b) == 0 && keep_all(&b, index, arena) == 0;

	free(b.keys.items);
	free(b.candidates.items);
	free(b.first_candidate);
	free(b.nodes.items);
	free(b.postings.items);
	free(b.slots.items);
	if (is_made)
		return index;
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

/* ---- searching ---- */

struct search {
	const struct rule_index *index;
	const struct rule_request *request;
	size_t best; /* the first rule found so far; later ones need not be tried */
	size_t n_probes;
	struct probe probes[PROBES_MAX];
};

static void visit(struct search *search, uint32_t node);

static void try_rule(struct search *search, uint32_t rule)
{
	if (rule < search->best && rule_holds(&search->index->rules[rule], search->request))
		search->best = rule;
}

static void look_up(struct search *search, uint32_t node, uint64_t hash)
{
	const struct rule_index *index = search->index;
	uint64_t key = slot_key(node, hash);

	for (uint64_t at = key & index->mask; index->slots[at].key != 0;
	     at = (at + 1) & index->mask) {
		uint32_t target = index->slots[at].target;

		if (index->slots[at].key != key)
			continue;
		if (target & SINGLE_RULE)
			try_rule(search, target & ~SINGLE_RULE);
		else
			visit(search, target);
	}
}

struct node_search {
	struct search *search;
	uint32_t node;
};

static void on_probe(void *arg, uint64_t hash)
{
	struct node_search *at = arg;

	look_up(at->search, at->node, hash);
}

static void visit_children(struct search *search, uint32_t id)
{
	const struct node *node = &search->index->nodes[id];
	struct node_search at = {search, id};

	for (size_t i = 0; i < search->n_probes; i++)
		if (node->kinds & search->probes[i].bit)
			look_up(search, id, search->probes[i].hash);
	if (node->kinds & KEY_HEADER_BITS)
		header_probes(&search->index->census, node->kinds, search->request, on_probe, &at);
	if (node->kinds & KEY_QUERY_BITS)
		query_probes(node->kinds, search->request, on_probe, &at);
	if (node->kinds & KEY_GRAM_BITS)
		gram_probes(&search->index->census, node->kinds, search->request, on_probe, &at);
}

static void visit(struct search *search, uint32_t id)
{
	const struct node *node = &search->index->nodes[id];
	const uint32_t *postings = search->index->postings + node->first;

	if (node->min_rule >= search->best)
		return;
	if (node->kinds != 0)
		visit_children(search, id);
	for (uint32_t i = 0; i < node->n && postings[i] < search->best; i++)
		try_rule(search, postings[i]);
}

size_t rule_index_find(const struct rule_index *index, const struct rule_request *request)
{
	struct search search;

	search.index = index;
	search.request = request;
	search.best = index->n_rules;
	search.n_probes = 0;
	if (index->nodes[0].kinds != 0)
		search.n_probes = request_probes(&index->census, request, search.probes);
	visit(&search, 0);
	return search.best;
}
