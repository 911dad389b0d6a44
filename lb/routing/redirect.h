/* The Location of a redirect action: its #{keywords} replaced.  Pure. */
#ifndef LB_ROUTING_REDIRECT_H
#define LB_ROUTING_REDIRECT_H

#include "lb/routing/snapshot.h"
#include "lb/routing/text.h"

enum { REDIRECT_LOCATION_MAX = 8192 };

struct redirect_request {
	struct text protocol; /* "HTTP", "HTTPS" */
	struct text host;     /* without port */
	struct text port;
	struct text path;  /* as sent, with the leading slash */
	struct text query; /* without '?' */
};

/* The length of what is now in out[REDIRECT_LOCATION_MAX]; -1 when it would be longer (answer 507).
 */
MUST_CHECK int redirect_location(const struct redirect *redirect,
				 const struct redirect_request *request, char *out);

#endif
