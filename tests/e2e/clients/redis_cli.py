# SPDX-License-Identifier: Apache-2.0
"""redis-cli as a person and as a script uses it: words, files by --pipe, --scan, --bigkeys, -3."""
import os
import re
import subprocess

PORT = os.environ["REDIS_PORT"]


def cli(*args, stdin=b""):
    done = subprocess.run(["redis-cli", "-p", PORT, *args], input=stdin, capture_output=True,
                          timeout=60)
    assert done.returncode == 0, done
    assert not done.stderr, done
    return done.stdout.decode()


def protocol(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def commands():
    assert cli("PING") == "PONG\n"
    assert cli("SET", "greeting", "hello world") == "OK\n"
    assert cli("GET", "greeting") == "hello world\n"
    assert cli("--no-raw", "GET", "nothing") == "(nil)\n"
    assert cli("--no-raw", "RPUSH", "list", "a", "b", "c") == "(integer) 3\n"
    assert cli("LRANGE", "list", "0", "-1") == "a\nb\nc\n"
    assert cli("--csv", "LRANGE", "list", "0", "-1") == '"a","b","c"\n'
    assert cli("-x", "SET", "file", stdin=b"\x00\xff\r\nlast") == "OK\n"
    assert cli("--no-raw", "GET", "file") == '"\\x00\\xff\\r\\nlast"\n'
    assert cli("-n", "3", "SET", "other", "db") == "OK\n"
    assert cli("EXISTS", "other") == "0\n"
    assert cli("-n", "3", "GET", "other") == "db\n"
    assert cli("NOSUCH", "a").startswith("ERR unknown command 'NOSUCH'")
    assert cli("LPUSH", "greeting", "x").startswith("WRONGTYPE ")
    assert cli("-r", "5", "INCR", "n") == "1\n2\n3\n4\n5\n"
    assert cli("-u", f"redis://127.0.0.1:{PORT}/3", "GET", "other") == "db\n"
    assert cli("-s", os.environ["REDIS_SOCKET"], "-n", "3", "GET", "other") == "db\n"


def typed_in():
    """Lines on standard input, a transaction among them."""
    said = cli(stdin=b"MULTI\nINCR n\nLLEN list\nEXEC\nSELECT 3\nGET other\n")
    assert said == "OK\nQUEUED\nQUEUED\n6\n3\nOK\ndb\n", said


def resp3():
    cli("HSET", "hash", "field", "value")
    cli("ZADD", "zset", "1.5", "m")
    assert cli("-3", "--no-raw", "HGETALL", "hash") == '1# "field" => "value"\n'
    assert cli("-3", "--no-raw", "ZSCORE", "zset", "m") == "(double) 1.5\n"
    assert cli("-3", "--no-raw", "GET", "nothing") == "(nil)\n"
    cli("SADD", "set", "one")
    assert cli("-3", "--no-raw", "SMEMBERS", "set") == '1~ "one"\n'
    assert "proto 3" in " ".join(cli("-3", "HELLO").split())


def pipe():
    count = 20000
    load = b"".join(protocol(b"RPUSH", b"bulk", b"%d" % n) for n in range(count))
    said = cli("--pipe", stdin=load)
    assert f"errors: 0, replies: {count}" in said, said
    assert cli("LLEN", "bulk") == f"{count}\n"
    assert cli("LRANGE", "bulk", "0", "2") == "0\n1\n2\n"
    assert cli("LINDEX", "bulk", "-1") == f"{count - 1}\n"
    said = subprocess.run(["redis-cli", "-p", PORT, "--pipe"], capture_output=True, timeout=60,
                          input=protocol(b"SET", b"a", b"1") + protocol(b"INCR", b"list"))
    assert b"errors: 1, replies: 2" in said.stdout, said


def scan():
    for n in range(0, 3000, 100):
        cli("MSET", *sum(([f"scan:{i}", "v"] for i in range(n, n + 100)), []))
    wanted = sorted(f"scan:{n}" for n in range(3000))
    assert sorted(cli("--scan", "--pattern", "scan:*").split()) == wanted
    assert sorted(cli("--scan", "--quoted-pattern", '"scan:\x2a"').split()) == wanted
    assert set(cli("--scan").split()) >= set(wanted) | {"list", "hash", "bulk"}


def bigkeys():
    said = cli("--bigkeys")
    assert "Biggest   list found '\"bulk\"' has 20000 items" in said, said
    assert re.search(r"Biggest   hash found '\"hash\"' has 1 fields", said), said
    assert "Sampled 30" in said, said


commands()
typed_in()
resp3()
pipe()
scan()
bigkeys()
