/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a store of level 2: policies, a replay window, what was added once, delays, times to live, group
 * options with entries in every state, dead letters, schedules, bindings, priorities, strings, patrols,
 * forwards with gaps and notes, openings that know the time and such that do not.
 *
 * What it writes is part of the format's history: once a release has written such stores it is not
 * changed, and a new level gets one of its own.
 */
#include "tests/golden/level_2.h"

#include "oxbow/binding.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/forward.h"
#include "oxbow/group_options.h"
#include "oxbow/list.h"
#include "oxbow/once.h"
#include "oxbow/patrol.h"
#include "oxbow/policy.h"
#include "oxbow/schedule.h"
#include "oxbow/stream.h"
#include "oxbow/string.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct oxbow_result result;

static void must(enum oxbow_err err)
{
    if (err != OXBOW_OK) {
        (void)fprintf(stderr, "golden: %s\n", oxbow_err_name(err));
        abort();
    }
}

/* ---- the device ---- */

static uint64_t wall_ms(void *ctx)
{
    return ((struct device *)ctx)->wall_ms;
}

static uint64_t mono_us(void *ctx)
{
    return ((struct device *)ctx)->mono_us;
}

static bool wall_is_set(void *ctx)
{
    return ((struct device *)ctx)->wall_ms >= BEGAN;
}

void device_init(struct device *d, const char *dir)
{
    *d = (struct device){.port = *oxbow_port_default(), .wall_ms = BEGAN, .mono_us = 1000000000};
    d->port.clock = (struct oxbow_clock){d, wall_ms, mono_us, wall_is_set};
    d->config = (struct oxbow_config){.dir = dir,
                                      .port = &d->port,
                                      .quota_bytes = 4u << 20,
                                      .dirty_pages = 64,
                                      .memtable_bytes = 512u << 10,
                                      .txn_bytes = 256u << 10,
                                      .entry_bytes = 128u << 10,
                                      .journal = OXBOW_JOURNAL_ON,
                                      .journal_segments = 2,
                                      .journal_bytes = 256u << 10};
}

void device_pass(struct device *d, uint64_t ms)
{
    d->wall_ms += ms;
    d->mono_us += ms * 1000;
}

void device_open(struct device *d)
{
    d->config.port = &d->port;
    must(oxbow_open(&d->config, &d->db));
}

void device_begin(struct device *d)
{
    must(oxbow_txn_begin(d->db, NULL, &d->txn));
}

void device_commit(struct device *d)
{
    must(oxbow_txn_commit(d->txn, NULL));
}

const uint8_t *level_2_blob(void)
{
    static uint8_t blob[BLOB_BYTES];

    for (size_t i = 0; i < sizeof blob; i++) {
        blob[i] = (uint8_t)(i * 31 + i / 256);
    }
    return blob;
}

/* ---- shorthands ---- */

/* One entry ms-0 {k: key, n: ms}. */
static void add(struct device *d, const char *stream, uint64_t ms, const char *key,
                struct oxbow_stream_add_options opt)
{
    char number[24];
    struct oxbow_field fields[] = {{BYTES("k"), {key, strlen(key)}}, {BYTES("n"), {number, 0}}};

    fields[1].value.len = (size_t)snprintf(number, sizeof number, "%llu", (unsigned long long)ms);
    opt.id_mode = OXBOW_ID_EXPLICIT;
    opt.id = (struct oxbow_id){ms, 0};
    must(oxbow_stream_add(d->txn, (struct oxbow_bytes){stream, strlen(stream)}, &opt, fields, 2,
                          NULL));
}

static void fill(struct device *d, const char *stream, uint64_t from, uint64_t to)
{
    for (uint64_t ms = from; ms <= to; ms++) {
        add(d, stream, ms, ms % 2 == 0 ? "even" : "odd", (struct oxbow_stream_add_options){0});
    }
}

static void push(struct device *d, const char *list, const char *value)
{
    struct oxbow_bytes v = {value, strlen(value)};

    must(oxbow_list_push(d->txn, (struct oxbow_bytes){list, strlen(list)}, OXBOW_RIGHT, &v, 1,
                         NULL));
}

static void create(struct device *d, struct oxbow_group group)
{
    must(oxbow_group_create(d->txn, group,
                            &(struct oxbow_group_create_options){.make_stream = true}));
}

static void read_some(struct device *d, struct oxbow_group group, const char *consumer,
                      uint64_t count)
{
    const struct oxbow_group_read_options opt = {.count = count};

    must(oxbow_group_read(d->txn, group, (struct oxbow_bytes){consumer, strlen(consumer)}, &opt,
                          &result));
}

/* ---- the first life: all of it, closed ---- */

static void make_policies(struct device *d)
{
    const struct oxbow_policy ring = {.max_entries = 10,
                                      .max_bytes = 100000,
                                      .max_age_ms = 300 * DAY,
                                      .keep_ms = 5 * DAY,
                                      .keep_bytes = 50000,
                                      .on_full = OXBOW_POLICY_DROP_OLDEST,
                                      .dedupe_ms = 6 * DAY,
                                      .dedupe_count = 100};
    const struct oxbow_policy plate = {.max_entries = 2, .on_full = OXBOW_POLICY_BLOCK};
    const struct oxbow_policy belt = {.max_entries = 3, .on_full = OXBOW_POLICY_DROP_OLDEST};
    struct oxbow_id ids[5];

    must(oxbow_policy_set(d->txn, BYTES("ring"), &ring));
    must(oxbow_policy_set(d->txn, BYTES("plate"), &plate));
    must(oxbow_policy_set(d->txn, BYTES("belt"), &belt));
    must(oxbow_policy_set(d->txn, BYTES("once"), &ring));
    must(oxbow_policy_set(d->txn, BYTES("tight"), &(struct oxbow_policy){.max_entries = 1}));
    create(d, GROUP("ring", "readers"));
    fill(d, "ring", 1, 15);
    read_some(d, GROUP("ring", "readers"), "anna", 5);
    for (size_t i = 0; i < 5; i++) {
        ids[i] = result.entries[i].id;
    }
    must(oxbow_group_ack(d->txn, GROUP("ring", "readers"), ids, 5, NULL));
    for (unsigned i = 0; i < 5; i++) {
        push(d, "belt", (const char *const[]){"a", "b", "c", "d", "e"}[i]);
    }
    push(d, "plate", "one");
    push(d, "plate", "two");
    push(d, "tight", "full");
}

static void make_once(struct device *d)
{
    const struct oxbow_field field = {BYTES("n"), BYTES("1")};
    struct oxbow_once_outcome out;

    for (unsigned i = 0; i < 3; i++) {
        const struct oxbow_once once = {.id = {&"a\0b\0c"[(size_t)2 * i], 1}};

        must(oxbow_once_add(d->txn, BYTES("once"), &once, &field, 1, &out));
    }
    must(oxbow_once_push(d->txn, BYTES("counted"), OXBOW_RIGHT,
                         &(struct oxbow_once){.producer = BYTES("pump"), .sequence = 7},
                         BYTES("seven"), &out));
}

static void make_delays(struct device *d)
{
    const struct oxbow_field field = {BYTES("n"), BYTES("late")};
    struct oxbow_delay_id id;

    must(oxbow_delay_add(d->txn, BYTES("later"),
                         &(struct oxbow_delay_when){OXBOW_DELAY_FOR, 10 * DAY}, &field, 1, &id));
    must(oxbow_delay_set_priority(d->txn, id, 2));
    must(oxbow_delay_push(d->txn, BYTES("dated"), OXBOW_LEFT,
                          &(struct oxbow_delay_when){OXBOW_DELAY_WALL, BEGAN + 11 * DAY},
                          BYTES("by date"), NULL));
    must(oxbow_delay_push(d->txn, BYTES("tight"), OXBOW_RIGHT,
                          &(struct oxbow_delay_when){OXBOW_DELAY_FOR, 1}, BYTES("squeezed"), NULL));
}

static void make_ttls(struct device *d)
{
    add(d, "brief", 1, "k", (struct oxbow_stream_add_options){.ttl_ms = 10 * DAY});
    add(d, "brief", 2, "k", (struct oxbow_stream_add_options){.ttl_ms = 90 * DAY});
    add(d, "brief", 3, "k", (struct oxbow_stream_add_options){0});
}

/* Of twelve, of three keys in turn: 1 is acked, 2 failed and rests, 3 is put off, 4 dead, 5 extended; 6 was
 * dead and is sent back, which takes its key; bert has it, and 7 and 10; 8, 9, 11 and 12 are held behind 2
 * and 3. */
static void make_tasks(struct device *d)
{
    static const char *const keys[] = {"c", "a", "b"};
    const struct oxbow_group g = GROUP("tasks", "workers");
    const struct oxbow_group_options opt = {.visibility_ms = 30 * DAY,
                                            .max_deliveries = 3,
                                            .dead_letter = BYTES("dead"),
                                            .retry_base_ms = 7 * DAY,
                                            .retry_jitter_percent = 50,
                                            .prefetch = 10,
                                            .key_field = BYTES("k")};
    struct oxbow_redrive out;
    struct oxbow_id ids[9];

    create(d, g);
    must(oxbow_group_options_set(d->txn, g, &opt));
    for (uint64_t i = 1; i <= 12; i++) {
        add(d, "tasks", i, keys[i % 3], (struct oxbow_stream_add_options){0});
        if (i <= 8) {
            ids[i] = (struct oxbow_id){i, 0};
        }
    }
    read_some(d, g, "anna", 6);
    must(oxbow_group_ack(d->txn, g, &ids[1], 1, NULL));
    must(oxbow_group_nack(d->txn, g, &(struct oxbow_group_nack_options){.ids = &ids[2], .count = 1},
                          NULL));
    must(oxbow_group_nack(
        d->txn, g,
        &(struct oxbow_group_nack_options){
            .ids = &ids[3], .count = 1, .how = OXBOW_NACK_DELAY, .delay_ms = 9 * DAY},
        NULL));
    must(oxbow_group_nack(d->txn, g,
                          &(struct oxbow_group_nack_options){.ids = (struct oxbow_id[]){ids[6]},
                                                             .count = 1,
                                                             .how = OXBOW_NACK_DEAD},
                          NULL));
    must(oxbow_redrive(d->txn, BYTES("dead"), NULL, &out));
    must(oxbow_group_nack(
        d->txn, g,
        &(struct oxbow_group_nack_options){
            .ids = &ids[4], .count = 1, .how = OXBOW_NACK_DEAD, .reason = BYTES("broken")},
        NULL));
    must(oxbow_group_extend(
        d->txn, g,
        &(struct oxbow_group_extend_options){.ids = &ids[5], .count = 1, .visible_ms = 20 * DAY},
        NULL));
    read_some(d, g, "bert", 4);
}

static void make_solo(struct device *d)
{
    const struct oxbow_group g = GROUP("tasks", "solo");
    const struct oxbow_group_options opt = {.visibility_ms = DAY, .exclusive_ms = DAY};

    create(d, g);
    must(oxbow_group_options_set(d->txn, g, &opt));
    read_some(d, g, "carl", 2);
}

static void make_schedules(struct device *d)
{
    const struct oxbow_field field = {BYTES("kind"), BYTES("daily")};
    const struct oxbow_schedule_options tick = {.when = BYTES("every 2d"),
                                                .missed = OXBOW_MISSED_ALL,
                                                .missed_max = 3,
                                                .key = BYTES("ticks"),
                                                .value = BYTES("tick")};
    const struct oxbow_schedule_options daily = {.when = BYTES("30 3 * * *"),
                                                 .offset_min = 60,
                                                 .missed = OXBOW_MISSED_ONCE,
                                                 .key = BYTES("reports"),
                                                 .fields = &field,
                                                 .field_count = 1};

    must(oxbow_schedule_set(d->txn, "tick", &tick));
    must(oxbow_schedule_set(d->txn, "daily", &daily));
    must(oxbow_schedule_set(d->txn, "paused", &daily));
    must(oxbow_schedule_pause(d->txn, "paused", true));
}

static void route(struct device *d, const char *key)
{
    const struct oxbow_field fields[] = {{BYTES("k"), {key, strlen(key)}},
                                         {BYTES("n"), BYTES("1")}};

    must(oxbow_stream_add(d->txn, BYTES("from"), NULL, fields, 2, NULL));
}

static void make_bindings(struct device *d)
{
    const struct oxbow_field header = {BYTES("n"), BYTES("1")};
    const struct oxbow_binding bindings[] = {
        {.source = BYTES("from"),
         .destination = BYTES("to"),
         .kind = OXBOW_BIND_TOPIC,
         .field = BYTES("k"),
         .pattern = BYTES("order.#")},
        {.source = BYTES("from"),
         .destination = BYTES("plate"),
         .type = OXBOW_TYPE_LIST,
         .kind = OXBOW_BIND_DIRECT,
         .on_full = OXBOW_BINDING_SKIP,
         .field = BYTES("k"),
         .pattern = BYTES("order.new"),
         .value_field = BYTES("n")},
        {.source = BYTES("to"),
         .destination = BYTES("end"),
         .kind = OXBOW_BIND_HEADERS,
         .headers = &header,
         .header_count = 1},
    };

    for (size_t i = 0; i < sizeof bindings / sizeof bindings[0]; i++) {
        must(oxbow_bind(d->txn, &bindings[i], NULL));
    }
    must(oxbow_source_set(
        d->txn, BYTES("from"),
        &(struct oxbow_source){.keeps_nothing = true, .alternate = BYTES("rest")}));
    route(d, "order.new"); /* the plate is full: it goes without */
    route(d, "order.old");
    route(d, "bill"); /* the alternate's */
}

static void make_priorities(struct device *d)
{
    const struct oxbow_policy policy = {.priorities = 3,
                                        .priority_weights = OXBOW_PRIORITY_WEIGHT(2, 3) |
                                                            OXBOW_PRIORITY_WEIGHT(1, 2),
                                        .priority_wait_ms = 50 * DAY};
    const struct oxbow_id gone = {7, 0};

    must(oxbow_policy_set(d->txn, BYTES("ranked"), &policy));
    create(d, GROUP("ranked", "g"));
    for (uint64_t i = 1; i <= 9; i++) {
        add(d, "ranked", i, "k", (struct oxbow_stream_add_options){.priority = (uint32_t)i % 3});
    }
    read_some(d, GROUP("ranked", "g"), "anna", 4); /* 2, 5, 8 and 1 */
    must(oxbow_stream_delete(d->txn, BYTES("ranked"), &gone, 1, NULL));
}

static void make_forwards(struct device *d)
{
    const struct oxbow_forward_options outbox = {.key = BYTES("outbox"),
                                                 .type = OXBOW_TYPE_STREAM,
                                                 .target = BYTES("central:outbox"),
                                                 .max_bytes = 100,
                                                 .on_full = OXBOW_FULL_DROP_OLDEST,
                                                 .hold_ms = 60000,
                                                 .true_time = true};
    const struct oxbow_forward_options jobs = {
        .key = BYTES("jobs"), .type = OXBOW_TYPE_LIST, .urgent = true, .weight = 5};
    const struct oxbow_forward_options acked = {.key = BYTES("tasks"),
                                                .type = OXBOW_TYPE_STREAM,
                                                .select = OXBOW_SELECT_ACKED,
                                                .group = BYTES("workers"),
                                                .after = OXBOW_AFTER_KEEP,
                                                .confirm = OXBOW_CONFIRM_REPLICAS,
                                                .replicas = 2};
    bool more;

    must(oxbow_identity_set(d->txn, "device-7", "machine-7"));
    must(oxbow_forward_create(d->txn, "up", &outbox));
    must(oxbow_forward_create(d->txn, "jobs", &jobs));
    must(oxbow_forward_create(d->txn, "acked", &acked));
    fill(d, "outbox", 1, 30); /* the budget drops the oldest */
    push(d, "jobs", "job 1");
    push(d, "jobs", "job 2");
    must(oxbow_forward_sent(d->txn, "acked", (struct oxbow_id){1, 0}));
    must(oxbow_forward_confirmed(d->txn, "acked", (struct oxbow_id){1, 0}, &more));
}

static void make_rest(struct device *d)
{
    const struct oxbow_patrol_options patrol = {.processing = BYTES("work"),
                                                .to = BYTES("todo"),
                                                .timeout_ms = 2 * DAY,
                                                .max_returns = 3,
                                                .dead = BYTES("lost")};
    struct oxbow_patrol found;

    must(oxbow_string_set(d->txn, BYTES("state"), BYTES("half way")));
    must(
        oxbow_string_set(d->txn, BYTES("large"), (struct oxbow_bytes){level_2_blob(), BLOB_BYTES}));
    push(d, "work", "in hand");
    must(oxbow_list_patrol(d->txn, &patrol, &found));
    fill(d, "log", 1, IN_TREE);
    for (unsigned i = 1; i <= IN_TREE; i++) {
        push(d, "tail", "element");
    }
}

static void first_life(struct device *d)
{
    device_open(d);
    device_begin(d);
    make_policies(d);
    make_once(d);
    make_delays(d);
    make_ttls(d);
    make_tasks(d);
    make_solo(d);
    make_schedules(d);
    device_commit(d);
    device_begin(d);
    make_bindings(d);
    make_priorities(d);
    make_forwards(d);
    make_rest(d);
    device_commit(d);
    device_pass(d, 100);
    device_begin(d);
    must(oxbow_delay_run(d->txn, 0, NULL, NULL)); /* `tight` refuses: put off */
    device_commit(d);
    must(oxbow_close(d->db));
}

/* ---- the second: a day later, its clock is set late; killed ---- */

static void second_life(struct device *d)
{
    d->wall_ms = NOT_SET;
    d->mono_us = 20000000;
    device_open(d);
    device_begin(d);
    must(oxbow_stream_add(d->txn, BYTES("undated"), NULL,
                          (struct oxbow_field[]){{BYTES("n"), BYTES("1")}}, 1, NULL));
    must(oxbow_delay_push(d->txn, BYTES("later still"), OXBOW_RIGHT,
                          &(struct oxbow_delay_when){OXBOW_DELAY_FOR, 10 * DAY}, BYTES("by span"),
                          NULL));
    device_commit(d);
    device_pass(d, HOUR);
    d->wall_ms = BEGAN + DAY + HOUR;
    device_begin(d);
    add(d, "brief", 4, "k", (struct oxbow_stream_add_options){.ttl_ms = 90 * DAY});
    device_commit(d);
    _exit(0);
}

/* ---- the third: its clock is never set; killed ---- */

static void third_life(struct device *d)
{
    d->wall_ms = NOT_SET;
    d->mono_us = 20000000;
    device_open(d);
    for (unsigned i = IN_TREE + 1; i <= IN_ALL; i++) {
        device_begin(d);
        fill(d, "log", i, i);
        push(d, "tail", "element");
        device_commit(d);
    }
    device_begin(d);
    must(oxbow_stream_add(d->txn, BYTES("undated"), NULL,
                          (struct oxbow_field[]){{BYTES("n"), BYTES("2")}}, 1, NULL));
    device_commit(d);
    _exit(0);
}

static void killed(struct device *d, void (*life)(struct device *d))
{
    pid_t pid = fork();
    int status = 1;

    if (pid == 0) {
        life(d);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        abort();
    }
}

void level_2_make(const char *dir)
{
    struct device d;

    device_init(&d, dir);
    first_life(&d);
    oxbow_result_fini(&result);
    killed(&d, second_life);
    killed(&d, third_life);
}
