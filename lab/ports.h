/*
 * TCP ports before anybody listens on them: is one free, and which one is.  Start of the program;
 * opens and closes sockets, keeps none but those of struct port_hold.
 */
#ifndef LAB_PORTS_H
#define LAB_PORTS_H

#include <jansson.h>

#include "common/base/err.h"

enum { PORTS_ADDRESS_MAX = 160 };

/* -1 with err ("127.0.0.1:8080 is in use") when something listens there; a port that we may not
 * bind, or an address that cannot be read, is somebody else's to complain about: 0. */
MUST_CHECK int port_check_free(const char *address, int port, struct err *err);

/* A free port of 127.0.0.1, held so that no other call gets it. */
struct port_hold {
	int fd; /* -1 = none */
	int port;
};
MUST_CHECK int port_hold_take(struct port_hold *hold, struct err *err);
/* Now somebody else may listen there. */
void port_hold_give_back(struct port_hold *hold);

/* Every listener of the file's load balancers; err names the first that is taken. */
MUST_CHECK int ports_check_listeners(const json_t *config, struct err *err);

/* A child's API address: the one that its section of the file gives, checked; or a free port, held
 * until the child starts. */
MUST_CHECK int ports_choose_api(const json_t *config, const char *section, struct port_hold *hold,
				char address[PORTS_ADDRESS_MAX], struct err *err);

#endif
