/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the merge share: a store that goes and comes back. */
#ifndef OXBOW_TESTS_QUEUE_MERGE_FIXTURE_H
#define OXBOW_TESTS_QUEUE_MERGE_FIXTURE_H

#include "oxbow/policy.h"
#include "tests/queue/stand_in_fixture.h"

static struct stand_rig rig;

static inline void begin_stand_in(void)
{
    device_gone(&rig);
    rig_open_stand_in(&rig);
}

static inline void come_back(void)
{
    rig_close(&rig);
    device_back(&rig);
    rig_open_store(&rig);
}

static inline struct oxbow_recovery recovery_of(void)
{
    struct oxbow_recovery recovery;

    oxbow_recovery(rig.db, &recovery);
    return recovery;
}

static inline void set_policy(const char *key, const struct oxbow_policy *policy)
{
    struct oxbow_txn *txn = rig_txn(&rig);

    assert_int_equal(oxbow_policy_set(txn, bytes_of(key), policy), OXBOW_OK);
    rig_commit(&rig, txn);
}

static inline struct oxbow_result entries_of(const char *key)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn = rig_txn(&rig);

    assert_int_equal(oxbow_stream_range(txn, bytes_of(key), &all, &result), OXBOW_OK);
    oxbow_txn_abort(txn);
    return result;
}

#endif
