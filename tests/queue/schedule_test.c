/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules as callers see them: set, changed, paused, removed, listed; what is refused; what is lost
 * and made again after damage. */
#include "engine/queue/schedule.h"

#include "oxbow/upgrade.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

#define HOUR 3600000u

static struct oxbow_schedule_options list_options(const char *when)
{
    return (struct oxbow_schedule_options){.when = text_bytes(when),
                                           .key = text_bytes("l"),
                                           .end = OXBOW_RIGHT,
                                           .value = text_bytes("v")};
}

static enum oxbow_err set(struct streams *f, const char *name, const char *when)
{
    const struct oxbow_schedule_options opt = list_options(when);

    return oxbow_schedule_set(f->txn, name, &opt);
}

static struct oxbow_schedule_info get(struct streams *f, const char *name)
{
    struct oxbow_schedule_info info;

    assert_ok(oxbow_schedule_get(f->txn, name, &info));
    return info;
}

static void what_was_set_is_told(void **state)
{
    static const struct oxbow_field fields[] = {{{"a", 1}, {"1", 1}}, {{"b", 1}, {"2", 1}}};
    const struct oxbow_schedule_options opt = {.when = text_bytes("0 6 * * mon"),
                                               .offset_min = 120,
                                               .missed = OXBOW_MISSED_ALL,
                                               .missed_max = 7,
                                               .late_ms = 5000,
                                               .key = text_bytes("key"),
                                               .fields = fields,
                                               .field_count = 2};
    struct streams *f = *state;
    struct oxbow_schedule_info info;

    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_ok(oxbow_schedule_set(f->txn, "weekly", &opt));
    assert_ok(oxbow_txn_select(f->txn, 0));
    info = get(f, "weekly");
    assert_string_equal(info.name, "weekly");
    assert_true(info.wall && info.planned && !info.paused);
    assert_int_equal(info.next_ms, 1767585600000); /* 2026-01-05 04:00 UTC, a Monday */
    assert_int_equal(info.last_ms, 0);
    assert_int_equal(info.offset_min, 120);
    assert_int_equal(info.missed_do, OXBOW_MISSED_ALL);
    assert_int_equal(info.missed_max, 7);
    assert_int_equal(info.late_ms, 5000);
    assert_int_equal(info.database, 3);
    assert_int_equal(info.type, OXBOW_TYPE_STREAM);
    assert_memory_equal(info.when.data, "0 6 * * mon", 11);
    assert_memory_equal(info.key.data, "key", 3);
    assert_ok(oxbow_schedule_entry(f->txn, "weekly", &f->result));
    assert_int_equal(f->result.entries[0].field_count, 2);
    assert_memory_equal(f->result.entries[0].fields[1].value.data, "2", 1);
    assert_ok(set(f, "period", "every 10s"));
    info = get(f, "period");
    assert_false(info.wall);
    assert_int_equal(info.next_ms, txn_clock_ms(f->txn) + 10000);
    assert_int_equal(info.late_ms, 10000);
    assert_int_equal(info.missed_max, 100);
    assert_int_equal(info.type, OXBOW_TYPE_LIST);
    assert_ok(oxbow_schedule_entry(f->txn, "period", &f->result));
    assert_memory_equal(f->result.items[0].data, "v", 1);
    assert_ok(oxbow_schedule_list(f->txn, &f->result));
    assert_int_equal(f->result.item_count, 2);
    assert_memory_equal(f->result.items[0].data, "period", 6);
    assert_memory_equal(f->result.items[1].data, "weekly", 6);
}

static void set_again_with_the_same_options_it_stays_as_it_is(void **state)
{
    struct streams *f = *state;
    struct oxbow_schedule_options opt = list_options("every 10s");
    struct oxbow_schedule_info before;
    struct oxbow_schedule_info after;

    assert_ok(oxbow_schedule_set(f->txn, "s", &opt));
    streams_commit(f);
    rig_pass_ms(&f->rig, 4000);
    streams_begin(f);
    before = get(f, "s");
    assert_ok(oxbow_schedule_set(f->txn, "s", &opt));
    after = get(f, "s");
    assert_int_equal(before.next_ms, after.next_ms);
    opt.value = text_bytes("other"); /* what is added changes, when does not */
    assert_ok(oxbow_schedule_set(f->txn, "s", &opt));
    assert_int_equal(get(f, "s").next_ms, before.next_ms);
    assert_ok(oxbow_schedule_entry(f->txn, "s", &f->result));
    assert_memory_equal(f->result.items[0].data, "other", 5);
    opt.when = text_bytes("every 11s");
    assert_ok(oxbow_schedule_set(f->txn, "s", &opt));
    assert_int_equal(get(f, "s").next_ms, txn_clock_ms(f->txn) + 11000);
    opt.when = text_bytes("@hourly"); /* by the other clock */
    assert_ok(oxbow_schedule_set(f->txn, "s", &opt));
    assert_true(get(f, "s").wall);
    assert_int_equal(get(f, "s").next_ms % HOUR, 0);
    assert_ok(oxbow_schedule_list(f->txn, &f->result));
    assert_int_equal(f->result.item_count, 1);
}

static void a_paused_one_is_planned_anew_when_it_goes_on(void **state)
{
    struct streams *f = *state;

    assert_ok(set(f, "s", "every 10s"));
    assert_ok(oxbow_schedule_pause(f->txn, "s", true));
    assert_ok(oxbow_schedule_pause(f->txn, "s", true));
    assert_true(get(f, "s").paused);
    assert_false(get(f, "s").planned);
    assert_ok(set(f, "s", "every 20s")); /* stays paused */
    assert_true(get(f, "s").paused);
    streams_commit(f);
    rig_pass_ms(&f->rig, 100000);
    streams_begin(f);
    assert_ok(oxbow_schedule_run(f->txn, 0, NULL, NULL));
    assert_int_equal(get(f, "s").added, 0);
    assert_ok(oxbow_schedule_pause(f->txn, "s", false));
    assert_int_equal(get(f, "s").next_ms, txn_clock_ms(f->txn) + 20000);
    assert_ok(oxbow_schedule_run(f->txn, 0, NULL, NULL));
    assert_int_equal(get(f, "s").missed, 0);
}

static void what_is_removed_is_gone(void **state)
{
    struct streams *f = *state;
    struct oxbow_schedule_info info;

    assert_ok(set(f, "s", "every 10s"));
    assert_ok(oxbow_schedule_remove(f->txn, "s"));
    assert_err(oxbow_schedule_remove(f->txn, "s"), OXBOW_ENOENT);
    assert_err(oxbow_schedule_get(f->txn, "s", &info), OXBOW_ENOENT);
    assert_err(oxbow_schedule_pause(f->txn, "s", true), OXBOW_ENOENT);
    assert_err(oxbow_schedule_entry(f->txn, "s", &f->result), OXBOW_ENOENT);
    streams_commit(f);
    rig_pass_ms(&f->rig, 100000);
    streams_begin(f);
    assert_ok(oxbow_schedule_run(f->txn, 0, NULL, NULL));
    assert_err(oxbow_list_len(f->txn, text_bytes("l"), &(uint64_t){0}), OXBOW_OK);
}

static void bad_options_are_refused_and_change_nothing(void **state)
{
    static const char *const names[] = {"",
                                        " ",
                                        "a b",
                                        "a/b",
                                        "a\n",
                                        "\xc3\xa4",
                                        "0123456789012345678901234567890123456789012345678"};
    static const struct oxbow_field field = {{"f", 1}, {"v", 1}};
    struct streams *f = *state;
    struct oxbow_schedule_options opt;
    struct oxbow_schedule_info info;
    char *big = calloc(1, OXBOW_SCHEDULE_BYTES_MAX + 1);

    assert_non_null(big);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_err(set(f, names[i], "@daily"), OXBOW_EINVAL);
        assert_err(oxbow_schedule_get(f->txn, names[i], &info), OXBOW_EINVAL);
        assert_err(oxbow_schedule_remove(f->txn, names[i]), OXBOW_EINVAL);
    }
    assert_err(set(f, NULL, "@daily"), OXBOW_EINVAL);
    assert_err(oxbow_schedule_set(f->txn, "s", NULL), OXBOW_EINVAL);
    assert_err(oxbow_schedule_get(f->txn, "s", NULL), OXBOW_EINVAL);
    assert_err(oxbow_schedule_list(f->txn, NULL), OXBOW_EINVAL);
    assert_err(oxbow_schedule_entry(f->txn, "s", NULL), OXBOW_EINVAL);
    assert_err(set(f, "s", "61 * * * *"), OXBOW_EPARSE);
    assert_err(set(f, "s", ""), OXBOW_EPARSE);
#define REFUSED(what, err)                                                                         \
    opt = list_options("@daily");                                                                  \
    opt.what;                                                                                      \
    assert_err(oxbow_schedule_set(f->txn, "s", &opt), err)
    REFUSED(offset_min = 1441, OXBOW_EINVAL);
    REFUSED(offset_min = -1441, OXBOW_EINVAL);
    REFUSED(missed = (enum oxbow_schedule_missed)3, OXBOW_EINVAL);
    REFUSED(missed_max = OXBOW_SCHEDULE_MADE_UP + 1, OXBOW_EINVAL);
    REFUSED(late_ms = OXBOW_SCHEDULE_LATE_MAX + 1, OXBOW_EINVAL);
    REFUSED(end = (enum oxbow_end)2, OXBOW_EINVAL);
    REFUSED(field_count = 1, OXBOW_EINVAL);
    REFUSED(fields = &field; opt.field_count = 1, OXBOW_EINVAL); /* and a value */
    REFUSED(value.data = NULL, OXBOW_EINVAL);
    REFUSED(when.data = NULL, OXBOW_EINVAL);
    REFUSED(key.data = NULL, OXBOW_EINVAL);
    REFUSED(key = ((struct oxbow_bytes){big, OXBOW_SCHEDULE_KEY_MAX + 1}), OXBOW_ETOOBIG);
    REFUSED(value = ((struct oxbow_bytes){big, OXBOW_SCHEDULE_BYTES_MAX + 1}), OXBOW_ETOOBIG);
    assert_ok(oxbow_schedule_list(f->txn, &f->result));
    assert_int_equal(f->result.item_count, 0);
    REFUSED(value = ((struct oxbow_bytes){big, OXBOW_SCHEDULE_BYTES_MAX}), OXBOW_OK);
    REFUSED(key = ((struct oxbow_bytes){big, OXBOW_SCHEDULE_KEY_MAX}), OXBOW_OK);
    REFUSED(value.len = 0, OXBOW_OK);
    assert_ok(set(f, "012345678901234567890123456789012345678901234567", "@daily"));
    free(big);
}

static void a_store_has_room_for_so_many(void **state)
{
    struct streams *f = *state;
    char name[16];

    for (unsigned i = 0; i < OXBOW_SCHEDULE_COUNT_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        assert_ok(set(f, name, "every 1h"));
    }
    assert_err(set(f, "more", "every 1h"), OXBOW_ERANGE);
    assert_ok(set(f, "s7", "every 2h"));
    assert_ok(oxbow_schedule_remove(f->txn, "s0"));
    assert_ok(set(f, "more", "every 1h"));
    streams_commit(f);
    rig_pass_ms(&f->rig, 2 * HOUR);
    streams_begin(f);
    for (bool more = true; more;) {
        assert_ok(oxbow_schedule_run(f->txn, 100, NULL, &more));
    }
    assert_ok(oxbow_list_len(f->txn, text_bytes("l"), &(uint64_t){0}));
    assert_int_equal(get(f, "more").added, 1); /* the second is not late: it was skipped none */
    assert_int_equal(get(f, "more").missed, 1);
    assert_int_equal(get(f, "s7").added, 1);
}

static void who_only_reads_changes_nothing(void **state)
{
    struct streams *f = *state;

    assert_ok(set(f, "s", "every 1h"));
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(set(f, "s", "every 2h"), OXBOW_EREADONLY);
    assert_err(oxbow_schedule_remove(f->txn, "s"), OXBOW_EREADONLY);
    assert_err(oxbow_schedule_pause(f->txn, "s", true), OXBOW_EREADONLY);
    assert_err(oxbow_schedule_run(f->txn, 0, NULL, NULL), OXBOW_EREADONLY);
    assert_int_equal(get(f, "s").next_ms, txn_clock_ms(f->txn) + HOUR);
    streams_abort(f);
    streams_begin(f);
}

static void a_store_of_the_first_level_has_none(void **state)
{
    struct streams *f = *state;

    streams_commit(f);
    rig_fini(&f->rig);
    rig_init(&f->rig, OXBOW_SYNC_INTERVAL);
    f->rig.config.level = 1;
    rig_open(&f->rig);
    streams_begin(f);
    assert_err(set(f, "s", "every 1h"), OXBOW_ELEVEL);
    streams_commit(f);
    assert_ok(oxbow_upgrade(f->rig.db));
    streams_begin(f);
    assert_ok(set(f, "s", "every 1h"));
}

/* ---- damage ---- */

static void remove_key(struct streams *f, const char *key, size_t len)
{
    assert_ok(kv_del(f->txn, (struct oxbow_bytes){key, len}));
}

static void after_damage_what_can_be_read_is_planned_and_counted(void **state)
{
    struct streams *f = *state;
    struct oxbow_schedule_info info;
    char name[OXBOW_SCHEDULE_NAME_MAX + 1];
    uint64_t next;
    uint32_t count;

    assert_ok(schedule_mend(f->txn)); /* nothing is there */
    assert_ok(schedule_count_get(f->txn, &count));
    assert_int_equal(count, 0);
    assert_ok(set(f, "place", "every 1h"));
    assert_ok(set(f, "state", "every 2h"));
    assert_ok(set(f, "set", "every 3h"));
    assert_ok(schedule_first(f->txn, false, name, &next));
    assert_ok(schedule_place_del(f->txn, false, text_bytes("place"), next));
    remove_key(f,
               "\x3c"
               "sstate",
               7);
    remove_key(f,
               "\x3c"
               "cset",
               5);
    remove_key(f, "\x3cn", 2);
    assert_ok(schedule_mend(f->txn));
    assert_ok(schedule_count_get(f->txn, &count));
    assert_int_equal(count, 2);
    streams_commit(f);
    rig_pass_ms(&f->rig, 3 * HOUR);
    streams_begin(f);
    for (bool more = true; more;) {
        assert_ok(oxbow_schedule_run(f->txn, 0, NULL, &more));
    }
    assert_int_equal(get(f, "place").added, 1);
    assert_int_equal(get(f, "place").missed, 2);
    assert_int_equal(get(f, "state").added + get(f, "state").missed, 1);
    assert_err(oxbow_schedule_get(f->txn, "set", &info), OXBOW_ENOENT);
    assert_ok(set(f, "set", "every 3h"));
    assert_int_equal(get(f, "set").next_ms, txn_clock_ms(f->txn) + 3 * HOUR);
}

static void a_damaged_one_can_be_set_again_or_removed(void **state)
{
    struct streams *f = *state;
    struct oxbow_schedule_info info;
    uint32_t count;

    assert_ok(set(f, "s", "every 1h"));
    assert_ok(kv_put(f->txn,
                     BYTES("\x3c"
                           "cs"),
                     BYTES("nonsense")));
    assert_err(oxbow_schedule_get(f->txn, "s", &info), OXBOW_ECORRUPT);
    assert_ok(set(f, "s", "every 1h"));
    assert_ok(schedule_count_get(f->txn, &count));
    assert_int_equal(count, 1);
    assert_int_equal(get(f, "s").next_ms, txn_clock_ms(f->txn) + HOUR);
    assert_ok(kv_put(f->txn,
                     BYTES("\x3c"
                           "cs"),
                     BYTES("nonsense")));
    assert_ok(oxbow_schedule_remove(f->txn, "s"));
    assert_ok(schedule_count_get(f->txn, &count));
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(what_was_set_is_told),
        TEST(set_again_with_the_same_options_it_stays_as_it_is),
        TEST(a_paused_one_is_planned_anew_when_it_goes_on),
        TEST(what_is_removed_is_gone),
        TEST(bad_options_are_refused_and_change_nothing),
        TEST(a_store_has_room_for_so_many),
        TEST(who_only_reads_changes_nothing),
        TEST(a_store_of_the_first_level_has_none),
        TEST(after_damage_what_can_be_read_is_planned_and_counted),
        TEST(a_damaged_one_can_be_set_again_or_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
