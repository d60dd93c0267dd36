# SPDX-License-Identifier: Apache-2.0
"""A FastAPI service: a cache, a limit per minute, jobs in a stream with a consumer of its own."""
import asyncio
import json
import os
import time
from contextlib import asynccontextmanager

import redis
import redis.asyncio as aio
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

STREAM, GROUP = "jobs", "workers"


async def work(r):
    """Takes jobs for as long as the service lives."""
    while True:
        reply = await r.xreadgroup(GROUP, "w1", {STREAM: ">"}, count=5, block=500)
        streams = reply.items() if isinstance(reply, dict) else reply
        for _, entries in streams or []:
            if entries and isinstance(entries[0], list):
                entries = entries[0]
            for job, fields in entries:
                async with r.pipeline() as pipe:
                    pipe.hset("job:" + job, mapping={"state": "done", "result": int(fields["n"]) ** 2})
                    pipe.expire("job:" + job, 100)
                    pipe.xack(STREAM, GROUP, job)
                    await pipe.execute()


@asynccontextmanager
async def life(app):
    app.redis = aio.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    await app.redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    worker = asyncio.create_task(work(app.redis))
    yield
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await app.redis.aclose()


app = FastAPI(lifespan=life)


@app.get("/item/{name}")
async def item(name: str):
    found = await app.redis.get("item:" + name)
    if found is None:
        found = json.dumps({"name": name, "made": await app.redis.incr("made")})
        await app.redis.set("item:" + name, found, ex=60)
    return json.loads(found)


@app.get("/limited")
async def limited():
    async with app.redis.pipeline() as pipe:
        count, _ = await pipe.incr("limit").expire("limit", 60, nx=True).execute()
    if count > 3:
        raise HTTPException(429)
    return count


@app.post("/job/{n}")
async def add(n: int):
    return await app.redis.xadd(STREAM, {"n": n}, maxlen=1000, approximate=True)


@app.get("/job/{job}")
async def job(job: str):
    return await app.redis.hgetall("job:" + job)


with TestClient(app) as web:
    assert web.get("/item/a").json() == web.get("/item/a").json() == {"name": "a", "made": 1}
    assert web.get("/item/b").json()["made"] == 2
    assert [web.get("/limited").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    jobs = [web.post(f"/job/{n}").json() for n in range(40)]
    for n, name in enumerate(jobs):
        end = time.monotonic() + 60
        while not (found := web.get("/job/" + name).json()) and time.monotonic() < end:
            time.sleep(0.002)
        assert found == {"state": "done", "result": str(n * n)}, (n, found)

left = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
assert left.xlen(STREAM) == 40 and left.xpending(STREAM, GROUP)["pending"] == 0
assert 0 < left.ttl("limit") <= 60 and 0 < left.ttl("job:" + jobs[0]) <= 100
