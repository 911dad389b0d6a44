/*
 * See events.h.  Understood are the notices for Spot instances; what else is sent is answered and
 * ignored, so that a rule may be wider than needed.  AWS: "EC2 instance rebalance
 * recommendations", "Spot Instance interruption notices".
 */
#include "scaler/api/events.h"

#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/reply.h"

static bool take_one(struct autoscaling *as, const json_t *event)
{
	const char *type = doc_str(event, "detail-type", "");
	const char *id = doc_str(doc_object(event, "detail"), "instance-id", "");
	bool is_interruption = strcmp(type, "EC2 Spot Instance Interruption Warning") == 0;
	bool is_advice = strcmp(type, "EC2 Instance Rebalance Recommendation") == 0;

	if (strcmp(doc_str(event, "source", ""), "aws.ec2") != 0 ||
	    (!is_interruption && !is_advice) ||
	    !engine_spot_notice(as->engine, id, is_interruption, reply_now_ms(as)))
		return false;
	log_info("spot-notice", "instance=%s type=\"%s\"", id, type);
	return true;
}

/* One event, or a list of them. */
static int take_all(struct autoscaling *as, const json_t *document)
{
	const json_t *event;
	int n = 0;
	size_t i;

	if (json_is_object(document))
		return take_one(as, document);
	json_array_foreach (document, i, event)
		n += take_one(as, event);
	return n;
}

void events_take(void *context, struct aws_page *page)
{
	struct autoscaling *as = context;
	struct err err = {0};
	json_t *document = doc_parse(page->sent, page->sent_len, "event", &err);
	int n;

	page->content_type = "application/json";
	if (!document) {
		page->status = 400;
		buf_add_str(page->body, "{\"Message\": \"The body is not a JSON document\"}\n");
		return;
	}
	n = take_all(as, document);
	json_decref(document);
	if (as->commit(as->commit_arg, &err) < 0) {
		page->status = 503; /* it is sent again */
		buf_add_str(page->body, "{\"Message\": \"The state could not be written\"}\n");
		return;
	}
	buf_printf(page->body, "{\"Taken\": %d}\n", n);
}
