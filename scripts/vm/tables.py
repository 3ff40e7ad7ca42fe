# SPDX-License-Identifier: GPL-2.0
"""What differs by architecture, by kernel series, and how a run can end. Data alone."""

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True)
class Arch:
    name: str  # as in make run ARCH=
    debian: str  # Debian's name of the architecture
    flavour: str  # suffix of Debian's kernel packages
    kbuild: str  # the kernel's ARCH=, and its folder under arch/
    image: str  # file name under /boot, before the release
    qemu: str  # the emulator
    machine: tuple[str, ...]  # emulator options that make the machine
    console: str  # console= of the kernel command line
    virtio_serial: str  # the device that carries the side channels


ARCHES = {
    arch.name: arch
    for arch in (
        Arch(
            name="x86_64",
            debian="amd64",
            flavour="amd64",
            kbuild="x86",
            image="vmlinuz",
            qemu="qemu-system-x86_64",
            machine=("-cpu", "max"),
            console="ttyS0",
            virtio_serial="virtio-serial-pci",
        ),
    )
}


@dataclass(frozen=True)
class Kernel:
    series: str  # as in make run KERNEL=
    suites: tuple[str, ...]  # Debian suites that have it, best first
    headers_prefix: str  # of linux-headers-*: how a version of the series begins
    source: str  # package with the kernel's source (kselftest, checkpatch)


KERNELS = {
    kernel.series: kernel
    for kernel in (
        Kernel("6.1", ("bookworm", "bookworm-security"), "linux-headers-6.1.", "linux-source-6.1"),
        Kernel("6.12", ("bookworm-backports",), "linux-headers-6.12.", "linux-source-6.12"),
    )
}

DEFAULT_ARCH = "x86_64"
DEFAULT_KERNEL = "6.12"

# Debian packages that the host needs, and what for.
HOST_PACKAGES = {
    "build-essential": "compilers and make",
    "bc": "kernel build",
    "libelf-dev": "kernel build (objtool)",
    "cmake": "building the driver",
    "libcli11-dev": "driver: command line",
    "libfmt-dev": "driver: formatting",
    "nlohmann-json3-dev": "driver: JSON",
    "libkmod-dev": "driver: loading the module",
    "libgtest-dev": "driver: unit tests",
    "libgmock-dev": "driver: unit tests",
    "kmod": "dependencies of kernel modules",
    "busybox-static": "user space of the virtual machine",
    "qemu-system-x86": "the virtual machine",
    "xz-utils": "unpacking packages",
    "debian-archive-keyring": "verifying packages",
}

# What `make lint` needs beyond that.
LINT_PACKAGES = {
    "sparse": "checks of the module",
    "clang-format": "format of the driver",
    "clang-tidy": "checks of the driver",
    "perl-base": "checkpatch",
}


class Ending(IntEnum):
    """How a run in a virtual machine ends. The number is the exit status of `make run`'s script."""

    GOOD = 0  # nothing failed unexpectedly, missed or erred, and the kernel log is clean
    FAILED = 1  # a scenario or a selftest did, or the kernel log is not clean
    USAGE = 2  # wrong arguments, missing packages, our own fault
    BUILD = 3  # module, driver or selftests do not build
    LOST = 4  # QEMU ended without a word from the guest
    PANIC = 5  # the guest's kernel panicked
    HANG = 6  # no sign of life from the guest for a while
    TIMEOUT = 7  # the guest was alive until the overall bound


ENDING_TEXT = {
    Ending.GOOD: "good",
    Ending.FAILED: "a scenario or selftest failed, or the kernel log is not clean",
    Ending.USAGE: "wrong usage, missing packages, or a fault of the scripts",
    Ending.BUILD: "the build failed",
    Ending.LOST: "the virtual machine was lost: QEMU ended without a result",
    Ending.PANIC: "the guest kernel panicked",
    Ending.HANG: "the guest hung: no output within the bound",
    Ending.TIMEOUT: "the overall time bound was hit",
}


class Trouble(Exception):
    """Something that ends a command, with the status it ends with."""

    def __init__(self, ending: Ending, text: str) -> None:
        super().__init__(text)
        self.ending = ending
