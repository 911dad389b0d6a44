/*
 * See prices.h.  Inside a family the price goes with the size: one price a family, that of its
 * "large", is enough.  AWS: "Amazon EC2 On-Demand Pricing", Linux, us-east-1.
 */
#include "scaler/engine/prices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"

static const struct {
	const char *family;
	double large; /* dollars an hour */
} families[] = {
    {"t2", 0.0928},        {"t3", 0.0832},   {"t3a", 0.0752},       {"t4g", 0.0672},
    {"m3", 0.133},         {"m4", 0.1},      {"m5", 0.096},         {"m5a", 0.086},
    {"m5d", 0.113},        {"m5n", 0.119},   {"m6a", 0.0864},       {"m6g", 0.077},
    {"m6i", 0.096},        {"m7a", 0.11592}, {"m7g", 0.0816},       {"m7i", 0.1008},
    {"m7i-flex", 0.09576}, {"m8g", 0.08976}, {"c3", 0.105},         {"c4", 0.1},
    {"c5", 0.085},         {"c5a", 0.077},   {"c5d", 0.096},        {"c5n", 0.108},
    {"c6a", 0.0765},       {"c6g", 0.068},   {"c6i", 0.085},        {"c7a", 0.10264},
    {"c7g", 0.0725},       {"c7i", 0.08925}, {"c7i-flex", 0.08479}, {"c8g", 0.07976},
    {"r3", 0.166},         {"r4", 0.133},    {"r5", 0.126},         {"r5a", 0.113},
    {"r5d", 0.144},        {"r6a", 0.1134},  {"r6g", 0.1008},       {"r6i", 0.126},
    {"r7a", 0.15215},      {"r7g", 0.1071},  {"r7i", 0.1323},       {"r8g", 0.11782},
    {"i3", 0.156},         {"i3en", 0.226},  {"i4i", 0.172},        {"x2gd", 0.167},
};

static const struct {
	const char *size;
	double larges;
} sizes[] = {
    {"nano", 1.0 / 16},  {"micro", 1.0 / 8}, {"small", 1.0 / 4},
    {"medium", 1.0 / 2}, {"large", 1},       {"xlarge", 2},
};

/* How many of the family's "large" the size is; NAN: unknown. */
static double larges_of(const char *size)
{
	char *rest;
	long n;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		if (strcmp(sizes[i].size, size) == 0)
			return sizes[i].larges;
	}
	n = strtol(size, &rest, 10);
	return n > 1 && n < 1000 && strcmp(rest, "xlarge") == 0 ? 2.0 * (double)n : NAN;
}

static double listed(const char *type)
{
	const char *dot = strchr(type, '.');
	size_t len = dot ? (size_t)(dot - type) : 0;

	for (size_t i = 0; dot && i < sizeof families / sizeof families[0]; i++) {
		if (strlen(families[i].family) == len &&
		    strncmp(families[i].family, type, len) == 0)
			return families[i].large * larges_of(dot + 1);
	}
	return NAN;
}

static const json_t *own_entry(const json_t *own, const char *type)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (own, i, entry) {
		if (strcmp(doc_str(entry, "InstanceType", ""), type) == 0)
			return entry;
	}
	return NULL;
}

double price_of(const json_t *own, const char *type, bool is_spot)
{
	const json_t *entry = own_entry(own, type);
	double on_demand = doc_num(entry, "OnDemand", listed(type));

	return is_spot ? doc_num(entry, "Spot", PRICES_SPOT_SHARE * on_demand) : on_demand;
}
