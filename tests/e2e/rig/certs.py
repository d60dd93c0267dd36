# SPDX-License-Identifier: Apache-2.0
"""A certificate authority, a server's and a device's certificate, made on the spot by openssl."""
import subprocess
from dataclasses import dataclass
from pathlib import Path

SERVER_NAME = "redis.central.test"


@dataclass(frozen=True)
class Certs:
    ca: Path
    server_cert: Path
    server_key: Path
    device_cert: Path
    device_key: Path


def _openssl(*args: str) -> None:
    done = subprocess.run(["openssl", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {args[0]} failed:\n{done.stdout.decode(errors='replace')}")


def _signed(folder: Path, name: str, subject: str, extensions: str) -> tuple[Path, Path]:
    key, request, cert = (folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
    ext = folder / f"{name}.ext"
    ext.write_text(extensions, encoding="ascii")
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    _openssl("req", "-new", "-key", str(key), "-subj", subject, "-out", str(request))
    _openssl("x509", "-req", "-in", str(request), "-CA", str(folder / "ca.crt"), "-CAkey",
             str(folder / "ca.key"), "-CAcreateserial", "-days", "30", "-sha256", "-extfile",
             str(ext), "-out", str(cert))
    key.chmod(0o600)
    return cert, key


def make(folder: Path, device: str) -> Certs:
    """Makes everything in `folder`. The server's name is not its address, as behind a balancer."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_key = folder / "ca.key"
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(ca_key))
    ca_key.chmod(0o600)
    _openssl("req", "-x509", "-new", "-key", str(ca_key), "-subj", "/CN=oxbow test authority",
             "-days", "30", "-sha256", "-out", str(folder / "ca.crt"))
    server = _signed(folder, "server", f"/CN={SERVER_NAME}",
                     f"subjectAltName=DNS:{SERVER_NAME}\nextendedKeyUsage=serverAuth\n")
    client = _signed(folder, "device", f"/CN={device}", "extendedKeyUsage=clientAuth\n")
    return Certs(folder / "ca.crt", *server, *client)
