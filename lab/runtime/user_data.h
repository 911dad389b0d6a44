/* What kind of user data it is, and so whether the process runtime can run it.  Pure. */
#ifndef LAB_RUNTIME_USER_DATA_H
#define LAB_RUNTIME_USER_DATA_H

#include <stddef.h>

enum user_data_kind {
	USER_DATA_NONE,
	USER_DATA_SCRIPT,      /* #!: run */
	USER_DATA_TEXT,        /* none of cloud-init's kinds: ignored, as cloud-init does */
	USER_DATA_UNSUPPORTED, /* cloud-config, MIME, gzip, ..: needs cloud-init */
};

/* *what names the kind in words for a message. */
enum user_data_kind user_data_kind(const unsigned char *bytes, size_t len, const char **what);

#endif
