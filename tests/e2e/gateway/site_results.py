# SPDX-License-Identifier: Apache-2.0
"""
What the site has of each job in the file $ACCEPTED: prints one JSON line with the names of those that
have no right result, of those among them whose result says that they failed since Celery had lost its
connection, and of those whose order is not in Django's cache. Waits for results as long as they come.
"""
import json
import os
import time

import site_app
from django.core.cache import cache

PATIENCE_S = float(os.environ["PATIENCE_S"])


def right(name):
    result = site_app.app.AsyncResult(name)
    return result.state == "SUCCESS" and result.result == int(name.split("-")[1]) ** 2


def failed(name):
    """A chord's header task whose end could not be told to the other ones makes the chord fail, and a
    task that cannot be given again for a retry fails, too."""
    result = site_app.app.AsyncResult(name)
    said = repr(result.result)
    return result.state == "FAILURE" and ("ConnectionError" in said or "OperationalError" in said)


with open(os.environ["ACCEPTED"], encoding="ascii") as file:
    names = file.read().split()
without = names
end = time.monotonic() + PATIENCE_S
while without and time.monotonic() < end:
    before = len(without)
    without = [name for name in without if not right(name)]
    if len(without) < before:
        end = time.monotonic() + PATIENCE_S
    time.sleep(0.1)
said = {name: repr(site_app.app.AsyncResult(name)._get_task_meta())[:300] for name in without[:20]}
found = set()
for at in range(0, len(names), 500):
    found |= set(cache.get_many(names[at:at + 500]))
print(json.dumps({"without": without, "said": said, "failed": [n for n in without if failed(n)],
                  "unordered": sorted(set(names) - found)}))
