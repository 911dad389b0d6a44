/* Writing XML 1.0 into a buffer: elements and escaped text.  For the encoders. */
#ifndef COMMON_AWS_XML_TEXT_H
#define COMMON_AWS_XML_TEXT_H

#include <stddef.h>

#include "common/base/buf.h"

#define XML_DECLARATION "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

/* Escapes markup; what XML 1.0 cannot hold (control characters, broken UTF-8) becomes U+FFFD. */
void xml_add_text(struct buf *xml, const char *text, size_t len);
void xml_add_element(struct buf *xml, const char *name, const char *text);
void xml_open(struct buf *xml, const char *name);
void xml_close(struct buf *xml, const char *name);
void xml_empty(struct buf *xml, const char *name);

#endif
