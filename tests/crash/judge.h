/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens what a power cut left, with the real library, and says which step it stands at.
 *
 * States are judged in a child process, so that one that ends it (a fault in the map, an abort, a
 * loop without end) is a verdict like any other.
 */
#ifndef OXBOW_TESTS_CRASH_JUDGE_H
#define OXBOW_TESTS_CRASH_JUDGE_H

#include "tests/crash/enumerate.h"
#include "tests/crash/path.h"

enum verdict_kind {
    VERDICT_PENDING,
    VERDICT_GOOD,
    VERDICT_DIED,     /* a signal, an abort, or no end */
    VERDICT_NO_OPEN,  /* oxbow_open refused it */
    VERDICT_NO_READ,  /* an operation failed */
    VERDICT_UNKNOWN,  /* it holds what never was */
    VERDICT_LSN,      /* its content and its LSN do not belong together */
    VERDICT_NO_WRITE, /* it takes no more steps, or loses them */
    VERDICT_PAGES,    /* the data file's pages are not owned once each */
    VERDICT_RECOVERY, /* a power cut during recovery changed the outcome */
    VERDICT_KINDS
};

#define VERDICT_LOGS 3u

struct verdict {
    bool cut;  /* told to the judge: its recovery is to be cut short as well */
    bool stop; /* likewise: that it has been opened and closed again is enough */
    enum verdict_kind kind;
    uint64_t step; /* it stands after so many steps */
    uint64_t store_id;
    struct oxbow_recovery recovery;
    uint32_t branches; /* bits: the ways that its recovery went */
    uint32_t marks;    /* bits: what the subject saw in it */
    char reason[200];
    char log[VERDICT_LOGS][96]; /* what recovery said, digits as # */
    uint64_t deeper;            /* states of its own recovery that were judged */
};

/* What the lab varies of a store's configuration. */
struct judge_shape {
    unsigned segments; /* of the journal; 0: there is none */
    uint32_t segment_bytes;
    uint32_t memtable_bytes;
    uint32_t quota_bytes; /* 0: so much that nothing comes near it */
    uint32_t flags;       /* of oxbow_open */
    bool holes; /* space is given back: small limits, and a workload with something to give */
};

struct judge_config {
    const struct model_path *path;
    uint64_t seed;
    unsigned deeper_max; /* states of recovery per state whose verdict says `cut` */
    /* NULL: as judge_state says. In its place otherwise. */
    void (*judge)(const struct judge_config *config, const char *base, struct verdict *v);
};

/* The store's configuration in all of the lab; without judge_set_shape it has no journal. */
void judge_set_shape(const struct judge_shape *shape);
void judge_store_config(struct oxbow_config *config, const char *dir);
/* A port that keeps log lines instead of printing them. */
const struct oxbow_port *judge_port(void);

/* Judges <base>/store and says so in *v, which others can see at any time. */
void judge_state(const struct judge_config *config, const char *base, struct verdict *v);

/* Judges the directories <base>/0, <base>/1 ... <base>/count-1 in child processes, `jobs` at a
 * time. `verdicts` is memory shared with children, zeros but for `cut` and `stop`. */
void judge_batch(const struct judge_config *config, const char *base, struct verdict *verdicts,
                 size_t count, unsigned jobs);

uint64_t judge_hash_store(const struct subject *s, struct oxbow *db, enum oxbow_err *err);
const char *verdict_name(enum verdict_kind kind);

#endif
