/*
 * What an instance costs by the hour: a small table of Linux prices in us-east-1, over it what the
 * configuration file says (Scaler.Prices).  Good enough to tell a cheap type from a dear one; a
 * bill it is not.  Pure.
 */
#ifndef SCALER_ENGINE_PRICES_H
#define SCALER_ENGINE_PRICES_H

#include <jansson.h>
#include <stdbool.h>

/*
 * US dollars an hour; NAN: nobody knows.  own: [{InstanceType, OnDemand, Spot}], NULL: none.  A
 * spot price that nobody has given is PRICES_SPOT_SHARE of the on-demand one.
 */
double price_of(const json_t *own, const char *type, bool is_spot);

#define PRICES_SPOT_SHARE 0.35

#endif
