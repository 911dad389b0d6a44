/*
 * Time zones as the system has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/time_zone.h"

static void zones_are_known_by_their_names_only(void **state)
{
	static const char *const not_zones[] = {
	    "",       "Nowhere/City", "+02:00",      "CET-1CEST", "../etc/passwd", "/etc/localtime",
	    "Europe", "Europe/",      "leapseconds", "right/UTC", "Europe/../UTC", "zone.tab"};

	(void)state;
	assert_true(time_zone_is("Europe/Berlin"));
	assert_true(time_zone_is("America/Argentina/Buenos_Aires"));
	assert_true(time_zone_is("UTC"));
	assert_true(time_zone_is("Etc/GMT+9"));
	for (size_t i = 0; i < sizeof not_zones / sizeof not_zones[0]; i++)
		assert_false(time_zone_is(not_zones[i]));
}

static void offsets_change_at_the_second(void **state)
{
	(void)state;
	/* 2026-03-29T01:00Z, and far behind what the tables list year by year. */
	assert_int_equal(time_zone_offset("Europe/Berlin", 1774745999), 3600);
	assert_int_equal(time_zone_offset("Europe/Berlin", 1774746000), 7200);
	assert_int_equal(time_zone_offset("Europe/Berlin", 2500000000), 3600);
	assert_int_equal(time_zone_offset("Europe/Berlin", 2508000000), 7200);
	assert_int_equal(time_zone_offset("Asia/Kathmandu", 1774746000), 20700);
	assert_int_equal(time_zone_offset("Nowhere/City", 0), 0);
}

static void more_zones_than_are_kept_still_answer(void **state)
{
	char name[32];

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (int i = -12; i <= 12; i++) {
			snprintf(name, sizeof name, "Etc/GMT%+d", i);
			assert_int_equal(time_zone_offset(name, 0), -3600 * i);
		}
		assert_int_equal(time_zone_offset("Europe/Paris", 1774746000), 7200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zones_are_known_by_their_names_only),
	    cmocka_unit_test(offsets_change_at_the_second),
	    cmocka_unit_test(more_zones_than_are_kept_still_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
