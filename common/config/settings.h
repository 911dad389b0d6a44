/*
 * The settings that each program's own section (Lb, Scaler, Lab) shares with the
 * others', with their defaults.  Pure.
 */
#ifndef COMMON_CONFIG_SETTINGS_H
#define COMMON_CONFIG_SETTINGS_H

#include <jansson.h>

/* Everything is borrowed from the document, or constant. */
struct config_settings {
	const json_t *section;     /* the program's own; NULL when the file has none */
	const char *api_address;   /* 127.0.0.1:7001, :7002, :7003 */
	const char *state_url;     /* memory: */
	const char *region;        /* us-east-1 */
	const char *account_id;    /* 000000000000 */
	const json_t *credentials; /* [{AccessKeyId, SecretAccessKey}]; NULL when none are given */
};

/* section: "Lb", "Scaler" or "Lab" of a document from config_load(). */
void config_settings_read(const json_t *config, const char *section,
			  struct config_settings *settings);

#endif
