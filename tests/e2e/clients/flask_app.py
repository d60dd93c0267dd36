# SPDX-License-Identifier: Apache-2.0
"""A Flask application with its cache (Flask-Caching), a counter and a list of jobs in Redis."""
import os

import redis
from flask import Flask, jsonify, request
from flask_caching import Cache

URL = os.environ["REDIS_URL"]
app = Flask("shop")
cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": URL + "/2",
                           "CACHE_DEFAULT_TIMEOUT": 100, "CACHE_KEY_PREFIX": "shop:"})
store = redis.Redis.from_url(URL + "/0", decode_responses=True)
rendered = []


@app.get("/price/<name>")
@cache.cached(timeout=50)
def price(name):
    rendered.append(name)
    return jsonify(name=name, price=len(name))


@cache.memoize(60)
def slow(a, b):
    rendered.append((a, b))
    return {"sum": a + b, "text": "ü"}


@app.post("/visit")
def visit():
    who = request.get_json()["who"]
    with store.pipeline() as pipe:
        pipe.incr("visits").lpush("jobs", who).hincrby("by", who, 1)
        return jsonify(visits=pipe.execute()[0])


with app.app_context():
    web = app.test_client()
    first = web.get("/price/apple")
    assert first.get_json() == {"name": "apple", "price": 5}
    assert web.get("/price/apple").data == first.data and rendered == ["apple"]
    assert slow(1, 2) == slow(1, 2) == {"sum": 3, "text": "ü"} and rendered[1:] == [(1, 2)]
    cache.delete_memoized(slow, 1, 2)
    assert slow(1, 2)["sum"] == 3 and rendered[1:] == [(1, 2)] * 2

    keys = redis.Redis.from_url(URL + "/2").keys()
    assert len(keys) >= 2 and all(key.startswith(b"shop:") for key in keys), keys
    assert cache.set("k", [1, None, "x"]) and cache.get("k") == [1, None, "x"]
    assert cache.add("k", 1) is False and cache.add("new", 1) is True
    assert cache.set_many({"a": 1, "b": 2}) and cache.get_many("a", "none", "b") == [1, None, 2]
    assert cache.get_dict("a", "b") == {"a": 1, "b": 2} and cache.has("a")
    assert cache.delete("a") and not cache.delete("a") and cache.get("a") is None
    assert cache.delete_many("b", "new") and not cache.has("b")
    cache.clear()
    assert cache.get("k") is None

    for n in range(50):
        assert web.post("/visit", json={"who": f"w{n % 5}"}).get_json() == {"visits": n + 1}
    assert store.hgetall("by") == {f"w{n}": "10" for n in range(5)}
    assert store.lrange("jobs", 0, -1) == [f"w{n % 5}" for n in reversed(range(50))]
