/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_redis.h"

/* ---- groups ---- */

static void arg_position(struct run *r, struct oxbow_group_create_options *opt)
{
    if (rnd(r, 4) == 0) {
        opt->at_end = true;
        arg(r, "$");
    } else {
        opt->id = random_id(r);
        arg_id(r, opt->id);
    }
}

static void arg_entries_read(struct run *r, struct oxbow_group_create_options *opt)
{
    if (rnd(r, 5) == 0) {
        opt->has_entries_read = true;
        opt->entries_read = rnd(r, 100);
        arg(r, "ENTRIESREAD");
        arg_u64(r, opt->entries_read);
    }
}

void do_create(struct run *r)
{
    struct oxbow_group_create_options opt = {0};
    enum oxbow_err err;

    begin(r, "XGROUP", "CREATE");
    arg_group(r);
    arg_position(r, &opt);
    if (rnd(r, 2) == 0) {
        opt.make_stream = true;
        arg(r, "MKSTREAM");
    }
    arg_entries_read(r, &opt);
    err = oxbow_group_create(r->f.txn, r->group, &opt);
    if (!out_err(r, err)) {
        out_text(r, "OK");
    }
}

void do_set_group_id(struct run *r)
{
    struct oxbow_group_create_options opt = {0};
    enum oxbow_err err;

    begin(r, "XGROUP", "SETID");
    arg_group(r);
    arg_position(r, &opt);
    arg_entries_read(r, &opt);
    err = oxbow_group_set_id(r->f.txn, r->group, &opt);
    if (!out_err(r, err)) {
        out_text(r, "OK");
    }
}

void do_destroy(struct run *r)
{
    bool existed;

    begin(r, "XGROUP", "DESTROY");
    arg_group(r);
    if (!out_err(r, oxbow_group_destroy(r->f.txn, r->group, &existed))) {
        out_u64(r, existed);
    }
}

void do_consumer(struct run *r)
{
    bool create = rnd(r, 3) > 0;
    uint64_t n = 0;
    bool created;
    enum oxbow_err err;

    begin(r, "XGROUP", create ? "CREATECONSUMER" : "DELCONSUMER");
    arg_group(r);
    arg(r, r->consumer.data);
    if (create) {
        err = oxbow_group_consumer_create(r->f.txn, r->group, r->consumer, &created);
        n = err == OXBOW_OK && created;
    } else {
        err = oxbow_group_consumer_delete(r->f.txn, r->group, r->consumer, &n);
    }
    if (!out_err(r, err)) {
        out_u64(r, n);
    }
}

void do_group_read(struct run *r)
{
    struct oxbow_group_read_options opt = {.history = rnd(r, 4) == 0, .count = 1 + rnd(r, 30)};
    enum oxbow_err err;

    begin(r, "XREADGROUP", "GROUP");
    r->argc = 2;
    arg_group(r);
    arg(r, r->consumer.data);
    arg(r, "COUNT");
    arg_u64(r, opt.count);
    if (rnd(r, 10) == 0) {
        opt.noack = true;
        arg(r, "NOACK");
    }
    arg(r, "STREAMS");
    arg(r, r->key.data);
    if (opt.history) {
        opt.after = rnd(r, 2) == 0 ? OXBOW_ID_MIN : random_id(r);
        /* To Redis the last possible id is another word for `>`. */
        opt.after.ms -= opt.after.ms == UINT64_MAX;
        arg_id(r, opt.after);
    } else {
        arg(r, ">");
    }
    err = oxbow_group_read(r->f.txn, r->group, r->consumer, &opt, &r->f.result);
    if (!out_err(r, err)) {
        out_text(r, opt.history || r->f.result.entry_count > 0 ? r->key.data : "(nil)");
        out_entries(r);
    }
}

/* Some ids that are pending, and some that are not. */
static size_t arg_pending_ids(struct run *r, struct oxbow_id *ids, size_t max)
{
    struct oxbow_pending rows[64];
    struct oxbow_pending_filter filter = {.from = random_id(r), .to = OXBOW_ID_MAX, .count = 64};
    struct oxbow_result names = {0};
    size_t found = 0, count, i;
    enum oxbow_err err;

    filter.from = rnd(r, 2) == 0 ? OXBOW_ID_MIN : filter.from;
    err = oxbow_group_pending(r->f.txn, r->group, &filter, &names, rows, &found);
    assert_true(err == OXBOW_OK || err == OXBOW_ENOGROUP);
    oxbow_result_fini(&names);
    count = 1 + rnd(r, max);
    for (i = 0; i < count; i++) {
        ids[i] =
            err == OXBOW_OK && found > 0 && rnd(r, 8) > 0 ? rows[rnd(r, found)].id : random_id(r);
        arg_id(r, ids[i]);
    }
    return count;
}

void do_ack(struct run *r)
{
    struct oxbow_id ids[30];
    uint64_t acked;
    size_t count;

    begin(r, "XACK", NULL);
    arg_group(r);
    count = arg_pending_ids(r, ids, 30);
    assert_ok(oxbow_group_ack(r->f.txn, r->group, ids, count, &acked));
    out_u64(r, acked);
}

void do_claim(struct run *r)
{
    struct oxbow_claim_options opt = {.min_idle_ms = rnd(r, 2) == 0 ? 0 : IDLE_LONG / 2};
    struct oxbow_id ids[20];
    enum oxbow_err err;

    begin(r, "XCLAIM", NULL);
    arg_group(r);
    arg(r, r->consumer.data);
    arg_u64(r, opt.min_idle_ms);
    opt.ids = ids;
    opt.count = arg_pending_ids(r, ids, 20);
    switch (rnd(r, 4)) {
    case 0:
        opt.has_idle = true;
        opt.idle_ms = IDLE_LONG;
        arg(r, "IDLE");
        arg_u64(r, opt.idle_ms);
        break;
    case 1:
        opt.has_time = true;
        opt.time_ms = r->f.rig.wall_ms - IDLE_LONG;
        arg(r, "TIME");
        arg_u64(r, opt.time_ms);
        break;
    default:
        break;
    }
    if (rnd(r, 4) == 0) {
        opt.has_deliveries = true;
        opt.deliveries = rnd(r, 20);
        arg(r, "RETRYCOUNT");
        arg_u64(r, opt.deliveries);
    }
    if (rnd(r, 4) == 0) {
        opt.force = true;
        arg(r, "FORCE");
    }
    if (rnd(r, 4) == 0) {
        opt.just_id = true;
        arg(r, "JUSTID");
    }
    if (rnd(r, 20) == 0) {
        opt.has_last_id = true;
        opt.last_id = ID(rnd(r, r->top + 1), 0);
        arg(r, "LASTID");
        arg_id(r, opt.last_id);
    }
    err = oxbow_group_claim(r->f.txn, r->group, r->consumer, &opt, &r->f.result);
    if (!out_err(r, err)) {
        out_entries(r);
    }
}

void do_autoclaim(struct run *r)
{
    struct oxbow_autoclaim_options opt = {.min_idle_ms = rnd(r, 2) == 0 ? 0 : IDLE_LONG / 2,
                                          .start = rnd(r, 2) == 0 ? OXBOW_ID_MIN : random_id(r),
                                          .count = 1 + rnd(r, 20)};
    struct oxbow_id next;
    size_t i;
    enum oxbow_err err;

    begin(r, "XAUTOCLAIM", NULL);
    arg_group(r);
    arg(r, r->consumer.data);
    arg_u64(r, opt.min_idle_ms);
    arg_id(r, opt.start);
    arg(r, "COUNT");
    arg_u64(r, opt.count);
    if (rnd(r, 3) == 0) {
        opt.just_id = true;
        arg(r, "JUSTID");
    }
    err = oxbow_group_autoclaim(r->f.txn, r->group, r->consumer, &opt, &r->f.result, &next);
    if (out_err(r, err)) {
        return;
    }
    out_id(r, next);
    for (i = 0; i < r->f.result.entry_count; i++) {
        if (!r->f.result.entries[i].deleted) {
            out_id(r, r->f.result.entries[i].id);
            out_fields(r, &r->f.result.entries[i]);
        }
    }
    for (i = 0; i < r->f.result.entry_count; i++) {
        if (r->f.result.entries[i].deleted) {
            out_id(r, r->f.result.entries[i].id);
        }
    }
}

/* ---- information ---- */

void do_pending(struct run *r)
{
    struct oxbow_pending_summary sum;
    size_t i;

    begin(r, "XPENDING", NULL);
    arg_group(r);
    if (out_err(r, oxbow_group_pending_summary(r->f.txn, r->group, &sum))) {
        return;
    }
    out_u64(r, sum.count);
    if (sum.count == 0) {
        out_text(r, "(nil)\n(nil)\n(nil)");
        return;
    }
    out_id(r, sum.first);
    out_id(r, sum.last);
    assert_ok(oxbow_group_consumers(r->f.txn, r->group, &r->f.result));
    for (i = 0; i < r->f.result.item_count; i++) {
        struct oxbow_consumer_info info;

        assert_ok(oxbow_group_consumer_info(r->f.txn, r->group, r->f.result.items[i], &info));
        if (info.pending > 0) {
            out(r, r->f.result.items[i].data, r->f.result.items[i].len);
            out_u64(r, info.pending);
        }
    }
}

void do_pending_rows(struct run *r)
{
    struct oxbow_pending rows[50];
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = 1 + rnd(r, 50)};
    size_t count, i;

    begin(r, "XPENDING", NULL);
    arg_group(r);
    if (rnd(r, 2) == 0) {
        filter.min_idle_ms = IDLE_LONG / 2;
        arg(r, "IDLE");
        arg_u64(r, filter.min_idle_ms);
    }
    filter.from = rnd(r, 2) == 0 ? OXBOW_ID_MIN : random_id(r);
    filter.to = rnd(r, 2) == 0 ? OXBOW_ID_MAX : random_id(r);
    arg_id(r, filter.from);
    arg_id(r, filter.to);
    arg_u64(r, filter.count);
    if (rnd(r, 2) == 0) {
        filter.has_consumer = true;
        filter.consumer = r->consumer;
        arg(r, r->consumer.data);
    }
    if (out_err(r, oxbow_group_pending(r->f.txn, r->group, &filter, &r->f.result, rows, &count))) {
        return;
    }
    for (i = 0; i < count; i++) {
        out_id(r, rows[i].id);
        out(r, rows[i].consumer.data, rows[i].consumer.len);
        out_text(r, rows[i].idle_ms >= IDLE_LONG / 2 ? "old" : "new");
        out_u64(r, rows[i].deliveries);
    }
}

void do_info(struct run *r)
{
    struct oxbow_stream_info info;

    begin(r, "XINFO", "STREAM");
    if (out_err(r, oxbow_stream_info(r->f.txn, r->key, &info))) {
        return;
    }
    out_pair(r, "length", info.length);
    out_text(r, "last-generated-id");
    out_id(r, info.last_id);
    out_text(r, "max-deleted-entry-id");
    out_id(r, info.max_deleted_id);
    out_pair(r, "entries-added", info.entries_added);
    out_text(r, "recorded-first-entry-id");
    out_id(r, info.recorded_first_id);
    out_pair(r, "groups", info.groups);
}

void do_info_groups(struct run *r)
{
    struct oxbow_result names = {0};
    size_t i;

    begin(r, "XINFO", "GROUPS");
    if (out_err(r, oxbow_group_list(r->f.txn, r->key, &names))) {
        return;
    }
    for (i = 0; i < names.item_count; i++) {
        struct oxbow_group group = {r->key, names.items[i]};
        struct oxbow_group_info info;

        assert_ok(oxbow_group_info(r->f.txn, group, &info));
        out_text(r, "name");
        out(r, group.name.data, group.name.len);
        out_pair(r, "consumers", info.consumers);
        out_pair(r, "pending", info.pending);
        out_text(r, "last-delivered-id");
        out_id(r, info.last_id);
        out_text(r, "entries-read");
        if (info.has_entries_read) {
            out_u64(r, info.entries_read);
        } else {
            out_text(r, "(nil)");
        }
        out_text(r, "lag");
        if (info.has_lag) {
            out_i64(r, info.lag);
        } else {
            out_text(r, "(nil)");
        }
    }
    oxbow_result_fini(&names);
}

void do_info_consumers(struct run *r)
{
    size_t i;

    begin(r, "XINFO", "CONSUMERS");
    arg_group(r);
    if (out_err(r, oxbow_group_consumers(r->f.txn, r->group, &r->f.result))) {
        return;
    }
    for (i = 0; i < r->f.result.item_count; i++) {
        struct oxbow_consumer_info info;

        assert_ok(oxbow_group_consumer_info(r->f.txn, r->group, r->f.result.items[i], &info));
        out_text(r, "name");
        out(r, r->f.result.items[i].data, r->f.result.items[i].len);
        out_pair(r, "pending", info.pending);
    }
}
