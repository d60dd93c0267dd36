/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends entries: chooses the id, grows the tail chunk or begins one, keeps what is too long for a
 * chunk outside of it. On the usual path that is the catalog, the header, the tail chunk and one
 * patch of each of the latter two; nothing is allocated.
 *
 * 1. Ids grow, whatever the clocks do.
 * 2. A chunk's entries are of one boot, and of a stretch of time in which the wall clock did not
 *    jump: the stamp in its header is good for all of them.
 */
#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/queue/boots.h"
#include "engine/queue/expire.h"
#include "engine/queue/forward.h"
#include "engine/queue/policy_age.h"
#include "engine/queue/priority.h"
#include "engine/queue/rate.h"
#include "engine/queue/stream.h"
#include "engine/queue/wait.h"

/* A plain body up to this long fits a new chunk: header, flags, two deltas of 0, length. */
#define INLINE_MAX (CHUNK_MAX - CHUNK_HEADER - 5u)
/* Longer ones up to this are a value of their own; what is longer still is a blob. */
#define VALUE_MAX ((size_t)64 * 1024)
/* The wall clock has jumped when it moved so much more or less than the monotonic one. */
#define JUMP_MS 2000u
/* While ids cannot follow the clock they tell no times, and chunks are begun this often. */
#define STUCK_MS 60000u

/* ---- ids ---- */

static enum oxbow_err id_after(struct oxbow_id last, struct oxbow_id *id)
{
    return id_next(&last) ? (*id = last, OXBOW_OK) : OXBOW_EIDLAST;
}

static enum oxbow_err id_partial(const struct stream *s, uint64_t ms, struct oxbow_id *id)
{
    if (ms < s->last.ms || (ms == s->last.ms && s->last.seq == UINT64_MAX)) {
        return OXBOW_EIDORDER;
    }
    *id = (struct oxbow_id){ms, ms == s->last.ms ? s->last.seq + 1 : 0};
    return OXBOW_OK;
}

static enum oxbow_err id_choose(const struct stream *s, const struct oxbow_stream_add_options *opt,
                                struct oxbow_id *id)
{
    uint64_t now = txn_wall_ms(s->txn);

    if (id_compare(s->last, OXBOW_ID_MAX) == 0) {
        return OXBOW_EIDLAST;
    }
    switch (opt->id_mode) {
    case OXBOW_ID_EXPLICIT:
        *id = opt->id;
        return id_compare(opt->id, s->last) > 0 ? OXBOW_OK : OXBOW_EIDORDER;
    case OXBOW_ID_PARTIAL:
        return id_partial(s, opt->id.ms, id);
    case OXBOW_ID_AUTO:
    default:
        if (now > s->last.ms) {
            *id = (struct oxbow_id){now, 0};
            return OXBOW_OK;
        }
        return id_after(s->last, id);
    }
}

/* ---- chunks ---- */

/* Whether the tail chunk's stamp is good for an entry of now. */
static bool stamp_fits(const struct stream *s, const struct chunk_head *head)
{
    struct chunk_head now;
    uint64_t up, wall;

    chunk_head_init(&now, s->txn, CHUNK_STREAM);
    if (head->boot != now.boot || now.uptime_ms < head->uptime_ms ||
        policy_stale(s->txn, head, s->rotate_ms)) {
        return false;
    }
    up = now.uptime_ms - head->uptime_ms;
    wall = now.wall_ms - head->wall_ms;
    if (now.wall_ms < head->wall_ms || wall > up + JUMP_MS || up > wall + JUMP_MS) {
        return false;
    }
    return up < STUCK_MS || s->last.ms <= now.wall_ms;
}

static enum oxbow_err chunk_begin(struct stream *s, struct oxbow_id id, struct oxbow_bytes entry)
{
    uint8_t chunk[CHUNK_MAX];
    uint8_t key[KV_KEY_MAX];
    struct chunk_head head;
    struct buf out = {.data = chunk, .len = CHUNK_HEADER, .cap = sizeof chunk};
    enum oxbow_err err;

    chunk_head_init(&head, s->txn, CHUNK_STREAM);
    chunk_head_encode(chunk, &head);
    err = boots_note(s->txn);
    if (err == OXBOW_OK) {
        err = buf_append(&out, entry.data, entry.len);
    }
    if (err == OXBOW_OK) {
        err = kv_put(s->txn, stream_id_key(key, s, STREAM_KIND_CHUNK, id),
                     (struct oxbow_bytes){chunk, out.len});
    }
    if (err == OXBOW_OK) {
        s->tail = id;
        s->chunks++;
    }
    if (err == OXBOW_OK && s->rotate_ms > 0) {
        err = policy_boot_note(s->txn);
    }
    return err;
}

/* What is to be appended: the fields, or where they are kept. */
struct addition {
    struct oxbow_id id;
    const struct oxbow_field *fields;
    uint32_t count;
    size_t plain_len; /* of a plain body; 0 with outside */
    uint8_t outside[STREAM_OUTSIDE_MAX];
    size_t outside_len; /* of `outside` */
    uint8_t priority;
};

static size_t addition_put(uint8_t *out, const struct addition *a, struct oxbow_id base,
                           uint8_t flags, size_t body_len)
{
    uint8_t all = flags | STREAM_ENTRY_PRIORITY_IN(a->priority);
    size_t n = entry_head_put(out, all, base, a->id, body_len);

    if ((flags & STREAM_ENTRY_OUTSIDE) != 0) {
        size_t i;

        for (i = 0; i < body_len; i++) {
            out[n + i] = a->outside[i];
        }
        return n + body_len;
    }
    if ((flags & STREAM_ENTRY_SAME) != 0) {
        return n + fields_same_put(out + n, a->fields, a->count);
    }
    return n + fields_plain_put(out + n, a->fields, a->count);
}

/* The shortest way to write it into a chunk (empty: a new one). */
static uint8_t addition_flags(const struct addition *a, struct oxbow_bytes chunk, size_t *body_len)
{
    uint64_t same_len;

    if (a->outside_len > 0) {
        *body_len = a->outside_len;
        return STREAM_ENTRY_OUTSIDE;
    }
    if (chunk.len > 0 && fields_same(chunk, a->fields, a->count, &same_len)) {
        *body_len = (size_t)same_len;
        return STREAM_ENTRY_SAME;
    }
    *body_len = a->plain_len;
    return 0;
}

/* An entry as it would be written. */
struct encoded {
    uint8_t bytes[CHUNK_MAX + STREAM_ENTRY_HEAD_MAX];
    size_t len;
    size_t at; /* in the tail chunk */
};

/* For the tail chunk. OXBOW_EAGAIN: there is none, or it does not fit. */
static enum oxbow_err tail_encode(struct stream *s, const struct addition *a, struct encoded *e)
{
    uint8_t keybuf[KV_KEY_MAX];
    struct oxbow_bytes chunk;
    struct chunk_head head;
    size_t body_len;
    uint8_t flags;
    enum oxbow_err err;

    if (id_is_zero(s->tail)) {
        return OXBOW_EAGAIN;
    }
    err = kv_get(s->txn, stream_id_key(keybuf, s, STREAM_KIND_CHUNK, s->tail), &chunk);
    if (err == OXBOW_OK) {
        err = chunk_head_decode(chunk, &head);
    }
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    flags = addition_flags(a, chunk, &body_len);
    if (chunk.len + 4 + body_len > CHUNK_MAX || !stamp_fits(s, &head)) {
        return OXBOW_EAGAIN;
    }
    e->at = chunk.len;
    e->len = addition_put(e->bytes, a, s->tail, flags, body_len);
    return chunk.len + e->len > CHUNK_MAX ? OXBOW_EAGAIN : OXBOW_OK;
}

/* For a chunk of its own. */
static void fresh_encode(const struct addition *a, struct encoded *e)
{
    size_t body_len;
    uint8_t flags = addition_flags(a, (struct oxbow_bytes){NULL, 0}, &body_len);

    e->len = addition_put(e->bytes, a, a->id, flags, body_len);
}

static enum oxbow_err tail_append(struct stream *s, const struct addition *a, size_t *len)
{
    uint8_t key[KV_KEY_MAX];
    struct encoded e;
    enum oxbow_err err = tail_encode(s, a, &e);

    if (err != OXBOW_OK) {
        return err;
    }
    *len = e.len;
    return kv_patch(s->txn, stream_id_key(key, s, STREAM_KIND_CHUNK, s->tail), e.at,
                    (struct oxbow_bytes){e.bytes, e.len});
}

static enum oxbow_err new_append(struct stream *s, const struct addition *a, size_t *len)
{
    struct encoded e;

    fresh_encode(a, &e);
    *len = e.len;
    return chunk_begin(s, a->id, (struct oxbow_bytes){e.bytes, e.len});
}

enum oxbow_err stream_measure(struct stream *s, struct oxbow_id id,
                              const struct oxbow_field *fields, uint32_t field_count,
                              uint64_t *bytes)
{
    struct addition a = {.id = id,
                         .fields = fields,
                         .count = field_count,
                         .plain_len = (size_t)fields_plain_len(fields, field_count)};
    struct encoded e;
    enum oxbow_err err;

    if (a.plain_len > INLINE_MAX) {
        *bytes = a.plain_len + STREAM_ENTRY_HEAD_MAX + STREAM_OUTSIDE_MAX;
        return OXBOW_OK;
    }
    err = tail_encode(s, &a, &e);
    if (err == OXBOW_EAGAIN) {
        fresh_encode(&a, &e);
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        *bytes = e.len;
    }
    return err;
}

/* ---- long entries ---- */

static enum oxbow_err outside_write(struct stream *s, struct addition *a)
{
    const struct oxbow_alloc *alloc = &txn_port(s->txn)->alloc;
    uint8_t *body = mem_new(alloc, a->plain_len);
    struct oxbow_bytes bytes = {body, a->plain_len};
    uint8_t key[KV_KEY_MAX];
    uint64_t blob = 0;
    enum oxbow_err err;

    if (body == NULL) {
        return OXBOW_ENOMEM;
    }
    fields_plain_put(body, a->fields, a->count);
    if (a->plain_len > VALUE_MAX) {
        err = object_blob_write(s->txn, s->object.id, bytes, &blob);
    } else {
        err = kv_put(s->txn, stream_id_key(key, s, STREAM_KIND_BODY, a->id), bytes);
    }
    mem_free(alloc, body, a->plain_len);
    a->outside_len = varint_put(a->outside, blob);
    a->outside_len += varint_put(a->outside + a->outside_len, a->plain_len);
    return err;
}

enum oxbow_err stream_append(struct stream *s, struct oxbow_id id, const struct oxbow_field *fields,
                             uint32_t field_count, uint8_t priority)
{
    struct addition a = {.id = id,
                         .fields = fields,
                         .count = field_count,
                         .priority = priority,
                         .plain_len = (size_t)fields_plain_len(fields, field_count)};
    size_t len = 0;
    enum oxbow_err err = OXBOW_OK;

    if (a.plain_len > INLINE_MAX) {
        err = outside_write(s, &a);
    }
    if (err == OXBOW_OK) {
        err = tail_append(s, &a, &len);
    }
    if (err == OXBOW_EAGAIN) {
        err = new_append(s, &a, &len);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    s->length++;
    s->entries_added++;
    len += a.outside_len > 0 ? a.plain_len : 0;
    s->bytes += len;
    if (rate_asked(s->txn)) {
        rate_came(s->txn, &s->object, 1, len);
    }
    s->last = id;
    if (s->length == 1) {
        s->first = id;
    }
    return s->priorities ? priority_add(s, id, priority) : OXBOW_OK;
}

/* ---- XADD ---- */

enum oxbow_err stream_fields_check(struct oxbow_txn *txn, const struct oxbow_field *fields,
                                   uint32_t count, size_t *len)
{
    uint64_t total;

    if (fields == NULL || count == 0) {
        return OXBOW_EINVAL;
    }
    total = fields_plain_len(fields, count);
    if (total > txn_entry_bytes_max(txn) || total > STREAM_RESULT_BYTES_MAX) {
        return OXBOW_ETOOBIG;
    }
    *len = (size_t)total;
    return OXBOW_OK;
}

/* Finds the stream and chooses the id; writes nothing. OXBOW_ENOENT: a new stream may take it. */
static enum oxbow_err add_find(struct oxbow_txn *txn, struct oxbow_bytes key,
                               const struct oxbow_stream_add_options *opt, struct stream *s,
                               struct oxbow_id *id)
{
    enum oxbow_err err;

    if (opt->id_mode == OXBOW_ID_EXPLICIT && id_is_zero(opt->id)) {
        return OXBOW_EIDZERO;
    }
    err = stream_find(txn, key, s);
    if (err == OXBOW_OK) {
        return id_choose(s, opt, id);
    }
    if (err == OXBOW_ENOENT && opt->no_create) {
        return OXBOW_EAGAIN;
    }
    if (err == OXBOW_ENOENT) {
        *s = (struct stream){.txn = txn};
        err = forward_floor(txn, key, &s->last);
        err = err == OXBOW_OK ? id_choose(s, opt, id) : err;
        return err == OXBOW_OK ? OXBOW_ENOENT : err;
    }
    return err;
}

/* What a forward's budget counts: names and values. */
static uint64_t payload_of(const struct oxbow_field *fields, uint32_t count)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        bytes += fields[i].name.len + fields[i].value.len;
    }
    return bytes;
}

/* One XADD. */
struct add {
    struct oxbow_bytes key;
    const struct oxbow_field *fields;
    uint32_t field_count;
    size_t len; /* of a plain body */
    struct oxbow_id id;
    bool found;
    struct policy_row *policy; /* NULL: the name has none */
    uint64_t ttl_ms;
    uint32_t priority;
};

/* Finds the queue's policy, and what an entry gets from it. */
static enum oxbow_err add_defaults(struct oxbow_txn *txn, struct add *a,
                                   const struct oxbow_stream_add_options *opt)
{
    enum oxbow_err err = policy_row(txn, a->key, &a->policy);

    a->priority = opt->priority;
    a->ttl_ms = opt->ttl_ms == OXBOW_STREAM_TTL_NONE ? 0 : opt->ttl_ms;
    if (err == OXBOW_OK && a->policy != NULL && opt->ttl_ms == 0) {
        a->ttl_ms = a->policy->policy.default_ttl_ms;
    }
    if (err == OXBOW_OK && a->priority > 0 &&
        (a->policy == NULL || a->priority >= a->policy->policy.priorities)) {
        err = OXBOW_EINVAL;
    }
    return err == OXBOW_OK ? expire_check(txn, a->key, a->ttl_ms) : err;
}

/* Asks the queue's policy for room. */
static enum oxbow_err add_policy(struct stream *s, struct add *a)
{
    struct policy_room more = {.entries = 1};
    enum oxbow_err err = OXBOW_OK;

    if (a->policy == NULL) {
        return OXBOW_OK;
    }
    s->rotate_ms = policy_rotate_ms(&a->policy->policy);
    if (a->policy->policy.max_bytes > 0) {
        err = stream_measure(s, a->id, a->fields, a->field_count, &more.bytes);
    }
    return err == OXBOW_OK ? policy_stream_room(s, a->key, a->policy, &more) : err;
}

/* Asks quota, policy and forwards for room, and makes the stream where there is none. */
static enum oxbow_err add_begin(struct stream *s, struct add *a)
{
    struct oxbow_txn *txn = s->txn;
    struct oxbow_bytes key = a->key;
    struct policy_ask ask = {.key = key, .bytes = a->len + key.len, .largest = a->len};
    struct forward_edge edge;
    bool dropped;
    enum oxbow_err err;

    ask.bytes += a->ttl_ms > 0 ? key.len + EXPIRE_RECORDS : 0;
    err = policy_reserve(txn, &ask, &dropped);
    if (err == OXBOW_OK && dropped && a->found) {
        err = stream_load(txn, &s->object, s);
    }
    if (err == OXBOW_OK) {
        err = add_policy(s, a);
    }
    if (err == OXBOW_OK) {
        err = forward_edge(txn, key, &edge);
    }
    if (err == OXBOW_OK) {
        err = forward_admit(txn, key, payload_of(a->fields, a->field_count), 1);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (!a->found) {
        return stream_open(txn, key, s);
    }
    /* Making room may have removed entries of this very stream. */
    return edge.on || txn_forced(txn) ? stream_load(txn, &s->object, s) : OXBOW_OK;
}

static enum oxbow_err add_end(struct stream *s, const struct add *a,
                              const struct oxbow_stream_trim *trim)
{
    enum oxbow_err err = OXBOW_OK;

    if (a->policy != NULL) {
        err = policy_stream_settle(s, a->key, a->policy);
    }
    if (err == OXBOW_OK && trim->by != OXBOW_TRIM_NONE) {
        uint64_t removed;
        bool more;

        err = stream_trim_guarded(s, a->key, trim, UINT64_MAX, &removed, &more);
    }
    if (err == OXBOW_OK) {
        err = stream_save(s);
    }
    if (err == OXBOW_OK && a->ttl_ms > 0) {
        const struct expire_entry e = {s->object.id, a->id, a->key};

        err = expire_set(s->txn, &e, a->ttl_ms);
    }
    return err == OXBOW_OK ? wait_touch(s->txn, &s->object) : err;
}

enum oxbow_err stream_admits(struct oxbow_txn *txn, struct oxbow_bytes key,
                             const struct oxbow_field *fields, uint32_t field_count)
{
    static const struct oxbow_stream_add_options defaults;
    struct add a = {.key = key, .fields = fields, .field_count = field_count};
    struct stream s = {.txn = txn};
    enum oxbow_err err = add_find(txn, key, &defaults, &s, &a.id);

    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = add_defaults(txn, &a, &defaults);
    }
    if (err == OXBOW_OK) {
        err = add_policy(&s, &a);
    }
    return err == OXBOW_OK ? forward_room(txn, key, payload_of(fields, field_count)) : err;
}

enum oxbow_err stream_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                          const struct oxbow_stream_add_options *opt,
                          const struct oxbow_field *fields, uint32_t field_count,
                          struct oxbow_id *id)
{
    static const struct oxbow_stream_add_options defaults;
    struct add a = {.key = key, .fields = fields, .field_count = field_count};
    struct stream s = {.txn = txn};
    enum oxbow_err err;

    opt = opt != NULL ? opt : &defaults;
    err = stream_fields_check(txn, fields, field_count, &a.len);
    if (err == OXBOW_OK) {
        err = stream_trim_check(&opt->trim);
    }
    if (err == OXBOW_OK && !txn_readonly(txn)) {
        err = add_defaults(txn, &a, opt);
    }
    if (err == OXBOW_OK) {
        err = txn_readonly(txn) ? OXBOW_EREADONLY : add_find(txn, key, opt, &s, &a.id);
    }
    a.found = err == OXBOW_OK;
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = add_begin(&s, &a);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (a.policy != NULL) {
        s.rotate_ms = policy_rotate_ms(&a.policy->policy);
    }
    if (a.policy != NULL || s.priorities) {
        err = priority_prepare(&s, a.policy != NULL ? a.policy->policy.priorities : 0);
    }
    if (err == OXBOW_OK) {
        err = stream_append(&s, a.id, fields, field_count, (uint8_t)a.priority);
    }
    if (err == OXBOW_OK) {
        err = add_end(&s, &a, &opt->trim);
    }
    if (err != OXBOW_OK) {
        return txn_fail(txn, err);
    }
    if (id != NULL) {
        *id = a.id;
    }
    return OXBOW_OK;
}
