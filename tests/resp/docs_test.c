/* SPDX-License-Identifier: Apache-2.0 */
/* docs/RESP.md has the rows of the table, each and no other. With an argument: prints them, for the page. */
#include "engine/resp/command.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE OXBOW_SOURCE_DIR "/docs/RESP.md"

static const struct {
    const struct resp_command *first;
    const char *title;
} families[] = {
    {resp_list_commands, "Lists"},
    {resp_stream_commands, "Streams"},
    {resp_string_commands, "Strings"},
    {resp_bit_commands, "Bits"},
    {resp_hash_commands, "Hashes"},
    {resp_hash_expire_commands, "Fields that expire"},
    {resp_set_commands, "Sets"},
    {resp_zset_commands, "Sorted sets"},
    {resp_zset_range_commands, "Ranges of sorted sets"},
    {resp_zset_combine_commands, "Several sorted sets"},
    {resp_key_commands, "Keys of any type"},
    {resp_expire_commands, "Times to live"},
    {resp_sort_commands, "Sorting"},
    {resp_dump_commands, "Values as texts"},
    {resp_object_commands, "What keys are like inside"},
    {resp_durable_commands, "How safe a write is"},
    {resp_multi_commands, "Transactions"},
    {resp_pubsub_commands, "Channels"},
    {resp_script_commands, "Scripts"},
    {resp_function_commands, "Functions"},
    {resp_oxbow_commands, "oxbow's own"},
    {resp_connection_commands, "Connections"},
    {resp_auth_commands, "Who may do what"},
    {resp_server_commands, "The server"},
    {resp_slowlog_commands, "Commands that took long"},
    {resp_latency_commands, "Commands that kept others waiting"},
    {resp_monitor_commands, "What everybody does"},
    {resp_debug_commands, "For tests of programs"},
    {resp_sentinel_commands, "As a sentinel, at sentinel-port alone"},
};

static void print_row(FILE *out, const struct resp_command *row)
{
    char name[RESP_NAME_MAX];
    size_t i;

    for (i = 0; row->name[i] != '\0'; i++) {
        name[i] = (char)(row->name[i] == '|'                          ? ' '
                         : row->name[i] >= 'a' && row->name[i] <= 'z' ? row->name[i] - 32
                                                                      : row->name[i]);
    }
    name[i] = '\0';
    fprintf(out, "| %s | %s | %s |\n", name, row->since, row->summary);
}

static uint32_t print_rows(FILE *out)
{
    uint32_t n = 0;

    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        fprintf(out, "\n### %s\n\n| command | since Redis | what it does |\n|---|---|---|\n",
                families[f].title);
        for (const struct resp_command *row = families[f].first; row->name != NULL; row++) {
            n++;
            if (row->run != NULL) {
                print_row(out, row);
            }
            for (const struct resp_command *sub = row->subs; sub != NULL && sub->name != NULL;
                 sub++) {
                print_row(out, sub);
            }
        }
    }
    return n;
}

static void the_page_has_the_table(void **state)
{
    char *wanted = NULL;
    size_t wanted_len;
    char *page;
    size_t len;
    FILE *out = open_memstream(&wanted, &wanted_len);
    FILE *in = fopen(PAGE, "r");
    struct resp_table table;

    (void)state;
    assert_non_null(out);
    assert_non_null(in);
    resp_table_init(&table);
    assert_int_equal(print_rows(out), table.count);
    assert_int_equal(fclose(out), 0);
    page = malloc(1 << 20);
    assert_non_null(page);
    len = fread(page, 1, (1 << 20) - 1, in);
    page[len] = '\0';
    assert_int_equal(fclose(in), 0);
    if (strstr(page, wanted) == NULL) {
        fail_msg("docs/RESP.md does not have the table's rows: `resp_docs_test print` gives them");
    }
    free(page);
    free(wanted);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_page_has_the_table)};

    if (argc > 1 && strcmp(argv[1], "print") == 0) {
        (void)print_rows(stdout);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
