/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How safe what is in a database is: appendfsync for all, and `db N sync POLICY` for one of its own. The
 * store keeps the policies; here are their words, and for which databases replies wait for the device. One that
 * is kept in memory (`db N memory`) has none: server_cache.c.
 */
#include "engine/base/num.h"
#include "engine/base/word.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define INTERVAL_MS_MAX 3600000u
#define NEEDS_JOURNAL   "without the journal there is no such policy"

/* The numbers of enum oxbow_sync, but for the last two. */
static const char *const policies[] = {"default", "always",   "everysec", "no",
                                       "none",    "interval", NULL};
#define WORD_NONE     (OXBOW_SYNC_NONE + 1)
#define WORD_INTERVAL (OXBOW_SYNC_NONE + 2)

void resp_sync_look(struct oxbow_resp *s)
{
    s->always = 0;
    for (uint32_t i = 0; i < OXBOW_RESP_DATABASES; i++) {
        enum oxbow_sync sync;
        uint32_t ms;

        if (oxbow_database_sync(s->db, i, &sync, &ms) == OXBOW_OK && sync == OXBOW_SYNC_ALWAYS) {
            s->always |= 1u << i;
        }
    }
}

/* ---- appendfsync ---- */

void resp_get_sync(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    struct oxbow_stat stat;

    oxbow_stat(s->db, &stat);
    (void)snprintf(out, RESP_VALUE_MAX, "%s", policies[stat.sync]);
}

bool resp_set_sync(struct oxbow_resp *s, struct oxbow_bytes value)
{
    int place = word_place(value, policies);
    enum oxbow_err err;

    if (place < (int)OXBOW_SYNC_ALWAYS || place > (int)OXBOW_SYNC_NONE) {
        s->set_why = "argument(s) must be one of the following: always, everysec, no";
        return false;
    }
    err = oxbow_set_sync(s->db, (enum oxbow_sync)place, 0);
    if (err != OXBOW_OK) {
        s->set_why = NEEDS_JOURNAL;
        return false;
    }
    resp_sync_look(s);
    return true;
}

/* ---- db ---- */

/* NUMBER memory, which only the store's opening can make of a database: it may be said where it is so. */
static const char *memory_take(const struct oxbow_resp *s, uint64_t number)
{
    return resp_cache_has(s, (uint32_t)number)
               ? NULL
               : "a database is kept in memory from the start or not at all: say it in the "
                 "configuration, and start again";
}

/* NUMBER sync POLICY or NUMBER memory; *taken words of them. NULL, or what is wrong. */
static const char *policy_take(const struct oxbow_resp *s, const struct oxbow_bytes *words,
                               size_t count, size_t *taken,
                               struct resp_own_sync own[OXBOW_RESP_DATABASES])
{
    struct resp_own_sync policy = {.said = true};
    bool memory = count >= 2 && word_is(words[1], "memory");
    uint64_t number;
    uint64_t ms = 0;
    int place;

    if (!memory && (count < 3 || !word_is(words[1], "sync"))) {
        return "takes NUMBER sync POLICY or NUMBER memory, of one database or several";
    }
    if (num_u64(words[0], &number) != OXBOW_OK || number >= OXBOW_RESP_DATABASES) {
        return "databases are 0 to 15";
    }
    if (memory) {
        *taken = 2;
        return memory_take(s, number);
    }
    if (resp_cache_has(s, (uint32_t)number)) {
        return "a database that is kept in memory has no such policy";
    }
    place = word_place(words[2], policies);
    if (place < 0) {
        return "policies are always, everysec, interval MS, no and default";
    }
    *taken = place == WORD_INTERVAL ? 4 : 3;
    if (place == WORD_INTERVAL &&
        (count < 4 || num_u64(words[3], &ms) != OXBOW_OK || ms == 0 || ms > INTERVAL_MS_MAX)) {
        return "an interval has 1 to 3600000 ms";
    }
    policy.sync = place == WORD_INTERVAL ? OXBOW_SYNC_INTERVAL
                  : place == WORD_NONE   ? OXBOW_SYNC_NONE
                                         : (enum oxbow_sync)place;
    policy.interval_ms = (uint32_t)ms;
    own[number] = policy;
    return NULL;
}

/* How many words there are; more than `max` of them do not fit. */
static size_t words_of(struct oxbow_bytes text, struct oxbow_bytes *words, size_t max)
{
    struct oxbow_bytes word;
    size_t count = 0;
    size_t at = 0;

    while (count <= max && (word = word_next(text, &at)).len > 0) {
        if (count < max) {
            words[count] = word;
        }
        count++;
    }
    return count;
}

static bool same(const struct resp_own_sync *a, const struct resp_own_sync *b)
{
    return a->sync == b->sync && a->interval_ms == b->interval_ms && a->said == b->said;
}

/* `begins`: what the store does not have without a journal is said to the log, and is the next safer one, as the
 * store does with its own. */
static enum oxbow_err give(struct oxbow_resp *s, uint32_t i, const struct resp_own_sync *own,
                           bool begins)
{
    enum oxbow_err err = oxbow_set_database_sync(s->db, i, own->sync, own->interval_ms);

    if (err == OXBOW_ENOTSUP && begins) {
        s->port->log.line(s->port->log.ctx, OXBOW_LOG_WARN,
                          "resp: db: without the journal `no` is not to be had: `everysec`");
        err = oxbow_set_database_sync(s->db, i, OXBOW_SYNC_INTERVAL, 0);
    }
    return err;
}

enum oxbow_err resp_sync_again(struct oxbow_resp *s, enum oxbow_sync sync)
{
    struct oxbow_stat stat;
    enum oxbow_err err = OXBOW_OK;

    oxbow_stat(s->db, &stat);
    if (stat.sync != sync) { /* it was set since the start */
        err = oxbow_set_sync(s->db, sync, 0);
    }
    for (uint32_t i = 0; err == OXBOW_OK && i < OXBOW_RESP_DATABASES; i++) {
        if (s->own[i].sync != OXBOW_SYNC_DEFAULT) {
            err = give(s, i, &s->own[i], true);
        }
    }
    resp_sync_look(s);
    return err;
}

/* Gives the store what it has not yet. NULL, or what is wrong: then some of it is done. */
static const char *apply(struct oxbow_resp *s, const struct resp_own_sync own[OXBOW_RESP_DATABASES])
{
    enum oxbow_err err = OXBOW_OK;

    for (uint32_t i = 0; err == OXBOW_OK && i < OXBOW_RESP_DATABASES; i++) {
        if (!same(&own[i], &s->own[i])) {
            err = give(s, i, &own[i], !s->begun);
            s->own[i] = err == OXBOW_OK ? own[i] : s->own[i];
        }
    }
    resp_sync_look(s);
    return err == OXBOW_OK ? NULL : NEEDS_JOURNAL;
}

bool resp_set_own_sync(struct oxbow_resp *s, struct oxbow_bytes value)
{
    struct oxbow_bytes words[RESP_OWN_SYNC_WORDS];
    struct resp_own_sync own[OXBOW_RESP_DATABASES];
    size_t count = words_of(value, words, RESP_OWN_SYNC_WORDS);
    const char *wrong = count > RESP_OWN_SYNC_WORDS ? "too many words" : NULL;

    memcpy(own, s->own, sizeof own);
    for (size_t at = 0, taken = 0; wrong == NULL && at < count; at += taken) {
        wrong = policy_take(s, words + at, count - at, &taken, own);
    }
    if (wrong == NULL) {
        wrong = apply(s, own);
    }
    s->set_why = wrong != NULL ? wrong : s->set_why;
    return wrong == NULL;
}

void resp_own_sync_back(struct oxbow_resp *s, const struct resp_own_sync own[OXBOW_RESP_DATABASES])
{
    const char *wrong = apply(s, own);

    if (wrong != NULL) { /* it was so a moment ago */
        s->port->log.line(s->port->log.ctx, OXBOW_LOG_ERROR, wrong);
    }
}

size_t resp_own_sync_text(const struct resp_own_sync *own, char *out, size_t len)
{
    if (own->sync == OXBOW_SYNC_INTERVAL && own->interval_ms != 0) {
        return (size_t)snprintf(out, len, "interval %u", own->interval_ms);
    }
    return (size_t)snprintf(out, len, "%s", policies[own->sync]);
}

void resp_get_own_sync(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    size_t len = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < OXBOW_RESP_DATABASES; i++) {
        if (resp_cache_has(s, i)) {
            len += (size_t)snprintf(out + len, RESP_VALUE_MAX - len, "%s%u memory",
                                    len > 0 ? " " : "", i);
        } else if (s->own[i].said) {
            len += (size_t)snprintf(out + len, RESP_VALUE_MAX - len, "%s%u sync ",
                                    len > 0 ? " " : "", i);
            len += resp_own_sync_text(&s->own[i], out + len, RESP_VALUE_MAX - len);
        }
    }
}
