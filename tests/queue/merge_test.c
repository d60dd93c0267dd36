/* SPDX-License-Identifier: Apache-2.0 */
/* What a stand-in holds comes into the store: everything that it can hold, once, and what cannot come stays. */
#include "engine/queue/mend.h"
#include "engine/queue/merge.h"
#include "oxbow/binding.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/group.h"
#include "oxbow/string.h"
#include "tests/queue/merge_fixture.h"

#include <time.h>

static void set_string(const char *key, const char *value)
{
    struct oxbow_txn *txn = rig_txn(&rig);

    assert_int_equal(oxbow_string_set(txn, bytes_of(key), bytes_of(value)), OXBOW_OK);
    rig_commit(&rig, txn);
}

static void assert_string(const char *key, const char *value)
{
    struct oxbow_result result = {0};
    struct oxbow_txn *txn = rig_txn(&rig);

    assert_int_equal(oxbow_string_get(txn, bytes_of(key), &result), OXBOW_OK);
    assert_int_equal(result.items[0].len, strlen(value));
    assert_memory_equal(result.items[0].data, value, strlen(value));
    oxbow_txn_abort(txn);
    oxbow_result_fini(&result);
}

static void batches_and_databases(void **state)
{
    struct oxbow_txn *txn;
    struct oxbow_result result = {0};
    const struct oxbow_bytes value = {"nine", 4};

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    add_numbers(&rig, "q", 0, 10);
    rig_close(&rig);
    begin_stand_in();
    add_numbers(&rig, "q", 10, 3 * MERGE_BATCH + 7);
    push_numbers(&rig, "l", 0, 2 * MERGE_BATCH);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_txn_select(txn, 9), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, bytes_of("l"), OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
    rig_commit(&rig, txn);
    come_back();
    assert_int_equal(recovery_of().merged, 5 * MERGE_BATCH + 8);
    assert_numbers(&rig, "q", false, 0, 3 * MERGE_BATCH + 17);
    assert_numbers(&rig, "l", true, 0, 2 * MERGE_BATCH);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_txn_select(txn, 9), OXBOW_OK);
    assert_int_equal(oxbow_list_range(txn, bytes_of("l"), 0, -1, &result), OXBOW_OK);
    assert_int_equal(result.item_count, 1);
    oxbow_txn_abort(txn);
    oxbow_result_fini(&result);
    rig_free(&rig);
}

static void strings_go_over_strings_and_not_over_queues(void **state)
{
    char key[64];

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    set_string("s", "old");
    push_numbers(&rig, "queue", 0, 3);
    rig_close(&rig);
    begin_stand_in();
    set_string("s", "new");
    set_string("t", "first");
    set_string("queue", "not");
    snprintf(key, sizeof key, "queue:meanwhile:%016llx",
             (unsigned long long)stat_of(&rig).store_id);
    come_back();
    assert_string("s", "new");
    assert_string("t", "first");
    assert_numbers(&rig, "queue", true, 0, 3);
    assert_string(key, "not");
    rig_free(&rig);
}

static void a_queue_of_another_type_comes_beside_it(void **state)
{
    char key[64];

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    add_numbers(&rig, "q", 0, 3);
    rig_close(&rig);
    begin_stand_in();
    push_numbers(&rig, "q", 7, 4);
    snprintf(key, sizeof key, "q:meanwhile:%016llx", (unsigned long long)stat_of(&rig).store_id);
    come_back();
    assert_numbers(&rig, "q", false, 0, 3);
    assert_numbers(&rig, key, true, 7, 4);
    rig_free(&rig);
}

/* ---- entries ---- */

static struct oxbow_id add_one(const char *key, int n, const struct oxbow_stream_add_options *opt)
{
    char text[16];
    struct oxbow_field fields[2] = {{bytes_of("n"), {text, 0}}, {bytes_of("b"), {"\0\xff", 2}}};
    struct oxbow_txn *txn = rig_txn(&rig);
    struct oxbow_id id;

    fields[0].value.len = (size_t)snprintf(text, sizeof text, "%d", n);
    assert_int_equal(oxbow_stream_add(txn, bytes_of(key), opt, fields, 2, &id), OXBOW_OK);
    rig_commit(&rig, txn);
    return id;
}

static void an_entry_keeps_its_fields_and_its_id_if_that_comes_after_what_is_there(void **state)
{
    const struct oxbow_stream_add_options old = {.id_mode = OXBOW_ID_EXPLICIT, .id = {5, 1}};
    const struct oxbow_stream_add_options late = {.id_mode = OXBOW_ID_EXPLICIT,
                                                  .id = {(uint64_t)1 << 50, 0}};
    struct oxbow_result got;
    struct oxbow_id id;

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    add_one("q", 0, NULL);
    rig_close(&rig);
    begin_stand_in();
    add_one("q", 1, &old); /* a board that woke in 1970 */
    id = add_one("q", 2, NULL);
    add_one("q", 3, &late);
    come_back();
    got = entries_of("q");
    assert_int_equal(got.entry_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(got.entries[i].field_count, 2);
        assert_int_equal(number_of(got.entries[i].fields[0].value), i);
        assert_memory_equal(got.entries[i].fields[1].value.data, "\0\xff", 2);
        assert_true(got.entries[i].id.ms < late.id.ms);
    }
    assert_true(got.entries[1].id.ms > 5); /* a new one */
    assert_true(got.entries[2].id.ms == id.ms || got.entries[1].id.ms >= id.ms);
    oxbow_result_fini(&got);
    rig_free(&rig);

    rig_make(&rig);
    begin_stand_in();
    id = add_one("q", 0, NULL);
    come_back();
    got = entries_of("q");
    assert_int_equal(got.entries[0].id.ms, id.ms);
    assert_int_equal(got.entries[0].id.seq, id.seq);
    oxbow_result_fini(&got);
    rig_free(&rig);
}

static void priorities_and_times_to_live_go_over(void **state)
{
    const struct oxbow_policy three = {.priorities = 3};
    const struct oxbow_policy two = {.priorities = 2};
    struct oxbow_stream_add_options opt = {.priority = 2, .ttl_ms = 3600000};
    const struct timespec nap = {0, 30000000};
    struct oxbow_result got;
    struct oxbow_txn *txn;
    uint64_t left;

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    set_policy("three", &three);
    set_policy("two", &two);
    rig_close(&rig);
    begin_stand_in();
    set_policy("three", &three);
    set_policy("two", &three);
    add_one("three", 0, &opt);
    add_one("two", 0, &opt);
    opt.ttl_ms = 1;
    rig_close(&rig);
    rig_open_stand_in(&rig);
    add_one("three", 1, &opt); /* which expires */
    rig_close(&rig);
    nanosleep(&nap, NULL);
    device_back(&rig);
    rig_open_store(&rig);
    got = entries_of("three");
    assert_int_equal(got.entry_count, 1);
    assert_int_equal(got.entries[0].priority, 2);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_stream_ttl(txn, bytes_of("three"), got.entries[0].id, &left), OXBOW_OK);
    oxbow_txn_abort(txn);
    assert_in_range(left, 3500000, 3600000);
    oxbow_result_fini(&got);
    got = entries_of("two");
    assert_int_equal(got.entry_count, 1);
    assert_int_equal(got.entries[0].priority, 1);
    oxbow_result_fini(&got);
    rig_free(&rig);
}

static void what_is_put_off_stays_put_off(void **state)
{
    const struct oxbow_delay_when soon = {OXBOW_DELAY_FOR, 2000}; /* not before it is closed */
    const struct oxbow_delay_when later = {OXBOW_DELAY_FOR, 3600000};
    const struct oxbow_delay_when wall = {OXBOW_DELAY_WALL, (uint64_t)1 << 43};
    const struct oxbow_field field = {bytes_of("n"), bytes_of("7")};
    const struct timespec nap = {2, 100000000};
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;
    struct oxbow_delay_id id;
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;

    (void)state;
    rig_make(&rig);
    begin_stand_in();
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_delay_add(txn, bytes_of("q"), &later, &field, 1, &id), OXBOW_OK);
    assert_int_equal(oxbow_delay_set_priority(txn, id, 1), OXBOW_OK);
    assert_int_equal(oxbow_delay_add(txn, bytes_of("w"), &wall, &field, 1, NULL), OXBOW_OK);
    assert_int_equal(oxbow_txn_select(txn, 3), OXBOW_OK);
    assert_int_equal(oxbow_delay_push(txn, bytes_of("l"), OXBOW_LEFT, &later, bytes_of("8"), NULL),
                     OXBOW_OK);
    rig_commit(&rig, txn);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_delay_push(txn, bytes_of("now"), OXBOW_LEFT, &soon, bytes_of("9"), NULL),
                     OXBOW_OK);
    rig_commit(&rig, txn);
    rig_close(&rig);
    nanosleep(&nap, NULL); /* it becomes due meanwhile */
    device_back(&rig);
    rig_open_store(&rig);
    assert_in_range(recovery_of().merged, 4, 4);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_delay_run(txn, 0, NULL, NULL), OXBOW_OK);
    rig_commit(&rig, txn);
    assert_numbers(&rig, "now", true, 9, 1);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_delay_next(txn, &place, &info), OXBOW_OK);
    assert_int_equal(info.type, OXBOW_TYPE_STREAM);
    assert_int_equal(info.priority, 1);
    assert_int_equal(info.database, 0);
    assert_int_equal(oxbow_delay_get(txn, info.id, &result), OXBOW_OK);
    assert_int_equal(number_of(result.entries[0].fields[0].value), 7);
    assert_int_equal(oxbow_delay_next(txn, &place, &info), OXBOW_OK);
    assert_int_equal(info.type, OXBOW_TYPE_LIST);
    assert_int_equal(info.database, 3);
    assert_int_equal(info.end, OXBOW_LEFT);
    assert_false(info.wall);
    assert_int_equal(oxbow_delay_next(txn, &place, &info), OXBOW_OK);
    assert_true(info.wall);
    assert_int_equal(info.id.due_ms, wall.ms);
    assert_int_equal(oxbow_delay_next(txn, &place, &info), OXBOW_ENOENT);
    oxbow_txn_abort(txn);
    oxbow_result_fini(&result);
    rig_free(&rig);
}

/* The state after a batch was appended and before it was taken out; by then the key has expired. */
static void what_expires_in_the_middle_of_a_merge_does_not_stop_it(void **state)
{
    const struct timespec nap = {2, 100000000};
    char command[256];

    (void)state;
    for (int list = 0; list < 2; list++) {
        enum oxbow_expire_done done;
        struct oxbow_txn *txn;

        rig_make(&rig);
        rig_open_store(&rig);
        list ? push_numbers(&rig, "k", 0, 3) : add_numbers(&rig, "k", 0, 3);
        rig_close(&rig);
        begin_stand_in();
        list ? push_numbers(&rig, "k", 3, 5) : add_numbers(&rig, "k", 3, 5);
        txn = rig_txn(&rig);
        assert_int_equal(oxbow_key_expire(txn, bytes_of("k"), 2000, 0, &done), OXBOW_OK);
        rig_commit(&rig, txn);
        rig_close(&rig);
        snprintf(command, sizeof command, "cp -a '%s' '%s/kept'", rig.memory, rig.base);
        assert_int_equal(system(command), 0);
        device_back(&rig);
        rig_open_store(&rig);
        rig_close(&rig);
        snprintf(command, sizeof command, "rm -rf '%s' && mv '%s/kept' '%s'", rig.memory, rig.base,
                 rig.memory);
        assert_int_equal(system(command), 0);
        nanosleep(&nap, NULL);
        rig_open_store(&rig);
        assert_numbers(&rig, "k", list, 0, recovery_of().merged == 0 ? 8 : -1);
        rig_free(&rig);
    }
}

/* ---- groups and bindings ---- */

static void read_and_ack(const char *name, size_t read, size_t ack)
{
    const struct oxbow_group group = {bytes_of("q"), bytes_of(name)};
    const struct oxbow_group_read_options opt = {.count = read};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn = rig_txn(&rig);

    assert_int_equal(oxbow_group_read(txn, group, bytes_of("c"), &opt, &result), OXBOW_OK);
    for (size_t i = 0; i < ack; i++) {
        assert_int_equal(oxbow_group_ack(txn, group, &result.entries[i].id, 1, NULL), OXBOW_OK);
    }
    rig_commit(&rig, txn);
    oxbow_result_fini(&result);
}

static void make_group(const char *name, bool at_end)
{
    const struct oxbow_group group = {bytes_of("q"), bytes_of(name)};
    const struct oxbow_group_create_options opt = {.make_stream = true, .at_end = at_end};
    struct oxbow_txn *txn = rig_txn(&rig);

    assert_int_equal(oxbow_group_create(txn, group, &opt), OXBOW_OK);
    rig_commit(&rig, txn);
}

static void what_all_groups_have_acked_does_not_come_again(void **state)
{
    const struct oxbow_group fresh = {bytes_of("q"), bytes_of("fresh")};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    add_numbers(&rig, "q", 0, 2);
    make_group("old", true);
    rig_close(&rig);
    begin_stand_in();
    make_group("old", false);
    make_group("fresh", false);
    add_numbers(&rig, "q", 0, 2 * MERGE_BATCH);
    read_and_ack("old", 2 * MERGE_BATCH, 2 * MERGE_BATCH - 1); /* one stays pending */
    read_and_ack("fresh", MERGE_BATCH + 50, MERGE_BATCH + 50);
    come_back();
    assert_int_equal(recovery_of().merged, MERGE_BATCH - 50);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_group_read(txn, fresh, bytes_of("c"), NULL, &result), OXBOW_OK);
    oxbow_txn_abort(txn);
    assert_int_equal(result.entry_count, MERGE_BATCH - 50); /* it was made, before them */
    assert_int_equal(number_of(result.entries[0].fields[0].value), MERGE_BATCH + 50);
    oxbow_result_fini(&result);
    rig_free(&rig);
}

static void bind(void)
{
    const struct oxbow_binding binding = {
        .source = bytes_of("q"), .destination = bytes_of("copy"), .kind = OXBOW_BIND_ALL};
    struct oxbow_txn *txn = rig_txn(&rig);

    assert_int_equal(oxbow_bind(txn, &binding, NULL), OXBOW_OK);
    rig_commit(&rig, txn);
}

static void bindings_lead_each_entry_on_once(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        rig_make(&rig);
        rig_open_store(&rig);
        bind();
        rig_close(&rig);
        begin_stand_in();
        if (there) {
            bind();
        }
        add_numbers(&rig, "q", 0, 20);
        come_back();
        assert_numbers(&rig, "q", false, 0, 20);
        assert_numbers(&rig, "copy", false, 0, 20);
        rig_free(&rig);
    }
}

/* ---- what cannot come ---- */

/* Merges what it can, and then what a limit had kept out. */
static void open_and_lift(const char *key)
{
    const struct oxbow_policy none = {.max_entries = 0};

    rig_open(&rig);
    assert_int_equal(recovery_of().merge_left, OXBOW_EFULL);
    set_policy(key, &none);
    rig_close(&rig);
    rig_open(&rig);
}

static void a_stand_in_that_is_used_later_is_merged_later(void **state)
{
    const struct oxbow_policy refuse = {.max_entries = 10, .on_full = OXBOW_POLICY_REFUSE};

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    set_policy("a", &refuse);
    set_policy("b", &refuse);
    rig_close(&rig);
    begin_stand_in();
    push_numbers(&rig, "a", 0, 15);
    rig_close(&rig);
    device_back(&rig);
    rig_open(&rig);
    assert_int_equal(recovery_of().merge_left, OXBOW_EFULL);
    rig_close(&rig);
    begin_stand_in(); /* the second, beside the first */
    push_numbers(&rig, "b", 0, 15);
    rig_close(&rig);
    device_back(&rig);
    open_and_lift("a"); /* only the second is left */
    assert_numbers(&rig, "a", true, 0, 15);
    assert_numbers(&rig, "b", true, 0, 10);
    rig_close(&rig);
    begin_stand_in();
    push_numbers(&rig, "b", 15, 5);
    rig_close(&rig);
    device_back(&rig);
    open_and_lift("b");
    assert_int_equal(recovery_of().merge_left, OXBOW_OK);
    assert_numbers(&rig, "b", true, 0, 20);
    rig_free(&rig);
}

static void behind_the_last_place_a_free_one_is_used_again(void **state)
{
    const struct oxbow_policy refuse = {.max_entries = 10, .on_full = OXBOW_POLICY_REFUSE};
    static const char *const keys[STAND_IN_MAX] = {"a", "b", "c", "d"};

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    for (unsigned i = 0; i < STAND_IN_MAX; i++) {
        set_policy(keys[i], &refuse);
    }
    rig_close(&rig);
    for (unsigned i = 0; i < STAND_IN_MAX; i++) {
        begin_stand_in();
        push_numbers(&rig, keys[i], 0, 15);
        rig_close(&rig);
        device_back(&rig);
        rig_open(&rig);
        rig_close(&rig);
    }
    for (unsigned i = 0; i + 1 < STAND_IN_MAX; i++) {
        open_and_lift(keys[i]); /* at last only the fourth is left */
        rig_close(&rig);
    }
    begin_stand_in();
    push_numbers(&rig, "e", 0, 5);
    rig_close(&rig);
    device_back(&rig);
    open_and_lift("d");
    assert_numbers(&rig, "d", true, 0, 15);
    assert_numbers(&rig, "e", true, 0, 5);
    rig_free(&rig);
}

static void limits_of_the_store_hold_and_what_they_refuse_stays(void **state)
{
    const struct oxbow_policy drop = {.max_entries = 10, .on_full = OXBOW_POLICY_DROP_OLDEST};
    const struct oxbow_policy refuse = {.max_entries = 10, .on_full = OXBOW_POLICY_REFUSE};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    set_policy("drop", &drop);
    set_policy("refuse", &refuse);
    rig_close(&rig);
    begin_stand_in();
    push_numbers(&rig, "drop", 0, 25);
    push_numbers(&rig, "refuse", 0, 25);
    push_numbers(&rig, "free", 0, 25);
    rig_close(&rig);
    device_back(&rig);
    rig_open(&rig);
    assert_int_equal(recovery_of().merge_left, OXBOW_EFULL);
    assert_numbers(&rig, "drop", true, 15, 10);
    assert_numbers(&rig, "refuse", true, 0, 10);
    assert_numbers(&rig, "free", true, 0, 25);
    rig_close(&rig);

    begin_stand_in(); /* the one that is not empty yet is left alone */
    push_numbers(&rig, "free", 25, 5);
    assert_numbers(&rig, "refuse", true, 0, 0);
    rig_close(&rig);
    device_back(&rig);
    for (int round = 1; round < 3; round++) {
        rig_open(&rig);
        assert_int_equal(recovery_of().merge_left, OXBOW_EFULL);
        assert_numbers(&rig, "free", true, 0, 30);
        txn = rig_txn(&rig);
        assert_int_equal(oxbow_list_pop(txn, bytes_of("refuse"), OXBOW_LEFT, 15, &result),
                         OXBOW_OK);
        assert_int_equal(number_of(result.items[0]), 10 * (round - 1));
        rig_commit(&rig, txn);
        rig_close(&rig);
    }
    rig_open_store(&rig);
    assert_numbers(&rig, "refuse", true, 20, 5);
    oxbow_result_fini(&result);
    rig_free(&rig);
}

static void a_full_store_takes_what_it_can_and_opens(void **state)
{
    static char big[100 << 10];
    const struct oxbow_bytes value = {big, sizeof big};
    uint64_t len = 0;
    uint64_t came = 0;
    struct oxbow_txn *txn;

    (void)state;
    rig_make(&rig);
    begin_stand_in();
    for (int i = 0; i < 30; i++) {
        txn = rig_txn(&rig);
        assert_int_equal(oxbow_list_push(txn, bytes_of("l"), OXBOW_RIGHT, &value, 1, NULL),
                         OXBOW_OK);
        rig_commit(&rig, txn);
    }
    rig_close(&rig);
    device_back(&rig);
    rig.config.quota_bytes = 1u << 20;
    rig_open(&rig);
    assert_int_equal(recovery_of().merge_left, OXBOW_EQUOTA);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_list_len(txn, bytes_of("l"), &came), OXBOW_OK);
    oxbow_txn_abort(txn);
    assert_in_range(came, 1, 29);
    rig_close(&rig);
    rig.config.quota_bytes = 64u << 20;
    rig_open_store(&rig);
    assert_int_equal(recovery_of().merged, 30 - came);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_list_len(txn, bytes_of("l"), &len), OXBOW_OK);
    oxbow_txn_abort(txn);
    assert_int_equal(len, 30);
    rig_free(&rig);
}

/* The control: without the store's mark what it has already comes again. */
static void the_mark_keeps_a_batch_from_coming_twice(void **state)
{
    (void)state;
    for (int marked = 1; marked >= 0; marked--) {
        struct oxbow_config one;
        char dir[STAND_IN_DIR_MAX];
        struct stand_in_record record;
        struct oxbow_txn *txn;
        struct oxbow *from;
        uint64_t stand_in;

        rig_make(&rig);
        begin_stand_in();
        push_numbers(&rig, "l", 0, 20);
        stand_in = stat_of(&rig).store_id;
        rig_close(&rig);
        device_back(&rig);
        /* As an end leaves it between the two transactions of a batch. */
        stand_in_config(&rig.config, 1, dir, &one);
        assert_int_equal(store_open(&one, mend_store, &from), OXBOW_OK);
        assert_int_equal(oxbow_txn_begin(from, NULL, &txn), OXBOW_OK);
        assert_int_equal(stand_in_get(txn, &record), OXBOW_OK);
        assert_int_equal(record.state, STAND_IN_USED);
        record = (struct stand_in_record){STAND_IN_MERGING, 0, {rig.dir, strlen(rig.dir)}};
        assert_int_equal(stand_in_put(txn, &record), OXBOW_OK);
        assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
        assert_int_equal(oxbow_close(from), OXBOW_OK);
        {
            struct oxbow_config without = rig.config;
            uint8_t mark[41] = {1, MERGE_LIST, 0, 0, 20};
            static const uint8_t key[] = {KV_SPACE_STORE, STORE_KEY_MERGED};

            for (int i = 0; i < 8; i++) {
                mark[8 + i] = (uint8_t)(stand_in >> (8 * i));
            }
            mark[16] = 1;
            mark[40] = 'l';
            without.stand_in = NULL;
            assert_int_equal(oxbow_open(&without, &rig.db), OXBOW_OK);
            push_numbers(&rig, "l", 0, 20);
            txn = rig_txn(&rig);
            if (marked) {
                assert_int_equal(kv_put(txn, (struct oxbow_bytes){key, sizeof key},
                                        (struct oxbow_bytes){mark, sizeof mark}),
                                 OXBOW_OK);
            }
            rig_commit(&rig, txn);
            rig_close(&rig);
        }
        rig_open_store(&rig);
        assert_int_equal(recovery_of().merged, marked ? 0 : 20);
        if (marked) {
            assert_numbers(&rig, "l", true, 0, 20);
        }
        rig_free(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_and_databases),
        cmocka_unit_test(strings_go_over_strings_and_not_over_queues),
        cmocka_unit_test(a_queue_of_another_type_comes_beside_it),
        cmocka_unit_test(an_entry_keeps_its_fields_and_its_id_if_that_comes_after_what_is_there),
        cmocka_unit_test(priorities_and_times_to_live_go_over),
        cmocka_unit_test(what_is_put_off_stays_put_off),
        cmocka_unit_test(what_expires_in_the_middle_of_a_merge_does_not_stop_it),
        cmocka_unit_test(what_all_groups_have_acked_does_not_come_again),
        cmocka_unit_test(bindings_lead_each_entry_on_once),
        cmocka_unit_test(a_stand_in_that_is_used_later_is_merged_later),
        cmocka_unit_test(behind_the_last_place_a_free_one_is_used_again),
        cmocka_unit_test(limits_of_the_store_hold_and_what_they_refuse_stays),
        cmocka_unit_test(a_full_store_takes_what_it_can_and_opens),
        cmocka_unit_test(the_mark_keeps_a_batch_from_coming_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
