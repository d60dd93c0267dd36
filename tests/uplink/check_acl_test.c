/* SPDX-License-Identifier: Apache-2.0 */
/* The line of rights: what the forwards of a store need, to the word, and nothing else. */
#include "oxbow/forward.h"
#include "oxbow/oxbow.h"
#include "oxbow/uplink.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD   "ACL SETUSER d reset on #<sha256> resetchannels ~oxbow:{d}:*"
#define ALWAYS " -@all +hello +auth +ping +get +set +time"
#define SCRIPT " +evalsha +eval"
#define STREAM " +xadd +xinfo|stream"
#define LIST   " +rpush +hget +hset"

static int set_up(void **state)
{
    struct rig *rig = malloc(sizeof *rig);

    assert_non_null(rig);
    rig_init(rig, OXBOW_SYNC_INTERVAL);
    rig_open(rig);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    free(*state);
    return 0;
}

static void identify(struct rig *rig)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);

    assert_int_equal(oxbow_identity_set(txn, "d", NULL), OXBOW_OK);
    rig_commit(txn);
}

static void forward(struct rig *rig, const char *name, enum oxbow_type type, const char *target,
                    enum oxbow_forward_confirm confirm)
{
    const struct oxbow_forward_options opt = {.key = {name, strlen(name)},
                                              .type = type,
                                              .target = {target, strlen(target)},
                                              .confirm = confirm};
    struct oxbow_txn *txn = rig_begin(rig, 0);

    assert_int_equal(oxbow_forward_create(txn, name, &opt), OXBOW_OK);
    rig_commit(txn);
}

static const char *line(struct rig *rig, const char *user, enum oxbow_uplink_mode mode)
{
    static char out[4096];

    assert_int_equal(oxbow_uplink_acl_line(rig->db, user, mode, out, sizeof out), OXBOW_OK);
    return out;
}

static void without_an_identity_there_is_none(void **state)
{
    struct rig *rig = *state;
    char out[4096];

    assert_int_equal(oxbow_uplink_acl_line(rig->db, NULL, OXBOW_UPLINK_AUTO, out, sizeof out),
                     OXBOW_ENOENT);
}

static void a_store_with_the_policy_names_the_keys_of_stand_ins(void **state)
{
    struct rig *rig = *state;

    rig_close(rig);
    rig->config.on_failure = OXBOW_FAILURE_MEMORY;
    rig_open(rig);
    identify(rig);
    forward(rig, "a", OXBOW_TYPE_STREAM, "", OXBOW_CONFIRM_MASTER);
    forward(rig, "b", OXBOW_TYPE_STREAM, "b*", OXBOW_CONFIRM_MASTER);
    forward(rig, "c", OXBOW_TYPE_LIST, "oxbow:{d}:c", OXBOW_CONFIRM_MASTER);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_SCRIPT),
                        HEAD " ~b\\* ~b\\*:meanwhile:*" ALWAYS SCRIPT STREAM LIST);
}

static void each_mode_has_its_commands(void **state)
{
    struct rig *rig = *state;

    identify(rig);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_AUTO), HEAD ALWAYS SCRIPT);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_SCRIPT), HEAD ALWAYS SCRIPT);
    assert_non_null(strstr(line(rig, NULL, OXBOW_UPLINK_FUNCTION), ALWAYS " +fcall"));
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_MULTI),
                        HEAD ALWAYS " +watch +multi +exec +discard");
    assert_int_equal(strncmp(line(rig, "joe", OXBOW_UPLINK_AUTO), "ACL SETUSER joe reset", 21), 0);
}

static void a_stream_under_the_device_needs_no_key_of_its_own(void **state)
{
    struct rig *rig = *state;

    identify(rig);
    forward(rig, "s", OXBOW_TYPE_STREAM, "", OXBOW_CONFIRM_MASTER);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_AUTO), HEAD ALWAYS SCRIPT STREAM);
}

static void a_list_elsewhere_is_named_with_its_cursor(void **state)
{
    struct rig *rig = *state;

    identify(rig);
    forward(rig, "l", OXBOW_TYPE_LIST, "jobs:{east}:in", OXBOW_CONFIRM_MASTER);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_AUTO),
                        HEAD " ~jobs:{east}:in ~oxbow:{east}:cursor:d:*" ALWAYS SCRIPT LIST);
}

static void a_key_without_a_tag_is_its_own(void **state)
{
    struct rig *rig = *state;

    identify(rig);
    forward(rig, "l", OXBOW_TYPE_LIST, "jobs", OXBOW_CONFIRM_MASTER);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_AUTO),
                        HEAD " ~jobs ~oxbow:{jobs}:cursor:d:*" ALWAYS SCRIPT LIST);
}

static void characters_of_patterns_stand_for_themselves(void **state)
{
    struct rig *rig = *state;

    identify(rig);
    forward(rig, "s", OXBOW_TYPE_STREAM, "a*b?[c]\\", OXBOW_CONFIRM_MASTER);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_AUTO),
                        HEAD " ~a\\*b\\?\\[c\\]\\\\" ALWAYS SCRIPT STREAM);
}

static void they_do_so_in_a_cursor_s_key_too(void **state)
{
    struct rig *rig = *state;

    identify(rig);
    forward(rig, "l", OXBOW_TYPE_LIST, "x:{a*[}", OXBOW_CONFIRM_MASTER);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_AUTO),
                        HEAD " ~x:{a\\*\\[} ~oxbow:{a\\*\\[}:cursor:d:*" ALWAYS SCRIPT LIST);
}

static void what_no_line_can_say_is_any_byte(void **state)
{
    struct rig *rig = *state;

    identify(rig);
    forward(rig, "l", OXBOW_TYPE_LIST, "two words{\t\"'x*}", OXBOW_CONFIRM_MASTER);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_AUTO),
                        HEAD " ~two?words{???x\\*} ~oxbow:{???x\\*}:cursor:d:*" ALWAYS SCRIPT LIST);
}

static void a_zero_in_a_key_does_not_end_the_line(void **state)
{
    const struct oxbow_forward_options opt = {
        .key = BYTES("s"), .type = OXBOW_TYPE_STREAM, .target = BYTES("a\0b")};
    struct rig *rig = *state;
    struct oxbow_txn *txn;

    identify(rig);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_forward_create(txn, "s", &opt), OXBOW_OK);
    rig_commit(txn);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_AUTO), HEAD " ~a?b" ALWAYS SCRIPT STREAM);
}

static void confirmation_needs_its_command(void **state)
{
    struct rig *rig = *state;

    identify(rig);
    forward(rig, "a", OXBOW_TYPE_STREAM, "", OXBOW_CONFIRM_REPLICAS);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_AUTO), HEAD ALWAYS SCRIPT STREAM " +wait");
    forward(rig, "b", OXBOW_TYPE_STREAM, "", OXBOW_CONFIRM_AOF);
    assert_string_equal(line(rig, NULL, OXBOW_UPLINK_AUTO),
                        HEAD ALWAYS SCRIPT STREAM " +wait +waitaof");
}

static void a_line_that_does_not_fit_is_refused(void **state)
{
    static const char whole[] = HEAD ALWAYS SCRIPT;
    struct rig *rig = *state;
    char *out;
    size_t cap;

    identify(rig);
    for (cap = 0; cap < sizeof whole; cap++) {
        out = malloc(cap > 0 ? cap : 1);
        assert_non_null(out);
        assert_int_equal(oxbow_uplink_acl_line(rig->db, NULL, OXBOW_UPLINK_AUTO, out, cap),
                         OXBOW_ETOOBIG);
        free(out);
    }
    cap = sizeof whole;
    out = malloc(cap);
    assert_non_null(out);
    assert_int_equal(oxbow_uplink_acl_line(rig->db, NULL, OXBOW_UPLINK_AUTO, out, cap), OXBOW_OK);
    assert_string_equal(out, whole);
    free(out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_an_identity_there_is_none),
        TEST(each_mode_has_its_commands),
        TEST(a_store_with_the_policy_names_the_keys_of_stand_ins),
        TEST(a_stream_under_the_device_needs_no_key_of_its_own),
        TEST(a_list_elsewhere_is_named_with_its_cursor),
        TEST(a_key_without_a_tag_is_its_own),
        TEST(characters_of_patterns_stand_for_themselves),
        TEST(they_do_so_in_a_cursor_s_key_too),
        TEST(what_no_line_can_say_is_any_byte),
        TEST(a_zero_in_a_key_does_not_end_the_line),
        TEST(confirmation_needs_its_command),
        TEST(a_line_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
