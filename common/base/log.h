/*
 * The programs' own log: one line an event on stderr, a fixed event name and
 * key=value pairs.  Any thread; a line is one write(2), so lines never mix.
 * The level is tested before arguments are evaluated.  Not the access log.
 */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

#include "common/base/check.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Set once, before threads start.  program: "albatross-lb"; borrowed for ever. */
void log_start(const char *program, enum log_level level);

/* "error", "warn", "info", "debug"; -1 if the name is none of them. */
int log_level_from_name(const char *name);

extern enum log_level log_level_now; /* read by the macros; written by log_start only */

/* format: key=value pairs; quote text that may hold spaces: why=\"%s\". */
void log_write(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_at(level, ...) ((level) <= log_level_now ? log_write((level), __VA_ARGS__) : (void)0)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
