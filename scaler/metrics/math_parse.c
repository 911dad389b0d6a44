/*
 * The syntax of metric math: a recursive descent into a tree of at most MATH_NODES_MAX nodes.
 * From weak to strong: OR, AND, comparisons, + -, * /, -x, ^ (to the right).  Pure.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scaler/metrics/math_parts.h"

struct parser {
	const char *text, *at;
	struct math_tree *tree;
	int depth;
	struct err *err;
};

static struct math_node *parse_level(struct parser *parser, int level);

static struct math_node *refuse(struct parser *parser, const char *why)
{
	err_set(parser->err, ERANGE, "Invalid syntax at character %zu: %s",
		(size_t)(parser->at - parser->text) + 1, why);
	return NULL;
}

static struct math_node *new_node(struct parser *parser, enum math_node_kind kind)
{
	struct math_node *node;

	if (parser->tree->n == MATH_NODES_MAX)
		return refuse(parser, "the expression is too long.");
	node = calloc(1, sizeof(*node));
	if (node == NULL) {
		err_set(parser->err, ENOMEM, "out of memory");
		return NULL;
	}
	node->kind = kind;
	node->made = parser->tree->all;
	parser->tree->all = node;
	parser->tree->n++;
	return node;
}

static void skip_blank(struct parser *parser)
{
	parser->at += strspn(parser->at, " \t\r\n");
}

static bool take(struct parser *parser, const char *text)
{
	size_t len = strlen(text);

	skip_blank(parser);
	if (strncasecmp(parser->at, text, len) != 0)
		return false;
	/* A word ends where no letter follows. */
	if (isalpha((unsigned char)text[0]) &&
	    (isalnum((unsigned char)parser->at[len]) || parser->at[len] == '_'))
		return false;
	parser->at += len;
	return true;
}

/* ---- operands ---- */

static struct math_node *parse_number(struct parser *parser)
{
	/* strtod alone would take "0x10", "nan" and "infinity". */
	size_t len = strspn(parser->at, "0123456789.");
	struct math_node *node;
	char text[64], *end;

	if ((parser->at[len] == 'e' || parser->at[len] == 'E')) {
		size_t sign = parser->at[len + 1] == '+' || parser->at[len + 1] == '-';
		size_t digits = strspn(parser->at + len + 1 + sign, "0123456789");

		len += digits > 0 ? 1 + sign + digits : 0;
	}
	if (len >= sizeof(text))
		return refuse(parser, "the number is too long.");
	memcpy(text, parser->at, len);
	text[len] = '\0';
	node = new_node(parser, NODE_NUMBER);
	if (node == NULL)
		return NULL;
	node->number = strtod(text, &end);
	if (*end != '\0' || len == 0)
		return refuse(parser, "this is no number.");
	parser->at += len;
	return node;
}

static struct math_node *word_node(struct parser *parser, enum math_node_kind kind, size_t len)
{
	struct math_node *node;

	if (len == 0 || len >= MATH_WORD_MAX)
		return refuse(parser, "a name is missing or too long.");
	node = new_node(parser, kind);
	if (node == NULL)
		return NULL;
	node->word = strndup(parser->at, len);
	if (node->word == NULL) {
		err_set(parser->err, ENOMEM, "out of memory");
		return NULL;
	}
	parser->at += len;
	return node;
}

static struct math_node *parse_text(struct parser *parser)
{
	char quote[2] = {*parser->at++, '\0'};
	struct math_node *node = word_node(parser, NODE_TEXT, strcspn(parser->at, quote));

	if (node == NULL)
		return NULL;
	if (*parser->at != quote[0])
		return refuse(parser, "a quotation mark is missing.");
	parser->at++;
	return node;
}

/* The members of an array or a call, up to end. */
static struct math_node *parse_list(struct parser *parser, struct math_node *list, const char *end)
{
	struct math_node **last = &list->first;

	if (take(parser, end))
		return list;
	do {
		*last = parse_level(parser, 0);
		if (*last == NULL)
			return NULL;
		last = &(*last)->next;
	} while (take(parser, ","));
	if (!take(parser, end))
		return refuse(parser, "a comma or a closing bracket is expected.");
	return list;
}

static struct math_node *parse_word(struct parser *parser)
{
	size_t len = 0;
	struct math_node *node;

	while (isalnum((unsigned char)parser->at[len]) || parser->at[len] == '_')
		len++;
	node = word_node(parser, NODE_ID, len);
	if (node == NULL || !take(parser, "("))
		return node;
	node->kind = NODE_CALL;
	return parse_list(parser, node, ")");
}

static struct math_node *parse_operand(struct parser *parser)
{
	struct math_node *node;

	skip_blank(parser);
	if (take(parser, "(")) {
		node = parse_level(parser, 0);
		if (node != NULL && !take(parser, ")"))
			return refuse(parser, "a closing parenthesis is missing.");
		return node;
	}
	if (take(parser, "[")) {
		node = new_node(parser, NODE_ARRAY);
		return node != NULL ? parse_list(parser, node, "]") : NULL;
	}
	if (*parser->at == '"' || *parser->at == '\'')
		return parse_text(parser);
	if (isdigit((unsigned char)*parser->at) || *parser->at == '.')
		return parse_number(parser);
	if (isalpha((unsigned char)*parser->at))
		return parse_word(parser);
	return refuse(parser, "a metric, a number or a function is expected.");
}

/* ---- operators ---- */

static struct math_node *join(struct parser *parser, enum math_operator op, struct math_node *left,
			      struct math_node *right)
{
	struct math_node *node = right != NULL ? new_node(parser, NODE_BINARY) : NULL;

	if (node == NULL)
		return NULL;
	node->op = op;
	node->first = left;
	left->next = right;
	return node;
}

static struct math_node *parse_signed(struct parser *parser);

static struct math_node *parse_power(struct parser *parser)
{
	struct math_node *node = parse_operand(parser);

	if (node == NULL || !take(parser, "^"))
		return node;
	return join(parser, MATH_POWER, node, parse_signed(parser));
}

static struct math_node *parse_signed(struct parser *parser)
{
	struct math_node *node, *inner;

	if (!take(parser, "-"))
		return parse_power(parser);
	if (parser->depth == MATH_DEPTH_MAX)
		return refuse(parser, "it is nested too deeply.");
	parser->depth++;
	inner = parse_signed(parser);
	parser->depth--;
	node = inner != NULL ? new_node(parser, NODE_NEGATE) : NULL;
	if (node != NULL)
		node->first = inner;
	return node;
}

enum { LEVELS = 5, OPERATORS_MAX = 7 };

static const struct {
	const char *text;
	enum math_operator op;
} operators[LEVELS][OPERATORS_MAX] = {
    {{"OR", MATH_OR}, {"||", MATH_OR}},
    {{"AND", MATH_AND}, {"&&", MATH_AND}},
    {{"==", MATH_EQUAL},
     {"!=", MATH_NOT_EQUAL},
     {"<=", MATH_LESS_EQUAL},
     {">=", MATH_GREATER_EQUAL},
     {"<", MATH_LESS},
     {">", MATH_GREATER}},
    {{"+", MATH_ADD}, {"-", MATH_SUBTRACT}},
    {{"*", MATH_MULTIPLY}, {"/", MATH_DIVIDE}},
};

static bool take_operator(struct parser *parser, int level, enum math_operator *op)
{
	for (int i = 0; i < OPERATORS_MAX && operators[level][i].text != NULL; i++) {
		if (!take(parser, operators[level][i].text))
			continue;
		*op = operators[level][i].op;
		return true;
	}
	return false;
}

static struct math_node *parse_operators(struct parser *parser, int level)
{
	struct math_node *node;
	enum math_operator op;

	if (level == LEVELS)
		return parse_signed(parser);
	node = parse_operators(parser, level + 1);
	while (node != NULL && take_operator(parser, level, &op))
		node = join(parser, op, node, parse_operators(parser, level + 1));
	return node;
}

static struct math_node *parse_level(struct parser *parser, int level)
{
	struct math_node *node;

	if (parser->depth == MATH_DEPTH_MAX)
		return refuse(parser, "it is nested too deeply.");
	parser->depth++;
	node = parse_operators(parser, level);
	parser->depth--;
	return node;
}

int math_parse(const char *text, struct math_tree *tree, struct err *err)
{
	struct parser parser = {.text = text, .at = text, .tree = tree, .err = err};

	*tree = (struct math_tree){0};
	if (strlen(text) > MATH_TEXT_MAX)
		refuse(&parser, "the expression is too long.");
	else
		tree->root = parse_level(&parser, 0);
	skip_blank(&parser);
	if (tree->root != NULL && *parser.at != '\0')
		tree->root = refuse(&parser, "an op or the end is expected.");
	if (tree->root != NULL)
		return 0;
	math_tree_fini(tree);
	return -1;
}

void math_tree_fini(struct math_tree *tree)
{
	while (tree->all != NULL) {
		struct math_node *next = tree->all->made;

		free(tree->all->word);
		free(tree->all);
		tree->all = next;
	}
	*tree = (struct math_tree){0};
}
