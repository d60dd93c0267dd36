/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that comes and goes, and its stand-ins, forward to a real server: whatever is cut, killed and
 * merged when, every entry is at the target once, in the store's key or in a stand-in's, and each key
 * is in order.
 */
#include "engine/queue/mend.h"
#include "engine/store/stand_in.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/support/fault.h"
#include "tests/support/redis.h"
#include "tests/uplink/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NUMBERS_MAX 20000
#define TURNS_MAX   6000

/* What a sitting in a process of its own tells. */
struct shared {
    int streamed; /* numbers given to the stream, and to the list */
    int listed;
    int trouble; /* of a sitting: its line */
};

struct rig {
    struct redis *redis;
    struct shared *shared;
    struct oxbow *db;
    struct oxbow_uplink *u;
    struct wire wire;
    char base[64];
    char dir[80], away[80], memory[80];
    char host[256];
    uint64_t seed;
};

#define SIT(condition)                                                                             \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            g->shared->trouble = __LINE__;                                                         \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static struct oxbow_bytes bytes(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static struct oxbow_config config_of(const struct rig *g)
{
    return (struct oxbow_config){.dir = g->dir,
                                 .port = wire_port(),
                                 .flags = OXBOW_OPEN_EXISTING,
                                 .on_failure = OXBOW_FAILURE_MEMORY,
                                 .stand_in = g->memory};
}

/* As firmware does at every start. */
static bool define(struct oxbow *db)
{
    struct oxbow_forward_options f = {.key = bytes("q"),
                                      .type = OXBOW_TYPE_STREAM,
                                      .true_time = true,
                                      .batch_count = 10,
                                      .linger_ms = -1};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, NULL, &txn);

    if (err == OXBOW_OK) {
        err = oxbow_identity_set(txn, "dev", NULL);
    }
    if (err == OXBOW_OK) {
        err = oxbow_forward_create(txn, "f", &f);
        err = err == OXBOW_EEXIST ? OXBOW_OK : err;
    }
    if (err == OXBOW_OK) {
        f.key = bytes("l");
        f.type = OXBOW_TYPE_LIST;
        f.true_time = false;
        err = oxbow_forward_create(txn, "fl", &f);
        err = err == OXBOW_EEXIST ? OXBOW_OK : err;
    }
    if (err == OXBOW_OK) {
        err = oxbow_txn_commit(txn, NULL);
    }
    return err == OXBOW_OK || err == OXBOW_EVOLATILE;
}

static bool link_up(struct rig *g)
{
    struct oxbow_uplink_target target = {g->host, 0};
    struct oxbow_uplink_config uplink = {.targets = &target,
                                         .target_count = 1,
                                         .batch_bytes = 1024,
                                         .first_spread_ms = 1,
                                         .backoff_base_ms = 10,
                                         .backoff_cap_ms = 1000};

    if (!define(g->db) || oxbow_uplink_open(g->db, &uplink, &g->u) != OXBOW_OK) {
        return false;
    }
    wire_init(&g->wire, g->u, g->seed++);
    return true;
}

static void link_down(struct rig *g)
{
    wire_fini(&g->wire);
    oxbow_uplink_close(g->u);
}

static bool add(struct rig *g, int streamed, int listed)
{
    for (int i = 0; i < streamed + listed; i++) {
        int *n = i < streamed ? &g->shared->streamed : &g->shared->listed;
        char text[16];
        struct oxbow_field field = {bytes("n"), {text, 0}};
        struct oxbow_txn *txn;
        enum oxbow_err err = oxbow_txn_begin(g->db, NULL, &txn);

        field.value.len = (size_t)snprintf(text, sizeof text, "%d", *n);
        if (err == OXBOW_OK) {
            err = i < streamed
                      ? oxbow_stream_add(txn, bytes("q"), NULL, &field, 1, NULL)
                      : oxbow_list_push(txn, bytes("l"), OXBOW_RIGHT, &field.value, 1, NULL);
        }
        if (err == OXBOW_OK) {
            err = oxbow_txn_commit(txn, NULL);
        }
        if (err != OXBOW_OK && err != OXBOW_EVOLATILE) {
            return false;
        }
        (*n)++;
    }
    return true;
}

static void rig_make(struct rig *g, const char *test)
{
    const struct redis_config server = {.aof = true};
    struct oxbow_config config = {.port = wire_port()};

    memset(g, 0, sizeof *g);
    g->seed = wire_seed(test);
    g->redis = redis_open(&server);
    g->shared =
        mmap(NULL, sizeof *g->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(g->shared != MAP_FAILED);
    snprintf(g->host, sizeof g->host, "unix:%s", redis_socket(g->redis));
    snprintf(g->base, sizeof g->base, "/tmp/oxbow-meanwhile-XXXXXX");
    assert_non_null(mkdtemp(g->base));
    snprintf(g->dir, sizeof g->dir, "%s/store", g->base);
    snprintf(g->away, sizeof g->away, "%s/away", g->base);
    snprintf(g->memory, sizeof g->memory, "%s/memory", g->base);
    config.dir = g->dir;
    assert_int_equal(oxbow_open(&config, &g->db), OXBOW_OK);
    assert_true(define(g->db));
    assert_int_equal(oxbow_close(g->db), OXBOW_OK);
}

static void rig_free(struct rig *g)
{
    char command[128];

    munmap(g->shared, sizeof *g->shared);
    redis_close(g->redis);
    snprintf(command, sizeof command, "rm -rf '%s'", g->base);
    assert_int_equal(system(command), 0);
}

static void store_open_again(struct rig *g)
{
    const struct oxbow_config config = config_of(g);
    struct oxbow_recovery recovery;
    struct oxbow_stat stat;

    assert_int_equal(oxbow_open(&config, &g->db), OXBOW_OK);
    oxbow_stat(g->db, &stat);
    assert_false(stat.in_memory);
    oxbow_recovery(g->db, &recovery);
    assert_int_equal(recovery.merge_left, OXBOW_OK);
    assert_true(link_up(g));
}

static void store_close(struct rig *g)
{
    link_down(g);
    assert_int_equal(oxbow_close(g->db), OXBOW_OK);
}

/* ---- sittings with a stand-in ---- */

enum end { END_CLOSED, END_KILLED };

static void sit(struct rig *g, uint32_t turns, const struct wire_faults *faults, enum end end)
{
    const struct oxbow_config config = config_of(g);
    struct oxbow_stat stat;

    SIT(oxbow_open(&config, &g->db) == OXBOW_OK);
    oxbow_stat(g->db, &stat);
    SIT(stat.stand_in);
    SIT(link_up(g));
    g->wire.faults = *faults;
    SIT(add(g, 5 + (int)wire_random(&g->wire, 60), (int)wire_random(&g->wire, 20)));
    while (turns-- > 0) {
        SIT(wire_turn(&g->wire));
        if (turns % 8 == 0) {
            SIT(add(g, 1, 0));
        }
    }
    if (end == END_CLOSED) {
        link_down(g);
        SIT(oxbow_close(g->db) == OXBOW_OK);
    }
    _exit(0);
}

/* Sends, and never hears what came of it: the first batch is answered, no other is. */
static void sit_deaf(struct rig *g)
{
    const struct oxbow_config config = config_of(g);
    struct oxbow_uplink_status status = {0};

    SIT(oxbow_open(&config, &g->db) == OXBOW_OK);
    SIT(link_up(g));
    SIT(add(g, 1, 0));
    for (int turn = 0; status.batches == 0; turn++) {
        SIT(turn < TURNS_MAX);
        SIT(wire_turn(&g->wire));
        oxbow_uplink_status(g->u, &status);
    }
    g->wire.faults.robbed = 1000;
    SIT(add(g, 40, 5));
    for (int turn = 0; turn < 50; turn++) {
        SIT(wire_turn(&g->wire));
    }
    _exit(0);
}

/* In a process of its own, so that it can end without a word. */
static void sitting(struct rig *g, uint32_t turns, const struct wire_faults *faults, enum end end)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0 && faults == NULL) {
        sit_deaf(g);
    } else if (child == 0) {
        sit(g, turns, faults, end);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    g->seed += 100;
    if (status != 0) {
        fail_msg("a sitting failed at line %d", g->shared->trouble);
    }
}

/* ---- the target ---- */

static int numbers_of(struct rig *g, const char *key, bool list, int *out, int count)
{
    const char *text = list ? redis_command(g->redis, "LRANGE", key, "0", "-1", NULL)
                            : redis_command(g->redis, "XRANGE", key, "-", "+", NULL);
    bool value = list;
    int first = count;
    int times = 0;

    while (*text != 0) {
        const char *end = strchr(text, '\n');
        size_t len = end == NULL ? strlen(text) : (size_t)(end - text);

        if (value && count < NUMBERS_MAX) {
            out[count] = atoi(text);
            assert_true(count == first || out[count] > out[count - 1]); /* in order in each key */
            count++;
        }
        value = list || (len == 1 && text[0] == 'n');
        times += len == strlen(OXBOW_FORWARD_TIME) && memcmp(text, OXBOW_FORWARD_TIME, len) == 0;
        assert_true(times <= count - first); /* each is told once */
        text += len + (end != NULL);
    }
    return count;
}

/* All keys that begin so. */
static int numbers_at_target(struct rig *g, const char *pattern, bool list, int *out, int *keys)
{
    static char names[1 << 16];
    int count = 0;

    snprintf(names, sizeof names, "%s", redis_command(g->redis, "KEYS", pattern, NULL));
    *keys = 0;
    for (char *name = strtok(names, "\n"); name != NULL; name = strtok(NULL, "\n")) {
        count = numbers_of(g, name, list, out, count);
        (*keys)++;
    }
    return count;
}

/* How many are there more than once, and how many not at all. */
static void judge(struct rig *g, bool list, int *twice, int *missing, int *keys)
{
    static int found[NUMBERS_MAX];
    static int times[NUMBERS_MAX];
    int total = list ? g->shared->listed : g->shared->streamed;
    int count = numbers_at_target(g, list ? "oxbow:{dev}:l*" : "oxbow:{dev}:q*", list, found, keys);

    memset(times, 0, sizeof times);
    *twice = *missing = 0;
    for (int i = 0; i < count; i++) {
        assert_in_range(found[i], 0, total - 1);
        *twice += times[found[i]]++ > 0;
    }
    for (int i = 0; i < total; i++) {
        *missing += times[i] == 0;
    }
}

static void assert_once(struct rig *g)
{
    int twice, missing, keys;

    judge(g, false, &twice, &missing, &keys);
    assert_int_equal(twice, 0);
    assert_int_equal(missing, 0);
    print_message("%d numbers in %d keys\n", g->shared->streamed, keys);
    judge(g, true, &twice, &missing, &keys);
    assert_int_equal(twice, 0);
    assert_int_equal(missing, 0);
    assert_in_range(keys, 0, 1); /* lists are not sent meanwhile */
}

static bool drained(struct rig *g)
{
    struct oxbow_txn_options options = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_forward_status status;
    struct oxbow_result names = {0};
    struct oxbow_txn *txn;
    bool done = true;

    assert_int_equal(oxbow_txn_begin(g->db, &options, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_list(txn, &names), OXBOW_OK);
    for (size_t i = 0; i < names.item_count; i++) {
        char name[OXBOW_FORWARD_NAME_MAX + 1] = "";

        memcpy(name, names.items[i].data, names.items[i].len);
        assert_int_equal(oxbow_forward_status(txn, name, &status), OXBOW_OK);
        done = done && status.backlog_entries == 0;
    }
    oxbow_txn_abort(txn);
    oxbow_result_fini(&names);
    return done;
}

static void drain(struct rig *g)
{
    struct oxbow_uplink_status status;

    g->wire.faults = (struct wire_faults){0};
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        assert_true(wire_turn(&g->wire));
        if (drained(g)) {
            return;
        }
    }
    oxbow_uplink_status(g->u, &status);
    fail_msg("not drained: trouble %d %s", (int)status.trouble, status.trouble_text);
}

/* ---- tests ---- */

static void every_entry_is_at_the_target_once_whatever_is_cut_and_killed(void **state)
{
    struct rig g;

    (void)state;
    rig_make(&g, "rounds");
    for (int round = 0; round < 6; round++) {
        const struct wire_faults faults = {.reset = 30, .robbed = 60, .cut_send = 30};
        int sittings;

        store_open_again(&g);
        g.wire.faults = faults;
        assert_true(add(&g, 20, 10));
        for (uint64_t turns = wire_random(&g.wire, 40); turns > 0; turns--) {
            assert_true(wire_turn(&g.wire));
        }
        sittings = 1 + (int)wire_random(&g.wire, 3);
        if (round == 3) {
            drain(&g);
        }
        store_close(&g);
        assert_int_equal(rename(g.dir, g.away), 0);
        for (int i = 0; i < sittings; i++) {
            sitting(&g, 20 + 30 * (uint32_t)i, &faults, (round + i) % 2 ? END_KILLED : END_CLOSED);
        }
        assert_int_equal(rename(g.away, g.dir), 0);
    }
    store_open_again(&g);
    drain(&g);
    assert_once(&g);
    store_close(&g);
    rig_free(&g);
}

/* What was sent, and nobody knows it: every reply is lost, then the program is killed. */
static void leave_unanswered(struct rig *g)
{
    assert_int_equal(rename(g->dir, g->away), 0);
    sitting(g, 0, NULL, END_KILLED);
    assert_int_equal(rename(g->away, g->dir), 0);
}

static void what_was_never_answered_is_settled_where_it_was_sent(void **state)
{
    struct rig g;

    (void)state;
    rig_make(&g, "unanswered");
    leave_unanswered(&g);
    store_open_again(&g);
    assert_true(add(&g, 10, 0));
    drain(&g);
    assert_once(&g);
    store_close(&g);
    rig_free(&g);
}

/* The control: without the note of how far it was sent, what the target has is sent again. */
static void without_the_note_entries_would_come_twice(void **state)
{
    struct oxbow_config config;
    struct oxbow_config one;
    char dir[STAND_IN_DIR_MAX];
    int keys, twice, missing;
    struct oxbow_txn *txn;
    struct rig g;

    (void)state;
    rig_make(&g, "control");
    leave_unanswered(&g);
    judge(&g, false, &twice, &missing, &keys);
    print_message("%d of %d at the target, unanswered\n", g.shared->streamed - missing,
                  g.shared->streamed);
    config = config_of(&g);
    stand_in_config(&config, 1, dir, &one);
    assert_int_equal(store_open(&one, mend_store, &g.db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(g.db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_del(txn, (struct oxbow_bytes){"\x40"
                                                      "w\0\0\0\1",
                                                      6}),
                     OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_close(g.db), OXBOW_OK);
    store_open_again(&g);
    drain(&g);
    judge(&g, false, &twice, &missing, &keys);
    assert_true(twice > 0);
    store_close(&g);
    rig_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_at_the_target_once_whatever_is_cut_and_killed),
        cmocka_unit_test(what_was_never_answered_is_settled_where_it_was_sent),
        cmocka_unit_test(without_the_note_entries_would_come_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
