/* What the shape files share among themselves.  Pure. */
#ifndef LB_IMPORT_SHAPE_PARTS_H
#define LB_IMPORT_SHAPE_PARTS_H

#include <jansson.h>

/* elb_load_balancer_attribute() and its kin: with NULL for the document, the
 * default. */
typedef const char *(*attribute_default_fn)(const json_t *document, const char *key);

/* New object {key: value} of what is not the default, in order of the keys. */
json_t *shape_attributes(const json_t *list, attribute_default_fn default_of, const char *path,
			 json_t *notes);

#endif
