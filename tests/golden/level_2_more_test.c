/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second store of level 2, format-1.2b.tar.gz, with what came after format-1.2.tar.gz was written: a group that
 * the store itself serves with dead letters, whose originals go; what entries get that say nothing of a
 * time to live or a delay; entries that came from a stand-in.
 *
 *   level_2_more_test             checks the archive that it is told of at build time
 *   level_2_more_test --make DIR  writes such a store (make.sh)
 */
#include "engine/base/codec.h"
#include "engine/store/kv.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/group_options.h"
#include "oxbow/list.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"
#include "tests/golden/archive.h"
#include "tests/golden/level_2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct oxbow_result result;

/* ---- writing it ---- */

static void must(enum oxbow_err err)
{
    if (err != OXBOW_OK) {
        (void)fprintf(stderr, "golden: %s\n", oxbow_err_name(err));
        abort();
    }
}

static void add(struct device *d, struct oxbow_bytes key, struct oxbow_stream_add_options opt)
{
    const struct oxbow_field field = {BYTES("n"), BYTES("1")};

    must(oxbow_stream_add(d->txn, key, &opt, &field, 1, NULL));
}

static void add_numbered(struct device *d, struct oxbow_bytes key, uint64_t from, uint64_t to)
{
    for (uint64_t ms = from; ms <= to; ms++) {
        add(d, key, (struct oxbow_stream_add_options){.id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}});
    }
}

/* Of eight: 1 is acked; 2 was rejected, and is a letter; 3 is on its last delivery; 4 was given once. */
static void make_group(struct device *d)
{
    const struct oxbow_group g = GROUP("jobs", "workers");
    const struct oxbow_group_options opt = {.visibility_ms = DAY,
                                            .max_deliveries = 2,
                                            .dead_letter = BYTES("dead"),
                                            .dead_remove = true};
    const struct oxbow_group_read_options four = {.count = 4};
    const struct oxbow_id ids[] = {{1, 0}, {2, 0}, {3, 0}};

    must(oxbow_group_create(d->txn, g, &(struct oxbow_group_create_options){.make_stream = true}));
    must(oxbow_group_options_set(d->txn, g, &opt));
    add_numbered(d, BYTES("jobs"), 1, 8);
    must(oxbow_group_read(d->txn, g, BYTES("anna"), &four, &result));
    must(oxbow_group_ack(d->txn, g, &ids[0], 1, NULL));
    must(oxbow_group_nack(
        d->txn, g,
        &(struct oxbow_group_nack_options){
            .ids = &ids[1], .count = 1, .how = OXBOW_NACK_DEAD, .reason = BYTES("broken")},
        NULL));
    must(oxbow_group_nack(d->txn, g, &(struct oxbow_group_nack_options){.ids = &ids[2], .count = 1},
                          NULL));
    must(oxbow_group_read(d->txn, g, BYTES("bert"), &(struct oxbow_group_read_options){.count = 1},
                          &result));
}

static void make_defaults(struct device *d)
{
    const struct oxbow_policy brief = {.default_ttl_ms = 30 * DAY};
    const struct oxbow_policy slow = {.default_delay_ms = 5 * DAY, .default_ttl_ms = 300 * DAY};

    must(oxbow_policy_set(d->txn, BYTES("brief"), &brief));
    must(oxbow_policy_set(d->txn, BYTES("slow"), &slow));
    add(d, BYTES("brief"), (struct oxbow_stream_add_options){0});
    add(d, BYTES("brief"), (struct oxbow_stream_add_options){.ttl_ms = OXBOW_STREAM_TTL_NONE});
    add(d, BYTES("slow"), (struct oxbow_stream_add_options){0});
    add(d, BYTES("slow"), (struct oxbow_stream_add_options){.undelayed = true});
}

static void push(struct device *d, const char *value)
{
    const struct oxbow_bytes v = {value, strlen(value)};
    enum oxbow_err err;

    device_begin(d);
    must(oxbow_list_push(d->txn, BYTES("meanwhile"), OXBOW_RIGHT, &v, 1, NULL));
    err = oxbow_txn_commit(d->txn, NULL);
    must(err == OXBOW_EVOLATILE ? OXBOW_OK : err);
}

/* Killed with frames that need replay. */
static void last_life(struct device *d)
{
    device_open(d);
    push(d, "later");
    device_begin(d);
    add_numbered(d, BYTES("jobs"), 9, 10);
    device_commit(d);
    _exit(0);
}

static void make(const char *dir)
{
    char away[1000], memory[1000], command[1100];
    struct device d;
    int status = 1;

    (void)snprintf(away, sizeof away, "%s.away", dir);
    (void)snprintf(memory, sizeof memory, "%s.memory", dir);
    device_init(&d, dir);
    device_open(&d);
    device_begin(&d);
    make_group(&d);
    make_defaults(&d);
    device_commit(&d);
    push(&d, "before");
    must(oxbow_close(d.db));
    d.config.flags = OXBOW_OPEN_EXISTING;
    d.config.on_failure = OXBOW_FAILURE_MEMORY;
    d.config.stand_in = memory;
    if (rename(dir, away) != 0) {
        abort();
    }
    device_open(&d);
    push(&d, "meanwhile 1");
    push(&d, "meanwhile 2");
    must(oxbow_close(d.db));
    if (rename(away, dir) != 0) {
        abort();
    }
    device_open(&d);
    must(oxbow_close(d.db));
    (void)snprintf(command, sizeof command, "rm -r '%s'", memory);
    if (system(command) != 0) {
        abort();
    }
    d.config.stand_in = NULL;
    oxbow_result_fini(&result);
    pid_t pid = fork();
    if (pid == 0) {
        last_life(&d);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        abort();
    }
}

/* ---- what is in it ---- */

struct found {
    unsigned groups, longer, marks;
};

static struct found count_kinds(struct device *d)
{
    struct found f = {0};
    struct oxbow_bytes value;
    struct oxbow_bytes key;
    struct kv_cursor c;
    enum oxbow_err err;

    assert_ok(kv_cursor_init(&c, d->txn));
    err = kv_cursor_seek(&c, (struct oxbow_bytes){"", 0}, &key, &value);
    while (err == OXBOW_OK) {
        const uint8_t *k = key.data;
        const uint8_t *v = value.data;

        f.groups += k[0] == KV_SPACE_GROUP;
        f.longer += k[0] == KV_SPACE_OBJECT && key.len > 9 && k[9] == 0x19 && value.len > 144 &&
                    get_le32(v + 4) == 144;
        f.marks += k[0] == KV_SPACE_STORE && key.len == 2 && k[1] == 'M';
        err = kv_cursor_next(&c, &key, &value);
    }
    assert_int_equal(err, OXBOW_ENOENT);
    kv_cursor_fini(&c);
    return f;
}

static size_t length(struct device *d, struct oxbow_bytes key)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};

    assert_ok(oxbow_stream_range(d->txn, key, &all, &result));
    return result.entry_count;
}

static void check_list(struct device *d)
{
    static const char *const want[] = {"before", "meanwhile 1", "meanwhile 2", "later"};

    assert_ok(oxbow_list_range(d->txn, BYTES("meanwhile"), 0, -1, &result));
    assert_int_equal(result.item_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(result.items[i].len, strlen(want[i]));
        assert_memory_equal(result.items[i].data, want[i], strlen(want[i]));
    }
}

static void check(struct device *d)
{
    const struct oxbow_pending_filter all = {.to = OXBOW_ID_MAX, .count = 20};
    const struct oxbow_group g = GROUP("jobs", "workers");
    struct oxbow_group_options opt;
    struct oxbow_pending rows[20];
    struct oxbow_delay_stat waiting;
    struct oxbow_policy policy;
    struct oxbow_drops drops;
    struct found f;
    uint64_t left;
    size_t count;

    device_begin(d);
    f = count_kinds(d);
    assert_int_equal(f.groups, 1);
    assert_int_equal(f.longer, 1);
    assert_int_equal(f.marks, 1);
    assert_ok(oxbow_group_options_get(d->txn, g, &result, &opt));
    assert_true(opt.dead_remove);
    assert_int_equal(opt.max_deliveries, 2);
    assert_int_equal(length(d, BYTES("jobs")), 9);
    assert_int_equal(length(d, BYTES("dead")), 1);
    assert_ok(oxbow_policy_drops(d->txn, BYTES("jobs"), OXBOW_DROP_DEAD_LETTER, &drops));
    assert_int_equal(drops.entries, 1);
    assert_int_equal(drops.first.ms, 2);
    assert_ok(oxbow_group_pending(d->txn, g, &all, &result, rows, &count));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].id.ms, 3);
    assert_int_equal(rows[0].deliveries, 2);
    assert_int_equal(rows[1].deliveries, 1);
    assert_ok(oxbow_policy_get(d->txn, BYTES("brief"), &policy));
    assert_int_equal(policy.default_ttl_ms, 30 * DAY);
    assert_ok(oxbow_policy_get(d->txn, BYTES("slow"), &policy));
    assert_int_equal(policy.default_delay_ms, 5 * DAY);
    assert_int_equal(policy.default_ttl_ms, 300 * DAY);
    assert_int_equal(length(d, BYTES("brief")), 2);
    assert_ok(oxbow_stream_ttl(d->txn, BYTES("brief"), result.entries[0].id, &left));
    assert_in_range(left, 29 * DAY, 30 * DAY);
    assert_int_equal(length(d, BYTES("brief")), 2);
    assert_ok(oxbow_stream_ttl(d->txn, BYTES("brief"), result.entries[1].id, &left));
    assert_true(left == UINT64_MAX);
    assert_int_equal(length(d, BYTES("slow")), 1);
    assert_ok(oxbow_delay_stat(d->txn, &waiting));
    assert_int_equal(waiting.waiting, 1);
    check_list(d);
    device_commit(d);
}

/* ---- what comes of it ---- */

/* The store gives 3 up by itself, and its original goes. */
static bool buried(struct device *d)
{
    return length(d, BYTES("dead")) == 2 && length(d, BYTES("jobs")) == 8;
}

static bool came(struct device *d)
{
    return length(d, BYTES("slow")) == 2;
}

static bool went(struct device *d)
{
    return length(d, BYTES("brief")) == 1;
}

/* The store's idle work goes by the device's clocks: they go on meanwhile. */
static void expect_soon(struct device *d, bool (*seen)(struct device *d))
{
    bool done = false;

    for (unsigned i = 0; i < 30000 && !done; i++) {
        device_begin(d);
        done = seen(d);
        device_commit(d);
        if (!done) {
            device_pass(d, 50);
            (void)usleep(1000);
        }
    }
    assert_true(done);
}

static void serve(struct device *d)
{
    const struct oxbow_group g = GROUP("jobs", "workers");

    device_pass(d, DAY + HOUR);
    expect_soon(d, buried);
    device_begin(d);
    assert_false(came(d));
    assert_ok(oxbow_group_read(d->txn, g, BYTES("carl"), NULL, &result));
    assert_int_equal(result.entry_count, 1); /* 4, on its last delivery, is given alone */
    assert_int_equal(result.entries[0].id.ms, 4);
    assert_ok(oxbow_group_read(d->txn, g, BYTES("carl"), NULL, &result));
    assert_int_equal(result.entry_count, 6);
    device_commit(d);
    device_pass(d, 4 * DAY);
    expect_soon(d, came);
    device_begin(d);
    assert_false(went(d));
    device_commit(d);
    device_pass(d, 26 * DAY);
    expect_soon(d, went);
}

/* ---- */

static void a_store_with_what_came_later_is_sound_and_serves_it(void **state)
{
    char base[] = "/tmp/oxbow-golden-XXXXXX";
    struct oxbow_recovery rec;
    struct device d;
    char dir[64];

    (void)state;
    assert_non_null(mkdtemp(base));
    run((const char *const[]){"tar", "-xzf", GOLDEN_1_2B, "-C", base, NULL});
    (void)snprintf(dir, sizeof dir, "%s/store", base);
    check_sound(dir);
    device_init(&d, dir);
    device_open(&d);
    oxbow_recovery(d.db, &rec);
    assert_int_equal(rec.replayed, 2);
    check(&d);
    assert_ok(oxbow_close(d.db));
    device_open(&d); /* and once more, with nothing to replay */
    check(&d);
    serve(&d);
    assert_ok(oxbow_close(d.db));
    check_sound(dir);
    oxbow_result_fini(&result);
    run((const char *const[]){"rm", "-r", base, NULL});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_with_what_came_later_is_sound_and_serves_it),
    };

    if (argc == 3 && strcmp(argv[1], "--make") == 0) {
        make(argv[2]);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
