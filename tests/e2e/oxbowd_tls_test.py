#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon's port for TLS: who gets in and who does not, with redis-cli and redis-py for clients.

    oxbowd_tls_test.py PROGRAM [TEST...]
"""
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import oxbowd_test as base
import redis
from rig.ports import free_port

CERTS = ""
SHAKING_MAX = 256
SHAKE_S = 10


def cert(name):
    return os.path.join(CERTS, name)


def converse(s, out, wanted):
    """Sends and receives by turns: a TLS connection is not for two threads at once."""
    s.setblocking(False)
    got = bytearray()
    while len(got) < wanted:
        reads, writes = [s], []
        try:
            if out:
                out = out[s.send(out):]
                writes = [s] if out else []
        except ssl.SSLWantWriteError:
            writes = [s]
        except ssl.SSLWantReadError:
            pass
        try:
            part = s.recv(min(wanted - len(got), 65536))
            if not part:
                break
            got += part
            continue
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        if not any(select.select(reads, writes, [], base.PATIENCE)):
            break
    s.setblocking(True)
    return bytes(got)


class Tls(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def setUp(self):
        super().setUp()
        for name in ("server", "client"):
            for kind in ("crt", "key"):
                shutil.copy(cert(f"{name}.{kind}"), self.path(f"{name}.{kind}"))

    def serve(self, *args):
        self.tls_port = free_port()
        return self.start("--tls-port", str(self.tls_port), "--tls-cert-file",
                          self.path("server.crt"), "--tls-key-file", self.path("server.key"),
                          *(args or ("--tls-ca-cert-file", cert("ca.crt"))))

    def client(self, name="client", **kw):
        own = {"ssl_certfile": cert(f"{name}.crt"), "ssl_keyfile": cert(f"{name}.key")} if name \
            else {}
        kw.setdefault("socket_timeout", base.PATIENCE)
        return redis.Redis(host="localhost", port=self.tls_port, ssl=True,
                           ssl_ca_certs=cert("ca.crt"), **own, **kw)

    def assert_refused(self, client):
        with self.assertRaises(redis.exceptions.ConnectionError):
            client.ping()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.tls_port), timeout=base.PATIENCE)

    def shown(self):
        """The certificate that the server shows, as bytes."""
        context = ssl.create_default_context(cafile=cert("ca.crt"))
        context.load_cert_chain(cert("client.crt"), cert("client.key"))
        with self.connect() as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as s:
                s.sendall(b"PING\r\n")
                assert s.recv(100) == b"+PONG\r\n"
                return s.getpeercert(binary_form=True)

    # ---- who gets in

    def test_redis_cli_talks_tls(self):
        d, plain = self.serve()
        tls = ["redis-cli", "--tls", "-h", "localhost", "-p", str(self.tls_port), "--cacert",
               cert("ca.crt")]
        own = ["--cert", cert("client.crt"), "--key", cert("client.key")]
        done = subprocess.run([*tls, *own, "RPUSH", "q", "a", "b"], capture_output=True,
                              timeout=base.PATIENCE)
        self.assertEqual(done.stdout, b"2\n")
        self.assertEqual(plain.lrange("q", 0, -1), [b"a", b"b"])
        done = subprocess.run([*tls, "PING"], capture_output=True, timeout=base.PATIENCE)
        self.assertNotIn(b"PONG", done.stdout)
        self.assertIn("TLS at port", d.told())
        self.assertEqual(d.end(), 0)

    def test_everything_arrives_whatever_its_length(self):
        d, plain = self.serve()
        client = self.client()
        for n in (0, 1, 4080, 4096, 16383, 16384, 16385, 65536, 3000000, 20000000):
            value = os.urandom(n)
            self.assertTrue(client.set("k", value))
            self.assertEqual(client.get("k"), value)
            self.assertEqual(plain.get("k"), value)
        pipe = client.pipeline(transaction=False)
        for i in range(20000):
            pipe.rpush("q", b"%d" % i)
        self.assertEqual(pipe.execute(), list(range(1, 20001)))
        self.assertEqual(client.lrange("q", 0, -1), [b"%d" % i for i in range(20000)])
        self.assertEqual(d.end(), 0)

    def test_many_small_requests_in_one_record_are_all_answered(self):
        d, _ = self.serve()
        context = ssl.create_default_context(cafile=cert("ca.crt"))
        context.load_cert_chain(cert("client.crt"), cert("client.key"))
        with self.connect() as plain, context.wrap_socket(plain, server_hostname="localhost") as s:
            for count in (1, 10, 1000, 2340, 30000):
                self.assertEqual(converse(s, b"PING\r\n" * count, 7 * count), b"+PONG\r\n" * count)
        self.assertEqual(d.end(), 0)

    def test_who_waits_is_woken_and_a_reader_that_stops_loses_nothing(self):
        d, plain = self.serve()
        got = []
        waiter = threading.Thread(target=lambda: got.append(self.client().blpop("q", 20)))
        waiter.start()
        while plain.info("clients")["blocked_clients"] == 0:
            time.sleep(0.01)
        plain.rpush("q", "x")
        waiter.join(base.PATIENCE)
        self.assertEqual(got, [(b"q", b"x")])
        plain.set("big", b"y" * 1000000)
        context = ssl.create_default_context(cafile=cert("ca.crt"))
        context.load_cert_chain(cert("client.crt"), cert("client.key"))
        with self.connect() as raw, context.wrap_socket(raw, server_hostname="localhost") as s:
            s.sendall(b"GET big\r\n" * 30)
            time.sleep(0.3)  # the server's side is full now, and must go on later
            left = 30 * (len("$1000000\r\n") + 1000000 + 2)
            while left > 0:
                part = s.recv(min(left, 65536))
                self.assertTrue(part)
                left -= len(part)
        self.assertEqual(d.end(), 0)

    def test_only_good_certificates_get_in(self):
        d, _ = self.serve()
        self.assertTrue(self.client().ping())
        self.assertTrue(self.client("client2").ping())
        for name in (None, "foreign", "oldclient"):
            self.assert_refused(self.client(name))
        self.assertTrue(self.client().ping())
        with self.connect() as s:
            s.sendall(b"PING\r\n")
            said = s.recv(100)
        self.assertNotIn(b"PONG", said)
        self.assertIn("serve: TLS: ", d.told())
        self.assertEqual(d.end(), 0)

    def test_certificates_may_be_optional_or_not_asked_for(self):
        d, _ = self.serve("--tls-ca-cert-file", cert("ca.crt"), "--tls-auth-clients", "optional")
        for name in (None, "client"):
            self.assertTrue(self.client(name).ping())
        for name in ("foreign", "oldclient"):
            self.assert_refused(self.client(name))
        self.assertEqual(d.end(), 0)
        d, _ = self.serve("--tls-auth-clients", "no")
        for name in (None, "client", "foreign"):
            self.assertTrue(self.client(name).ping())
        self.assertEqual(d.end(), 0)

    def test_the_sentinel_speaks_tls_where_the_server_does_alone(self):
        port = free_port()
        d = self.serve_alone("--port", "0", "--sentinel-port", str(port))
        asked = redis.Redis(host="localhost", port=port, ssl=True, ssl_ca_certs=cert("ca.crt"),
                            ssl_certfile=cert("client.crt"), ssl_keyfile=cert("client.key"),
                            socket_timeout=base.PATIENCE)
        state = asked.sentinel_master("mymaster")
        self.assertEqual((state["port"], state["flags"]), (self.tls_port, "master"))
        with socket.create_connection(("127.0.0.1", port), timeout=base.PATIENCE) as clear:
            clear.sendall(b"SENTINEL MASTERS\r\n")
            self.assertNotIn(b"mymaster", clear.recv(4096))
        nobody = redis.Redis(host="localhost", port=port, ssl=True, ssl_ca_certs=cert("ca.crt"),
                             socket_timeout=base.PATIENCE)
        self.assert_refused(nobody)
        self.assertEqual(d.end(), 0, d.told())

    def test_the_sentinel_is_in_clear_beside_a_port_in_clear(self):
        port = free_port()
        d, _ = self.serve("--tls-ca-cert-file", cert("ca.crt"), "--sentinel-port", str(port))
        asked = redis.Redis(port=port, socket_timeout=base.PATIENCE)
        self.assertEqual(asked.sentinel_master("mymaster")["port"], d.port)
        self.assertEqual(d.end(), 0, d.told())

    def serve_alone(self, *args):
        """Without a port in clear, when it answers."""
        self.tls_port = free_port()
        d = self.start("--tls-port", str(self.tls_port), "--tls-cert-file",
                       self.path("server.crt"), "--tls-key-file", self.path("server.key"),
                       "--tls-ca-cert-file", cert("ca.crt"), *args, wait=False)
        self.wait_for(d, " serves ")
        self.assertTrue(self.client().ping())
        return d

    def test_passwords_count_over_tls_too(self):
        self.tls_port = free_port()
        d = self.start("--tls-port", str(self.tls_port), "--tls-cert-file",
                       self.path("server.crt"), "--tls-key-file", self.path("server.key"),
                       "--tls-auth-clients", "no", "--requirepass", "s", wait=False)
        d.ready(password="s")
        self.assertTrue(self.client(None, password="s").ping())
        with self.assertRaises(redis.exceptions.AuthenticationError):
            self.client(None).ping()
        self.assertEqual(d.end(), 0)

    # ---- who stalls

    def test_handshakes_that_stall_are_bounded_in_time_and_number(self):
        d, _ = self.serve()
        stalled = [self.connect() for _ in range(SHAKING_MAX + 40)]
        self.assertTrue(self.client().ping())
        gone = 0
        for s in stalled[:60]:  # the oldest gave way
            s.settimeout(1)
            try:
                gone += s.recv(1) == b""
            except ConnectionResetError:
                gone += 1
            except socket.timeout:
                pass
        self.assertGreaterEqual(gone, 40)
        end = time.monotonic() + SHAKE_S + base.PATIENCE
        for s in stalled[60:]:
            s.settimeout(max(0.1, end - time.monotonic()))
            try:
                self.assertEqual(s.recv(1), b"")
            except ConnectionResetError:
                pass
        for s in stalled:
            s.close()
        self.assertTrue(self.client().ping())
        self.assertEqual(d.end(), 0)

    # ---- certificates

    def test_a_signal_has_the_certificates_read_again(self):
        d, _ = self.serve()
        kept = self.client()
        self.assertTrue(kept.ping())
        before = self.shown()
        for kind in ("crt", "key"):
            shutil.copy(cert(f"expired.{kind}"), self.path(f"server.{kind}"))
        shutil.copy(cert("server.crt"), self.path("server.crt"))  # with another's key
        d.process.send_signal(signal.SIGHUP)
        self.wait_for(d, "the certificates stay as they were")
        self.assertEqual(self.shown(), before)
        for kind in ("crt", "key"):  # another one for the same names
            shutil.copy(cert(f"revoked.{kind}"), self.path(f"server.{kind}"))
        d.process.send_signal(signal.SIGHUP)
        self.wait_for(d, "the certificates are read again")
        self.assertNotEqual(self.shown(), before)
        self.assertTrue(kept.ping())
        self.assertEqual(d.end(), 0)

    def wait_for(self, d, text):
        end = time.monotonic() + base.PATIENCE
        while text not in d.told():
            self.assertLess(time.monotonic(), end, d.told())
            time.sleep(0.02)

    def test_what_is_missing_is_told_before_anything_is_opened(self):
        port = str(free_port())
        files = ["--tls-cert-file", self.path("server.crt"), "--tls-key-file",
                 self.path("server.key")]
        self.assertIn("needs tls-cert-file", base.refused("--tls-port", port, cwd=self.top))
        self.assertIn("needs tls-ca-cert-file", base.refused("--tls-port", port, *files,
                                                             cwd=self.top))
        self.assertEqual(sorted(os.listdir(self.top)),
                         ["client.crt", "client.key", "server.crt", "server.key"])
        for bad, text in (("none.key", "is missing"), ("client.key", "does not belong"),
                          ("server.crt", "not a private key")):
            files[3] = self.path(bad)
            self.assertIn(text, base.refused("--tls-port", port, *files, "--tls-auth-clients",
                                             "no", "--port", "0", cwd=self.top))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    base.PROGRAM = os.path.abspath(sys.argv.pop(1))
    CERTS = tempfile.mkdtemp(prefix="oxbowd-certs-")
    try:
        subprocess.run([os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                     "../support/certs.sh"), CERTS],
                       check=True, capture_output=True)
        unittest.main(verbosity=2)
    finally:
        shutil.rmtree(CERTS)
