# SPDX-License-Identifier: Apache-2.0
"""
Gives the site orders at a rate, one after another, until SIGTERM. Each that was answered with 202 is
then written down in the file $ACCEPTED; others are not, and are not given again.
"""
import logging
import os
import signal
import time

import site_app  # noqa: F401
from django.test import Client

KINDS = ("plain", "plain", "later", "plain", "hard", "plain", "plain", "chord")
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
logging.getLogger("django.request").setLevel(logging.CRITICAL)

client = Client(raise_request_exception=False)
pause = 1 / float(os.environ["RATE"])
accepted = os.open(os.environ["ACCEPTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
refused = os.open(os.environ["REFUSED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
n = 0
due = time.monotonic()
while not ended:
    n += 1
    kind = KINDS[n % len(KINDS)]
    taken = client.get(f"/order/{kind}/{n}").status_code == 202
    os.write(accepted if taken else refused, f"{kind}-{n}\n".encode())
    due = max(due + pause, time.monotonic() - 1)
    time.sleep(max(due - time.monotonic(), 0))
