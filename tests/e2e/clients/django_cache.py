# SPDX-License-Identifier: Apache-2.0
"""Django's own Redis cache, and sessions kept in it."""
import os
import time

import django
from django.conf import settings

settings.configure(
    CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache",
                        "LOCATION": os.environ["REDIS_URL"] + "/1", "TIMEOUT": 300}},
    SESSION_ENGINE="django.contrib.sessions.backends.cache", SECRET_KEY="x" * 50,
    INSTALLED_APPS=["django.contrib.sessions"])
django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import cache  # noqa: E402

cache.set("a", {"n": 1, "text": "ä"})
assert cache.get("a") == {"n": 1, "text": "ä"} and cache.get("none", "else") == "else"
assert cache.add("a", 2) is False and cache.add("b", 2) is True and cache.get("b") == 2
assert cache.incr("b") == 3 and cache.incr("b", 10) == 13 and cache.decr("b", 3) == 10
try:
    cache.incr("none")
    raise AssertionError("counted what is not there")
except ValueError:
    pass
assert cache.set_many({f"m{n}": n for n in range(200)}, timeout=100) == []
assert cache.get_many([f"m{n}" for n in range(201)]) == {f"m{n}": n for n in range(200)}
cache.delete_many(["m0", "m1"])
assert not cache.has_key("m0") and "m2" in cache
assert cache.touch("m2", 1) and not cache.touch("none")
end = time.monotonic() + 60
while cache.get("m2") is not None:
    assert time.monotonic() < end
    time.sleep(0.05)
cache.set("gone", 1, timeout=0)
assert cache.get("gone") is None
cache.set("stays", 1, timeout=None)
assert cache.get("stays") == 1 and cache.delete("stays") and not cache.delete("stays")
assert cache.get_or_set("lazy", lambda: 7) == 7 and cache.get_or_set("lazy", lambda: 8) == 7
cache.set("v", 1, version=1)
assert cache.incr_version("v") == 2 and cache.get("v", version=2) == 1

session = SessionStore()
session["user"] = {"id": 5}
session.save()
again = SessionStore(session_key=session.session_key)
assert again["user"] == {"id": 5}
again.flush()
assert dict(SessionStore(session_key=session.session_key).items()) == {}
cache.clear()
assert cache.get("a") is None
