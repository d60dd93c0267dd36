/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks a store to go back to its device is told of a try that began after that. */
#include "tests/queue/stand_in_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static struct stand_rig rig;

/* The first call that fails stays inside until it is let go, with the failure that it has seen. */
static struct {
    enum oxbow_err (*open)(void *ctx, const char *path, uint32_t flags, int *fd);
    atomic_bool armed, inside, go;
} gate;

static void nap(void)
{
    const struct timespec some = {0, 20000000};

    nanosleep(&some, NULL);
}

static enum oxbow_err gated_open(void *ctx, const char *path, uint32_t flags, int *fd)
{
    enum oxbow_err err = gate.open(ctx, path, flags, fd);

    if (err != OXBOW_OK && atomic_exchange(&gate.armed, false)) {
        atomic_store(&gate.inside, true);
        while (!atomic_load(&gate.go)) {
            nap();
        }
    }
    return err;
}

static void gate_begin(void)
{
    rig_make(&rig);
    rig.config.journal = OXBOW_JOURNAL_ON; /* what fails here is a sync of the journal */
    gate.open = rig.f.port.files.open;
    rig.f.port.files.open = gated_open;
    atomic_store(&gate.armed, false);
    atomic_store(&gate.inside, false);
    atomic_store(&gate.go, false);
}

/* A try that the store makes by itself has found no device. */
static void await_own_try(void)
{
    atomic_store(&gate.armed, true);
    for (int i = 0; !atomic_load(&gate.inside); i++) {
        assert_in_range(i, 0, 5000);
        nap();
    }
}

/* Lets that try go when somebody has had the time to wait for its outcome. */
static void *let_go(void *ctx)
{
    (void)ctx;
    nap();
    nap();
    atomic_store(&gate.go, true);
    return NULL;
}

static enum oxbow_err return_meanwhile(void)
{
    pthread_t thread;
    enum oxbow_err err;

    assert_int_equal(pthread_create(&thread, NULL, let_go, NULL), 0);
    err = oxbow_return(rig.db);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return err;
}

static void push_in_memory(void)
{
    const struct oxbow_bytes value = bytes_of("1");
    const struct oxbow_txn_options always = {.sync = OXBOW_SYNC_ALWAYS};
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(rig.db, &always, &txn), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, bytes_of("l"), OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_EVOLATILE);
    assert_true(stat_of(&rig).in_memory);
}

static void a_try_that_began_before_the_call_is_not_its_answer(void **state)
{
    (void)state;
    gate_begin();
    rig_open_store(&rig);
    fault_arm_files(&rig.f, FAULT_WRITING | FAULT_OPEN, 1, UINT64_MAX, OXBOW_EIO);
    push_in_memory();
    await_own_try();
    fault_disarm(&rig.f);
    assert_int_equal(return_meanwhile(), OXBOW_OK);
    assert_false(stat_of(&rig).in_memory);
    rig_free(&rig);
}

static void a_look_that_began_before_the_call_is_not_its_answer(void **state)
{
    (void)state;
    gate_begin();
    device_gone(&rig);
    rig_open_stand_in(&rig);
    await_own_try();
    device_back(&rig);
    assert_int_equal(return_meanwhile(), OXBOW_EAGAIN);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_try_that_began_before_the_call_is_not_its_answer),
        cmocka_unit_test(a_look_that_began_before_the_call_is_not_its_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
