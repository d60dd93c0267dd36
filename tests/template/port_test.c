/* SPDX-License-Identifier: Apache-2.0 */
/* The template: it links, it refuses what it cannot do, and what it can do carries a store whose
 * files are those of a real system. */
#include "port/posix/posix.h"
#include "tests/support/fault.h"
#include "tests/support/rig.h"

#include "oxbow/list.h"
#include "oxbow/wait.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PRODUCERS 3
#define PUSHES    100

static struct rig rig;
static struct fault fault;

/* As the template is, under a port that counts what is allocated. */
static int set_up(void **state)
{
    (void)state;
    rig_init(&rig, OXBOW_SYNC_ALWAYS);
    fault_init(&fault, oxbow_port_default());
    rig.port = fault.port;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    assert_int_equal(fault.live_bytes, 0);
    return 0;
}

/* What docs/PORTING.md says is needed; the rest stays the template's. */
static void fill_in_what_is_needed(void)
{
    struct oxbow_files *files = &rig.port.files;

    *files = oxbow_port_default()->files;
    files->open = posix_open;
    files->close = posix_close;
    files->size = posix_size;
    files->read = posix_read;
    files->write = posix_write;
    files->truncate = posix_truncate;
    files->same = posix_same;
    files->sync = posix_sync;
    files->sync_dir = posix_sync_dir;
    files->rename = posix_rename;
    files->unlink = posix_unlink;
    files->mkdir = posix_mkdir;
    files->lock = posix_lock;
    files->keep_private = posix_keep_private;
    rig.port.random.fill = posix_random;
}

/* Whatever a table gets, the template gets: a forgotten row would be a null pointer. */
static void no_row_is_missing(const void *table, size_t len)
{
    uintptr_t word;
    size_t at;

    assert_int_equal(len % sizeof word, 0);
    for (at = sizeof word; at < len; at += sizeof word) { /* ctx comes first */
        memcpy(&word, (const uint8_t *)table + at, sizeof word);
        assert_true(word != 0);
    }
}

static void no_function_of_the_template_is_missing(void **state)
{
    const struct oxbow_port *p = oxbow_port_default();

    (void)state;
    no_row_is_missing(&p->alloc, sizeof p->alloc);
    no_row_is_missing(&p->clock, sizeof p->clock);
    no_row_is_missing(&p->random, sizeof p->random);
    no_row_is_missing(&p->log, sizeof p->log);
    no_row_is_missing(&p->files, sizeof p->files);
    no_row_is_missing(&p->threads, sizeof p->threads);
    assert_true(p->panic != NULL);
}

static void as_it_is_no_store_can_be_opened(void **state)
{
    (void)state;
    assert_int_equal(oxbow_open(&rig.config, &rig.db), OXBOW_ENOTSUP);
    assert_null(rig.db);
    assert_true(fault.file_calls > 0);
}

/* Each function that has no way round it: without it no store is made, and nothing is left. */
static void a_port_without_what_is_needed_is_refused(void **state)
{
    const struct oxbow_port *own = oxbow_port_default();
    const char *store = rig.config.dir;
    char dir[300];
    int i;

    (void)state;
    rig.config.dir = dir;
    for (i = 0; i < 6; i++) {
        snprintf(dir, sizeof dir, "%s-%d", store, i);
        fill_in_what_is_needed();
        rig.port.random = i == 0 ? own->random : rig.port.random;
        rig.port.files.lock = i == 1 ? own->files.lock : posix_lock;
        rig.port.files.sync = i == 2 ? own->files.sync : posix_sync;
        rig.port.files.sync_dir = i == 3 ? own->files.sync_dir : posix_sync_dir;
        rig.port.files.rename = i == 4 ? own->files.rename : posix_rename;
        rig.port.files.keep_private = i == 5 ? own->files.keep_private : posix_keep_private;
        assert_int_equal(oxbow_open(&rig.config, &rig.db), OXBOW_ENOTSUP);
        assert_null(rig.db);
    }
}

static void push_some(void *arg)
{
    enum oxbow_err *err = arg;
    int i;

    for (i = 0; i < PUSHES && *err == OXBOW_OK; i++) {
        const struct oxbow_bytes value = BYTES("reading");
        struct oxbow_txn *txn = NULL;

        *err = oxbow_txn_begin(rig.db, NULL, &txn);
        if (*err == OXBOW_OK) {
            *err = oxbow_list_push(txn, BYTES("readings"), OXBOW_RIGHT, &value, 1, NULL);
            if (*err != OXBOW_OK) {
                oxbow_txn_abort(txn);
            } else {
                *err = oxbow_txn_commit(txn, NULL);
            }
        }
    }
}

static void what_it_does_by_itself_carries_a_store(void **state)
{
    const struct oxbow_threads *threads = &rig.port.threads;
    struct oxbow_thread *producer[PRODUCERS];
    enum oxbow_err said[PRODUCERS] = {OXBOW_OK};
    struct oxbow_txn *txn;
    uint64_t len = 0;
    size_t i;

    (void)state;
    fill_in_what_is_needed();
    rig_open(&rig);
    for (i = 0; i < PRODUCERS; i++) {
        assert_int_equal(
            threads->thread_open(threads->ctx, "producer", push_some, &said[i], &producer[i]),
            OXBOW_OK);
    }
    for (i = 0; i < PRODUCERS; i++) {
        threads->thread_join(producer[i]);
        assert_int_equal(said[i], OXBOW_OK);
    }
    rig_reopen(&rig);
    txn = rig_begin(&rig, OXBOW_TXN_READ);
    assert_int_equal(oxbow_list_len(txn, BYTES("readings"), &len), OXBOW_OK);
    rig_commit(txn);
    assert_int_equal(len, PRODUCERS * PUSHES);
}

static void nothing_to_poll_is_said_and_threads_wait_instead(void **state)
{
    const struct oxbow_bytes key = BYTES("nothing here");
    const struct oxbow_wait_options wait = {.timeout_ms = 30};
    const struct oxbow_list_pop_options pop = {.keys = &key, .key_count = 1};
    struct oxbow_wait_set *set = NULL;
    struct oxbow_result result = {0};
    uint64_t before;

    (void)state;
    fill_in_what_is_needed();
    rig_open(&rig);
    assert_int_equal(oxbow_durable_fd(rig.db), -1);
    assert_int_equal(oxbow_wait_set_open(rig.db, &set), OXBOW_ENOTSUP);
    before = rig.port.clock.mono_us(rig.port.clock.ctx);
    assert_int_equal(oxbow_list_pop_wait(rig.db, &wait, &pop, NULL, &result), OXBOW_ETIMEDOUT);
    assert_true(rig.port.clock.mono_us(rig.port.clock.ctx) - before >= 30000);
    oxbow_result_fini(&result);
}

static void its_clocks_tell_the_time_and_never_go_back(void **state)
{
    const struct oxbow_clock *clock = &oxbow_port_default()->clock;
    uint64_t last = 0;
    int64_t apart = (int64_t)(clock->wall_ms(NULL) / 1000) - (int64_t)time(NULL);
    int i;

    (void)state;
    assert_true(apart >= -60 && apart <= 60);
    assert_true(clock->wall_is_set(NULL));
    for (i = 0; i < 10000; i++) {
        uint64_t now = clock->mono_us(NULL);

        assert_true(now >= last);
        last = now;
    }
}

/* In a child, which is to die of it. */
static void a_broken_invariant_ends_the_program(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        fclose(stderr);
        oxbow_port_default()->panic("file.c", 7, "planted");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_function_of_the_template_is_missing),
        TEST(as_it_is_no_store_can_be_opened),
        TEST(a_port_without_what_is_needed_is_refused),
        TEST(what_it_does_by_itself_carries_a_store),
        TEST(nothing_to_poll_is_said_and_threads_wait_instead),
        cmocka_unit_test(its_clocks_tell_the_time_and_never_go_back),
        cmocka_unit_test(a_broken_invariant_ends_the_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
