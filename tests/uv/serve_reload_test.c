/* SPDX-License-Identifier: Apache-2.0 */
/* The store is closed and opened again under a server that is on its loop: DEBUG RELOAD. */
#include "oxbow/list.h"
#include "tests/uv/serve_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct serve_world w;
static bool opens;

static enum oxbow_err reopen(void *ctx, struct oxbow **db)
{
    assert_ptr_equal(ctx, &w);
    rig_close(&w.rig);
    if (!opens) {
        return OXBOW_EIO;
    }
    rig_open(&w.rig);
    *db = w.rig.db;
    return OXBOW_OK;
}

static int begin(void **state)
{
    (void)state;
    serve_world_init(&w, OXBOW_SYNC_ALWAYS);
    opens = true;
    w.config.resp.debug = OXBOW_RESP_DEBUG_LOCAL;
    w.config.resp.reopen = reopen;
    return 0;
}

static int end(void **state)
{
    (void)state;
    serve_world_fini(&w);
    return 0;
}

/* Replies that wait for the device, and what other threads push, come by the new store's descriptors. */
static void its_descriptors_are_those_of_the_new_store(void **state)
{
    struct oxbow_bytes value = BYTES("from here");
    struct oxbow_txn *txn;
    int a;
    int b;

    (void)state;
    serve_world_open(&w);
    a = guest_dial(&w);
    b = guest_dial(&w);
    guest_ask(&w, a, "SET k v\r\n", "+OK\r\n");
    guest_say(&w, b, "BRPOP q 0\r\n");
    serve_world_run(&w, 20);
    for (int n = 0; n < 3; n++) {
        guest_ask(&w, a, "DEBUG RELOAD\r\n", "+OK\r\n");
        guest_ask(&w, a, "GET k\r\n", "$1\r\nv\r\n");
        guest_ask(&w, a, "SET k v\r\n", "+OK\r\n");
    }
    guest_ask(&w, a, "DEBUG RELOAD\r\nDEBUG RELOAD\r\nSET k w\r\n", "+OK\r\n+OK\r\n+OK\r\n");
    txn = rig_begin(&w.rig, 0);
    assert_int_equal(oxbow_list_push(txn, BYTES("q"), OXBOW_LEFT, &value, 1, NULL), OXBOW_OK);
    rig_commit(txn);
    guest_hear(&w, b, "*2\r\n$1\r\nq\r\n$9\r\nfrom here\r\n");
    guest_ask(&w, b, "GET k\r\n", "$1\r\nw\r\n");
    assert_int_equal(oxbow_resp_uv_clients(w.server), 2);
    close(a);
    close(b);
    serve_world_until_clients(&w, 0);
}

static void without_a_store_it_asks_the_program_for_the_end(void **state)
{
    int a;
    int b;

    (void)state;
    serve_world_open(&w);
    a = guest_dial(&w);
    b = guest_dial(&w);
    guest_say(&w, b, "BRPOP q 0\r\n");
    serve_world_run(&w, 20);
    opens = false;
    guest_say(&w, a, "DEBUG RELOAD\r\n");
    guest_hear_end(&w, a);
    guest_hear_end(&w, b);
    assert_int_equal(w.shutdowns, 1);
    serve_world_close(&w);
    close(a);
    close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_descriptors_are_those_of_the_new_store, begin, end),
        cmocka_unit_test_setup_teardown(without_a_store_it_asks_the_program_for_the_end, begin,
                                        end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
