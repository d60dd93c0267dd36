/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking through several sources at once (combine.h). An intersection walks the smallest one, a
 * difference the first, a union each in turn, leaving out what an earlier one has.
 */
#include "engine/keyval/combine.h"

#define SCRATCH_MAX ((size_t)1 << 31)

/* ---- opening ---- */

static enum oxbow_err source_open(struct source *src, struct oxbow_txn *txn, struct oxbow_bytes key,
                                  bool scored)
{
    enum oxbow_err err = table_find(txn, key, OXBOW_TYPE_SET, &src->t);

    if (err == OXBOW_EWRONGTYPE && scored) {
        err = table_find(txn, key, OXBOW_TYPE_ZSET, &src->t);
    }
    src->there = err == OXBOW_OK;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static uint64_t size_of(const struct source *src)
{
    return src->there ? src->t.members.count : 0;
}

/* Smallest first: cheapest for an intersection, and the order in which Redis adds up scores. */
static void sources_sort(struct sources *s)
{
    size_t i;

    for (i = 1; i < s->count; i++) {
        struct source moved = s->at[i];
        size_t at = i;

        for (; at > 0 && size_of(&s->at[at - 1]) > size_of(&moved); at--) {
            s->at[at] = s->at[at - 1];
        }
        s->at[at] = moved;
    }
}

enum oxbow_err sources_open(struct sources *s, struct oxbow_txn *txn,
                            const struct oxbow_bytes *keys, size_t count, const double *weights,
                            bool scored)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    if (keys == NULL || count == 0 || count > SIZE_MAX / 2 / sizeof *s->at) {
        return OXBOW_EINVAL;
    }
    s->txn = txn;
    s->count = count;
    s->at = mem_new(alloc, count * sizeof *s->at);
    if (s->at == NULL) {
        return OXBOW_ENOMEM;
    }
    buf_init(&s->scratch, alloc, SCRATCH_MAX);
    for (i = 0; err == OXBOW_OK && i < count; i++) {
        s->at[i].weight = weights != NULL ? weights[i] : 1;
        err = s->at[i].weight != s->at[i].weight ? OXBOW_EINVAL
                                                 : source_open(&s->at[i], txn, keys[i], scored);
    }
    if (err != OXBOW_OK) {
        sources_close(s);
    }
    return err;
}

void sources_close(struct sources *s)
{
    mem_free(&txn_port(s->txn)->alloc, s->at, s->count * sizeof *s->at);
    buf_fini(&s->scratch);
}

/* ---- walking ---- */

static enum oxbow_err score_of(const struct source *src, const struct btree_entry *e, double *score)
{
    enum oxbow_err err = OXBOW_OK;

    *score = 1;
    if (src->t.object.type == OXBOW_TYPE_ZSET) {
        err = table_score(e, score);
    }
    return err;
}

static enum oxbow_err source_has(struct source *src, struct oxbow_bytes member, bool *found,
                                 double *score)
{
    struct btree_place p;
    struct btree_entry e;
    enum oxbow_err err;

    *found = false;
    if (!src->there) {
        return OXBOW_OK;
    }
    err = table_member_find(&src->t, member, &p, &e, found);
    return err == OXBOW_OK && *found ? score_of(src, &e, score) : err;
}

static double number_or_0(double v)
{
    return v != v ? 0 : v;
}

static double sum_up(enum combine_sum how, double a, double b)
{
    switch (how) {
    case COMBINE_MIN:
        return b < a ? b : a;
    case COMBINE_MAX:
        return b > a ? b : a;
    default:
        return number_or_0(a + b); /* of two infinities */
    }
}

/* Whether a member of source i is one of the result, and its score then. */
static enum oxbow_err member_judge(struct sources *s, size_t i, struct oxbow_bytes member,
                                   bool *wanted, double *score)
{
    size_t k;

    *wanted = true;
    if (s->op != COMBINE_DIFF) {
        *score = number_or_0(*score * s->at[i].weight);
    }
    for (k = 0; k < s->count && *wanted; k++) {
        double other = 0;
        bool found = false;
        enum oxbow_err err = k == i ? OXBOW_OK : source_has(&s->at[k], member, &found, &other);

        if (err != OXBOW_OK) {
            return err;
        }
        if (k == i) {
            continue;
        }
        if (s->op == COMBINE_DIFF || (s->op == COMBINE_UNION && k < i)) {
            *wanted = !found;
        } else if (found) {
            /* As Redis has it: of an intersection only the first product is 0 when it is none. */
            double v = other * s->at[k].weight;

            *score = sum_up(s->sum, *score, s->op == COMBINE_UNION ? number_or_0(v) : v);
        } else {
            *wanted = s->op == COMBINE_UNION;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err
source_walk(struct sources *s, size_t i,
            enum oxbow_err (*each)(void *ctx, struct oxbow_bytes member, double score), void *ctx)
{
    struct table *t = &s->at[i].t;
    struct btree_place p;
    struct btree_entry e;
    enum oxbow_err err = btree_find_rank(&t->members, 0, &p);

    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
    }
    while (err == OXBOW_OK) {
        struct oxbow_bytes member;
        double score = 0;
        bool wanted = false;

        err = outside_peek(s->txn, t->object.id, &e.member, &s->scratch, &member);
        if (err == OXBOW_OK) {
            err = score_of(&s->at[i], &e, &score);
        }
        if (err == OXBOW_OK) {
            err = member_judge(s, i, member, &wanted, &score);
        }
        if (err == OXBOW_OK && wanted) {
            err = each(ctx, member, score);
        }
        if (err == OXBOW_OK) {
            err = btree_next(&p, &e);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err
sources_walk(struct sources *s,
             enum oxbow_err (*each)(void *ctx, struct oxbow_bytes member, double score), void *ctx)
{
    enum oxbow_err err = OXBOW_OK;
    size_t walks = s->op == COMBINE_UNION ? s->count : 1;
    size_t i;

    if (s->op != COMBINE_DIFF) {
        sources_sort(s);
    }
    for (i = 0; err == OXBOW_OK && i < walks; i++) {
        if (s->at[i].there) {
            err = source_walk(s, i, each, ctx);
        }
    }
    return err == OXBOW_ECANCELED ? OXBOW_OK : err;
}

struct counting {
    uint64_t limit;
    uint64_t found;
};

static enum oxbow_err count_one(void *ctx, struct oxbow_bytes member, double score)
{
    struct counting *c = ctx;

    (void)member;
    (void)score;
    c->found++;
    return c->found == c->limit ? OXBOW_ECANCELED : OXBOW_OK;
}

enum oxbow_err sources_count(struct sources *s, uint64_t limit, uint64_t *found)
{
    struct counting c = {.limit = limit};
    enum oxbow_err err = sources_walk(s, count_one, &c);

    if (err == OXBOW_OK) {
        *found = c.found;
    }
    return err;
}
