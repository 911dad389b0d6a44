/* Edits of headers: see header_edits.h. */
#include "lb/routing/header_edits.h"

#include <errno.h>

/* Each frames or routes the message, or is only ours to say. */
static const struct text untouchable[] = {
    TEXT("Connection"),
    TEXT("Content-Length"),
    TEXT("Expect"),
    TEXT("Host"),
    TEXT("HTTP2-Settings"),
    TEXT("Keep-Alive"),
    TEXT("Proxy-Connection"),
    TEXT("TE"),
    TEXT("Trailer"),
    TEXT("Transfer-Encoding"),
    TEXT("Upgrade"),
    TEXT("X-Amzn-Trace-Id"),
    TEXT("X-Forwarded-For"),
    TEXT("X-Forwarded-Port"),
    TEXT("X-Forwarded-Proto"),
};

static bool is_token(struct text text)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i], lower = (char)(c | 0x20);

		if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
		      (c != '\0' && memchr(marks, c, sizeof(marks) - 1))))
			return false;
	}
	return text.len > 0;
}

static bool is_touchable(struct text name)
{
	for (size_t i = 0; i < sizeof(untouchable) / sizeof(untouchable[0]); i++)
		if (text_equal_nocase(name, untouchable[i]))
			return false;
	return true;
}

static bool is_value(struct text text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f)
			return false;
	return true;
}

static struct text trimmed(struct text text)
{
	while (text.len > 0 && strchr(" \t\r", text.at[text.len - 1]))
		text.len--;
	while (text.len > 0 && strchr(" \t", text.at[0])) {
		text.at++;
		text.len--;
	}
	return text;
}

/* Cuts the part before the first of the marks off. */
static struct text cut(struct text *rest, const char *marks)
{
	struct text part = {rest->at, 0};

	while (part.len < rest->len && !strchr(marks, rest->at[part.len]))
		part.len++;
	size_t used = part.len + (part.len < rest->len);
	rest->at += used;
	rest->len -= used;
	return trimmed(part);
}

static int check_name(struct text name, struct err *err)
{
	if (!is_token(name)) {
		err_set(err, EINVAL, "'%.*s' is not the name of a header", (int)name.len, name.at);
		return -1;
	}
	if (!is_touchable(name)) {
		err_set(err, EINVAL, "the header %.*s cannot be edited", (int)name.len, name.at);
		return -1;
	}
	return 0;
}

static int add(struct header_edit_list *list, const struct header_edit *edit, struct err *err)
{
	if (check_name(edit->name, err) < 0)
		return -1;
	if (edit->kind == HEADER_EDIT_RENAME && check_name(edit->value, err) < 0)
		return -1;
	if (!is_value(edit->value)) {
		err_set(err, EINVAL, "the value of %.*s has bytes that no header can have",
			(int)edit->name.len, edit->name.at);
		return -1;
	}
	if (list->n == HEADER_EDITS_MAX) {
		err_set(err, E2BIG, "more than %d edits of headers", HEADER_EDITS_MAX);
		return -1;
	}
	list->edits[list->n++] = *edit;
	return 0;
}

int header_edits_parse(struct header_edit_list *list, enum header_edit_kind kind,
		       struct text attribute, struct err *err)
{
	struct text rest = attribute;

	while (rest.len > 0) {
		struct text part = cut(&rest, kind == HEADER_EDIT_REMOVE ? ",\n" : "\n");
		struct header_edit edit = {.kind = kind, .name = part};

		if (part.len == 0)
			continue;
		if (kind != HEADER_EDIT_REMOVE) {
			edit.name = cut(&part, ":");
			edit.value = trimmed(part);
		}
		if (add(list, &edit, err) < 0)
			return -1;
	}
	return 0;
}

bool header_edits_pass(const struct header_edits *edits, struct text *name)
{
	for (unsigned i = 0; i < edits->n; i++) {
		const struct header_edit *edit = &edits->edits[i];

		if (text_equal_nocase(edit->name, *name)) {
			if (edit->kind == HEADER_EDIT_RENAME)
				*name = edit->value;
			return edit->kind == HEADER_EDIT_RENAME;
		}
		if (edit->kind == HEADER_EDIT_RENAME && text_equal_nocase(edit->value, *name))
			return false;
	}
	return true;
}
