/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of errors that a target can answer. The first row that fits counts, so those with a
 * needle stand before those without. docs/UPLINK.md shows the same table to operators.
 */
#include "engine/uplink/trouble.h"

#include "engine/base/num.h"

#include <string.h>

/* clang-format off */
static const struct trouble_row trouble_rows[] = {
    {"MOVED",       NULL, OXBOW_TROUBLE_ROUTE, TROUBLE_REDIRECT, 0, 0},
    {"ASK",         NULL, OXBOW_TROUBLE_ROUTE, TROUBLE_REDIRECT, 0, 0},
    {"TRYAGAIN",    NULL, OXBOW_TROUBLE_BUSY, TROUBLE_RETRY, 500, 30000},
    {"CLUSTERDOWN", NULL, OXBOW_TROUBLE_BUSY, TROUBLE_RETRY, 500, 30000},
    {"LOADING",     NULL, OXBOW_TROUBLE_BUSY, TROUBLE_RETRY, 500, 30000},
    {"MASTERDOWN",  NULL, OXBOW_TROUBLE_BUSY, TROUBLE_RETRY, 500, 30000},
    {"BUSY",        NULL, OXBOW_TROUBLE_BUSY, TROUBLE_RETRY, 500, 30000},
    {"READONLY",    NULL, OXBOW_TROUBLE_NOT_MASTER, TROUBLE_NEXT, 0, 0},
    {"OOM",         NULL, OXBOW_TROUBLE_FULL, TROUBLE_RETRY, 5000, 300000},
    {"MISCONF",     NULL, OXBOW_TROUBLE_FULL, TROUBLE_RETRY, 5000, 300000},
    {"NOREPLICAS",  NULL, OXBOW_TROUBLE_FULL, TROUBLE_RETRY, 5000, 300000},
    {"NOAUTH",      NULL, OXBOW_TROUBLE_CREDENTIALS, TROUBLE_CLOSE, 30000, 1800000},
    {"WRONGPASS",   NULL, OXBOW_TROUBLE_CREDENTIALS, TROUBLE_CLOSE, 30000, 1800000},
    {"ERR", "invalid password", OXBOW_TROUBLE_CREDENTIALS, TROUBLE_CLOSE, 30000, 1800000},
    {"ERR", "without any password", OXBOW_TROUBLE_CREDENTIALS, TROUBLE_CLOSE, 30000, 1800000},
    {"NOPERM", "'eval", OXBOW_TROUBLE_ACL, TROUBLE_FALLBACK, 300000, 300000},
    {"NOPERM", "'fcall'", OXBOW_TROUBLE_ACL, TROUBLE_FALLBACK, 300000, 300000},
    {"NOPERM",      NULL, OXBOW_TROUBLE_ACL, TROUBLE_RETRY, 300000, 300000},
    {"ERR", "user executing the script", OXBOW_TROUBLE_ACL, TROUBLE_RETRY, 300000, 300000},
    {"ERR", "ACL failure in script", OXBOW_TROUBLE_ACL, TROUBLE_RETRY, 300000, 300000},
    {"NOSCRIPT",    NULL, OXBOW_TROUBLE_SCRIPT, TROUBLE_RESYNC, 0, 0},
    {"ERR", "Function not found", OXBOW_TROUBLE_SCRIPT, TROUBLE_FALLBACK, 300000, 300000},
    {"ERR", "unknown command", OXBOW_TROUBLE_SCRIPT, TROUBLE_FALLBACK, 300000, 300000},
    {"WRONGTYPE",   NULL, OXBOW_TROUBLE_KEY, TROUBLE_STOP, 0, 0},
    {"CROSSSLOT",   NULL, OXBOW_TROUBLE_KEY, TROUBLE_STOP, 0, 0},
    {"OXBOWBAD",    NULL, OXBOW_TROUBLE_KEY, TROUBLE_STOP, 0, 0},
    {"ERR", "equal or smaller", OXBOW_TROUBLE_FOREIGN, TROUBLE_STOP, 0, 0},
    {"DENIED",      NULL, OXBOW_TROUBLE_REFUSED, TROUBLE_CLOSE, 0, 0},
    {"ERR", "max number of clients", OXBOW_TROUBLE_REFUSED, TROUBLE_CLOSE, 0, 0},
    {"",            NULL, OXBOW_TROUBLE_PROTOCOL, TROUBLE_CLOSE, 0, 0},
};
/* clang-format on */

#define ROW_COUNT (sizeof(trouble_rows) / sizeof(trouble_rows[0]))

/* Up to Redis 6.2 an error inside a script comes as
 * "ERR Error running script (call to f_...): @user_script:12: -OOM command not allowed ...". */
static const char *unwrapped(const char *error)
{
    const char *inner;

    if (strncmp(error, "ERR Error running script", 24) != 0) {
        return error;
    }
    inner = strstr(error, ": -");
    return inner == NULL ? error : inner + 3;
}

static bool first_word_is(const char *error, const char *word)
{
    size_t len = strlen(word);

    return strncmp(error, word, len) == 0 && (error[len] == ' ' || error[len] == 0 || len == 0);
}

const struct trouble_row *trouble_of(const char *error)
{
    const char *text = unwrapped(error);
    size_t i;

    for (i = 0; i < ROW_COUNT - 1; i++) {
        const struct trouble_row *row = &trouble_rows[i];

        if (first_word_is(text, row->prefix) &&
            (row->needle == NULL || strstr(text, row->needle) != NULL)) {
            return row;
        }
    }
    return &trouble_rows[ROW_COUNT - 1];
}

enum oxbow_err trouble_redirect(const char *error, char *host, size_t cap, uint16_t *port)
{
    const char *slot = strchr(error, ' ');
    const char *address = slot == NULL ? NULL : strchr(slot + 1, ' ');
    const char *colon = address == NULL ? NULL : strrchr(address, ':');
    uint64_t number;
    size_t len;

    if (colon == NULL || num_u64((struct oxbow_bytes){colon + 1, strlen(colon + 1)}, &number) ||
        number == 0 || number > UINT16_MAX) {
        return OXBOW_EPARSE;
    }
    len = (size_t)(colon - (address + 1));
    if (len >= cap) {
        return OXBOW_ETOOBIG;
    }
    memcpy(host, address + 1, len);
    host[len] = 0;
    *port = (uint16_t)number;
    return OXBOW_OK;
}
