/*
 * The embedded shape tables, parsed once each into immutable structs.  Shapes
 * refer to one another (and, as "$service.Name", to other tables) by name, so each is
 * first entered in its table's map and then filled in; recursion needs no special case.
 */
#include "common/aws/shapes.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/aws/shape_regex.h"

struct entry {
	const char *name; /* borrowed from the table's JSON */
	json_t *fact;     /* borrowed likewise */
	bool is_filled;
	struct shape shape;
	UT_hash_handle hh;
};

enum table_state { TABLE_UNREAD, TABLE_READ, TABLE_BROKEN };

/* Kept until exit: every string in the structs is borrowed from json. */
struct table {
	const char *service;
	const char *start, *end;
	enum table_state state;
	json_t *json;
	struct entry *entries;
	struct aws_model model;
};

#define EMBEDDED(service) extern const char aws_table_##service[], aws_table_##service##_end[];
EMBEDDED(elasticloadbalancing)
EMBEDDED(autoscaling)
EMBEDDED(monitoring)
EMBEDDED(ec2)
EMBEDDED(sts)
EMBEDDED(iam)
EMBEDDED(sns)
EMBEDDED(acm)
EMBEDDED(ssm)
EMBEDDED(config)
#undef EMBEDDED

#define TABLE(name) \
	{ \
		.service = #name, .start = aws_table_##name, .end = aws_table_##name##_end \
	}
static struct table tables[] = {
    TABLE(elasticloadbalancing),
    TABLE(autoscaling),
    TABLE(monitoring),
    TABLE(ec2),
    TABLE(sts),
    TABLE(iam),
    TABLE(sns),
    TABLE(acm),
    TABLE(ssm),
    TABLE(config),
};
#undef TABLE
static pthread_mutex_t tables_lock = PTHREAD_MUTEX_INITIALIZER;

/* An action without input: a structure without members. */
static const struct shape no_members = {.name = "Nothing", .kind = SHAPE_STRUCTURE};

static const char *const kind_names[] = {
    [SHAPE_STRUCTURE] = "structure", [SHAPE_LIST] = "list",       [SHAPE_MAP] = "map",
    [SHAPE_STRING] = "string",       [SHAPE_INTEGER] = "integer", [SHAPE_LONG] = "long",
    [SHAPE_FLOAT] = "float",         [SHAPE_DOUBLE] = "double",   [SHAPE_BOOLEAN] = "boolean",
    [SHAPE_TIMESTAMP] = "timestamp", [SHAPE_BLOB] = "blob",
};

static struct table *load(const char *service, struct err *err);

static const char *text_of(const json_t *fact, const char *key, const char *otherwise)
{
	const json_t *value = json_object_get(fact, key);

	return json_is_string(value) ? json_string_value(value) : otherwise;
}

static int kind_from_name(const char *name, enum shape_kind *kind)
{
	for (size_t i = 0; i < sizeof(kind_names) / sizeof(kind_names[0]); i++) {
		if (strcmp(kind_names[i], name) == 0) {
			*kind = (enum shape_kind)i;
			return 0;
		}
	}
	return -1;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
static struct entry *entry_find(const struct table *table, const char *name)
{
	struct entry *entry;

	HASH_FIND_STR(table->entries, name, entry);
	return entry;
}

/* The table and the bare name that a reference means: "Name" or "$service.Name". */
static struct entry *resolve(struct table *table, const char *reference, struct table **owner,
			     struct err *err)
{
	const char *name = reference;
	struct entry *entry;

	*owner = table;
	if (reference[0] == '$') {
		const char *dot = strchr(reference, '.');
		char service[64];

		if (!dot || (size_t)(dot - reference) > sizeof(service)) {
			err_set(err, EINVAL, "%s is no reference to a shape", reference);
			return NULL;
		}
		memcpy(service, reference + 1, (size_t)(dot - reference) - 1);
		service[dot - reference - 1] = '\0';
		*owner = load(service, err);
		if (!*owner)
			return NULL;
		name = dot + 1;
	}
	entry = entry_find(*owner, name);
	if (!entry)
		err_set(err, EINVAL, "shapes of %s: no shape %s (make shapes?)", (*owner)->service,
			name);
	return entry;
}

static const struct shape *shape_of(struct table *table, const json_t *fact, const char *key,
				    struct err *err)
{
	struct table *owner;
	const struct entry *entry = resolve(table, text_of(fact, key, "?"), &owner, err);

	return entry ? &entry->shape : NULL;
}

static bool array_has(const json_t *array, const char *text)
{
	size_t i;
	json_t *value;

	json_array_foreach (array, i, value) {
		if (strcmp(json_string_value(value), text) == 0)
			return true;
	}
	return false;
}

static int fill(struct table *table, struct entry *entry, struct err *err);

/* Members taken over from the shape that "from" names, but for those in "without". */
static int inherit(struct table *table, const json_t *fact, struct shape_member *members, size_t *n,
		   struct err *err)
{
	struct table *owner;
	struct entry *parent = resolve(table, text_of(fact, "from", "?"), &owner, err);

	if (!parent || fill(owner, parent, err) < 0)
		return -1;
	for (size_t i = 0; i < parent->shape.n_members; i++) {
		struct shape_member member = parent->shape.members[i];

		if (array_has(json_object_get(fact, "without"), member.name))
			continue;
		if (array_has(json_object_get(fact, "optional"), member.name))
			member.is_required = false;
		if (members)
			members[*n] = member;
		++*n;
	}
	return 0;
}

static int fill_member(struct table *table, const json_t *fact, struct shape_member *member,
		       struct err *err)
{
	member->name = text_of(fact, "name", "?");
	member->query_name = text_of(fact, "query", member->name);
	member->xml_name = text_of(fact, "xml", member->name);
	member->is_required = json_is_true(json_object_get(fact, "required"));
	member->is_unsupported = json_is_true(json_object_get(fact, "unsupported"));
	member->shape = shape_of(table, fact, "shape", err);
	return member->shape ? 0 : -1;
}

static int fill_structure(struct table *table, struct entry *entry, struct err *err)
{
	const json_t *own = json_object_get(entry->fact, "members");
	bool has_parent = json_object_get(entry->fact, "from") != NULL;
	struct shape_member *members;
	size_t n = 0, i;
	json_t *fact;

	if (has_parent && inherit(table, entry->fact, NULL, &n, err) < 0)
		return -1;
	members = calloc(n + json_array_size(own) + 1, sizeof(*members));
	if (!members) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	entry->shape.members = members;
	n = 0;
	if (has_parent && inherit(table, entry->fact, members, &n, err) < 0)
		return -1;
	json_array_foreach (own, i, fact) {
		if (fill_member(table, fact, &members[n++], err) < 0)
			return -1;
	}
	entry->shape.n_members = n;
	return 0;
}

static int fill_list(struct table *table, struct entry *entry, struct err *err)
{
	struct shape_member *element = &entry->shape.element;
	bool is_ec2 = table->model.protocol == AWS_EC2_QUERY;

	element->name = text_of(entry->fact, "name", is_ec2 ? "item" : "member");
	element->query_name = element->name;
	element->xml_name = element->name;
	element->shape = shape_of(table, entry->fact, "element", err);
	return element->shape ? 0 : -1;
}

static int fill_map(struct table *table, struct entry *entry, struct err *err)
{
	struct shape_member *key = &entry->shape.key, *value = &entry->shape.element;

	key->name = key->query_name = key->xml_name = text_of(entry->fact, "key_name", "key");
	value->name = value->query_name = value->xml_name =
	    text_of(entry->fact, "value_name", "value");
	key->shape = shape_of(table, entry->fact, "key", err);
	value->shape = key->shape ? shape_of(table, entry->fact, "value", err) : NULL;
	return value->shape ? 0 : -1;
}

static int fill_enums(struct entry *entry, struct err *err)
{
	const json_t *enums = json_object_get(entry->fact, "enum");
	const char **names;
	size_t i;
	json_t *name;

	if (!enums)
		return 0;
	names = calloc(json_array_size(enums) + 1, sizeof(*names));
	if (!names) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	json_array_foreach (enums, i, name)
		names[i] = json_string_value(name);
	entry->shape.enums = names;
	return 0;
}

static void fill_bounds(struct entry *entry)
{
	const json_t *min = json_object_get(entry->fact, "min");
	const json_t *max = json_object_get(entry->fact, "max");

	entry->shape.has_min = min != NULL;
	entry->shape.has_max = max != NULL;
	entry->shape.min = json_number_value(min);
	entry->shape.max = json_number_value(max);
	entry->shape.pattern = text_of(entry->fact, "pattern", NULL);
	if (entry->shape.pattern)
		entry->shape.regex = shape_regex_new(entry->shape.pattern);
	entry->shape.is_flattened = json_is_true(json_object_get(entry->fact, "flattened"));
}

static int fill(struct table *table, struct entry *entry, struct err *err)
{
	if (entry->is_filled)
		return 0;
	entry->is_filled = true;
	fill_bounds(entry);
	if (fill_enums(entry, err) < 0)
		return -1;
	if (entry->shape.kind == SHAPE_STRUCTURE)
		return fill_structure(table, entry, err);
	if (entry->shape.kind == SHAPE_LIST)
		return fill_list(table, entry, err);
	if (entry->shape.kind == SHAPE_MAP)
		return fill_map(table, entry, err);
	return 0;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
static int enter_shapes(struct table *table, struct err *err)
{
	const char *name;
	json_t *fact;

	json_object_foreach (json_object_get(table->json, "shapes"), name, fact) {
		struct entry *entry = calloc(1, sizeof(*entry));

		if (!entry) {
			err_set(err, ENOMEM, "out of memory");
			return -1;
		}
		entry->name = entry->shape.name = name;
		entry->fact = fact;
		HASH_ADD_KEYPTR(hh, table->entries, name, strlen(name), entry);
		if (kind_from_name(text_of(fact, "kind", "?"), &entry->shape.kind) < 0) {
			err_set(err, EINVAL, "shapes of %s: %s has no known kind", table->service,
				name);
			return -1;
		}
	}
	for (struct entry *entry = table->entries; entry; entry = entry->hh.next) {
		if (fill(table, entry, err) < 0)
			return -1;
	}
	return 0;
}

static int by_operation_name(const void *a, const void *b)
{
	return strcmp(((const struct aws_operation *)a)->name,
		      ((const struct aws_operation *)b)->name);
}

static int enter_operations(struct table *table, struct err *err)
{
	json_t *facts = json_object_get(table->json, "operations"), *fact;
	struct aws_operation *operations = calloc(json_object_size(facts) + 1, sizeof(*operations));
	const char *name;
	size_t n = 0;

	if (!operations) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	table->model.operations = operations;
	json_object_foreach (facts, name, fact) {
		struct aws_operation *operation = &operations[n++];

		operation->name = name;
		operation->input = &no_members;
		if (json_object_get(fact, "input"))
			operation->input = shape_of(table, fact, "input", err);
		if (json_object_get(fact, "output"))
			operation->output = shape_of(table, fact, "output", err);
		if (!operation->input || (json_object_get(fact, "output") && !operation->output))
			return -1;
	}
	qsort(operations, n, sizeof(*operations), by_operation_name);
	table->model.n_operations = n;
	return 0;
}

static int by_error_name(const void *a, const void *b)
{
	return strcmp(((const struct aws_error_shape *)a)->name,
		      ((const struct aws_error_shape *)b)->name);
}

static int enter_errors(struct table *table, struct err *err)
{
	json_t *facts = json_object_get(table->json, "errors"), *fact;
	struct aws_error_shape *errors = calloc(json_object_size(facts) + 1, sizeof(*errors));
	const char *name;
	size_t n = 0;

	if (!errors) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	table->model.errors = errors;
	json_object_foreach (facts, name, fact) {
		errors[n].name = name;
		errors[n].code = text_of(fact, "code", name);
		errors[n].http_status = (int)json_integer_value(json_object_get(fact, "status"));
		n++;
	}
	qsort(errors, n, sizeof(*errors), by_error_name);
	table->model.n_errors = n;
	return 0;
}

static enum aws_protocol protocol_from_name(const char *name)
{
	if (strcmp(name, "ec2") == 0)
		return AWS_EC2_QUERY;
	return strcmp(name, "json") == 0 ? AWS_JSON : AWS_QUERY;
}

static int read_table(struct table *table, struct err *err)
{
	json_error_t why;
	const json_t *model;

	table->json = json_loadb(table->start, (size_t)(table->end - table->start),
				 JSON_REJECT_DUPLICATES, &why);
	if (!table->json) {
		err_set(err, EINVAL, "shapes of %s: line %d: %s", table->service, why.line,
			why.text);
		return -1;
	}
	model = json_object_get(table->json, "model");
	table->model.service = table->service;
	table->model.version = text_of(model, "version", "");
	table->model.xml_namespace = text_of(model, "namespace", "");
	table->model.protocol = protocol_from_name(text_of(model, "protocol", ""));
	table->model.target = text_of(model, "target", "");
	table->model.json_type = text_of(model, "json_type", "");
	table->model.smithy_namespace = text_of(model, "smithy_namespace", "");
	if (enter_shapes(table, err) < 0 || enter_operations(table, err) < 0)
		return -1;
	return enter_errors(table, err);
}

static struct table *table_find(const char *service)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (strcmp(tables[i].service, service) == 0)
			return &tables[i];
	}
	return NULL;
}

/* Under tables_lock.  Tables never refer to each other in a circle: only config refers at all. */
static struct table *load(const char *service, struct err *err)
{
	struct table *table = table_find(service);

	if (!table) {
		err_set(err, ENOENT, "no AWS service \"%s\" is known", service);
		return NULL;
	}
	if (table->state == TABLE_UNREAD)
		table->state = read_table(table, err) < 0 ? TABLE_BROKEN : TABLE_READ;
	else if (table->state == TABLE_BROKEN)
		err_set(err, EINVAL, "the shapes of %s could not be read", service);
	return table->state == TABLE_READ ? table : NULL;
}

const struct aws_model *aws_model(const char *service, struct err *err)
{
	const struct table *table;

	pthread_mutex_lock(&tables_lock);
	table = load(service, err);
	pthread_mutex_unlock(&tables_lock);
	return table ? &table->model : NULL;
}

const struct aws_operation *aws_operation_find(const struct aws_model *model, const char *name)
{
	const struct aws_operation key = {.name = name};

	return bsearch(&key, model->operations, model->n_operations, sizeof(key),
		       by_operation_name);
}

const struct shape *aws_shape_find(const struct aws_model *model, const char *name)
{
	const struct table *table = table_find(model->service);
	const struct entry *entry = table ? entry_find(table, name) : NULL;

	return entry ? &entry->shape : NULL;
}

const struct shape_member *shape_member_find(const struct shape *structure, const char *name)
{
	for (size_t i = 0; i < structure->n_members; i++) {
		if (strcmp(structure->members[i].name, name) == 0)
			return &structure->members[i];
	}
	return NULL;
}

/* Several shapes may share a code (CloudWatch's ResourceNotFound): the one of that name is meant.
 */
const struct aws_error_shape *aws_error_find(const struct aws_model *model, const char *name)
{
	const struct aws_error_shape *found = NULL;

	for (size_t i = 0; i < model->n_errors; i++) {
		const struct aws_error_shape *error = &model->errors[i];

		if (strcmp(error->name, name) == 0)
			return error;
		if (found == NULL && strcmp(error->code, name) == 0)
			found = error;
	}
	return found;
}
