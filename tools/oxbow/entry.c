/* SPDX-License-Identifier: Apache-2.0 */
/* Ids are strict decimal text. An entry prints as one row a field, in JSON as one object. */
#include "tools/oxbow/entry.h"

#include "oxbow/time.h"
#include "tools/oxbow/out.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool number(const char *text, const char **end, uint64_t *out)
{
    char *stop;

    if (!isdigit((unsigned char)*text)) {
        return false;
    }
    errno = 0;
    *out = strtoull(text, &stop, 10);
    *end = stop;
    return errno == 0;
}

bool entry_id_of(const char *text, uint64_t seq_default, struct oxbow_id *out)
{
    struct oxbow_id id = {0, seq_default};
    const char *end;

    if (strcmp(text, "-") == 0) {
        *out = OXBOW_ID_MIN;
        return true;
    }
    if (strcmp(text, "+") == 0) {
        *out = OXBOW_ID_MAX;
        return true;
    }
    if (!number(text, &end, &id.ms) || (*end == '-' && !number(end + 1, &end, &id.seq)) ||
        *end != '\0') {
        return false;
    }
    *out = id;
    return true;
}

bool entry_id_mode(const char *text, enum oxbow_id_mode *mode, struct oxbow_id *out)
{
    const char *end;

    *mode = OXBOW_ID_EXPLICIT;
    if (strcmp(text, "*") == 0) {
        *mode = OXBOW_ID_AUTO;
        return true;
    }
    if (number(text, &end, &out->ms) && strcmp(end, "-*") == 0) {
        *mode = OXBOW_ID_PARTIAL;
        return true;
    }
    return strchr(text, '-') != text && strcmp(text, "+") != 0 && entry_id_of(text, 0, out);
}

/* The entry's id, and its time if that was asked for. */
static void print_head(const struct oxbow_result *result, size_t i, struct out *out)
{
    char text[OXBOW_TRUE_TIME_TEXT];

    out_id(out, result->entries[i].id);
    if (result->times != NULL) {
        (void)oxbow_true_time_text(&result->times[i], text);
        out_text(out, text);
    }
}

static void print_json(const struct oxbow_result *result, struct out *out)
{
    for (size_t i = 0; i < result->entry_count; i++) {
        print_head(result, i, out);
        out_fields(out, result->entries[i].fields, result->entries[i].field_count);
    }
}

static void print_rows(const struct oxbow_result *result, size_t i, struct out *out)
{
    const struct oxbow_entry *e = &result->entries[i];

    for (uint32_t f = 0; f < e->field_count; f++) {
        print_head(result, i, out);
        out_bytes(out, e->fields[f].name);
        out_bytes(out, e->fields[f].value);
    }
    if (e->field_count == 0) {
        print_head(result, i, out);
        out_text(out, "(deleted)");
        out_none(out);
    }
}

int entry_print(const struct cli *cli, const struct oxbow_result *result)
{
    static const char *const json_columns[] = {"id", "fields", NULL};
    static const char *const json_timed[] = {"id", "time", "fields", NULL};
    static const char *const columns[] = {"id", "field", "value", NULL};
    static const char *const timed[] = {"id", "time", "field", "value", NULL};
    bool times = result->times != NULL;
    struct out *out;

    if (result->entry_count == 0 && !cli->opt.json) {
        return EXIT_NOTHING;
    }
    if (cli->opt.json) {
        out = out_open(true, false, times ? json_timed : json_columns);
        print_json(result, out);
    } else {
        out = out_open(false, false, times ? timed : columns);
        for (size_t i = 0; i < result->entry_count; i++) {
            print_rows(result, i, out);
        }
    }
    if (!out_close(out)) {
        return EXIT_FAILED;
    }
    return result->entry_count > 0 ? EXIT_DONE : EXIT_NOTHING;
}
