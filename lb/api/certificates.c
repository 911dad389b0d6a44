/*
 * The further certificates of HTTPS listeners.  albatross-lb has HTTP listeners only, so there is
 * nothing to describe or to remove, and adding is refused in words.
 */
#include "common/doc/doc.h"
#include "lb/api/resource.h"

/* False with ListenerNotFound or ValidationError. */
static bool is_listener(struct elb_api *api, const json_t *input, struct aws_error *error)
{
	json_t *listener =
	    resource_get(api, RESOURCE_LISTENER, doc_str(input, "ListenerArn", ""), error);

	json_decref(listener);
	return listener != NULL;
}

json_t *handle_AddListenerCertificates(void *context, const struct aws_call *call,
				       const json_t *input, struct aws_error *error)
{
	(void)call;
	if (is_listener(context, input, error))
		error_validation(error, "Certificates can be added to HTTPS listeners only, which "
					"are not supported yet by albatross-lb");
	return NULL;
}

json_t *handle_DescribeListenerCertificates(void *context, const struct aws_call *call,
					    const json_t *input, struct aws_error *error)
{
	(void)call;
	if (!is_listener(context, input, error))
		return NULL;
	return json_pack("{s:[]}", "Certificates");
}

json_t *handle_RemoveListenerCertificates(void *context, const struct aws_call *call,
					  const json_t *input, struct aws_error *error)
{
	(void)call;
	return is_listener(context, input, error) ? json_object() : NULL;
}
