/* lb/control/rebuild_pace: what is served at once, and when changes wait for each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lb/control/rebuild_pace.h"

enum { MS = 1000 };

static void a_slow_rebuild_does_not_delay_the_next(void **state)
{
	struct rebuild_pace pace = {0};
	int64_t now_us = 5000 * MS;

	(void)state;
	assert_int_equal(rebuild_pace_wait_us(&pace, now_us), 0);
	for (int i = 0; i < 10; i++) {
		now_us += 80 * MS;
		rebuild_pace_note(&pace, now_us, 80 * MS);
		assert_int_equal(rebuild_pace_wait_us(&pace, now_us), 0);
	}
}

static void in_a_long_row_of_changes_rebuilding_gets_a_fifth_of_the_time(void **state)
{
	struct rebuild_pace pace = {0};
	int64_t start_us = 5000 * MS, now_us = start_us;
	int n = 0;

	(void)state;
	while (now_us - start_us < 100000 * MS) {
		int64_t wait_us = rebuild_pace_wait_us(&pace, now_us);

		assert_in_range(wait_us, 0, 5 * 60 * MS);
		now_us += wait_us + 60 * MS;
		rebuild_pace_note(&pace, now_us, 60 * MS);
		n++;
	}
	assert_in_range(n * 60, 20000, 21200); /* and the second that is free */
}

static void after_a_pause_changes_are_served_at_once_again(void **state)
{
	struct rebuild_pace pace = {0};
	int64_t now_us = 5000 * MS;

	(void)state;
	rebuild_pace_note(&pace, now_us, 3000 * MS);
	assert_int_equal(rebuild_pace_wait_us(&pace, now_us), 10000 * MS);
	now_us += 10000 * MS;
	assert_int_equal(rebuild_pace_wait_us(&pace, now_us), 0);
	now_us += 60000 * MS; /* what is not used does not add up */
	rebuild_pace_note(&pace, now_us, 1001 * MS);
	assert_int_equal(rebuild_pace_wait_us(&pace, now_us), 5 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_slow_rebuild_does_not_delay_the_next),
	    cmocka_unit_test(in_a_long_row_of_changes_rebuilding_gets_a_fifth_of_the_time),
	    cmocka_unit_test(after_a_pause_changes_are_served_at_once_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
