/*
 * Copying text into the model's fixed fields.  Pure.
 */
#include "scaler/engine/parts.h"

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
