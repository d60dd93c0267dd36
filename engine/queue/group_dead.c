/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead letters: an entry that was given up goes to another stream, with what there is to know about
 * it behind its own fields (group_options.h has the list). Sending them back is group_redrive.c's.
 */
#include "engine/queue/group_dead.h"

#include "engine/base/buf.h"
#include "engine/base/id.h"
#include "engine/base/num.h"
#include "engine/base/result.h"
#include "engine/queue/group_due.h"
#include "engine/queue/group_rules.h"
#include "engine/queue/policy.h"

#include <string.h>

#define DEAD_AGAIN_MS 10000u

static const struct oxbow_bytes names[DEAD_FIELDS] = {
    [DEAD_KEY] = {"oxbow.key", 9},
    [DEAD_GROUP] = {"oxbow.group", 11},
    [DEAD_ID] = {"oxbow.id", 8},
    [DEAD_REASON] = {"oxbow.reason", 12},
    [DEAD_DELIVERIES] = {"oxbow.deliveries", 16},
    [DEAD_FIRST] = {"oxbow.first", 11},
    [DEAD_LAST] = {"oxbow.last", 10},
    [DEAD_CONSUMER] = {"oxbow.consumer", 14},
    [DEAD_PAYLOAD] = {"oxbow.payload", 13},
};

bool dead_is_refusal(enum oxbow_err err)
{
    return err == OXBOW_EQUOTA || err == OXBOW_EBUDGET || err == OXBOW_EWRONGTYPE ||
           err == OXBOW_ETOOBIG || err == OXBOW_EFULL || err == OXBOW_EIDLAST ||
           err == OXBOW_EPROTECTED;
}

const struct oxbow_field *dead_origin(const struct oxbow_entry *entry)
{
    const struct oxbow_field *fields;
    size_t i;

    if (entry->field_count < DEAD_FIELDS) {
        return NULL;
    }
    fields = entry->fields + entry->field_count - DEAD_FIELDS;
    for (i = 0; i < DEAD_FIELDS; i++) {
        if (fields[i].name.len != names[i].len ||
            memcmp(fields[i].name.data, names[i].data, names[i].len) != 0) {
            return NULL;
        }
    }
    return fields;
}

/* ---- what is said of it ---- */

/* The values that are made here. */
struct about {
    char id[ID_TEXT_MAX];
    char deliveries[NUM_TEXT_MAX];
    char first[NUM_TEXT_MAX];
    char last[NUM_TEXT_MAX];
};

static struct oxbow_bytes text_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

/* A time of the group's clock as one of the wall clock that stands as it does now. */
static uint64_t wall_of(const struct group *g, uint64_t then)
{
    uint64_t wall = txn_wall_ms(g->stream->txn);
    uint64_t now = group_now(g);
    uint64_t ago = now > then ? now - then : 0;

    return wall > ago ? wall - ago : 0;
}

static enum oxbow_err about_fill(struct group *g, const struct pending *p, struct about *a)
{
    struct note note;
    enum oxbow_err err = note_get(g, p->id, &note);

    if (err != OXBOW_OK) {
        return err;
    }
    id_to_text(a->id, p->id);
    num_u64_text(a->deliveries, p->deliveries);
    num_u64_text(a->first, wall_of(g, note.has_first ? note.first_ms : p->age_ms));
    num_u64_text(a->last, wall_of(g, p->age_ms));
    return OXBOW_OK;
}

/* ---- the letter ---- */

/* Copies the original and the names that do not outlive a write. Items: dead letters' key,
 * consumer. OXBOW_ENOENT: the stream has it no more. */
static enum oxbow_err letter_read(struct group *g, const struct pending *p,
                                  struct oxbow_result *memory)
{
    struct oxbow_bytes key, name = {NULL, 0};
    struct consumer c;
    enum oxbow_err err =
        result_begin(memory, &txn_port(g->stream->txn)->alloc, STREAM_RESULT_BYTES_MAX);

    if (err == OXBOW_OK) {
        err = stream_entry_find(g->stream, p->id, memory);
    }
    if (err == OXBOW_OK) {
        err = rules_dead_letter(g, &key);
    }
    if (err == OXBOW_OK) {
        err = result_item(memory, key);
    }
    if (err == OXBOW_OK && p->consumer != 0) {
        err = consumer_load(g, p->consumer, &c, &name);
    }
    if (err == OXBOW_OK) {
        err = result_item(memory, name);
    }
    if (err == OXBOW_OK) {
        result_finish(memory);
    }
    return err;
}

static bool too_long(const struct group *g, const struct oxbow_field *fields, uint32_t count)
{
    return fields_plain_len(fields, count) > txn_entry_bytes_max(g->stream->txn);
}

/* Adds the letter, in two parts if it must be. `fields` are the original's `count` and ours. */
static enum oxbow_err letter_add(const struct group *g, struct oxbow_bytes key,
                                 struct oxbow_field *fields, uint32_t count)
{
    static const struct oxbow_stream_add_options now = {.undelayed = true};
    struct oxbow_txn *txn = g->stream->txn;
    struct oxbow_field *ours = fields + count;
    char payload[ID_TEXT_MAX];
    struct oxbow_id id;
    enum oxbow_err err;

    if (!too_long(g, fields, count + DEAD_FIELDS)) {
        return oxbow_stream_add(txn, key, &now, fields, count + DEAD_FIELDS, NULL);
    }
    if (too_long(g, fields, count)) {
        return OXBOW_ETOOBIG;
    }
    err = txn_reserve_bytes(txn, (size_t)fields_plain_len(fields, count + DEAD_FIELDS));
    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_stream_add(txn, key, &now, fields, count, &id);
    if (err != OXBOW_OK) {
        return err;
    }
    id_to_text(payload, id);
    ours[DEAD_PAYLOAD].value = text_of(payload);
    err = oxbow_stream_add(txn, key, &now, ours, DEAD_FIELDS, NULL);
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

static enum oxbow_err letter_write(struct group *g, const struct oxbow_group *called,
                                   const struct pending *p, struct oxbow_bytes reason,
                                   const struct oxbow_result *memory)
{
    const struct oxbow_alloc *alloc = &txn_port(g->stream->txn)->alloc;
    const struct oxbow_entry *entry = &memory->entries[0];
    size_t len = (entry->field_count + (size_t)DEAD_FIELDS) * sizeof(struct oxbow_field);
    struct oxbow_field *fields;
    struct oxbow_field *ours;
    struct about about;
    size_t i;
    enum oxbow_err err = about_fill(g, p, &about);

    if (err != OXBOW_OK) {
        return err;
    }
    fields = mem_new(alloc, len);
    if (fields == NULL) {
        return OXBOW_ENOMEM;
    }
    memcpy(fields, entry->fields, entry->field_count * sizeof *fields);
    ours = fields + entry->field_count;
    for (i = 0; i < DEAD_FIELDS; i++) {
        ours[i].name = names[i];
    }
    ours[DEAD_KEY].value = called->key;
    ours[DEAD_GROUP].value = called->name;
    ours[DEAD_ID].value = text_of(about.id);
    ours[DEAD_REASON].value = reason;
    ours[DEAD_DELIVERIES].value = text_of(about.deliveries);
    ours[DEAD_FIRST].value = text_of(about.first);
    ours[DEAD_LAST].value = text_of(about.last);
    ours[DEAD_CONSUMER].value = memory->items[1];
    err = letter_add(g, memory->items[0], fields, entry->field_count);
    mem_free(alloc, fields, len);
    return err;
}

/* Takes the original out of its stream, unless somebody else wants it. Its stream's header is read
 * anew: the letter may have been routed back to it. */
static enum oxbow_err original_remove(struct group *g, struct oxbow_bytes key, struct oxbow_id id)
{
    const struct stream_removal one = {.ids = &id, .count = 1};
    struct policy_drop drop = {.cause = OXBOW_DROP_DEAD_LETTER, .from = id, .to = id, .entries = 1};
    struct stream *s = g->stream;
    bool refers;
    enum oxbow_err err = stream_load(s->txn, &s->object, s);

    if (err == OXBOW_OK) {
        err = group_refers(s, id, &refers);
    }
    if (err == OXBOW_OK && !refers) {
        err = stream_removal_check(s, key, &one);
    }
    if (err != OXBOW_OK || refers) {
        return err == OXBOW_EPROTECTED ? OXBOW_OK : err;
    }
    drop.bytes = s->bytes;
    err = stream_remove_all(s, key, &one, &drop.entries);
    drop.bytes -= s->bytes;
    if (err == OXBOW_OK) {
        err = policy_dropped_from(s->txn, key, &drop);
        err = err == OXBOW_ERANGE || err == OXBOW_ENOTSUP ? OXBOW_OK : err;
    }
    return err;
}

enum oxbow_err dead_move(struct pending_table *t, const struct oxbow_group *called,
                         const struct pending *p, struct oxbow_bytes reason)
{
    struct group *g = t->group;
    struct oxbow_result memory = {0};
    bool gone;
    enum oxbow_err err;

    if (g->rules.dead_len == 0) {
        return OXBOW_EINVAL;
    }
    err = letter_read(g, p, &memory);
    gone = err == OXBOW_ENOENT;
    if (err == OXBOW_OK) {
        err = letter_write(g, called, p, reason, &memory);
    }
    if (err == OXBOW_OK || gone) {
        err = pending_remove(t, p->id);
        g->rules.dead += !gone;
    }
    if (err == OXBOW_OK && !gone && g->rules.dead_remove) {
        err = original_remove(g, called->key, p->id);
    }
    if (err == OXBOW_OK) {
        err = policy_left(g->stream->txn, g->stream->object.tag, 0, 0);
    }
    oxbow_result_fini(&memory);
    return err;
}

static enum oxbow_err postpone(struct pending_table *t, struct oxbow_id id, uint64_t due_ms)
{
    struct note note;
    enum oxbow_err err = note_get(t->group, id, &note);

    if (err == OXBOW_OK) {
        note.has_due = true;
        note.due_ms = due_ms;
        err = note_put(t->group, id, &note);
    }
    return err == OXBOW_OK ? due_entry_by(t, id, due_ms) : err;
}

enum oxbow_err dead_give_up(struct pending_table *t, const struct oxbow_group *called,
                            const struct pending *p, uint64_t now, bool *moved)
{
    static const struct oxbow_bytes reason = {"max-deliveries", 14};
    struct group_rules *r = &t->group->rules;
    enum oxbow_err err = dead_move(t, called, p, reason);

    *moved = err == OXBOW_OK;
    r->problem = *moved ? OXBOW_OK : r->problem;
    if (dead_is_refusal(err)) {
        r->refused++;
        r->problem = (uint32_t)err;
        err = postpone(t, p->id, now + DEAD_AGAIN_MS);
    }
    return err;
}
