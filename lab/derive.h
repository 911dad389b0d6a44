/*
 * The configuration that the lab gives its children: the user's file with the settings of Lb and
 * Scaler filled in (addresses, endpoints, state), and with the load balancer of the single AWS
 * endpoint, which tells the three programs' APIs apart by the signature's scope.  Pure.
 */
#ifndef LAB_DERIVE_H
#define LAB_DERIVE_H

#include <jansson.h>

#include "common/base/err.h"

enum { DERIVE_PORT_DEFAULT = 4566 };

struct derive {
	const char *lb_api, *scaler_api, *lab_api; /* "127.0.0.1:40001" */
	int aws_port;
	const char *state_dir; /* folder of the children's databases unless the file says else */
};

/* A new document, or NULL without memory. */
MUST_CHECK json_t *derive_config(const json_t *config, const struct derive *derive);

/* The lab's own StateUrl and those of its children: "sqlite:X" gives X, X.lb and X.scaler. */
void derive_state_url(const json_t *config, const char *state_dir, const char *program, char *url,
		      size_t size);

/* "http://127.0.0.1:7001" for "0.0.0.0:7001". */
void derive_endpoint(const char *address, char *url, size_t size);

#endif
