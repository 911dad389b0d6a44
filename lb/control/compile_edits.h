/* A listener's attributes into what the request path obeys.  For compile.c alone. */
#ifndef LB_CONTROL_COMPILE_EDITS_H
#define LB_CONTROL_COMPILE_EDITS_H

#include <jansson.h>

#include "lb/routing/snapshot.h"

/* Where the edits of one listener lie until the snapshot has copied them. */
struct listener_edits {
	struct header_edit_list request, response;
};

/* document: of the listener's attributes, NULL = all defaults; out borrows from both. */
void compile_listener_attributes(const json_t *document, struct listener_edits *edits,
				 struct listener_attributes *out);

#endif
