# SPDX-License-Identifier: Apache-2.0
"""
What people write by hand: readings pipelined as `XADD key * ...`, what was not answered is sent
again after a reconnect. Run as a program of its own; prints one JSON line when told to stop.

It is the control of the experiment: faults under which even this loses and doubles nothing would
prove nothing about anybody else.
"""
import argparse
import collections
import json
import signal
import socket
import ssl
import sys
import time

from . import certs, resp

BATCH = 20
WINDOW = 4
TIMEOUT_S = 2.0


class Naive:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        with open(args.password_file, encoding="ascii") as file:
            self.password = file.read().strip()
        self.stop = False
        self.answered: set[int] = set()
        self.todo: collections.deque[list[int]] = collections.deque()
        self.next = 0
        self.start = time.monotonic()
        self.context = ssl.create_default_context(cafile=args.ca)
        self.context.load_cert_chain(args.cert, args.key)

    def connect(self) -> resp.Client:
        raw = socket.create_connection(("127.0.0.1", self.args.port), timeout=TIMEOUT_S)
        try:
            raw.settimeout(TIMEOUT_S)
            sock = self.context.wrap_socket(raw, server_hostname=certs.SERVER_NAME)
        except BaseException:
            raw.close()
            raise
        client = resp.Client(sock)
        client.do("AUTH", "naive", self.password)
        return client

    def take(self) -> list[int] | None:
        """The next batch: one to be sent again, or new readings at the chosen rate."""
        if self.todo:
            return self.todo.popleft()
        due = int((time.monotonic() - self.start) * self.args.rate)
        if self.stop or self.next + BATCH > due:
            return None
        batch = list(range(self.next, self.next + BATCH))
        self.next += BATCH
        return batch

    def send(self, client: resp.Client, batch: list[int]) -> None:
        client.send(b"".join(resp.command("XADD", self.args.stream, "*", "n", n, "value",
                                          f"{n % 977}.{n % 10}") for n in batch))

    def receive(self, client: resp.Client, batch: list[int]) -> None:
        refused = []
        for n in batch:
            if isinstance(client.read(), resp.Refused):
                refused.append(n)
            else:
                self.answered.add(n)
        if refused:
            self.todo.append(refused)
            time.sleep(0.05)

    def session(self) -> None:
        """One connection, until it breaks or there is nothing left to do."""
        flight: collections.deque[list[int]] = collections.deque()
        try:
            client = self.connect()
        except (OSError, resp.Refused):
            time.sleep(0.1)
            return
        try:
            while flight or self.todo or not self.stop:
                batch = self.take() if len(flight) < WINDOW else None
                if batch is not None:
                    flight.append(batch)
                    self.send(client, batch)
                elif flight:
                    self.receive(client, flight[0])
                    flight.popleft()
                else:
                    time.sleep(0.005)
        except (OSError, resp.Refused):
            pass
        finally:
            client.close()
            self.todo.extendleft(reversed(flight))

    def run(self) -> None:
        end = None
        while not self.stop or self.todo:
            if self.stop:
                end = end or time.monotonic() + 20
                if time.monotonic() > end:
                    break
            self.session()
        json.dump({"sent": self.next, "answered": sorted(self.answered)}, sys.stdout)
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("ca", "cert", "key", "password-file", "stream"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    naive = Naive(parser.parse_args())

    def stop(_signal: int, _frame: object) -> None:
        naive.stop = True
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    naive.run()


if __name__ == "__main__":
    main()
