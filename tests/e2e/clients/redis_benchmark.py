# SPDX-License-Identifier: Apache-2.0
"""redis-benchmark with its own commands, one at a time and in pipelines, and what it leaves behind."""
import csv
import os
import subprocess

PORT = os.environ["REDIS_PORT"]
TESTS = ("ping_inline,ping_mbulk,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,"
         "lrange_100,mset")


def run(program, *args):
    done = subprocess.run([program, "-p", PORT, *args], capture_output=True, timeout=300)
    assert done.returncode == 0, done
    return done.stdout.decode()


def cli(*args):
    return run("redis-cli", *args).strip()


def measured(*args):
    """Names to requests a second; that there were errors would end the program."""
    rows = list(csv.reader(run("redis-benchmark", "--csv", *args).splitlines()))
    return {row[0]: float(row[1]) for row in rows[1:]}


found = measured("-n", "2000", "-c", "20", "-t", TESTS)
for word in ("PING_INLINE", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET",
             "SPOP", "ZADD", "ZPOPMIN", "MSET (10 keys)"):
    assert found[word] > 0, (word, found)
assert cli("GET", "counter:__rand_int__") == "2000"
assert cli("GET", "key:__rand_int__") == "VXK" or len(cli("GET", "key:__rand_int__")) == 3
# What was pushed, less what was popped, and what LRANGE's preparation pushed.
assert int(cli("LLEN", "mylist")) == 2000 + 2000 - 2000 - 2000 + 2000
assert cli("SCARD", "myset") == "0" and cli("HLEN", "myhash") == "1"

cli("FLUSHALL")
assert measured("-n", "20000", "-c", "10", "-P", "16", "-r", "100", "-t", "incr")["INCR"] > 0
keys = cli("--scan", "--pattern", "counter:*").split()
assert len(keys) == 100
assert sum(int(cli("GET", key)) for key in keys) == 20000

cli("FLUSHALL")
run("redis-benchmark", "-q", "-3", "-n", "3000", "-c", "5", "-P", "3", "XADD", "stream", "*",
    "field", "value")
assert cli("XLEN", "stream") == "3000"
