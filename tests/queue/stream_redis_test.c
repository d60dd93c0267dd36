/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random stream and group commands, each given to oxbow and to a real redis-server: replies must be
 * the same to the letter, errors by their code and, for ids, by their text. Times are kept out of
 * it: ids are explicit, and entries are made idle by XCLAIM IDLE.
 */
#include "tests/queue/stream_redis.h"

#include <stdlib.h>
#include <time.h>

#define STEPS 6000

/* ---- streams ---- */

static void arg_trim(struct run *r, struct oxbow_stream_trim *trim)
{
    if (rnd(r, 2) == 0) {
        trim->by = OXBOW_TRIM_MAXLEN;
        trim->maxlen = rnd(r, 10) == 0 ? rnd(r, 5) : 20 + rnd(r, 300);
        arg(r, "MAXLEN");
        arg(r, "=");
        arg_u64(r, trim->maxlen);
    } else {
        trim->by = OXBOW_TRIM_MINID;
        trim->minid = ID(r->top > 300 ? r->top - rnd(r, 300) : rnd(r, 20), rnd(r, 3));
        arg(r, "MINID");
        arg_id(r, trim->minid);
    }
}

static void arg_new_id(struct run *r, struct oxbow_stream_add_options *opt)
{
    char text[48];

    opt->id = ID(r->top + (rnd(r, 12) == 0 ? 0 : rnd(r, 3)), rnd(r, 3));
    opt->id_mode = OXBOW_ID_EXPLICIT;
    if (rnd(r, 5) == 0) {
        opt->id_mode = OXBOW_ID_PARTIAL;
        snprintf(text, sizeof text, "%llu-*", (unsigned long long)opt->id.ms);
        arg(r, text);
    } else {
        if (rnd(r, 100) == 0) {
            opt->id = OXBOW_ID_MIN;
        }
        arg_id(r, opt->id);
    }
}

static void do_add(struct run *r)
{
    static const char *const names[] = {"temp", "hum", "a much longer name of a field"};
    struct oxbow_stream_add_options opt = {0};
    struct oxbow_field fields[3];
    char values[3][64];
    uint32_t count = 1 + (uint32_t)rnd(r, 3), i;
    struct oxbow_id id;

    begin(r, "XADD", NULL);
    if (rnd(r, 20) == 0) {
        opt.no_create = true;
        arg(r, "NOMKSTREAM");
    }
    if (rnd(r, 20) == 0) {
        arg_trim(r, &opt.trim);
    }
    arg_new_id(r, &opt);
    for (i = 0; i < count; i++) {
        const char *name = names[rnd(r, 8) == 0 ? rnd(r, 3) : i];

        snprintf(values[i], sizeof values[i], "v%llu%.*s", (unsigned long long)rnd(r, 1000),
                 (int)rnd(r, 40), "........................................");
        fields[i] = (struct oxbow_field){text_bytes(name), text_bytes(values[i])};
        arg(r, name);
        arg(r, values[i]);
    }
    switch (oxbow_stream_add(r->f.txn, r->key, &opt, fields, count, &id)) {
    case OXBOW_OK:
        out_id(r, id);
        r->top = id.ms > r->top ? id.ms : r->top;
        break;
    case OXBOW_EAGAIN:
        out_text(r, "(nil)");
        break;
    case OXBOW_EIDORDER:
        out_err(r, OXBOW_EIDORDER);
        break;
    case OXBOW_EIDZERO:
        out_err(r, OXBOW_EIDZERO);
        break;
    default:
        fail();
    }
}

static void do_range(struct run *r)
{
    bool reverse = rnd(r, 2) == 0;
    struct oxbow_stream_range range = {.from = random_id(r), .to = random_id(r)};

    range.reverse = reverse;
    begin(r, reverse ? "XREVRANGE" : "XRANGE", NULL);
    arg_id(r, reverse ? range.to : range.from);
    arg_id(r, reverse ? range.from : range.to);
    if (rnd(r, 2) == 0) {
        range.count = 1 + rnd(r, 20);
        arg(r, "COUNT");
        arg_u64(r, range.count);
    }
    assert_ok(oxbow_stream_range(r->f.txn, r->key, &range, &r->f.result));
    out_entries(r);
}

static void do_read(struct run *r)
{
    struct oxbow_id after = random_id(r);
    uint64_t count = 1 + rnd(r, 30);

    begin(r, "XREAD", "COUNT");
    r->argc = 2;
    arg_u64(r, count);
    arg(r, "STREAMS");
    arg(r, r->key.data);
    arg_id(r, after);
    assert_ok(oxbow_stream_read(r->f.txn, r->key, after, count, &r->f.result));
    out_text(r, r->f.result.entry_count > 0 ? r->key.data : "(nil)");
    out_entries(r);
}

static void do_len(struct run *r)
{
    uint64_t len;

    begin(r, "XLEN", NULL);
    assert_ok(oxbow_stream_len(r->f.txn, r->key, &len));
    out_u64(r, len);
}

static size_t arg_ids(struct run *r, struct oxbow_id *ids, size_t max)
{
    size_t count = 1 + rnd(r, max), i;

    for (i = 0; i < count; i++) {
        ids[i] = random_id(r);
        arg_id(r, ids[i]);
    }
    return count;
}

static void do_delete(struct run *r)
{
    struct oxbow_id ids[8];
    uint64_t removed;
    size_t count;

    begin(r, "XDEL", NULL);
    count = arg_ids(r, ids, 8);
    assert_ok(oxbow_stream_delete(r->f.txn, r->key, ids, count, &removed));
    out_u64(r, removed);
}

static void do_trim(struct run *r)
{
    struct oxbow_stream_trim trim = {0};
    uint64_t removed;

    begin(r, "XTRIM", NULL);
    arg_trim(r, &trim);
    assert_ok(oxbow_stream_trim(r->f.txn, r->key, &trim, &removed));
    out_u64(r, removed);
}

static void do_set_id(struct run *r)
{
    struct oxbow_stream_set_id_options opt = {.last_id = ID(r->top + rnd(r, 4), rnd(r, 3))};
    enum oxbow_err err;

    if (rnd(r, 4) == 0) {
        opt.last_id = random_id(r);
        opt.last_id.ms = opt.last_id.ms == UINT64_MAX ? 5 : opt.last_id.ms;
    }
    begin(r, "XSETID", NULL);
    arg_id(r, opt.last_id);
    if (rnd(r, 2) == 0) {
        opt.has_entries_added = true;
        opt.entries_added = rnd(r, 3) == 0 ? rnd(r, 200) : 100000 + rnd(r, 1000);
        opt.has_max_deleted_id = true;
        opt.max_deleted_id = rnd(r, 4) == 0 ? OXBOW_ID_MIN : ID(rnd(r, r->top + 3), 0);
        arg(r, "ENTRIESADDED");
        arg_u64(r, opt.entries_added);
        arg(r, "MAXDELETEDID");
        arg_id(r, opt.max_deleted_id);
    }
    err = oxbow_stream_set_id(r->f.txn, r->key, &opt);
    if (!out_err(r, err)) {
        out_text(r, "OK");
    }
}

static void do_del_key(struct run *r)
{
    bool existed;

    begin(r, "DEL", NULL);
    assert_ok(oxbow_key_delete(r->f.txn, r->key, &existed));
    out_u64(r, existed);
}

static const struct {
    void (*run)(struct run *r);
    unsigned weight;
} COMMANDS[] = {
    {do_add, 300},           {do_range, 30},        {do_read, 15},        {do_len, 5},
    {do_delete, 15},         {do_trim, 2},          {do_set_id, 4},       {do_del_key, 1},
    {do_create, 12},         {do_destroy, 1},       {do_set_group_id, 2}, {do_consumer, 8},
    {do_group_read, 90},     {do_ack, 50},          {do_claim, 40},       {do_autoclaim, 20},
    {do_pending, 20},        {do_pending_rows, 40}, {do_info, 20},        {do_info_groups, 40},
    {do_info_consumers, 20},
};

static void step(struct run *r)
{
    unsigned total = 0, pick;
    size_t i, n = sizeof COMMANDS / sizeof COMMANDS[0];

    for (i = 0; i < n; i++) {
        total += COMMANDS[i].weight;
    }
    pick = (unsigned)rnd(r, total);
    for (i = 0; pick >= COMMANDS[i].weight; i++) {
        pick -= COMMANDS[i].weight;
    }
    COMMANDS[i].run(r);
}

static void replies_are_those_of_redis(void **state)
{
    static struct run r;
    uint64_t i;

    (void)state;
    r.rng = rig_seed("stream_redis_test");
    r.top = 1;
    r.redis = redis_open(&(struct redis_config){0});
    rig_init(&r.f.rig, OXBOW_SYNC_INTERVAL);
    r.f.rig.wall_ms = (uint64_t)time(NULL) * 1000;
    rig_open(&r.f.rig);
    streams_begin(&r.f);
    for (i = 0; i < STEPS; i++) {
        step(&r);
        compare(&r, i);
        if (rnd(&r, 1000) == 0) {
            streams_reopen(&r.f);
        } else if (rnd(&r, 5) == 0) {
            streams_commit(&r.f);
            streams_begin(&r.f);
        }
    }
    streams_abort(&r.f);
    oxbow_result_fini(&r.f.result);
    rig_fini(&r.f.rig);
    redis_close(r.redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replies_are_those_of_redis)};

    if (system("command -v redis-server >/dev/null 2>&1") != 0) {
        printf("stream_redis_test: skipped: no redis-server\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
