/* SPDX-License-Identifier: Apache-2.0 */
/* What rule_fault_test.c begins with, and looks at afterwards. */
#include "tests/queue/rule_world.h"

#include "engine/base/hash.h"
#include "engine/store/kv.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/group_options.h"
#include "oxbow/once.h"
#include "oxbow/patrol.h"
#include "oxbow/policy.h"
#include "oxbow/schedule.h"
#include "oxbow/string.h"

#include <stdlib.h>

#define CLOCK_IDS 1000000000000u /* ids from here on are of the clock's making */

enum oxbow_err rule_add(struct oxbow_txn *txn, const char *stream, uint64_t ms, const char *key,
                        uint32_t priority, uint64_t ttl_ms)
{
    const struct oxbow_stream_add_options opt = {
        .id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}, .priority = priority, .ttl_ms = ttl_ms};
    const struct oxbow_field field = {BYTES("k"), text_bytes(key)};

    return oxbow_stream_add(txn, text_bytes(stream), &opt, &field, 1, NULL);
}

enum oxbow_err rule_push(struct oxbow_txn *txn, const char *list, const char *value)
{
    const struct oxbow_bytes v = text_bytes(value);

    return oxbow_list_push(txn, text_bytes(list), OXBOW_RIGHT, &v, 1, NULL);
}

enum oxbow_err rule_read(struct oxbow_txn *txn, const char *stream, const char *consumer,
                         uint64_t count)
{
    const struct oxbow_group_read_options opt = {.count = count};
    struct oxbow_result result = {0};
    enum oxbow_err err =
        oxbow_group_read(txn, group_of(stream, "g"), text_bytes(consumer), &opt, &result);

    oxbow_result_fini(&result);
    return err;
}

/* ---- making ---- */

static void make_limits(struct oxbow_txn *txn)
{
    const struct oxbow_policy ring = {.max_entries = 5,
                                      .on_full = OXBOW_POLICY_DROP_OLDEST,
                                      .keep_ms = HOUR_MS,
                                      .dedupe_count = 2};
    const struct oxbow_policy belt = {.max_bytes = 60, .on_full = OXBOW_POLICY_DROP_OLDEST};
    const struct oxbow_policy old = {.max_age_ms = HOUR_MS};
    const struct oxbow_id first = {3, 0};

    assert_ok(oxbow_policy_set(txn, BYTES("ring"), &ring));
    assert_ok(oxbow_policy_set(txn, BYTES("belt"), &belt));
    assert_ok(oxbow_policy_set(txn, BYTES("old"), &old));
    assert_ok(oxbow_policy_set(txn, BYTES("tight"), &(struct oxbow_policy){.max_entries = 1}));
    assert_ok(oxbow_group_create(txn, group_of("ring", "g"),
                                 &(struct oxbow_group_create_options){.make_stream = true}));
    for (uint64_t i = 1; i <= 7; i++) {
        assert_ok(rule_add(txn, "ring", i, "v", 0, 0));
        assert_ok(rule_push(txn, "belt", "0123456789"));
        assert_ok(rule_add(txn, "old", i, "v", 0, 0));
    }
    assert_ok(rule_read(txn, "ring", "anna", 2));
    assert_ok(oxbow_group_ack(txn, group_of("ring", "g"), &first, 1, NULL));
    assert_ok(rule_push(txn, "tight", "full"));
}

static void make_once(struct oxbow_txn *txn)
{
    const struct oxbow_field field = {BYTES("n"), BYTES("1")};
    struct oxbow_once_outcome out;

    for (unsigned i = 0; i < 2; i++) {
        const struct oxbow_once once = {.id = {i == 0 ? "a" : "b", 1}};

        assert_ok(oxbow_once_add(txn, BYTES("ring"), &once, &field, 1, &out));
    }
    assert_ok(oxbow_once_push(txn, BYTES("counted"), OXBOW_RIGHT,
                              &(struct oxbow_once){.producer = BYTES("pump"), .sequence = 5},
                              BYTES("five"), &out));
}

static void make_late(struct oxbow_txn *txn)
{
    const struct oxbow_delay_when hour = {OXBOW_DELAY_FOR, HOUR_MS};
    const struct oxbow_schedule_options tick = {.when = BYTES("every 1h"),
                                                .missed = OXBOW_MISSED_ALL,
                                                .key = BYTES("ticks"),
                                                .value = BYTES("tick")};

    for (unsigned i = 0; i < 3; i++) {
        const struct oxbow_field field = {BYTES("k"), {&"012"[i], 1}};

        assert_ok(oxbow_delay_add(txn, BYTES("later"), &hour, &field, 1, NULL));
    }
    assert_ok(oxbow_delay_push(txn, BYTES("tight"), OXBOW_RIGHT, &hour, BYTES("squeezed"), NULL));
    assert_ok(oxbow_schedule_set(txn, "tick", &tick));
    for (uint64_t i = 1; i <= 3; i++) {
        assert_ok(rule_add(txn, "brief", i, "v", 0, i < 3 ? HOUR_MS : 9 * HOUR_MS));
    }
}

static void make_tasks(struct oxbow_txn *txn)
{
    const struct oxbow_group_options opt = {.visibility_ms = HOUR_MS,
                                            .max_deliveries = 2,
                                            .dead_letter = BYTES("dead"),
                                            .retry_base_ms = 60000,
                                            .retry_jitter_percent = 50,
                                            .key_field = BYTES("k")};
    const struct oxbow_id id = {1, 0};

    assert_ok(oxbow_group_create(txn, group_of("tasks", "g"),
                                 &(struct oxbow_group_create_options){.make_stream = true}));
    assert_ok(oxbow_group_options_set(txn, group_of("tasks", "g"), &opt));
    for (uint64_t i = 1; i <= 9; i++) {
        assert_ok(rule_add(txn, "tasks", i, i % 2 == 0 ? "even" : "odd", 0, 0));
    }
    assert_ok(rule_read(txn, "tasks", "anna", 4));
    assert_ok(oxbow_group_nack(
        txn, group_of("tasks", "g"),
        &(struct oxbow_group_nack_options){.ids = &id, .count = 1, .how = OXBOW_NACK_DEAD}, NULL));
}

static void make_rest(struct oxbow_txn *txn)
{
    static const char big[RULE_BIG];
    const struct oxbow_policy ranked = {.priorities = 3,
                                        .priority_weights = OXBOW_PRIORITY_WEIGHT(2, 2)};
    const struct oxbow_patrol_options patrol = {
        .processing = BYTES("work"), .to = BYTES("todo"), .timeout_ms = 1000};
    struct oxbow_patrol found;

    assert_ok(oxbow_policy_set(txn, BYTES("ranked"), &ranked));
    assert_ok(oxbow_group_create(txn, group_of("ranked", "g"),
                                 &(struct oxbow_group_create_options){.make_stream = true}));
    for (uint64_t i = 1; i <= 9; i++) {
        assert_ok(rule_add(txn, "ranked", i, "v", (uint32_t)i % 3, 0));
    }
    assert_ok(rule_read(txn, "ranked", "anna", 3));
    assert_ok(oxbow_string_set(txn, BYTES("state"), BYTES("half way")));
    assert_ok(oxbow_string_set(txn, BYTES("large"), (struct oxbow_bytes){big, sizeof big}));
    assert_ok(rule_push(txn, "work", "one"));
    assert_ok(rule_push(txn, "work", "two"));
    assert_ok(oxbow_list_patrol(txn, &patrol, &found));
}

void rule_world_make(struct rig *rig)
{
    static void (*const parts[])(struct oxbow_txn * txn) = {make_limits, make_once, make_late,
                                                            make_tasks, make_rest};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct oxbow_txn *txn = rig_begin(rig, 0);

        parts[i](txn);
        rig_commit(txn);
    }
}

/* ---- telling ---- */

struct teller {
    struct oxbow_txn *txn;
    struct oxbow_result result;
    char *out;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void tell(struct teller *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->out + t->len, RULE_TEXT - t->len, format, args);
    va_end(args);
    assert_in_range(n, 0, RULE_TEXT - t->len - 1);
    t->len += (size_t)n;
}

static void tell_bytes(struct teller *t, struct oxbow_bytes b)
{
    if (b.len > 100) {
        tell(t, "%zu:%08x", b.len, (unsigned)hash64(b.data, b.len, 0));
    } else {
        tell(t, "%.*s", (int)b.len, (const char *)b.data);
    }
}

#define ULL(x) ((unsigned long long)(x))

static void tell_groups(struct teller *t, struct oxbow_bytes key)
{
    static struct oxbow_pending rows[64];
    const struct oxbow_pending_filter all = {.to = OXBOW_ID_MAX, .count = 64};
    const struct oxbow_group g = {key, BYTES("g")};
    struct oxbow_group_status status;
    struct oxbow_group_info info;
    size_t count;
    enum oxbow_err err = oxbow_group_info(t->txn, g, &info);

    if (err == OXBOW_ENOGROUP || err == OXBOW_ENOENT) {
        return;
    }
    assert_ok(err);
    assert_ok(oxbow_group_status(t->txn, g, &status));
    assert_ok(oxbow_group_pending(t->txn, g, &all, &t->result, rows, &count));
    assert_int_equal(count, info.pending);
    tell(t, " group last %llu pending %llu redelivered %llu dead %llu:", ULL(info.last_id.ms),
         ULL(info.pending), ULL(status.redelivered), ULL(status.dead_letters));
    for (size_t i = 0; i < count; i++) {
        tell(t, " %llu=", ULL(rows[i].id.ms));
        tell_bytes(t, rows[i].consumer);
        tell(t, "x%llu", ULL(rows[i].deliveries));
    }
    tell(t, "\n");
}

/* Of ids that the clock made neither time nor order is told: a fault may put an entry off. */
static void tell_entries(struct teller *t, struct oxbow_bytes key)
{
    uint64_t autos = 0;
    uint64_t sum = 0;

    for (size_t i = 0; i < t->result.entry_count; i++) {
        const struct oxbow_entry *e = &t->result.entries[i];
        const struct oxbow_bytes value = e->fields[e->field_count - 1].value;
        uint64_t left;

        if (e->id.ms >= CLOCK_IDS) {
            autos++;
            sum += hash64(value.data, value.len, e->field_count);
            continue;
        }
        assert_ok(oxbow_stream_ttl(t->txn, key, e->id, &left));
        tell(t, " %llu%s:", ULL(e->id.ms), left == UINT64_MAX ? "" : "!");
        for (uint32_t k = 0; k < e->field_count; k++) {
            tell_bytes(t, e->fields[k].value);
            tell(t, ",");
        }
    }
    tell(t, " %llu by the clock %llx\n", ULL(autos), ULL(sum));
}

static void tell_stream(struct teller *t, struct oxbow_bytes key)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX, .expired = true};
    struct oxbow_stream_priorities p;
    struct oxbow_stream_info info;

    assert_ok(oxbow_stream_info(t->txn, key, &info));
    assert_ok(oxbow_stream_priorities(t->txn, key, &p));
    assert_ok(oxbow_stream_range(t->txn, key, &all, &t->result));
    assert_int_equal(t->result.entry_count, info.length);
    tell(t, "added %llu priorities %u %llu %llu %llu:", ULL(info.entries_added), p.count,
         ULL(p.entries[0]), ULL(p.entries[1]), ULL(p.entries[2]));
    tell_entries(t, key);
    tell_groups(t, key);
}

static void tell_list(struct teller *t, struct oxbow_bytes key)
{
    assert_ok(oxbow_list_range(t->txn, key, 0, -1, &t->result));
    for (size_t i = 0; i < t->result.item_count; i++) {
        tell_bytes(t, t->result.items[i]);
        tell(t, " ");
    }
    tell(t, "\n");
}

static void tell_key(struct teller *t, struct oxbow_bytes key)
{
    enum oxbow_type type;

    assert_ok(oxbow_key_type(t->txn, key, &type));
    tell_bytes(t, key);
    tell(t, " is %d: ", (int)type);
    if (type == OXBOW_TYPE_STREAM) {
        tell_stream(t, key);
    } else if (type == OXBOW_TYPE_LIST) {
        tell_list(t, key);
    } else if (type == OXBOW_TYPE_STRING) {
        assert_ok(oxbow_string_get(t->txn, key, &t->result));
        tell_bytes(t, t->result.items[0]);
        tell(t, "\n");
    } else {
        tell(t, "-\n");
    }
}

static void tell_policy(struct teller *t, struct oxbow_bytes key)
{
    const struct oxbow_policy_field *fields;
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    struct oxbow_policy policy;
    struct oxbow_drops d;
    size_t count;

    if (oxbow_policy_get(t->txn, key, &policy) == OXBOW_ENOENT) {
        return;
    }
    fields = oxbow_policy_fields(&count);
    tell(t, " policy");
    for (size_t i = 0; i < count; i++) {
        tell(t, " %llu", ULL(oxbow_policy_value(&policy, &fields[i])));
    }
    for (unsigned cause = 1; cause <= OXBOW_DROP_CAUSES; cause++) {
        assert_ok(oxbow_policy_drops(t->txn, key, (enum oxbow_drop_cause)cause, &d));
        tell(t, " %llu/%llu", ULL(d.entries), ULL(d.bytes));
    }
    assert_ok(oxbow_policy_gaps(t->txn, key, OXBOW_ID_MIN, gaps, OXBOW_DROP_GAPS_MAX, &count));
    for (size_t i = 0; i < count; i++) {
        tell(t, " %llu..%llu:%llu", ULL(gaps[i].from.ms), ULL(gaps[i].to.ms), ULL(gaps[i].entries));
    }
    tell(t, "\n");
}

static void tell_waiting(struct teller *t)
{
    struct oxbow_delay_place place = {0};
    struct oxbow_schedule_info schedule;
    struct oxbow_delay_info info;
    struct oxbow_delay_stat stat;
    uint64_t sequence;
    uint64_t ticks;

    while (oxbow_delay_next(t->txn, &place, &info) == OXBOW_OK) {
        tell(t, "waits %llu for ", ULL(info.id.number));
        tell_bytes(t, info.key);
        tell(t, " bytes %llu priority %u\n", ULL(info.bytes), info.priority);
    }
    assert_ok(oxbow_delay_stat(t->txn, &stat));
    tell(t, "waiting %llu added %llu\n", ULL(stat.waiting), ULL(stat.added));
    assert_ok(oxbow_list_len(t->txn, BYTES("ticks"), &ticks));
    for (unsigned i = 0; i < 2; i++) {
        if (oxbow_schedule_get(t->txn, i == 0 ? "tick" : "tock", &schedule) == OXBOW_OK) {
            assert_int_equal(schedule.added, i == 0 ? ticks : 0);
            tell(t, "schedule %u came %llu paused %d\n", i, ULL(schedule.added + schedule.refused),
                 schedule.paused);
        }
    }
    if (oxbow_once_sequence(t->txn, BYTES("counted"), BYTES("pump"), &sequence) == OXBOW_OK) {
        tell(t, "pump %llu\n", ULL(sequence));
    }
}

void rule_world_tell(struct rig *rig, char out[RULE_TEXT])
{
    static const char *const keys[] = {"ring",  "belt",  "old",   "tight", "counted",
                                       "later", "brief", "tasks", "dead",  "ranked",
                                       "state", "large", "work",  "todo",  "new"};
    struct teller t = {.txn = rig_begin(rig, OXBOW_TXN_READ), .out = out};
    uint64_t count;

    out[0] = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        tell_key(&t, text_bytes(keys[i]));
        tell_policy(&t, text_bytes(keys[i]));
    }
    tell_waiting(&t);
    assert_ok(oxbow_key_count(t.txn, &count));
    tell(&t, "%llu keys\n", ULL(count));
    rig_commit(t.txn);
    oxbow_result_fini(&t.result);
}

/* Whether a key says something of the queues. */
static bool counts(struct oxbow_bytes key)
{
    const uint8_t *p = key.data;

    switch (p[0]) {
    case KV_SPACE_STORE:
    case KV_SPACE_REAP:
    case KV_SPACE_TIME:
    case KV_SPACE_BLOB:
        return false;
    case KV_SPACE_OBJECT:
        return key.len < 10 || p[9] != 1; /* the object's blobs */
    case KV_SPACE_POLICY:
        return p[1] != 'b'; /* openings */
    default:
        return true;
    }
}

uint64_t rule_world_sum(struct rig *rig)
{
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);
    struct oxbow_bytes value;
    struct oxbow_bytes key;
    struct kv_cursor c;
    uint64_t sum = 0;
    enum oxbow_err err;

    assert_ok(kv_cursor_init(&c, txn));
    err = kv_cursor_seek(&c, (struct oxbow_bytes){"", 0}, &key, &value);
    while (err == OXBOW_OK) {
        if (counts(key)) {
            sum += hash64(key.data, key.len, hash64(value.data, value.len, 1));
        }
        err = kv_cursor_next(&c, &key, &value);
    }
    assert_err(err, OXBOW_ENOENT);
    kv_cursor_fini(&c);
    rig_commit(txn);
    return sum;
}
