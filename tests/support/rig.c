/* SPDX-License-Identifier: Apache-2.0 */
/* Directories lie under $TMPDIR or /tmp and are removed with nftw. */
#include "tests/support/rig.h"

#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define START_WALL_MS 1767225600000u
#define START_MONO_US 1000000000u

static uint64_t wall_ms(void *ctx)
{
    return ((struct rig *)ctx)->wall_ms;
}

static uint64_t mono_us(void *ctx)
{
    return ((struct rig *)ctx)->mono_us;
}

static bool wall_is_set(void *ctx)
{
    return ((struct rig *)ctx)->wall_ms >= 1704067200000u; /* 2024 */
}

/* The transaction of the newest rig_begin that has not ended: a test that fails leaves it open. */
static struct oxbow_txn *open_txn;

void rig_init(struct rig *rig, enum oxbow_sync sync)
{
    const char *tmp = getenv("TMPDIR");

    memset(rig, 0, sizeof *rig);
    snprintf(rig->dir, sizeof rig->dir, "%s/oxbow-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(rig->dir));
    snprintf(rig->store, sizeof rig->store, "%s/store", rig->dir);
    rig->port = *oxbow_port_default();
    rig->port.clock = (struct oxbow_clock){rig, wall_ms, mono_us, wall_is_set};
    rig->wall_ms = START_WALL_MS;
    rig->mono_us = START_MONO_US;
    rig->config = (struct oxbow_config){.dir = rig->store, .port = &rig->port, .sync = sync};
}

void rig_open(struct rig *rig)
{
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_OK);
}

void rig_close(struct rig *rig)
{
    assert_int_equal(oxbow_close(rig->db), OXBOW_OK);
    rig->db = NULL;
}

void rig_reopen(struct rig *rig)
{
    rig_close(rig);
    rig_open(rig);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void rig_fini(struct rig *rig)
{
    if (open_txn != NULL && rig->db != NULL) {
        rig_abort(open_txn);
    }
    if (rig->db != NULL) {
        rig_close(rig);
    }
    assert_int_equal(nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void rig_pass_ms(struct rig *rig, uint64_t ms)
{
    rig->wall_ms += ms;
    rig->mono_us += ms * 1000;
}

struct oxbow_txn *rig_begin(struct rig *rig, uint32_t flags)
{
    const struct oxbow_txn_options opt = {.flags = flags};
    struct oxbow_txn *txn = NULL;

    assert_int_equal(oxbow_txn_begin(rig->db, &opt, &txn), OXBOW_OK);
    open_txn = txn;
    return txn;
}

void rig_commit(struct oxbow_txn *txn)
{
    open_txn = NULL;
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

enum oxbow_err rig_try_commit(struct oxbow_txn *txn, uint64_t *lsn)
{
    open_txn = NULL;
    return oxbow_txn_commit(txn, lsn);
}

void rig_abort(struct oxbow_txn *txn)
{
    open_txn = NULL;
    oxbow_txn_abort(txn);
}

uint64_t rig_seed(const char *test)
{
    const char *given = getenv("OXBOW_SEED");
    struct timespec now;
    uint64_t seed;

    clock_gettime(CLOCK_MONOTONIC, &now);
    seed = given != NULL ? strtoull(given, NULL, 10)
                         : (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
    printf("%s: OXBOW_SEED=%" PRIu64 "\n", test, seed);
    return seed;
}

uint64_t rig_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
