/*
 * Which service is a request for?  Pure.  Private to the server and its tests.
 */
#ifndef COMMON_AWS_SERVER_ROUTE_H
#define COMMON_AWS_SERVER_ROUTE_H

#include <stdbool.h>

/* All borrowed; "" or NULL for what the request does not have. */
struct route_hints {
	const char *scope_service; /* of the credential scope */
	const char *version;       /* the form's Version */
	const char *host;          /* the Host header */
	const char *user_agent;
};

/*
 * The SigV4 scope name of the service: of the credential scope, else by Version, else by the first
 * label of Host, else by "api/NAME#" in User-Agent.  The text is the hints' own or static; NULL
 * when nothing tells.  It may name a service that is not ours.
 */
const char *route_service(const struct route_hints *hints);

/*
 * May a page in somebody's browser have sent a request with this Host?  DNS rebinding turns a name
 * that its owner controls into 127.0.0.1; an address, "localhost" and names without a public
 * domain cannot be used for that.
 */
bool route_is_local_host(const char *host);

#endif
