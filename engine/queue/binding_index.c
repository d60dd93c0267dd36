/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One hash table for all look-ups: (owner, field, value) leads to a chain of bindings, (owner, field)
 * to the root of a trie of patterns, (node of a trie, word) to the node below. A pattern's * and #
 * are links of the node.
 *
 * A topic is matched by walking all ways through the trie at once, word by word: `now` holds the nodes
 * where a match stands, each at most once (its stamp says so). So the work is at most words x nodes,
 * whatever the patterns are; a # neither recurses nor tries again.
 *
 *   from a node, a word leads to   its child of that word, its child *, and itself if it is a #
 *   without a word one gets to     its child #
 */
#include "engine/queue/binding_index.h"

#include "engine/base/hash.h"

#include <string.h>

#define TEXTS_MAX   ((size_t)256 << 20)
#define SLOTS_LEAST 16u

enum entry_kind { ENTRY_VALUE, ENTRY_ROOT, ENTRY_WORD };

struct binding_entry {
    uint64_t hash;
    size_t text_at; /* both texts, one behind the other */
    uint32_t owner;
    uint32_t to;     /* a link, or a word */
    uint16_t len[2]; /* of the texts */
    uint8_t kind;    /* enum entry_kind */
};

struct binding_link {
    uint32_t row;
    uint32_t next;
};

struct binding_word {
    uint64_t stamp;
    uint32_t star;  /* the child *; 0: none */
    uint32_t sharp; /* the child # */
    uint32_t first; /* link to the bindings whose pattern ends here */
    bool is_sharp;
};

/* What is looked for. */
struct wanted {
    uint32_t owner;
    enum entry_kind kind;
    struct oxbow_bytes text[2];
};

void binding_index_init(struct binding_index *ix, const struct oxbow_alloc *alloc)
{
    *ix = (struct binding_index){.alloc = alloc};
    buf_init(&ix->texts, alloc, TEXTS_MAX);
}

void binding_index_fini(struct binding_index *ix)
{
    const struct oxbow_alloc *alloc = ix->alloc;

    buf_fini(&ix->texts);
    mem_free(alloc, ix->entries, ix->entry_room * sizeof *ix->entries);
    mem_free(alloc, ix->slots, ix->slot_count * sizeof *ix->slots);
    mem_free(alloc, ix->links, ix->link_room * sizeof *ix->links);
    mem_free(alloc, ix->words, ix->word_room * sizeof *ix->words);
    mem_free(alloc, ix->now, ix->word_room * sizeof *ix->now);
    mem_free(alloc, ix->next, ix->word_room * sizeof *ix->next);
    binding_index_init(ix, alloc);
}

/* ---- look-up ---- */

static uint64_t wanted_hash(const struct wanted *w)
{
    uint64_t seed = (uint64_t)w->owner << 2 | (uint64_t)w->kind;

    for (size_t i = 0; i < 2; i++) {
        seed = hash64(w->text[i].data, w->text[i].len, seed);
    }
    return seed;
}

static bool text_is(const struct binding_index *ix, size_t at, struct oxbow_bytes text)
{
    return text.len == 0 || memcmp(ix->texts.data + at, text.data, text.len) == 0;
}

static bool entry_is(const struct binding_index *ix, const struct binding_entry *e,
                     const struct wanted *w)
{
    return e->owner == w->owner && e->kind == (uint8_t)w->kind && e->len[0] == w->text[0].len &&
           e->len[1] == w->text[1].len && text_is(ix, e->text_at, w->text[0]) &&
           text_is(ix, e->text_at + e->len[0], w->text[1]);
}

/* NULL: there is none. */
static struct binding_entry *entry_find(const struct binding_index *ix, const struct wanted *w)
{
    uint64_t hash = wanted_hash(w);

    if (ix->slot_count == 0) {
        return NULL;
    }
    for (uint32_t at = (uint32_t)hash & (ix->slot_count - 1); ix->slots[at] != 0;
         at = (at + 1) & (ix->slot_count - 1)) {
        struct binding_entry *e = &ix->entries[ix->slots[at]];

        if (e->hash == hash && entry_is(ix, e, w)) {
            return e;
        }
    }
    return NULL;
}

/* ---- growing ---- */

/* Makes room for one more in an array, and gives it; NULL: there is no memory. */
static void *grown(const struct oxbow_alloc *alloc, void *p, uint32_t *room, uint32_t count,
                   size_t size)
{
    uint32_t more = *room == 0 ? 16 : *room * 2;
    void *q;

    if (count < *room) {
        return p;
    }
    q = alloc->resize(alloc->ctx, p, *room * size, more * size);
    if (q != NULL) {
        *room = more;
    }
    return q;
}

static void slot_fill(struct binding_index *ix, uint32_t entry)
{
    uint32_t at = (uint32_t)ix->entries[entry].hash & (ix->slot_count - 1);

    while (ix->slots[at] != 0) {
        at = (at + 1) & (ix->slot_count - 1);
    }
    ix->slots[at] = entry;
}

static enum oxbow_err slots_grow(struct binding_index *ix)
{
    uint32_t size = ix->slot_count == 0 ? SLOTS_LEAST : ix->slot_count * 2;
    uint32_t *slots;

    if (ix->slot_count > 0 && (ix->entry_count + 1) * 2 <= ix->slot_count) {
        return OXBOW_OK;
    }
    slots = mem_new(ix->alloc, size * sizeof *slots);
    if (slots == NULL) {
        return OXBOW_ENOMEM;
    }
    mem_free(ix->alloc, ix->slots, ix->slot_count * sizeof *ix->slots);
    ix->slots = slots;
    ix->slot_count = size;
    for (uint32_t i = 1; i < ix->entry_count; i++) {
        slot_fill(ix, i);
    }
    return OXBOW_OK;
}

/* A new entry for what was not found. */
static enum oxbow_err entry_add(struct binding_index *ix, const struct wanted *w,
                                struct binding_entry **out)
{
    struct binding_entry *entries;
    struct binding_entry *e;
    size_t at = ix->texts.len;
    enum oxbow_err err = slots_grow(ix);

    for (size_t i = 0; i < 2 && err == OXBOW_OK; i++) {
        err =
            w->text[i].len > 0 ? buf_append(&ix->texts, w->text[i].data, w->text[i].len) : OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    entries = grown(ix->alloc, ix->entries, &ix->entry_room, ix->entry_count, sizeof *entries);
    if (entries == NULL) {
        return OXBOW_ENOMEM;
    }
    ix->entries = entries;
    ix->entry_count += ix->entry_count == 0; /* [0] */
    e = &entries[ix->entry_count];
    *e = (struct binding_entry){.hash = wanted_hash(w),
                                .text_at = at,
                                .owner = w->owner,
                                .len = {(uint16_t)w->text[0].len, (uint16_t)w->text[1].len},
                                .kind = (uint8_t)w->kind};
    slot_fill(ix, ix->entry_count++);
    *out = e;
    return OXBOW_OK;
}

static enum oxbow_err entry_take(struct binding_index *ix, const struct wanted *w,
                                 struct binding_entry **out)
{
    *out = entry_find(ix, w);
    return *out != NULL ? OXBOW_OK : entry_add(ix, w, out);
}

/* Puts a binding in front of a chain. */
static enum oxbow_err link_add(struct binding_index *ix, uint32_t *first, uint32_t row)
{
    struct binding_link *links =
        grown(ix->alloc, ix->links, &ix->link_room, ix->link_count, sizeof *links);

    if (links == NULL) {
        return OXBOW_ENOMEM;
    }
    ix->links = links;
    ix->link_count += ix->link_count == 0;
    links[ix->link_count] = (struct binding_link){row, *first};
    *first = ix->link_count++;
    return OXBOW_OK;
}

static enum oxbow_err word_add(struct binding_index *ix, bool is_sharp, uint32_t *out)
{
    uint32_t room = ix->word_room;
    uint32_t room_now = room;
    uint32_t room_next = room;
    struct binding_word *words;
    uint32_t *now = grown(ix->alloc, ix->now, &room_now, ix->word_count, sizeof *now);
    uint32_t *next;

    if (now == NULL) {
        return OXBOW_ENOMEM;
    }
    ix->now = now;
    next = grown(ix->alloc, ix->next, &room_next, ix->word_count, sizeof *next);
    words = next == NULL ? NULL : grown(ix->alloc, ix->words, &room, ix->word_count, sizeof *words);
    if (next != NULL) {
        ix->next = next;
    }
    if (words ==
        NULL) { /* all three are as long as the shortest, or they could not be given back */
        if (room_now > ix->word_room) {
            ix->now = NULL;
            mem_free(ix->alloc, now, room_now * sizeof *now);
        }
        if (next != NULL && room_next > ix->word_room) {
            ix->next = NULL;
            mem_free(ix->alloc, next, room_next * sizeof *next);
        }
        return OXBOW_ENOMEM;
    }
    ix->words = words;
    ix->word_room = room;
    ix->word_count += ix->word_count == 0;
    words[ix->word_count] = (struct binding_word){.is_sharp = is_sharp};
    *out = ix->word_count++;
    return OXBOW_OK;
}

/* ---- bindings ---- */

enum oxbow_err binding_index_value(struct binding_index *ix, uint32_t owner,
                                   const struct oxbow_field *field, uint32_t row)
{
    const struct wanted w = {owner, ENTRY_VALUE, {field->name, field->value}};
    struct binding_entry *e;
    enum oxbow_err err = entry_take(ix, &w, &e);

    return err == OXBOW_OK ? link_add(ix, &e->to, row) : err;
}

/* Cuts the first word off *rest; false: there is none. `rest->data` NULL: nothing is left. */
static bool word_next(struct oxbow_bytes *rest, struct oxbow_bytes *word)
{
    const uint8_t *p = rest->data;
    const uint8_t *dot;

    if (p == NULL) {
        return false;
    }
    dot = rest->len > 0 ? memchr(p, '.', rest->len) : NULL;
    if (dot == NULL) {
        *word = *rest;
        *rest = (struct oxbow_bytes){NULL, 0};
        return true;
    }
    *word = (struct oxbow_bytes){p, (size_t)(dot - p)};
    *rest = (struct oxbow_bytes){dot + 1, rest->len - word->len - 1};
    return true;
}

/* What no bytes are: no word. */
static struct oxbow_bytes words_of(struct oxbow_bytes text)
{
    return text.len > 0 ? text : (struct oxbow_bytes){NULL, 0};
}

static bool is_sign(struct oxbow_bytes word, char sign)
{
    return word.len == 1 && *(const char *)word.data == sign;
}

/* The child of `at` that a word of a pattern leads to, made if need be. */
static enum oxbow_err child_take(struct binding_index *ix, uint32_t at, struct oxbow_bytes word,
                                 uint32_t *child)
{
    const struct wanted w = {at, ENTRY_WORD, {word, {NULL, 0}}};
    struct binding_entry *e;
    bool sharp = is_sign(word, '#');
    enum oxbow_err err = OXBOW_OK;

    if (sharp || is_sign(word, '*')) {
        *child = sharp ? ix->words[at].sharp : ix->words[at].star;
        if (*child == 0) {
            err = word_add(ix, sharp, child);
        }
        if (err == OXBOW_OK) {
            *(sharp ? &ix->words[at].sharp : &ix->words[at].star) = *child;
        }
        return err;
    }
    e = entry_find(ix, &w);
    if (e != NULL) {
        *child = e->to;
        return OXBOW_OK;
    }
    err = word_add(ix, false, child);
    if (err == OXBOW_OK) {
        err = entry_add(ix, &w, &e);
    }
    if (err == OXBOW_OK) {
        e->to = *child;
    }
    return err;
}

enum oxbow_err binding_index_topic(struct binding_index *ix, uint32_t owner,
                                   const struct oxbow_field *field, uint32_t row)
{
    const struct wanted w = {owner, ENTRY_ROOT, {field->name, {NULL, 0}}};
    struct oxbow_bytes rest = words_of(field->value);
    struct oxbow_bytes word;
    struct binding_entry *e = entry_find(ix, &w);
    uint32_t at = e != NULL ? e->to : 0;
    enum oxbow_err err = OXBOW_OK;

    if (e == NULL) {
        err = word_add(ix, false, &at);
        if (err == OXBOW_OK) {
            err = entry_add(ix, &w, &e);
        }
        if (err == OXBOW_OK) {
            e->to = at;
        }
    }
    while (err == OXBOW_OK && word_next(&rest, &word)) {
        err = child_take(ix, at, word, &at);
    }
    return err == OXBOW_OK ? link_add(ix, &ix->words[at].first, row) : err;
}

/* ---- matching ---- */

static void give_chain(const struct binding_index *ix, uint32_t at, const struct binding_hit *hit)
{
    for (; at != 0; at = ix->links[at].next) {
        hit->each(hit->ctx, ix->links[at].row);
    }
}

void binding_index_find(const struct binding_index *ix, uint32_t owner,
                        const struct oxbow_field *field, const struct binding_hit *hit)
{
    const struct wanted w = {owner, ENTRY_VALUE, {field->name, field->value}};
    const struct binding_entry *e;

    if (field->value.len > BINDING_VALUE_MAX || field->name.len > BINDING_VALUE_MAX) {
        return;
    }
    e = entry_find(ix, &w);
    if (e != NULL) {
        give_chain(ix, e->to, hit);
    }
}

/* A match stands at this node, and at what is reached from it without a word. */
static void stand(struct binding_index *ix, uint32_t *places, uint32_t *count, uint32_t at)
{
    for (; at != 0 && ix->words[at].stamp != ix->stamp; at = ix->words[at].sharp) {
        ix->words[at].stamp = ix->stamp;
        places[(*count)++] = at;
    }
}

/* From everywhere in `now` over one word to `next`. */
static uint32_t step(struct binding_index *ix, uint32_t count, struct oxbow_bytes word)
{
    uint32_t reached = 0;

    ix->stamp++;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = ix->now[i];
        const struct wanted w = {at, ENTRY_WORD, {word, {NULL, 0}}};
        const struct binding_entry *e = entry_find(ix, &w);

        stand(ix, ix->next, &reached, e != NULL ? e->to : 0);
        stand(ix, ix->next, &reached, ix->words[at].star);
        stand(ix, ix->next, &reached, ix->words[at].is_sharp ? at : 0);
    }
    return reached;
}

void binding_index_match(struct binding_index *ix, uint32_t owner, const struct oxbow_field *field,
                         const struct binding_hit *hit)
{
    const struct wanted w = {owner, ENTRY_ROOT, {field->name, {NULL, 0}}};
    struct oxbow_bytes rest = words_of(field->value);
    const struct binding_entry *root;
    struct oxbow_bytes word;
    uint32_t count = 0;

    if (field->value.len > BINDING_VALUE_MAX || field->name.len > BINDING_VALUE_MAX) {
        return;
    }
    root = entry_find(ix, &w);
    if (root == NULL) {
        return;
    }
    ix->stamp++;
    stand(ix, ix->now, &count, root->to);
    while (count > 0 && word_next(&rest, &word)) {
        uint32_t *was = ix->now;

        count = step(ix, count, word);
        ix->now = ix->next;
        ix->next = was;
    }
    for (uint32_t i = 0; i < count; i++) {
        give_chain(ix, ix->words[ix->now[i]].first, hit);
    }
}
