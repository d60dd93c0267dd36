# SPDX-License-Identifier: Apache-2.0
"""
What the site has of each job in the file $ACCEPTED: prints one JSON line with the names of those that
have no right result, and of those whose order is not in Django's cache. Waits for results as long as
they come.
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
print(json.dumps({"without": without, "said": said, "unordered": sorted(set(names) - found)}))
