/*
 * Instance refreshes as their three files see them: refresh_record.c keeps the document,
 * refresh.c takes it a step further in each tick, refresh_ask.c answers people.  Only for
 * scaler/engine.
 */
#ifndef SCALER_ENGINE_REFRESH_H
#define SCALER_ENGINE_REFRESH_H

#include "scaler/engine/replace.h"

/* ---- refresh_record.c ---- */

json_t *refresh_current(const struct group *group); /* borrowed; NULL: none is under way */
bool refresh_is_in(const json_t *refresh, const char *status);
void refresh_set_text(struct group *group, json_t *refresh, const char *member, const char *text);
void refresh_set_int(struct group *group, json_t *refresh, const char *member, int64_t value);
/* Its Preferences. */
int64_t refresh_preference(const json_t *refresh, const char *member, int64_t otherwise);
const char *refresh_preferred(const json_t *refresh, const char *member); /* "": not given */

/* Launches are from the DesiredConfiguration; NULL: from the group's own again. */
void refresh_use(struct group *group, const json_t *configuration);
/* It is, or is not, to be replaced by the refresh. */
void refresh_mark(struct instance *instance, bool is_outdated);
/* why: StatusReason, NULL for none. */
void refresh_finish(struct group *group, json_t *refresh, const char *status, const char *why,
		    int64_t now_ms);
void refresh_begin_rollback(struct group *group, json_t *refresh, const char *why, int64_t now_ms);
/* It fails, or rolls back where it is to. */
void refresh_fail(struct group *group, json_t *refresh, const char *why, int64_t now_ms);

#endif
