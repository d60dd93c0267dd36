/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LCS: the longest sequence of bytes that two strings have in common, whatever lies between them.
 *
 * L(i, j) is its length for the first i bytes of the one and the first j of the other. Along a row, with j,
 * it rises by 0 or 1 at each step, so a row is kept as a bit for each j, 0 where it rises, and the next row is
 * reckoned 64 steps at a time (Crochemore, Iliopoulos, Pinzon, Reid: A fast and practical bit-vector algorithm
 * for the longest common subsequence problem, 2001):
 *
 *     row = (row + (row & match)) | (row & ~match)        match: where the other string has the row's byte
 *
 * Of several longest ones the reply has the one that Redis finds: from both ends backwards, a byte that is the
 * same is taken; where they differ it goes back in the first string if L(i-1, j) > L(i, j-1), else in the
 * second. L(i, j) is the larger of the two there, so the former is the larger one just if the row rises at j:
 * the bits of all rows are enough, of which Redis' table takes 32 times as many.
 */
#include "engine/resp/args.h"
#include "engine/resp/server.h"
#include "oxbow/string.h"

#include <string.h>

#define CELL_BYTES    4u /* of Redis' table, which its limit is reckoned by */
#define CELLS_MAX     ((512u << 20) / CELL_BYTES)
#define LCS_BYTES_MAX (UINT32_MAX - 2u) /* of a string */
#define WORD_BITS     64u

struct lcs {
    const struct oxbow_alloc *alloc;
    struct oxbow_bytes a;
    struct oxbow_bytes b;
    uint64_t *row; /* bits beyond b stay 1 */
    size_t words;
    uint64_t *rises; /* of all rows, b.len bits each, 1 where it rises; NULL: nobody asks */
    size_t rise_words;
    size_t len; /* of the longest sequence */
};

/* What is asked for. */
struct wish {
    bool len;
    bool idx;
    bool with_len;
    int64_t len_min;
};

/* ---- the table ---- */

static uint64_t match_of(const uint8_t *bytes, size_t count, uint8_t byte)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < count; i++) {
        bits |= (uint64_t)(bytes[i] == byte) << i;
    }
    return bits;
}

static void row_next(struct lcs *l, uint8_t byte)
{
    const uint8_t *b = l->b.data;
    uint64_t carry = 0;

    for (size_t w = 0; w < l->words; w++) {
        size_t left = l->b.len - w * WORD_BITS;
        uint64_t row = l->row[w];
        uint64_t match =
            row & match_of(b + w * WORD_BITS, left < WORD_BITS ? left : WORD_BITS, byte);
        uint64_t part = row + match;
        uint64_t sum = part + carry;

        carry = part < row || sum < part ? 1 : 0;
        l->row[w] = sum | (row & ~match);
    }
}

/* The rows lie one behind the other without a gap: of a short `b` as many bits as of a long one. */
static void row_keep(struct lcs *l, size_t i)
{
    for (size_t w = 0; w < l->words; w++) {
        uint64_t at = (uint64_t)i * l->b.len + (uint64_t)w * WORD_BITS;
        uint64_t *to = l->rises + at / WORD_BITS;
        uint32_t shift = (uint32_t)(at % WORD_BITS);
        uint64_t rises = ~l->row[w];

        to[0] |= rises << shift;
        if (shift > 0) {
            to[1] |= rises >> (WORD_BITS - shift);
        }
    }
}

/* Whether row i rises at j, both counted from 1. */
static bool rises_at(const struct lcs *l, size_t i, size_t j)
{
    uint64_t at = (uint64_t)(i - 1) * l->b.len + (j - 1);

    return (l->rises[at / WORD_BITS] >> (at % WORD_BITS) & 1u) != 0;
}

static void lcs_fini(struct lcs *l)
{
    mem_free(l->alloc, l->row, l->words * sizeof l->row[0]);
    mem_free(l->alloc, l->rises, l->rise_words * sizeof l->rises[0]);
}

/* Of two strings that are not empty. OXBOW_ENOMEM. */
static enum oxbow_err lcs_make(struct lcs *l, bool keep)
{
    const uint8_t *a = l->a.data;

    l->words = (l->b.len + WORD_BITS - 1) / WORD_BITS;
    l->row = mem_new(l->alloc, l->words * sizeof l->row[0]);
    if (l->row == NULL) {
        return OXBOW_ENOMEM;
    }
    if (keep) { /* and one for what reaches beyond the last */
        l->rise_words = (size_t)((uint64_t)l->a.len * l->b.len / WORD_BITS) + 2;
        l->rises = mem_new(l->alloc, l->rise_words * sizeof l->rises[0]);
        if (l->rises == NULL) {
            return OXBOW_ENOMEM;
        }
    }
    memset(l->row, 0xff, l->words * sizeof l->row[0]);
    for (size_t i = 0; i < l->a.len; i++) {
        row_next(l, a[i]);
        if (keep) {
            row_keep(l, i);
        }
    }
    for (size_t w = 0; w < l->words; w++) {
        for (uint64_t rises = ~l->row[w]; rises != 0; rises &= rises - 1) {
            l->len++;
        }
    }
    return OXBOW_OK;
}

/* ---- the way back ---- */

/* Bytes that are the same in both without a gap. */
struct range {
    size_t a;
    size_t b;
    size_t len; /* 0: there is none */
};

static void range_reply(struct resp_reply *r, const struct range *range, bool with_len)
{
    const size_t begins[] = {range->a, range->b};

    resp_array(r, with_len ? 3 : 2);
    for (size_t i = 0; i < 2; i++) {
        resp_array(r, 2);
        resp_int(r, (int64_t)begins[i]);
        resp_int(r, (int64_t)(begins[i] + range->len - 1));
    }
    if (with_len) {
        resp_int(r, (int64_t)range->len);
    }
}

/* Goes back to where the strings begin: the sequence into `out`, which has room for it, or its ranges into the
 * reply, the last one first; how many. */
static size_t go_back(const struct lcs *l, const struct wish *wish, struct resp_reply *r,
                      uint8_t *out)
{
    const uint8_t *a = l->a.data;
    const uint8_t *b = l->b.data;
    struct range range = {.len = 0};
    size_t left = l->len;
    size_t ranges = 0;
    size_t i = l->a.len;
    size_t j = l->b.len;

    while (left > 0) {
        bool same = a[i - 1] == b[j - 1];

        if (same) {
            range = (struct range){.a = --i, .b = --j, .len = range.len + 1};
            left--;
            if (out != NULL) {
                out[left] = a[i];
            }
        }
        if (out == NULL && range.len > 0 && (!same || left == 0)) {
            if ((int64_t)range.len >= wish->len_min) {
                range_reply(r, &range, wish->with_len);
                ranges++;
            }
            range.len = 0;
        }
        if (!same && rises_at(l, i, j)) {
            i--;
        } else if (!same) {
            j--;
        }
    }
    return ranges;
}

static void reply_with(struct resp_reply *r, const struct lcs *l, const struct wish *wish)
{
    struct resp_later matches;
    uint8_t *out;

    if (wish->idx) {
        resp_map(r, 2);
        resp_bulk_text(r, "matches");
        matches = resp_array_later(r);
        resp_later_set(r, matches, go_back(l, wish, r, NULL));
        resp_bulk_text(r, "len");
        resp_int(r, (int64_t)l->len);
    } else if (wish->len) {
        resp_int(r, (int64_t)l->len);
    } else {
        out = resp_bulk_space(r, l->len);
        if (out != NULL) { /* else the reply has failed, and nobody gets it */
            (void)go_back(l, wish, r, out);
        }
    }
}

/* ---- the command ---- */

static bool wish_read(struct resp_call *call, struct wish *wish, const char **bad)
{
    *bad = "ERR syntax error";
    for (uint32_t i = 3; i < call->count; i++) {
        if (resp_arg_is(call->args[i], "idx")) {
            wish->idx = true;
        } else if (resp_arg_is(call->args[i], "len")) {
            wish->len = true;
        } else if (resp_arg_is(call->args[i], "withmatchlen")) {
            wish->with_len = true;
        } else if (resp_arg_is(call->args[i], "minmatchlen") && i + 1 < call->count) {
            if (!resp_arg_int(call->args[++i], &wish->len_min)) {
                *bad = "ERR value is not an integer or out of range";
                return false;
            }
        } else {
            return false;
        }
    }
    *bad = "ERR If you want both the length and indexes, please just use IDX.";
    return !wish->idx || !wish->len;
}

/* NULL, or why strings of these lengths are not compared: as Redis, which makes a table of them. */
static const char *too_long(const struct resp_call *call, const uint64_t len[2])
{
    uint64_t bulk_max = call->server->config.bulk_bytes_max;
    uint64_t cells = bulk_max == 0 ? CELLS_MAX : bulk_max / CELL_BYTES;

    cells = cells < CELLS_MAX ? cells : CELLS_MAX;
    if (len[0] > LCS_BYTES_MAX || len[1] > LCS_BYTES_MAX) {
        return "ERR String too long for LCS";
    }
    if (len[0] + 1 > cells / (len[1] + 1)) {
        return "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
    }
    return NULL;
}

/* A key that is not there is an empty string. */
static enum oxbow_err value_of(struct resp_call *call, uint32_t arg, struct oxbow_result *result,
                               struct oxbow_bytes *value)
{
    enum oxbow_err err = oxbow_string_get(call->txn, call->args[arg], result);

    *value = err == OXBOW_OK ? result->items[0] : (struct oxbow_bytes){NULL, 0};
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err compare(struct resp_call *call, const struct wish *wish,
                              struct oxbow_result *other)
{
    struct lcs l = {.alloc = resp_alloc(call->server)};
    enum oxbow_err err = value_of(call, 1, call->result, &l.a);

    err = err == OXBOW_OK ? value_of(call, 2, other, &l.b) : err;
    if (err != OXBOW_OK) {
        return err;
    }
    if (l.a.len > 0 && l.b.len > 0) {
        err = lcs_make(&l, !wish->len);
    }
    if (err == OXBOW_OK) {
        reply_with(call->reply, &l, wish);
    }
    lcs_fini(&l);
    return err == OXBOW_ENOMEM
               ? resp_refuse(call, "ERR Insufficient memory, failed allocating transient memory "
                                   "for LCS")
               : err;
}

enum oxbow_err resp_lcs(struct resp_call *call)
{
    struct oxbow_result other = {.items = NULL};
    struct wish wish = {.len_min = 0};
    const char *bad;
    uint64_t len[2] = {0, 0};
    enum oxbow_err err = OXBOW_OK;

    for (uint32_t i = 0; err == OXBOW_OK && i < 2; i++) {
        err = oxbow_string_len(call->txn, call->args[1 + i], &len[i]);
    }
    if (err == OXBOW_EWRONGTYPE) {
        return resp_refuse(call, "ERR The specified keys must contain string values");
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (!wish_read(call, &wish, &bad)) {
        return resp_refuse(call, bad);
    }
    bad = too_long(call, len);
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = compare(call, &wish, &other);
    oxbow_result_fini(&other);
    return err;
}
