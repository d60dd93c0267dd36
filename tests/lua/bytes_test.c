/* SPDX-License-Identifier: Apache-2.0 */
/* Strings that are built piece by piece. */
#include "engine/lua/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <string.h>

static void what_was_added_is_there_however_long_it_grows(void **state)
{
    lua_State *L = luaL_newstate();
    struct bytes b;
    const char *text;
    size_t len;

    (void)state;
    bytes_init(&b, L);
    for (unsigned i = 0; i < 1000; i++) {
        bytes_byte(&b, i & 0xff);
        bytes_number(&b, 0x0102030405060708u, 8);
        bytes_add(&b, "abc", 3);
        bytes_add(&b, NULL, 0);
    }
    bytes_push(&b);
    text = lua_tolstring(L, -1, &len);
    assert_int_equal(len, 12000);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal((unsigned char)text[12 * i], i & 0xff);
        assert_memory_equal(text + 12 * i + 1, "\1\2\3\4\5\6\7\10abc", 11);
    }
    assert_int_equal(lua_gettop(L), 2); /* what holds it, and the string */
    lua_close(L);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_there_however_long_it_grows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
