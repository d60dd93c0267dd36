/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads texts that say when, and finds the moments that they mean.
 *
 * Occurrences are counted day by day: each day that fits has the same number of them, so a stretch of
 * decades costs some ten thousand steps, however many occurrences it has. Moments before 1970 do not
 * come.
 */
#include "engine/queue/cron.h"

#include <string.h>

#define MINUTE_MS   60000u
#define DAY_MINUTES 1440u
#define DAYS_MAX    73200u /* 200 years */
#define MS_MAX      ((uint64_t)1 << 62)
#define LEAP_YEAR_MS                                                                               \
    1704067200000u /* 2024-01-01: a leap day, and all pairs of day and month, follow */
#define YEARS_8_MS (8u * 366u * 86400000ull)

/* ---- reading ---- */

/* A text that is read, and where. */
struct reader {
    const char *at;
    const char *end;
    const char *fault_at;
    const char *fault;
};

static bool fail(struct reader *r, const char *at, const char *what)
{
    if (r->fault == NULL) {
        r->fault_at = at;
        r->fault = what;
    }
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && is_blank(*r->at)) {
        r->at++;
    }
}

static bool at_char(const struct reader *r, char c)
{
    return r->at < r->end && *r->at == c;
}

/* Digits, at most as many as a number below a billion has. */
static bool read_number(struct reader *r, uint64_t *out)
{
    const char *from = r->at;

    *out = 0;
    while (r->at < r->end && is_digit(*r->at)) {
        *out = *out * 10 + (uint64_t)(*r->at - '0');
        r->at++;
        if (r->at - from > 12) {
            return fail(r, from, "the number is too large");
        }
    }
    return r->at > from || fail(r, from, "a number is missing");
}

/* Whether a word stands there, in any case, and ends there; then it is taken. */
static bool take_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    size_t i;

    if ((size_t)(r->end - r->at) < len) {
        return false;
    }
    for (i = 0; i < len; i++) {
        if (lower(r->at[i]) != word[i]) {
            return false;
        }
    }
    if (r->at + len < r->end && lower(r->at[len]) >= 'a' && lower(r->at[len]) <= 'z') {
        return false;
    }
    r->at += len;
    return true;
}

/* A field of the five: its range, and words for its numbers. */
struct field {
    unsigned low;
    unsigned high;
    unsigned first; /* number of the first name */
    const char *const *names;
    const char *range; /* what is said of a number outside */
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

enum { MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS, FIELDS };

static const struct field fields[FIELDS] = {
    {0, 59, 0, NULL, "a minute is 0 to 59"},
    {0, 23, 0, NULL, "an hour is 0 to 23"},
    {1, 31, 0, NULL, "a day of the month is 1 to 31"},
    {1, 12, 1, month_names, "a month is 1 to 12, or jan to dec"},
    {0, 7, 0, weekday_names, "a weekday is 0 to 7, or sun to sat"},
};

static bool read_value(struct reader *r, const struct field *f, unsigned *out)
{
    const char *from = r->at;
    uint64_t number;

    for (unsigned i = 0; f->names != NULL && f->names[i] != NULL; i++) {
        if (take_word(r, f->names[i])) {
            *out = f->first + i;
            return true;
        }
    }
    if (r->at == r->end || !is_digit(*r->at)) {
        return fail(r, from,
                    r->at == r->end || is_blank(*r->at) || *r->at == ',' ? "a value is missing"
                                                                         : f->range);
    }
    if (!read_number(r, &number)) {
        return false;
    }
    *out = (unsigned)number;
    return (number >= f->low && number <= f->high) || fail(r, from, f->range);
}

/* What may follow a `*` or a range. */
static bool read_step(struct reader *r, unsigned span, unsigned *step)
{
    const char *from;
    uint64_t number = 1;

    if (at_char(r, '/')) {
        from = ++r->at;
        if (!read_number(r, &number)) {
            return false;
        }
        if (number == 0 || number > span) {
            return fail(r, from, number == 0 ? "a step is at least 1" : "the step is too large");
        }
    }
    *step = (unsigned)number;
    return true;
}

/* One of the things that a field lists. */
static bool read_item(struct reader *r, const struct field *f, uint64_t *bits)
{
    const char *from = r->at;
    unsigned low = f->low;
    unsigned high = f->high;
    unsigned step = 1;
    bool range = at_char(r, '*');

    if (range) {
        r->at++;
        high -= f->high == 7; /* Sunday has two numbers */
    } else if (!read_value(r, f, &low)) {
        return false;
    } else {
        high = low;
        range = at_char(r, '-');
        if (range) {
            r->at++;
            if (!read_value(r, f, &high)) {
                return false;
            }
            high = f->high == 7 && high == 0 && low > 0 ? 7 : high;
        }
        if (high < low) {
            return fail(r, from, "the range goes backwards");
        }
    }
    if (!range && at_char(r, '/')) {
        return fail(r, r->at, "a step follows * or a range");
    }
    if (!read_step(r, f->high, &step)) {
        return false;
    }
    for (unsigned i = low; i <= high; i += step) {
        *bits |= (uint64_t)1 << i;
    }
    return true;
}

static bool read_field(struct reader *r, const struct field *f, uint64_t *bits)
{
    *bits = 0;
    if (!read_item(r, f, bits)) {
        return false;
    }
    while (at_char(r, ',')) {
        r->at++;
        if (!read_item(r, f, bits)) {
            return false;
        }
    }
    return r->at == r->end || is_blank(*r->at) || fail(r, r->at, "this is not part of a field");
}

static bool read_five(struct reader *r, struct cron *c)
{
    const char *begin = r->at;
    bool any[FIELDS] = {false};
    uint64_t bits[FIELDS];

    for (unsigned i = 0; i < FIELDS; i++) {
        skip_blanks(r);
        if (r->at == r->end) {
            return fail(r, r->at, "five fields are wanted: minute hour day month weekday");
        }
        any[i] = at_char(r, '*');
        if (!read_field(r, &fields[i], &bits[i])) {
            return false;
        }
    }
    c->minutes = bits[MINUTES];
    c->hours = (uint32_t)bits[HOURS];
    c->days = (uint32_t)bits[DAYS];
    c->months = (uint32_t)bits[MONTHS];
    c->weekdays = (uint32_t)((bits[WEEKDAYS] | bits[WEEKDAYS] >> 7) & 0x7f);
    c->both = any[DAYS] || any[WEEKDAYS];
    return cron_after(c, LEAP_YEAR_MS, 1) < LEAP_YEAR_MS + YEARS_8_MS ||
           fail(r, begin, "no such day ever comes");
}

static bool read_every(struct reader *r, struct cron *c)
{
    static const struct {
        const char *word;
        uint64_t ms;
    } units[] = {{"ms", 1},       {"s", 1000},      {"m", 60000},
                 {"h", 3600000u}, {"d", 86400000u}, {"w", 604800000u}};
    const char *from;
    uint64_t number;

    skip_blanks(r);
    from = r->at;
    if (!read_number(r, &number)) {
        return false;
    }
    skip_blanks(r);
    for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (take_word(r, units[i].word)) {
            c->every_ms = number * units[i].ms;
            return (number <= CRON_EVERY_MAX && c->every_ms >= CRON_EVERY_MIN &&
                    c->every_ms <= CRON_EVERY_MAX) ||
                   fail(r, from, "a period is 100 ms to 10 years");
        }
    }
    return fail(r, r->at, "a unit is missing: ms, s, m, h, d or w");
}

static bool read_name(struct reader *r, struct cron *c)
{
    static const struct {
        const char *word;
        const char *five;
    } names[] = {{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
                 {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
                 {"@hourly", "0 * * * *"}};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (take_word(r, names[i].word)) {
            struct reader five = {.at = names[i].five,
                                  .end = names[i].five + strlen(names[i].five)};

            return read_five(&five, c);
        }
    }
    return fail(r, r->at, "no such name: @hourly, @daily, @weekly, @monthly, @yearly");
}

static bool read_all(struct reader *r, struct cron *c)
{
    bool fine;

    skip_blanks(r);
    if (r->at == r->end) {
        return fail(r, r->at, "it says nothing");
    }
    if (at_char(r, '@')) {
        fine = read_name(r, c);
    } else if (take_word(r, "every")) {
        fine = read_every(r, c);
    } else {
        fine = read_five(r, c);
    }
    if (!fine) {
        return false;
    }
    skip_blanks(r);
    return r->at == r->end || fail(r, r->at, "nothing may follow here");
}

enum oxbow_err cron_parse(struct oxbow_bytes text, struct cron *c,
                          struct oxbow_schedule_fault *fault)
{
    const char *begin = text.len > 0 ? text.data : "";
    struct reader r = {.at = begin, .end = begin + text.len};

    *c = (struct cron){0};
    if (text.len > OXBOW_SCHEDULE_WHEN_MAX) {
        (void)fail(&r, begin + OXBOW_SCHEDULE_WHEN_MAX, "it is longer than 255 bytes");
    } else if (read_all(&r, c)) {
        return OXBOW_OK;
    }
    if (fault != NULL) {
        *fault = (struct oxbow_schedule_fault){(size_t)(r.fault_at - begin), r.fault};
    }
    return OXBOW_EPARSE;
}

/* ---- the calendar ---- */

struct day {
    int64_t number; /* 0: 1970-01-01 */
    int64_t year;
    unsigned month; /* from 1 */
    unsigned day;   /* from 1 */
    unsigned weekday;
};

static unsigned month_days(int64_t year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

static int64_t leap_days_before(int64_t year)
{
    return (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
}

/* Number of a year's first day. */
static int64_t year_begins(int64_t year)
{
    return (year - 1970) * 365 + leap_days_before(year) - leap_days_before(1970);
}

/* Of days from a little before 1970 on. */
static struct day day_of(int64_t number)
{
    struct day d = {.number = number, .month = 1};
    int64_t rest;

    d.weekday = (unsigned)(((number + 4) % 7 + 7) % 7);
    d.year = 1970 + number / 366; /* at most right */
    if (number < 0) {
        d.year = 1969;
    }
    while (year_begins(d.year + 1) <= number) {
        d.year += 1 + (number - year_begins(d.year + 1)) / 366;
    }
    rest = number - year_begins(d.year);
    while (rest >= (int64_t)month_days(d.year, d.month)) {
        rest -= month_days(d.year, d.month);
        d.month++;
    }
    d.day = (unsigned)rest + 1;
    return d;
}

static void day_next(struct day *d)
{
    d->number++;
    d->weekday = (d->weekday + 1) % 7;
    d->day++;
    if (d->day > month_days(d->year, d->month)) {
        d->day = 1;
        d->month = d->month % 12 + 1;
        d->year += d->month == 1;
    }
}

static bool day_fits(const struct cron *c, const struct day *d)
{
    bool by_month = (c->days & (uint32_t)1 << d->day) != 0;
    bool by_week = (c->weekdays & (uint32_t)1 << d->weekday) != 0;

    return (c->months & (uint32_t)1 << d->month) != 0 &&
           (c->both ? by_month && by_week : by_month || by_week);
}

static bool minute_fits(const struct cron *c, unsigned minute)
{
    return (c->hours & (uint32_t)1 << minute / 60) != 0 &&
           (c->minutes & (uint64_t)1 << minute % 60) != 0;
}

/* How many minutes fit in a day from one on and before another. */
static uint64_t count_in_day(const struct cron *c, unsigned from, unsigned to)
{
    uint64_t count = 0;

    for (unsigned i = from; i < to; i++) {
        count += minute_fits(c, i);
    }
    return count;
}

/* The count-th of them from a minute on, of which there are as many. */
static unsigned nth_in_day(const struct cron *c, unsigned from, uint64_t count)
{
    unsigned i = from;

    for (;; i++) {
        count -= minute_fits(c, i);
        if (count == 0 || i == DAY_MINUTES - 1) {
            return i;
        }
    }
}

/* The minute of the local calendar in which a moment lies. */
static int64_t minute_of(const struct cron *c, uint64_t ms)
{
    return (int64_t)(ms / MINUTE_MS) + c->offset_min;
}

static int64_t day_number(int64_t minute)
{
    return minute >= 0 ? minute / DAY_MINUTES : -1 - (-1 - minute) / DAY_MINUTES;
}

uint64_t cron_after(const struct cron *c, uint64_t ms, uint64_t count)
{
    int64_t minute = minute_of(c, ms) + 1;
    struct day d = day_of(day_number(minute));
    unsigned from = (unsigned)(minute - d.number * DAY_MINUTES);
    uint64_t full;

    if (ms > MS_MAX) {
        return CRON_NEVER;
    }
    if (c->every_ms > 0) {
        return count < (MS_MAX - ms) / c->every_ms ? ms + count * c->every_ms : CRON_NEVER;
    }
    full = count_in_day(c, 0, DAY_MINUTES);
    for (unsigned i = 0; i < DAYS_MAX; i++) {
        uint64_t here = !day_fits(c, &d) ? 0 : from > 0 ? count_in_day(c, from, DAY_MINUTES) : full;

        if (here >= count) {
            minute = d.number * DAY_MINUTES + nth_in_day(c, from, count) - c->offset_min;
            return minute >= 0 ? (uint64_t)minute * MINUTE_MS : CRON_NEVER;
        }
        count -= here;
        from = 0;
        day_next(&d);
    }
    return CRON_NEVER;
}

uint64_t cron_count(const struct cron *c, uint64_t after_ms, uint64_t to_ms)
{
    int64_t minute = minute_of(c, after_ms) + 1;
    int64_t last = minute_of(c, to_ms);
    struct day d = day_of(day_number(minute));
    unsigned from = (unsigned)(minute - d.number * DAY_MINUTES);
    uint64_t count = 0;
    uint64_t full;

    if (to_ms <= after_ms || to_ms > MS_MAX) {
        return 0;
    }
    if (c->every_ms > 0) {
        return (to_ms - after_ms) / c->every_ms;
    }
    full = count_in_day(c, 0, DAY_MINUTES);
    for (unsigned i = 0; i < DAYS_MAX && d.number * DAY_MINUTES <= last; i++) {
        int64_t left = last - d.number * DAY_MINUTES + 1;
        bool whole = from == 0 && left >= DAY_MINUTES;
        unsigned to = left < DAY_MINUTES ? (unsigned)left : DAY_MINUTES;

        if (day_fits(c, &d)) {
            count += whole ? full : count_in_day(c, from, to);
        }
        from = 0;
        day_next(&d);
    }
    return count;
}

/* ---- asked without a store ---- */

enum oxbow_err oxbow_schedule_check(struct oxbow_bytes when, struct oxbow_schedule_fault *fault)
{
    struct cron c;

    return when.data == NULL && when.len > 0 ? OXBOW_EINVAL : cron_parse(when, &c, fault);
}

enum oxbow_err oxbow_schedule_after(struct oxbow_bytes when, int32_t offset_min, uint64_t after_ms,
                                    uint64_t *next_ms)
{
    struct cron c;
    uint64_t next;
    enum oxbow_err err;

    if (next_ms == NULL || (when.data == NULL && when.len > 0) ||
        offset_min < -OXBOW_SCHEDULE_OFFSET_MAX || offset_min > OXBOW_SCHEDULE_OFFSET_MAX) {
        return OXBOW_EINVAL;
    }
    err = cron_parse(when, &c, NULL);
    if (err != OXBOW_OK) {
        return err;
    }
    c.offset_min = offset_min;
    next = cron_after(&c, after_ms, 1);
    if (next == CRON_NEVER) {
        return OXBOW_ENOENT;
    }
    *next_ms = next;
    return OXBOW_OK;
}
