/* SPDX-License-Identifier: Apache-2.0 */
/* Streams, lists, what waits, what was added once, and a string. */
#include "tests/crash/merge_work.h"

#include "engine/store/kv.h"
#include "engine/store/stand_in.h"
#include "oxbow/delay.h"
#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/once.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"
#include "oxbow/string.h"
#include "tests/crash/harness.h"
#include "tests/crash/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGAIN      ((uint64_t)1 << 63) /* of an entry that was there already */
#define VALUE_MAX  60u
#define LONG_BYTES 90000u
#define DUE_MS     ((uint64_t)60 * 86400000)
#define APART_MS   ((uint64_t)10000000)
#define STEP       40u /* entries of one transaction */

enum {
    STREAM,
    READ, /* a stream with a group in the store */
    LIST,
    LARGE, /* a list of a few long elements: a batch has a limit of bytes too */
    LATER,
    ONCE,     /* a stream whose entries have ids of their own */
    PRODUCER, /* one of a producer that counts */
    NAMED     /* a list of elements with ids */
};
static const char *const names[WORK_QUEUES] = {"s", "r", "l", "large", "later", "o", "p", "n"};
static const struct oxbow_bytes text_key = {"text", 4};
static const struct oxbow_group group = {{"r", 1}, {"g", 1}};

const char *work_name(unsigned queue)
{
    return names[queue];
}

static struct oxbow_bytes text_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

bool work_named(unsigned queue)
{
    return queue == ONCE || queue == PRODUCER || queue == NAMED;
}

enum oxbow_err work_open(const char *dir, bool merge, struct oxbow **db)
{
    struct oxbow_config config;
    judge_store_config(&config, dir);
    config.flags = OXBOW_OPEN_EXISTING;
    config.on_failure = merge ? OXBOW_FAILURE_MEMORY : OXBOW_FAILURE_STOP;
    config.stand_in = merge ? "memory" : NULL;
    return oxbow_open(&config, db);
}

static void must(enum oxbow_err err, const char *what)
{
    if (err != OXBOW_OK)
        lab_die(what, oxbow_err_name(err));
}

/* ---- writing ---- */

static enum oxbow_err add_once(struct oxbow_txn *txn, const struct work *w, unsigned q,
                               const uint64_t which[2], bool *duplicate)
{
    char name[32];
    struct oxbow_once_outcome out;
    const struct oxbow_bytes value = {&which[1], sizeof which[1]};
    const struct oxbow_field field = {{"n", 1}, value};
    const struct oxbow_once counted = {.producer = {"pr", 2}, .sequence = which[0] + 1};
    struct oxbow_once once = {
        .id = {name, (size_t)snprintf(name, sizeof name, "%u-%llu", w->lives[q][which[0]],
                                      (unsigned long long)which[0])}};
    enum oxbow_err err;

    once = q == PRODUCER ? counted : once;
    err = q == NAMED ? oxbow_once_push(txn, text_of(names[q]), OXBOW_RIGHT, &once, value, &out)
                     : oxbow_once_add(txn, text_of(names[q]), &once, &field, 1, &out);
    *duplicate = err == OXBOW_OK && out.duplicate;
    return err;
}

static enum oxbow_err add(struct oxbow_txn *txn, struct work *w, unsigned q, uint64_t number)
{
    static uint8_t value[LONG_BYTES];
    const struct oxbow_bytes bytes = {value, q == LARGE ? LONG_BYTES : 8 + number % VALUE_MAX};
    const struct oxbow_field field = {{"n", 1}, bytes};
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, DUE_MS + number * APART_MS};
    bool duplicate;

    memset(value, (int)number, sizeof value);
    memcpy(value, &number, sizeof number);
    switch (q) {
    case LIST:
    case LARGE:
        return oxbow_list_push(txn, text_of(names[q]), OXBOW_RIGHT, &bytes, 1, NULL);
    case LATER:
        return oxbow_delay_push(txn, text_of("there"), OXBOW_RIGHT, &when, bytes, NULL);
    case ONCE:
    case PRODUCER:
    case NAMED:
        if (number >= WORK_MAX)
            return OXBOW_ERANGE;
        w->lives[q][number] = (uint8_t)w->life;
        return add_once(txn, w, q, (const uint64_t[2]){number, number}, &duplicate);
    default:
        return oxbow_stream_add(txn, text_of(names[q]), NULL, &field, 1, NULL);
    }
}

static struct oxbow_txn *begin(struct oxbow *db)
{
    const struct oxbow_txn_options opt = {.sync = OXBOW_SYNC_ALWAYS};
    struct oxbow_txn *txn = NULL;
    must(oxbow_txn_begin(db, &opt, &txn), "begin");
    return txn;
}

/* In a stand-in nothing is durable. */
static void commit(struct oxbow_txn *txn)
{
    enum oxbow_err err = oxbow_txn_commit(txn, NULL);
    must(err == OXBOW_EVOLATILE ? OXBOW_OK : err, "commit");
}

/* Stores and stand-ins remember what was added once for longer than the lab runs, whose clock is fast. */
static void remember(struct oxbow *db)
{
    const struct oxbow_policy policy = {.dedupe_ms = (uint64_t)30 * 86400000};
    struct oxbow_txn *txn = begin(db);
    for (unsigned q = 0; q < WORK_QUEUES; q++)
        if (work_named(q))
            must(oxbow_policy_set(txn, text_of(names[q]), &policy), "policy");
    commit(txn);
}

/* Adds so many to each queue; those that were added once before come again in between. */
static void fill(struct oxbow *db, struct work *w, const uint64_t counts[WORK_QUEUES])
{
    bool duplicate;
    remember(db);
    for (unsigned q = 0; q < WORK_QUEUES; q++)
        for (uint64_t back = 3; work_named(q) && back >= 1; back--) {
            struct oxbow_txn *txn = begin(db);
            uint64_t number = w->all[q] - back;
            if (back <= w->all[q])
                must(add_once(txn, w, q, (const uint64_t[2]){number, number | AGAIN}, &duplicate),
                     "again");
            commit(txn);
        }
    for (unsigned q = 0; q < WORK_QUEUES; q++)
        for (uint64_t done = 0; done < counts[q];) {
            struct oxbow_txn *txn = begin(db);
            for (unsigned i = 0; i < STEP && done < counts[q]; i++, done++)
                must(add(txn, w, q, w->all[q] + done), names[q]);
            commit(txn);
        }
    struct oxbow_txn *txn = begin(db);
    must(oxbow_string_set(txn, text_key, (struct oxbow_bytes){&w->text, sizeof w->text}), "set");
    commit(txn);
}

static void count(struct work *w, const uint64_t counts[WORK_QUEUES])
{
    for (unsigned q = 0; q < WORK_QUEUES; q++) {
        for (uint64_t i = 0; work_named(q) && i < counts[q]; i++)
            w->lives[q][w->all[q] + i] = (uint8_t)w->life;
        w->all[q] += counts[q];
    }
}

void work_begin(struct work *w, uint64_t seed)
{
    const struct oxbow_group_create_options create = {.make_stream = true};
    uint64_t counts[WORK_QUEUES] = {7, 5, 6, 1, 4, 9, 8, 7};
    struct oxbow_config config;
    struct oxbow *db = NULL;

    *w = (struct work){.text = 1};
    counts[LIST] = seed % 3 == 0 ? 0 : 6; /* or the store has none */
    judge_store_config(&config, "store");
    must(oxbow_open(&config, &db), "the first open");
    fill(db, w, counts);
    count(w, counts);
    struct oxbow_txn *txn = begin(db);
    must(oxbow_group_create(txn, group, &create), "group");
    commit(txn);
    must(oxbow_close(db), "the first close");
    memcpy(w->had, w->all, sizeof w->had);
}

void work_meanwhile(struct work *w, uint64_t *random)
{
    uint64_t counts[WORK_QUEUES];
    bool ends = lab_random(random) % 2 == 0;
    int status = 0;

    w->life++;
    w->text++;
    for (unsigned q = 0; q < WORK_QUEUES; q++)
        counts[q] = lab_random(random) % (lab_random(random) % 4 == 0 ? 2 * WORK_BATCH + 9 : 30);
    counts[LARGE] = lab_random(random) % 6;
    if (rename("store", "away") != 0)
        lab_die("the device", "does not go");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        lab_die("cannot fork", "a process for the stand-in");
    if (pid == 0) {
        struct oxbow *db = NULL;
        must(work_open("store", true, &db), "the stand-in");
        fill(db, w, counts);
        if (!ends)
            must(oxbow_close(db), "the stand-in's close");
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        lab_die("the stand-in's process", "failed");
    if (rename("away", "store") != 0)
        lab_die("the device", "does not come back");
    count(w, counts);
}

void work_stand(struct work *w, bool gone)
{
    struct work_found found;
    struct oxbow *db = NULL;

    if (system("rm -rf ../copy && cp -a store ../copy") != 0)
        lab_die("cannot copy", "the store");
    must(work_open("../copy", false, &db), "the copy");
    must(work_read(db, w, &found), "the copy");
    must(oxbow_close(db), "the copy");
    lab_remove_tree("../copy");
    for (unsigned q = 0; q < WORK_QUEUES; q++) {
        w->had[q] = found.queues[q].to;
        w->all[q] = gone ? w->had[q] : w->all[q];
    }
    w->text = gone ? found.text : w->text;
}

/* ---- reading ---- */

/* One more number of a queue: it must follow the last one. */
static void see(struct work_part *p, struct oxbow_bytes value)
{
    uint64_t number = AGAIN;
    if (value.len >= sizeof number)
        memcpy(&number, value.data, sizeof number);
    if (p->to == p->from)
        p->from = p->to = number;
    p->whole = p->whole && number == p->to;
    p->to++;
}

/* What a stand-in was given again is nothing of its own. */
static bool given_again(unsigned q, struct oxbow_bytes value)
{
    uint64_t number = 0;
    if (work_named(q) && value.len == sizeof number)
        memcpy(&number, value.data, sizeof number);
    return (number & AGAIN) != 0;
}

static enum oxbow_err read_later(struct oxbow_txn *txn, struct work_part *p)
{
    struct oxbow_delay_place place = {.wall = false};
    struct oxbow_delay_info info;
    struct oxbow_result r = {0};
    enum oxbow_err err;

    while ((err = oxbow_delay_next(txn, &place, &info)) == OXBOW_OK) {
        err = oxbow_delay_get(txn, info.id, &r);
        if (err != OXBOW_OK)
            break;
        see(p, r.items[0]);
    }
    oxbow_result_fini(&r);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err read_queue(struct oxbow_txn *txn, unsigned q, bool aside, struct work_part *p)
{
    const struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_result r = {0};
    bool list = q == LIST || q == LARGE || q == NAMED;
    enum oxbow_err err = list ? oxbow_list_range(txn, text_of(names[q]), 0, -1, &r)
                              : oxbow_stream_range(txn, text_of(names[q]), &all, &r);

    for (size_t i = 0; err == OXBOW_OK && i < (list ? r.item_count : r.entry_count); i++) {
        struct oxbow_bytes value = list ? r.items[i] : r.entries[i].fields[0].value;
        if (!aside || !given_again(q, value))
            see(p, value);
    }
    oxbow_result_fini(&r);
    return err;
}

enum oxbow_err work_read(struct oxbow *db, const struct work *w, struct work_found *found)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ, .sync = OXBOW_SYNC_INTERVAL};
    struct stand_in_record record;
    struct oxbow_result r = {0};
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    (void)w;
    memset(found, 0, sizeof *found);
    if (err != OXBOW_OK)
        return err;
    err = stand_in_get(txn, &record);
    for (unsigned q = 0; q < WORK_QUEUES && err == OXBOW_OK; q++) {
        found->queues[q].whole = true;
        err = q == LATER ? read_later(txn, &found->queues[q])
                         : read_queue(txn, q, record.state != STAND_IN_NONE, &found->queues[q]);
    }
    if (err == OXBOW_OK)
        err = oxbow_string_get(txn, text_key, &r);
    if (err == OXBOW_OK)
        memcpy(&found->text, r.items[0].data, sizeof found->text);
    oxbow_result_fini(&r);
    oxbow_txn_abort(txn);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

void work_join(struct work_found *to, const struct work_found *next)
{
    for (unsigned q = 0; q < WORK_QUEUES; q++) {
        struct work_part *a = &to->queues[q];
        const struct work_part *b = &next->queues[q];
        if (a->from == a->to) {
            *a = *b;
        } else if (b->from < b->to) {
            a->whole = a->whole && b->whole && a->to == b->from;
            a->to = b->to;
        }
    }
    to->text = next->text > to->text ? next->text : to->text;
}

/* ---- after the merge ---- */

enum oxbow_err work_again(struct oxbow *db, const struct work *w)
{
    struct work_part given = {.whole = true};
    struct oxbow_result r = {0};
    struct oxbow_txn *txn = begin(db);
    bool duplicate = true;
    enum oxbow_err err = oxbow_group_read(txn, group, text_of("c"), NULL, &r);

    for (size_t i = 0; err == OXBOW_OK && i < r.entry_count; i++)
        see(&given, r.entries[i].fields[0].value);
    oxbow_result_fini(&r);
    if (err == OXBOW_OK && (!given.whole || given.from != 0 || given.to != w->all[READ]))
        err = OXBOW_EFAILED;
    for (unsigned q = 0; q < WORK_QUEUES; q++)
        for (uint64_t i = 1; work_named(q) && err == OXBOW_OK && i <= 40 && i <= w->all[q]; i++) {
            err = add_once(txn, w, q, (const uint64_t[2]){w->all[q] - i, AGAIN}, &duplicate);
            err = err == OXBOW_OK && !duplicate ? OXBOW_EFAILED : err;
        }
    if (err == OXBOW_OK)
        return oxbow_txn_commit(txn, NULL);
    oxbow_txn_abort(txn);
    return err;
}

enum oxbow_err work_resend(struct oxbow *db, const struct work *w, unsigned queue, uint64_t have)
{
    struct oxbow_txn *txn = begin(db);
    struct work_part all = {.whole = true};
    bool duplicate = true;
    enum oxbow_err err = OXBOW_OK;

    for (uint64_t i = 0; err == OXBOW_OK && i < w->all[queue]; i++) {
        err = add_once(txn, w, queue, (const uint64_t[2]){i, i}, &duplicate);
        err = err == OXBOW_OK && duplicate != (i < have) ? OXBOW_EFAILED : err;
    }
    err = err == OXBOW_OK ? read_queue(txn, queue, false, &all) : err;
    if (err == OXBOW_OK && (!all.whole || all.from != 0 || all.to != w->all[queue]))
        err = OXBOW_EFAILED;
    if (err == OXBOW_OK)
        return oxbow_txn_commit(txn, NULL);
    oxbow_txn_abort(txn);
    return err;
}

bool work_forget(void)
{
    static const uint8_t key[] = {KV_SPACE_STORE, STORE_KEY_MERGED};
    struct oxbow *db = NULL;
    enum oxbow_err err = work_open("store", false, &db);

    if (err != OXBOW_OK)
        return false;
    struct oxbow_txn *txn = begin(db);
    err = kv_del(txn, (struct oxbow_bytes){key, sizeof key});
    if (err == OXBOW_OK || err == OXBOW_ENOENT)
        err = oxbow_txn_commit(txn, NULL);
    else
        oxbow_txn_abort(txn);
    return oxbow_close(db) == OXBOW_OK && err == OXBOW_OK;
}
