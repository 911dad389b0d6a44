/*
 * Fuzzes the second look at odd request heads: whatever bytes come, what is put in order reads back
 * strictly, as one request, framed by what the head's own exact headers said; and a head that the
 * strict reader takes as Compliant is whole and Compliant for the second look as well.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "lb/proxy/http1_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 18 };

static char sent[ROOM];
static struct h1_head head;
static struct h1_message h1;

/* The strict reader may refuse what is in order for other reasons (no Host, a limit), but never
 * sees more than one head in it, nor other than the bytes' own framing. */
static void check_in_order(size_t len)
{
	size_t used;

	used = h1_start_rewritten(&h1, (struct text){sent, head.parts.method.len});
	used += h1_parse(&h1, sent + used, len - used);
	if (h1.message.error != 0)
		return;
	CHECK(h1.message.is_head_done && used == len);
	CHECK(h1.message.is_done == (h1.message.body == BODY_NONE));
	CHECK(memmem(sent, len, "\r\n\r\n", 4) == sent + len - 4);
}

static void check_agreement(const char *bytes, size_t len)
{
	enum h1_head_state state = h1_head_read(&head, bytes, len);

	h1_start(&h1, HTTP_REQUEST);
	h1_parse(&h1, bytes, len);
	if (!h1.message.is_head_done)
		return;
	CHECK(state == H1_HEAD_WHOLE);
	CHECK(head.parts.n_headers == h1.message.n_headers);
	CHECK(text_equal(head.parts.method, h1.message.method));
	CHECK(text_equal(head.parts.uri, h1.message.uri));
	CHECK(h1.is_odd || head.verdict.tier == DESYNC_COMPLIANT);
	CHECK(head.verdict.tier == h1_verdict(&h1).tier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct writer out = {.at = sent, .end = sent + ROOM};

	if (size > ROOM / 4)
		return 0;
	check_agreement(bytes, size);
	if (h1_head_read(&head, bytes, size) != H1_HEAD_WHOLE)
		return 0;
	CHECK(head.len <= size);
	if (h1_head_rewrite(&head, &out) == 0)
		check_in_order((size_t)(out.at - sent));
	return 0;
}
