/*
 * The list of handlers, made from the .def file.
 */
#include <string.h>

#include "lb/api/api.h"

const struct aws_action elb_actions[] = {
#define AWS_ACTION(name) AWS_LIST_ACTION(name)
#include "lb/api/elasticloadbalancing.def"
#undef AWS_ACTION
};

const size_t n_elb_actions = sizeof(elb_actions) / sizeof(elb_actions[0]);

aws_handler_fn elb_action_find(const char *name)
{
	for (size_t i = 0; i < n_elb_actions; i++) {
		if (strcmp(elb_actions[i].name, name) == 0)
			return elb_actions[i].handle;
	}
	return NULL;
}
