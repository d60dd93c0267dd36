/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that say when: what they mean, beside a walk through all minutes by the C library's calendar,
 * and what is wrong in those that mean nothing. */
#include "engine/queue/cron.h"

#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MINUTE   60000u
#define DAY      86400000ull
#define START_MS 1767225600000u /* 2026-01-01 */

static struct oxbow_bytes text_bytes(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static struct cron parsed(const char *text)
{
    struct oxbow_schedule_fault fault = {0, ""};
    struct cron c;

    if (cron_parse(text_bytes(text), &c, &fault) != OXBOW_OK) {
        fail_msg("%s: at %zu: %s", text, fault.position, fault.what);
    }
    return c;
}

/* A date as text, UTC; one of four buffers. */
static const char *date(uint64_t ms)
{
    static char buffers[4][32];
    static unsigned next;
    char *out = buffers[next++ % 4];
    time_t at = (time_t)(ms / 1000);
    struct tm tm;

    assert_non_null(gmtime_r(&at, &tm));
    assert_int_not_equal(strftime(out, 32, "%a %Y-%m-%d %H:%M", &tm), 0);
    return out;
}

static uint64_t ms_of(const char *iso)
{
    struct tm tm = {0};

    assert_non_null(strptime(iso, "%Y-%m-%d %H:%M", &tm));
    return (uint64_t)timegm(&tm) * 1000;
}

static void assert_next(const char *when, const char *after, const char *want)
{
    struct cron c = parsed(when);

    assert_string_equal(date(cron_after(&c, ms_of(after), 1)), want);
}

static void the_next_time_is_the_one_that_the_fields_say(void **state)
{
    (void)state;
    assert_next("* * * * *", "2026-11-21 23:59", "Sun 2026-11-22 00:00");
    assert_next("*/15 * * * *", "2026-11-21 23:45", "Sun 2026-11-22 00:00");
    assert_next("5,35 8-17/3 * * *", "2026-11-21 11:36", "Sat 2026-11-21 14:05");
    assert_next("0 0 1 1 *", "2026-01-01 00:00", "Fri 2027-01-01 00:00");
    assert_next("0 0 29 2 *", "2026-11-21 00:00", "Tue 2028-02-29 00:00");
    assert_next("0 0 29 2 *", "2096-03-01 00:00", "Fri 2104-02-29 00:00"); /* 2100 has none */
    assert_next("0 12 * JAN,Jul mon", "2026-11-21 00:00", "Mon 2027-01-04 12:00");
    assert_next("30 6 * * 1-5", "2026-11-20 06:30", "Mon 2026-11-23 06:30");
    assert_next("0 0 * * 7", "2026-11-21 00:00", "Sun 2026-11-22 00:00");
    assert_next("0 0 * * 0", "2026-11-21 00:00", "Sun 2026-11-22 00:00");
    assert_next("0 0 * * sat-sun", "2026-11-21 00:00", "Sun 2026-11-22 00:00");
    assert_next("0 0 * * fri-7", "2026-11-22 00:00", "Fri 2026-11-27 00:00");
    assert_next("\t 0  0   31 * *  ", "2026-11-21 00:00", "Thu 2026-12-31 00:00");
}

static void either_the_day_of_the_month_or_the_weekday_suffices_unless_one_is_a_star(void **state)
{
    (void)state;
    assert_next("0 0 13 * fri", "2026-11-14 00:00", "Fri 2026-11-20 00:00");
    assert_next("0 0 13 * fri", "2026-12-11 00:00", "Sun 2026-12-13 00:00");
    assert_next("0 0 */2 * mon", "2026-11-21 00:00", "Mon 2026-11-23 00:00"); /* both: the 23rd */
    assert_next("0 0 */2 * mon", "2026-11-23 00:00", "Mon 2026-12-07 00:00");
    assert_next("0 0 13 * *", "2026-11-14 00:00", "Sun 2026-12-13 00:00");
}

static void names_stand_for_fields(void **state)
{
    (void)state;
    assert_next("@hourly", "2026-11-21 22:10", "Sat 2026-11-21 23:00");
    assert_next("@DAILY", "2026-11-21 22:10", "Sun 2026-11-22 00:00");
    assert_next(" @midnight ", "2026-11-21 22:10", "Sun 2026-11-22 00:00");
    assert_next("@weekly", "2026-11-22 22:10", "Sun 2026-11-29 00:00");
    assert_next("@monthly", "2026-11-22 22:10", "Tue 2026-12-01 00:00");
    assert_next("@yearly", "2026-11-22 22:10", "Fri 2027-01-01 00:00");
    assert_next("@annually", "2026-11-22 22:10", "Fri 2027-01-01 00:00");
}

static void a_period_has_a_unit(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {{"every 100ms", 100},       {"every 30 s", 30000},
                {"EVERY 5m", 5 * MINUTE},   {"every 2h", 120 * MINUTE},
                {" every  7 d ", 7 * DAY},  {"every 520w", 520 * 7 * DAY},
                {"every 3660d", 3660 * DAY}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cron c = parsed(rows[i].text);

        assert_int_equal(c.every_ms, rows[i].ms);
        assert_int_equal(cron_after(&c, 1000, 3), 1000 + 3 * rows[i].ms);
        assert_int_equal(cron_count(&c, 1000, 1000 + 3 * rows[i].ms), 3);
        assert_int_equal(cron_count(&c, 1000, 1000 + 3 * rows[i].ms - 1), 2);
    }
}

static void what_means_nothing_is_told_with_its_place(void **state)
{
    static const struct {
        const char *text;
        size_t position;
        const char *part; /* of what is said */
    } rows[] = {
        {"", 0, "says nothing"},
        {"   ", 3, "says nothing"},
        {"*", 1, "five fields"},
        {"* * * *", 7, "five fields"},
        {"* * * * * *", 10, "nothing may follow"},
        {"60 * * * *", 0, "0 to 59"},
        {"* 24 * * *", 2, "0 to 23"},
        {"* * 0 * *", 4, "1 to 31"},
        {"* * 32 * *", 4, "1 to 31"},
        {"* * * 13 *", 6, "1 to 12"},
        {"* * * 0 *", 6, "1 to 12"},
        {"* * * * 8", 8, "0 to 7"},
        {"* * * janu *", 6, "jan to dec"},
        {"* * * * monday", 8, "sun to sat"},
        {"mon * * * *", 0, "0 to 59"},
        {"1- * * * *", 2, "missing"},
        {"1-2-3 * * * *", 3, "not part"},
        {"30-10 * * * *", 0, "backwards"},
        {"* * * * fri-mon", 8, "backwards"},
        {",1 * * * *", 0, "missing"},
        {"1, * * * *", 2, "missing"},
        {"1,,2 * * * *", 2, "missing"},
        {"*/0 * * * *", 2, "at least 1"},
        {"*/60 * * * *", 2, "too large"},
        {"*/ * * * *", 2, "number is missing"},
        {"*/x * * * *", 2, "number is missing"},
        {"5/10 * * * *", 1, "step follows"},
        {"** * * * *", 1, "not part"},
        {"*-5 * * * *", 1, "not part"},
        {"-5 * * * *", 0, "0 to 59"},
        {"+5 * * * *", 0, "0 to 59"},
        {"5.5 * * * *", 1, "not part"},
        {"99999999999999999999999 * * * *", 0, "too large"},
        {"0 0 30 2 *", 0, "no such day"},
        {"0 0 31 4,6,9,11 *", 0, "no such day"},
        {"@reboot", 0, "no such name"},
        {"@hourlyx", 0, "no such name"},
        {"@", 0, "no such name"},
        {"@daily 5", 7, "nothing may follow"},
        {"every", 5, "number is missing"},
        {"every 5", 7, "unit"},
        {"every 5 minutes", 8, "unit"},
        {"every m", 6, "number is missing"},
        {"every -5m", 6, "number is missing"},
        {"every 0s", 6, "100 ms to"},
        {"every 99ms", 6, "100 ms to"},
        {"every 11000d", 6, "100 ms to"},
        {"every 999999999999w", 6, "100 ms to"},
        {"every 9999999999999w", 6, "too large"},
        {"every 5m 3", 9, "nothing may follow"},
        {"everyday", 0, "0 to 59"},
        {"* * * * *\n", 9, "not part"},
    };
    char longest[OXBOW_SCHEDULE_WHEN_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxbow_schedule_fault fault = {99, ""};

        if (oxbow_schedule_check(text_bytes(rows[i].text), &fault) != OXBOW_EPARSE ||
            fault.position != rows[i].position || strstr(fault.what, rows[i].part) == NULL) {
            fail_msg("\"%s\": at %zu: %s", rows[i].text, fault.position, fault.what);
        }
        assert_int_equal(oxbow_schedule_check(text_bytes(rows[i].text), NULL), OXBOW_EPARSE);
    }
    memset(longest, ' ', sizeof longest);
    memcpy(longest, "* * * * *", 9);
    assert_int_equal(
        oxbow_schedule_check((struct oxbow_bytes){longest, OXBOW_SCHEDULE_WHEN_MAX}, NULL),
        OXBOW_OK);
    assert_int_equal(
        oxbow_schedule_check((struct oxbow_bytes){longest, OXBOW_SCHEDULE_WHEN_MAX + 1}, NULL),
        OXBOW_EPARSE);
    assert_int_equal(oxbow_schedule_check((struct oxbow_bytes){"* * *\0* *", 9}, NULL),
                     OXBOW_EPARSE);
    assert_int_equal(oxbow_schedule_check((struct oxbow_bytes){NULL, 5}, NULL), OXBOW_EINVAL);
}

static void bytes_of_any_kind_are_read_without_harm(void **state)
{
    static const char some[] = "0123456789*/-, @aeverymonjansun\t\0\xff";
    uint64_t seed = rig_seed("cron_test");
    unsigned fine = 0;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        char text[24];
        size_t len = (size_t)(rig_random(&seed) % sizeof text);
        struct oxbow_schedule_fault fault = {0, NULL};

        for (size_t n = 0; n < len; n++) {
            text[n] = i % 2 == 0 ? some[rig_random(&seed) % sizeof some]
                                 : (n % 2 == 0 ? "*12"[rig_random(&seed) % 3] : ' ');
        }
        if (oxbow_schedule_check((struct oxbow_bytes){text, len}, &fault) == OXBOW_OK) {
            fine++;
        } else {
            assert_non_null(fault.what);
            assert_true(fault.position <= len);
        }
    }
    assert_true(fine > 100);
}

/* ---- beside the C library's calendar ---- */

/* A random field, and what it means. */
static void draw_field(uint64_t *seed, char *text, bool *fits, unsigned low, unsigned high)
{
    unsigned a = low + (unsigned)(rig_random(seed) % (high - low + 1));
    unsigned b = a + (unsigned)(rig_random(seed) % (high - a + 1));
    unsigned n = 1 + (unsigned)(rig_random(seed) % 5);

    for (unsigned i = low; i <= high; i++) {
        fits[i] = false;
    }
    switch (rig_random(seed) % 5) {
    case 0:
        sprintf(text, "*");
        a = low, b = high, n = 1;
        break;
    case 1:
        sprintf(text, "*/%u", n);
        a = low, b = high;
        break;
    case 2:
        sprintf(text, "%u", a);
        b = a;
        break;
    case 3:
        sprintf(text, "%u-%u", a, b);
        n = 1;
        break;
    default:
        sprintf(text, "%u-%u/%u,%u", a, b, n, high);
        fits[high] = true;
        break;
    }
    for (unsigned i = a; i <= b; i += n) {
        fits[i] = true;
    }
}

struct drawn {
    char text[5][32];
    bool minute[60], hour[24], day[32], month[13], weekday[7];
};

static bool fits(const struct drawn *d, uint64_t minute, int offset)
{
    time_t at = (time_t)((int64_t)minute + offset) * 60;
    bool both = d->text[2][0] == '*' || d->text[4][0] == '*';
    struct tm tm;

    assert_non_null(gmtime_r(&at, &tm));
    return d->minute[tm.tm_min] && d->hour[tm.tm_hour] && d->month[tm.tm_mon + 1] &&
           (both ? d->day[tm.tm_mday] && d->weekday[tm.tm_wday]
                 : d->day[tm.tm_mday] || d->weekday[tm.tm_wday]);
}

static void the_calendar_is_that_of_the_c_library(void **state)
{
    uint64_t seed = rig_seed("cron_test");
    uint64_t met = 0;

    (void)state;
    for (unsigned i = 0; i < 150; i++) {
        uint64_t from = rig_random(&seed) % (130u * 365u * 1440u);
        int offset = (int)(rig_random(&seed) % 2881) - 1440;
        uint64_t last = from * MINUTE + rig_random(&seed) % MINUTE;
        uint64_t begin = last;
        uint64_t count = 0;
        struct drawn d;
        char text[200];
        struct cron c;

        draw_field(&seed, d.text[0], d.minute, 0, 59);
        draw_field(&seed, d.text[1], d.hour, 0, 23);
        draw_field(&seed, d.text[2], d.day, 1, 31);
        draw_field(&seed, d.text[3], d.month, 1, 12);
        draw_field(&seed, d.text[4], d.weekday, 0, 6);
        snprintf(text, sizeof text, "%s %s %s %s %s", d.text[0], d.text[1], d.text[2], d.text[3],
                 d.text[4]);
        if (cron_parse(text_bytes(text), &c, NULL) != OXBOW_OK) {
            continue; /* the 30th of February */
        }
        c.offset_min = offset;
        for (uint64_t m = from + 1; m < from + 50 * 1440; m++) {
            if (!fits(&d, m, offset)) {
                continue;
            }
            count++;
            if (cron_after(&c, last, 1) != m * MINUTE ||
                cron_after(&c, begin, count) != m * MINUTE ||
                cron_count(&c, begin, m * MINUTE) != count ||
                cron_count(&c, begin, m * MINUTE - 1) != count - 1) {
                fail_msg("%s %+d: %s is not after %s", text, offset, date(m * MINUTE), date(last));
            }
            last = m * MINUTE;
            m += rig_random(&seed) % 100 == 0 ? 1440 : 0;
            if (m * MINUTE != last) { /* skipped some: count anew from there */
                begin = last = m * MINUTE;
                count = 0;
            }
        }
        met += count;
    }
    assert_true(met > 1000);
}

static void an_offset_moves_the_whole_calendar(void **state)
{
    uint64_t next = 0;

    (void)state;
    assert_int_equal(
        oxbow_schedule_after(text_bytes("0 8 * * *"), 330, ms_of("2026-11-21 00:00"), &next),
        OXBOW_OK);
    assert_string_equal(date(next), "Sat 2026-11-21 02:30");
    assert_int_equal(
        oxbow_schedule_after(text_bytes("0 0 1 1 *"), -1440, ms_of("2026-11-21 00:00"), &next),
        OXBOW_OK);
    assert_string_equal(date(next), "Sat 2027-01-02 00:00");
    assert_int_equal(oxbow_schedule_after(text_bytes("@daily"), 1441, 0, &next), OXBOW_EINVAL);
    assert_int_equal(oxbow_schedule_after(text_bytes("@daily"), -1441, 0, &next), OXBOW_EINVAL);
    assert_int_equal(oxbow_schedule_after(text_bytes("@daily"), 0, 0, NULL), OXBOW_EINVAL);
    assert_int_equal(oxbow_schedule_after(text_bytes("daily"), 0, 0, &next), OXBOW_EPARSE);
    assert_int_equal(oxbow_schedule_after(text_bytes("@daily"), -1440, 0, &next), OXBOW_OK);
    assert_int_equal(next, DAY);
}

static void a_jump_of_decades_is_counted_without_walking_through_it(void **state)
{
    struct cron c = parsed("* * * * *");
    uint64_t years_56 = 56 * 365 * DAY;

    (void)state;
    assert_int_equal(cron_count(&c, START_MS, START_MS + years_56), years_56 / MINUTE);
    assert_int_equal(cron_after(&c, START_MS, years_56 / MINUTE), START_MS + years_56);
    /* Over 200 years it gives up. */
    assert_true(cron_after(&c, START_MS, UINT64_MAX) == CRON_NEVER);
    assert_int_equal(cron_count(&c, 0, (uint64_t)1 << 62), 73200ull * 1440 - 1);
    assert_true(cron_after(&c, UINT64_MAX, 1) == CRON_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_time_is_the_one_that_the_fields_say),
        cmocka_unit_test(either_the_day_of_the_month_or_the_weekday_suffices_unless_one_is_a_star),
        cmocka_unit_test(names_stand_for_fields),
        cmocka_unit_test(a_period_has_a_unit),
        cmocka_unit_test(what_means_nothing_is_told_with_its_place),
        cmocka_unit_test(bytes_of_any_kind_are_read_without_harm),
        cmocka_unit_test(the_calendar_is_that_of_the_c_library),
        cmocka_unit_test(an_offset_moves_the_whole_calendar),
        cmocka_unit_test(a_jump_of_decades_is_counted_without_walking_through_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
