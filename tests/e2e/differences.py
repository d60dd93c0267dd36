# SPDX-License-Identifier: Apache-2.0
"""What the differential test looks away from, held against the numbered list in docs/RESP.md.

Each rule by which two replies pass that are not the same bytes, and all that is not sent since the answers
would differ, names an entry of that list ("What differs from Redis"). An entry that nothing names, a name
without an entry, an entry without a reason, and a list of more than MOST entries are errors.
"""
import os
import re

MOST = 30
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "RESP.md")
HEAD = "## What differs from Redis"

# Entries that no rule for replies names: what the test does not send, or sends with something else, and where.
LEFT_OUT = {
    "alone": "differ.py: CLIENT UNBLOCK and CONFIG SET are not sent within MULTI",
    "chunks": "differ_stream.py: MAXLEN and MINID with ~",
    "collation": "sort_commands: BY with ALPHA, values with zero bytes; is_open: a set by what is the same for all",
    "debug": "inside_commands: subcommands that are not here",
    "dump": "Steps.dumps: what DUMP gives is only restored by the server that gave it",
    "functions": "inside_commands: FUNCTION LOAD, DELETE, DUMP, RESTORE and KILL, FCALL",
    "hello": "differ.py, command: no argument too many behind HELLO",
    "keys": "connection_commands: no group is called STREAMS in COMMAND GETKEYS",
    "lex": "some_commands: BYLEX of keys whose members have one score",
    "overflow": "list_commands: LPOS with the lowest rank of all; waiting_commands: times that are no plain numbers",
    "lua": "Scripts: clocks, addresses, an error that is a table without err; EVALSHA asks for the last text, or one of SCRIPT LOAD",
    "reload": "Differ.round: UNWATCH before DEBUG RELOAD; none within MULTI, none with --memory",
    "replication": "connection_commands: REPLICAOF of NO ONE alone; inside_commands: WAIT for replicas without a limit",
    "rules": "differ_acl.py: the rules about commands that GETUSER and LIST show",
    "selector": "differ_acl.py: no pattern ends with a parenthesis",
    "tracking": "Client.reply: messages that keys have changed are passed over",
    "unknown": "differ_acl.py: commands that both have, and one that neither has",
    "xsetid": "differ_stream.py: XSETID goes upwards alone",
}


class Unlisted(Exception):
    """The list and the rules do not go together."""


def read(text=None):
    """The list: names to (number, what, here, why)."""
    if text is None:
        with open(PAGE, encoding="utf-8") as page:
            text = page.read()
    out = {}
    if HEAD not in text:
        raise Unlisted(f"docs/RESP.md has no {HEAD!r}")
    for line in text.split(HEAD, 1)[1].split("\n## ", 1)[0].splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not re.fullmatch(r"\d+", cells[0]):
            continue
        if len(cells) != 5 or not all(cells):
            raise Unlisted(f"a number, a name, what, how it is here and why are wanted: {line}")
        if int(cells[0]) != len(out) + 1 or cells[1] in out:
            raise Unlisted(f"not the next number, or the name a second time: {line}")
        out[cells[1]] = (int(cells[0]), *cells[2:])
    return out


def check(named, listed=None):
    """That `named`, the differences that rules name, and LEFT_OUT are the list, and the list is short enough."""
    listed = read() if listed is None else listed
    named = set(named) | set(LEFT_OUT)
    if len(listed) > MOST:
        raise Unlisted(f"docs/RESP.md lists {len(listed)} differences, {MOST} at most are wanted")
    if not listed:
        raise Unlisted("docs/RESP.md lists no difference")
    if named - set(listed):
        raise Unlisted("not in docs/RESP.md: " + " ".join(sorted(named - set(listed))))
    if set(listed) - named:
        raise Unlisted("in docs/RESP.md, and no rule is for it: " + " ".join(sorted(set(listed) - named)))
    return listed
