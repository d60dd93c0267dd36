/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows do is tested in session_test.c; here how they are found. */
#include "engine/uplink/trouble.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void the_first_word_decides_and_must_be_whole(void **state)
{
    (void)state;
    assert_int_equal(trouble_of("BUSY Redis is busy")->trouble, OXBOW_TROUBLE_BUSY);
    assert_int_equal(trouble_of("BUSYGROUP Consumer Group name already exists")->trouble,
                     OXBOW_TROUBLE_PROTOCOL);
    assert_int_equal(trouble_of("OOM")->trouble, OXBOW_TROUBLE_FULL);
    assert_int_equal(trouble_of("")->trouble, OXBOW_TROUBLE_PROTOCOL);
}

static void an_error_inside_an_old_servers_script_is_unwrapped(void **state)
{
    (void)state;
    assert_int_equal(trouble_of("ERR Error running script (call to f_1): @user_script:3: "
                                "-MISCONF Redis is configured")
                         ->trouble,
                     OXBOW_TROUBLE_FULL);
    assert_int_equal(
        trouble_of("ERR Error running script (call to f_1): user_script:3: oops")->trouble,
        OXBOW_TROUBLE_PROTOCOL);
}

static void a_redirect_names_its_host(void **state)
{
    char host[16];
    uint16_t port = 0;

    (void)state;
    assert_int_equal(trouble_redirect("MOVED 1 10.0.0.1:7603", host, sizeof(host), &port),
                     OXBOW_OK);
    assert_string_equal(host, "10.0.0.1");
    assert_int_equal(port, 7603);
    assert_int_equal(trouble_redirect("ASK 1 ::1:7603", host, sizeof(host), &port), OXBOW_OK);
    assert_string_equal(host, "::1");
    assert_int_equal(trouble_redirect("ASK 1 :7", host, sizeof(host), &port), OXBOW_OK);
    assert_string_equal(host, "");
    assert_int_equal(trouble_redirect("ASK 1 a:0", host, sizeof(host), &port), OXBOW_EPARSE);
    assert_int_equal(trouble_redirect("ASK 1 a:65536", host, sizeof(host), &port), OXBOW_EPARSE);
    assert_int_equal(trouble_redirect("ASK 1", host, sizeof(host), &port), OXBOW_EPARSE);
    assert_int_equal(trouble_redirect("ASK 1 15.host.example:1", host, sizeof(host), &port),
                     OXBOW_OK);
    assert_int_equal(trouble_redirect("ASK 1 016.host.example:1", host, sizeof(host), &port),
                     OXBOW_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_word_decides_and_must_be_whole),
        cmocka_unit_test(an_error_inside_an_old_servers_script_is_unwrapped),
        cmocka_unit_test(a_redirect_names_its_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
