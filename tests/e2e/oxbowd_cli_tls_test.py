#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the program oxbow asks of a running daemon over TLS, and what it says of those it does not trust.

    oxbowd_cli_tls_test.py OXBOWD OXBOW [TEST...]
"""
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

import oxbowd_cli_test as cli
import oxbowd_test as base
from rig.ports import free_port

CERTS = ""


def cert(name):
    return os.path.join(CERTS, name)


class OverTls(cli.Asking):
    # What is asked in clear is cli's own.
    locals().update({name: None for name in dir(cli.Asking) if name.startswith("test_")})

    OWN = ("--cert", "client.crt", "--key", "client.key")

    def serve(self, *args, **kw):
        self.tls_port = free_port()
        return self.start("--tls-port", str(self.tls_port), "--tls-cert-file", cert("server.crt"),
                          "--tls-key-file", cert("server.key"), "--tls-ca-cert-file",
                          cert("ca.crt"), *args, **kw)

    def words(self, *files):
        return [cert(f) if f.endswith((".crt", ".key")) else f for f in files]

    def secure(self, *more, ca="ca.crt"):
        return ("--server", f"rediss://localhost:{self.tls_port}",
                *self.words("--cacert", ca, *more))

    def test_every_question_is_asked_over_tls(self):
        d, client = self.serve()
        for n in range(50):
            client.rpush(f"q{n}", "x" * 100)
        said = self.json("ping", *self.secure(*self.OWN))
        self.assertEqual(said["process"], d.process.pid)
        self.assertEqual(said["server"], f"rediss://localhost:{self.tls_port}")
        self.assertEqual(self.json("stat", *self.secure(*self.OWN))["keys"], 50)
        self.assertEqual(self.json("uplink", "status", *self.secure(*self.OWN))["state"], "none")
        self.assertEqual(self.oxbow("top", *self.secure(*self.OWN), "--count", "2", "--interval",
                                    "100ms", "q7").returncode, 0)
        copy = self.path("copy.oxb")
        self.oxbow("backup", copy, *self.secure(*self.OWN))
        self.oxbow("restore", copy, self.path("copy"))
        self.assertEqual(d.end(), 0)
        self.assertEqual(len(self.json("keys", "-d", self.path("copy"))), 50)

    def test_the_address_may_be_plain_and_come_from_the_environment(self):
        d = self.serve("--requirepass", "a password", wait=False)
        d.ready(password="a password")
        files = self.words("--cacert", "ca.crt", *self.OWN)
        word = {"REDISCLI_AUTH": "a password"}
        for server in (f"localhost:{self.tls_port}", f"rediss://localhost:{self.tls_port}"):
            self.assertEqual(self.json("ping", "--tls", "--server", server, *files,
                                       env=word)["process"], d.process.pid)
        self.assertEqual(self.json("ping", *files, env={
            **word, "OXBOW_SERVER": f"rediss://localhost:{self.tls_port}"})["process"],
            d.process.pid)
        self.assertIn("password", self.told("ping", *self.secure(*self.OWN)))

    def test_who_is_not_trusted_is_told_why(self):
        d, _ = self.serve()
        # Of another authority than was named.
        self.assertIn("unknown authority",
                      self.told("ping", *self.secure(*self.OWN, ca="other-ca.crt")))
        # Of another name than was asked for; --sni says whose it should be.
        other = self.told("ping", *self.secure(*self.OWN, "--sni", "elsewhere.test"))
        self.assertIn("elsewhere.test", other)
        self.assertEqual(self.json("ping", "--tls", "--server", f"127.0.0.1:{self.tls_port}",
                                   *self.words("--cacert", "ca.crt", *self.OWN), "--sni",
                                   "localhost")["process"], d.process.pid)
        # It does not trust us: no certificate, and one of somebody else.
        self.assertIn("certificate", self.told("ping", *self.secure()))
        self.assertIn("certificate", self.told("ping", *self.secure(
            "--cert", "foreign.crt", "--key", "foreign.key")))
        self.assertEqual(self.json("ping", *self.secure(*self.OWN))["process"], d.process.pid)

    def test_clients_that_need_show_none_show_none(self):
        d, _ = self.serve("--tls-auth-clients", "no")
        self.assertEqual(self.json("ping", *self.secure())["process"], d.process.pid)

    def test_the_wrong_port_either_way(self):
        d, _ = self.serve()
        plain = self.told("ping", "--server", f"rediss://localhost:{d.port}",
                          *self.words("--cacert", "ca.crt", *self.OWN), "--timeout", "500ms")
        self.assertIn("port for TLS", plain)
        self.assertIn("--tls", self.told("ping", "--server", f"localhost:{self.tls_port}"))
        self.assertIn("nobody listens", self.told("ping", "--server",
                                                  f"rediss://localhost:{free_port()}",
                                                  *self.words("--cacert", "ca.crt")))

    def test_a_peer_that_says_nothing_or_goes_in_the_handshake(self):
        def silent(peer):
            while peer.recv(1 << 16):
                pass

        def gone(peer):
            peer.recv(1 << 16)

        ca = self.words("--cacert", "ca.crt")
        at = "rediss://" + self.listen(silent)
        self.assertIn("--timeout", self.told("ping", "--server", at, *ca, "--timeout", "300ms"))
        self.assertIn("closed the connection",
                      self.told("ping", "--server", "rediss://" + self.listen(gone), *ca))

    def test_hostile_answers_over_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert("server.crt"), cert("server.key"))
        for answer, text in ((b"$5\r\n\x1b[2J\n\r\n", "not oxbowd"), (b"@?\r\n", "Redis protocol"),
                             (b"-ERR \x1b[2J" + b"x" * 5000 + b"\r\n", "it says"),
                             (b"$10\r\nabc", "closed the connection")):
            def say(peer, answer=answer):
                with context.wrap_socket(peer, server_side=True) as s:
                    s.recv(1 << 16)
                    s.sendall(answer)
                    s.unwrap()

            told = self.told("ping", "--server", "rediss://" + self.listen(say), "--sni",
                             "localhost", *self.words("--cacert", "ca.crt"))
            self.assertIn(text, told)
            self.assertNotIn("\x1b", told)
            self.assertLess(len(told), 500)

    def test_words_that_do_not_fit(self):
        at = ("--server", "localhost:1")
        for words, text in (
                ((*at, "--tls"), "--cacert"),
                ((*at, "--cacert", cert("ca.crt")), "need --tls"),
                ((*at, "--sni", "x"), "need --tls"),
                ((*at, "--tls", "--cacert", cert("ca.crt"), "--cert", cert("client.crt")),
                 "go together"),
                (("--server", self.path("sock"), "--tls", "--cacert", cert("ca.crt")),
                 "Unix socket"),
                (("--server", "rediss://localhost:x", "--cacert", cert("ca.crt")), "HOST:PORT")):
            self.assertIn(text, self.told("ping", *words, code=2), words)
        self.assertIn("--server", self.told("stat", "--tls", "--cacert", cert("ca.crt"), code=2))
        d, _ = self.serve()
        for files, text in ((("--cert", "none.crt", "--key", "client.key"), "none.crt"),
                            (("--cert", "client.crt", "--key", "server.key"), "does not belong"),
                            (("--cert", "ca.key", "--key", "client.key"), "ca.key")):
            self.assertIn(text, self.told("ping", *self.secure(*files)), files)
        self.assertIn("none.crt", self.told("ping", *self.secure(*self.OWN, ca="none.crt")))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    base.PROGRAM, cli.CLI = (os.path.abspath(p) for p in sys.argv[1:3])
    if shutil.which("redis-server") is None:
        print("oxbowd_tells_its_operator_over_tls: skipped: redis-server is not installed")
        sys.exit(77)
    CERTS = tempfile.mkdtemp(prefix="oxbowd-certs-")
    try:
        subprocess.run([os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                     "../support/certs.sh"), CERTS],
                       check=True, capture_output=True)
        unittest.main(argv=sys.argv[:1] + sys.argv[3:])
    finally:
        shutil.rmtree(CERTS)
