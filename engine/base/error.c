/* SPDX-License-Identifier: Apache-2.0 */
/* The error table's three texts, looked up by value. Rows are dense from 0. */
#include "oxbow/error.h"

#include <stddef.h>

struct row {
    const char *name;
    const char *prefix;
    const char *text;
};

static const struct row rows[] = {
#define ROW(name, value, prefix, text) [(value)] = {#name, prefix, text},
    OXBOW_ERRORS(ROW)
#undef ROW
};

static const struct row unknown = {"OXBOW_E?", "ERR", "unknown error"};

static const struct row *row_of(enum oxbow_err err)
{
    size_t at = (size_t)err;

    return at < sizeof rows / sizeof rows[0] && rows[at].name != NULL ? &rows[at] : &unknown;
}

const char *oxbow_err_name(enum oxbow_err err)
{
    return row_of(err)->name;
}

const char *oxbow_err_prefix(enum oxbow_err err)
{
    return row_of(err)->prefix;
}

const char *oxbow_err_text(enum oxbow_err err)
{
    return row_of(err)->text;
}
