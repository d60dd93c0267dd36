# SPDX-License-Identifier: Apache-2.0
"""A real redis-server: TLS with client certificates, one ACL user per device, AOF synced always."""
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import resp
from .certs import Certs
from .device import die_with_parent
from .ports import free_port

# As `oxbow uplink acl` prints it; the pattern keeps a device to its own keys.
DEVICE_RIGHTS = "-@all +hello +auth +ping +get +set +time +evalsha +eval +xadd +xinfo|stream"


def skip_without_programs(test: str) -> None:
    """Ends the program as a skipped test when there is no server to be had."""
    for program in ("redis-server", "openssl"):
        if shutil.which(program) is None:
            print(f"{test}: skipped: {program} is not installed")
            sys.exit(77)


class Server:
    """Started, killed and rewound at will; the data stay in `folder` between its lives."""

    def __init__(self, folder: Path, certs: Certs, devices: list[str]) -> None:
        self.folder = folder
        self.certs = certs
        self.devices = devices
        self.password = secrets.token_hex(24)
        self.admin_password = secrets.token_hex(8)
        self.port = free_port()
        # A socket's path is limited to about 100 bytes, the folder's is not.
        self.socket_dir = Path("/tmp") / f"oxbow-{secrets.token_hex(6)}"
        self.socket_path = self.socket_dir / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.keep = False  # whether it may outlive the rig
        self.kills = 0
        self.rewinds = 0
        folder.mkdir(parents=True)
        self.socket_dir.mkdir(mode=0o700)
        self._configure()

    def _configure(self) -> None:
        digest = hashlib.sha256(self.password.encode()).hexdigest()
        users = self.folder / "users.acl"
        device_lines = "".join(
            f"user {device} on #{digest} resetchannels ~oxbow:{{{device}}}:* {DEVICE_RIGHTS}\n"
            for device in self.devices)
        users.write_text(
            f"user default off ~* &* +@all\n"
            f"user admin on #{hashlib.sha256(self.admin_password.encode()).hexdigest()} ~* +@all\n"
            f"{device_lines}"
            f"user naive on #{digest} resetchannels ~naive:* -@all +auth +xadd\n", encoding="ascii")
        lines = {
            "port": 0, "bind": "127.0.0.1", "unixsocket": self.socket_path,
            "unixsocketperm": 700, "tls-port": self.port, "tls-ca-cert-file": self.certs.ca,
            "tls-cert-file": self.certs.server_cert, "tls-key-file": self.certs.server_key,
            "tls-auth-clients": "yes", "dir": self.folder, "appendonly": "yes",
            "appendfsync": "always", "auto-aof-rewrite-percentage": 0, "aof-load-truncated": "yes",
            "maxmemory-policy": "noeviction", "save": '""', "aclfile": users, "daemonize": "no",
            "logfile": self.folder / "redis.log",
        }
        text = "".join(f"{name} {value}\n" for name, value in lines.items())
        (self.folder / "redis.conf").write_text(text, encoding="ascii")
        # For a person who wants to look at the data later: no TLS, no users, no network.
        (self.folder / "look.conf").write_text(
            f"port 0\nunixsocket look.sock\ndir {self.folder}\nappendonly yes\nsave \"\"\n"
            "daemonize yes\nlogfile look.log\n", encoding="ascii")

    def start(self) -> None:
        """Starts it and waits until it serves; makes sure that it is the one that was started."""
        self.process = subprocess.Popen(
            ["redis-server", str(self.folder / "redis.conf")], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=None if self.keep else die_with_parent)
        end = time.monotonic() + 30
        while True:
            try:
                admin = self.admin()
                break
            except (OSError, ConnectionError, resp.Refused):
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"redis-server did not start, see {self.folder}/redis.log")
                time.sleep(0.01)
        info = admin.do("INFO", "server").decode()
        admin.close()
        if f"process_id:{self.process.pid}\r\n" not in info:
            raise RuntimeError("another server answers")

    def admin(self) -> resp.Client:
        client = resp.unix(str(self.socket_path))
        try:
            client.do("AUTH", "admin", self.admin_password)
            client.do("PING")
        except BaseException:
            client.close()
            raise
        return client

    def kill(self) -> None:
        """kill -9, as far as the server knows at any moment."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
            self.kills += 1

    def outlive(self) -> None:
        """Starts it anew so that it stays when the rig ends."""
        self.halt()
        self.keep = True
        self.start()

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def halt(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def snapshot(self) -> None:
        """Puts a copy of the append-only file aside, as a backup would."""
        if self.process is None:
            raise RuntimeError("the server is not running")
        old = self.folder / "older"
        shutil.rmtree(old, ignore_errors=True)
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            shutil.copytree(self.folder / "appendonlydir", old)
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def rewind(self) -> None:
        """Kills it and starts it from the copy: what it had acknowledged since then is gone."""
        self.kill()
        self.kills -= 1
        shutil.rmtree(self.folder / "appendonlydir")
        (self.folder / "older").rename(self.folder / "appendonlydir")
        self.start()
        self.rewinds += 1

    def memory_limit(self, limit: int) -> None:
        """Any limit above 0 refuses every write at once; 0 lifts it."""
        admin = self.admin()
        admin.do("CONFIG", "SET", "maxmemory", limit)
        admin.close()

    def length(self, key: str) -> int:
        admin = self.admin()
        length = int(admin.do("XLEN", key))
        admin.close()
        return length

    def entries(self, key: str) -> list[tuple[bytes, list[bytes]]]:
        """The whole of a stream, in pages."""
        found: list[tuple[bytes, list[bytes]]] = []
        admin = self.admin()
        start: bytes | str = "-"
        while True:
            page = admin.do("XRANGE", key, start, "+", "COUNT", 5000)
            found.extend((entry[0], entry[1]) for entry in page)
            if len(page) < 5000:
                break
            start = b"(" + page[-1][0]
        admin.close()
        return found
