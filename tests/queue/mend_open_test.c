/* SPDX-License-Identifier: Apache-2.0 */
/* Any one value of a store is damaged, also of those that are read while it is opened: the first
 * attempt opens it. What it met only later the next one mends, and then it stays as it is. */
#include "tests/queue/damaged.h"

#include "engine/store/page.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char dir[SCRATCH_MAX];
static unsigned again; /* openings that had to look at everything */

static void hear(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    again += strstr(text, "all of it is looked at") != NULL;
}

static char *open_and_describe(const struct damaged *d, const struct oxbow_port *port)
{
    struct oxbow_config config;
    struct oxbow *db;
    char *text;

    damaged_config(d, &config);
    config.port = port;
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    text = damaged_describe(db);
    assert_non_null(text);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    return text;
}

static void try_damage(const struct damaged *d, const struct oxbow_port *port)
{
    char *second, *third;

    damaged_put(d);
    free(open_and_describe(d, port));
    second = open_and_describe(d, port);
    third = open_and_describe(d, port);
    assert_string_equal(second, third);
    free(second);
    free(third);
}

static void a_store_with_any_damaged_value_opens_at_once(void **state)
{
    struct oxbow_port port = *oxbow_port_default();
    struct damaged d;
    unsigned values = 0;

    (void)state;
    port.log.line = hear;
    damaged_make(&d, dir);
    for (uint64_t p = 2; p < d.used / DAMAGED_PAGE; p++) {
        size_t count;

        assert_true(damaged_hurt(&d, DAMAGED_KINDS, 0)); /* nothing yet */
        if (!page_check(d.files[0].bytes + p * DAMAGED_PAGE, p, &count) ||
            page_flags(d.files[0].bytes + p * DAMAGED_PAGE) != PAGE_LEAF) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            uint8_t *page = d.files[0].bytes + p * DAMAGED_PAGE;
            struct page_node n;
            size_t at;

            if (!page_node(page, i, &n) || n.big || n.data_len == 0) {
                continue;
            }
            at = (size_t)((const uint8_t *)n.data.data - page) + n.data_len - 1;
            page[at] ^= 0x10;
            try_damage(&d, &port);
            page[at] ^= 0x10;
            values++;
        }
    }
    print_message("%u values, %u of them read while opening\n", values, again);
    assert_true(values > 50);
    assert_true(again > 0); /* else this shows nothing */
    damaged_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_with_any_damaged_value_opens_at_once),
    };

    scratch_name(dir, "mend-open");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
