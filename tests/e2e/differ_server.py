# SPDX-License-Identifier: Apache-2.0
"""For differ.py and its like: a server of one's own, and who speaks to it and takes its replies as they come."""
import os
import socket
import subprocess
import sys
import time

PATIENCE = 60


class Server:
    """A process of one's own on a Unix socket, in a fresh directory with these files."""

    def __init__(self, name, command, where, files=()):
        self.name = name
        self.home = os.path.join(where, name)
        os.mkdir(self.home)
        for file, content in files:
            self.write(file, content)
        self.path = os.path.join(where, name + ".sock")
        self.log = open(os.path.join(where, name + ".log"), "wb")
        self.process = subprocess.Popen(command(self.path, os.path.join(self.home, "store")), cwd=self.home,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        for _ in range(PATIENCE * 200):
            if self.process.poll() is not None:
                sys.exit(f"differ: {name} ended at once: see {self.log.name}")
            try:
                Client(self).close()
                return
            except OSError:
                time.sleep(0.005)
        sys.exit(f"differ: {name} does not answer")

    def write(self, file, content):
        with open(os.path.join(self.home, file), "wb") as out:
            out.write(content)

    def read(self, file):
        with open(os.path.join(self.home, file), "rb") as content:
            return content.read()

    def ended(self):
        """How it has ended by itself."""
        status = self.process.wait(PATIENCE)
        self.log.close()
        return status

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()


class Client:
    def __init__(self, server):
        self.server = server
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(server.path)
        self.data = b""

    def close(self):
        self.sock.close()

    def send(self, commands):
        self.sock.sendall(b"".join(encode(c) for c in commands))

    def _more(self):
        part = self.sock.recv(1 << 16)
        if not part:
            raise EOFError(f"{self.server.name} closed the connection")
        self.data += part

    def _line(self, pos):
        while True:
            end = self.data.find(b"\r\n", pos)
            if end >= 0:
                return end + 2
            self._more()

    def reply(self):
        """The next reply, as it came, without what CLIENT TRACKING tells in between: when a key expires is each
        server's own."""
        while True:
            got = self._next()
            if not got.startswith(b">2\r\n$10\r\ninvalidate\r\n"):
                return got

    def _next(self):
        pos, left = 0, 1
        while left > 0:
            end = self._line(pos)
            kind, head = self.data[pos:pos + 1], self.data[pos + 1:end - 2]
            left -= 1
            if kind in b"$=" and head != b"-1":
                end += int(head) + 2
                while len(self.data) < end:
                    self._more()
            elif kind in b"*~>" and head != b"-1":
                left += int(head)
            elif kind == b"%":
                left += 2 * int(head)
            pos = end
        out, self.data = self.data[:pos], self.data[pos:]
        return out

    def waiting(self, seconds):
        """What comes within a time: a reply or nothing."""
        if not self.data:
            self.sock.settimeout(seconds)
            try:
                self._more()
            except socket.timeout:
                return None
            finally:
                self.sock.settimeout(PATIENCE)
        return self.reply()


def encode(command):
    out = [b"*%d\r\n" % len(command)]
    for arg in command:
        out.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(out)


def text(command):
    return " ".join(repr(a)[2:-1] if len(a) < 60 else f"<{len(a)} bytes>" for a in command)
