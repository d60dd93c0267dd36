/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow import: makes a store from an export. The store grows under another name beside its place
 * and is renamed into it when all was read, counted and checked: a file that is damaged or cut
 * short leaves nothing behind. Commands are rows of a table, in the forms that export writes, and each
 * key's stand together: a key that comes a second time is refused, as is what belongs to another key than
 * the one that it stands behind.
 */
#include "oxbow/group.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "oxbow/string.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/entry.h"
#include "tools/oxbow/move.h"
#include "tools/oxbow/move_members.h"
#include "tools/oxbow/move_settings.h"
#include "tools/oxbow/resp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define TXN_COMMANDS 256u
#define TXN_BYTES    ((uint64_t)1 << 20)
#define TXN_ARGS     4096u /* of members: a sorted set of small ones takes half of a transaction then */
#define WORD_MAX     48u
#define FIELDS_STACK 32u

struct importer {
    struct oxbow *db;
    struct oxbow_txn *txn;
    struct resp_file file;
    uint32_t database;
    uint64_t txn_commands;
    uint64_t txn_args;
    uint64_t txn_start; /* bytes read when it began */
    unsigned version;   /* of the file; 0: the first mark was not seen yet */
    bool ended;         /* the last mark was */
    const char *why;    /* more about an error than its text has */
    uint8_t *key;       /* the one whose commands these are, and where it is */
    size_t key_len;
    uint32_t key_database;
    bool key_begun;
};

/* A short argument as text; false: too long, or with a zero inside. */
static bool word(struct oxbow_bytes arg, char out[WORD_MAX])
{
    if (arg.len >= WORD_MAX || memchr(arg.data, 0, arg.len) != NULL) {
        return false;
    }
    memcpy(out, arg.data, arg.len);
    out[arg.len] = '\0';
    return true;
}

static bool is(struct oxbow_bytes arg, const char *text)
{
    return arg.len == strlen(text) && strncasecmp(arg.data, text, arg.len) == 0;
}

static bool number_arg(struct oxbow_bytes arg, uint64_t *out)
{
    char text[WORD_MAX];
    struct oxbow_id id;

    if (!word(arg, text) || strchr(text, '-') != NULL || !entry_id_of(text, 0, &id)) {
        return false;
    }
    *out = id.ms;
    return true;
}

static bool id_arg(struct oxbow_bytes arg, struct oxbow_id *out)
{
    char text[WORD_MAX];

    return word(arg, text) && entry_id_of(text, 0, out);
}

/* ---- the commands; args[0] is the name ---- */

static enum oxbow_err refuse(struct importer *m, enum oxbow_err err, const char *why)
{
    m->why = why;
    return err;
}

static enum oxbow_err on_echo(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    static const struct {
        const char *text;
        unsigned version;
    } marks[] = {{"oxbow-export 1", 1}, {"oxbow-export 2", 2}, {MOVE_FIRST, 3}, {MOVE_PLAIN, 3}};

    if (m->version != 0 || count != 2) {
        return refuse(m, OXBOW_EPARSE, "a mark where none may be");
    }
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        m->version = is(args[1], marks[i].text) ? marks[i].version : m->version;
    }
    if (m->version != 0) {
        return OXBOW_OK;
    }
    return refuse(m, OXBOW_EFORMAT,
                  args[1].len >= strlen(MOVE_ANY) &&
                          memcmp(args[1].data, MOVE_ANY, strlen(MOVE_ANY)) == 0
                      ? "an export of a version that this program does not know"
                      : "no export");
}

static enum oxbow_err on_select(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    uint64_t n;

    (void)count;
    if (!number_arg(args[1], &n) || n > 15) {
        return OXBOW_EPARSE;
    }
    m->database = (uint32_t)n;
    return oxbow_txn_select(m->txn, m->database);
}

static enum oxbow_err on_rpush(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    return oxbow_list_push(m->txn, args[1], OXBOW_RIGHT, args + 2, count - 2, NULL);
}

static enum oxbow_err on_set(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    return count == 3 ? oxbow_string_set(m->txn, args[1], args[2]) : OXBOW_EPARSE;
}

/* Exports of before may have one behind a key that expired while it was read: nothing was to be written
 * of that any more. A key that goes meanwhile, since its fields do, needs none. */
static enum oxbow_err on_pexpire(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    enum oxbow_expire_done done;
    uint64_t ms;

    if (count != 3 || !number_arg(args[2], &ms) || ms == 0 || ms > INT64_MAX) {
        return refuse(m, OXBOW_EPARSE, "no deadline of a key");
    }
    m->key_begun = false; /* nothing of it comes behind this */
    return oxbow_key_expire(m->txn, args[1], (int64_t)ms, 0, &done);
}

static enum oxbow_err on_members(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    m->txn_args += count;
    return m->version < 3 ? refuse(m, OXBOW_EPARSE, "no command of an export of that version")
                          : members_import(m->txn, args, count, &m->why);
}

static enum oxbow_err add_entry(struct importer *m, const struct oxbow_bytes *args, size_t count,
                                uint32_t priority)
{
    struct oxbow_stream_add_options opt = {
        .id_mode = OXBOW_ID_EXPLICIT, .unrouted = true, .priority = priority};
    struct oxbow_field small[FIELDS_STACK];
    struct oxbow_field *fields = small;
    size_t at = 2;
    size_t n;
    enum oxbow_err err;

    if (count > 5 && is(args[2], "MAXLEN")) {
        opt.trim.by = OXBOW_TRIM_MAXLEN;
        if (!number_arg(args[3], &opt.trim.maxlen)) {
            return OXBOW_EPARSE;
        }
        at = 4;
    }
    n = (count - at - 1) / 2;
    if (!id_arg(args[at], &opt.id) || n == 0 || (count - at - 1) % 2 != 0) {
        return OXBOW_EPARSE;
    }
    if (n > FIELDS_STACK) {
        fields = calloc(n, sizeof *fields);
        if (fields == NULL) {
            return OXBOW_ENOMEM;
        }
    }
    for (size_t i = 0; i < n; i++) {
        fields[i] = (struct oxbow_field){args[at + 1 + 2 * i], args[at + 2 + 2 * i]};
    }
    err = oxbow_stream_add(m->txn, args[1], &opt, fields, (uint32_t)n, NULL);
    if (fields != small) {
        free(fields);
    }
    return err;
}

static enum oxbow_err on_xadd(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    return add_entry(m, args, count, 0);
}

/* OXBOW.XADD key priority id ... */
static enum oxbow_err on_priority(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    struct oxbow_bytes key = args[1];
    uint64_t priority;

    if (!number_arg(args[2], &priority) || priority >= OXBOW_PRIORITIES_MAX) {
        return OXBOW_EPARSE;
    }
    m->file.args[2] = key; /* what stands behind the number is XADD's */
    return add_entry(m, m->file.args + 1, count - 1, (uint32_t)priority);
}

static enum oxbow_err on_settings(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    return settings_run(m->txn, args, count);
}

static enum oxbow_err on_xsetid(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    struct oxbow_stream_set_id_options opt = {.has_entries_added = true,
                                              .has_max_deleted_id = true};

    if (count != 7 || !is(args[3], "ENTRIESADDED") || !is(args[5], "MAXDELETEDID") ||
        !id_arg(args[2], &opt.last_id) || !number_arg(args[4], &opt.entries_added) ||
        !id_arg(args[6], &opt.max_deleted_id)) {
        return OXBOW_EPARSE;
    }
    return oxbow_stream_set_id(m->txn, args[1], &opt);
}

static enum oxbow_err on_xgroup(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    const struct oxbow_group group = {args[2], args[3]};
    struct oxbow_group_create_options opt = {.has_entries_read = count == 7};

    if (is(args[1], "CREATECONSUMER") && count == 5) {
        return oxbow_group_consumer_create(m->txn, group, args[4], NULL);
    }
    if (!is(args[1], "CREATE") || (count != 5 && count != 7) || !id_arg(args[4], &opt.id) ||
        (count == 7 && (!is(args[5], "ENTRIESREAD") || !number_arg(args[6], &opt.entries_read)))) {
        return OXBOW_EPARSE;
    }
    return oxbow_group_create(m->txn, group, &opt);
}

static enum oxbow_err on_xclaim(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    const struct oxbow_group group = {args[1], args[2]};
    struct oxbow_result result = {0};
    struct oxbow_id id;
    struct oxbow_claim_options opt = {.ids = &id,
                                      .count = 1,
                                      .has_idle = true,
                                      .has_deliveries = true,
                                      .force = true,
                                      .just_id = true};
    enum oxbow_err err;

    if (count != 12 || !id_arg(args[5], &id) || !is(args[6], "IDLE") ||
        !number_arg(args[7], &opt.idle_ms) || !is(args[8], "RETRYCOUNT") ||
        !number_arg(args[9], &opt.deliveries)) {
        return OXBOW_EPARSE;
    }
    err = oxbow_group_claim(m->txn, group, args[3], &opt, &result);
    oxbow_result_fini(&result);
    return err;
}

static enum oxbow_err on_xnack(struct importer *m, const struct oxbow_bytes *args, size_t count)
{
    const struct oxbow_group group = {args[1], args[2]};
    struct oxbow_id id;
    struct oxbow_group_release_options opt = {
        .how = OXBOW_RELEASE_FAIL, .ids = &id, .count = 1, .has_deliveries = true, .force = true};

    if (count != 10 || !is(args[3], "FAIL") || !is(args[4], "IDS") || !is(args[5], "1") ||
        !id_arg(args[6], &id) || !is(args[7], "RETRYCOUNT") ||
        !number_arg(args[8], &opt.deliveries) || !is(args[9], "FORCE")) {
        return OXBOW_EPARSE;
    }
    return oxbow_group_release(m->txn, group, &opt, NULL);
}

/* What a command is to a key. */
enum key_use {
    KEY_NONE,  /* nothing */
    KEY_WHOLE, /* all of one: it begins there */
    KEY_PART,  /* a part: it begins there, or goes on */
    KEY_OF     /* something of the one that it stands behind */
};

static const struct import_row {
    const char *name;
    size_t args_min;
    enum oxbow_err (*run)(struct importer *m, const struct oxbow_bytes *args, size_t count);
    enum key_use use;
    unsigned key; /* which argument */
} rows[] = {
    {"ECHO", 2, on_echo, KEY_NONE, 0},
    {"SELECT", 2, on_select, KEY_NONE, 0},
    {"RPUSH", 3, on_rpush, KEY_PART, 1},
    {"XADD", 5, on_xadd, KEY_PART, 1},
    {"XSETID", 3, on_xsetid, KEY_OF, 1},
    {"XGROUP", 5, on_xgroup, KEY_OF, 2},
    {"XCLAIM", 6, on_xclaim, KEY_OF, 1},
    {"XNACK", 6, on_xnack, KEY_OF, 1},
    {"SET", 3, on_set, KEY_WHOLE, 1},
    {"HSET", 4, on_members, KEY_PART, 1},
    {"HPEXPIRE", 6, on_members, KEY_OF, 1},
    {"SADD", 3, on_members, KEY_PART, 1},
    {"ZADD", 4, on_members, KEY_PART, 1},
    {"PEXPIRE", 3, on_pexpire, KEY_OF, 1},
    {"OXBOW.XADD", 6, on_priority, KEY_PART, 1},
    {"OXBOW.POLICY", 2, on_settings, KEY_NONE, 0},
    {"OXBOW.GROUP", 3, on_settings, KEY_OF, 1},
    {"OXBOW.BIND", 10, on_settings, KEY_NONE, 0},
    {"OXBOW.SOURCE", 4, on_settings, KEY_NONE, 0},
    {"OXBOW.SCHEDULE", 12, on_settings, KEY_NONE, 0},
};

static bool is_current(const struct importer *m, struct oxbow_bytes key)
{
    return m->key_begun && m->key_database == m->database && key.len == m->key_len &&
           memcmp(key.data, m->key, key.len) == 0;
}

static enum oxbow_err key_begin(struct importer *m, struct oxbow_bytes key)
{
    enum oxbow_type type;
    uint8_t *copy;
    enum oxbow_err err = oxbow_key_type(m->txn, key, &type);

    if (err == OXBOW_OK && type != OXBOW_TYPE_NONE) {
        return refuse(m, OXBOW_EEXIST, "a key that came before");
    }
    if (err != OXBOW_OK) {
        return err;
    }
    copy = realloc(m->key, key.len + 1);
    if (copy == NULL) {
        return OXBOW_ENOMEM;
    }
    memcpy(copy, key.data, key.len);
    m->key = copy;
    m->key_len = key.len;
    m->key_database = m->database;
    m->key_begun = true;
    return OXBOW_OK;
}

static enum oxbow_err check_key(struct importer *m, const struct import_row *row)
{
    struct oxbow_bytes key = m->file.args[row->key];
    bool current = is_current(m, key);

    switch (row->use) {
    case KEY_WHOLE:
    case KEY_PART:
        return current && row->use == KEY_PART ? OXBOW_OK : key_begin(m, key);
    case KEY_OF:
        if (!current && (m->version >= 3 || row->run != on_pexpire)) {
            return refuse(m, OXBOW_EPARSE, "it is not behind the key that it is about");
        }
        return OXBOW_OK;
    case KEY_NONE:
        break;
    }
    return OXBOW_OK;
}

static enum oxbow_err run_one(struct importer *m)
{
    if (m->version == 0 && !is(m->file.args[0], "ECHO")) {
        return refuse(m, OXBOW_EFORMAT, "no export");
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum oxbow_err err;

        if (!is(m->file.args[0], rows[i].name)) {
            continue;
        }
        if (m->file.arg_count < rows[i].args_min) {
            return OXBOW_EPARSE;
        }
        err = check_key(m, &rows[i]);
        return err == OXBOW_OK ? rows[i].run(m, m->file.args, m->file.arg_count) : err;
    }
    return refuse(m, OXBOW_EPARSE, "no command of an export");
}

/* ---- the file ---- */

static enum oxbow_err begin(struct importer *m)
{
    const struct oxbow_txn_options opt = {.sync = OXBOW_SYNC_INTERVAL, .database = m->database};

    m->txn_commands = 0;
    m->txn_args = 0;
    m->txn_start = m->file.bytes;
    return oxbow_txn_begin(m->db, &opt, &m->txn);
}

/* Whether this is the last mark, and says the truth about what stood before it. */
static enum oxbow_err check_end(struct importer *m, uint64_t commands, uint32_t crc)
{
    const struct resp_file *f = &m->file;
    char text[96];
    char want[96];

    if (f->arg_count != 2 || !is(f->args[0], "ECHO") || f->args[1].len >= sizeof text ||
        f->args[1].len < strlen(MOVE_LAST) ||
        memcmp(f->args[1].data, MOVE_LAST, strlen(MOVE_LAST)) != 0) {
        return OXBOW_OK;
    }
    memcpy(text, f->args[1].data, f->args[1].len);
    text[f->args[1].len] = '\0';
    snprintf(want, sizeof want, MOVE_LAST "%" PRIu64 " %08" PRIx32, commands, crc);
    if (strcmp(text, want) != 0) {
        return refuse(m, OXBOW_ECORRUPT,
                      "not as many commands, or not the bytes, that were written");
    }
    m->ended = true;
    if (getc(m->file.file) != EOF) {
        return refuse(m, OXBOW_EPARSE, "something stands behind the last mark");
    }
    return ferror(m->file.file) != 0 ? OXBOW_EIO : OXBOW_OK;
}

static void show_progress(const struct importer *m)
{
    if (isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "\r\033[K%" PRIu64 " commands, %" PRIu64 " MiB", m->file.commands,
                      m->file.bytes >> 20);
    }
}

static enum oxbow_err import_commands(struct importer *m)
{
    enum oxbow_err err = begin(m);

    while (err == OXBOW_OK && !m->ended) {
        uint64_t commands = m->file.commands;
        uint32_t crc = m->file.crc;

        err = resp_next(&m->file);
        if (err == OXBOW_OK) {
            err = check_end(m, commands, crc);
        }
        if (err == OXBOW_OK && !m->ended) {
            err = run_one(m);
        }
        if (err == OXBOW_OK && !m->ended &&
            (++m->txn_commands == TXN_COMMANDS || m->txn_args > TXN_ARGS ||
             m->file.bytes - m->txn_start > TXN_BYTES)) {
            err = oxbow_txn_commit(m->txn, NULL);
            m->txn = NULL;
            show_progress(m);
            err = err == OXBOW_OK ? begin(m) : err;
        }
    }
    if (err == OXBOW_OK) {
        err = oxbow_txn_commit(m->txn, NULL);
    } else if (m->txn != NULL) {
        oxbow_txn_abort(m->txn);
    }
    if (err == OXBOW_EAGAIN) {
        err = refuse(m, OXBOW_EPARSE, "the file ends before the last mark");
    }
    return err == OXBOW_OK ? oxbow_flush(m->db) : err;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_store(const char *dir)
{
    if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        fprintf(stderr, "oxbow: import: %s is left behind: %s\n", dir, strerror(errno));
    }
}

/* Renames the finished store into its place, durably. */
static int put_in_place(const char *from, const char *to)
{
    char parent[PATH_MAX];
    char *slash;
    int fd;
    int rc;

    if (rename(from, to) != 0) {
        return -1;
    }
    snprintf(parent, sizeof parent, "%s", to);
    slash = strrchr(parent, '/');
    if (slash == NULL) {
        strcpy(parent, ".");
    } else {
        slash[slash == parent] = '\0';
    }
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

static int import_into(struct cli *cli, struct importer *m, const char *temp, const char *dir)
{
    enum oxbow_err err = cli_open(cli, temp, 0, &m->db);

    if (err != OXBOW_OK) {
        return cli_fail(temp, err);
    }
    err = import_commands(m);
    if (isatty(STDERR_FILENO)) {
        (void)fputs("\r\033[K", stderr);
    }
    if (err != OXBOW_OK) {
        fprintf(stderr, "oxbow: import: command %" PRIu64 ", byte %" PRIu64 ": %s%s%s (%s)\n",
                m->file.commands, m->file.bytes, m->why != NULL ? m->why : "",
                m->why != NULL ? ": " : "", oxbow_err_text(err), oxbow_err_name(err));
    }
    if (oxbow_close(m->db) != OXBOW_OK && err == OXBOW_OK) {
        return cli_fail("closing the store", OXBOW_EIO);
    }
    if (err == OXBOW_OK && put_in_place(temp, dir) != 0) {
        fprintf(stderr, "oxbow: import: %s: %s\n", dir, strerror(errno));
        err = OXBOW_EIO;
    }
    if (err != OXBOW_OK) {
        remove_store(temp);
        return EXIT_FAILED;
    }
    fprintf(stderr, "imported %" PRIu64 " commands into %s\n", m->file.commands, dir);
    return EXIT_DONE;
}

int move_import(struct cli *cli)
{
    const char *dir = cli_dir(cli);
    const char *path = cli->arg_count > 0 ? cli->args[0] : NULL;
    struct importer m = {.file = {.file = path != NULL ? fopen(path, "re") : stdin}};
    char temp[PATH_MAX];
    int code;

    if (m.file.file == NULL) {
        fprintf(stderr, "oxbow: import: %s: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    snprintf(temp, sizeof temp, "%s.importing", dir);
    if (access(dir, F_OK) == 0 && rmdir(dir) != 0) {
        fprintf(stderr, "oxbow: import: %s is there already and is not empty\n", dir);
        code = EXIT_FAILED;
    } else {
        if (access(temp, F_OK) == 0) {
            remove_store(temp); /* of an import that was cut off */
        }
        code = import_into(cli, &m, temp, dir);
    }
    if (path != NULL) {
        fclose(m.file.file);
    }
    resp_fini(&m.file);
    free(m.key);
    return code;
}
