/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds what schedules say when it is due, in bounded steps: by the store's idle work, or when asked.
 * An occurrence and the step to the next time are one transaction.
 *
 * Invariants: (1) A time that was dealt with (added, refused, missed) is never dealt with again, but
 * after a wall clock went back by more than a day: then it was wrong before. (2) An occurrence that
 * makes a transaction fail is counted as refused by the next one without another try. (3) However far
 * a clock has jumped, what was missed is reckoned, not walked through.
 */
#include "engine/queue/schedule.h"

#include "engine/queue/delay.h"
#include "engine/queue/stream.h"
#include "engine/store/credit.h"

#include <string.h>

#define STEP_OCCURRENCES 64u /* of idle work */
#define RUN_OCCURRENCES  1000u
#define AGAIN_MS         2000u /* the store's clock may show so much again after a power cut */

/* Hangs on the store. */
struct run_state {
    char failed[OXBOW_SCHEDULE_NAME_MAX + 1]; /* what made a transaction fail; "": nothing */
    uint64_t failed_ms;                       /* its time */
    enum oxbow_err why;
    uint64_t high_ms; /* no plan was made when the wall clock showed more; UINT64_MAX: not known */
    uint64_t aborts;  /* store_abort_count as of then */
};

static void state_close(struct oxbow *db, void *p)
{
    mem_free(&oxbow_port_of(db)->alloc, p, sizeof(struct run_state));
}

static struct run_state *run_state_get(struct oxbow_txn *txn)
{
    struct run_state *r = store_slot_get(txn_store(txn), STORE_SLOT_SCHEDULE);

    if (r == NULL) {
        r = mem_new(&txn_port(txn)->alloc, sizeof *r);
        if (r != NULL) {
            r->high_ms = UINT64_MAX;
            store_slot_set(txn_store(txn), STORE_SLOT_SCHEDULE, r, state_close);
        }
    }
    if (r != NULL && r->aborts != store_abort_count(txn_store(txn))) {
        r->aborts = store_abort_count(txn_store(txn));
        r->high_ms = UINT64_MAX;
    }
    return r;
}

/* ---- the plan ---- */

/* Something is planned when the clock shows that. */
static enum oxbow_err planned_at(struct oxbow_txn *txn, struct schedule_state *st, uint64_t now)
{
    struct run_state *r = run_state_get(txn);

    if (r == NULL) {
        return OXBOW_ENOMEM;
    }
    st->at_ms = now;
    if (st->wall) {
        r->high_ms = now > r->high_ms ? now : r->high_ms;
        return OXBOW_OK;
    }
    return credit_note(txn);
}

enum oxbow_err schedule_cron(const struct schedule *s, struct cron *c)
{
    enum oxbow_err err = cron_parse(s->when, c, NULL);

    c->offset_min = s->offset_min;
    return err == OXBOW_EPARSE ? OXBOW_ECORRUPT : err;
}

enum oxbow_err schedule_plan(struct oxbow_txn *txn, const struct cron *c, struct schedule_state *st)
{
    uint64_t now = txn_clock_ms(txn);
    uint64_t from;

    st->wall = c->every_ms == 0;
    st->at_ms = 0;
    st->next_ms = 0;
    if (st->wall && !txn_wall_believed(txn, &now)) {
        return OXBOW_OK;
    }
    from =
        st->wall && st->last_ms > now && st->last_ms - now <= SCHEDULE_BACK_MS ? st->last_ms : now;
    st->next_ms = cron_after(c, from, 1);
    return planned_at(txn, st, now);
}

void schedule_arm(struct oxbow_txn *txn, const struct schedule_state *st)
{
    if (!st->paused) {
        delay_arm(txn, st->wall, st->next_ms);
    }
}

/* Plans anew what was planned by a clock that showed more than it can have; *high_ms is then the
 * most that the wall clock showed. */
static enum oxbow_err plan_again(struct oxbow_txn *txn, uint64_t wall_ms, uint64_t *high_ms)
{
    char name[OXBOW_SCHEDULE_NAME_MAX + 1] = "";
    uint64_t clock_ms = txn_clock_ms(txn);
    enum oxbow_err err;

    *high_ms = 0;
    while ((err = schedule_next_name(txn, name)) == OXBOW_OK) {
        const struct oxbow_bytes key = {name, strlen(name)};
        struct schedule_state was;
        struct schedule_state st;
        struct schedule s;
        struct cron c;

        err = schedule_state_get(txn, key, &was);
        if (err != OXBOW_OK) {
            continue; /* without one it is not planned */
        }
        st = was;
        if (was.wall ? wall_ms > 0 && was.at_ms > wall_ms && was.at_ms - wall_ms > SCHEDULE_BACK_MS
                     : was.at_ms > clock_ms + AGAIN_MS) {
            err = schedule_get(txn, key, &s);
            err = err == OXBOW_OK ? schedule_cron(&s, &c) : err;
            if (err == OXBOW_OK) {
                err = schedule_plan(txn, &c, &st);
            }
            if (err == OXBOW_OK) {
                err = schedule_state_put(txn, key, &st, &was);
            }
            if (err != OXBOW_OK && err != OXBOW_ECORRUPT) {
                return err;
            }
        }
        *high_ms = st.wall && st.at_ms > *high_ms ? st.at_ms : *high_ms;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Whether the wall clock has gone back too far for what was planned by it. */
static enum oxbow_err look_back(struct oxbow_txn *txn, uint64_t wall_ms)
{
    struct run_state *r = run_state_get(txn);

    if (r == NULL) {
        return OXBOW_ENOMEM;
    }
    return r->high_ms == UINT64_MAX || r->high_ms > wall_ms + SCHEDULE_BACK_MS
               ? plan_again(txn, wall_ms, &r->high_ms)
               : OXBOW_OK;
}

/* ---- adding one ---- */

static enum oxbow_err add_now(struct oxbow_txn *txn, const struct schedule *s)
{
    const struct delay entry = {.type = s->type,
                                .end = s->end,
                                .database = s->database,
                                .name = s->key,
                                .payload = s->payload};

    return delay_add_now(txn, &entry);
}

/* One that is due is under way. */
struct turn {
    struct oxbow_bytes name;
    struct schedule s; /* of a copy */
    struct cron c;
    struct schedule_state was;
    struct schedule_state st;
    uint64_t now_ms; /* by its clock */
};

/* What is too late goes by what was said of missed ones; what is to be added then is st.next_ms. */
static void pass_missed(struct turn *t)
{
    uint64_t edge = t->now_ms > t->s.late_ms ? t->now_ms - t->s.late_ms : 0;
    uint64_t count = 0;

    if (t->st.next_ms >= edge) {
        return;
    }
    if (t->s.missed == OXBOW_MISSED_SKIP) {
        count = 1 + cron_count(&t->c, t->st.next_ms, edge - 1);
    } else {
        uint64_t most = t->s.missed == OXBOW_MISSED_ALL ? t->s.missed_max : 1;

        count = cron_count(&t->c, t->st.next_ms, t->now_ms) + 1;
        count = count > most ? count - most : 0;
    }
    if (count > 0) {
        t->st.missed += count;
        t->st.last_ms = count > 1 ? cron_after(&t->c, t->st.next_ms, count - 1) : t->st.next_ms;
        t->st.next_ms = cron_after(&t->c, t->st.next_ms, count);
    }
}

/* The occurrence at st.next_ms. */
static enum oxbow_err occur(struct oxbow_txn *txn, struct turn *t)
{
    struct run_state *r = run_state_get(txn);
    bool failed;
    enum oxbow_err err;

    if (r == NULL) {
        return OXBOW_ENOMEM;
    }
    failed = r->failed_ms == t->st.next_ms && strlen(r->failed) == t->name.len &&
             memcmp(r->failed, t->name.data, t->name.len) == 0 && t->name.len > 0;
    err = failed ? r->why : add_now(txn, &t->s);
    if (txn_failed(txn) != OXBOW_OK) {
        memcpy(r->failed, t->name.data, t->name.len);
        r->failed[t->name.len] = '\0';
        r->failed_ms = t->st.next_ms;
        r->why = err;
        return err;
    }
    if (failed) {
        r->failed[0] = '\0';
    }
    if (err == OXBOW_OK) {
        t->st.added++;
    } else {
        t->st.refused++;
        t->st.why = (uint16_t)err;
    }
    t->st.last_ms = t->st.next_ms;
    t->st.next_ms = cron_after(&t->c, t->st.next_ms, 1);
    return OXBOW_OK;
}

/* The place where it waits said that it is due. */
static enum oxbow_err take_turn(struct oxbow_txn *txn, struct turn *t, bool *did)
{
    uint64_t early = 0;
    enum oxbow_err err = schedule_cron(&t->s, &t->c);

    if (err != OXBOW_OK) {
        return err;
    }
    if (t->st.next_ms == 0) {
        err = schedule_plan(txn, &t->c, &t->st);
        return err == OXBOW_OK ? schedule_state_put(txn, t->name, &t->st, &t->was) : err;
    }
    if (!t->st.wall) {
        err = credit_since(txn, t->st.at_ms, &early);
        t->st.next_ms += early;
    }
    if (err == OXBOW_OK && t->st.next_ms <= t->now_ms) {
        pass_missed(t);
    }
    if (err == OXBOW_OK && t->st.next_ms <= t->now_ms) {
        *did = true;
        err = occur(txn, t);
    }
    if (err == OXBOW_OK) {
        err = planned_at(txn, &t->st, t->now_ms);
    }
    return err == OXBOW_OK ? schedule_state_put(txn, t->name, &t->st, &t->was) : err;
}

/* A schedule whose records are damaged stops; who sets it again sets it right. */
static enum oxbow_err stop(struct oxbow_txn *txn, bool wall, struct oxbow_bytes name,
                           uint64_t next_ms)
{
    const struct oxbow_log *log = &txn_port(txn)->log;

    log->line(log->ctx, OXBOW_LOG_ERROR, "queue: a schedule is damaged and stops");
    return schedule_place_del(txn, wall, name, next_ms);
}

static enum oxbow_err due(struct oxbow_txn *txn, bool wall, const char *name, uint64_t next_ms,
                          uint64_t now, bool *did)
{
    struct turn t = {.name = {name, strlen(name)}, .now_ms = now};
    struct buf copy;
    enum oxbow_err err = schedule_state_get(txn, t.name, &t.was);

    if (err == OXBOW_OK && (t.was.paused || t.was.wall != wall || t.was.next_ms != next_ms)) {
        return schedule_place_del(txn, wall, t.name, next_ms);
    }
    if (err == OXBOW_OK) {
        err = schedule_dup(txn, t.name, &t.s, &copy);
    }
    if (err == OXBOW_OK) {
        t.st = t.was;
        err = take_turn(txn, &t, did);
        buf_fini(&copy);
    }
    return (err == OXBOW_ECORRUPT || err == OXBOW_ENOENT) && txn_failed(txn) == OXBOW_OK
               ? stop(txn, wall, t.name, next_ms)
               : err;
}

/* ---- steps ---- */

/* The first one by that clock, if it is due; *more: it was. */
static enum oxbow_err step(struct oxbow_txn *txn, bool wall, bool *did, bool *more)
{
    char name[OXBOW_SCHEDULE_NAME_MAX + 1];
    uint64_t now = txn_clock_ms(txn);
    uint64_t next_ms = 0;
    enum oxbow_err err = schedule_first(txn, wall, name, &next_ms);

    *more = false;
    if (err == OXBOW_ENOENT) {
        return OXBOW_OK;
    }
    if (err == OXBOW_OK && wall && !txn_wall_believed(txn, &now)) {
        delay_arm(txn, true, UINT64_MAX);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK && next_ms > now) {
        delay_arm(txn, wall, next_ms);
        return OXBOW_OK;
    }
    *more = err == OXBOW_OK;
    return err == OXBOW_OK ? due(txn, wall, name, next_ms, now, did) : err;
}

/* What was planned by clocks that showed more than they do. */
static enum oxbow_err look(struct oxbow_txn *txn)
{
    char name[OXBOW_SCHEDULE_NAME_MAX + 1];
    struct schedule_state st;
    uint64_t high_ms;
    uint64_t next_ms;
    uint64_t wall;
    enum oxbow_err err = OXBOW_OK;

    if (txn_wall_believed(txn, &wall)) {
        err = look_back(txn, wall);
    }
    if (err == OXBOW_OK) {
        err = schedule_first(txn, false, name, &next_ms);
    }
    if (err == OXBOW_OK) {
        err = schedule_state_get(txn, (struct oxbow_bytes){name, strlen(name)}, &st);
    }
    if (err == OXBOW_OK && st.at_ms > txn_clock_ms(txn) + AGAIN_MS) {
        err = plan_again(txn, 0, &high_ms);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err oxbow_schedule_run(struct oxbow_txn *txn, uint64_t max, uint64_t *done, bool *more)
{
    uint64_t count = 0;
    uint32_t schedules = 0;
    bool again = true;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : schedule_count_get(txn, &schedules);

    max = max > 0 ? max : RUN_OCCURRENCES;
    if (err == OXBOW_OK && schedules > 0) {
        err = look(txn);
    }
    for (uint64_t i = 0; err == OXBOW_OK && schedules > 0 && again && i < max; i++) {
        bool did = false;

        err = step(txn, false, &did, &again);
        if (err == OXBOW_OK && !again) {
            err = step(txn, true, &did, &again);
        }
        count += did;
    }
    if (err != OXBOW_OK) {
        return err == OXBOW_EREADONLY ? err : txn_fail(txn, err);
    }
    if (done != NULL) {
        *done = count;
    }
    if (more != NULL) {
        *more = schedules > 0 && again;
    }
    return OXBOW_OK;
}

enum oxbow_err schedule_idle(struct oxbow_txn *txn, bool *more)
{
    bool again = false;
    enum oxbow_err err = oxbow_schedule_run(txn, STEP_OCCURRENCES, NULL, &again);

    *more = *more || again;
    return err;
}
