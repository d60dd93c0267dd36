# SPDX-License-Identifier: Apache-2.0
"""Steps of differ.py about the file of users: files by chance, good and bad, that are read (ACL LOAD) and written (ACL
SAVE), and whose connections end when users are read again, change or go."""
from differ_server import text

FILE = "users.acl"
ALL = b"on nopass ~* &* +@all"
# Lines about others than who asks, by rules that both say in the same words. Some are wrong, but no parenthesis is left
# open: reading such a file redis-server 7.0.15 crashes.
NAMES = [b"u1", b"u2", b"w1", b"w2", b"a\xffb"]
RULES = [b"on", b"off", b"nopass", b">x", b"~a*", b"~b*", b"allkeys", b"resetkeys", b"&n*", b"allchannels", b"resetchannels", b"+@all", b"-@all",
         b"%R~b", b"%RW~c", b"(+get ~c)", b"(+get  %W~d &n)", b"clearselectors", b"sanitize-payload", b"skip-sanitize-payload",
         b"#2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", b"reset"]
WRONG = [b"junk", b"~", b"+nosuch", b"-nosuch", b"+get|x|y", b"(+nosuch ~a)", b"#12", b"+@bogus", b"%X~a", b"<nosuch", b"!12", b"&"]
LINES = [b"", b"  ", b"\t", b"user", b"users u1 on", b"u1 on", b"# no comment", b"USER u1 on", b"user  w1   on  ", b"\tuser u2 off",
         b"user w2 on\r", b"user u1 on >pass"]
CHANGES = [b"reset", b"off", b"resetchannels", b"-@all", b">y", b"on", b"allchannels"]


def lines(rng):
    """A file of users."""
    out = [b"user default " + rng.choice([ALL, ALL, b"on nopass ~* resetchannels &c1 +@all"])] if rng.random() < 0.7 else []
    for name in rng.sample(NAMES, rng.randrange(1, len(NAMES))):
        rules = [rng.choice(RULES) for _ in range(rng.randrange(6))]
        if rng.random() < 0.1:
            rules.insert(rng.randrange(len(rules) + 1), rng.choice(WRONG))
        out.append(b" ".join([b"user", name, *rules]))
    if rng.random() < 0.2:
        out.insert(rng.randrange(len(out) + 1), rng.choice(LINES))
    return b"\n".join(out) + rng.choice([b"\n", b"\n", b"", b"\n\n"])


class Users:
    """What Differ does about users; what is used of it is there."""

    def files(self):
        """Another file for both; then users as they were are written, and read again."""
        self.both([[b"ACL", b"SAVE"]])
        kept = [server.read(FILE) for server in self.servers]
        content = lines(self.rng)
        self.history.append(f"a file of users: {content!r}")
        for server in self.servers:
            server.write(FILE, content)
        self.both([[b"ACL", b"LOAD"], [b"ACL", b"USERS"], [b"ACL", b"LIST"], *[[b"ACL", b"GETUSER", name] for name in NAMES]])
        if self.rng.random() < 0.5:
            self.both([[b"ACL", b"SAVE"], [b"ACL", b"LOAD"], [b"ACL", b"LIST"]])
        for server, content in zip(self.servers, kept):
            server.write(FILE, content)
        self.both([[b"ACL", b"LOAD"], [b"ACL", b"LIST"]])

    def change(self):
        """What may end connections."""
        rng = self.rng
        user = rng.choice([b"w1", b"w2"])
        way = rng.randrange(4)
        if way == 0:
            rules = [b"user " + name + b" " + ALL for name in (b"w1", b"w2", b"default")]
            one = rng.randrange(3)
            # Who asks is the default user.
            rules[one] = b"user default on nopass ~* resetchannels &c2 +@all" if one == 2 else \
                rng.choice([b"", rules[one].replace(b"&*", b"&c2"), rules[one].replace(b"on", b"off", 1)])
            for server in self.servers:
                server.write(FILE, b"\n".join(rules))
            self.history.append(f"a file of users: {rules!r}")
        if way < 2:
            return [b"ACL", b"LOAD"]
        return [b"ACL", b"SETUSER", user, rng.choice(CHANGES)] if way == 2 else [b"ACL", b"DELUSER", user]

    def goes(self, client, sent):
        """What is said to one until the end, or until the answer to the PING that is sent last."""
        seen = []
        try:
            client.send(sent)
            while not seen or b"the mark" not in seen[-1] and b"run the 'ping' command" not in seen[-1]:
                seen.append(client.reply())
        except TimeoutError:
            self.ended(f"{client.server.name} says no more after {seen!r} to {text(sent[-1])}")
        except (EOFError, ConnectionError):
            seen.append("the end")
        client.close()
        return seen

    def ends_of_users(self):
        """Some are there when users change: whose connection ends, and what is said before."""
        rng = self.rng
        self.both([[b"SELECT", b"0"], *[[b"ACL", b"SETUSER", name, b"reset", *ALL.split()] for name in (b"w1", b"w2")], [b"ACL", b"SAVE"]])
        kinds = [rng.choice([([], 0), ([[b"SUBSCRIBE", b"c1"]], 1), ([[b"PSUBSCRIBE", b"c*"]], 1), ([[b"SSUBSCRIBE", b"c2"]], 1),
                             ([[b"MULTI"], [b"SET", b"s1", b"v"]], 2), ([[b"BLPOP", b"awaited", b"0"]], 0)]) for _ in range(4)]
        who = [rng.choice([b"w1", b"w2", b"default"]) for _ in kinds]
        groups = [[self.comes(c, user, *kind) for user, kind in zip(who, kinds)] for c in self.pair]
        self.history.append(f"there are {list(zip(who, kinds))!r}")
        sent = self.change()
        idle = [i for i, kind in enumerate(kinds) if kind[0] == []]
        if idle and rng.random() < 0.4:
            one = rng.choice(idle)
            self.history.append(f"client {one + 1}: {text(sent)}")
            for group in groups:
                group[one].send([sent])
            said = [group[one].reply() for group in groups]
            if said[0] != said[1]:
                self.differs(sent, *said)
        else:
            self.both([sent])
        self.both([[b"PING"], [b"RPUSH", b"awaited", *[b"v"] * len(kinds)], [b"PUBLISH", b"c1", b"m"], [b"SPUBLISH", b"c2", b"m"], [b"ACL", b"LIST"]])
        for i, kind in enumerate(kinds):
            last = [*([[b"EXEC"]] if len(kind[0]) == 2 else []), [b"PING", b"the mark"]]
            a, b = (self.goes(group[i], last) for group in groups)
            if a != b:
                self.differs([b"(what client %d was told)" % (i + 1), who[i], *sent], a, b)
        self.both([[b"DEL", b"awaited"], [b"ACL", b"DELUSER", b"w1", b"w2"], [b"ACL", b"SETUSER", b"default", b"reset", *ALL.split()],
                   [b"ACL", b"SAVE"]])
