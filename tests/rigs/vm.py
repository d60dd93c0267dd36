#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Cuts the power of a virtual machine, again and again, with the store on its disk.

    vm.py COUNT --rig PROGRAM --disk PROGRAM --work DIR [--fs ext4|xfs|both] [--seed N] ...

A machine of qemu (KVM where it works, else emulation) boots Debian's kernel and a file system in
memory that holds nothing but busybox and `rig load`. Its disk is rig_disk, which keeps in a
volatile cache what was not flushed. What the load acknowledges leaves the machine over a virtual
serial port into a file of the host. Then qemu is killed, the disk loses what it may, and a copy of
its image is mounted and verified here; the next machine mounts the image itself, recovers file
system and store, and goes on. Some machines are cut off while they do.

Machines boot once: the state of one that is about to look at its disk for the first time is kept, and
each life goes on from there, with the time of the day and fresh randomness. --boot boots each.

Exit status: 0 nothing acknowledged was lost (with --control: the fault was caught), 1 something
was, 2 the rig itself failed, 77 skipped: this machine lacks something.
"""
import argparse
import os
import platform
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

RECORD_BYTES = 48
IMAGE_LIVES = 10
IMAGE_BYTES = {"ext4": 96 << 20, "xfs": 320 << 20}  # mkfs.xfs refuses less than 300 MiB
BOOT_SECONDS = 120.0
# In this order; one that is not there is built into the kernel.
MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
           "virtio_console", "libcrc32c", "xfs"]
MODULES_OF_DISK = ["virtio_blk"]
PACKAGE = "linux-image-cloud-amd64"
INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs none /dev && $b mount -t proc none /proc && $b mount -t sysfs none /sys
load() { for m in "$@"; do $b insmod /lib/modules/$m.ko || echo "rig: no module $m"; done; }
load %s
port=$($b ls /dev/vport* 2>/dev/null)
echo "rig: ready"
read -r now fs options
$b date -s @$now >/dev/null
load %s
echo "rig: mounting"
$b mount -t $fs -o noatime /dev/vda /mnt || echo "rig: cannot mount"
echo "rig: loading"
/bin/rig load --dir /mnt/store --witness $port $options
echo "rig: ended $?"
$b sleep 1000
"""


class Skipped(Exception):
    """This machine lacks something."""


class Broken(Exception):
    """The rig did not do its work."""


def need(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        raise Skipped(f"{program} is not there")
    return found


# ---- what the machine boots ----

def installed_kernel() -> tuple[Path, Path] | None:
    for image in sorted(Path("/boot").glob("vmlinuz-*"), reverse=True):
        modules = Path("/lib/modules") / image.name.removeprefix("vmlinuz-")
        if modules.is_dir() and os.access(image, os.R_OK):
            return image, modules
    return None


def extracted_kernel(folder: Path) -> tuple[Path, Path] | None:
    images = sorted(folder.glob("boot/vmlinuz-*"))
    modules = sorted(folder.glob("lib/modules/*"))
    return (images[0], modules[0]) if images and modules else None


def fetch_kernel(folder: Path) -> tuple[Path, Path]:
    """Debian's package, unpacked and not installed."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in ("apt-get", "apt-cache", "dpkg-deb"):
        need(program)
    depends = subprocess.run(["apt-cache", "depends", PACKAGE], capture_output=True, text=True,
                             check=False).stdout
    names = re.findall(r"Depends: (linux-image-\S+)", depends)
    if not names:
        raise Skipped(f"no kernel: neither in /boot nor {PACKAGE} in the package lists")
    got = subprocess.run(["apt-get", "-qq", "download", names[0]], cwd=folder, check=False,
                         capture_output=True, text=True)
    packages = sorted(folder.glob("*.deb"))
    if got.returncode != 0 or not packages:
        raise Skipped(f"no kernel: {names[0]} cannot be downloaded")
    subprocess.run(["dpkg-deb", "-x", packages[0], folder], check=True)
    packages[0].unlink()
    found = extracted_kernel(folder)
    if found is None:
        raise Skipped(f"no kernel in {names[0]}")
    return found


def find_kernel(options: argparse.Namespace) -> tuple[Path, Path]:
    if platform.machine() != "x86_64":
        raise Skipped(f"no machine is described for {platform.machine()}")
    found = extracted_kernel(options.kernel) or installed_kernel()
    return found or fetch_kernel(options.kernel)


def cpio(entries: dict[str, tuple[int, bytes]]) -> bytes:
    """An archive of the kernel's format for file systems in memory ("newc")."""
    out = bytearray()
    for number, (name, (mode, data)) in enumerate([*entries.items(), ("TRAILER!!!", (0, b""))], 1):
        raw = name.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        out += b"\0" * (-len(out) % 4)
        out += data + b"\0" * (-len(data) % 4)
    return bytes(out)


def libraries(program: Path) -> list[Path]:
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(p) for p in re.findall(r"(/\S+) \(0x", text)]


def build_initramfs(rig: Path, modules: Path, to: Path) -> None:
    busybox = Path(need("busybox"))
    if subprocess.run(["ldd", busybox], capture_output=True, check=False).returncode == 0:
        raise Skipped("busybox is not a static one")
    folder, file = 0o040755, 0o100755
    entries = {name: (folder, b"") for name in
               ("bin", "dev", "proc", "sys", "mnt", "lib", "lib64", "lib/modules")}
    there = []
    for names in (MODULES, MODULES_OF_DISK):
        found = {name: path for name in names if (path := next(modules.rglob(name + ".ko"), None))}
        there.append(" ".join(found))
        for name, path in found.items():
            entries[f"lib/modules/{name}.ko"] = (file, path.read_bytes())
    entries["bin/busybox"] = (file, busybox.read_bytes())
    entries["bin/rig"] = (file, rig.read_bytes())
    for library in libraries(rig):
        parts = library.as_posix().lstrip("/").split("/")
        for depth in range(1, len(parts)):
            entries.setdefault("/".join(parts[:depth]), (folder, b""))
        entries["/".join(parts)] = (file, library.read_bytes())
    entries["init"] = (file, (INIT % tuple(there)).encode())
    to.write_bytes(cpio(entries))


# ---- the machine ----

class Machine:
    """One boot, to its end."""

    def __init__(self, rig: "Rig", resume: bool) -> None:
        self.rig = rig
        self.console = rig.work / "console.txt"
        self.told = rig.work / "told"
        disk_socket = rig.work / "disk.socket"
        self.serial, self.monitor = rig.work / "serial.socket", rig.work / "monitor.socket"
        for path in (self.console, self.told, disk_socket, self.serial, self.monitor):
            path.unlink(missing_ok=True)
        lie = ["lie"] if rig.options.control == "lie" else []
        self.disk = subprocess.Popen(
            [rig.options.disk, disk_socket, rig.image, str(rig.random.getrandbits(60)), *lie],
            stdout=subprocess.PIPE, text=True)
        while not disk_socket.exists():
            if self.disk.poll() is not None:
                raise Broken("the disk does not start")
            time.sleep(0.002)
        self.qemu = subprocess.Popen(self.command(disk_socket, resume), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=rig.log)

    def command(self, disk_socket: Path, resume: bool) -> list[str]:
        cpu = "host,-arch-capabilities" if self.rig.accel == "kvm" else "max"
        # Not microvm: without HPET and PM timer an emulated machine fails to calibrate its clock when
        # the host is busy, and hangs.
        command = [
            self.rig.program, "-M", f"pc,accel={self.rig.accel}", "-cpu", cpu, "-m", "192",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(self.rig.kernel), "-initrd", str(self.rig.initramfs),
            "-append", "console=ttyS0 quiet panic=-1 reboot=t",
            "-chardev", f"socket,id=s,path={self.serial},server=on,wait=off,"
                        f"logfile={self.console}", "-serial", "chardev:s",
            "-monitor", f"unix:{self.monitor},server=on,wait=off",
            "-drive", f"file=nbd+unix:///?socket={disk_socket},format=raw,if=none,id=d,cache=none",
            "-device", "virtio-blk-pci,drive=d", "-device", "virtio-serial-pci",
            "-chardev", f"file,id=t,path={self.told}",
            "-device", "virtserialport,chardev=t,name=told"]
        return command + (["-incoming", f"exec:cat {self.rig.state}"] if resume else [])

    def talk(self, path: Path) -> socket.socket:
        if not self.wait(path.exists, 20):
            raise Broken(f"qemu does not start: see {self.rig.work}/qemu.log")
        for _ in range(1000):
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(path))
                return line
            except ConnectionRefusedError:  # bound, and not listening yet
                line.close()
                time.sleep(0.005)
        raise Broken("qemu does not listen")

    def tell(self, load: list[str]) -> None:
        """What the machine waits for before it looks at its disk."""
        fresh = f"{self.rig.random.getrandbits(63)}"
        text = " ".join([str(int(time.time())), self.rig.fs, *load, "--entropy", fresh])
        self.line = self.talk(self.serial)  # kept: qemu hangs up with it
        self.line.sendall(text.encode() + b"\n")

    def keep_state(self) -> None:
        with self.talk(self.monitor) as line:
            line.settimeout(60)
            line.sendall(f'migrate "exec:cat > {self.rig.state}"\ninfo migrate\n'.encode())
            heard = b""
            while b"Migration status: completed" not in heard:
                more = line.recv(4096)
                if not more or b"Migration status: failed" in heard:
                    raise Broken(f"the machine's state cannot be kept: {heard.decode()}")
                heard += more

    def says(self, text: str) -> bool:
        try:
            return text in self.console.read_text(errors="replace")
        except FileNotFoundError:
            return False

    def records(self) -> int:
        try:
            return self.told.stat().st_size // RECORD_BYTES
        except FileNotFoundError:
            return 0

    def wait(self, ready, seconds: float) -> bool:  # type: ignore[no-untyped-def]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if ready() or self.qemu.poll() is not None:
                return self.qemu.poll() is None
            time.sleep(0.005)
        return False

    def cut(self) -> tuple[bytes, dict[str, str]]:
        """What it told in whole records, and what the disk says of its end."""
        ended = self.says("rig: ended") or self.qemu.poll() is not None
        self.qemu.send_signal(signal.SIGKILL)
        self.qemu.wait()
        text, _ = self.disk.communicate(timeout=60)
        if self.disk.returncode != 0:
            raise Broken("the disk failed")
        if ended and self.rig.options.control is None:
            raise Broken(f"the machine ended by itself: {self.rig.keep('ended')}")
        told = self.told.read_bytes() if self.told.exists() else b""
        told = told[:len(told) - len(told) % RECORD_BYTES]
        self.line.close()
        return told, dict(pair.split("=") for pair in text.split())

    def kill(self) -> None:
        for process in (self.qemu, self.disk):
            if process.poll() is None:
                process.kill()
                process.wait()


class Rig:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.random = random.Random(options.seed)
        self.work = Path(options.work)
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.program = need("qemu-system-x86_64")
        self.kernel, modules = find_kernel(options)
        self.initramfs = self.work / "initramfs"
        build_initramfs(options.rig, modules, self.initramfs)
        self.log = (self.work / "qemu.log").open("ab")
        self.image = self.work / "image"
        self.witness = self.work / "witness"
        self.fs = "ext4"
        self.images = self.lives = self.cuts = self.early = self.bad = self.told = 0
        self.sums = dict.fromkeys(("writes", "flushes", "unflushed", "sectors_kept",
                                   "sectors_lost", "frozen"), 0)
        self.losses: dict[str, int] = {}
        self.state = self.work / "state"
        self.accel = ""

    def first_boot(self, accel: str, seconds: float) -> bool:
        """Whether a machine comes up with it; then its state is kept."""
        self.accel = accel
        machine = Machine(self, False)
        try:
            if not machine.wait(lambda: machine.says("rig: ready"), seconds):
                return False
            machine.keep_state()
            return True
        finally:
            machine.kill()

    def find_accel(self) -> None:
        """KVM where it works: there are hosts whose KVM cannot run such a machine."""
        wanted = self.options.accel
        if wanted != "tcg" and os.access("/dev/kvm", os.R_OK | os.W_OK) and \
                self.first_boot("kvm", 8):
            return
        if wanted == "kvm":
            raise Skipped("no machine comes up with KVM")
        if not self.first_boot("tcg", BOOT_SECONDS):
            raise Broken(f"the machine does not boot: {self.keep('boot')}")

    def new_image(self) -> None:
        kinds = ["ext4", "xfs"] if self.options.fs == "both" else [self.options.fs]
        self.fs = kinds[self.images % len(kinds)]
        self.images += 1
        self.lives = 0
        self.store_seed = self.random.getrandbits(60)
        self.image.unlink(missing_ok=True)
        with self.image.open("wb") as file:
            file.truncate(IMAGE_BYTES[self.fs])
        force = "-F" if self.fs == "ext4" else "-f"
        subprocess.run([need(f"mkfs.{self.fs}"), "-q", force, self.image], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.witness.write_bytes(b"")

    def load(self) -> list[str]:
        policy, journal = self.options.policy, self.options.journal
        if journal == "mix":
            journal = self.random.choice(["on", "on", "on", "off"])
        if policy == "mix":
            policy = self.random.choice(["always", "always", "interval", "none"])
        if policy == "none" and journal == "off":
            policy = "interval"  # refused without a journal
        self.policy = ["--seed", str(self.store_seed), "--policy", policy, "--shape",
                       str(self.random.getrandbits(60)), "--interval",
                       str(self.random.randint(20, 200)), "--journal", journal]
        control = ["--control", "nosync"] if self.options.control == "nosync" else []
        return [*self.policy, "--threads", str(self.random.randint(1, 8)), *control]

    def cycle(self) -> None:
        machine = Machine(self, not self.options.boot)
        try:
            machine.tell(self.load())
            if self.random.random() < 0.2:  # while it mounts, or opens the store
                if not machine.wait(lambda: machine.says("rig: mounting"), BOOT_SECONDS):
                    raise Broken(f"the machine does not boot: {self.keep('boot')}")
                time.sleep(self.random.random() * 0.6)
            else:
                wanted = self.random.randint(1, 400)
                if not machine.wait(machine.records, BOOT_SECONDS):
                    raise Broken(f"the load does not begin: {self.keep('load')}")
                machine.wait(lambda: machine.records() >= wanted, 5)
                if self.random.random() < 0.7:
                    machine.disk.send_signal(signal.SIGUSR1)  # it freezes soon
                    time.sleep(0.2)
                time.sleep(self.random.random() * 0.1)
            told, disk = machine.cut()
        finally:
            machine.kill()
        self.count(told, disk)
        if not self.verify() or self.lives >= IMAGE_LIVES:
            self.new_image()

    def count(self, told: bytes, disk: dict[str, str]) -> None:
        with self.witness.open("ab") as file:
            file.write(told)
        self.cuts += 1
        self.lives += 1
        self.early += not told
        self.told += len(told) // RECORD_BYTES
        self.losses[disk["loss"]] = self.losses.get(disk["loss"], 0) + 1
        for name in self.sums:
            self.sums[name] += int(disk[name])

    def verify(self) -> bool:
        copy = self.work / "copy"
        subprocess.run(["cp", "--sparse=always", self.image, copy], check=True)
        done = subprocess.run(
            [self.options.rig, "verify", *self.policy, "--image", copy, "--fs", self.fs, "--dir",
             self.work, "--witness", self.witness], capture_output=True, text=True, check=False)
        if done.returncode == 77:
            raise Skipped(done.stdout.strip())
        if done.returncode not in (0, 1):
            raise Broken(done.stdout + done.stderr)
        if done.returncode == 1:
            self.bad += 1
            kept = f"; kept: {self.keep('bad')}" if self.options.control is None else ""
            print(f"cut {self.cuts} ({self.fs}): {done.stdout.strip()} {done.stderr.strip()}{kept}")
        return done.returncode == 0

    def keep(self, why: str) -> str:
        """Everything that is left of this cut, for a later look."""
        if self.options.save is None:
            return "nothing is kept (--save)"
        to = Path(self.options.save) / f"vm-{self.options.seed}-{self.cuts}-{why}"
        to.mkdir(parents=True, exist_ok=True)
        for name in ("image", "witness", "console.txt", "told", "qemu.log"):
            if (self.work / name).exists():
                subprocess.run(["cp", "--sparse=always", self.work / name, to], check=True)
        (to / "verify.txt").write_text(" ".join(self.policy) + "\n")
        return str(to)

    def run(self) -> bool:
        start = time.monotonic()
        self.new_image()
        self.find_accel()
        # A control has shown what it is for when it was caught.
        while self.cuts < self.options.count and not (self.options.control and self.bad):
            self.cycle()
            if self.cuts % 20 == 0:
                print(f"... {self.cuts} cuts, {self.told} records, BAD {self.bad}", flush=True)
        control = self.options.control
        meant = self.told > self.cuts and (self.sums["unflushed"] > 0 or self.cuts < 10)
        good = meant and (self.bad > 0 if control else self.bad == 0)
        sums = " ".join(f"{k}={v}" for k, v in self.sums.items())
        losses = " ".join(f"{k}={v}" for k, v in sorted(self.losses.items()))
        print(f"{'PASS' if good else 'FAIL'} vm {self.options.fs} {self.accel}"
              f"{f' (control {control})' if control else ''}: {self.cuts} power cuts of "
              f"{self.images} disks in {time.monotonic() - start:.0f} s, {self.early} before "
              f"anything was told; {self.told} records told; {sums}; lost: {losses}; BAD {self.bad}"
              f"{' (must be caught)' if control else ''} (seed {self.options.seed})")
        if not meant:
            print("too little was done for this to mean anything")
        return good


def main() -> int:
    parser = argparse.ArgumentParser(description="Cuts the power of a virtual machine.")
    parser.add_argument("count", type=int)
    parser.add_argument("--rig", type=Path, required=True)
    parser.add_argument("--disk", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--kernel", type=Path, help="where a kernel package is or gets unpacked")
    parser.add_argument("--fs", choices=["ext4", "xfs", "both"], default="both")
    parser.add_argument("--policy", choices=["always", "interval", "none", "mix"], default="mix")
    parser.add_argument("--journal", choices=["on", "off", "mix"], default="mix")
    parser.add_argument("--accel", choices=["auto", "kvm", "tcg"], default="auto")
    parser.add_argument("--boot", action="store_true", help="boot each machine")
    parser.add_argument("--control", choices=["nosync", "lie"])
    parser.add_argument("--save")
    parser.add_argument("--seed", type=int,
                        default=int(os.environ.get("OXBOW_SEED", time.time_ns() % 10**12)))
    options = parser.parse_args()
    options.work = options.work.resolve()
    options.kernel = (options.kernel or options.work.parent / "vm-kernel").resolve()
    print(f"vm: OXBOW_SEED={options.seed}", flush=True)
    try:
        return 0 if Rig(options).run() else 1
    except Skipped as why:
        print(f"rig_vm: skipped: {why}")
        return 77
    except Broken as why:
        print(f"rig_vm: {why}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
