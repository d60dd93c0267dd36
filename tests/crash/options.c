/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the options, one row each in `usage` and in `long_options`. */
#include "tests/crash/options.h"

#include "tests/crash/record.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "crash_lab: cuts the power of a store in every way and looks at what is left\n"
    "  --subject NAME     kv (default), queue, policy, retry, time, exactly, apart, route,\n"
    "                     priority, groups, torn, drops, spilt\n"
    "  --seed N           default: from the clock, or OXBOW_SEED\n"
    "  --draw             the seed decides on all that makes up the workload but what is given\n"
    "  --steps N          transactions of the workload; default 12\n"
    "  --lives N          the store goes on from N - 1 of its power cuts; default 1\n"
    "  --policy P         always (default), interval, none, mixed: each transaction its own\n"
    "  --journal N        segments of 64 KiB in the journal, 0: none; default 2\n"
    "  --exhaustive N     every subset of up to N units in flight; default 6, at most 16\n"
    "  --random N         random subsets per event beyond that; default 8\n"
    "  --singles N        units dropped or kept alone per event; default 8\n"
    "  --go-on-one-in N   of so many states one takes more steps and is opened again; default 1\n"
    "  --deeper N         cut the recovery of states up to N ways; default 0\n"
    "  --deeper-one-in N  of so many states; default 1: all\n"
    "  --images N         at most N distinct states, spread over the record by chance\n"
    "  --seconds N        stop generating after N seconds\n"
    "  --jobs N           processes that judge; default 2\n"
    "  --sync-us N        what a sync takes at least, in microseconds; default 0\n"
    "  --reopens N        times that a life closes and opens the store; default 1\n"
    "  --waits N          of eight commits, so many wait for their promise; default 6\n"
    "  --memtable KB      of a table, from 64; default 64\n"
    "  --holes            the store gives space back to the file system (kv)\n"
    "  --fail N           one sync in N fails, and the workload opens the store again\n"
    "  --hold             instead it goes on in memory, and back\n"
    "  --mutant M         breaks the store; default none\n"
    "  --control M        the same in the workload that shows it; succeed if it is caught\n"
    "  --mutants          print what M may be\n"
    "  --expect-caught    succeed if failures are found\n"
    "  --save DIR         keep failing states there\n"
    "  --verbose          print the events before a failure\n";

enum {
    OPT_CAUGHT = 1,
    OPT_VERBOSE,
    OPT_HELP,
    OPT_DRAW,
    OPT_MUTANTS,
    OPT_CONTROL,
    OPT_HOLES,
    OPT_HOLD
};

static const struct option long_options[] = {{"subject", 1, NULL, 's'},
                                             {"seed", 1, NULL, 'S'},
                                             {"steps", 1, NULL, 'n'},
                                             {"policy", 1, NULL, 'p'},
                                             {"exhaustive", 1, NULL, 'e'},
                                             {"random", 1, NULL, 'r'},
                                             {"singles", 1, NULL, 'i'},
                                             {"deeper", 1, NULL, 'd'},
                                             {"images", 1, NULL, 'm'},
                                             {"seconds", 1, NULL, 't'},
                                             {"jobs", 1, NULL, 'j'},
                                             {"fail", 1, NULL, 'f'},
                                             {"mutant", 1, NULL, 'M'},
                                             {"expect-caught", 0, NULL, OPT_CAUGHT},
                                             {"sync-us", 1, NULL, 'u'},
                                             {"go-on-one-in", 1, NULL, 'g'},
                                             {"control", 1, NULL, OPT_CONTROL},
                                             {"memtable", 1, NULL, 'T'},
                                             {"reopens", 1, NULL, 'R'},
                                             {"waits", 1, NULL, 'w'},
                                             {"lives", 1, NULL, 'l'},
                                             {"deeper-one-in", 1, NULL, 'D'},
                                             {"journal", 1, NULL, 'J'},
                                             {"draw", 0, NULL, OPT_DRAW},
                                             {"mutants", 0, NULL, OPT_MUTANTS},
                                             {"save", 1, NULL, 'k'},
                                             {"verbose", 0, NULL, OPT_VERBOSE},
                                             {"help", 0, NULL, OPT_HELP},
                                             {"holes", 0, NULL, OPT_HOLES},
                                             {"hold", 0, NULL, OPT_HOLD},
                                             {NULL, 0, NULL, 0}};

static uint64_t number(const char *text)
{
    char *end = NULL;
    uint64_t n = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0')
        lab_die("not a number", text);
    return n;
}

static void take_number(struct options *o, int c, uint64_t n)
{
    switch (c) {
    case 'S':
        o->seed = n;
        break;
    case 'n':
        o->steps = (unsigned)n;
        break;
    case 'e':
        o->enumerate.exhaustive_max = n > 16 ? 16 : (unsigned)n;
        break;
    case 'r':
        o->enumerate.random_subsets = (unsigned)n;
        break;
    case 'i':
        o->enumerate.singles_max = (unsigned)n;
        break;
    case 'l':
        o->lives = n < 1 ? 1 : (unsigned)n;
        break;
    case 'u':
        o->sync_us = (unsigned)n;
        break;
    case 'R':
        o->reopens = (unsigned)n;
        break;
    case 'T':
        o->shape.memtable_bytes = (uint32_t)n << 10;
        break;
    case 'w':
        o->waits = (unsigned)n;
        break;
    case 'J':
        o->shape.segments = (unsigned)n;
        break;
    case 'd':
        o->deeper_max = (unsigned)n;
        break;
    case 'g':
        o->go_on_one_in = n < 1 ? 1 : (unsigned)n;
        break;
    case 'D':
        o->deeper_one_in = n < 1 ? 1 : (unsigned)n;
        break;
    case 'f':
        o->fail_one_in = (unsigned)n;
        break;
    case 'm':
        o->images_max = (size_t)n;
        break;
    case 't':
        o->seconds = (unsigned)n;
        break;
    default:
        o->jobs = n < 1 ? 1 : (unsigned)n;
        break;
    }
}

static const char *const policies[] = {"mixed", "always", "interval", "none"};

static bool policy_find(const char *name, enum oxbow_sync *out)
{
    for (int p = OXBOW_SYNC_DEFAULT; p <= OXBOW_SYNC_NONE; p++)
        if (strcmp(name, policies[p]) == 0) {
            *out = (enum oxbow_sync)p;
            return true;
        }
    return false;
}

const char *options_policy(const struct options *o)
{
    return policies[o->policy];
}

/* What the campaign varies, from the seed alone. */
static void draw(struct options *o)
{
    static const char *const subjects[] = {"kv", "queue", "kv", "queue", "retry"};
    uint64_t random = o->seed * 0x9e3779b97f4a7c15u;
    const char *drawn = subjects[lab_random(&random) % (sizeof subjects / sizeof subjects[0])];
    o->subject = o->subject != NULL ? o->subject : drawn;
    o->steps = 10 + (unsigned)(lab_random(&random) % 31);
    o->lives = 1 + (unsigned)(lab_random(&random) % 4);
    o->policy = (enum oxbow_sync)(lab_random(&random) % (OXBOW_SYNC_NONE + 1));
    o->shape.segments = 2 + (unsigned)(lab_random(&random) % 3);
    if (lab_random(&random) % 10 == 0)
        o->shape.segments = 0;
    if (lab_random(&random) % 3 == 0)
        o->shape.memtable_bytes = 128 << 10 << lab_random(&random) % 3;
    o->fail_one_in = lab_random(&random) % 8 == 0 ? 5 + (unsigned)(lab_random(&random) % 8) : 0;
    o->waits = 1 + (unsigned)(lab_random(&random) % 7);
    o->reopens = (unsigned)(lab_random(&random) % 3);
    if (o->seed % 2 != 0)
        o->steps = o->fail_one_in != 0 ? o->steps : 40 + 2 * o->steps;
    o->sync_us = lab_random(&random) % 2 == 0 ? 0 : 500u << lab_random(&random) % 4;
    if (o->shape.segments == 0 && o->policy == OXBOW_SYNC_NONE)
        o->policy = OXBOW_SYNC_INTERVAL;
    o->deeper_max = 6;
    o->deeper_one_in = 40;
    o->go_on_one_in = 4;
    o->enumerate.exhaustive_max = 6 + (unsigned)(lab_random(&random) % 4);
    o->enumerate.random_subsets = 8 + (unsigned)(lab_random(&random) % 24);
    o->shape.holes = strcmp(o->subject, "kv") == 0 && lab_random(&random) % 12 == 0;
}

static void plan(struct options *o)
{
    bool many = o->mutant->plan == PLAN_RING || o->mutant->plan == PLAN_FLOOD;
    o->expect_caught = true;
    o->images_max = 1500;
    o->steps = many ? 400 : o->mutant->plan == PLAN_SHORT ? 20 : 80;
    o->policy = many                            ? OXBOW_SYNC_NONE
                : o->mutant->plan == PLAN_SHORT ? OXBOW_SYNC_ALWAYS
                                                : OXBOW_SYNC_DEFAULT;
    o->lives = o->mutant->plan == PLAN_LIVES ? 4 : 1;
    o->seed |= 1; /* small steps */
    if (!many)
        return;
    o->subject = "queue"; /* which has no large values, each of which would wait for the device */
    o->shape.memtable_bytes = 1 << 20;
    o->reopens = 0;
    o->waits = o->mutant->plan == PLAN_RING;
    o->sync_us = o->mutant->plan == PLAN_RING ? 20000 : 100000;
}

static bool take_option(struct options *o, int c)
{
    switch (c) {
    case 's':
        o->subject = optarg;
        return subject_find(optarg) != NULL;
    case 'p':
        return policy_find(optarg, &o->policy);
    case 'M':
        o->mutant = mutant_find(optarg);
        return o->mutant != NULL;
    case 'k':
        o->save = optarg;
        return true;
    case OPT_DRAW:
        o->drawn = true;
        return true;
    case OPT_HOLD:
        o->hold = true;
        return true;
    case OPT_HOLES:
        o->shape.holes = true;
        return true;
    case OPT_CAUGHT:
        o->expect_caught = true;
        return true;
    case OPT_VERBOSE:
        o->verbose = true;
        return true;
    case OPT_CONTROL:
        o->mutant = mutant_find(optarg);
        if (o->mutant != NULL)
            plan(o);
        return o->mutant != NULL;
    case OPT_MUTANTS:
        for (unsigned m = 1; mutant_at(m) != NULL; m++)
            puts(mutant_at(m)->name);
        return false;
    case OPT_HELP:
    case '?':
        return false;
    default:
        take_number(o, c, number(optarg));
        return true;
    }
}

bool options_read(struct options *o, int argc, char **argv, int *status)
{
    const char *env = getenv("OXBOW_SEED");
    *o = (struct options){
        .seed = env != NULL ? number(env) : (uint64_t)time(NULL),
        .steps = 12,
        .lives = 1,
        .waits = 6,
        .reopens = 1,
        .mutant = mutant_at(0),
        .shape = {.segments = 2,
                  .segment_bytes = 64 << 10,
                  .memtable_bytes = 64 << 10,
                  .flags = OXBOW_OPEN_STRICT},
        .policy = OXBOW_SYNC_ALWAYS,
        .jobs = 2,
        .deeper_one_in = 1,
        .go_on_one_in = 1,
        .enumerate = {
            .exhaustive_max = 6, .random_subsets = 8, .singles_max = 8, .fresh_events = 64}};
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;)
        if (!take_option(o, c)) {
            if (c != OPT_MUTANTS)
                fputs(usage, c == OPT_HELP ? stdout : stderr);
            *status = c == OPT_HELP || c == OPT_MUTANTS ? 0 : 2;
            return false;
        }
    if (o->drawn)
        draw(o);
    if (o->subject == NULL)
        o->subject = "kv";
    o->shape.quota_bytes = subject_find(o->subject)->quota_bytes;
    o->enumerate.seed = o->seed;
    return true;
}
