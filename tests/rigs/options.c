/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/rigs/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct word {
    const char *text;
    int value;
};

static const struct word runs[] = {{"kill", RUN_KILL},
                                   {"shutdown", RUN_SHUTDOWN},
                                   {"verify", RUN_VERIFY},
                                   {"load", RUN_LOAD},
                                   {NULL, 0}};
static const struct word policies[] = {{"always", OXBOW_SYNC_ALWAYS},
                                       {"interval", OXBOW_SYNC_INTERVAL},
                                       {"none", OXBOW_SYNC_NONE},
                                       {"mix", POLICY_MIX},
                                       {NULL, 0}};
static const struct word journals[] = {
    {"on", OXBOW_JOURNAL_ON}, {"off", OXBOW_JOURNAL_OFF}, {"mix", JOURNAL_MIX}, {NULL, 0}};
static const struct word controls[] = {{"nosync", CONTROL_NOSYNC},
                                       {"forged", CONTROL_FORGED},
                                       {"rollback", CONTROL_ROLLBACK},
                                       {"skip", CONTROL_SKIP},
                                       {NULL, 0}};

int options_usage(const char *what)
{
    fprintf(stderr,
            "rig: %s\nusage: rig kill|shutdown N | verify | load, with options: see the "
            "beginning of tests/rigs/rig.c\n",
            what);
    return 2;
}

/* -1: not among them. */
static int choose(const struct word *words, const char *text)
{
    for (; words->text != NULL; words++)
        if (strcmp(words->text, text) == 0)
            return words->value;
    return -1;
}

static bool take(struct options *o, int option, const char *text)
{
    int value = 0;

    switch (option) {
    case 's':
        o->seed = strtoull(text, NULL, 10);
        break;
    case 'd':
        o->dir = text;
        break;
    case 'f':
        o->fs = text;
        break;
    case 'p':
        o->policy = value = choose(policies, text);
        break;
    case 'j':
        o->journal = value = choose(journals, text);
        break;
    case 'c':
        value = choose(controls, text);
        o->control = (enum control)value;
        break;
    case 'k':
        o->save = text;
        break;
    case 'w':
        o->witness = text;
        break;
    case 'm':
        o->image = text;
        break;
    case 't':
        o->threads = (uint32_t)strtoul(text, NULL, 10);
        break;
    case 'h':
        o->shape = strtoull(text, NULL, 10);
        break;
    case 'e':
        o->entropy = strtoull(text, NULL, 10);
        break;
    case 'i':
        o->interval_ms = (uint32_t)strtoul(text, NULL, 10);
        break;
    default:
        o->verbose = true;
    }
    return value >= 0;
}

int options_read(struct options *o, int argc, char **argv)
{
    static const struct option table[] = {
        {"seed", 1, NULL, 's'},   {"dir", 1, NULL, 'd'},      {"fs", 1, NULL, 'f'},
        {"policy", 1, NULL, 'p'}, {"journal", 1, NULL, 'j'},  {"control", 1, NULL, 'c'},
        {"save", 1, NULL, 'k'},   {"witness", 1, NULL, 'w'},  {"threads", 1, NULL, 't'},
        {"shape", 1, NULL, 'h'},  {"interval", 1, NULL, 'i'}, {"verbose", 0, NULL, 'v'},
        {"image", 1, NULL, 'm'},  {"entropy", 1, NULL, 'e'},  {NULL, 0, NULL, 0},
    };
    const char *given = getenv("OXBOW_SEED");
    struct timespec now;
    int option, what;

    clock_gettime(CLOCK_REALTIME, &now);
    *o = (struct options){.dir = "/tmp",
                          .fs = "ext4",
                          .policy = POLICY_MIX,
                          .journal = JOURNAL_MIX,
                          .threads = 6,
                          .interval_ms = 20};
    o->seed = given != NULL ? strtoull(given, NULL, 10)
                            : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == '?' || !take(o, option, optarg))
            return options_usage("an option that is not known");
    }
    what = optind < argc ? choose(runs, argv[optind]) : -1;
    if (what < 0)
        return options_usage("what is to be run?");
    o->what = (enum run)what;
    o->count = optind + 1 < argc ? strtoull(argv[optind + 1], NULL, 10) : 0;
    if (o->count == 0 && (o->what == RUN_KILL || o->what == RUN_SHUTDOWN))
        return options_usage("how many?");
    if (o->threads == 0 || o->threads > THREADS_MAX)
        return options_usage("threads");
    return 0;
}
