/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes, sets and sorted sets in an export, as Redis' commands.
 *
 *   HSET key (field value)...            and behind it, for each of these that expires
 *   HPEXPIRE key ms FIELDS 1 field       what is left of its time
 *   SADD key member...
 *   ZADD key (score member)...
 *
 * A key is written in slices, one behind the other, in the order of its members' hashes: that order is
 * another in each store. A score is written in 17 digits, which are its double and no other, "inf" or
 * "-inf". Nothing is left to the byte order or the word size.
 */
#include "tools/oxbow/move_members.h"

#include "oxbow/hash.h"
#include "oxbow/hash_expire.h"
#include "oxbow/set.h"
#include "oxbow/zset.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SLICE_MEMBERS 64u
#define SLICE_BYTES   ((uint64_t)1 << 20)
#define NUMBER_MAX    48u
#define FOR_EVER      UINT64_MAX

/* ---- out ---- */

static enum oxbow_err scan(const struct members_source *s, struct oxbow_txn *txn, uint64_t *cursor,
                           size_t count, struct oxbow_result *r)
{
    switch (s->type) {
    case OXBOW_TYPE_HASH:
        return oxbow_hash_scan(txn, s->key, cursor, count, r);
    case OXBOW_TYPE_SET:
        return oxbow_set_scan(txn, s->key, cursor, count, r);
    default:
        return oxbow_zset_scan(txn, s->key, cursor, count, r);
    }
}

static void write_score(struct resp_file *f, double score)
{
    char text[NUMBER_MAX];

    (void)snprintf(text, sizeof text, "%.17g", score);
    resp_text(f, text);
}

/* A span, not a time of the wall clock, as with keys: that clock may be wrong, here or there. */
static void write_deadline(struct resp_file *f, struct oxbow_bytes key, struct oxbow_bytes field,
                           uint64_t left_ms)
{
    resp_command(f, 6);
    resp_text(f, "HPEXPIRE");
    resp_arg(f, key);
    resp_number(f, left_ms);
    resp_text(f, "FIELDS");
    resp_text(f, "1");
    resp_arg(f, field);
}

/* Of a slice of a hash, in the transaction that has read it. */
static enum oxbow_err write_deadlines(const struct members_source *s, struct oxbow_txn *txn,
                                      struct resp_file *f, const struct oxbow_result *r)
{
    uint64_t timed = 0;
    enum oxbow_err err = oxbow_hash_timed(txn, s->key, &timed);

    for (size_t i = 0; err == OXBOW_OK && timed > 0 && i < r->item_count; i += 2) {
        const struct oxbow_fields one = {&r->items[i], 1};
        uint64_t left_ms;

        err = oxbow_hash_ttl(txn, s->key, &one, &left_ms);
        if (err == OXBOW_OK && left_ms != FOR_EVER) {
            write_deadline(f, s->key, r->items[i], left_ms);
        }
    }
    return err;
}

static enum oxbow_err write_slice(const struct members_source *s, struct oxbow_txn *txn,
                                  struct resp_file *f, const struct oxbow_result *r)
{
    bool scored = s->type == OXBOW_TYPE_ZSET;

    resp_command(f, 2 + r->item_count * (scored ? 2 : 1));
    resp_text(f, s->type == OXBOW_TYPE_HASH ? "HSET" : scored ? "ZADD" : "SADD");
    resp_arg(f, s->key);
    for (size_t i = 0; i < r->item_count; i++) {
        if (scored) {
            write_score(f, r->scores[i]);
        }
        resp_arg(f, r->items[i]);
    }
    return s->type == OXBOW_TYPE_HASH ? write_deadlines(s, txn, f, r) : OXBOW_OK;
}

/* How many members the next slice is to have, after one of so many bytes: long ones come a few at a
 * time, so that memory stays small. */
static size_t next_count(size_t count, uint64_t bytes)
{
    if (bytes > SLICE_BYTES) {
        return count > 4 ? count / 4 : 1;
    }
    return bytes < SLICE_BYTES / 4 && count < SLICE_MEMBERS ? count * 2 : count;
}

enum oxbow_err members_export(const struct members_source *s, struct resp_file *f,
                              struct oxbow_result *slice)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT,
                                          .database = s->database};
    size_t count = 8;
    uint64_t cursor = 0;

    for (;;) {
        uint64_t before = f->bytes;
        struct oxbow_txn *txn;
        enum oxbow_err err = oxbow_txn_begin(s->db, &opt, &txn);

        if (err != OXBOW_OK) {
            return err;
        }
        err = scan(s, txn, &cursor, count, slice);
        if (err == OXBOW_OK && slice->item_count > 0) {
            err = write_slice(s, txn, f, slice);
        }
        oxbow_txn_abort(txn);
        if (err == OXBOW_ETOOBIG && count > 1) {
            count = 1; /* all that were asked for are more than a result may hold */
            continue;
        }
        if (err != OXBOW_OK || cursor == 0) {
            return err;
        }
        count = next_count(count, f->bytes - before);
    }
}

/* ---- in; args[0] is the name ---- */

static bool is(struct oxbow_bytes arg, const char *text)
{
    return arg.len == strlen(text) && strncasecmp(arg.data, text, arg.len) == 0;
}

static enum oxbow_err refuse(enum oxbow_err err, const char *text, const char **why)
{
    *why = text;
    return err;
}

static bool text_of(struct oxbow_bytes arg, char out[NUMBER_MAX])
{
    if (arg.len == 0 || arg.len >= NUMBER_MAX || memchr(arg.data, 0, arg.len) != NULL) {
        return false;
    }
    memcpy(out, arg.data, arg.len);
    out[arg.len] = '\0';
    return true;
}

/* As write_score has it; strtod takes more: space, "0x", "infinity", "nan". */
static bool score_of(struct oxbow_bytes arg, double *score)
{
    char text[NUMBER_MAX];
    char *end;

    if (!text_of(arg, text)) {
        return false;
    }
    if (strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0) {
        *score = text[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (strspn(text, "0123456789+-.eE") != arg.len) {
        return false;
    }
    *score = strtod(text, &end);
    return *end == '\0' && end != text && isfinite(*score);
}

static bool span_of(struct oxbow_bytes arg, int64_t *ms)
{
    char text[NUMBER_MAX];
    char *end;
    long long n;

    if (!text_of(arg, text) || strspn(text, "0123456789") != arg.len) {
        return false;
    }
    errno = 0;
    n = strtoll(text, &end, 10);
    *ms = n;
    return errno == 0 && *end == '\0' && n > 0 && n <= OXBOW_HASH_TTL_MS_MAX;
}

static enum oxbow_err on_hset(struct oxbow_txn *txn, const struct oxbow_bytes *args, size_t count,
                              const char **why)
{
    const size_t n = (count - 2) / 2;
    struct oxbow_field *fields;
    uint64_t added = 0;
    enum oxbow_err err;

    if (count < 4 || count % 2 != 0) {
        return refuse(OXBOW_EPARSE, "a field without a value", why);
    }
    fields = calloc(n, sizeof *fields);
    if (fields == NULL) {
        return OXBOW_ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        fields[i] = (struct oxbow_field){args[2 + 2 * i], args[3 + 2 * i]};
    }
    err = oxbow_hash_set(txn, args[1], fields, n, &added);
    free(fields);
    return err == OXBOW_OK && added != n
               ? refuse(OXBOW_EEXIST, "a field that was there already", why)
               : err;
}

static enum oxbow_err on_hpexpire(struct oxbow_txn *txn, const struct oxbow_bytes *args,
                                  size_t count, const char **why)
{
    enum oxbow_field_done done;
    int64_t ms;
    enum oxbow_err err;

    if (count != 6 || !is(args[3], "FIELDS") || !is(args[4], "1") || !span_of(args[2], &ms)) {
        return refuse(OXBOW_EPARSE, "no deadline of a field", why);
    }
    err = oxbow_hash_expire(txn, args[1], &(struct oxbow_fields){&args[5], 1}, ms, 0, &done);
    return err == OXBOW_OK && done != OXBOW_FIELD_SET
               ? refuse(OXBOW_ENOENT, "a deadline of a field that is not there", why)
               : err;
}

static enum oxbow_err on_sadd(struct oxbow_txn *txn, const struct oxbow_bytes *args, size_t count,
                              const char **why)
{
    uint64_t added = 0;
    enum oxbow_err err =
        count < 3 ? OXBOW_EPARSE : oxbow_set_add(txn, args[1], args + 2, count - 2, &added);

    return err == OXBOW_OK && added != count - 2
               ? refuse(OXBOW_EEXIST, "a member that was there already", why)
               : err;
}

static enum oxbow_err on_zadd(struct oxbow_txn *txn, const struct oxbow_bytes *args, size_t count,
                              const char **why)
{
    const size_t n = (count - 2) / 2;
    struct oxbow_zset_added out = {0};
    struct oxbow_scored *scored;
    enum oxbow_err err = OXBOW_OK;

    if (count < 4 || count % 2 != 0) {
        return refuse(OXBOW_EPARSE, "a score without a member", why);
    }
    scored = calloc(n, sizeof *scored);
    if (scored == NULL) {
        return OXBOW_ENOMEM;
    }
    for (size_t i = 0; err == OXBOW_OK && i < n; i++) {
        scored[i].member = args[3 + 2 * i];
        if (!score_of(args[2 + 2 * i], &scored[i].score)) {
            err = refuse(OXBOW_EPARSE, "a score that is no number", why);
        }
    }
    if (err == OXBOW_OK) {
        err = oxbow_zset_add(txn, args[1], 0, scored, n, &out);
    }
    free(scored);
    return err == OXBOW_OK && out.added != n
               ? refuse(OXBOW_EEXIST, "a member that was there already", why)
               : err;
}

enum oxbow_err members_import(struct oxbow_txn *txn, const struct oxbow_bytes *args, size_t count,
                              const char **why)
{
    static const struct {
        const char *name;
        enum oxbow_err (*run)(struct oxbow_txn *txn, const struct oxbow_bytes *args, size_t count,
                              const char **why);
    } rows[] = {{"HSET", on_hset}, {"HPEXPIRE", on_hpexpire}, {"SADD", on_sadd}, {"ZADD", on_zadd}};

    for (size_t i = 0; count >= 2 && i < sizeof rows / sizeof rows[0]; i++) {
        if (is(args[0], rows[i].name)) {
            return rows[i].run(txn, args, count, why);
        }
    }
    return OXBOW_EPARSE;
}
