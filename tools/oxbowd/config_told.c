/* SPDX-License-Identifier: Apache-2.0 */
/* What the options are, for CONFIG GET. */
#include "tools/oxbowd/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* In whose place the server has what is set now, or that nobody is to see. */
static bool is_secret(const struct config_row *row)
{
    static const char end[] = "-pass";
    size_t len = strlen(row->name);

    return strcmp(row->name, "requirepass") == 0 ||
           (len >= sizeof end - 1 && strcmp(row->name + len - (sizeof end - 1), end) == 0);
}

static uint64_t number_at(const struct config *c, const struct config_row *row)
{
    uint64_t n;

    memcpy(&n, (const char *)c + row->offset, sizeof n);
    return n;
}

/* The default's word where several mean the same, else the first of them. */
static const char *word_of(const struct config_row *row, uint64_t value)
{
    const char *name = "";

    for (const struct config_word *w = row->words; w->name != NULL; w++) {
        if (w->value == value && (name[0] == '\0' || strcmp(w->name, row->standard) == 0)) {
            name = w->name;
        }
    }
    return name;
}

static const char *addresses_of(const struct config *c, struct config_told *out)
{
    size_t at = 0;

    out->addresses[0] = '\0';
    for (uint32_t i = 0; i < c->bind.count && at < sizeof out->addresses; i++) {
        at += (size_t)snprintf(out->addresses + at, sizeof out->addresses - at, "%s%s",
                               i > 0 ? " " : "", c->bind.text[i]);
    }
    return out->addresses;
}

/* False: it is not one value. */
static bool value_of(const struct config *c, const struct config_row *row, struct config_told *out,
                     const char **value)
{
    char *number = out->numbers[out->count];
    bool yes;

    *value = number;
    switch (row->kind) {
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
        (void)snprintf(number, CONFIG_TOLD_NUMBER, "%" PRIu64, number_at(c, row));
        return true;
    case CONFIG_NUMBER_OR_NONE:
        (void)snprintf(number, CONFIG_TOLD_NUMBER, "%" PRId64, (int64_t)number_at(c, row));
        return true;
    case CONFIG_OCTAL:
        (void)snprintf(number, CONFIG_TOLD_NUMBER, "%" PRIo64, number_at(c, row));
        return true;
    case CONFIG_YESNO:
        memcpy(&yes, (const char *)c + row->offset, sizeof yes);
        *value = yes ? "yes" : "no";
        return true;
    case CONFIG_WORD:
        *value = word_of(row, number_at(c, row));
        return true;
    case CONFIG_TEXT:
    case CONFIG_NAMES:
        *value = (const char *)c + row->offset;
        return true;
    case CONFIG_ADDRESSES:
        *value = addresses_of(c, out);
        return true;
    default:
        return false;
    }
}

void config_told(const struct config *c, struct config_told *out)
{
    out->count = 0;
    for (const struct config_row *row = config_rows; row->name != NULL; row++) {
        const char *value;

        if (!is_secret(row) && value_of(c, row, out, &value)) {
            out->at[out->count++] = (struct oxbow_resp_setting){row->name, value};
        }
    }
}
