/* UTF-8 as bytes from a peer: one step at a time, refusing what RFC 3629 refuses.  Pure. */
#ifndef COMMON_AWS_UTF8_H
#define COMMON_AWS_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the well-formed character that text begins with; 0 if it begins with none. */
size_t utf8_step(const char *text, size_t len);
bool utf8_is_valid(const char *text, size_t len);

#endif
