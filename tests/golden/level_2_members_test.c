/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A third store of level 2, format-1.2c.tar.gz, with what came after format-1.2b.tar.gz was written: hashes, sets and
 * sorted sets, small, of many nodes and with members and values that lie outside; fields that expire, of
 * which one was given its time while the clock was not believed; keys of these types and strings that
 * expire; what was merged from a stand-in.
 *
 *   level_2_members_test             checks the archive that it is told of at build time
 *   level_2_members_test --make DIR  writes such a store (make.sh)
 */
#include "engine/keyval/btree.h"
#include "engine/store/kv.h"
#include "oxbow/hash_expire.h"
#include "oxbow/key.h"
#include "oxbow/set.h"
#include "oxbow/string.h"
#include "oxbow/zset.h"
#include "tests/golden/archive.h"
#include "tests/golden/level_2.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE  600u /* fields of `large`, 0 to 599; of them those that are 3 modulo 7 were deleted */
#define TIMED  300u /* fields of `timed`, of which the first 200 expire, an hour apart */
#define EXPIRE 200u
#define MANY   500u /* members of `many`, and of `ranked`, of which the first 100 were popped */
#define POPPED 100u

static struct oxbow_result result;

static const double scores[] = {-INFINITY, -1.5, -0.0, 0.0, 5e-324, 0.1, 1e308, INFINITY};

#define SCORES (sizeof scores / sizeof scores[0])

static void must(enum oxbow_err err)
{
    if (err != OXBOW_OK) {
        (void)fprintf(stderr, "golden: %s\n", oxbow_err_name(err));
        abort();
    }
}

static struct oxbow_bytes text_of(char *text, const char *word, unsigned n)
{
    return (struct oxbow_bytes){text, (size_t)snprintf(text, 32, "%s %u", word, n)};
}

/* Members and values of so many bytes; each length has its own. */
static struct oxbow_bytes long_of(size_t len)
{
    return (struct oxbow_bytes){level_2_blob() + len % 7, len};
}

/* ---- writing it ---- */

/* Of many steps: a transaction takes so many. */
static void next(struct device *d, unsigned i)
{
    if (i % 50 == 49) {
        device_commit(d);
        device_begin(d);
    }
}

static void set(struct device *d, struct oxbow_bytes key, struct oxbow_bytes field,
                struct oxbow_bytes value)
{
    const struct oxbow_field f = {field, value};

    must(oxbow_hash_set(d->txn, key, &f, 1, NULL));
}

static void set_numbered(struct device *d, struct oxbow_bytes key, const char *word, unsigned from,
                         unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char field[32];
        char value[32];

        set(d, key, text_of(field, "field", i), text_of(value, word, i));
        next(d, i);
    }
}

static void expire(struct device *d, struct oxbow_bytes key, struct oxbow_bytes field, uint64_t ms)
{
    enum oxbow_field_done done;

    must(oxbow_hash_expire(d->txn, key, &(struct oxbow_fields){&field, 1}, (int64_t)ms, 0, &done));
    if (done != OXBOW_FIELD_SET) {
        abort();
    }
}

static void add_scored(struct device *d, struct oxbow_bytes key, struct oxbow_bytes member,
                       double score)
{
    must(oxbow_zset_add(d->txn, key, 0, &(struct oxbow_scored){member, score}, 1, NULL));
}

static void make_hashes(struct device *d)
{
    char text[32];

    device_begin(d);
    set_numbered(d, BYTES("large"), "value", 0, LARGE);
    for (unsigned i = 3; i < LARGE; i += 7) {
        const struct oxbow_bytes field = text_of(text, "field", i);

        must(oxbow_hash_delete(d->txn, BYTES("large"), &field, 1, NULL));
    }
    device_commit(d);
    device_begin(d);
    set_numbered(d, BYTES("timed"), "value", 0, TIMED);
    for (unsigned i = 0; i < EXPIRE; i++) {
        expire(d, BYTES("timed"), text_of(text, "field", i), 10 * DAY + i * HOUR);
        next(d, i);
    }
    device_commit(d);
    device_begin(d);
    set(d, BYTES("long"), BYTES(""), BYTES(""));
    set(d, BYTES("long"), long_of(300), long_of(400));
    set(d, BYTES("long"), BYTES("own"), long_of(5000));
    set(d, BYTES("long"), BYTES("blob"), long_of(90000));
    set(d, BYTES("merged"), BYTES("a"), BYTES("1"));
    set(d, BYTES("merged"), BYTES("b"), BYTES("2"));
    device_commit(d);
}

static void make_sets(struct device *d)
{
    const struct oxbow_bytes large = long_of(300);
    const struct oxbow_bytes numbers[] = {BYTES("-1"), BYTES("0"), BYTES("9223372036854775807")};
    const struct oxbow_bytes x = BYTES("x");

    device_begin(d);
    must(oxbow_set_add(d->txn, BYTES("numbers"), numbers, 3, NULL));
    must(oxbow_set_add(d->txn, BYTES("many"), &large, 1, NULL));
    for (unsigned i = 0; i < MANY; i++) {
        char text[32];
        const struct oxbow_bytes member = text_of(text, "member", i);

        must(oxbow_set_add(d->txn, BYTES("many"), &member, 1, NULL));
        next(d, i);
    }
    must(oxbow_txn_select(d->txn, 3));
    must(oxbow_set_add(d->txn, BYTES("elsewhere"), &x, 1, NULL));
    device_commit(d);
}

static void make_zsets(struct device *d)
{
    char text[32];

    device_begin(d);
    for (unsigned i = 0; i < SCORES; i++) {
        add_scored(d, BYTES("scores"), text_of(text, "m", i), scores[i]);
    }
    add_scored(d, BYTES("scores"), long_of(300), 7);
    device_commit(d);
    device_begin(d);
    for (unsigned i = 0; i < MANY; i++) {
        add_scored(d, BYTES("ranked"), text_of(text, "m", i), i * 0.5);
        next(d, i);
    }
    must(oxbow_zset_pop(d->txn, BYTES("ranked"), OXBOW_ZSET_MIN, POPPED, &result));
    device_commit(d);
}

static const char *const brief[] = {"brief string", "brief hash", "brief set", "brief zset"};

static void make_brief(struct device *d)
{
    const struct oxbow_bytes m = BYTES("m");

    device_begin(d);
    must(oxbow_string_set(d->txn, BYTES("brief string"), BYTES("42")));
    set(d, BYTES("brief hash"), BYTES("f"), BYTES("v"));
    must(oxbow_set_add(d->txn, BYTES("brief set"), &m, 1, NULL));
    add_scored(d, BYTES("brief zset"), m, 1);
    for (unsigned i = 0; i < 4; i++) {
        enum oxbow_expire_done done;

        must(oxbow_key_expire(d->txn, (struct oxbow_bytes){brief[i], strlen(brief[i])},
                              (int64_t)(20 * DAY), 0, &done));
    }
    device_commit(d);
}

static void meanwhile(struct device *d)
{
    enum oxbow_err err;

    device_begin(d);
    set(d, BYTES("merged"), BYTES("b"), BYTES("3"));
    set(d, BYTES("merged"), BYTES("c"), BYTES("4"));
    expire(d, BYTES("merged"), BYTES("c"), 30 * DAY);
    err = oxbow_txn_commit(d->txn, NULL);
    must(err == OXBOW_EVOLATILE ? OXBOW_OK : err);
}

static void stand_in(struct device *d, const char *dir)
{
    char away[1000], memory[1000], command[1100];

    (void)snprintf(away, sizeof away, "%s.away", dir);
    (void)snprintf(memory, sizeof memory, "%s.memory", dir);
    d->config.flags = OXBOW_OPEN_EXISTING;
    d->config.on_failure = OXBOW_FAILURE_MEMORY;
    d->config.stand_in = memory;
    d->config.members = oxbow_members();
    if (rename(dir, away) != 0) {
        abort();
    }
    device_open(d);
    meanwhile(d);
    must(oxbow_close(d->db));
    if (rename(away, dir) != 0) {
        abort();
    }
    device_open(d);
    must(oxbow_close(d->db));
    (void)snprintf(command, sizeof command, "rm -r '%s'", memory);
    if (system(command) != 0) {
        abort();
    }
    d->config.stand_in = NULL;
}

/* A day later; its clock is set late, and a field is given its time before. Killed with frames that need
 * replay. */
static void last_life(struct device *d)
{
    const struct oxbow_bytes ten = BYTES("field 10");

    d->wall_ms = NOT_SET;
    d->mono_us = 20000000;
    device_open(d);
    device_begin(d);
    set(d, BYTES("early"), BYTES("a"), BYTES("1"));
    expire(d, BYTES("early"), BYTES("a"), 10 * DAY);
    device_commit(d);
    device_pass(d, HOUR);
    d->wall_ms = BEGAN + DAY + HOUR;
    device_begin(d);
    set_numbered(d, BYTES("large"), "later", 0, 3);
    set_numbered(d, BYTES("large"), "later", LARGE, LARGE + 1);
    device_commit(d);
    device_begin(d);
    must(oxbow_hash_delete(d->txn, BYTES("large"), &ten, 1, NULL));
    device_commit(d);
    device_begin(d);
    expire(d, BYTES("timed"), BYTES("field 299"), 40 * DAY);
    device_commit(d);
    device_begin(d);
    add_scored(d, BYTES("ranked"), BYTES("m 499"), -1);
    device_commit(d);
    _exit(0);
}

static void make(const char *dir)
{
    struct device d;
    int status = 1;
    pid_t pid;

    device_init(&d, dir);
    device_open(&d);
    make_hashes(&d);
    make_sets(&d);
    make_zsets(&d);
    make_brief(&d);
    must(oxbow_close(d.db));
    stand_in(&d, dir);
    oxbow_result_fini(&result);
    pid = fork();
    if (pid == 0) {
        last_life(&d);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        abort();
    }
}

/* ---- what is in it ---- */

/* Records by kind: roots and nodes of each tree, and what lies outside in records of its own. */
static void check_kinds(struct device *d)
{
    unsigned kinds[BTREE_TIMES - OBJECT_KIND_TYPE + 2] = {0};
    unsigned dues = 0, blobs = 0;
    struct oxbow_bytes value;
    struct oxbow_bytes key;
    struct kv_cursor c;
    enum oxbow_err err;

    assert_ok(kv_cursor_init(&c, d->txn));
    err = kv_cursor_seek(&c, (struct oxbow_bytes){"", 0}, &key, &value);
    while (err == OXBOW_OK) {
        const uint8_t *k = key.data;

        if (k[0] == KV_SPACE_OBJECT && key.len > 9) {
            dues += k[9] == OBJECT_KIND_DUE;
            blobs += k[9] == OBJECT_KIND_BLOB;
            if (k[9] >= OBJECT_KIND_TYPE) {
                assert_in_range(k[9], OBJECT_KIND_TYPE, BTREE_TIMES + 1);
                kinds[k[9] - OBJECT_KIND_TYPE]++;
            }
        }
        err = kv_cursor_next(&c, &key, &value);
    }
    assert_int_equal(err, OXBOW_ENOENT);
    kv_cursor_fini(&c);
    assert_int_equal(kinds[0], 14); /* a key each, of which one is a string */
    assert_true(kinds[1] > 20);
    assert_int_equal(kinds[2], 5); /* of `long` three, of a set and of scores one each */
    assert_int_equal(kinds[3], 3);
    assert_true(kinds[4] > 2);
    assert_int_equal(kinds[5], 3);
    assert_true(kinds[6] > 1);
    assert_int_equal(dues, 3);
    assert_int_equal(blobs, 1);
}

static void check_field(struct device *d, struct oxbow_bytes key, struct oxbow_bytes field,
                        struct oxbow_bytes value)
{
    assert_ok(oxbow_hash_get(d->txn, key, field, &result));
    assert_int_equal(result.items[0].len, value.len);
    assert_memory_equal(result.items[0].data, value.data, value.len);
}

static uint64_t left_of(struct device *d, struct oxbow_bytes key, struct oxbow_bytes field)
{
    uint64_t left;

    assert_ok(oxbow_hash_ttl(d->txn, key, &(struct oxbow_fields){&field, 1}, &left));
    return left;
}

static uint64_t fields_in(struct device *d, struct oxbow_bytes key)
{
    uint64_t count;

    assert_ok(oxbow_hash_count(d->txn, key, &count));
    return count;
}

static void check_hashes(struct device *d)
{
    char field[32];
    char value[32];
    unsigned count = 0;

    for (unsigned i = 0; i <= LARGE; i++) {
        const bool gone = i == 10 || i % 7 == 3;

        text_of(field, "field", i);
        if (gone && i < LARGE) {
            assert_int_equal(
                oxbow_hash_get(d->txn, BYTES("large"), text_of(field, "field", i), &result),
                OXBOW_ENOENT);
            continue;
        }
        count++;
        check_field(d, BYTES("large"), text_of(field, "field", i),
                    text_of(value, i < 3 || i == LARGE ? "later" : "value", i));
    }
    assert_int_equal(fields_in(d, BYTES("large")), count);
    assert_int_equal(fields_in(d, BYTES("timed")), TIMED);
    for (unsigned i = 0; i < TIMED; i++) {
        const uint64_t given = i < EXPIRE ? 10 * DAY + i * HOUR : 40 * DAY;
        const uint64_t left = left_of(d, BYTES("timed"), text_of(field, "field", i));

        if (i >= EXPIRE && i < TIMED - 1) {
            assert_true(left == UINT64_MAX);
        } else {
            assert_in_range(left, given - 3 * DAY, given);
        }
        check_field(d, BYTES("timed"), text_of(field, "field", i), text_of(value, "value", i));
    }
    check_field(d, BYTES("long"), BYTES(""), BYTES(""));
    check_field(d, BYTES("long"), long_of(300), long_of(400));
    check_field(d, BYTES("long"), BYTES("own"), long_of(5000));
    check_field(d, BYTES("long"), BYTES("blob"), long_of(90000));
    check_field(d, BYTES("merged"), BYTES("a"), BYTES("1"));
    check_field(d, BYTES("merged"), BYTES("b"), BYTES("3"));
    check_field(d, BYTES("merged"), BYTES("c"), BYTES("4"));
    assert_true(left_of(d, BYTES("merged"), BYTES("b")) == UINT64_MAX);
    assert_in_range(left_of(d, BYTES("merged"), BYTES("c")), 27 * DAY, 30 * DAY);
    /* It was given in the last life, when a day and an hour were not known of. */
    assert_in_range(left_of(d, BYTES("early"), BYTES("a")), 9 * DAY, 10 * DAY);
}

static void check_sets(struct device *d)
{
    uint64_t count;
    bool has;

    assert_ok(oxbow_set_count(d->txn, BYTES("many"), &count));
    assert_int_equal(count, MANY + 1);
    for (unsigned i = 0; i < MANY; i++) {
        char text[32];

        assert_ok(oxbow_set_has(d->txn, BYTES("many"), text_of(text, "member", i), &has));
        assert_true(has);
    }
    assert_ok(oxbow_set_has(d->txn, BYTES("many"), long_of(300), &has));
    assert_true(has);
    assert_ok(oxbow_set_count(d->txn, BYTES("numbers"), &count));
    assert_int_equal(count, 3);
    assert_ok(oxbow_txn_select(d->txn, 3));
    assert_ok(oxbow_set_has(d->txn, BYTES("elsewhere"), BYTES("x"), &has));
    assert_true(has);
    assert_ok(oxbow_txn_select(d->txn, 0));
}

static void check_zsets(struct device *d)
{
    const struct oxbow_zset_range all = {.stop = -1};
    char text[32];
    double score;

    for (unsigned i = 0; i < SCORES; i++) {
        assert_ok(oxbow_zset_score(d->txn, BYTES("scores"), text_of(text, "m", i), &score));
        assert_memory_equal(&score, &scores[i], sizeof score);
    }
    assert_ok(oxbow_zset_score(d->txn, BYTES("scores"), long_of(300), &score));
    assert_true(score == 7);
    assert_ok(oxbow_zset_range(d->txn, BYTES("ranked"), &all, &result));
    assert_int_equal(result.item_count, MANY - POPPED);
    for (unsigned i = 0; i < MANY - POPPED; i++) {
        const unsigned n = i == 0 ? MANY - 1 : POPPED + i - 1; /* the last one went to the front */
        const struct oxbow_bytes member = text_of(text, "m", n);

        assert_int_equal(result.items[i].len, member.len);
        assert_memory_equal(result.items[i].data, member.data, member.len);
        assert_true(result.scores[i] == (i == 0 ? -1 : n * 0.5));
    }
}

static void check_brief(struct device *d)
{
    for (unsigned i = 0; i < 4; i++) {
        uint64_t left;

        assert_ok(oxbow_key_ttl(d->txn, (struct oxbow_bytes){brief[i], strlen(brief[i])}, &left));
        assert_in_range(left, 17 * DAY, 20 * DAY);
    }
    assert_ok(oxbow_string_get(d->txn, BYTES("brief string"), &result));
    assert_int_equal(result.items[0].len, 2);
}

static void check(struct device *d)
{
    device_begin(d);
    check_kinds(d);
    check_hashes(d);
    check_sets(d);
    check_zsets(d);
    check_brief(d);
    device_commit(d);
}

/* ---- what comes of it ---- */

static bool half_went(struct device *d)
{
    uint64_t count = fields_in(d, BYTES("timed"));

    return count > TIMED - EXPIRE && count < TIMED - EXPIRE / 4;
}

static bool brief_went(struct device *d)
{
    bool there = false;

    for (unsigned i = 0; i < 4; i++) {
        enum oxbow_type type;

        assert_ok(oxbow_key_type(d->txn, (struct oxbow_bytes){brief[i], strlen(brief[i])}, &type));
        there = there || type != OXBOW_TYPE_NONE;
    }
    return !there && fields_in(d, BYTES("timed")) == TIMED - EXPIRE &&
           fields_in(d, BYTES("early")) == 0;
}

static bool all_went(struct device *d)
{
    return fields_in(d, BYTES("timed")) == TIMED - EXPIRE - 1 && fields_in(d, BYTES("merged")) == 2;
}

/* Closed for so long; then the store's idle work goes by the device's clocks: they go on meanwhile. */
static void expect_after(struct device *d, uint64_t ms, bool (*seen)(struct device *d))
{
    bool done = false;

    assert_ok(oxbow_close(d->db));
    device_pass(d, ms);
    device_open(d);
    for (unsigned i = 0; i < 30000 && !done; i++) {
        device_begin(d);
        oxbow_hash_expire_idle(d->txn);
        done = seen(d);
        device_commit(d);
        if (!done) {
            device_pass(d, 50);
            (void)usleep(1000);
        }
    }
    assert_true(done);
}

/* Everything is changed and removed, by all ways. */
static void work_on(struct device *d)
{
    const struct oxbow_bytes blob[] = {BYTES("blob"), BYTES("own")};
    const struct oxbow_bytes large = long_of(300);
    uint64_t count;

    device_begin(d);
    must(oxbow_hash_delete(d->txn, BYTES("long"), blob, 2, &count));
    assert_int_equal(count, 2);
    set_numbered(d, BYTES("large"), "anew", 0, 100);
    must(oxbow_set_remove(d->txn, BYTES("many"), &large, 1, &count));
    assert_int_equal(count, 1);
    must(oxbow_set_pop(d->txn, BYTES("many"), MANY, &result));
    assert_int_equal(result.item_count, MANY);
    device_commit(d);
    device_begin(d);
    must(oxbow_zset_pop(d->txn, BYTES("ranked"), OXBOW_ZSET_MAX, 200, &result));
    assert_int_equal(result.item_count, 200);
    add_scored(d, BYTES("ranked"), large, INFINITY);
    assert_ok(oxbow_zset_count(d->txn, BYTES("ranked"), &count));
    assert_int_equal(count, MANY - POPPED - 199);
    must(oxbow_zset_remove(d->txn, BYTES("scores"), &large, 1, &count));
    assert_int_equal(count, 1);
    assert_ok(oxbow_key_rename(d->txn, BYTES("timed"), BYTES("renamed"), false));
    device_commit(d);
}

/* ---- */

static void a_store_with_members_is_sound_and_serves_them(void **state)
{
    char base[] = "/tmp/oxbow-golden-XXXXXX";
    struct oxbow_recovery rec;
    struct device d;
    char dir[64];

    (void)state;
    assert_non_null(mkdtemp(base));
    run((const char *const[]){"tar", "-xzf", GOLDEN_1_2C, "-C", base, NULL});
    (void)snprintf(dir, sizeof dir, "%s/store", base);
    check_sound(dir);
    device_init(&d, dir);
    d.wall_ms = BEGAN + DAY + 2 * HOUR;
    d.mono_us = 21000000;
    device_open(&d);
    oxbow_recovery(d.db, &rec);
    assert_true(rec.replayed >= 2);
    assert_int_equal(rec.skipped, 0);
    check(&d);
    assert_ok(oxbow_close(d.db));
    check_sound(dir);
    device_open(&d); /* and once more, with nothing to replay */
    check(&d);
    expect_after(&d, 12 * DAY, half_went);
    expect_after(&d, 8 * DAY, brief_went);
    expect_after(&d, 22 * DAY, all_went);
    work_on(&d);
    assert_ok(oxbow_close(d.db));
    check_sound(dir);
    oxbow_result_fini(&result);
    run((const char *const[]){"rm", "-r", base, NULL});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_with_members_is_sound_and_serves_them),
    };

    if (argc == 3 && strcmp(argv[1], "--make") == 0) {
        make(argv[2]);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
