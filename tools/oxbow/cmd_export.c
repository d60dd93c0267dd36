/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow export: the store's content as Redis commands, the portable form between machines of
 * another word size or byte order. A first ECHO names the format, a last one tells how many
 * commands stood before it and their CRC-32, so that a file cut short is noticed. Each key is read
 * in slices, a transaction each: memory stays small.
 */
#include "oxbow/group.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "oxbow/string.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/move.h"
#include "tools/oxbow/move_members.h"
#include "tools/oxbow/move_settings.h"
#include "tools/oxbow/resp_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLICE       64u
#define SLICE_BYTES ((uint64_t)1 << 20)
#define KEYS        256u
#define DATABASES   16u

struct exporter {
    struct oxbow *db;
    struct resp_file file;
    uint32_t database;
    bool plain; /* Redis' commands alone */
    bool said;  /* which database this is */
    uint64_t keys;
    uint64_t skipped; /* pending entries whose entry is gone from the stream */
    struct oxbow_result slice;
    struct oxbow_result names;
    struct oxbow_result consumers;
};

static enum oxbow_err begin(struct exporter *x, struct oxbow_txn **txn)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT,
                                          .database = x->database};

    return oxbow_txn_begin(x->db, &opt, txn);
}

static enum oxbow_err export_list(struct exporter *x, struct oxbow_bytes key)
{
    for (int64_t at = 0;; at += (int64_t)x->slice.item_count) {
        struct oxbow_txn *txn;
        enum oxbow_err err = begin(x, &txn);

        if (err != OXBOW_OK) {
            return err;
        }
        err = oxbow_list_range(txn, key, at, at + SLICE - 1, &x->slice);
        oxbow_txn_abort(txn);
        if (err != OXBOW_OK || x->slice.item_count == 0) {
            return err;
        }
        resp_command(&x->file, 2 + x->slice.item_count);
        resp_text(&x->file, "RPUSH");
        resp_arg(&x->file, key);
        for (size_t i = 0; i < x->slice.item_count; i++) {
            resp_arg(&x->file, x->slice.items[i]);
        }
    }
}

static void write_entry(struct exporter *x, struct oxbow_bytes key, const struct oxbow_entry *e)
{
    bool priority = e->priority > 0 && !x->plain;

    resp_command(&x->file, (priority ? 4 : 3) + 2 * (size_t)e->field_count);
    resp_text(&x->file, priority ? "OXBOW.XADD" : "XADD");
    resp_arg(&x->file, key);
    if (priority) {
        resp_number(&x->file, e->priority);
    }
    resp_id(&x->file, e->id);
    for (uint32_t i = 0; i < e->field_count; i++) {
        resp_arg(&x->file, e->fields[i].name);
        resp_arg(&x->file, e->fields[i].value);
    }
}

/* An empty stream comes to be by an entry that is trimmed at once. */
static void write_empty(struct exporter *x, struct oxbow_bytes key)
{
    resp_command(&x->file, 7);
    resp_text(&x->file, "XADD");
    resp_arg(&x->file, key);
    resp_text(&x->file, "MAXLEN");
    resp_text(&x->file, "0");
    resp_text(&x->file, "0-1");
    resp_text(&x->file, "x");
    resp_text(&x->file, "y");
}

/* The id after it; false when there is none. */
static bool id_step(struct oxbow_id *id)
{
    id->seq++;
    if (id->seq == 0) {
        id->ms++;
    }
    return id->seq != 0 || id->ms != 0;
}

static enum oxbow_err export_entries(struct exporter *x, struct oxbow_bytes key)
{
    struct oxbow_stream_range range = {.to = OXBOW_ID_MAX, .count = SLICE, .bytes = SLICE_BYTES};

    for (;;) {
        struct oxbow_txn *txn;
        enum oxbow_err err = begin(x, &txn);

        if (err != OXBOW_OK) {
            return err;
        }
        err = oxbow_stream_range(txn, key, &range, &x->slice);
        oxbow_txn_abort(txn);
        if (err != OXBOW_OK || x->slice.entry_count == 0) {
            return err;
        }
        for (size_t i = 0; i < x->slice.entry_count; i++) {
            write_entry(x, key, &x->slice.entries[i]);
        }
        range.from = x->slice.entries[x->slice.entry_count - 1].id;
        if (!id_step(&range.from)) {
            return OXBOW_OK;
        }
    }
}

/* What is nobody's is given back again. */
static void write_nobodys(struct exporter *x, struct oxbow_group group,
                          const struct oxbow_pending *p)
{
    resp_command(&x->file, 10);
    resp_text(&x->file, "XNACK");
    resp_arg(&x->file, group.key);
    resp_arg(&x->file, group.name);
    resp_text(&x->file, "FAIL");
    resp_text(&x->file, "IDS");
    resp_text(&x->file, "1");
    resp_id(&x->file, p->id);
    resp_text(&x->file, "RETRYCOUNT");
    resp_number(&x->file, p->deliveries);
    resp_text(&x->file, "FORCE");
}

static void write_pending(struct exporter *x, struct oxbow_group group,
                          const struct oxbow_pending *p)
{
    if (p->nobody && !x->plain) {
        write_nobodys(x, group, p);
        return;
    }
    resp_command(&x->file, 12);
    resp_text(&x->file, "XCLAIM");
    resp_arg(&x->file, group.key);
    resp_arg(&x->file, group.name);
    resp_arg(&x->file, p->consumer);
    resp_text(&x->file, "0");
    resp_id(&x->file, p->id);
    resp_text(&x->file, "IDLE");
    resp_number(&x->file, p->idle_ms);
    resp_text(&x->file, "RETRYCOUNT");
    resp_number(&x->file, p->deliveries);
    resp_text(&x->file, "FORCE");
    resp_text(&x->file, "JUSTID");
}

static enum oxbow_err export_pending(struct exporter *x, struct oxbow_txn *txn,
                                     struct oxbow_group group)
{
    struct oxbow_pending rows[SLICE];
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = SLICE};
    size_t count;

    do {
        enum oxbow_err err = oxbow_group_pending(txn, group, &filter, &x->consumers, rows, &count);

        if (err != OXBOW_OK) {
            return err;
        }
        for (size_t i = 0; i < count; i++) {
            write_pending(x, group, &rows[i]);
            filter.from = rows[i].id;
        }
    } while (count == SLICE && id_step(&filter.from));
    return OXBOW_OK;
}

static enum oxbow_err export_group(struct exporter *x, struct oxbow_txn *txn,
                                   struct oxbow_group group)
{
    struct oxbow_group_info info;
    enum oxbow_err err = oxbow_group_info(txn, group, &info);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_command(&x->file, info.has_entries_read ? 7 : 5);
    resp_text(&x->file, "XGROUP");
    resp_text(&x->file, "CREATE");
    resp_arg(&x->file, group.key);
    resp_arg(&x->file, group.name);
    resp_id(&x->file, info.last_id);
    if (info.has_entries_read) {
        resp_text(&x->file, "ENTRIESREAD");
        resp_number(&x->file, info.entries_read);
    }
    err = oxbow_group_consumers(txn, group, &x->consumers);
    for (size_t i = 0; err == OXBOW_OK && i < x->consumers.item_count; i++) {
        resp_command(&x->file, 5);
        resp_text(&x->file, "XGROUP");
        resp_text(&x->file, "CREATECONSUMER");
        resp_arg(&x->file, group.key);
        resp_arg(&x->file, group.name);
        resp_arg(&x->file, x->consumers.items[i]);
    }
    if (err == OXBOW_OK) {
        err = export_pending(x, txn, group);
    }
    return err == OXBOW_OK && !x->plain ? settings_group(txn, &x->file, group) : err;
}

static enum oxbow_err export_stream(struct exporter *x, struct oxbow_bytes key)
{
    uint64_t before = 0;
    struct oxbow_result groups = {0};
    struct oxbow_stream_info info;
    struct oxbow_txn *txn;
    enum oxbow_err err = begin(x, &txn);

    if (err == OXBOW_OK) {
        err = x->plain ? OXBOW_OK : settings_priorities(txn, &x->file, key);
        oxbow_txn_abort(txn);
    }
    before = x->file.commands;
    if (err == OXBOW_OK) {
        err = export_entries(x, key);
    }
    if (err == OXBOW_OK) {
        err = begin(x, &txn);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_stream_info(txn, key, &info);
    if (err == OXBOW_OK) {
        if (x->file.commands == before) { /* what has expired may still be counted in its length */
            write_empty(x, key);
        }
        resp_command(&x->file, 7);
        resp_text(&x->file, "XSETID");
        resp_arg(&x->file, key);
        resp_id(&x->file, info.last_id);
        resp_text(&x->file, "ENTRIESADDED");
        resp_number(&x->file, info.entries_added);
        resp_text(&x->file, "MAXDELETEDID");
        resp_id(&x->file, info.max_deleted_id);
        err = oxbow_group_list(txn, key, &groups);
    }
    for (size_t i = 0; err == OXBOW_OK && i < groups.item_count; i++) {
        err = export_group(x, txn, (struct oxbow_group){key, groups.items[i]});
    }
    oxbow_result_fini(&groups);
    oxbow_txn_abort(txn);
    return err;
}

static enum oxbow_err export_string(struct exporter *x, struct oxbow_bytes key)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = begin(x, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_string_get(txn, key, &x->slice);
    oxbow_txn_abort(txn);
    if (err == OXBOW_OK) {
        resp_command(&x->file, 3);
        resp_text(&x->file, "SET");
        resp_arg(&x->file, key);
        resp_arg(&x->file, x->slice.items[0]);
    }
    return err;
}

/* What is left of its time to live: a time of the wall clock may be one that is wrong here. */
static void write_ttl(struct exporter *x, struct oxbow_bytes key, uint64_t left_ms)
{
    if (left_ms != UINT64_MAX) {
        resp_command(&x->file, 3);
        resp_text(&x->file, "PEXPIRE");
        resp_arg(&x->file, key);
        resp_number(&x->file, left_ms);
    }
}

static enum oxbow_err export_value(struct exporter *x, struct oxbow_bytes key, enum oxbow_type type)
{
    const struct members_source members = {x->db, x->database, key, type};

    switch (type) {
    case OXBOW_TYPE_LIST:
        return export_list(x, key);
    case OXBOW_TYPE_STREAM:
        return export_stream(x, key);
    case OXBOW_TYPE_STRING:
        return export_string(x, key);
    case OXBOW_TYPE_HASH:
    case OXBOW_TYPE_SET:
    case OXBOW_TYPE_ZSET:
        return members_export(&members, &x->file, &x->slice);
    default:
        return OXBOW_ENOTSUP;
    }
}

/* One that expires meanwhile is left out, or what is left of it by then. */
static enum oxbow_err export_key(struct exporter *x, struct oxbow_bytes key)
{
    const uint64_t before = x->file.commands;
    enum oxbow_type type;
    uint64_t left_ms = UINT64_MAX;
    struct oxbow_txn *txn;
    enum oxbow_err err = begin(x, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_key_type(txn, key, &type);
    if (err == OXBOW_OK && type != OXBOW_TYPE_NONE) {
        err = oxbow_key_ttl(txn, key, &left_ms);
    }
    oxbow_txn_abort(txn);
    if (err != OXBOW_OK || type == OXBOW_TYPE_NONE) {
        return err;
    }
    x->keys++;
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[Kkey %" PRIu64 ", %" PRIu64 " MiB", x->keys, x->file.bytes >> 20);
    }
    err = export_value(x, key, type);
    if (err == OXBOW_OK && x->file.commands > before) {
        write_ttl(x, key, left_ms);
    }
    return err == OXBOW_ENOENT && left_ms != UINT64_MAX ? OXBOW_OK : err;
}

/* Before the first command of a database. */
static void say_database(struct exporter *x)
{
    if (!x->said) {
        resp_command(&x->file, 2);
        resp_text(&x->file, "SELECT");
        resp_number(&x->file, x->database);
        x->said = true;
    }
}

static enum oxbow_err export_settings(struct exporter *x)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = begin(x, &txn);

    bool any = false;

    if (err != OXBOW_OK) {
        return err;
    }
    err = settings_any(txn, &any);
    if (err == OXBOW_OK && any) {
        say_database(x);
        err = settings_database(txn, &x->file, x->database);
    }
    oxbow_txn_abort(txn);
    return err;
}

static enum oxbow_err export_database(struct exporter *x)
{
    uint64_t cursor = 0;

    x->said = false;

    do {
        struct oxbow_txn *txn;
        enum oxbow_err err = begin(x, &txn);

        if (err != OXBOW_OK) {
            return err;
        }
        err = oxbow_key_scan(txn, &cursor, KEYS, &x->names);
        oxbow_txn_abort(txn);
        for (size_t i = 0; err == OXBOW_OK && i < x->names.item_count; i++) {
            say_database(x);
            err = export_key(x, x->names.items[i]);
        }
        if (err != OXBOW_OK) {
            return err;
        }
    } while (cursor != 0);
    return x->plain ? OXBOW_OK : export_settings(x);
}

static void write_mark(struct resp_file *f, const char *text)
{
    resp_command(f, 2);
    resp_text(f, "ECHO");
    resp_text(f, text);
}

static enum oxbow_err export_all(struct exporter *x)
{
    char mark[64];
    enum oxbow_err err = OXBOW_OK;

    write_mark(&x->file, x->plain ? MOVE_PLAIN : MOVE_FIRST);
    for (x->database = 0; err == OXBOW_OK && x->database < DATABASES; x->database++) {
        err = export_database(x);
    }
    (void)snprintf(mark, sizeof mark, MOVE_LAST "%" PRIu64 " %08" PRIx32, x->file.commands,
                   x->file.crc);
    write_mark(&x->file, mark);
    x->file.failed = fflush(x->file.file) != 0 || x->file.failed;
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
    oxbow_result_fini(&x->slice);
    oxbow_result_fini(&x->names);
    oxbow_result_fini(&x->consumers);
    return err;
}

static int finish_file(struct exporter *x, const char *path, enum oxbow_err err)
{
    bool failed = x->file.failed;

    if (path != NULL) {
        failed = fsync(fileno(x->file.file)) != 0 || failed;
        failed = fclose(x->file.file) != 0 || failed;
    }
    if (err == OXBOW_OK && !failed) {
        fprintf(stderr, "exported %" PRIu64 " keys, %" PRIu64 " bytes\n", x->keys, x->file.bytes);
        return EXIT_DONE;
    }
    if (path != NULL) {
        unlink(path);
    }
    if (err != OXBOW_OK) {
        return cli_fail("export", err);
    }
    fprintf(stderr, "oxbow: export: %s: %s\n", path != NULL ? path : "standard output",
            strerror(errno));
    return EXIT_FAILED;
}

int move_export(struct cli *cli)
{
    const char *path = cli->arg_count > 0 ? cli->args[0] : NULL;
    struct exporter *x = calloc(1, sizeof *x);
    int code;

    if (x == NULL) {
        return cli_fail("export", OXBOW_ENOMEM);
    }
    x->db = cli->db;
    x->plain = cli->opt.redis != 0;
    x->file.file = path != NULL ? fopen(path, "wxe") : stdout;
    if (x->file.file == NULL) {
        fprintf(stderr, "oxbow: export: %s: %s\n", path, strerror(errno));
        free(x);
        return EXIT_FAILED;
    }
    if (path == NULL && isatty(STDOUT_FILENO)) {
        free(x);
        return cli_usage(cli, "export: a terminal is no place for it: name a FILE, or use a pipe");
    }
    code = finish_file(x, path, export_all(x));
    free(x);
    return code;
}
