/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/damaged.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "oxbow/forward.h"
#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/loss.h"
#include "oxbow/stream.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ELEMENTS 400u
#define ENTRIES  300u
#define READ     120u
#define LATE     20u /* of each, in the journal alone */
#define SMALL    60u /* lists of one element */
#define TEXT_MAX 16384u

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "damaged store: %s: %s\n", what, why);
    abort();
}

#define MUST(expr) must(expr, #expr)

static void must(enum oxbow_err err, const char *what)
{
    if (err != OXBOW_OK) {
        die(what, oxbow_err_name(err));
    }
}

static struct oxbow_bytes bytes_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

/* ---- the store ---- */

static struct oxbow_bytes content(uint32_t i)
{
    static uint8_t bytes[9000];
    size_t len = i % 150 == 7 ? sizeof bytes : i % 40 == 0 ? 700 : 60;

    memset(bytes, (int)('a' + i % 26), len);
    put_be32(bytes, i);
    return (struct oxbow_bytes){bytes, len};
}

static void push(struct oxbow *db, uint32_t from, uint32_t count)
{
    struct oxbow_txn *txn;

    for (uint32_t i = from; i < from + count; i++) {
        struct oxbow_bytes value = content(i);
        struct oxbow_field field = {bytes_of("f"), content(i + 1)};
        struct oxbow_stream_add_options add = {.id_mode = OXBOW_ID_EXPLICIT, .id = {i + 1, 0}};

        MUST(oxbow_txn_begin(db, NULL, &txn));
        MUST(oxbow_list_push(txn, bytes_of("list"), OXBOW_RIGHT, &value, 1, NULL));
        if (i < ENTRIES || count == LATE) {
            field.value = content(i);
            MUST(oxbow_stream_add(txn, bytes_of("stream"), &add, &field, 1, NULL));
        }
        MUST(oxbow_txn_commit(txn, NULL));
        if (i % 64 == 63) {
            MUST(oxbow_flush(db));
        }
    }
}

static void forward(struct oxbow_txn *txn)
{
    const struct oxbow_forward_options opt = {.key = bytes_of("stream"), .type = OXBOW_TYPE_STREAM};
    bool more = false;

    MUST(oxbow_identity_set(txn, "device", NULL));
    MUST(oxbow_forward_create(txn, "up", &opt));
    MUST(oxbow_forward_sent(txn, "up", (struct oxbow_id){90, 0}));
    MUST(oxbow_forward_confirmed(txn, "up", (struct oxbow_id){50, 0}, &more));
}

static struct oxbow_bytes small_name(char out[16], uint32_t i)
{
    return (struct oxbow_bytes){out, (size_t)snprintf(out, 16, "small-%u", (unsigned)i)};
}

static void push_small(struct oxbow *db)
{
    struct oxbow_txn *txn;
    char name[16];

    for (uint32_t i = 0; i < SMALL; i++) {
        struct oxbow_bytes value = {content(i).data, 40 + i};

        MUST(oxbow_txn_begin(db, NULL, &txn));
        MUST(oxbow_list_push(txn, small_name(name, i), OXBOW_RIGHT, &value, 1, NULL));
        MUST(oxbow_txn_commit(txn, NULL));
    }
}

static void fill(struct oxbow *db)
{
    const struct oxbow_group group = {bytes_of("stream"), bytes_of("group")};
    const struct oxbow_group_create_options make = {.make_stream = true};
    const struct oxbow_group_read_options opt = {.count = READ};
    struct oxbow_result r = {0};
    struct oxbow_txn *txn;

    MUST(oxbow_txn_begin(db, NULL, &txn));
    MUST(oxbow_group_create(txn, group, &make));
    MUST(oxbow_txn_commit(txn, NULL));
    push_small(db);
    push(db, 0, ELEMENTS);
    MUST(oxbow_txn_begin(db, NULL, &txn));
    MUST(oxbow_group_read(txn, group, bytes_of("consumer"), &opt, &r));
    MUST(oxbow_group_ack(txn, group, &r.entries[3].id, 1, NULL));
    MUST(oxbow_list_pop(txn, bytes_of("list"), OXBOW_LEFT, 30, &r));
    forward(txn);
    MUST(oxbow_txn_commit(txn, NULL));
    oxbow_result_fini(&r);
    MUST(oxbow_flush(db));
}

static void read_file(struct damaged *d, const char *name)
{
    struct damaged_file *f = &d->files[strcmp(name, "data.mdb") == 0 ? 0 : d->count++];
    char path[512];
    struct stat st;
    int fd;

    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        die("cannot open", path);
    }
    if (strlen(name) >= sizeof f->name) {
        die("too long a name", name);
    }
    memcpy(f->name, name, strlen(name) + 1);
    f->len = (size_t)st.st_size;
    f->bytes = malloc(f->len + 1);
    if (f->bytes == NULL || read(fd, f->bytes, f->len) != (ssize_t)f->len || close(fd) != 0) {
        die("cannot read", path);
    }
}

static void keep(struct damaged *d)
{
    DIR *dir = opendir(d->dir);
    struct dirent *e;

    d->count = 1;
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] != '.' && strcmp(e->d_name, "LOCK") != 0 &&
            strcmp(e->d_name, "lock.mdb") != 0) {
            if (d->count == DAMAGED_FILES) {
                die("too many files", e->d_name);
            }
            read_file(d, e->d_name);
        }
    }
    if (dir == NULL || closedir(dir) != 0 || d->files[0].bytes == NULL || d->count < 2) {
        die("cannot list", d->dir);
    }
    d->whole = d->files[0].bytes;
    d->whole_len = d->files[0].len;
    d->files[0].bytes = malloc(d->whole_len);
    if (d->files[0].bytes == NULL) {
        die("no", "memory");
    }
    for (size_t at = 0; at + DAMAGED_PAGE <= d->whole_len; at += DAMAGED_PAGE) {
        d->used = get_le64(d->whole + at) == at / DAMAGED_PAGE && d->whole[at + 10] != 0
                      ? at + DAMAGED_PAGE
                      : d->used;
    }
}

void damaged_config(const struct damaged *d, struct oxbow_config *out)
{
    *out = (struct oxbow_config){.dir = d->dir,
                                 .sync = OXBOW_SYNC_INTERVAL,
                                 .journal_bytes = 64 << 10,
                                 .quota_bytes = 3 << 20,
                                 .dirty_pages = 32,
                                 .memtable_bytes = 64 << 10,
                                 .txn_bytes = 128 << 10};
}

void damaged_make(struct damaged *d, const char *dir)
{
    struct oxbow_config config;
    struct oxbow *db;

    memset(d, 0, sizeof *d);
    snprintf(d->dir, sizeof d->dir, "%s", dir);
    damaged_config(d, &config);
    MUST(oxbow_open(&config, &db));
    fill(db);
    push(db, ELEMENTS, LATE);
    MUST(oxbow_flush(db));
    keep(d);
    MUST(oxbow_close(db));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_tree(const char *dir)
{
    if (access(dir, F_OK) == 0 && nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        die("cannot remove", dir);
    }
}

void damaged_free(struct damaged *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free(d->files[i].bytes);
    }
    free(d->whole);
    remove_tree(d->dir);
}

/* ---- damage ---- */

const char *damaged_name(enum damaged_kind kind)
{
    static const char *const names[DAMAGED_KINDS] = {"meta page 0", "meta page 1", "a leaf",
                                                     "a branch",    "a value",     "cut off"};

    return names[kind];
}

static size_t page_of(const struct damaged *d, uint8_t flags, unsigned nth)
{
    for (size_t at = 2 * DAMAGED_PAGE; at < d->used; at += DAMAGED_PAGE) {
        if (get_le64(d->whole + at) == at / DAMAGED_PAGE && d->whole[at + 10] == flags &&
            nth-- == 0) {
            return at;
        }
    }
    return 0;
}

bool damaged_hurt(struct damaged *d, enum damaged_kind kind, unsigned nth)
{
    uint8_t *bytes = d->files[0].bytes;
    size_t at = page_of(d, kind == DAMAGED_BRANCH ? 1 : 2, nth);

    memcpy(bytes, d->whole, d->whole_len);
    d->files[0].len = d->whole_len;
    switch (kind) {
    case DAMAGED_META_0:
    case DAMAGED_META_1:
        memset(bytes + (kind == DAMAGED_META_1 ? DAMAGED_PAGE : 0), 0, DAMAGED_PAGE);
        return nth == 0;
    case DAMAGED_LEAF:
    case DAMAGED_BRANCH:
        bytes[at + 12] ^= 0x40; /* where its free space begins */
        return at > 0;
    case DAMAGED_VALUE:
        bytes[at + DAMAGED_PAGE - 8] ^= 0x10; /* nodes fill a page from its end */
        return at > 0;
    case DAMAGED_KINDS:
        return nth == 0;
    default:
        d->files[0].len = d->used - (nth + 4) * DAMAGED_PAGE;
        return nth < 8;
    }
}

void damaged_put(const struct damaged *d)
{
    char path[512];

    remove_tree(d->dir);
    if (mkdir(d->dir, 0755) != 0) {
        die("cannot make", d->dir);
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct damaged_file *f = &d->files[i];
        int fd;

        snprintf(path, sizeof path, "%s/%s", d->dir, f->name);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (fd < 0 || write(fd, f->bytes, f->len) != (ssize_t)f->len || close(fd) != 0) {
            die("cannot write", path);
        }
    }
}

bool damaged_kept(const struct damaged *d)
{
    const struct damaged_file *f = &d->files[0];
    char path[512];
    uint8_t *bytes = malloc(f->len + 1);
    ssize_t got;
    bool same;
    int fd;

    snprintf(path, sizeof path, "%s/quarantine/damaged.old.mdb", d->dir);
    if (access(path, F_OK) == 0) {
        free(bytes);
        return false;
    }
    snprintf(path, sizeof path, "%s/quarantine/damaged.mdb", d->dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    got = fd < 0 || bytes == NULL ? -1 : read(fd, bytes, f->len + 1);
    same = got == (ssize_t)f->len && memcmp(bytes, f->bytes, f->len) == 0;
    if (fd >= 0 && close(fd) != 0) {
        die("cannot close", path);
    }
    free(bytes);
    return same;
}

/* ---- what a store says ---- */

struct text {
    char *p;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->p + t->len, TEXT_MAX - t->len, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= TEXT_MAX - t->len) {
        die("a description", "is too long");
    }
    t->len += (size_t)n;
}

static void add_list(struct text *t, struct oxbow_txn *txn)
{
    struct oxbow_result r = {0};
    uint64_t hash = 0;
    uint64_t len = 0;
    enum oxbow_err err = oxbow_list_range(txn, bytes_of("list"), 0, -1, &r);

    for (size_t i = 0; err == OXBOW_OK && i < r.item_count; i++) {
        hash = hash64(r.items[i].data, r.items[i].len, hash + 1);
    }
    if (err == OXBOW_OK) {
        err = oxbow_list_len(txn, bytes_of("list"), &len);
    }
    add(t, "list %s %zu %" PRIu64 " %016" PRIx64 "\n", oxbow_err_name(err), r.item_count, len,
        hash);
    oxbow_result_fini(&r);
}

static void add_small(struct text *t, struct oxbow_txn *txn)
{
    struct oxbow_result r = {0};
    uint64_t hash = 0;
    unsigned there = 0;
    char name[16];

    for (uint32_t i = 0; i < SMALL; i++) {
        enum oxbow_err err = oxbow_list_range(txn, small_name(name, i), 0, -1, &r);

        if (err != OXBOW_OK) {
            add(t, "%s: %s\n", name, oxbow_err_name(err));
        } else if (r.item_count > 0) {
            hash = hash64(r.items[0].data, r.items[0].len, hash + i);
            there++;
        }
    }
    add(t, "small lists %u %016" PRIx64 "\n", there, hash);
    oxbow_result_fini(&r);
}

static void add_stream(struct text *t, struct oxbow_txn *txn)
{
    const struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_stream_info info = {.length = 0};
    struct oxbow_result r = {0};
    uint64_t hash = 0;
    enum oxbow_err err = oxbow_stream_range(txn, bytes_of("stream"), &all, &r);

    for (size_t i = 0; err == OXBOW_OK && i < r.entry_count; i++) {
        const struct oxbow_entry *e = &r.entries[i];

        hash = hash64(&e->id.ms, sizeof e->id.ms, hash + e->field_count);
        hash = hash64(e->fields[0].value.data, e->fields[0].value.len, hash);
    }
    if (err == OXBOW_OK) {
        err = oxbow_stream_info(txn, bytes_of("stream"), &info);
    }
    add(t, "stream %s %zu %" PRIu64 " last %" PRIu64 " %016" PRIx64 "\n", oxbow_err_name(err),
        r.entry_count, info.length, info.last_id.ms, hash);
    oxbow_result_fini(&r);
}

static void add_group(struct text *t, struct oxbow_txn *txn)
{
    static struct oxbow_pending rows[2 * READ];
    const struct oxbow_group group = {bytes_of("stream"), bytes_of("group")};
    const struct oxbow_pending_filter all = {.to = OXBOW_ID_MAX, .count = 2 * READ};
    struct oxbow_result names = {0};
    size_t count = 0;
    uint64_t hash = 0;
    enum oxbow_err err = oxbow_group_pending(txn, group, &all, &names, rows, &count);

    for (size_t i = 0; err == OXBOW_OK && i < count; i++) {
        hash = hash64(&rows[i].id.ms, sizeof rows[i].id.ms, hash + rows[i].deliveries);
        hash = hash64(rows[i].consumer.data, rows[i].consumer.len, hash);
    }
    add(t, "group %s %zu pending %016" PRIx64 "\n", oxbow_err_name(err), count, hash);
    oxbow_result_fini(&names);
}

static void add_forward(struct text *t, struct oxbow_txn *txn)
{
    struct oxbow_forward_status s = {.backlog_entries = 0};
    struct oxbow_identity id = {.epoch = 0};
    enum oxbow_err err = oxbow_identity_get(txn, &id);

    add(t, "identity %s %s\n", oxbow_err_name(err), err == OXBOW_OK ? id.owner : "");
    err = oxbow_forward_status(txn, "up", &s);
    add(t, "forward %s trimmed %" PRIu64 " confirmed %" PRIu64 " sent %" PRIu64 " end %" PRIu64,
        oxbow_err_name(err), s.trimmed.ms, s.confirmed.ms, s.sent.ms, s.end.ms);
    add(t, " backlog %" PRIu64 " gaps %" PRIu64 "\n", s.backlog_entries, s.gaps);
}

static enum oxbow_err add_loss(void *ctx, const struct oxbow_loss *loss)
{
    char line[512];

    (void)oxbow_loss_text(loss, line, sizeof line);
    add(ctx, "loss %d: %s\n", (int)loss->kind, line);
    return OXBOW_OK;
}

char *damaged_describe(struct oxbow *db)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct text t = {.p = malloc(TEXT_MAX)};
    struct oxbow_txn *txn;
    enum oxbow_err err;

    if (t.p == NULL) {
        die("no", "memory");
    }
    err = oxbow_txn_begin(db, &opt, &txn);
    if (err == OXBOW_EFAILED) {
        free(t.p);
        return NULL;
    }
    must(err, "oxbow_txn_begin");
    add_list(&t, txn);
    add_small(&t, txn);
    add_stream(&t, txn);
    add_group(&t, txn);
    add_forward(&t, txn);
    oxbow_txn_abort(txn);
    MUST(oxbow_losses(db, add_loss, &t));
    return t.p;
}
