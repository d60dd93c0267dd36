#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the program of a real client against a server of its own.

    run.py CLIENT --server OXBOWD [--cache DIRECTORY] [--program FILE] [--option TEXT]...
    run.py --list
    run.py --fetch ENVIRONMENT... [--cache DIRECTORY]

CLIENT is a row of CLIENTS below. The server is oxbowd, or a real redis-server when OXBOWD's name says so:
that shows whether the program is right. Clients named sentinel_* find it by a sentinel: oxbowd's own, or a
real one that watches the redis-server. Libraries come from PyPI, npm, Go's proxy and Maven Central in
the versions pinned in environments/, go/go.sum and spring/pom.xml, once per version of the list, into
the cache. Exits with 77 only when a registry does not answer at all.
"""
import argparse
import fcntl
import glob
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from rig.ports import free_port  # noqa: E402

SYSTEM_PYTHON = "/usr/bin/python3"
# Whom this machine trusts: a network with an authority of its own has it there, and neither pip nor
# Node.js looks by itself.
SYSTEM_CAS = "/etc/ssl/certs/ca-certificates.crt"
TRIES = 3
TRY_S = 240  # an installation takes under a minute; one that hangs is a registry that is silent
SILENT_S = 1800  # so long nobody else asks a registry that did not answer
PATIENCE = 60
# What pip, npm, go and mvn say when nobody is there, or nobody but a server that says that it has failed
# (5xx, 429) or breaks off, as opposed to a version that is not there.
SILENCE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|read timed out"
    r"|Read timed out|Network is unreachable|Connection refused|ProxyError|ProtocolError"
    r"|Connection broken|Connection aborted|Connection reset|RemoteDisconnected|IncompleteRead"
    r"|EOF occurred in violation of protocol|UNEXPECTED_EOF|Temporary failure in name resolution"
    r"|\b(429|50[0234]) (Client|Server) Error|HTTP error (429|50[0234])|too many 50\d error"
    r"|npm (ERR!|error) code E(429|50[0234])|ENOTFOUND|ECONNREFUSED|ECONNRESET|ECONNABORTED"
    r"|ETIMEDOUT|EAI_AGAIN|ERR_SOCKET_TIMEOUT|ERR_SOCKET_CLOSED|ENETUNREACH|EHOSTUNREACH"
    r"|EIDLETIMEOUT|socket hang up|Premature close"
    r"|dial tcp|no such host|connection re(fused|set)|i/o timeout|TLS handshake timeout|unexpected EOF"
    r"|: (429|50[0234]) [A-Z]|[Cc]onnect timed out|UnknownHostException|[Uu]nknown host"
    r"|status: (429|50[0234])|\((429|50[0234])\)|NoHttpResponse|prematurely closed"
    r"|[Tt]ransfer failed for \S+(?:\s|$)(?!4)")

# name: environment, program and its arguments. `debian` is what packages.sh installs; `built` is a
# program of this build (--program).
CLIENTS = {
    "redis_cli": ("debian", "redis_cli.py"),
    "redis_benchmark": ("debian", "redis_benchmark.py"),
    "hiredis": ("built", None),
    "redis_py_debian": ("debian", "redis_py.py"),
    "redis_py_newest": ("python", "redis_py.py"),
    "redis_py_5": ("arq", "redis_py.py"),
    "sentinel_redis_py_debian": ("debian", "redis_py_sentinel.py"),
    "sentinel_redis_py_newest": ("python", "redis_py_sentinel.py"),
    "sentinel_redis_py_5": ("arq", "redis_py_sentinel.py"),
    "sentinel_ioredis_5": ("node", "ioredis_sentinel.js", "ioredis5"),
    "sentinel_ioredis_6": ("node", "ioredis_sentinel.js", "ioredis6"),
    "sentinel_node_redis_5_resp2": ("node", "node_redis_sentinel.js", "redis5", "2"),
    "sentinel_node_redis_5_resp3": ("node", "node_redis_sentinel.js", "redis5", "3"),
    "sentinel_node_redis_6_resp2": ("node", "node_redis_sentinel.js", "redis6", "2"),
    "sentinel_node_redis_6_resp3": ("node", "node_redis_sentinel.js", "redis6", "3"),
    "redis_py_lock_debian": ("debian", "redis_py_lock.py"),
    "redis_py_lock_newest": ("python", "redis_py_lock.py"),
    "flask": ("python", "flask_app.py"),
    "django": ("python", "django_cache.py"),
    "fastapi": ("python", "fastapi_app.py"),
    "kombu": ("python", "kombu_queue.py"),
    "celery_django": ("python", "celery_jobs.py"),
    "taskiq": ("python", "taskiq_jobs.py"),
    "rq": ("python", "rq_jobs.py"),
    "arq": ("arq", "arq_jobs.py"),
    "huey": ("python", "huey_jobs.py"),
    "ioredis_5": ("node", "ioredis.js", "ioredis5"),
    "ioredis_6": ("node", "ioredis.js", "ioredis6"),
    "node_redis_4_resp2": ("node", "node_redis.js", "redis4", "2"),
    "node_redis_5_resp2": ("node", "node_redis.js", "redis5", "2"),
    "node_redis_5_resp3": ("node", "node_redis.js", "redis5", "3"),
    "node_redis_6_resp2": ("node", "node_redis.js", "redis6", "2"),
    "node_redis_6_resp3": ("node", "node_redis.js", "redis6", "3"),
    "bullmq_5": ("node", "bullmq.js", "bullmq5"),
    "bullmq_6": ("node", "bullmq.js", "bullmq6"),
    "bee_queue": ("node", "bee_queue.js"),
    "go_redis_9_resp2": ("go", "goredis", "2"),
    "go_redis_9_resp3": ("go", "goredis", "3"),
    "asynq": ("go", "jobs"),
    "spring": ("spring", "gateway.Service"),
}


class Silent(Exception):
    """A registry does not answer."""


def fetched(what, command, cwd, env=None):
    """Carries out an installation, three times if need be."""
    said = ""
    for attempt in range(TRIES):
        time.sleep(5 * attempt)
        try:
            done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TRY_S)
        except subprocess.TimeoutExpired:
            raise Silent(f"the registry of {what} does not answer within {TRY_S} s") from None
        if done.returncode == 0:
            return
        said = done.stdout.decode(errors="replace")
    if SILENCE.search(said):
        raise Silent(f"the registry of {what} does not answer")
    sys.exit(f"{what}: cannot be installed:\n{said[:2000]}\n...\n{said[-2000:]}")


def install_python(where, name):
    if not os.access(SYSTEM_PYTHON, os.X_OK):
        sys.exit(f"no {SYSTEM_PYTHON}")
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", where], check=True)
    trusted = ["--cert", SYSTEM_CAS] if os.path.exists(SYSTEM_CAS) else []
    fetched(name, [os.path.join(where, "bin", "pip"), "install", "--quiet", "--no-input",
                   "--disable-pip-version-check", "--retries", "2", "--timeout", "30", "--no-deps",
                   *trusted, "-r", os.path.join(HERE, "environments", name + ".txt")], where)


def install_node(where, name):
    """Node itself comes from PyPI, so its version is the same everywhere."""
    install_python(where, name)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(HERE, "environments", file), where)
    path = os.path.join(where, "bin") + os.pathsep + os.environ["PATH"]
    fetched(name, ["env", "PATH=" + path, "NODE_OPTIONS=--use-system-ca",
                   "npm", "install", "--legacy-peer-deps",
                   "--omit-lockfile-registry-resolved", "--ignore-scripts", "--no-audit", "--no-fund",
                   "--no-update-notifier", "--fetch-retries", "2", "--fetch-timeout", "30000",
                   "--fetch-retry-mintimeout", "2000", "--fetch-retry-maxtimeout", "10000", "--cache",
                   os.path.join(where, "npm-cache")], where)
    with open(os.path.join(HERE, "environments", "package-lock.json"), "rb") as pinned:
        with open(os.path.join(where, "package-lock.json"), "rb") as taken:
            if pinned.read() != taken.read():
                sys.exit(f"{name}: npm did not keep to package-lock.json")
    shutil.rmtree(os.path.join(where, "npm-cache"), ignore_errors=True)


def go_environment(where):
    """Everything in the cache, and nothing from the user's own settings but who is asked."""
    return {**os.environ, "GOENV": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
            "GOPATH": os.path.join(where, "path"), "GOMODCACHE": os.path.join(where, "modules"),
            "GOCACHE": os.path.join(where, "build"), "XDG_CONFIG_HOME": where}


def install_go(where, name):
    """The modules that go.sum names, built once so that the next builds are short."""
    if shutil.which("go") is None:
        sys.exit("go is not installed; tools/packages.sh test does it")
    os.makedirs(where)
    source, env = os.path.join(HERE, "go"), go_environment(where)
    fetched(name, ["go", "mod", "download"], source, env)
    build_go(where, ["./..."], os.path.join(where, "bin"))


def build_go(where, packages, to):
    os.makedirs(to, exist_ok=True)
    subprocess.run(["go", "build", "-p", "2", "-o", to, *packages], cwd=os.path.join(HERE, "go"),
                   env={**go_environment(where), "GOPROXY": "off"}, check=True)


def install_spring(where, name):
    """The jars that pom.xml asks for."""
    if shutil.which("mvn") is None:
        sys.exit("mvn is not installed; tools/packages.sh test does it")
    os.makedirs(where)
    shutil.copy(os.path.join(HERE, "spring", "pom.xml"), where)
    fetched(name, ["mvn", "-B", "-ntp", "-Dmaven.repo.local=" + os.path.join(where, "repository"),
                   "dependency:copy-dependencies", "-DoutputDirectory=" + os.path.join(where, "lib")],
            where)
    shutil.rmtree(os.path.join(where, "repository"))


def compile_spring(where, to):
    sources = glob.glob(os.path.join(HERE, "spring", "src", "**", "*.java"), recursive=True)
    subprocess.run(["javac", "--release", "17", "-encoding", "UTF-8", "-parameters", "-proc:none",
                    "-Xlint:all,-classfile", "-Werror", "-cp", os.path.join(where, "lib", "*"), "-d", to,
                    *sources], check=True)


FILES = {"spring": (install_spring, ["../spring/pom.xml"]),
         "go": (install_go, ["../go/go.mod", "../go/go.sum"]),
         "node": (install_node, ["node.txt", "package.json", "package-lock.json"]),
         "python": (install_python, ["python.txt"]),
         "arq": (install_python, ["arq.txt"])}


def environment(name, cache):
    """The directory of an installed environment: there already, or made now."""
    install, lists = FILES[name]
    digest = hashlib.sha256(sys.version.encode())
    for file in lists:
        with open(os.path.join(HERE, "environments", file), "rb") as text:
            digest.update(text.read())
    where = os.path.join(cache, f"{name}-{digest.hexdigest()[:16]}")
    done = os.path.join(where, "complete")
    os.makedirs(cache, exist_ok=True)
    with open(where + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(done):
            told_silent(where + ".silent")
            shutil.rmtree(where, ignore_errors=True)
            try:
                install(where, name)
            except Silent as why:
                with open(where + ".silent", "w") as silent:
                    silent.write(str(why))
                raise
            with open(done, "w"):
                pass
    return where


def told_silent(path):
    """What another client found of a registry a moment ago holds for this one too: each alone would
    wait as long."""
    if os.path.exists(path) and 0 <= time.time() - os.path.getmtime(path) < SILENT_S:
        with open(path) as silent:
            raise Silent(silent.read())


class Server:
    """A server with a store of its own at a port that was free."""

    def __init__(self, program, top, options, sentinel):
        self.program = program
        self.port = free_port()
        self.sentinel_port = free_port() if sentinel else None
        self.watcher = None
        self.log = os.path.join(top, "server.log")
        self.unix = os.path.join(top, "server.sock")
        args = [program, "--port", str(self.port), "--unixsocket", self.unix, "--dir"]
        if self.is_redis():
            args += [top, "--save", "", "--appendonly", "no"]
        else:
            args += [os.path.join(top, "store")]
            if sentinel:
                args += ["--sentinel-port", str(self.sentinel_port)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(args + options, cwd=top, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not self.serves():
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit("the server does not start:\n" + self.told())
            time.sleep(0.02)
        if sentinel and self.is_redis():
            self.watch(top)

    def watch(self, top):
        """Starts a real sentinel, and waits until it knows the server."""
        config = os.path.join(top, "sentinel.conf")
        with open(config, "w") as file:
            file.write(f"port {self.sentinel_port}\ndir {top}\n"
                       f"sentinel monitor mymaster 127.0.0.1 {self.port} 1\n")
        with open(config + ".log", "wb") as log:
            self.watcher = subprocess.Popen([self.program, config, "--sentinel"], cwd=top,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while b"address=127.0.0.1" not in self.asked(self.sentinel_port, self.watcher) or \
                not self.is_known():
            if self.watcher.poll() is not None or time.monotonic() > end:
                sys.exit("the sentinel does not watch")
            time.sleep(0.02)

    def is_known(self):
        """Whether the sentinel has had the server's INFO: before that it has no run id of it."""
        with socket.create_connection(("127.0.0.1", self.sentinel_port), PATIENCE) as sock:
            sock.sendall(b"SENTINEL MASTER mymaster\r\n")
            said = b""
            while b"parallel-syncs\r\n$1\r\n1\r\n" not in said:
                part = sock.recv(65536)
                if not part:
                    return False
                said += part
        return b"runid\r\n$40\r\n" in said

    def is_redis(self):
        return os.path.basename(self.program) == "redis-server"

    def serves(self):
        """Whether it answers."""
        return self.asked(self.port, self.process) != b""

    @staticmethod
    def asked(port, process):
        """INFO, or nothing if nobody answers; anybody else at the port ends the run."""
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
                sock.sendall(b"INFO server sentinel\r\n")
                said = b""
                while b"process_id:" not in said or not said.endswith(b"\r\n"):
                    part = sock.recv(65536)
                    if not part:
                        return b""
                    said += part
        except OSError:
            return b""
        if b"process_id:%d\r\n" % process.pid not in said:
            sys.exit("another server answers at the port")
        return said

    def told(self):
        with open(self.log, "rb") as log:
            return log.read()[-4000:].decode(errors="replace")

    def end(self):
        """Whether it lived until now and ended in order."""
        if self.watcher is not None and self.watcher.poll() is None:
            self.watcher.terminate()
            self.watcher.wait(PATIENCE)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE) == 0
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False


def command_of(client, cache, program, top):
    kind, file, *args = CLIENTS[client]
    if kind == "built":
        if not program:
            sys.exit("--program is missing")
        return [program], {}
    path = os.path.join(HERE, file)
    if kind == "debian":
        return [SYSTEM_PYTHON, path, *args], {}
    where = environment(kind, cache)
    if kind == "go":
        build_go(where, ["./" + file], os.path.join(top, "bin"))
        return [os.path.join(top, "bin", file), *args], {}
    if kind == "spring":
        compile_spring(where, top)
        return ["java", "-cp", top + os.pathsep + os.path.join(where, "lib", "*"), file, *args], {}
    bins = os.path.join(where, "bin")
    env = {"PATH": bins + os.pathsep + os.environ["PATH"]}
    if kind == "node":
        env["NODE_PATH"] = os.path.join(where, "node_modules")
        return [os.path.join(bins, "node"), path, *args], env
    return [os.path.join(bins, "python"), path, *args], env


def run(given):
    cache = os.path.abspath(given.cache)
    top = tempfile.mkdtemp(prefix="oxbow-client-")
    try:
        command, env = command_of(given.client, cache, given.program, top)
        server = Server(given.server, top, given.option, given.client.startswith("sentinel_"))
        env = {**os.environ, **env, "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(server.port),
               "REDIS_SOCKET": server.unix, "REDIS_URL": f"redis://127.0.0.1:{server.port}",
               "REDIS_SENTINEL_PORT": str(server.sentinel_port or ""), "PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": top}
        try:
            code = subprocess.run(command, env=env, cwd=top).returncode
        finally:
            ended = server.end()
        if code != 0 or not ended:
            print(f"{given.client}: exit {code}; the server {'ended' if ended else 'FAILED'}:\n"
                  + server.told())
            return 1
        return 0
    finally:
        shutil.rmtree(top, ignore_errors=True)


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("client", nargs="?", choices=sorted(CLIENTS))
    parse.add_argument("--server", default="redis-server")
    parse.add_argument("--cache", default="build/clients")
    parse.add_argument("--program")
    parse.add_argument("--option", action="append", default=[])
    parse.add_argument("--list", action="store_true")
    parse.add_argument("--fetch", nargs="+", choices=sorted(FILES), default=[])
    given = parse.parse_args()
    if given.fetch:
        try:
            for name in given.fetch:
                environment(name, os.path.abspath(given.cache))
        except Silent as why:
            print(f"skipped: {why}")
            return 77
        return 0
    if given.list or given.client is None:
        print("\n".join(CLIENTS))
        return 0
    try:
        return run(given)
    except Silent as why:
        print(f"client_{given.client}: skipped: {why}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
