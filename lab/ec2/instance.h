/*
 * The instance document: its states and what is shown of it.  Used by the handlers of instances
 * only; control thread.
 */
#ifndef LAB_EC2_INSTANCE_H
#define LAB_EC2_INSTANCE_H

#include "lab/ec2/resource.h"

enum instance_state {
	INSTANCE_PENDING,
	INSTANCE_RUNNING,
	INSTANCE_SHUTTING_DOWN,
	INSTANCE_TERMINATED,
	INSTANCE_STOPPING,
	INSTANCE_STOPPED,
	INSTANCE_STATES,
};

/* {"Code": 16, "Name": "running"}; new reference. */
MUST_CHECK json_t *instance_state_document(enum instance_state state);
enum instance_state instance_state_of(const json_t *document);
/* -1 without memory. */
MUST_CHECK int instance_set_state(json_t *document, enum instance_state state);
/* code "" clears the reason. */
MUST_CHECK int instance_set_reason(json_t *document, const char *code, const char *message);

/* Its user data, base64; "" when none. */
const char *instance_user_data(const json_t *document);

/* A copy without what the lab alone knows; new reference or NULL without memory. */
MUST_CHECK json_t *instance_shown(const json_t *document);

/* [{ReservationId, OwnerId, Groups, Instances: [shown..]}..] in the order of the documents. */
MUST_CHECK json_t *instance_reservations(const struct ec2 *ec2, const json_t *documents);

void instance_key(const char *id, char key[EC2_KEY_MAX]);

#endif
