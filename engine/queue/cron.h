/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that say when, and the calendar: promises in oxbow/schedule.h. No clock, no store. */
#ifndef OXBOW_QUEUE_CRON_H
#define OXBOW_QUEUE_CRON_H

#include "oxbow/schedule.h"

#define CRON_EVERY_MIN 100u
#define CRON_EVERY_MAX (10u * 366u * 86400000ull)
#define CRON_NEVER     UINT64_MAX

struct cron {
    uint64_t every_ms; /* not 0: this period, and the rest is nothing */
    uint64_t minutes;  /* a bit for each, from 0 */
    uint32_t hours;
    uint32_t days;     /* from bit 1 on */
    uint32_t months;   /* from bit 1 on */
    uint32_t weekdays; /* Sunday is bit 0 */
    bool both;         /* a day must fit by month and by week; else one of them suffices */
    int32_t offset_min;
};

/* OXBOW_EPARSE and *fault, which may be NULL. */
OXBOW_MUST_CHECK enum oxbow_err cron_parse(struct oxbow_bytes text, struct cron *c,
                                           struct oxbow_schedule_fault *fault);
/* The count-th occurrence after that moment, count from 1 on; a period counts from that moment.
 * CRON_NEVER: none within 200 years. */
uint64_t cron_after(const struct cron *c, uint64_t ms, uint64_t count);
/* How many there are after one moment and not after another. Of 200 years at most. */
uint64_t cron_count(const struct cron *c, uint64_t after_ms, uint64_t to_ms);

#endif
