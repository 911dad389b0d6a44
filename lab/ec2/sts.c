/* STS: who is calling.  The lab has one account; its root is everybody. */
#include <stdio.h>

#include "common/aws/server.h"

#define AWS_ACTION AWS_DECLARE_ACTION
#include "lab/ec2/sts.def"
#undef AWS_ACTION

json_t *handle_GetCallerIdentity(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	char arn[64];

	(void)context;
	(void)input;
	(void)error;
	snprintf(arn, sizeof(arn), "arn:aws:iam::%.12s:root", call->account_id);
	return json_pack("{s:s, s:s, s:s}", "Account", call->account_id, "Arn", arn, "UserId",
			 call->account_id);
}
