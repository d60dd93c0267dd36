/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redrive: dead letters go back to the group that gave them up.
 *
 * Each letter's going and its coming back are one transaction's, so that it is in one place and not
 * in two. The original is still in its stream as a rule, and becomes pending again there, which no
 * other group sees; where it is not, it is added anew.
 */
#include "engine/base/id.h"
#include "engine/base/result.h"
#include "engine/queue/group_dead.h"
#include "engine/queue/group_due.h"
#include "engine/queue/group_rules.h"
#include "engine/queue/priority.h"
#include "engine/queue/wait.h"

#define STEP_DEFAULT 100u
#define STEP_MAX     1024u
#define STEP_BYTES   ((uint64_t)256 * 1024) /* of letters in one call: a transaction has a limit */

struct redrive {
    struct oxbow_txn *txn;
    struct oxbow_bytes dead;
    struct oxbow_redrive done;
};

/* ---- back to the group ---- */

/* Makes the original pending in its group, for nobody, visible now. */
static enum oxbow_err pend_again(struct group *g, struct oxbow_id id)
{
    struct pending p = {.id = id, .age_ms = group_now(g)};
    struct pending_table t;
    bool added;
    enum oxbow_err err = OXBOW_OK;

    if (!g->ruled) {
        return OXBOW_ENOGROUP; /* a new group of the old name: nobody's entries have no place */
    }
    pending_open(&t, g);
    err = pending_find(&t, id, &p);
    if (err == OXBOW_ENOENT) {
        err = pending_set(&t, &p, &added);
        if (err == OXBOW_OK) {
            err = due_entry_by(&t, id, p.age_ms);
        }
    }
    if (err == OXBOW_OK) {
        err = pending_flush(&t);
    }
    pending_close(&t);
    if (err == OXBOW_OK) {
        group_clock_set(g);
        err = group_save(g);
    }
    return err == OXBOW_OK ? wait_touch(g->stream->txn, &g->stream->object) : err;
}

/* OXBOW_ENOENT: the group, its stream or the original is gone. */
static enum oxbow_err give_back(const struct redrive *r, const struct oxbow_field *origin,
                                struct oxbow_id id)
{
    struct oxbow_group name = {origin[DEAD_KEY].value, origin[DEAD_GROUP].value};
    struct stream s;
    struct group g;
    bool passed = false;
    enum oxbow_err err = group_find_any(r->txn, name, &s, &g);

    if (err == OXBOW_OK) {
        err = serve_passed(&g, id, &passed);
    }
    if (err == OXBOW_OK && !passed) {
        return OXBOW_OK; /* the group was set back, and will read it as new */
    }
    if (err == OXBOW_OK) {
        err = stream_entry_find(&s, id, NULL);
    }
    if (err == OXBOW_OK) {
        err = pend_again(&g, id);
    }
    return err == OXBOW_ENOGROUP || err == OXBOW_EWRONGTYPE ? OXBOW_ENOENT : err;
}

/* ---- letters ---- */

/* Where a letter has the original's fields: in itself, or in another entry. */
struct payload {
    struct oxbow_result memory;
    struct oxbow_entry entry;
    bool apart;
};

/* OXBOW_ENOENT: they are gone, or the letter makes no sense. */
static enum oxbow_err payload_get(const struct redrive *r, const struct oxbow_entry *letter,
                                  const struct oxbow_field *origin, struct payload *p)
{
    struct oxbow_bytes where = origin[DEAD_PAYLOAD].value;
    struct oxbow_stream_range range = {.count = 1};
    enum oxbow_err err;

    p->entry = *letter;
    p->entry.field_count -= DEAD_FIELDS;
    p->apart = where.len > 0;
    if (p->apart) {
        if (id_from_text(where, 0, &range.from) != OXBOW_OK) {
            return OXBOW_ENOENT;
        }
        range.to = range.from;
        err = oxbow_stream_range(r->txn, r->dead, &range, &p->memory);
        if (err != OXBOW_OK || p->memory.entry_count == 0) {
            return err == OXBOW_OK ? OXBOW_ENOENT : err;
        }
        p->entry = p->memory.entries[0];
    }
    return p->entry.field_count > 0 ? OXBOW_OK : OXBOW_ENOENT;
}

static enum oxbow_err letter_delete(const struct redrive *r, struct oxbow_id letter,
                                    const struct payload *p)
{
    struct oxbow_id ids[2] = {letter, p->entry.id};
    uint64_t removed;

    return oxbow_stream_delete(r->txn, r->dead, ids, p->apart ? 2 : 1, &removed);
}

static enum oxbow_err letter_redrive(struct redrive *r, const struct oxbow_entry *letter,
                                     const struct oxbow_field *origin)
{
    static const struct oxbow_stream_add_options again = {.unrouted = true}; /* it was, once */
    struct payload p = {0};
    struct oxbow_id id;
    enum oxbow_err err = payload_get(r, letter, origin, &p);

    if (err == OXBOW_OK && id_from_text(origin[DEAD_ID].value, 0, &id) != OXBOW_OK) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_ENOENT) {
        r->done.skipped++;
        oxbow_result_fini(&p.memory);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = letter_delete(r, letter->id, &p);
    }
    if (err == OXBOW_OK) {
        err = give_back(r, origin, id);
    }
    if (err == OXBOW_ENOENT) {
        err = oxbow_stream_add(r->txn, origin[DEAD_KEY].value, &again, p.entry.fields,
                               p.entry.field_count, NULL);
    }
    r->done.redriven += err == OXBOW_OK;
    oxbow_result_fini(&p.memory);
    return err;
}

/* Whether an entry that is no letter is the payload of the one right behind it. */
static bool is_payload(const struct oxbow_result *found, size_t i)
{
    const struct oxbow_field *origin =
        i + 1 < found->entry_count ? dead_origin(&found->entries[i + 1]) : NULL;
    struct oxbow_id id;

    return origin != NULL && id_from_text(origin[DEAD_PAYLOAD].value, 0, &id) == OXBOW_OK &&
           id_compare(id, found->entries[i].id) == 0;
}

static enum oxbow_err redrive_found(struct redrive *r, const struct oxbow_result *found)
{
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    for (i = 0; i < found->entry_count && err == OXBOW_OK; i++) {
        const struct oxbow_field *origin = dead_origin(&found->entries[i]);

        if (origin == NULL) {
            r->done.skipped += !is_payload(found, i);
        } else {
            err = letter_redrive(r, &found->entries[i], origin);
        }
    }
    return err;
}

/* ---- which ---- */

static enum oxbow_err redrive_ids(struct redrive *r, const struct oxbow_redrive_options *opt)
{
    struct oxbow_result found = {0};
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    for (i = 0; i < opt->count && err == OXBOW_OK; i++) {
        struct oxbow_stream_range range = {.from = opt->ids[i], .to = opt->ids[i], .count = 1};

        err = oxbow_stream_range(r->txn, r->dead, &range, &found);
        if (err == OXBOW_OK && found.entry_count == 0) {
            r->done.skipped++;
        } else if (err == OXBOW_OK) {
            err = redrive_found(r, &found);
        }
    }
    oxbow_result_fini(&found);
    return err;
}

static enum oxbow_err redrive_from(struct redrive *r, const struct oxbow_redrive_options *opt)
{
    uint64_t count = opt->count > 0 ? opt->count : STEP_DEFAULT;
    struct oxbow_stream_range range = {.from = opt->from,
                                       .to = OXBOW_ID_MAX,
                                       .count = count < STEP_MAX ? count : STEP_MAX,
                                       .bytes = STEP_BYTES};
    struct oxbow_result found = {0};
    uint64_t left = 0;
    enum oxbow_err err = oxbow_stream_range(r->txn, r->dead, &range, &found);

    if (err == OXBOW_OK && found.entry_count > 0) {
        r->done.next = found.entries[found.entry_count - 1].id;
        err = redrive_found(r, &found);
        if (err == OXBOW_OK && id_next(&r->done.next)) {
            range =
                (struct oxbow_stream_range){.from = r->done.next, .to = OXBOW_ID_MAX, .count = 1};
            err = oxbow_stream_range(r->txn, r->dead, &range, &found);
            left = err == OXBOW_OK ? found.entry_count : 0;
        }
    }
    r->done.more = left > 0;
    oxbow_result_fini(&found);
    return err;
}

enum oxbow_err oxbow_redrive(struct oxbow_txn *txn, struct oxbow_bytes dead,
                             const struct oxbow_redrive_options *opt, struct oxbow_redrive *out)
{
    static const struct oxbow_redrive_options all;
    struct redrive r = {.txn = txn, .dead = dead};
    enum oxbow_err err;

    opt = opt != NULL ? opt : &all;
    if (out == NULL) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = opt->ids != NULL ? redrive_ids(&r, opt) : redrive_from(&r, opt);
    if (err != OXBOW_OK) {
        return txn_fail(txn, err);
    }
    *out = r.done;
    return OXBOW_OK;
}
