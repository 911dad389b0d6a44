/* Base64 of user data (RFC 4648 section 4; line breaks are skipped, padding may lack).  Pure. */
#ifndef LAB_EC2_BASE64_H
#define LAB_EC2_BASE64_H

#include <stddef.h>

/* New memory (NUL-terminated beyond *len), or NULL: not base64, or none left. */
unsigned char *base64_decode(const char *text, size_t *len);

#endif
