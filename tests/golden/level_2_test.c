/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store that level_2_make.c wrote, kept as format-1.2.tar.gz: it is sound, it has a record of every
 * kind that came with level 2, each of its entries is there as it was written, what waits in it comes
 * when its time has come and not before, and it takes new entries.
 *
 *   level_2_test             checks the archive that it is told of at build time
 *   level_2_test --make DIR  writes such a store (make.sh)
 */
#include "engine/store/kv.h"
#include "oxbow/binding.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/forward.h"
#include "oxbow/group_options.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/once.h"
#include "oxbow/patrol.h"
#include "oxbow/policy.h"
#include "oxbow/schedule.h"
#include "oxbow/stream.h"
#include "oxbow/string.h"
#include "oxbow/time.h"
#include "oxbow/upgrade.h"
#include "tests/golden/archive.h"
#include "tests/golden/level_2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct oxbow_result result;

/* ---- shorthands ---- */

static uint64_t list_len(struct device *d, const char *key)
{
    uint64_t len;

    assert_ok(oxbow_list_len(d->txn, (struct oxbow_bytes){key, strlen(key)}, &len));
    return len;
}

static uint64_t stream_len(struct device *d, const char *key)
{
    uint64_t len;

    assert_ok(oxbow_stream_len(d->txn, (struct oxbow_bytes){key, strlen(key)}, &len));
    return len;
}

/* A stream's entries into `result`; gives how many. */
static size_t stream_all(struct device *d, const char *key)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};

    assert_ok(oxbow_stream_range(d->txn, (struct oxbow_bytes){key, strlen(key)}, &all, &result));
    return result.entry_count;
}

static bool same(struct oxbow_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

#define assert_bytes(bytes, text) assert_true(same((bytes), (text)))

/* The stream's entries are from-0 to to-0, {k: ..., n: ms}. */
static void assert_filled(struct device *d, const char *key, uint64_t from, uint64_t to)
{
    char number[24];

    assert_int_equal(stream_all(d, key), to - from + 1);
    for (size_t i = 0; i < result.entry_count; i++) {
        const struct oxbow_entry *e = &result.entries[i];

        assert_int_equal(e->id.ms, from + i);
        assert_int_equal(e->id.seq, 0);
        assert_int_equal(e->field_count, 2);
        assert_bytes(e->fields[0].name, "k");
        (void)snprintf(number, sizeof number, "%u", (unsigned)(from + i));
        assert_bytes(e->fields[1].value, number);
    }
}

static void assert_list(struct device *d, const char *key, const char *const *want, size_t count)
{
    assert_ok(oxbow_list_range(d->txn, (struct oxbow_bytes){key, strlen(key)}, 0, -1, &result));
    assert_int_equal(result.item_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_bytes(result.items[i], want[i]);
    }
}

#define LIST(d, key, ...)                                                                          \
    assert_list(d, key, (const char *const[]){__VA_ARGS__},                                        \
                sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* ---- every kind of record ---- */

/* Of keys with that first byte, and that other one at that position. */
static const struct kind {
    uint8_t space;
    uint8_t at; /* 0: none */
    uint8_t is;
} kinds[] = {
    {KV_SPACE_STORE, 1, 'h'},   {KV_SPACE_STORE, 1, 'f'},   {KV_SPACE_STORE, 1, 'F'},
    {KV_SPACE_STORE, 1, 'I'},   {KV_SPACE_CATALOG, 1, 1},   {KV_SPACE_CATALOG, 1, 2},
    {KV_SPACE_CATALOG, 1, 3},   {KV_SPACE_OBJECT, 9, 0x01}, {KV_SPACE_OBJECT, 9, 0x10},
    {KV_SPACE_OBJECT, 9, 0x11}, {KV_SPACE_OBJECT, 9, 0x13}, {KV_SPACE_OBJECT, 9, 0x14},
    {KV_SPACE_OBJECT, 9, 0x15}, {KV_SPACE_OBJECT, 9, 0x16}, {KV_SPACE_OBJECT, 9, 0x17},
    {KV_SPACE_OBJECT, 9, 0x19}, {KV_SPACE_OBJECT, 9, 0x1a}, {KV_SPACE_OBJECT, 9, 0x1b},
    {KV_SPACE_OBJECT, 9, 0x1c}, {KV_SPACE_OBJECT, 9, 0x1d}, {KV_SPACE_OBJECT, 9, 0x1e},
    {KV_SPACE_OBJECT, 9, 0x1f}, {KV_SPACE_OBJECT, 9, 0x20}, {KV_SPACE_OBJECT, 9, 0x21},
    {KV_SPACE_OBJECT, 9, 0x30}, {KV_SPACE_TIME, 1, 'b'},    {KV_SPACE_TIME, 1, 'k'},
    {KV_SPACE_TIME, 1, 'c'},    {KV_SPACE_EXPIRE, 1, 'd'},  {KV_SPACE_EXPIRE, 1, 'w'},
    {KV_SPACE_EXPIRE, 1, 'p'},  {KV_SPACE_EXPIRE, 1, 'n'},  {KV_SPACE_EXPIRE, 1, 'e'},
    {KV_SPACE_ONCE, 5, 'i'},    {KV_SPACE_ONCE, 5, 'p'},    {KV_SPACE_ONCE, 5, 'o'},
    {KV_SPACE_ONCE, 5, 's'},    {KV_SPACE_CRON, 1, 'c'},    {KV_SPACE_CRON, 1, 's'},
    {KV_SPACE_CRON, 1, 'd'},    {KV_SPACE_CRON, 1, 'w'},    {KV_SPACE_CRON, 1, 'n'},
    {KV_SPACE_FORWARD, 1, 'f'}, {KV_SPACE_FORWARD, 1, 'g'}, {KV_SPACE_FORWARD, 1, 'd'},
    {KV_SPACE_FORWARD, 1, 'n'}, {KV_SPACE_FORWARD, 1, 'i'}, {KV_SPACE_POLICY, 1, 'p'},
    {KV_SPACE_POLICY, 1, 's'},  {KV_SPACE_POLICY, 1, 'n'},  {KV_SPACE_POLICY, 1, 'b'},
    {KV_SPACE_PATROL, 0, 0},    {KV_SPACE_BLOB, 0, 0},      {KV_SPACE_BINDING, 1, 'b'},
    {KV_SPACE_BINDING, 1, 's'}, {KV_SPACE_BINDING, 1, 'c'}, {KV_SPACE_BINDING, 1, 'd'},
    {KV_SPACE_BINDING, 1, 'n'},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* The number of the key's row; KINDS: it is in none. */
static size_t kind_of(struct oxbow_bytes key)
{
    const uint8_t *p = key.data;
    size_t i = 0;

    while (i < KINDS && (p[0] != kinds[i].space || key.len <= kinds[i].at ||
                         (kinds[i].at > 0 && p[kinds[i].at] != kinds[i].is))) {
        i++;
    }
    return i;
}

static void check_kinds(struct device *d)
{
    uint64_t found[KINDS + 1] = {0};
    struct oxbow_bytes value;
    struct oxbow_bytes key;
    struct kv_cursor c;
    enum oxbow_err err;

    assert_ok(kv_cursor_init(&c, d->txn));
    err = kv_cursor_seek(&c, (struct oxbow_bytes){"", 0}, &key, &value);
    while (err == OXBOW_OK) {
        found[kind_of(key)]++;
        err = kv_cursor_next(&c, &key, &value);
    }
    assert_int_equal(err, OXBOW_ENOENT);
    kv_cursor_fini(&c);
    for (size_t i = 0; i < KINDS; i++) {
        if (found[i] == 0) {
            fail_msg("there is no key of space %02x with %02x at %u", kinds[i].space, kinds[i].is,
                     kinds[i].at);
        }
    }
}

/* ---- as it was written ---- */

static void check_policies(struct device *d)
{
    struct oxbow_policy_info info;
    struct oxbow_drop_gap gaps[2];
    struct oxbow_policy policy;
    struct oxbow_drops drops;
    size_t count;

    assert_ok(oxbow_policy_get(d->txn, BYTES("ring"), &policy));
    assert_int_equal(policy.max_entries, 10);
    assert_int_equal(policy.max_bytes, 100000);
    assert_int_equal(policy.max_age_ms, 300 * DAY);
    assert_int_equal(policy.keep_ms, 5 * DAY);
    assert_int_equal(policy.keep_bytes, 50000);
    assert_int_equal(policy.on_full, OXBOW_POLICY_DROP_OLDEST);
    assert_int_equal(policy.dedupe_ms, 6 * DAY);
    assert_int_equal(policy.dedupe_count, 100);
    assert_filled(d, "ring", 6, 15);
    assert_ok(oxbow_policy_gaps(d->txn, BYTES("ring"), OXBOW_ID_MIN, gaps, 2, &count));
    assert_int_equal(count, 1);
    assert_int_equal(gaps[0].from.ms, 1);
    assert_int_equal(gaps[0].to.ms, 5);
    assert_int_equal(gaps[0].by_cause[OXBOW_DROP_LENGTH - 1], 5);
    assert_ok(oxbow_policy_drops(d->txn, BYTES("belt"), OXBOW_DROP_LENGTH, &drops));
    assert_int_equal(drops.entries, 2);
    LIST(d, "belt", "c", "d", "e");
    LIST(d, "plate", "one", "two");
    assert_ok(oxbow_policy_info(d->txn, BYTES("plate"), &info));
    assert_true(info.full);
    assert_ok(oxbow_policy_get(d->txn, BYTES("ranked"), &policy));
    assert_int_equal(policy.priorities, 3);
    assert_int_equal(policy.priority_weights,
                     OXBOW_PRIORITY_WEIGHT(2, 3) | OXBOW_PRIORITY_WEIGHT(1, 2));
    assert_int_equal(policy.priority_wait_ms, 50 * DAY);
}

static bool once_again(struct device *d, const char *id)
{
    const struct oxbow_field field = {BYTES("n"), BYTES("2")};
    const struct oxbow_once once = {.id = {id, 1}};
    struct oxbow_once_outcome out;

    assert_ok(oxbow_once_add(d->txn, BYTES("once"), &once, &field, 1, &out));
    return out.duplicate;
}

static bool push_again(struct device *d, uint64_t sequence)
{
    struct oxbow_once_outcome out;

    assert_ok(oxbow_once_push(d->txn, BYTES("counted"), OXBOW_RIGHT,
                              &(struct oxbow_once){.producer = BYTES("pump"), .sequence = sequence},
                              BYTES("x"), &out));
    return out.duplicate;
}

static void check_once(struct device *d)
{
    uint64_t sequence;

    assert_int_equal(stream_len(d, "once"), 3);
    LIST(d, "counted", "seven");
    assert_ok(oxbow_once_sequence(d->txn, BYTES("counted"), BYTES("pump"), &sequence));
    assert_int_equal(sequence, 7);
    assert_true(once_again(d, "a") && once_again(d, "b") && once_again(d, "c"));
    assert_true(push_again(d, 6) && push_again(d, 7));
}

static void check_delays(struct device *d)
{
    static const char *const keys[] = {"tight", "later", "later still", "dated"};
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;
    unsigned seen = 0;

    while (oxbow_delay_next(d->txn, &place, &info) == OXBOW_OK) {
        for (unsigned i = 0; i < 4; i++) {
            seen |= same(info.key, keys[i]) ? 1u << i : 0;
        }
        assert_int_equal(info.wall, same(info.key, "dated"));
        assert_int_equal(info.priority, same(info.key, "later") ? 2 : 0);
        assert_int_equal(info.tries > 0, same(info.key, "tight"));
        assert_int_equal(info.refused, same(info.key, "tight") ? OXBOW_EFULL : OXBOW_OK);
        assert_int_equal(info.end, same(info.key, "dated") ? OXBOW_LEFT : info.end);
    }
    assert_int_equal(seen, 15);
}

static void check_ttls(struct device *d)
{
    uint64_t left;

    assert_filled(d, "brief", 1, 4);
    for (uint64_t i = 1; i <= 4; i++) {
        const uint64_t at_most[] = {0, 10 * DAY, 90 * DAY, UINT64_MAX, 90 * DAY};

        assert_ok(oxbow_stream_ttl(d->txn, BYTES("brief"), (struct oxbow_id){i, 0}, &left));
        assert_in_range(left, i == 3 ? UINT64_MAX : at_most[i] - 3 * DAY, at_most[i]);
    }
}

static void check_tasks(struct device *d)
{
    static const struct {
        uint64_t id;
        const char *consumer;
        uint64_t deliveries;
    } want[] = {{2, "", 1}, {3, "", 1}, {5, "anna", 1},  {6, "bert", 1}, {7, "bert", 1},
                {8, "", 0}, {9, "", 0}, {10, "bert", 1}, {11, "", 0},    {12, "", 0}};
    const struct oxbow_pending_filter all = {.to = OXBOW_ID_MAX, .count = 20};
    struct oxbow_group_options opt;
    struct oxbow_group_status status;
    struct oxbow_pending rows[20];
    size_t count;

    assert_ok(oxbow_group_pending(d->txn, GROUP("tasks", "workers"), &all, &result, rows, &count));
    assert_int_equal(count, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_int_equal(rows[i].id.ms, want[i].id);
        assert_bytes(rows[i].consumer, want[i].consumer);
        assert_int_equal(rows[i].deliveries, want[i].deliveries);
    }
    assert_ok(oxbow_group_options_get(d->txn, GROUP("tasks", "workers"), &result, &opt));
    assert_int_equal(opt.visibility_ms, 30 * DAY);
    assert_int_equal(opt.max_deliveries, 3);
    assert_int_equal(opt.retry_base_ms, 7 * DAY);
    assert_int_equal(opt.retry_jitter_percent, 50);
    assert_int_equal(opt.prefetch, 10);
    assert_bytes(opt.key_field, "k");
    assert_bytes(opt.dead_letter, "dead");
    assert_ok(oxbow_group_status(d->txn, GROUP("tasks", "workers"), &status));
    assert_int_equal(status.dead_letters, 2);
    assert_int_equal(stream_all(d, "dead"), 1);
    assert_bytes(result.entries[0].fields[5].value, "broken");
    assert_ok(oxbow_group_options_get(d->txn, GROUP("tasks", "solo"), &result, &opt));
    assert_int_equal(opt.exclusive_ms, DAY);
}

static void check_schedules(struct device *d)
{
    struct oxbow_schedule_info info;

    assert_ok(oxbow_schedule_get(d->txn, "tick", &info));
    assert_bytes(info.when, "every 2d");
    assert_int_equal(info.missed_do, OXBOW_MISSED_ALL);
    assert_int_equal(info.missed_max, 3);
    assert_int_equal(info.type, OXBOW_TYPE_LIST);
    assert_ok(oxbow_schedule_get(d->txn, "daily", &info));
    assert_bytes(info.when, "30 3 * * *");
    assert_true(info.wall);
    assert_int_equal(info.offset_min, 60);
    assert_ok(oxbow_schedule_get(d->txn, "paused", &info));
    assert_true(info.paused);
    assert_ok(oxbow_schedule_entry(d->txn, "daily", &result));
    assert_bytes(result.entries[0].fields[0].value, "daily");
}

static void check_bindings(struct device *d)
{
    static const enum oxbow_binding_kind want[] = {OXBOW_BIND_TOPIC, OXBOW_BIND_DIRECT,
                                                   OXBOW_BIND_HEADERS};
    struct oxbow_binding_info info = {0};
    struct oxbow_source_info source;

    for (size_t i = 0; i < 3; i++) {
        assert_ok(oxbow_binding_next(d->txn, info.id, &info));
        assert_int_equal(info.binding.kind, want[i]);
        assert_int_equal(info.dropped, i == 1 ? 1 : 0);
    }
    assert_int_equal(oxbow_binding_next(d->txn, info.id, &info), OXBOW_ENOENT);
    assert_ok(oxbow_source_get(d->txn, BYTES("from"), &source));
    assert_true(source.source.keeps_nothing);
    assert_bytes(source.source.alternate, "rest");
    assert_int_equal(source.entries, 3);
    assert_int_equal(source.routed, 2);
    assert_int_equal(source.alternated, 1);
    assert_int_equal(source.dropped, 1);
    assert_int_equal(stream_len(d, "from"), 0);
    assert_int_equal(stream_len(d, "to"), 2);
    assert_int_equal(stream_len(d, "end"), 2);
    assert_int_equal(stream_len(d, "rest"), 1);
}

static void check_forwards(struct device *d)
{
    const struct oxbow_forward_fetch want = {.count = 10};
    struct oxbow_forward_batch batch;
    struct oxbow_forward_status status;
    struct oxbow_identity identity;
    struct oxbow_forward forward;

    assert_ok(oxbow_identity_get(d->txn, &identity));
    assert_string_equal(identity.device, "device-7");
    assert_string_equal(identity.machine, "machine-7");
    assert_ok(oxbow_forward_get(d->txn, "up", &forward));
    assert_int_equal(forward.options.max_bytes, 100);
    assert_int_equal(forward.options.on_full, OXBOW_FULL_DROP_OLDEST);
    assert_true(forward.options.true_time);
    assert_bytes(forward.options.target, "central:outbox");
    assert_ok(oxbow_forward_status(d->txn, "up", &status));
    assert_true(status.dropped_entries > 0 && status.dropped_entries < 30);
    assert_int_equal(status.dropped_entries + status.backlog_entries, 30);
    assert_int_equal(status.last.cause, OXBOW_GAP_BUDGET);
    assert_ok(oxbow_forward_fetch(d->txn, "up", &want, &result, &batch));
    assert_int_equal(batch.gaps, 1);
    assert_bytes(result.entries[0].fields[0].name, "oxbow:gap");
    assert_ok(oxbow_forward_get(d->txn, "jobs", &forward));
    assert_true(forward.options.urgent);
    assert_int_equal(forward.options.weight, 5);
    assert_ok(oxbow_forward_fetch(d->txn, "jobs", &want, &result, &batch));
    assert_int_equal(result.item_count, 2);
    assert_bytes(result.items[1], "job 2");
    assert_ok(oxbow_forward_get(d->txn, "acked", &forward));
    assert_int_equal(forward.options.select, OXBOW_SELECT_ACKED);
    assert_int_equal(forward.options.replicas, 2);
    assert_ok(oxbow_forward_status(d->txn, "acked", &status));
    assert_int_equal(status.confirmed.ms, 1);
}

static void check_rest(struct device *d)
{
    struct oxbow_stream_priorities ranked;
    struct oxbow_true_time t;

    assert_ok(oxbow_string_get(d->txn, BYTES("state"), &result));
    assert_bytes(result.items[0], "half way");
    assert_ok(oxbow_string_get(d->txn, BYTES("large"), &result));
    assert_int_equal(result.items[0].len, BLOB_BYTES);
    assert_memory_equal(result.items[0].data, level_2_blob(), BLOB_BYTES);
    LIST(d, "work", "in hand");
    assert_filled(d, "log", 1, IN_ALL);
    assert_int_equal(list_len(d, "tail"), IN_ALL);
    assert_ok(oxbow_stream_priorities(d->txn, BYTES("ranked"), &ranked));
    assert_int_equal(ranked.count, 3);
    assert_int_equal(ranked.entries[0], 3);
    assert_int_equal(ranked.entries[1], 2);
    assert_int_equal(ranked.entries[2], 3);
    assert_int_equal(stream_all(d, "undated"), 2);
    assert_ok(oxbow_stream_true_time(d->txn, BYTES("undated"), result.entries[0].id, &t));
    assert_true(t.known);
    assert_int_equal(t.from_ms, BEGAN + DAY);
}

static void check(struct device *d)
{
    device_begin(d);
    check_policies(d);
    check_once(d);
    check_delays(d);
    check_ttls(d);
    check_tasks(d);
    check_schedules(d);
    check_bindings(d);
    check_forwards(d);
    check_rest(d);
    device_commit(d);
}

/* ---- what comes of it ---- */

/* The store's idle work goes by the device's clocks: they go on meanwhile. */
static void expect_soon(struct device *d, bool (*seen)(struct device *d))
{
    bool done = false;

    for (unsigned i = 0; i < 30000 && !done; i++) {
        device_begin(d);
        done = seen(d);
        device_commit(d);
        if (!done) {
            device_pass(d, 50);
            (void)usleep(1000);
        }
    }
    assert_true(done);
}

static bool delays_came(struct device *d)
{
    return stream_len(d, "later") == 1 && list_len(d, "later still") == 1 &&
           list_len(d, "dated") == 1;
}

static bool brief_went(struct device *d)
{
    return stream_all(d, "brief") == 3;
}

static bool replayed_went(struct device *d)
{
    struct oxbow_drops drops;

    assert_ok(oxbow_policy_drops(d->txn, BYTES("ring"), OXBOW_DROP_DELIVERED, &drops));
    return drops.entries == 5;
}

static bool schedules_came(struct device *d)
{
    return list_len(d, "ticks") >= 3 && stream_len(d, "reports") >= 1;
}

/* What `tasks` gives now is so many, each of them done at once. */
static void serve_tasks(struct device *d, uint64_t want)
{
    const struct oxbow_group g = GROUP("tasks", "workers");
    const struct oxbow_group_read_options all = {.count = 100};
    uint64_t done = 0;

    for (unsigned round = 0; round < 20; round++) {
        assert_ok(oxbow_group_read(d->txn, g, BYTES("dora"), &all, &result));
        for (size_t i = 0; i < result.entry_count; i++) {
            const struct oxbow_id id = result.entries[i].id;

            assert_ok(oxbow_group_ack(d->txn, g, &id, 1, NULL));
            done++;
        }
    }
    assert_int_equal(done, want);
}

static void serve_priorities(struct device *d)
{
    const struct oxbow_group_read_options all = {.count = 100};

    assert_ok(oxbow_group_read(d->txn, GROUP("ranked", "g"), BYTES("bert"), &all, &result));
    assert_int_equal(result.entry_count, 4);
}

static void serve(struct device *d)
{
    device_pass(d, 12 * DAY);
    d->wall_ms = BEGAN + 14 * DAY;
    expect_soon(d, delays_came);
    expect_soon(d, brief_went);
    expect_soon(d, replayed_went);
    device_begin(d);
    serve_tasks(d, 3); /* 3, and behind it 9 and 12; 2 is of the key of 5, which anna still has */
    serve_priorities(d);
    assert_false(once_again(d, "a")); /* the window is over */
    assert_true(push_again(d, 7));
    assert_false(push_again(d, 8));
    device_commit(d);
    device_pass(d, 2 * DAY);
    expect_soon(d, schedules_came);
    device_pass(d, 31 * DAY);
    device_begin(d);
    serve_tasks(d, 7);
    device_commit(d);
}

/* ---- */

static void a_store_of_level_2_is_sound_and_serves_all_that_is_in_it(void **state)
{
    char base[] = "/tmp/oxbow-golden-XXXXXX";
    struct oxbow_recovery rec;
    struct device d;
    char dir[64];

    (void)state;
    assert_non_null(mkdtemp(base));
    run((const char *const[]){"tar", "-xzf", GOLDEN_1_2, "-C", base, NULL});
    (void)snprintf(dir, sizeof dir, "%s/store", base);
    check_sound(dir);
    device_init(&d, dir);
    d.wall_ms = NOT_SET;
    d.mono_us = 21000000;
    device_open(&d);
    oxbow_recovery(d.db, &rec);
    assert_true(rec.replayed > IN_ALL - IN_TREE);
    assert_int_equal(rec.skipped, 0);
    device_begin(&d);
    check_kinds(&d);
    device_commit(&d);
    check(&d);
    assert_ok(oxbow_close(d.db));
    check_sound(dir);
    device_open(&d); /* and once more, with nothing to replay */
    check(&d);
    serve(&d);
    assert_ok(oxbow_close(d.db));
    check_sound(dir);
    device_open(&d);
    device_begin(&d);
    assert_true(delays_came(&d) && brief_went(&d) && replayed_went(&d) && schedules_came(&d));
    assert_true(push_again(&d, 8));
    assert_false(once_again(&d, "b"));
    assert_true(once_again(&d, "b"));
    device_commit(&d);
    assert_ok(oxbow_close(d.db));
    oxbow_result_fini(&result);
    run((const char *const[]){"rm", "-r", base, NULL});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_of_level_2_is_sound_and_serves_all_that_is_in_it),
    };

    if (argc == 3 && strcmp(argv[1], "--make") == 0) {
        level_2_make(argv[2]);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
