/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow check: two passes. The first reads every page and every value with the store's own reader,
 * which trusts nothing. The second opens what was found sound, walks every queue and holds its
 * counters against its content, and asks for bindings that take no part.
 */
#include "oxbow/check.h"

#include "oxbow/binding.h"
#include "oxbow/expired.h"
#include "oxbow/group.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/loss.h"
#include "oxbow/stream.h"
#include "oxbow/string.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLICE      256u
#define DATABASES  16u
#define LINE_BYTES 700u

struct checker {
    struct cli *cli;
    struct oxbow_txn *txn;
    struct oxbow_result names;
    struct oxbow_result slice;
    struct oxbow_result inner;
    struct oxbow_bytes key;
    uint32_t database;
    uint64_t queues;
    uint64_t entries;
    uint64_t findings;
    uint64_t losses; /* on record */
    bool progress;
};

static void say(struct checker *c, const char *what, uint64_t is, uint64_t ought)
{
    c->findings++;
    fprintf(stderr, "%sdatabase %u, key %.*s: %s: %" PRIu64 " on record, %" PRIu64 " there\n",
            c->progress ? "\r\033[K" : "", (unsigned)c->database, (int)c->key.len,
            (const char *)c->key.data, what, ought, is);
}

static void hold(struct checker *c, const char *what, uint64_t is, uint64_t ought)
{
    if (is != ought) {
        say(c, what, is, ought);
    }
}

/* ---- queues ---- */

static enum oxbow_err check_list(struct checker *c)
{
    struct oxbow_list_info info;
    uint64_t count = 0;
    uint64_t bytes = 0;
    enum oxbow_err err = oxbow_list_info(c->txn, c->key, &info);

    while (err == OXBOW_OK) {
        err = oxbow_list_range(c->txn, c->key, (int64_t)count, (int64_t)(count + SLICE - 1),
                               &c->slice);
        if (err != OXBOW_OK || c->slice.item_count == 0) {
            break;
        }
        for (size_t i = 0; i < c->slice.item_count; i++) {
            bytes += c->slice.items[i].len;
        }
        count += c->slice.item_count;
    }
    if (err == OXBOW_OK) {
        hold(c, "elements", count, info.length);
        hold(c, "bytes of elements", bytes, info.bytes);
        c->entries += count;
    }
    return err;
}

static bool after(struct oxbow_id a, struct oxbow_id b)
{
    return a.ms > b.ms || (a.ms == b.ms && a.seq > b.seq);
}

static enum oxbow_err check_entries(struct checker *c, const struct oxbow_stream_info *info)
{
    struct oxbow_id last = OXBOW_ID_MIN;
    uint64_t count = 0;
    uint64_t disorder = 0;
    enum oxbow_err err;

    for (;;) {
        err = oxbow_stream_read(c->txn, c->key, last, SLICE, &c->slice);
        if (err != OXBOW_OK || c->slice.entry_count == 0) {
            break;
        }
        for (size_t i = 0; i < c->slice.entry_count; i++) {
            disorder += !after(c->slice.entries[i].id, last);
            last = c->slice.entries[i].id;
        }
        count += c->slice.entry_count;
    }
    if (err == OXBOW_OK) {
        hold(c, "entries", count, info->length);
        hold(c, "entries out of order", disorder, 0);
        hold(c, "entries after the last id", after(last, info->last_id), 0);
        hold(c, "more entries than were ever added", count > info->entries_added, 0);
        c->entries += count;
    }
    return err;
}

static enum oxbow_err check_pending(struct checker *c, struct oxbow_group group,
                                    const struct oxbow_group_info *info)
{
    struct oxbow_pending rows[SLICE];
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = SLICE};
    struct oxbow_pending_summary summary;
    uint64_t count = 0;
    size_t n = 0;
    enum oxbow_err err = oxbow_group_pending_summary(c->txn, group, &summary);

    do {
        if (err == OXBOW_OK) {
            err = oxbow_group_pending(c->txn, group, &filter, &c->inner, rows, &n);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (n > 0) {
            filter.from = rows[n - 1].id;
            filter.from.ms += filter.from.seq == UINT64_MAX;
            filter.from.seq = filter.from.seq == UINT64_MAX ? 0 : filter.from.seq + 1;
        }
        count += n;
    } while (n == SLICE && (filter.from.ms > 0 || filter.from.seq > 0));
    hold(c, "pending entries of a group", count, info->pending);
    hold(c, "pending entries in a group's summary", summary.count, info->pending);
    return OXBOW_OK;
}

static enum oxbow_err check_consumers(struct checker *c, struct oxbow_group group,
                                      const struct oxbow_group_info *info)
{
    uint64_t pending = 0;
    enum oxbow_err err = oxbow_group_consumers(c->txn, group, &c->inner);

    for (size_t i = 0; err == OXBOW_OK && i < c->inner.item_count; i++) {
        struct oxbow_consumer_info consumer;

        err = oxbow_group_consumer_info(c->txn, group, c->inner.items[i], &consumer);
        pending += err == OXBOW_OK ? consumer.pending : 0;
    }
    if (err == OXBOW_OK) {
        hold(c, "consumers of a group", c->inner.item_count, info->consumers);
        hold(c, "pending entries of a group's consumers", pending, info->pending);
    }
    return err;
}

static enum oxbow_err check_stream(struct checker *c)
{
    struct oxbow_stream_info info;
    enum oxbow_err err = oxbow_stream_info(c->txn, c->key, &info);

    if (err == OXBOW_OK) {
        err = check_entries(c, &info);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_list(c->txn, c->key, &c->slice);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    hold(c, "groups", c->slice.item_count, info.groups);
    for (size_t i = 0; err == OXBOW_OK && i < c->slice.item_count; i++) {
        const struct oxbow_group group = {c->key, c->slice.items[i]};
        struct oxbow_group_info row;

        err = oxbow_group_info(c->txn, group, &row);
        if (err == OXBOW_OK) {
            err = check_pending(c, group, &row);
        }
        if (err == OXBOW_OK) {
            err = check_consumers(c, group, &row);
        }
    }
    return err;
}

static void check_key(struct checker *c)
{
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(c->txn, c->key, &type);

    if (err == OXBOW_OK) {
        err = type == OXBOW_TYPE_LIST     ? check_list(c)
              : type == OXBOW_TYPE_STREAM ? check_stream(c)
              : type == OXBOW_TYPE_STRING ? oxbow_string_get(c->txn, c->key, &c->slice)
                                          : OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        c->findings++;
        fprintf(stderr, "%sdatabase %u, key %.*s: %s\n", c->progress ? "\r\033[K" : "",
                (unsigned)c->database, (int)c->key.len, (const char *)c->key.data,
                oxbow_err_text(err));
    }
    c->queues++;
    if (c->progress) {
        fprintf(stderr, "\r\033[K%" PRIu64 " queues, %" PRIu64 " entries", c->queues, c->entries);
    }
}

static enum oxbow_err check_database(struct checker *c)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ, .database = c->database};
    uint64_t cursor = 0;
    uint64_t expected = 0;
    uint64_t expired = 0;
    uint64_t found = 0;
    enum oxbow_err err = oxbow_txn_begin(c->cli->db, &opt, &c->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_key_count(c->txn, &expected);
    if (err == OXBOW_OK) {
        err = oxbow_expired_waiting(c->txn, &expired);
    }
    do {
        if (err == OXBOW_OK) {
            err = oxbow_key_scan(c->txn, &cursor, SLICE, &c->names);
        }
        for (size_t i = 0; err == OXBOW_OK && i < c->names.item_count; i++) {
            c->key = c->names.items[i];
            check_key(c);
            found++;
        }
    } while (err == OXBOW_OK && cursor != 0);
    oxbow_txn_abort(c->txn);
    if (err == OXBOW_OK) {
        c->key = (struct oxbow_bytes){"(all)", 5};
        hold(c, "keys", found + expired, expected);
    }
    return err;
}

static enum oxbow_err on_loss(void *ctx, const struct oxbow_loss *loss)
{
    struct checker *c = ctx;
    char line[LINE_BYTES];

    (void)oxbow_loss_text(loss, line, sizeof line);
    fprintf(stderr, "%son record: %s\n", c->progress ? "\r\033[K" : "", line);
    c->losses++;
    return OXBOW_OK;
}

static enum oxbow_err check_bindings(struct checker *c)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    uint32_t id = 0;
    enum oxbow_err err = oxbow_txn_begin(c->cli->db, &opt, &c->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    while ((err = oxbow_binding_unread(c->txn, id, &id)) == OXBOW_OK) {
        c->findings++;
        fprintf(stderr,
                "%sbinding %" PRIu32 ": its record makes no sense: nothing goes there. Make it "
                "again, and remove this one with oxbow unbind %" PRIu32 "\n",
                c->progress ? "\r\033[K" : "", id, id);
    }
    oxbow_txn_abort(c->txn);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static int check_queues(struct checker *c)
{
    enum oxbow_err err =
        cli_open(c->cli, cli_dir(c->cli), OXBOW_OPEN_EXISTING | OXBOW_OPEN_READONLY, &c->cli->db);

    if (err != OXBOW_OK) {
        return cli_fail("check", err);
    }
    for (c->database = 0; err == OXBOW_OK && c->database < DATABASES; c->database++) {
        err = check_database(c);
    }
    if (err == OXBOW_OK) {
        err = check_bindings(c);
    }
    if (err == OXBOW_OK) {
        err = oxbow_losses(c->cli->db, on_loss, c);
    }
    if (c->progress) {
        fputs("\r\033[K", stderr);
    }
    oxbow_result_fini(&c->names);
    oxbow_result_fini(&c->slice);
    oxbow_result_fini(&c->inner);
    return err == OXBOW_OK ? EXIT_DONE : cli_fail("check", err);
}

/* ---- pages ---- */

static void on_finding(void *ctx, const struct oxbow_finding *finding)
{
    struct checker *c = ctx;

    c->findings += finding->kind != OXBOW_FINDING_LOST;
    if (finding->kind == OXBOW_FINDING_JOURNAL) {
        fprintf(stderr, "%sjournal: %s\n", c->progress ? "\r\033[K" : "", finding->text);
        return;
    }
    fprintf(stderr, "%spage %" PRIu64 ": %s\n", c->progress ? "\r\033[K" : "", finding->page,
            finding->text);
}

static void on_progress(void *ctx, uint64_t done, uint64_t pages)
{
    const struct checker *c = ctx;

    if (c->progress) {
        fprintf(stderr, "\r\033[K%" PRIu64 " of %" PRIu64 " pages", done, pages);
    }
}

/* Transactions by their sequence numbers. */
static void print_range(struct out *out, uint64_t from, uint64_t upto)
{
    char text[48];

    if (from == 0) {
        out_none(out);
        return;
    }
    (void)snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, from, upto);
    out_text(out, text);
}

static int print_report(const struct checker *c, const struct oxbow_check_report *r)
{
    static const char *const columns[] = {"verdict",
                                          "lsn",
                                          "records",
                                          "pages",
                                          "free_pages",
                                          "lost_pages",
                                          "values",
                                          "values_bad",
                                          "damaged_pages",
                                          "queues",
                                          "entries",
                                          "in_journal",
                                          "lost_transactions",
                                          "doubtful_transactions",
                                          "findings",
                                          "losses",
                                          NULL};
    struct out *out = out_open(c->cli->opt.json, true, columns);

    out_text(out, r->damage > 0       ? "damaged: the next open mends it"
                  : r->values_bad > 0 ? "some values are lost, the rest is sound: oxbow repair"
                  : c->findings > 0   ? "not sound: see the findings"
                                      : "sound");
    out_number(out, r->lsn);
    out_number(out, r->keys);
    out_number(out, r->pages);
    out_number(out, r->free_pages);
    out_number(out, r->lost_pages);
    out_number(out, r->values_checked);
    out_number(out, r->values_bad);
    out_number(out, r->damage);
    out_number(out, c->queues);
    out_number(out, c->entries);
    out_number(out, r->recovery.replayed);
    print_range(out, r->recovery.lost_from, r->recovery.lost_upto);
    print_range(out, r->recovery.doubt_from, r->recovery.doubt_upto);
    out_number(out, c->findings);
    out_number(out, c->losses);
    return out_close(out) && c->findings == 0 ? EXIT_DONE : EXIT_FAILED;
}

int check_main(struct cli *cli)
{
    struct checker c = {.cli = cli, .progress = isatty(STDERR_FILENO) != 0};
    const struct oxbow_check_options options = {
        .port = cli_port(cli), .ctx = &c, .finding = on_finding, .progress = on_progress};
    struct oxbow_check_report report;
    enum oxbow_err err = oxbow_check(cli_dir(cli), &options, &report);

    if (c.progress) {
        fputs("\r\033[K", stderr);
    }
    if (err != OXBOW_OK) {
        return cli_fail_open(cli, false, err);
    }
    if (report.recovery.doubt_from != 0) { /* which a power cut leaves: no finding */
        fprintf(stderr,
                "journal: transactions %" PRIu64 " to %" PRIu64
                " are not whole: acknowledged only if the device lost what it had confirmed\n",
                report.recovery.doubt_from, report.recovery.doubt_upto);
    }
    if (report.damage == 0 && check_queues(&c) != EXIT_DONE) {
        return EXIT_FAILED;
    }
    return print_report(&c, &report);
}
