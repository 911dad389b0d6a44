/*
 * Settings that AWS does not have: tags of the group, so that every client can set them.  A value
 * that is no number, or out of range, counts as not given.  Pure.
 */
#include <stdlib.h>

#include "scaler/engine/replace.h"

static const struct {
	const char *tag;
	int64_t otherwise, min, max;
} settings[] = {
    [SETTING_REPLACE_PERCENT] = {"albatross:replace-percent", 10, 1, 100},
    [SETTING_MASS_FAILURE_PERCENT] = {"albatross:mass-failure-percent", 50, 1, 100},
    [SETTING_MOVES_PER_HOUR] = {"albatross:zone-moves-per-hour", -1, 0, 100000},
    [SETTING_REFRESH_PATIENCE_S] = {"albatross:refresh-patience", 3600, 60, 1209600},
};

int64_t setting(const struct group *group, enum setting which)
{
	const char *text =
	    doc_kv_get(doc_array(group->document, "Tags"), settings[which].tag, NULL);
	char *end;
	long long value;

	if (!text)
		return settings[which].otherwise;
	value = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || value < settings[which].min ||
	    value > settings[which].max)
		return settings[which].otherwise;
	return value;
}
