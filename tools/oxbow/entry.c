/* SPDX-License-Identifier: Apache-2.0 */
/* Ids are strict decimal text. An entry prints as one row a field, in JSON as one object. */
#include "tools/oxbow/entry.h"

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

static void print_json(const struct oxbow_result *result, struct out *out)
{
    for (size_t i = 0; i < result->entry_count; i++) {
        out_id(out, result->entries[i].id);
        out_fields(out, result->entries[i].fields, result->entries[i].field_count);
    }
}

int entry_print(const struct cli *cli, const struct oxbow_result *result)
{
    static const char *const json_columns[] = {"id", "fields", NULL};
    static const char *const columns[] = {"id", "field", "value", NULL};
    struct out *out;

    if (result->entry_count == 0 && !cli->opt.json) {
        return EXIT_NOTHING;
    }
    out = out_open(cli->opt.json, false, cli->opt.json ? json_columns : columns);
    if (cli->opt.json) {
        print_json(result, out);
    }
    for (size_t i = 0; !cli->opt.json && i < result->entry_count; i++) {
        const struct oxbow_entry *e = &result->entries[i];

        for (uint32_t f = 0; f < e->field_count; f++) {
            out_id(out, e->id);
            out_bytes(out, e->fields[f].name);
            out_bytes(out, e->fields[f].value);
        }
        if (e->field_count == 0) {
            out_id(out, e->id);
            out_text(out, "(deleted)");
            out_none(out);
        }
    }
    if (!out_close(out)) {
        return EXIT_FAILED;
    }
    return result->entry_count > 0 ? EXIT_DONE : EXIT_NOTHING;
}
