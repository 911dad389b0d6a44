/*
 * What is live, as a configuration: of the load balancers and groups that the
 * command line names (import), or of those that a file names (diff).
 */
#ifndef LB_IMPORT_LIVE_H
#define LB_IMPORT_LIVE_H

#include <jansson.h>

#include "lb/import/options.h"

/* New reference; NULL with err. */
MUST_CHECK json_t *live_import(const struct source *source, const struct import_options *options,
			       json_t *notes, struct err *err);

/* Two configurations to compare, of the same form. */
struct live_sides {
	json_t *file, *live; /* owned */
};

/*
 * Both sides, new references.  config: the file's, checked; own: what it would tell; what no file
 * decides (capacity now, instances of groups as targets) is in neither.  with_scaling: beside load
 * balancers and target groups.  -1 with err.
 */
MUST_CHECK int live_of_file(const json_t *config, struct source own, struct source live,
			    bool with_scaling, struct live_sides *sides, struct err *err);

#endif
