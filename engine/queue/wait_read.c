/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocking commands: what they try, and when "nothing there" means waiting. How one waits is
 * known to wait_thread.c.
 */
#include "engine/queue/wait.h"

#include "engine/queue/group_read.h"

#include "engine/base/buf.h"

/* ---- lists ---- */

struct pop_call {
    const struct oxbow_list_pop_options *opt;
    size_t which;
    struct oxbow_result *result;
};

/* While waiting, a key of another type is passed over. */
static enum oxbow_err pop_any(void *ctx, struct oxbow_txn *txn, bool again)
{
    struct pop_call *c = ctx;
    size_t i;

    for (i = 0; i < c->opt->key_count; i++) {
        struct oxbow_list_pop_options one = *c->opt;
        enum oxbow_err err;

        one.keys = &c->opt->keys[i];
        one.key_count = 1;
        err = oxbow_list_pop_first(txn, &one, NULL, c->result);
        if (err == OXBOW_ENOENT || (err == OXBOW_EWRONGTYPE && again)) {
            continue;
        }
        c->which = i;
        return err;
    }
    return OXBOW_EAGAIN;
}

enum oxbow_err oxbow_list_pop_wait(struct oxbow *db, const struct oxbow_wait_options *opt,
                                   const struct oxbow_list_pop_options *pop, size_t *which,
                                   struct oxbow_result *result)
{
    struct pop_call c = {.opt = pop, .result = result};
    struct oxbow_wait_keys keys = {.kind = OXBOW_WAIT_LIST};
    enum oxbow_err err;

    if (pop == NULL || result == NULL) {
        return OXBOW_EINVAL;
    }
    keys.keys = pop->keys;
    keys.count = pop->key_count;
    err = oxbow_wait_for(db, opt, &keys, pop_any, &c);
    if (kv_applied(err) && which != NULL) {
        *which = c.which;
    }
    return err;
}

struct move_call {
    const struct oxbow_list_move_options *opt;
    struct oxbow_result *result;
};

/* While waiting, a source of another type is as if it were not there; a destination of another type
 * is an error at any time, once there is something to move. */
static enum oxbow_err move_one(void *ctx, struct oxbow_txn *txn, bool again)
{
    const struct move_call *c = ctx;
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(txn, c->opt->from, &type);

    if (err != OXBOW_OK) {
        return err;
    }
    if (again && type != OXBOW_TYPE_LIST) {
        return OXBOW_EAGAIN;
    }
    err =
        oxbow_list_move(txn, c->opt->from, c->opt->to, c->opt->from_end, c->opt->to_end, c->result);
    return err == OXBOW_ENOENT ? OXBOW_EAGAIN : err;
}

enum oxbow_err oxbow_list_move_wait(struct oxbow *db, const struct oxbow_wait_options *opt,
                                    const struct oxbow_list_move_options *move,
                                    struct oxbow_result *result)
{
    struct move_call c = {move, result};
    struct oxbow_wait_keys keys = {.kind = OXBOW_WAIT_LIST, .count = 1};

    if (move == NULL || result == NULL) {
        return OXBOW_EINVAL;
    }
    keys.keys = &move->from;
    return oxbow_wait_for(db, opt, &keys, move_one, &c);
}

/* ---- streams ---- */

struct read_call {
    const struct oxbow_stream_wait_options *opt;
    struct oxbow_id *after; /* what is read from, once it is known */
    struct oxbow_result *results;
};

/* `$`: the last ids at the first attempt. */
static enum oxbow_err note_ends(const struct read_call *c, struct oxbow_txn *txn)
{
    size_t i;

    for (i = 0; i < c->opt->key_count; i++) {
        struct oxbow_stream_info info = {.last_id = OXBOW_ID_MIN};
        enum oxbow_err err = oxbow_stream_info(txn, c->opt->keys[i], &info);

        if (err != OXBOW_OK && err != OXBOW_ENOENT) {
            return err;
        }
        c->after[i] = info.last_id;
    }
    return OXBOW_OK;
}

static enum oxbow_err read_all(void *ctx, struct oxbow_txn *txn, bool again)
{
    const struct read_call *c = ctx;
    bool any = false;
    size_t i;

    if (!again && c->opt->from_end) {
        enum oxbow_err err = note_ends(c, txn);

        return err == OXBOW_OK ? OXBOW_EAGAIN : err;
    }
    for (i = 0; i < c->opt->key_count; i++) {
        enum oxbow_err err =
            oxbow_stream_read(txn, c->opt->keys[i], c->after[i], c->opt->count, &c->results[i]);

        if (err == OXBOW_EWRONGTYPE && again) {
            oxbow_result_fini(&c->results[i]);
        } else if (err != OXBOW_OK) {
            return err;
        }
        any = any || c->results[i].entry_count > 0;
    }
    return any ? OXBOW_OK : OXBOW_EAGAIN;
}

enum oxbow_err oxbow_stream_read_wait(struct oxbow *db, const struct oxbow_wait_options *opt,
                                      const struct oxbow_stream_wait_options *read,
                                      struct oxbow_result *results)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(db)->alloc;
    struct read_call c = {.opt = read, .results = results};
    struct oxbow_wait_keys keys = {.kind = OXBOW_WAIT_STREAM};
    size_t i;
    enum oxbow_err err;

    if (read == NULL || results == NULL || (read->after == NULL && !read->from_end) ||
        read->key_count == 0 || read->key_count > OXBOW_WAIT_KEYS_MAX) {
        return OXBOW_EINVAL;
    }
    c.after = mem_new(alloc, read->key_count * sizeof(*c.after));
    if (c.after == NULL) {
        return OXBOW_ENOMEM;
    }
    for (i = 0; i < read->key_count && !read->from_end; i++) {
        c.after[i] = read->after[i];
    }
    keys.keys = read->keys;
    keys.count = read->key_count;
    err = oxbow_wait_for(db, opt, &keys, read_all, &c);
    mem_free(alloc, c.after, read->key_count * sizeof(*c.after));
    return err;
}

struct group_call {
    const struct oxbow_group_wait_options *opt;
    struct oxbow_result *results;
    bool any;
};

/* What was written though nothing is given (letters to the dead, say) wants to be committed too. */
static enum oxbow_err group_all(void *ctx, struct oxbow_txn *txn, bool again)
{
    struct group_call *c = ctx;
    bool written = false;
    size_t i;

    c->any = c->opt->read.history;
    for (i = 0; i < c->opt->group_count; i++) {
        bool wrote;
        enum oxbow_err err = group_read(txn, c->opt->groups[i], c->opt->consumer, &c->opt->read,
                                        &c->results[i], &wrote);

        if (err == OXBOW_EWRONGTYPE && again) {
            oxbow_result_fini(&c->results[i]);
        } else if (err != OXBOW_OK) {
            return err;
        }
        written = written || wrote;
        c->any = c->any || c->results[i].entry_count > 0;
    }
    return c->any || written ? OXBOW_OK : OXBOW_EAGAIN;
}

/* Waits until something is given: what is only written does not end it. */
static enum oxbow_err group_wait(struct oxbow *db, const struct oxbow_wait_options *opt,
                                 const struct oxbow_wait_keys *keys, struct group_call *c)
{
    const struct oxbow_clock *clock = &oxbow_port_of(db)->clock;
    struct oxbow_wait_options left = {0};
    uint64_t begin = clock->mono_us(clock->ctx);
    int64_t whole;
    bool tried = false;
    enum oxbow_err err;

    if (opt != NULL) {
        left = *opt;
    }
    whole = left.timeout_ms;
    do {
        if (tried && left.timeout_ms > 0) {
            uint64_t gone = (clock->mono_us(clock->ctx) - begin) / 1000;

            left.timeout_ms = gone < (uint64_t)whole ? whole - (int64_t)gone : 0;
        }
        tried = true;
        err = oxbow_wait_for(db, &left, keys, group_all, c);
    } while (kv_applied(err) && !c->any && left.timeout_ms != 0);
    return kv_applied(err) && !c->any ? OXBOW_ETIMEDOUT : err;
}

enum oxbow_err oxbow_group_read_wait(struct oxbow *db, const struct oxbow_wait_options *opt,
                                     const struct oxbow_group_wait_options *read,
                                     struct oxbow_result *results)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(db)->alloc;
    struct group_call c = {.opt = read, .results = results};
    struct oxbow_wait_keys keys = {.kind = OXBOW_WAIT_STREAM};
    struct oxbow_bytes *names;
    size_t i;
    enum oxbow_err err;

    if (read == NULL || results == NULL || read->groups == NULL || read->group_count == 0 ||
        read->group_count > OXBOW_WAIT_KEYS_MAX) {
        return OXBOW_EINVAL;
    }
    names = mem_new(alloc, read->group_count * sizeof(*names));
    if (names == NULL) {
        return OXBOW_ENOMEM;
    }
    for (i = 0; i < read->group_count; i++) {
        names[i] = read->groups[i].key;
    }
    keys.keys = names;
    keys.count = read->group_count;
    err = group_wait(db, opt, &keys, &c);
    mem_free(alloc, names, read->group_count * sizeof(*names));
    return err;
}
