/* SPDX-License-Identifier: Apache-2.0 */
/* FUNCTION, of which there are none: clients that look for them, or clear them away, find that. */
#include "engine/resp/args.h"
#include "engine/resp/server.h"

static enum oxbow_err function_list(struct resp_call *call)
{
    bool with_code = false;
    bool named = false;

    for (uint32_t i = 2; i < call->count; i++) {
        struct oxbow_bytes arg = call->args[i];

        if (!with_code && resp_arg_is(arg, "withcode")) {
            with_code = true;
        } else if (!named && resp_arg_is(arg, "libraryname")) {
            if (++i >= call->count) {
                return resp_refuse(call, "ERR library name argument was not given");
            }
            named = true;
        } else {
            resp_error_format(call->reply, "ERR Unknown argument %.*s",
                              (int)(arg.len < 128 ? arg.len : 128), (const char *)arg.data);
            return OXBOW_OK;
        }
    }
    resp_array(call->reply, 0);
    return OXBOW_OK;
}

static enum oxbow_err function_flush(struct resp_call *call)
{
    if (call->count > 3) {
        return resp_refuse_subcommand(call);
    }
    if (call->count == 3 && !resp_arg_is(call->args[2], "sync") &&
        !resp_arg_is(call->args[2], "async")) {
        return resp_refuse(call, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    }
    resp_ok(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err function_stats(struct resp_call *call)
{
    resp_map(call->reply, 2);
    resp_bulk_text(call->reply, "running_script");
    resp_null(call->reply);
    resp_bulk_text(call->reply, "engines");
    resp_map(call->reply, 1);
    resp_bulk_text(call->reply, "LUA");
    resp_map(call->reply, 2);
    resp_bulk_text(call->reply, "libraries_count");
    resp_int(call->reply, 0);
    resp_bulk_text(call->reply, "functions_count");
    resp_int(call->reply, 0);
    return OXBOW_OK;
}

static enum oxbow_err function_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "FLUSH [ASYNC|SYNC]",
        "LIST [LIBRARYNAME <pattern>] [WITHCODE]",
        "STATS",
        "HELP",
        NULL,
    };

    return resp_lines(call, lines);
}

#define N (RESP_NOSCRIPT | RESP_PURE)
#define S RESP_CAT_SCRIPTING

static const struct resp_command function_subs[] = {
    {"function|list", function_list, -2, N, S, 0, 0, 0, "7.0.0", "The libraries: none", NULL},
    {"function|flush", function_flush, -2, RESP_NOSCRIPT | RESP_WRITE, S, 0, 0, 0, "7.0.0",
     "Deletes the libraries, of which there are none", NULL},
    {"function|stats", function_stats, 2, N, S, 0, 0, 0, "7.0.0", "What functions do: nothing",
     NULL},
    {"function|help", function_help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, S, 0, 0, 0, "7.0.0",
     "What FUNCTION can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

const struct resp_command resp_function_commands[] = {
    {"function", NULL, -2, 0, 0, 0, 0, 0, "7.0.0", "Of libraries of functions", function_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
