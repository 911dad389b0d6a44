/*
 * GET /explain?listener=ARN_OR_PORT&method=M&url=URL&header=Name:%20value&source-ip=ADDRESS: rule
 * by rule, would this request match and if not, why; what happens then, and which targets could get
 * it.  Reads the store and the registry, sends nothing.  Control thread.
 */
#ifndef LB_CONTROL_EXPLAIN_PAGE_H
#define LB_CONTROL_EXPLAIN_PAGE_H

#include "common/aws/server.h"

/* context: a struct pages_context. */
void page_explain(void *context, struct aws_page *page);

#endif
