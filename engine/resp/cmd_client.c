/* SPDX-License-Identifier: Apache-2.0 */
/* CLIENT REPLY, with which a client says that it wants no answers, and CLIENT HELP. */
#include "engine/resp/cmd_client.h"

#include "engine/resp/args.h"
#include "engine/resp/server.h"

enum oxbow_err resp_client_reply(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;

    if (resp_arg_is(call->args[2], "on")) {
        c->silent = false;
        c->skipped = 0;
        resp_ok(resp_client_answer(c));
    } else if (resp_arg_is(call->args[2], "off")) {
        c->silent = true;
    } else if (!resp_arg_is(call->args[2], "skip")) {
        return resp_refuse_syntax(call);
    } else if (!c->silent) {
        c->skipped = c->request + 1;
    }
    return OXBOW_OK;
}

enum oxbow_err resp_client_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CACHING (YES|NO)",
        "    Says whether what the next command reads is tracked, with OPTIN or OPTOUT.",
        "GETNAME",
        "    Tells this connection's name.",
        "GETREDIR",
        "    Tells which connection gets the messages of TRACKING.",
        "ID",
        "    Tells this connection's number.",
        "INFO",
        "    Tells what this connection is like.",
        "KILL <address>|<option> <value> [<option> <value> ...]",
        "    Closes connections: those with ID, TYPE, ADDR, LADDR and USER as given, and this one",
        "    with SKIPME no.",
        "LIST [TYPE <type>|ID <id> [<id> ...]]",
        "    Tells what connections are like.",
        "NO-EVICT (ON|OFF)",
        "    Has no effect here.",
        "PAUSE <milliseconds> [WRITE|ALL]",
        "    Has commands wait for so long: those that write, or all.",
        "REPLY (ON|OFF|SKIP)",
        "    Answers this connection from now on, or does not, or does not answer its next "
        "command.",
        "SETINFO <option> <value>",
        "    Notes the library that this connection is made by: LIB-NAME or LIB-VER.",
        "SETNAME <name>",
        "    Names this connection.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [PREFIX <prefix> ...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Has this connection told when keys change that it has read.",
        "TRACKINGINFO",
        "    Tells what is tracked for this connection.",
        "UNBLOCK <id> [TIMEOUT|ERROR]",
        "    Ends the wait of another connection.",
        "UNPAUSE",
        "    Ends what PAUSE has begun.",
        "HELP",
        "    Prints this help.",
        NULL,
    };

    return resp_lines(call, lines);
}
