/*
 * Copying text into the model's fixed fields.  Pure.
 */
#include <string.h>

#include "scaler/engine/parts.h"

void text_mend(char *text)
{
	size_t len = strlen(text), lead = len;
	unsigned char first;
	size_t whole;

	while (lead > 0 && ((unsigned char)text[lead - 1] & 0xC0) == 0x80)
		lead--;
	if (lead == 0)
		return;
	first = (unsigned char)text[lead - 1];
	whole = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	if (len - lead + 1 < whole)
		text[lead - 1] = '\0';
}

void text_copy(char *to, size_t size, const char *from)
{
	size_t i = 0;

	for (; from && from[i] && i + 1 < size; i++)
		to[i] = from[i];
	/* Cut between characters, never inside one: JSON takes UTF-8 only. */
	while (from && i > 0 && ((unsigned char)from[i] & 0xC0) == 0x80)
		i--;
	to[i] = '\0';
}
