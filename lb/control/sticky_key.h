/*
 * The key of the stickiness cookies: made once, kept in the store, so that cookies outlive a
 * restart and all lbs of one store agree.  Control thread, at start.
 */
#ifndef LB_CONTROL_STICKY_KEY_H
#define LB_CONTROL_STICKY_KEY_H

#include "common/base/err.h"
#include "common/store/store.h"
#include "lb/routing/sticky.h"

MUST_CHECK int sticky_key_load(struct store *store, uint8_t key[STICKY_KEY_BYTES], struct err *err);

#endif
