/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedules as callers see them: set, removed, paused, looked at, and put right after damage. Their
 * bytes are schedule_record.c's; schedule_run.c adds what is due.
 */
#include "engine/queue/schedule.h"

#include "engine/base/result.h"
#include "engine/queue/delay.h"
#include "engine/queue/stream.h"

#include <string.h>

#define RECORD_OVERHEAD    512u
#define LATE_MS_DEFAULT    60000u
#define MISSED_MAX_DEFAULT 100u

static bool name_fits(const char *name, struct oxbow_bytes *out)
{
    size_t len;

    if (name == NULL) {
        return false;
    }
    for (len = 0; name[len] != '\0' && len <= OXBOW_SCHEDULE_NAME_MAX; len++) {
        char c = name[len];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-')) {
            return false;
        }
    }
    *out = (struct oxbow_bytes){name, len};
    return len > 0 && len <= OXBOW_SCHEDULE_NAME_MAX;
}

static bool given(struct oxbow_bytes bytes)
{
    return bytes.data != NULL || bytes.len == 0;
}

/* Takes the options over, all but the payload. */
static enum oxbow_err options_take(struct oxbow_txn *txn, const struct oxbow_schedule_options *opt,
                                   struct schedule *s, struct cron *c)
{
    uint64_t late_ms = LATE_MS_DEFAULT;
    enum oxbow_err err;

    if (!given(opt->when) || !given(opt->key) || !given(opt->value) ||
        (opt->field_count > 0 && (opt->fields == NULL || opt->value.len > 0)) ||
        opt->offset_min < -OXBOW_SCHEDULE_OFFSET_MAX ||
        opt->offset_min > OXBOW_SCHEDULE_OFFSET_MAX || opt->missed < OXBOW_MISSED_SKIP ||
        opt->missed > OXBOW_MISSED_ALL || opt->missed_max > OXBOW_SCHEDULE_MADE_UP ||
        opt->late_ms > OXBOW_SCHEDULE_LATE_MAX ||
        (opt->end != OXBOW_LEFT && opt->end != OXBOW_RIGHT)) {
        return OXBOW_EINVAL;
    }
    err = cron_parse(opt->when, c, NULL);
    if (err != OXBOW_OK) {
        return err;
    }
    c->offset_min = opt->offset_min;
    late_ms = c->every_ms > 0 && c->every_ms < late_ms ? c->every_ms : late_ms;
    s->type = opt->field_count > 0 ? OXBOW_TYPE_STREAM : OXBOW_TYPE_LIST;
    s->end = opt->end;
    s->missed = opt->missed;
    s->database = txn_database(txn);
    s->missed_max = opt->missed_max > 0 ? opt->missed_max : MISSED_MAX_DEFAULT;
    s->offset_min = opt->offset_min;
    s->late_ms = opt->late_ms > 0 ? opt->late_ms : late_ms;
    s->when = opt->when;
    s->key = opt->key;
    return opt->key.len <= OXBOW_SCHEDULE_KEY_MAX ? OXBOW_OK : OXBOW_ETOOBIG;
}

static bool same_bytes(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool same_plan(const struct schedule *a, const struct schedule *b)
{
    return same_bytes(a->when, b->when) && a->offset_min == b->offset_min;
}

static bool same(const struct schedule *a, const struct schedule *b)
{
    return same_plan(a, b) && a->type == b->type && a->end == b->end && a->missed == b->missed &&
           a->database == b->database && a->missed_max == b->missed_max &&
           a->late_ms == b->late_ms && same_bytes(a->key, b->key) &&
           same_bytes(a->payload, b->payload);
}

/* Plans it from now on, with the counters that it had; `was` may be NULL. */
static enum oxbow_err plan(struct oxbow_txn *txn, struct oxbow_bytes name, const struct cron *c,
                           const struct schedule_state *was)
{
    struct schedule_state st = was != NULL ? *was : (struct schedule_state){.paused = false};
    enum oxbow_err err;

    st.last_ms = st.wall == (c->every_ms == 0) ? st.last_ms : 0; /* of the other clock */
    err = schedule_plan(txn, c, &st);
    st.next_ms = st.paused ? 0 : st.next_ms;
    if (err == OXBOW_OK) {
        err = schedule_state_put(txn, name, &st, was);
    }
    if (err == OXBOW_OK) {
        schedule_arm(txn, &st);
    }
    return err;
}

/* ---- setting ---- */

/* Everything is checked; `old` is NULL where there is none, or with `counted` a damaged one. */
static enum oxbow_err set_checked(struct oxbow_txn *txn, const struct schedule *s,
                                  const struct cron *c, const struct schedule *old, bool counted)
{
    struct schedule_state was;
    uint32_t count;
    enum oxbow_err err = schedule_state_get(txn, s->name, &was);
    bool stands = err == OXBOW_OK;

    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (old != NULL && stands && same(s, old)) {
        return OXBOW_OK;
    }
    err = txn_reserve_bytes(txn, s->when.len + s->key.len + s->payload.len + RECORD_OVERHEAD);
    if (err == OXBOW_OK) {
        err = schedule_count_get(txn, &count);
    }
    if (err == OXBOW_OK && !counted && count >= OXBOW_SCHEDULE_COUNT_MAX) {
        err = OXBOW_ERANGE;
    }
    if (err == OXBOW_OK) {
        err = txn_feature_require(txn, STORE_FEATURE_CRON);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (!counted) {
        err = schedule_count_put(txn, count + 1);
    }
    if (err == OXBOW_OK && (old == NULL || !stands || !same_plan(s, old))) {
        err = plan(txn, s->name, c, stands ? &was : NULL);
    }
    if (err == OXBOW_OK) {
        err = schedule_put(txn, s);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

/* With its payload, which is not borrowed from the store. */
static enum oxbow_err set_whole(struct oxbow_txn *txn, const struct schedule *s,
                                const struct cron *c)
{
    struct schedule old;
    struct buf copy;
    enum oxbow_err err = schedule_dup(txn, s->name, &old, &copy);

    if (err == OXBOW_ENOENT || err == OXBOW_ECORRUPT) {
        return set_checked(txn, s, c, NULL, err == OXBOW_ECORRUPT);
    }
    if (err == OXBOW_OK) {
        err = set_checked(txn, s, c, &old, true);
        buf_fini(&copy);
    }
    return err;
}

enum oxbow_err oxbow_schedule_set(struct oxbow_txn *txn, const char *name,
                                  const struct oxbow_schedule_options *opt)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    struct schedule s = {.type = OXBOW_TYPE_NONE};
    uint8_t *body = NULL;
    uint64_t len;
    struct cron c;
    enum oxbow_err err;

    if (opt == NULL || !name_fits(name, &s.name)) {
        return OXBOW_EINVAL;
    }
    err = options_take(txn, opt, &s, &c);
    if (err == OXBOW_OK && txn_readonly(txn)) {
        err = OXBOW_EREADONLY;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    len = opt->field_count > 0 ? fields_plain_len(opt->fields, opt->field_count) : opt->value.len;
    if (len > OXBOW_SCHEDULE_BYTES_MAX || len > txn_entry_bytes_max(txn)) {
        return OXBOW_ETOOBIG;
    }
    s.payload = opt->value;
    if (opt->field_count > 0) {
        body = mem_new(alloc, (size_t)len);
        if (body == NULL) {
            return OXBOW_ENOMEM;
        }
        (void)fields_plain_put(body, opt->fields, opt->field_count);
        s.payload = (struct oxbow_bytes){body, (size_t)len};
    }
    err = set_whole(txn, &s, &c);
    mem_free(alloc, body, (size_t)len);
    return err;
}

enum oxbow_err oxbow_schedule_remove(struct oxbow_txn *txn, const char *name)
{
    struct oxbow_bytes key;
    struct schedule s;
    uint32_t count;
    enum oxbow_err err;

    if (!name_fits(name, &key)) {
        return OXBOW_EINVAL;
    }
    err = txn_readonly(txn) ? OXBOW_EREADONLY : schedule_get(txn, key, &s);
    if (err == OXBOW_OK || err == OXBOW_ECORRUPT) {
        err = schedule_count_get(txn, &count);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = schedule_del(txn, key);
    if (err == OXBOW_OK) {
        err = schedule_count_put(txn, count > 0 ? count - 1 : 0);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err oxbow_schedule_pause(struct oxbow_txn *txn, const char *name, bool paused)
{
    struct schedule_state was = {.paused = false};
    struct schedule_state st;
    struct oxbow_bytes key;
    struct schedule s;
    struct cron c;
    enum oxbow_err err;

    if (!name_fits(name, &key)) {
        return OXBOW_EINVAL;
    }
    err = txn_readonly(txn) ? OXBOW_EREADONLY : schedule_get(txn, key, &s);
    if (err == OXBOW_OK) {
        err = schedule_cron(&s, &c);
    }
    if (err == OXBOW_OK) {
        err = schedule_state_get(txn, key, &was);
        err = err == OXBOW_ENOENT ? OXBOW_OK : err; /* lost: made anew */
    }
    if (err != OXBOW_OK || was.paused == paused) {
        return err;
    }
    st = was;
    st.paused = paused;
    st.next_ms = 0;
    err = schedule_state_put(txn, key, &st, &was);
    if (err == OXBOW_OK && !paused) {
        err = plan(txn, key, &c, &st);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

/* ---- looking ---- */

enum oxbow_err oxbow_schedule_get(struct oxbow_txn *txn, const char *name,
                                  struct oxbow_schedule_info *info)
{
    struct schedule_state st = {.paused = false};
    struct oxbow_bytes key;
    struct schedule s;
    enum oxbow_err err;

    if (info == NULL || !name_fits(name, &key)) {
        return OXBOW_EINVAL;
    }
    err = schedule_state_get(txn, key, &st);
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = schedule_get(txn, key, &s);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *info = (struct oxbow_schedule_info){
        .wall = st.wall,
        .paused = st.paused,
        .planned = !st.paused && st.next_ms != 0 && st.next_ms != CRON_NEVER,
        .next_ms = st.next_ms,
        .last_ms = st.last_ms,
        .added = st.added,
        .missed = st.missed,
        .refused = st.refused,
        .why = (enum oxbow_err)st.why,
        .offset_min = s.offset_min,
        .missed_do = s.missed,
        .missed_max = s.missed_max,
        .late_ms = s.late_ms,
        .database = s.database,
        .type = s.type,
        .end = s.end,
        .bytes = s.payload.len,
        .when = s.when,
        .key = s.key,
    };
    memcpy(info->name, key.data, key.len);
    return OXBOW_OK;
}

enum oxbow_err oxbow_schedule_entry(struct oxbow_txn *txn, const char *name,
                                    struct oxbow_result *result)
{
    struct oxbow_bytes key;
    struct schedule s;
    struct buf copy;
    enum oxbow_err err;

    if (result == NULL || !name_fits(name, &key)) {
        return OXBOW_EINVAL;
    }
    err = schedule_dup(txn, key, &s, &copy);
    if (err == OXBOW_OK) {
        const struct delay entry = {.type = s.type, .payload = s.payload};

        err = delay_fill(txn, &entry, result);
        buf_fini(&copy);
    }
    return err;
}

enum oxbow_err oxbow_schedule_list(struct oxbow_txn *txn, struct oxbow_result *result)
{
    char name[OXBOW_SCHEDULE_NAME_MAX + 1] = "";
    enum oxbow_err err = result == NULL
                             ? OXBOW_EINVAL
                             : result_begin(result, &txn_port(txn)->alloc, STREAM_RESULT_BYTES_MAX);

    while (err == OXBOW_OK) {
        err = schedule_next_name(txn, name);
        if (err == OXBOW_OK) {
            err = result_item(result, (struct oxbow_bytes){name, strlen(name)});
        }
    }
    if (err != OXBOW_ENOENT) {
        return err;
    }
    result_finish(result);
    return OXBOW_OK;
}

/* ---- after damage ---- */

enum oxbow_err schedule_mend(struct oxbow_txn *txn)
{
    char name[OXBOW_SCHEDULE_NAME_MAX + 1] = "";
    uint32_t count = 0;
    enum oxbow_err err;

    while ((err = schedule_next_name(txn, name)) == OXBOW_OK) {
        const struct oxbow_bytes key = {name, strlen(name)};
        struct schedule_state st;
        struct schedule s;
        struct cron c;

        count++;
        err = schedule_get(txn, key, &s);
        err = err == OXBOW_OK ? schedule_cron(&s, &c) : err;
        if (err == OXBOW_OK) {
            err = schedule_state_get(txn, key, &st);
            err = err == OXBOW_OK       ? schedule_state_put(txn, key, &st, NULL)
                  : err == OXBOW_ENOENT ? plan(txn, key, &c, NULL)
                                        : err;
        }
        if (err != OXBOW_OK && err != OXBOW_ECORRUPT) {
            return err;
        }
    }
    return err == OXBOW_ENOENT && count > 0 ? schedule_count_put(txn, count)
           : err == OXBOW_ENOENT            ? OXBOW_OK
                                            : err;
}
