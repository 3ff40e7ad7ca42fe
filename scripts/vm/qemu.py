# SPDX-License-Identifier: GPL-2.0
"""Boot a virtual machine, copy its terminal, and say how it ended.

Side channels are ports of a virtio-serial device, each a file in the run folder: tty (also QEMU's
stdout, shown as it comes), json, ktap, progress, mark, trace, selftests, status. The serial console carries the
kernel's log and nothing else.
"""

import ctypes
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .console import panicked
from .emulator import Emulator
from .results import parse_status
from .tables import Arch, Ending

CHANNELS = ("json", "ktap", "progress", "mark", "trace", "selftests", "status")
PORTS = len(CHANNELS) + 1  # and tty
PR_SET_PDEATHSIG = 1
PROBE_SECONDS = 15
STOP_SECONDS = 20
LINE_BYTES = 4096  # more than a line of progress has


@dataclass(frozen=True)
class Bounds:
    total: float  # seconds that all machines of a run may take together
    quiet: float  # seconds that one may be silent on every channel


def command(arch: Arch, emulator: Emulator, accel: str, image: Path, initramfs: Path, folder: Path,
            append: str = "") -> list[str]:
    options = [
        emulator.program, *emulator.options,
        "-accel", "tcg,thread=multi" if accel == "tcg" else accel,
        "-smp", "2", "-m", arch.memory,
        "-nodefaults", "-display", "none", "-no-reboot",
        "-chardev", f"file,id=console,path={folder / 'console.log'}",
        *(option.format("console") for option in arch.serial),
        "-device", arch.virtio_serial,
        # Not stdio: that one closes the port when stdin ends, and a closed port blocks the guest.
        "-chardev", "file,id=tty,path=/dev/stdout",
        "-device", "virtserialport,chardev=tty,name=tty",
    ]
    for channel in CHANNELS:
        options += ["-chardev", f"file,id={channel},path={folder / channel}",
                    "-device", f"virtserialport,chardev={channel},name={channel}"]
    # An oops in memory management leaves locks taken: end there, with the log.
    # The driver's marks in the log must not be left out for being many.
    line = f"console={arch.console} oops=panic panic=-1 printk.devkmsg=on {append}".strip()
    return options + ["-kernel", str(image), "-initrd", str(initramfs), "-append", line]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Screen:
    """The machine's output, as it comes; on a terminal, the last line shows the progress."""

    def __init__(self, show: bool) -> None:
        self.show = show
        self.live = show and sys.stdout.isatty()
        self._line = ""
        self._lock = threading.Lock()  # the machine's words come in a thread of their own

    def put(self, data: bytes) -> None:
        if not self.show:
            return
        with self._lock:
            self._draw("")
            sys.stdout.buffer.write(data.replace(b"\r\n", b"\n"))
            sys.stdout.buffer.flush()

    def progress(self, line: str) -> None:
        if self.live:
            with self._lock:
                self._draw(line)

    def _draw(self, line: str) -> None:
        if line == self._line:
            return
        self._line = line
        sys.stdout.write("\r\033[K" + line[: shutil.get_terminal_size().columns - 1])
        sys.stdout.flush()


def last_line(file: Path) -> str:
    """The last that is whole; "" if none is, or no file."""
    if not file.exists():
        return ""
    with open(file, "rb") as stream:
        stream.seek(max(0, file.stat().st_size - LINE_BYTES))
        text = stream.read().decode(errors="replace")
    return text[: text.rfind("\n") + 1].rstrip("\n").rpartition("\n")[2].rstrip("\r")


_COLOUR = re.compile(rb"\033\[[0-9;]*m")


def _without_colours(file: Path) -> None:
    """The run folder keeps text only. Done at the end, as a sequence can come in two parts."""
    file.write_bytes(_COLOUR.sub(b"", file.read_bytes()))


def _copy(stream: "subprocess.Popen[bytes]", file: Path, screen: Screen, pulse: list[float]) -> None:
    assert stream.stdout
    with open(file, "wb") as copy:
        while data := os.read(stream.stdout.fileno(), 65536):
            pulse[0] = time.monotonic()
            copy.write(data)
            copy.flush()
            screen.put(data)


def _sizes(folder: Path) -> tuple[int, ...]:
    """Signs of life. Once the guest's script has spoken, the kernel's log is none: a kernel that
    hangs complains for hours."""
    sizes = tuple(
        (folder / name).stat().st_size if (folder / name).exists() else 0 for name in (*CHANNELS, "console.log")
    )
    return sizes[:-1] if any(sizes[:-1]) else sizes


def _script_ended(folder: Path) -> bool:
    status = folder / "status"
    return status.exists() and parse_status(status.read_text(errors="replace")).ended


def _stop(machine: "subprocess.Popen[bytes]") -> None:
    """The guest's word came, and the guest waits. Powering off by itself it could be faster than
    QEMU's main loop, and its last words would be lost."""
    machine.terminate()
    try:
        machine.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        machine.kill()


def _watch(machine: "subprocess.Popen[bytes]", folder: Path, bounds: Bounds, pulse: list[float],
           tick: Callable[[], None]) -> Ending | None:
    """Until it ends by itself (None) or a bound is hit."""
    start = time.monotonic()
    sizes = _sizes(folder)
    while True:
        try:
            machine.wait(timeout=0.1)
            return None
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        tick()
        if _script_ended(folder):
            _stop(machine)
            return None
        if (latest := _sizes(folder)) != sizes:
            sizes, pulse[0] = latest, now
        if now - start > bounds.total:
            return Ending.TIMEOUT
        if now - pulse[0] > bounds.quiet:
            return Ending.HANG


def boot(options: list[str], folder: Path, bounds: Bounds, show: bool = True,
         tick: Callable[[], None] = lambda: None) -> Ending:
    """Run a machine to its end. GOOD means only that its script ended."""
    (folder / "qemu-command").write_text(shlex.join(options) + "\n")
    screen = Screen(show)
    told = ""

    def tick_and_tell() -> None:
        nonlocal told
        tick()
        line = last_line(folder / "progress") if screen.live else ""
        if line != told:
            told = line
            screen.progress(line)

    pulse = [time.monotonic()]
    with open(folder / "qemu.log", "wb") as errors, subprocess.Popen(
        options, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
        preexec_fn=_die_with_parent,
    ) as machine:
        reader = threading.Thread(target=_copy, args=(machine, folder / "output.txt", screen, pulse))
        reader.start()
        try:
            ending = _watch(machine, folder, bounds, pulse, tick_and_tell)
        finally:
            machine.kill()
            reader.join()
            _without_colours(folder / "output.txt")
            screen.progress("")
    log = (folder / "console.log").read_text(errors="replace") if (folder / "console.log").exists() else ""
    if panicked(log):
        return Ending.PANIC
    if ending is not None:
        return ending
    return Ending.GOOD if _script_ended(folder) else Ending.LOST


def accelerator(arch: Arch, emulator: Emulator, image: Path) -> str:
    """kvm if a machine boots with it, else tcg. Asked once for each boot of the host."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or not arch.native:
        return "tcg"
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    record = cache.root() / "accelerator.json"
    try:
        known = json.loads(record.read_text())
        if known["boot"] == boot_id:
            return str(known[arch.name])
    except (OSError, ValueError, KeyError):
        pass
    choice = "kvm" if _boots_with_kvm(arch, emulator, image) else "tcg"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"boot": boot_id, arch.name: choice}))
    return choice


def _boots_with_kvm(arch: Arch, emulator: Emulator, image: Path) -> bool:
    from .initramfs import Archive

    archive = Archive()
    for folder in ("dev", "proc"):
        archive.add_folder(folder)
    archive.add("bin/busybox", Path("/bin/busybox").read_bytes(), executable=True)
    archive.add("init", b"#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs d /dev\n"
                b"echo faultline-probe > /dev/console\n/bin/busybox poweroff -f\n", executable=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "initramfs").write_bytes(archive.bytes())
        options = command(arch, emulator, "kvm", image, folder / "initramfs", folder)
        boot(options, folder, Bounds(PROBE_SECONDS, PROBE_SECONDS), show=False)
        log = folder / "console.log"
        return log.exists() and re.search("faultline-probe", log.read_text(errors="replace")) is not None
