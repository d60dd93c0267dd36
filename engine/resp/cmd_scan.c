/* SPDX-License-Identifier: Apache-2.0 */
/* Cursors and options of the scans. */
#include "engine/resp/cmd_scan.h"

#include "engine/base/num.h"
#include "engine/resp/args.h"
#include "engine/resp/glob.h"
#include "oxbow/key.h"

/* A cursor is an unsigned number, as strtoul of Redis takes it: nothing is 0, and a sign may stand before it. */
static bool cursor_of(struct oxbow_bytes arg, uint64_t *cursor)
{
    const char *p = arg.data;
    size_t i = arg.len > 1 && (p[0] == '-' || p[0] == '+');

    *cursor = 0;
    for (; i < arg.len; i++) {
        uint64_t digit = (uint64_t)(p[i] - '0');

        if (p[i] < '0' || p[i] > '9' || *cursor > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *cursor = *cursor * 10 + digit;
    }
    if (arg.len > 1 && p[0] == '-') {
        *cursor = 0 - *cursor;
    }
    return true;
}

static bool scan_begin(struct resp_call *call, uint32_t at, struct resp_scan *scan)
{
    *scan = (struct resp_scan){.count = 10};
    if (!cursor_of(call->args[at], &scan->cursor)) {
        (void)!resp_refuse(call, "ERR invalid cursor");
        return false;
    }
    return true;
}

static bool scan_options(struct resp_call *call, uint32_t at, bool types, struct resp_scan *scan)
{
    for (uint32_t i = at + 1; i < call->count; i += 2) {
        int64_t count;

        if (i + 1 < call->count && resp_arg_is(call->args[i], "count")) {
            if (!resp_arg_int(call->args[i + 1], &count)) {
                (void)!resp_refuse_integer(call);
                return false;
            }
            if (count < 1) {
                (void)!resp_refuse_syntax(call);
                return false;
            }
            scan->count = count < (int64_t)RESP_SCAN_MAX ? (size_t)count : RESP_SCAN_MAX;
        } else if (i + 1 < call->count && resp_arg_is(call->args[i], "match")) {
            /* All, also the empty name, which as in Redis no other pattern of stars matches. */
            scan->match = resp_arg_is(call->args[i + 1], "*") ? NULL : &call->args[i + 1];
        } else if (i + 1 < call->count && types && resp_arg_is(call->args[i], "type")) {
            scan->type = &call->args[i + 1];
        } else {
            (void)!resp_refuse_syntax(call);
            return false;
        }
    }
    return true;
}

bool resp_scan_parse(struct resp_call *call, uint32_t at, bool types, struct resp_scan *scan)
{
    return scan_begin(call, at, scan) && scan_options(call, at, types, scan);
}

void resp_scan_cursor(struct resp_call *call, uint64_t cursor)
{
    char text[NUM_TEXT_MAX];
    size_t len = num_u64_text(text, cursor);

    resp_array(call->reply, 2);
    resp_bulk(call->reply, (struct oxbow_bytes){text, len});
}

enum oxbow_err resp_scan_members(struct resp_call *call,
                                 enum oxbow_err (*scan)(struct oxbow_txn *txn,
                                                        struct oxbow_bytes key, uint64_t *cursor,
                                                        size_t count, struct oxbow_result *result),
                                 size_t step, void (*beside)(struct resp_call *call, size_t i))
{
    const struct oxbow_result *found = call->result;
    struct resp_later later;
    struct resp_scan options;
    size_t n = 0;
    enum oxbow_err err;

    if (!scan_begin(call, 2, &options)) {
        return OXBOW_OK;
    }
    if (call->count > 3) { /* as in Redis nobody looks at the options if there is nothing to scan */
        enum oxbow_type type = OXBOW_TYPE_NONE;
        uint64_t first = 0;

        err = oxbow_key_type(call->txn, call->args[1], &type);
        if (err == OXBOW_OK && type == OXBOW_TYPE_NONE) {
            resp_scan_cursor(call, 0);
            resp_array(call->reply, 0);
            return OXBOW_OK;
        }
        if (err == OXBOW_OK) { /* of the right type? */
            err = scan(call->txn, call->args[1], &first, 1, call->result);
        }
        if (err != OXBOW_OK || !scan_options(call, 2, false, &options)) {
            return err;
        }
    }
    err = scan(call->txn, call->args[1], &options.cursor, options.count, call->result);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_scan_cursor(call, options.cursor);
    later = resp_array_later(call->reply);
    for (size_t i = 0; i + step <= found->item_count; i += step) {
        if (options.match != NULL && !resp_glob(*options.match, found->items[i], false)) {
            continue;
        }
        resp_bulk(call->reply, found->items[i]);
        n++;
        if (beside != NULL) {
            beside(call, i);
            n++;
        }
    }
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}
