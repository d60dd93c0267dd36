# SPDX-License-Identifier: Apache-2.0
"""redis-py's locks: by many threads, taken over when they end, extended, never released by another."""
import os
import threading
import time

import redis
from redis.exceptions import LockError, LockNotOwnedError

r = redis.Redis.from_url(os.environ["REDIS_URL"])
inside, count = [], 0


def work():
    global count
    for _ in range(20):
        with r.lock("lock", timeout=120, sleep=0.002):
            inside.append(1)
            assert len(inside) == 1, "two hold the lock"
            count += 1
            r.incr("count")
            inside.pop()


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert count == 160 and r.get("count") == b"160" and not r.exists("lock")

short = r.lock("short", timeout=100)
assert short.acquire() and not r.lock("short").acquire(blocking=False)
assert r.pexpire("short", 50)
end = time.monotonic() + 60
while r.exists("short"):
    assert time.monotonic() < end
    time.sleep(0.02)
other = r.lock("short", timeout=100)
assert other.acquire(blocking=False)
try:
    short.release()
    raise AssertionError("released what another holds")
except LockNotOwnedError:
    pass
assert other.owned() and other.extend(200) and 200 < r.ttl("short") <= 300
assert other.reacquire() and 0 < r.ttl("short") <= 100
other.release()
try:
    other.release()
    raise AssertionError("released twice")
except LockError:
    pass

# A script of one's own, known by its digest after the first time.
script = r.register_script("redis.call('RPUSH', KEYS[1], ARGV[1]) return redis.call('LLEN', KEYS[1])")
assert [script(keys=["l"], args=[b"\0\xff"]) for _ in range(3)] == [1, 2, 3]
assert r.lrange("l", 0, -1) == [b"\0\xff"] * 3 and r.script_exists(script.sha) == [True]
with r.pipeline() as pipe:
    script(keys=["l"], args=["x"], client=pipe)
    pipe.llen("l")
    assert pipe.execute() == [4, 4]
