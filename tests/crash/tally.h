/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distinct states, what was promised when each could arise, how they were judged, and the report.
 */
#ifndef OXBOW_TESTS_CRASH_TALLY_H
#define OXBOW_TESTS_CRASH_TALLY_H

#include "tests/crash/branch.h"
#include "tests/crash/judge.h"

#include <stdio.h>

/* What the store had promised at some point of the record. */
struct promise {
    uint64_t acked;    /* steps that no power cut may take */
    uint64_t written;  /* steps that the end of the process alone may not take */
    uint64_t issued;   /* steps begun */
    uint64_t store_id; /* 0: it was not yet open */
};

/* A distinct image and where it came from. */
struct found {
    uint64_t hash;
    struct state state;
    struct promise promise; /* the tightest under which it arose */
    bool judged;
    bool failed;
    enum verdict_kind verdict;
    uint64_t step;
    uint64_t store_id;
};

#define TALLY_LOGS  40u
#define TALLY_SAVED 5u

struct tally {
    struct found **slots; /* of the current life, by hash; a power of two */
    size_t slots_count, used;
    uint64_t states, images, deeper, failed, stopped;
    uint64_t by_strategy[STRATEGIES], by_verdict[VERDICT_KINDS], lost, risen, remade;
    uint64_t by_branch[BRANCHES];
    uint64_t by_mark[SUBJECT_MARKS];
    uint64_t at_issued, at_acked, between, empty, process;
    struct {
        char line[96];
        uint64_t count;
    } logs[TALLY_LOGS];
    struct state saved[TALLY_SAVED]; /* of the current life */
    size_t saved_count;
};

void tally_init(struct tally *t);
void tally_fini(struct tally *t);
/* Another life: what it shows is told from what earlier ones showed. */
void tally_next_life(struct tally *t);

/* The entry for an image; *is_new when there was none. Borrowed until tally_next_life. */
struct found *tally_find(struct tally *t, uint64_t hash, bool *is_new);
/* The image arose again: promises are kept under all circumstances. */
void tally_tighten(struct tally *t, struct found *f, const struct state *s,
                   const struct promise *now);
void tally_verdict(struct tally *t, struct found *f, const struct verdict *v);
/* `marks`: of the subject. */
void tally_report(const struct tally *t, const char *const *marks);
/* A mark that no state showed; NULL: all were seen. */
const char *tally_unseen(const struct tally *t, const char *const *marks);

#endif
