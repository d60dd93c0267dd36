# SPDX-License-Identifier: Apache-2.0
"""
oxbow-sensor and a target that it cannot use: the trouble is named, nothing is lost, and once the
cause is gone every reading arrives, once and in order.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rig import certs, verdict
from rig.device import Accepted
from rig.ports import free_port
from rig.server import Server, skip_without_programs

PROGRAM = ""
DEVICE = "gateway-1"
KEY = f"oxbow:{{{DEVICE}}}:readings"
PATIENCE = 60


class SensorLinkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.root = Path(tempfile.mkdtemp(prefix="oxbow-link-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        cls.certs = certs.make(cls.root / "certs", DEVICE)
        cls.server = Server(cls.root / "redis", cls.certs, [DEVICE, "gateway-2"])
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        cls.csv = cls.root / "readings.csv"
        verdict.write_readings(cls.csv, 400)
        cls.sums = verdict.load_readings(cls.csv)

    def setUp(self) -> None:
        admin = self.server.admin()
        admin.do("FLUSHALL")
        admin.close()
        folder = tempfile.TemporaryDirectory(prefix="oxbow-link-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.password = self.folder / "password"
        self.password.write_text(self.server.password + "\n", encoding="ascii")
        self.accepted = Accepted()
        self.status: dict[str, object] = {}

    def options(self, **changed: str) -> list[str]:
        right = {"target": f"localhost:{self.server.port}", "server-name": certs.SERVER_NAME,
                 "device": DEVICE, "user": DEVICE, "password-file": str(self.password),
                 "ca": str(self.certs.ca), "cert": str(self.certs.device_cert),
                 "key": str(self.certs.device_key)}
        right.update((name.replace("_", "-"), value) for name, value in changed.items())
        return [part for name, value in right.items() if value for part in (f"--{name}", value)]

    def run_it(self, link: list[str], first: int, count: int,
               trouble: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """A life of `count` readings, and of time for the target: until it has everything, or until
        the trouble has one of these names."""
        ack, ack_in = os.pipe()
        status, status_in = os.pipe()
        self.status = {}
        with subprocess.Popen(
                [PROGRAM, "--store", str(self.folder / "store"), "--replay", str(self.csv),
                 "--from", str(first), "--count", str(count), "--drain-s", str(PATIENCE),
                 "--timeout-ms", "1500", *([] if "--rate" in link else ["--rate", "max"]),
                 "--ack-fd", str(ack_in), "--status-fd", str(status_in), *link],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                pass_fds=(ack_in, status_in)) as sensor:
            os.close(ack_in)
            os.close(status_in)
            with os.fdopen(status, encoding="ascii") as pipe:
                for text in pipe:
                    self.status = json.loads(text)
                    if self.status["trouble"] in trouble and self.status["accepted"] == count:
                        sensor.terminate()
                        break
                else:
                    self.assertEqual(trouble, (), self.status)
            said = sensor.communicate(timeout=2 * PATIENCE)
        with os.fdopen(ack, "rb") as acks:
            for line in acks:
                entry, found, row = line.split()
                self.accepted.by_id[entry] = (int(found, 16), int(row))
        return subprocess.CompletedProcess(sensor.args, sensor.returncode, *said)

    def arrives(self, first: int = 21) -> None:
        """With everything right the readings of this life and of all before are at the target."""
        done = self.run_it(self.options(), first, 5)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = verdict.judge(self.accepted, self.server.entries(KEY), self.sums)
        self.assertTrue(found.good, found)
        self.assertEqual(found.target, len(self.accepted.by_id))

    def troubled(self, trouble: str, *says: str, **changed: str) -> str:
        """Twenty readings are accepted, the target gets none, and the trouble has this name."""
        done = self.run_it(self.options(**changed), 1, 20, (trouble,))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(len(self.accepted.by_id), 20)
        for text in says:
            self.assertIn(text, done.stderr)
        self.assertNotIn(self.server.password, done.stderr)
        return done.stderr

    def refuses_to_start(self, says: str, **changed: str) -> None:
        done = self.run_it(self.options(**changed), 1, 20)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(says, done.stderr)
        self.assertEqual(self.accepted.by_id, {})

    def test_everything_right(self) -> None:
        self.arrives(first=1)

    def test_the_clock_is_set_while_the_link_is_up(self) -> None:
        """What the target said of the time in 1970 must not be held against it in 2026."""
        link = [*self.options(), "--rate", "15", "--clock-offset-s", str(-int(time.time()) + 60),
                "--clock-set-after-s", "1"]
        with ThreadPoolExecutor(1) as pool:
            life = pool.submit(self.run_it, link, 1, 150)
            end = time.monotonic() + PATIENCE
            while not life.done() and not (self.status.get("connects") and self.jumped()):
                self.assertLess(time.monotonic(), end, self.status)
                time.sleep(0.02)
            before = self.status["connects"]
            self.server.kill()  # a full handshake follows, after the jump
            self.server.start()
            done = life.result()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(self.status["connects"], before, done.stderr)
        self.arrives(first=151)

    def jumped(self) -> bool:
        """Whether an entry of after 1970 is at the target."""
        entries = self.server.entries(KEY)
        return bool(entries) and int(entries[-1][0].split(b"-")[0]) > 1_600_000_000_000

    def test_missing_and_unfit_certificates_are_named_at_the_start(self) -> None:
        self.refuses_to_start("nowhere.pem", ca="nowhere.pem")
        self.refuses_to_start("nowhere.pem", cert="nowhere.pem")
        self.refuses_to_start(self.csv.name, ca=str(self.csv))
        self.refuses_to_start(self.certs.server_key.name, key=str(self.certs.server_key))
        self.arrives(first=1)

    def test_a_target_that_is_no_host_and_port(self) -> None:
        for target in ("localhost", ":6379", "localhost:", "localhost:0", "localhost:70000",
                       "localhost:6379x"):
            self.refuses_to_start(target, target=target)

    def test_an_unknown_kind_of_link(self) -> None:
        self.refuses_to_start("lan, cellular or satellite", link="pigeon")

    def test_the_servers_certificate_has_another_name(self) -> None:
        self.troubled("tls", certs.SERVER_NAME, server_name="elsewhere.test")
        self.arrives()

    def test_the_servers_certificate_is_of_an_unknown_authority(self) -> None:
        other = certs.make(self.folder / "other", DEVICE)
        self.troubled("tls", ca=str(other.ca))
        self.arrives()

    def test_the_server_does_not_know_our_certificate(self) -> None:
        other = certs.make(self.folder / "other", DEVICE)
        self.troubled("tls", cert=str(other.device_cert), key=str(other.device_key))
        self.arrives()

    def test_a_wrong_password(self) -> None:
        wrong = self.folder / "wrong"
        wrong.write_text("not-the-password\n", encoding="ascii")
        self.assertNotIn("not-the-password", self.troubled("credentials",
                                                           password_file=str(wrong)))
        self.arrives()

    def test_a_user_without_the_right_to_write_there(self) -> None:
        self.troubled("acl", user="gateway-2")
        self.arrives()

    def test_nobody_listens(self) -> None:
        self.troubled("link", target=f"localhost:{free_port()}")
        self.arrives()

    def test_the_targets_key_has_another_type(self) -> None:
        admin = self.server.admin()
        admin.do("SET", KEY, "mine")
        self.troubled("key")
        self.assertEqual(admin.do("GET", KEY), b"mine")
        admin.do("DEL", KEY)
        admin.close()
        self.arrives()

    def test_a_foreign_writer_stops_the_forward(self) -> None:
        self.assertEqual(self.run_it(self.options(), 1, 10).returncode, 0)
        admin = self.server.admin()
        foreign = admin.do("XADD", KEY, "*", "who", "somebody else")
        done = self.run_it(self.options(), 11, 10, ("foreign", "beyond"))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(len(self.accepted.by_id), 20)
        entries = self.server.entries(KEY)
        self.assertEqual(len(entries), 11)
        self.assertEqual(entries[-1][0], foreign)
        admin.close()

    def test_a_cloned_device_is_stopped_by_the_owner_key(self) -> None:
        self.assertEqual(self.run_it(self.options(), 1, 10).returncode, 0)
        shutil.rmtree(self.folder / "store")  # another store under the same device's name
        self.accepted = Accepted()
        self.troubled("owner")
        self.assertEqual(len(self.server.entries(KEY)), 10)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    skip_without_programs("sensor_link_test")
    unittest.main()
