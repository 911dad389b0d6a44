/*
 * Rules of composite alarms: a recursive descent into a postfix program, which has nothing to
 * free but itself.  Pure.
 */
#include "scaler/metrics/alarm_expression.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 2048, NAME_MAX_BYTES = 1024 };

enum step_kind { STEP_TRUE, STEP_FALSE, STEP_STATE, STEP_NOT, STEP_AND, STEP_OR };

struct step {
	enum step_kind kind;
	enum alarm_state state; /* of STEP_STATE */
	size_t name;
};

struct alarm_expression {
	struct step *steps;
	size_t n_steps;
	char *names[ALARM_EXPRESSION_ALARMS_MAX];
	size_t n_names;
};

struct parser {
	const char *text, *at;
	struct alarm_expression *expression;
	int depth;
	struct err *err;
};

static bool parse_or(struct parser *parser);

static bool refuse(struct parser *parser, const char *why)
{
	err_set(parser->err, ERANGE, "The alarm rule is invalid at character %zu: %s",
		(size_t)(parser->at - parser->text) + 1, why);
	return false;
}

static bool out_of_memory(struct parser *parser)
{
	err_set(parser->err, ENOMEM, "out of memory");
	return false;
}

static void skip_blank(struct parser *parser)
{
	parser->at += strspn(parser->at, " \t\r\n");
}

static bool is_word_end(char c)
{
	return c == '\0' || strchr(" \t\r\n()", c) != NULL;
}

/* Takes the word if it stands there. */
static bool take_word(struct parser *parser, const char *word)
{
	size_t len = strlen(word);

	skip_blank(parser);
	if (strncmp(parser->at, word, len) != 0 || !is_word_end(parser->at[len]))
		return false;
	parser->at += len;
	return true;
}

static bool take_char(struct parser *parser, char c)
{
	skip_blank(parser);
	if (*parser->at != c)
		return false;
	parser->at++;
	return true;
}

static bool emit(struct parser *parser, struct step step)
{
	struct alarm_expression *expression = parser->expression;

	if (expression->n_steps == STEPS_MAX)
		return refuse(parser, "it is too long.");
	expression->steps[expression->n_steps++] = step;
	return true;
}

/* ---- names ---- */

/* The name in the ARN of an alarm; others as they are. */
static const char *plain_name(const char *text)
{
	const char *at = strncmp(text, "arn:", 4) == 0 ? strstr(text, ":alarm:") : NULL;

	return at != NULL ? at + strlen(":alarm:") : text;
}

/* The text between the parentheses into name; quotes may hold parentheses and, behind a backslash,
 * quotes. */
static bool read_name(struct parser *parser, char name[NAME_MAX_BYTES])
{
	char quote;
	size_t n = 0;

	skip_blank(parser);
	quote = *parser->at == '"' || *parser->at == '\'' ? *parser->at++ : '\0';
	for (; *parser->at != '\0'; parser->at++) {
		if (quote != '\0' ? *parser->at == quote : is_word_end(*parser->at))
			break;
		if (quote != '\0' && *parser->at == '\\' && parser->at[1] != '\0')
			parser->at++;
		if (n == NAME_MAX_BYTES - 1)
			return refuse(parser, "the name of an alarm is too long.");
		name[n++] = *parser->at;
	}
	name[n] = '\0';
	if (quote != '\0' && *parser->at++ != quote)
		return refuse(parser, "a quotation mark is missing.");
	return n > 0 || refuse(parser, "the name of an alarm is missing.");
}

static bool intern(struct parser *parser, const char *name, size_t *index)
{
	struct alarm_expression *expression = parser->expression;

	for (*index = 0; *index < expression->n_names; ++*index)
		if (strcmp(expression->names[*index], name) == 0)
			return true;
	if (expression->n_names == ALARM_EXPRESSION_ALARMS_MAX)
		return refuse(parser, "it names too many alarms.");
	expression->names[expression->n_names] = strdup(name);
	if (expression->names[expression->n_names] == NULL)
		return out_of_memory(parser);
	expression->n_names++;
	return true;
}

/* ---- grammar ---- */

static bool parse_state(struct parser *parser, enum alarm_state state)
{
	struct step step = {.kind = STEP_STATE, .state = state};
	char name[NAME_MAX_BYTES];

	if (!take_char(parser, '('))
		return refuse(parser, "a parenthesis with the name of an alarm is missing.");
	if (!read_name(parser, name))
		return false;
	if (!take_char(parser, ')'))
		return refuse(parser, "a closing parenthesis is missing.");
	return intern(parser, plain_name(name), &step.name) && emit(parser, step);
}

static bool parse_group(struct parser *parser)
{
	bool is_good;

	if (parser->depth == ALARM_EXPRESSION_DEPTH_MAX)
		return refuse(parser, "it is nested too deeply.");
	parser->depth++;
	is_good = parse_or(parser);
	parser->depth--;
	if (!is_good)
		return false;
	return take_char(parser, ')') || refuse(parser, "a closing parenthesis is missing.");
}

static bool parse_one(struct parser *parser)
{
	if (take_char(parser, '('))
		return parse_group(parser);
	if (take_word(parser, "TRUE"))
		return emit(parser, (struct step){.kind = STEP_TRUE});
	if (take_word(parser, "FALSE"))
		return emit(parser, (struct step){.kind = STEP_FALSE});
	if (take_word(parser, "ALARM"))
		return parse_state(parser, ALARM_ALARM);
	if (take_word(parser, "OK"))
		return parse_state(parser, ALARM_OK);
	if (take_word(parser, "INSUFFICIENT_DATA"))
		return parse_state(parser, ALARM_INSUFFICIENT_DATA);
	return refuse(parser, "ALARM, OK, INSUFFICIENT_DATA, TRUE, FALSE, NOT or a parenthesis is "
			      "expected.");
}

static bool parse_not(struct parser *parser)
{
	bool is_negated = false;

	while (take_word(parser, "NOT"))
		is_negated = !is_negated;
	return parse_one(parser) && (!is_negated || emit(parser, (struct step){.kind = STEP_NOT}));
}

static bool parse_and(struct parser *parser)
{
	if (!parse_not(parser))
		return false;
	while (take_word(parser, "AND"))
		if (!parse_not(parser) || !emit(parser, (struct step){.kind = STEP_AND}))
			return false;
	return true;
}

static bool parse_or(struct parser *parser)
{
	if (!parse_and(parser))
		return false;
	while (take_word(parser, "OR"))
		if (!parse_and(parser) || !emit(parser, (struct step){.kind = STEP_OR}))
			return false;
	return true;
}

static bool parse_all(struct parser *parser)
{
	if (strlen(parser->text) > ALARM_EXPRESSION_TEXT_MAX)
		return refuse(parser, "it is too long.");
	if (!parse_or(parser))
		return false;
	skip_blank(parser);
	return *parser->at == '\0' || refuse(parser, "AND, OR or the end is expected.");
}

struct alarm_expression *alarm_expression_parse(const char *text, struct err *err)
{
	struct parser parser = {.text = text, .at = text, .err = err};

	parser.expression = calloc(1, sizeof(*parser.expression));
	if (parser.expression != NULL)
		parser.expression->steps = calloc(STEPS_MAX, sizeof(struct step));
	if (parser.expression == NULL || parser.expression->steps == NULL)
		out_of_memory(&parser);
	else if (parse_all(&parser))
		return parser.expression;
	alarm_expression_free(parser.expression);
	return NULL;
}

void alarm_expression_free(struct alarm_expression *expression)
{
	if (expression == NULL)
		return;
	for (size_t i = 0; i < expression->n_names; i++)
		free(expression->names[i]);
	free(expression->steps);
	free(expression);
}

/* ---- use ---- */

size_t alarm_expression_count(const struct alarm_expression *expression)
{
	return expression->n_names;
}

const char *alarm_expression_name(const struct alarm_expression *expression, size_t i)
{
	return expression->names[i];
}

bool alarm_expression_names(const struct alarm_expression *expression, const char *alarm)
{
	for (size_t i = 0; i < expression->n_names; i++)
		if (strcmp(expression->names[i], alarm) == 0)
			return true;
	return false;
}

bool alarm_expression_holds(const struct alarm_expression *expression, alarm_state_fn state_of,
			    void *arg)
{
	bool stack[STEPS_MAX] = {false};
	size_t n = 0;

	for (size_t i = 0; i < expression->n_steps; i++) {
		const struct step *step = &expression->steps[i];

		switch (step->kind) {
		case STEP_TRUE:
		case STEP_FALSE:
			stack[n++] = step->kind == STEP_TRUE;
			break;
		case STEP_STATE:
			stack[n++] = state_of(arg, expression->names[step->name]) == step->state;
			break;
		case STEP_NOT:
			stack[n - 1] = !stack[n - 1];
			break;
		case STEP_AND:
			n--;
			stack[n - 1] = stack[n - 1] && stack[n];
			break;
		case STEP_OR:
			n--;
			stack[n - 1] = stack[n - 1] || stack[n];
			break;
		}
	}
	CHECK(n == 1);
	return stack[0];
}
