# SPDX-License-Identifier: Apache-2.0
"""redis-py, of any major version, with and without asyncio: pipelines, streams, blocking, pub/sub."""
import asyncio
import os
import threading
import time

import redis
import redis.asyncio as aio

WHERE = {"host": os.environ["REDIS_HOST"], "port": int(os.environ["REDIS_PORT"]),
         "socket_timeout": 30, "decode_responses": True}
MAJOR = int(redis.__version__.split(".")[0])
RAW = bytes(range(256)) + b"\r\n$5\r\n"


def strings(r):
    assert r.set("s", "v") is True
    assert r.set("s", "w", nx=True) is None and r.get("s") == "v"
    assert r.set("s", "w", ex=100, get=True) == "v" and 50 <= r.ttl("s") <= 100
    assert r.set("s", "x", keepttl=True) is True and r.ttl("s") > 0
    assert r.getex("s", persist=True) == "x" and r.ttl("s") == -1
    assert r.mset({"a": "1", "b": "2"}) is True
    assert r.mget("a", "none", "b") == ["1", None, "2"]
    assert r.incr("a", 41) == 42 and r.decr("a") == 41
    assert r.incrbyfloat("a", 0.5) == 41.5
    assert r.append("s", "yz") == 3 and r.getrange("s", 1, 2) == "yz" and r.strlen("s") == 3
    assert r.getdel("s") == "xyz" and r.get("s") is None
    assert r.delete("a", "b", "none") == 2
    raw = redis.Redis(**{**WHERE, "decode_responses": False})
    raw.set(RAW, RAW * 50)
    assert raw.get(RAW) == RAW * 50 and raw.exists(RAW) == 1
    assert raw.unlink(RAW) == 1
    raw.close()


def times(r):
    r.set("t", "v", px=80000)
    assert 0 < r.pttl("t") <= 80000
    r.set("t", "v", px=80)
    wait_until(lambda: r.get("t") is None)
    r.set("t", "v")
    assert r.expire("t", 50) and not r.expire("none", 50)
    assert r.persist("t") and r.ttl("t") == -1
    assert r.expireat("t", int(time.time()) + 60) and 0 < r.ttl("t") <= 61
    assert r.type("t") == "string" and r.rename("t", "u") and r.exists("t", "u") == 1


def collections(r):
    assert r.hset("h", mapping={"one": 1, "two": "zwei"}) == 2
    assert r.hgetall("h") == {"one": "1", "two": "zwei"}
    assert r.hmget("h", "two", "none") == ["zwei", None] and r.hincrby("h", "one", 6) == 7
    assert r.hexists("h", "one") and r.hdel("h", "one", "none") == 1 and r.hkeys("h") == ["two"]
    assert r.sadd("set", "a", "b", "c") == 3 and r.smembers("set") == {"a", "b", "c"}
    assert r.srem("set", "a") == 1 and not r.sismember("set", "a") and r.scard("set") == 2
    r.sadd("set2", "c", "d")
    assert r.sinter("set", "set2") == {"c"} and r.sunion("set", "set2") == {"b", "c", "d"}
    assert r.zadd("z", {"low": -1, "mid": 1795262984.8513463, "high": float("inf")}) == 3
    pairs = [("low", -1.0), ("mid", 1795262984.8513463), ("high", float("inf"))]
    got = r.zrange("z", 0, -1, withscores=True)
    assert [tuple(pair) for pair in got] == pairs, got
    assert r.zscore("z", "mid") == 1795262984.8513463 and r.zrank("z", "high") == 2
    assert r.zrangebyscore("z", "-inf", 0) == ["low"] and r.zcount("z", 0, "+inf") == 2
    assert r.zincrby("z", 3, "low") == 2.0 and r.zrevrange("z", 0, 0) == ["high"]
    assert [tuple(p) for p in r.zpopmin("z", 2)] == [("low", 2.0), pairs[1]]
    assert r.zremrangebyscore("z", 0, "+inf") == 1 and r.exists("z") == 0


def lists(r):
    assert r.rpush("l", *"abcdef") == 6 and r.lpush("l", "_") == 7
    assert r.lrange("l", 0, -1) == list("_abcdef")
    assert r.lpop("l") == "_" and r.rpop("l", 2) == ["f", "e"] and r.lindex("l", 1) == "b"
    assert r.lset("l", 1, "B") and r.linsert("l", "before", "B", "x") == 5
    assert r.lrem("l", 1, "x") == 1 and r.ltrim("l", 1, 2) and r.lrange("l", 0, -1) == ["B", "c"]
    assert r.lmove("l", "m", "LEFT", "RIGHT") == "B" and r.rpoplpush("l", "m") == "c"
    assert r.lrange("m", 0, -1) == ["c", "B"] and r.llen("l") == 0 and r.lpos("m", "B") == 1


def pipelines(r):
    pipe = r.pipeline(transaction=False)
    for n in range(2000):
        pipe.rpush("p", n)
    assert pipe.execute() == list(range(1, 2001))
    with r.pipeline() as pipe:
        assert pipe.set("n", 5).incr("n").lrange("p", 0, 1).execute() == [True, 6, ["0", "1"]]
    with r.pipeline() as pipe:
        pipe.set("n", 7).lpush("n", "wrong").incr("n")
        got = pipe.execute(raise_on_error=False)
    assert got[0] is True and isinstance(got[1], redis.ResponseError) and got[2] == 8
    with r.pipeline() as pipe:
        pipe.watch("n")
        r.set("n", 100)
        pipe.multi()
        pipe.incr("n")
        try:
            pipe.execute()
            raise AssertionError("nobody told of the change")
        except redis.WatchError:
            pass
    assert r.transaction(lambda p: (p.multi(), p.incr("n")), "n") == [101]


def streams(r):
    ids = [r.xadd("x", {"n": n, "text": "ä\n"}) for n in range(10)]
    assert r.xlen("x") == 10 and r.xrange("x", ids[3], ids[4]) == [
        (ids[3], {"n": "3", "text": "ä\n"}), (ids[4], {"n": "4", "text": "ä\n"})]
    assert r.xgroup_create("x", "g", id="0") is True
    try:
        r.xgroup_create("x", "g")
        raise AssertionError("made twice")
    except redis.ResponseError as why:
        assert "BUSYGROUP" in str(why)
    entries = of_stream(r.xreadgroup("g", "one", {"x": ">"}, count=4), "x")
    assert [id for id, _ in entries] == ids[:4] and entries[0][1]["n"] == "0"
    assert r.xack("x", "g", *ids[:2]) == 2
    told = r.xpending("x", "g")
    assert told["pending"] == 2 and told["min"] == ids[2] and told["max"] == ids[3], told
    assert [p["message_id"] for p in r.xpending_range("x", "g", "-", "+", 10)] == ids[2:4]
    claimed = r.xclaim("x", "g", "two", 0, [ids[2]])
    assert claimed == [(ids[2], {"n": "2", "text": "ä\n"})], claimed
    auto = r.xautoclaim("x", "g", "three", 0, "0-0", count=10)
    assert [id for id, _ in auto[1]] == ids[2:4], auto
    assert [c["name"] for c in r.xinfo_consumers("x", "g")] == ["one", "three", "two"]
    group = r.xinfo_groups("x")[0]
    assert group["name"] == "g" and group["pending"] == 2 and group["lag"] == 6, group
    assert r.xinfo_stream("x")["length"] == 10
    assert r.xdel("x", ids[0]) == 1 and r.xtrim("x", maxlen=3, approximate=False) == 6
    assert [id for id, _ in r.xrevrange("x")] == ids[:6:-1]
    assert of_stream(r.xread({"x": ids[-2]}), "x")[0][0] == ids[-1]
    assert not r.xread({"x": "$"}, block=30)


def streams_of_later_versions(r):
    """What Redis has since 8.2, 8.4 and 8.8, as the newest client asks for it and reads it."""
    if MAJOR < 8:
        return
    for i in range(1, 5):
        r.xadd("xl", {"n": i}, id=f"{i}-0")
    r.xgroup_create("xl", "g", id="0")
    r.xreadgroup("g", "one", {"xl": ">"})
    assert r.xackdel("xl", "g", "1-0", "9-9") == [1, -1]
    assert r.xdelex("xl", "2-0", "9-9", ref_policy="ACKED") == [2, -1]
    assert r.xnack("xl", "g", "FAIL", "3-0") == 1
    rows = {p["message_id"]: p for p in r.xpending_range("xl", "g", "-", "+", 10)}
    assert rows["3-0"]["consumer"] == "" and rows["3-0"]["times_delivered"] == 1, rows
    (claimed,) = of_stream(r.xreadgroup("g", "two", {"xl": ">"}, claim_min_idle_time=3600000), "xl")
    assert claimed[:2] == ("3-0", {"n": "3"}) and claimed[3] == 1, claimed
    r.xclaim("xl", "g", "one", 0, ["2-0"], idle=40000, justid=True)
    r.xadd("xl", {"n": 5}, id="5-0")
    first, second = of_stream(r.xreadgroup("g", "two", {"xl": ">"}, claim_min_idle_time=30000), "xl")
    assert first[0] == "2-0" and first[2] >= 40000 and first[3] == 1, first
    assert second == ("5-0", {"n": "5"}, 0, 0), second
    assert r.xtrim("xl", maxlen=0, approximate=False, ref_policy="ACKED") == 0
    assert r.xadd("xl", {"n": 6}, id="6-0", maxlen=1, approximate=False, ref_policy="DELREF") == "6-0"
    assert r.xlen("xl") == 1 and r.xpending("xl", "g")["pending"] == 0


def fields_that_expire(r):
    """What Redis has since 7.4 and 8.0, as the newest client asks for it and reads it."""
    if MAJOR < 8:
        return
    r.hset("fields", mapping={"a": "1", "b": "2", "c": "3"})
    assert r.hexpire("fields", 1000, "a", "none") == [1, -2]
    assert r.hexpire("fields", 10, "a", "b", nx=True) == [0, 1]
    assert r.hpexpire("fields", 5000000, "b", gt=True) == [1]
    assert 0 < r.httl("fields", "a")[0] <= 1000 and r.httl("fields", "c", "none") == [-1, -2]
    assert 4900000 < r.hpttl("fields", "b")[0] <= 5000000
    assert r.hexpireat("fields", 2524600800, "a") == [1]
    assert r.hexpiretime("fields", "a") == [2524600800]
    assert r.hpexpireat("fields", 1, "c") == [2] and not r.hexists("fields", "c")
    assert r.hpersist("fields", "a", "b", "none") == [1, 1, -2]
    r.hpexpire("fields", 1, "b")
    end = time.monotonic() + 60
    while r.hlen("fields") != 1 and time.monotonic() < end:
        time.sleep(0.01)
    assert r.hgetall("fields") == {"a": "1"}
    only_new = redis.commands.core.HashDataPersistOptions.FNX
    assert r.hsetex("fields", mapping={"a": "5", "d": "6"}, ex=1000) == 1
    assert r.hsetex("fields", "a", "7", data_persist_option=only_new) == 0
    assert r.hgetex("fields", "a", "none", persist=True) == ["5", None]
    assert r.httl("fields", "a")[0] == -1 and r.httl("fields", "d")[0] > 900
    assert r.hgetdel("fields", "a", "d", "none") == ["5", "6", None]
    assert not r.exists("fields")


def of_stream(reply, name):
    """The entries: a list of pairs in RESP2, a dictionary in RESP3."""
    if isinstance(reply, dict):
        entries = reply[name]
        return entries[0] if len(entries) == 1 and isinstance(entries[0], list) else entries
    return dict((key, entries) for key, entries in reply)[name]


def blocking(r):
    got = []

    def wait(n):
        with redis.Redis(**WHERE) as mine:
            got.append((n, mine.blpop(["w1", "w2"], timeout=25)))
    waiting = []
    for n in range(3):
        waiting.append(threading.Thread(target=wait, args=(n,)))
        waiting[-1].start()
        wait_until(lambda n=n: sum(c["cmd"] == "blpop" for c in r.client_list()) == n + 1)
    assert r.rpush("w2", "first", "second", "third") == 3
    for thread in waiting:
        thread.join()
    assert sorted((n, tuple(v)) for n, v in got) == [
        (0, ("w2", "first")), (1, ("w2", "second")), (2, ("w2", "third"))], got
    assert r.brpop("w1", timeout=1) is None
    r.zadd("wz", {"m": 2.5})
    assert list(r.bzpopmin("wz", timeout=1)) == ["wz", "m", 2.5]


def wait_until(what):
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def subscribers(r):
    with r.pubsub() as sub:
        sub.subscribe("news")
        sub.psubscribe("n*s")
        for _ in range(2):
            assert sub.get_message(timeout=10)["type"] in ("subscribe", "psubscribe")
        assert r.publish("news", "hello") == 2
        got = {(m["type"], m["channel"], m["data"]) for m in
               (sub.get_message(timeout=10) for _ in range(2))}
        assert got == {("message", "news", "hello"), ("pmessage", "news", "hello")}, got
        assert r.pubsub_numsub("news") == [("news", 1)] and r.pubsub_channels() == ["news"]
        if MAJOR < 8:  # which in RESP3 takes the reply for no message
            sub.ping()
            assert sub.get_message(timeout=10)["type"] == "pong"
        sub.unsubscribe()
        assert sub.get_message(timeout=10)["type"] == "unsubscribe"
    wait_until(lambda: r.pubsub_numsub("news") == [("news", 0)])


def server(r):
    info = r.info()
    assert info["redis_version"].startswith("7.") and info["process_id"] > 0
    assert r.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert r.client_setname("me") and r.client_getname() == "me"
    assert "me" in [c["name"] for c in r.client_list()]
    assert r.command_count() > 150 and r.echo("e") == "e" and abs(r.time()[0] - time.time()) < 60
    with redis.Redis(**{**WHERE, "db": 5}) as five:
        five.set("five", "5")
        assert five.dbsize() == 1 and r.get("five") is None
        five.flushdb()
        assert five.dbsize() == 0 and r.dbsize() > 0
    assert set(r.scan_iter(match="w*", count=3)) == {k for k in r.keys("w*")}
    if MAJOR >= 5:
        with redis.Redis(**WHERE, protocol=3) as three:
            assert three.execute_command("HELLO")["proto"] == 3
            assert three.hgetall("h") == {"two": "zwei"}
            assert three.smembers("set2") == {"c", "d"}


def kept_near(r):
    """Client-side caching. redis-py wants a server that says it is 7.4; what it sends is of 6.0."""
    if MAJOR < 6:
        return
    from redis.cache import CacheConfig
    from redis.connection import CacheProxyConnection
    CacheProxyConnection.MIN_ALLOWED_VERSION = "7.0.0"
    r.set("near", "1")
    with redis.Redis(**WHERE, protocol=3, cache_config=CacheConfig()) as near:
        assert near.get("near") == "1" and near.get_cache().size == 1
        assert r.info("clients")["tracking_clients"] == 1
        before = r.info("stats")["total_commands_processed"]
        assert [near.get("near") for _ in range(100)] == ["1"] * 100
        assert r.info("stats")["total_commands_processed"] - before < 100
        for value in ("2", "3"):
            r.set("near", value)
            wait_until(lambda: near.get("near") == value)
        r.delete("near")
        wait_until(lambda: near.get("near") is None)
        r.set("near", "4", px=50)
        wait_until(lambda: near.get("near") == "4")
        wait_until(lambda: near.get("near") is None)
    wait_until(lambda: r.info("clients")["tracking_clients"] == 0)


async def asynchronous():
    r = aio.Redis(**WHERE)
    assert await r.set("async", "1") is True
    assert await asyncio.gather(*(r.incr("async") for _ in range(50)))
    assert await r.get("async") == "51"
    async with r.pipeline(transaction=True) as pipe:
        assert await pipe.rpush("al", "a", "b").llen("al").lpop("al").execute() == [2, 2, "a"]
    waiting = asyncio.create_task(aio.Redis(**WHERE).blpop(["aw"], timeout=20))
    await asyncio.sleep(0.05)
    assert await r.lpush("aw", "job") == 1
    assert list(await waiting) == ["aw", "job"]
    # One that gives up takes nothing.
    gone = aio.Redis(**WHERE)
    waiting = asyncio.create_task(gone.blpop(["aw"], timeout=20))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await gone.connection_pool.disconnect()
    while (await r.info("clients"))["blocked_clients"] > 0:
        await asyncio.sleep(0.01)
    await r.lpush("aw", "kept")
    assert await r.lrange("aw", 0, -1) == ["kept"]
    async with r.pubsub() as sub:
        await sub.subscribe("achannel")
        assert (await sub.get_message(timeout=10))["type"] == "subscribe"
        await r.publish("achannel", "x")
        assert (await sub.get_message(timeout=10))["data"] == "x"
    await r.xgroup_create("ax", "g", id="0", mkstream=True)
    await r.xadd("ax", {"k": "v"}, id="7-7")
    entries = of_stream(await r.xreadgroup("g", "c", {"ax": ">"}, block=1000), "ax")
    assert entries == [("7-7", {"k": "v"})], entries
    assert await r.xack("ax", "g", "7-7") == 1
    assert sorted([k async for k in r.scan_iter("a*")]) == sorted(await r.keys("a*"))
    await r.connection_pool.disconnect()


def main():
    r = redis.Redis(**WHERE)
    assert r.ping() is True
    for part in (strings, times, collections, lists, pipelines, streams,
                 streams_of_later_versions, fields_that_expire, blocking, subscribers, server,
                 kept_near):
        part(r)
    r.close()
    asyncio.run(asynchronous())


main()
