/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on the store as a whole and on keys of any type. */
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/loss.h"
#include "oxbow/stream.h"
#include "oxbow/upgrade.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/move.h"
#include "tools/oxbow/out.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define KEYS_A_CALL 256u
#define DATABASES   16u
#define LOSS_TEXT   700u

static const char *type_name(enum oxbow_type type)
{
    static const char *const names[] = {"none", "list", "stream", "string", "hash", "set", "zset"};
    size_t at = (size_t)type;

    return at < sizeof names / sizeof names[0] ? names[at] : "unknown";
}

/* When the key's oldest entry was written, by the wall clock of then; UINT64_MAX: it has none. */
static uint64_t oldest_of(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    struct oxbow_stream_info stream;
    struct oxbow_list_info list;
    struct oxbow_stamp stamp;
    enum oxbow_type type;

    if (oxbow_key_type(txn, key, &type) != OXBOW_OK) {
        return UINT64_MAX;
    }
    if (type == OXBOW_TYPE_LIST && oxbow_list_info(txn, key, &list) == OXBOW_OK) {
        return list.first_ms;
    }
    if (type == OXBOW_TYPE_STREAM && oxbow_stream_info(txn, key, &stream) == OXBOW_OK &&
        oxbow_stream_stamp(txn, key, stream.recorded_first_id, &stamp) == OXBOW_OK) {
        return stamp.wall_ms;
    }
    return UINT64_MAX;
}

/* The oldest entry of all databases' queues. */
static enum oxbow_err find_oldest(struct cli *cli, uint64_t *wall_ms)
{
    struct oxbow_result names = {0};
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);

    *wall_ms = UINT64_MAX;
    if (err != OXBOW_OK) {
        return err;
    }
    for (uint32_t database = 0; err == OXBOW_OK && database < DATABASES; database++) {
        uint64_t cursor = 0;

        err = oxbow_txn_select(txn, database);
        do {
            if (err == OXBOW_OK) {
                err = oxbow_key_scan(txn, &cursor, KEYS_A_CALL, &names);
            }
            for (size_t i = 0; err == OXBOW_OK && i < names.item_count; i++) {
                uint64_t ms = oldest_of(txn, names.items[i]);

                *wall_ms = ms < *wall_ms ? ms : *wall_ms;
            }
        } while (err == OXBOW_OK && cursor != 0);
    }
    oxbow_result_fini(&names);
    oxbow_txn_abort(txn);
    return err;
}

static void print_oldest(struct cli *cli, struct out *out)
{
    const struct oxbow_clock *clock = &oxbow_port_of(cli->db)->clock;
    uint64_t now = clock->wall_ms(clock->ctx);
    uint64_t then;

    if (find_oldest(cli, &then) != OXBOW_OK || then > now) {
        out_none(out);
    } else {
        out_age(out, now - then);
    }
}

static void maybe_size(struct out *out, uint64_t bytes, bool known)
{
    if (known) {
        out_size(out, bytes);
    } else {
        out_none(out);
    }
}

static void maybe_real(struct out *out, double value, int digits, bool known)
{
    if (known) {
        out_real(out, value, digits);
    } else {
        out_none(out);
    }
}

/* Over the store's life: it was opened a moment ago, so since then there is nothing to tell. */
static void print_wear(struct cli *cli, struct out *out)
{
    const struct oxbow_wear_account *life;
    struct oxbow_wear wear;

    oxbow_wear(cli->db, &wear);
    life = &wear.life;
    out_size(out, life->journal_bytes + life->checkpoint_bytes + life->other_bytes);
    out_size(out, life->journal_bytes);
    out_size(out, life->checkpoint_bytes);
    out_size(out, life->other_bytes);
    out_size(out, life->payload_bytes);
    maybe_real(out, (double)wear.per_payload_milli / 1000, 2, life->payload_bytes > 0);
    out_age(out, life->open_ms);
    maybe_size(out, wear.per_day_bytes, wear.per_day_bytes > 0);
    maybe_size(out, wear.endurance_bytes, wear.endurance_bytes > 0);
    maybe_real(out, (double)wear.used_ppm / 10000, 4, wear.endurance_bytes > 0);
    maybe_real(out, (double)wear.days_left / 365.25, 1, wear.days_left != UINT64_MAX);
}

static uint64_t range(uint64_t from, uint64_t upto)
{
    return from == 0 ? 0 : upto - from + 1;
}

/* What opening found, which was a moment ago. */
static void print_journal(struct cli *cli, const struct oxbow_stat *stat, struct out *out)
{
    struct oxbow_recovery rec;

    oxbow_recovery(cli->db, &rec);
    out_text(out, stat->journal ? "on" : "off");
    out_number(out, stat->journal_frames);
    out_number(out, stat->journal_syncs);
    out_number(out, rec.replayed);
    out_number(out, rec.skipped);
    out_number(out, range(rec.lost_from, rec.lost_upto));
    out_number(out, range(rec.doubt_from, rec.doubt_upto));
    out_text(out, rec.journal_missing ? "yes" : "no");
}

/* The names of the features in use; those that this version does not know as `needs:5`. */
static void features_text(const struct oxbow_format *format, char *out, size_t room)
{
    static const char *const kinds[OXBOW_FEATURE_KINDS] = {"has", "writes", "needs"};
    size_t count;
    const struct oxbow_feature *rows = oxbow_features(&count);
    size_t len = 0;

    out[0] = '\0';
    for (size_t at = 0; at < OXBOW_FEATURE_KINDS * (size_t)64 && len < room; at++) {
        const char *name = NULL;

        if ((format->used[at / 64] >> at % 64 & 1) == 0) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            if ((size_t)rows[i].kind * 64 + rows[i].bit == at) {
                name = rows[i].name;
            }
        }
        len += name != NULL
                   ? (size_t)snprintf(out + len, room - len, "%s%s", len > 0 ? " " : "", name)
                   : (size_t)snprintf(out + len, room - len, "%s%s:%u", len > 0 ? " " : "",
                                      kinds[at / 64], (unsigned)(at % 64));
    }
}

static enum oxbow_err format_get(struct cli *cli, struct oxbow_format *format)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);

    if (err == OXBOW_OK) {
        err = oxbow_format(txn, format);
        oxbow_txn_abort(txn);
    }
    return err;
}

static void print_format(struct cli *cli, struct out *out)
{
    struct oxbow_format format;
    char text[1024];

    if (format_get(cli, &format) != OXBOW_OK) {
        out_none(out);
        out_none(out);
        return;
    }
    out_number(out, format.level);
    features_text(&format, text, sizeof text);
    out_text(out, text);
}

static int run_upgrade(struct cli *cli)
{
    static const char *const columns[] = {"was", "level", NULL};
    struct oxbow_format before;
    struct oxbow_format after;
    struct out *out;
    enum oxbow_err err = format_get(cli, &before);

    if (err == OXBOW_OK) {
        err = oxbow_upgrade(cli->db);
    }
    if (err == OXBOW_OK) {
        err = format_get(cli, &after);
    }
    if (err != OXBOW_OK) {
        return cli_fail("upgrade", err);
    }
    out = out_open(cli->opt.json, true, columns);
    out_number(out, before.level);
    out_number(out, after.level);
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static const char *const stat_columns[] = {"store",
                                           "policy",
                                           "interval_ms",
                                           "lsn_applied",
                                           "lsn_written",
                                           "lsn_durable",
                                           "oldest_unsynced",
                                           "used",
                                           "quota",
                                           "reserve",
                                           "file",
                                           "free",
                                           "holes",
                                           "disk_max",
                                           "records",
                                           "memtable",
                                           "checkpoints",
                                           "values_bad",
                                           "written",
                                           "written_journal",
                                           "written_checkpoint",
                                           "written_other",
                                           "payload",
                                           "written_per_payload",
                                           "open_time",
                                           "written_per_day",
                                           "endurance",
                                           "endurance_used_percent",
                                           "years_left",
                                           "oldest_entry",
                                           "journal",
                                           "journal_frames",
                                           "journal_syncs",
                                           "replayed",
                                           "replay_skipped",
                                           "lost_transactions",
                                           "doubtful_transactions",
                                           "journal_missing",
                                           "level",
                                           "features",
                                           "losses",
                                           "newest_loss",
                                           "in_memory",
                                           NULL};

struct losses {
    uint64_t count;
    char newest[LOSS_TEXT];
};

static enum oxbow_err on_loss(void *ctx, const struct oxbow_loss *loss)
{
    struct losses *all = ctx;

    all->count++;
    (void)oxbow_loss_text(loss, all->newest, sizeof all->newest);
    return OXBOW_OK;
}

/* What damage has cost, until `oxbow repair --forget`. */
static void print_losses(struct cli *cli, struct out *out)
{
    struct losses all = {.count = 0};
    bool known = oxbow_losses(cli->db, on_loss, &all) == OXBOW_OK;

    if (known) {
        out_number(out, all.count);
    } else {
        out_none(out);
    }
    if (known && all.count > 0) {
        out_text(out, all.newest);
    } else {
        out_none(out);
    }
}

static void print_sizes(const struct oxbow_stat *stat, struct out *out)
{
    out_size(out, stat->used_bytes);
    out_size(out, stat->quota_bytes);
    out_size(out, stat->reserve_bytes);
    out_size(out, stat->file_bytes);
    out_size(out, stat->free_bytes);
    out_size(out, stat->hole_bytes);
    out_size(out, stat->disk_bytes_max);
}

static int run_stat(struct cli *cli)
{
    static const char *const policies[] = {"default", "always", "interval", "none"};
    struct oxbow_stat stat;
    struct out *out;
    char id[24];

    if (cli->opt.server != NULL) {
        return server_stat(cli);
    }
    oxbow_stat(cli->db, &stat);
    (void)snprintf(id, sizeof id, "%016llx", (unsigned long long)stat.store_id);
    out = out_open(cli->opt.json, true, stat_columns);
    out_text(out, id);
    out_text(out, policies[(size_t)stat.sync % 4]);
    out_number(out, stat.interval_ms);
    out_number(out, stat.lsn_applied);
    out_number(out, stat.lsn_written);
    out_number(out, stat.lsn_durable);
    out_age(out, stat.oldest_unsynced_us / 1000);
    print_sizes(&stat, out);
    out_number(out, stat.keys);
    out_size(out, stat.memtable_bytes);
    out_number(out, stat.checkpoints);
    out_number(out, stat.values_bad);
    print_wear(cli, out);
    print_oldest(cli, out);
    print_journal(cli, &stat, out);
    print_format(cli, out);
    print_losses(cli, out);
    if (stat.in_memory) { /* of this program's own stores that is a stand-in */
        out_text(out, oxbow_err_name(stat.memory_why));
    } else {
        out_none(out);
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int key_row(struct cli *cli, struct oxbow_txn *txn, struct out *out, struct oxbow_bytes name)
{
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(txn, name, &type);

    (void)cli;
    if (err != OXBOW_OK) {
        return cli_fail("keys", err);
    }
    out_bytes(out, name);
    out_text(out, type_name(type));
    return EXIT_DONE;
}

static int run_keys(struct cli *cli)
{
    static const char *const columns[] = {"key", "type", NULL};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    struct out *out;
    uint64_t cursor = 0;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code = EXIT_DONE;

    if (err != OXBOW_OK) {
        return cli_fail("keys", err);
    }
    out = out_open(cli->opt.json, false, columns);
    do {
        err = oxbow_key_scan(txn, &cursor, KEYS_A_CALL, &result);
        for (size_t i = 0; err == OXBOW_OK && code == EXIT_DONE && i < result.item_count; i++) {
            code = key_row(cli, txn, out, result.items[i]);
        }
    } while (err == OXBOW_OK && code == EXIT_DONE && cursor != 0);
    oxbow_result_fini(&result);
    if (code != EXIT_DONE) {
        oxbow_txn_abort(txn);
        out_drop(out);
        return code;
    }
    code = cli_finish(txn, "keys", err);
    if (code != EXIT_DONE) {
        out_drop(out);
        return code;
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int run_del(struct cli *cli)
{
    static const char *const columns[] = {"deleted", NULL};
    struct oxbow_txn *txn;
    struct out *out;
    uint64_t deleted = 0;
    enum oxbow_err err = cli_begin(cli, cli->opt.force ? OXBOW_TXN_FORCE : 0, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("del", err);
    }
    for (size_t i = 0; err == OXBOW_OK && i < cli->arg_count; i++) {
        bool existed = false;

        err = oxbow_key_delete(txn, bytes_of(cli->args[i]), &existed);
        deleted += existed;
    }
    code = cli_finish(txn, "del", err);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    out_number(out, deleted);
    return out_close(out) ? (deleted > 0 ? EXIT_DONE : EXIT_NOTHING) : EXIT_FAILED;
}

static const struct option_row del_options[] = {
    {"force", 0, OPTION_FLAG, offsetof(struct options, force), NULL,
     "also what a forward has not delivered"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row export_options[] = {
    {"redis", 0, OPTION_FLAG, offsetof(struct options, redis), NULL,
     "what Redis has no commands for is left out: policies, options of groups, priorities, "
     "bindings, "
     "schedules"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_store[] = {
    {"stat", "", 0, 0, COMMAND_READ | COMMAND_ASKS,
     "sizes, sequence numbers, quota, policy and wear", run_stat, ask_options},
    {"keys", "", 0, 0, COMMAND_READ, "list the keys of the database", run_keys, NULL},
    {"check", "", 0, 0, 0, "walk everything, verify every checksum and counter", check_main, NULL},
    {"upgrade", "", 0, 0, COMMAND_EXIST,
     "let the store use what is new in this version; older ones may not open it again", run_upgrade,
     NULL},
    {"compact", "", 0, 0, 0, "make the data file of a closed store as short as its data",
     compact_main, NULL},
    {"repair", "", 0, 0, 0, "mend a damaged store, and list what it has lost", repair_main,
     repair_options},
    {"export", "[FILE]", 0, 1, COMMAND_READ,
     "write everything as Redis commands, to move or keep it", move_export, export_options},
    {"import", "[FILE]", 0, 1, 0, "make a store of what export wrote", move_import, NULL},
    {"del", "KEY...", 1, SIZE_MAX, COMMAND_EXIST, "delete keys", run_del, del_options},
    {0},
};
