/* SPDX-License-Identifier: Apache-2.0 */
/* COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]: names of commands and of
 * their subcommands. There are no modules. */
#include "engine/resp/acl.h"
#include "engine/resp/args.h"
#include "engine/resp/glob.h"
#include "engine/resp/server.h"

#include <string.h>

struct filter {
    const struct acl_category *category; /* NULL: of any */
    const struct oxbow_bytes *pattern;   /* NULL: of any name */
    bool nothing;                        /* none passes */
};

/* Whether the arguments make one. */
static bool filter_parse(const struct resp_call *call, struct filter *filter)
{
    const struct oxbow_bytes *args = call->args;

    if (call->count == 2) {
        return true;
    }
    if (call->count != 5 || !resp_arg_is(args[2], "filterby")) {
        return false;
    }
    if (resp_arg_is(args[3], "module")) {
        filter->nothing = true;
    } else if (resp_arg_is(args[3], "aclcat")) {
        filter->category = acl_category_find(args[4]);
        filter->nothing = filter->category == NULL;
    } else if (resp_arg_is(args[3], "pattern")) {
        filter->pattern = &args[4];
    } else {
        return false;
    }
    return true;
}

static size_t list_row(struct resp_call *call, const struct filter *filter,
                       const struct resp_command *row)
{
    const struct oxbow_bytes name = {row->name, strlen(row->name)};

    if (filter->nothing || (filter->category != NULL && !acl_in_category(filter->category, row)) ||
        (filter->pattern != NULL && !resp_glob(*filter->pattern, name, true))) {
        return 0;
    }
    resp_bulk_text(call->reply, row->name);
    return 1;
}

enum oxbow_err resp_command_list(struct resp_call *call)
{
    struct filter filter = {.nothing = false};
    struct resp_later later;
    const struct resp_command *row;
    size_t n = 0;

    if (!filter_parse(call, &filter)) {
        return resp_refuse_syntax(call);
    }
    later = resp_array_later(call->reply);
    for (uint32_t i = 0; (row = resp_table_row(i)) != NULL; i++) {
        if (!resp_served_to(call->client, row)) {
            continue;
        }
        n += list_row(call, &filter, row);
        for (const struct resp_command *sub = row->subs; sub != NULL && sub->name != NULL; sub++) {
            n += list_row(call, &filter, sub);
        }
    }
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}
