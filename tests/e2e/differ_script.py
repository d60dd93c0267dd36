# SPDX-License-Identifier: Apache-2.0
"""Scripts for differ.py: small programs by a grammar."""
import hashlib
import itertools


class Scripts:
    """Small programs by a grammar. Left out: addresses, orders that Redis does not promise, clocks, and an
    error that is a table without `err`, of which Redis 7.0 ends."""

    CALLS = ["'get','s1'", "'set','s1',{v}", "'incr','s2'", "'append','s1',{v}", "'strlen','s1'",
             "'rpush','l1',{v},{v}", "'lrange','l1',0,-1", "'lpop','l1'", "'lpop','l1',2", "'llen',{v}",
             "'hset','h1','f',{v}", "'hget','h1','f'", "'hmget','h1','f','g'", "'zadd','z1',{n},{v}",
             "'zscore','z1',{v}", "'zrange','z1',0,-1,'withscores'", "'zincrby','z1',{n},'m'", "'sadd','e1',{v}",
             "'scard','e1'", "'sismember','e1',{v}", "'del',{v}", "'exists','s1'", "'type','l1'", "'ping'",
             "'echo',{v}", "'mget','s1','nothing','s2'", "'lindex','l1',{n}", "'nosuch',{v}", "'get'",
             "'blpop','l1',0", "'multi'", "'select',3", "'set','s1',{v},'nx'", "'persist','s1'", "'setnx','s1',{v}",
             "'xadd','x1','5-*','f',{v}", "'xlen','x1'", "'incrbyfloat','s3',{n}", "'publish','c',{v}",
             "'eval','return 1',0", "'lset','l1',{n},{v}", "'zpopmin','z1'", "{v},{v}", "{v}", "", "'PING',{v}"]
    NUMBERS = ["0", "1", "-1", "2", "7", "-3", "1.5", "-0.5", "1e15", "2^53", "1e20", "1/0", "-1/0", "255",
               "65536", "4294967296", "0.1", "1700000000123", "-2^31", "-2^63", "3.0"]
    TEXTS = ["''", "'a'", "'1'", "'10'", "'1.5'", "'x y'", "'\\0\\1\\255'", "'a\\r\\nb'", "('x'):rep(40)",
             "('ab'):rep(200)", "'{{\"a\":[1,2.5,null,true]}}'", "'[1,[2,{{}}],\"\\\\u00e9\"]'", "'[}}'", "'\\147\\1\\2\\3'",
             "'\\130\\161a\\1\\161b\\192'", "'OK'", "'ERR x'"]

    def __init__(self, rng):
        self.rng = rng

    def number(self, depth):
        if depth <= 0 or self.rng.random() < 0.5:
            return self.rng.choice(self.NUMBERS)
        one, two = (lambda: self.number(depth - 1)), (lambda: self.value(depth - 1))
        return self.rng.choice([
            lambda: f"({one()}){self.rng.choice('+-*/%^')}({one()})", lambda: f"math.floor({one()})",
            lambda: f"#({two()})", lambda: f"tonumber({two()})", lambda: f"math.max({one()},{one()})",
            lambda: f"bit.{self.rng.choice(['band', 'bor', 'bxor', 'lshift', 'rshift', 'arshift', 'rol'])}"
                    f"({one()},{one()})", lambda: f"bit.bnot({one()})", lambda: f"string.byte({two()})",
            lambda: f"struct.size('<i{self.rng.randrange(1, 9)}>h!{self.rng.choice('248')}d')",
            lambda: f"select('#',{two()},{two()})", lambda: "#KEYS", lambda: f"math.fmod({one()},{one()})"])()

    def text(self, depth):
        if depth <= 0 or self.rng.random() < 0.5:
            return self.rng.choice(self.TEXTS).replace("{{", "{").replace("}}", "}")
        one, two = (lambda: self.text(depth - 1)), (lambda: self.value(depth - 1))
        return self.rng.choice([
            lambda: f"({one()})..({one()})", lambda: f"tostring({self.number(depth - 1)})",
            lambda: f"cjson.encode({two()})", lambda: f"cmsgpack.pack({two()},{two()})",
            lambda: f"redis.sha1hex({one()})", lambda: f"string.sub({one()},{self.number(0)},{self.number(0)})",
            lambda: f"string.format('%s|%5.2f|%q',{one()},{self.number(0)},{one()})", lambda: f"({one()}):upper()",
            lambda: f"struct.pack('{self.rng.choice('<>=')}{self.rng.choice('bBhHiIlLfd')}s',{self.number(0)},{one()})",
            lambda: f"bit.tohex({self.number(0)})", lambda: f"string.gsub({one()},'%w','<%0>')",
            lambda: f"table.concat({{{one()},{self.number(0)}}},{one()})", lambda: f"type({two()})", lambda: "ARGV[1]", lambda: "KEYS[1]",
            lambda: f"string.match({one()},'(%a+)')", lambda: f"string.reverse({one()})"])()

    def table(self, depth):
        one = lambda: self.value(depth - 1)
        return self.rng.choice([
            lambda: "{}", lambda: f"{{{one()}}}", lambda: f"{{{one()},{one()},{one()}}}",
            lambda: f"{{a={one()},b={one()}}}", lambda: f"{{{one()},k={one()}}}",
            lambda: f"{{err={self.text(0)}}}", lambda: f"{{ok={self.text(0)}}}", lambda: f"{{double={self.number(0)}}}",
            lambda: f"{{map={{k={one()}}}}}", lambda: f"{{set={{k=true}}}}", lambda: f"{{big_number={self.text(0)}}}",
            lambda: f"{{verbatim_string={{format='txt',string={self.text(0)}}}}}",
            lambda: f"cjson.decode({self.text(depth - 1)})", lambda: f"{{cmsgpack.unpack({self.text(depth - 1)})}}",
            lambda: f"{{cmsgpack.unpack_one({self.text(depth - 1)})}}", lambda: f"{{pcall(function() return {one()} end)}}",
            lambda: f"{{struct.unpack('<{self.rng.choice('bBhHiIlLfds')}',{self.text(depth - 1)})}}",
            lambda: f"redis.error_reply({self.text(0)})", lambda: f"redis.status_reply({self.text(0)})",
            lambda: f"{{unpack({{{one()},{one()}}})}}", lambda: f"cmsgpack.unpack(cmsgpack.pack({one()}))",
            lambda: f"cjson.decode(cjson.encode({{{one()},{one()}}}))"])()

    def call(self, depth):
        form = self.rng.choice(self.CALLS)
        while "{v}" in form:
            form = form.replace("{v}", self.value(depth - 1), 1)
        form = form.replace("{n}", self.number(0))
        return f"redis.{'pcall' if self.rng.random() < 0.5 else 'call'}({form})"

    def value(self, depth):
        r = self.rng.random()
        if depth <= 0 or r < 0.25:
            return self.rng.choice([self.number(0), self.text(0), "true", "false", "nil"])
        if r < 0.4:
            return self.number(depth)
        if r < 0.6:
            return self.text(depth)
        return self.call(depth) if r < 0.8 else self.table(depth)

    def statement(self, n):
        one = lambda: self.value(2)
        return self.rng.choice([
            lambda: f"local v{n} = {one()}", lambda: self.call(2), lambda: self.call(2),
            lambda: f"if {one()} then {self.call(1)} end", lambda: f"for i = 1, 3 do {self.call(1)} end",
            lambda: f"pcall(function() {self.call(1)} error({self.text(0)}) end)", lambda: "redis.setresp(3)",
            lambda: f"local v{n} = {one()} if type(v{n}) == 'table' then v{n}.x = 1 end"])()

    def program(self):
        lines = [self.statement(n) for n in range(self.rng.choice([0, 0, 1, 2, 4]))]
        r = self.rng.random()
        if r < 0.03:
            lines.append(self.rng.choice(["x = 1", "string.x = 1", "return nothing", f"error({self.text(1)})",
                                          f"error({self.text(0)}, 0)", "return #nil", "rawset(_G, 'a', 1)",
                                          "return return", "error(redis.error_reply('MY text'))"]))
        else:
            lines.append(f"return {self.value(3)}")
        shebang = self.rng.choice(["", "", "", "", "", "", "#!lua\n", "#!lua flags=no-writes\n",
                                   "#!lua flags=allow-oom,nonsense\n"])
        return (shebang + self.rng.choice([" ", "\n"]).join(lines)).encode("latin1")


def script_commands(w):
    scripts = Scripts(w.rng)
    last = [b"return 1"]
    count = itertools.count()

    def new():
        # EVALSHA asks for the last text alone: ours forgets what it has not seen for 500 scripts. So none comes twice.
        last[0] = scripts.program() + b" --%d" % next(count)
        return last[0]

    rest = lambda: w.rng.choice([[b"0"], [b"0", w.value()], [b"1", w.key("s"), w.value()], [b"1", w.key("l"), w.value()],
                                 [b"2", w.key("s"), w.key("s"), w.value(), w.value()], [w.number(-1, 3), w.value()]])
    sha = lambda: hashlib.sha1(last[0]).hexdigest().encode()
    return {
        "eval": lambda: [new(), *rest()], "eval_ro": lambda: [new(), *rest()],
        "evalsha": lambda: [sha(), *rest()], "evalsha_ro": lambda: [sha(), *rest()],
        "script": lambda: [b"LOAD", new()] if w.rng.random() < 0.5 else [b"EXISTS", sha(), b"x"],
    }
