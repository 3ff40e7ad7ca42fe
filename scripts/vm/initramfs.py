# SPDX-License-Identifier: GPL-2.0
"""One initramfs: busybox, programs with their libraries, kernel modules, /init and a script."""

import lzma
import re
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import sysroot
from .tables import Arch, Ending, Trouble

# Where the kernel has them as modules: what carries the side channels, and a disk to swap to.
MODULES = ("virtio_pci", "virtio_console", "brd")

INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=linux FAULTLINE=/bin/faultline FAULTLINE_MODULE=/lib/faultline.ko FAULTLINE_SCENARIOS=/scenarios
export FAULTLINE_EMULATOR="EMULATED_BY"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /root
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup && echo +memory > /sys/fs/cgroup/cgroup.subtree_control
# BOOT=cgroup: the driver has one, whose memory.stat it compares; this shell and the kernel's threads are not in it.
case " $(cat /proc/cmdline) " in *" faultline.cgroup "*)
	mkdir /sys/fs/cgroup/driver && echo "faultline: the driver has a cgroup" > /dev/kmsg
esac
while read -r module; do insmod "$module"; done < /modules
# Of SLUB's debugging, what is really on.
cd /sys/kernel/slab/kmalloc-64 && for flag in sanity_checks red_zone poison store_user; do
	slab="$slab $flag=$(cat $flag)"
done
cd /
echo "faultline: slab kmalloc-64$slab" > /dev/kmsg
# The log says nothing of poisoned pages: the module looks at one that nobody cleared.
case " $(cat /proc/cmdline) " in *" page_poison=1 "*)
	insmod $FAULTLINE_MODULE
	grep ^poisoned- /sys/kernel/debug/faultline/capabilities | while read -r line; do
		echo "faultline: $line" > /dev/kmsg
	done
	rmmod faultline
esac
mkdir /dev/faultline
# Ports come up by themselves, a while after the modules are loaded.
for i in $(seq 100); do
	[ "$(cat /sys/class/virtio-ports/*/name | wc -l)" -ge PORTS ] && break
	sleep 0.1
done
for port in /sys/class/virtio-ports/*; do
	ln -s "/dev/${port##*/}" "/dev/faultline/$(cat "$port/name")"
done
([ ! -d /sys/fs/cgroup/driver ] || echo 0 > /sys/fs/cgroup/driver/cgroup.procs; exec sh /script) < /dev/null > /dev/faultline/tty 2>&1
echo end > /dev/faultline/status
# The host ends the machine when it has read that.
sleep 60
poweroff -f
"""


def cpio_entry(name: str, mode: int, data: bytes, inode: int) -> bytes:
    """One record of the newc format (Documentation/driver-api/early-userspace in the kernel)."""
    path = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % value for value in fields) + path
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


@dataclass
class Archive:
    files: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def add(self, name: str, data: bytes, executable: bool = False) -> None:
        for parent in list(Path(name).parents)[-2::-1]:
            self.files.setdefault(str(parent), (stat.S_IFDIR | 0o755, b""))
        self.files[name] = (stat.S_IFREG | (0o755 if executable else 0o644), data)

    def add_folder(self, name: str) -> None:
        self.files.setdefault(name, (stat.S_IFDIR | 0o755, b""))

    def add_program(self, program: Path, arch: Arch) -> None:
        """A program into /bin, with the shared libraries that it loads."""
        self.add(f"bin/{program.name}", program.read_bytes(), executable=True)
        for name, file in sysroot.libraries(program, arch).items():
            self.add(name.lstrip("/"), file.read_bytes(), executable=True)

    def bytes(self) -> bytes:
        entries = [
            cpio_entry(name, mode, data, inode)
            for inode, (name, (mode, data)) in enumerate(self.files.items(), 1)
        ]
        return b"".join(entries) + cpio_entry("TRAILER!!!", 0, b"", 0)


def loading_order(modules: Path, wanted: tuple[str, ...]) -> list[Path]:
    """Files of the wanted modules and of what they need, in loading order; built-in ones left out."""
    depends: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, needs = line.partition(":")
        depends[file] = needs.split()
    by_name = {re.sub(r"\.ko(\.\w+)?$", "", Path(file).name): file for file in depends}
    loading: list[str] = []
    for name in wanted:
        file = by_name.get(name)
        if file:
            # modules.dep lists the nearest first.
            loading += [f for f in [*reversed(depends[file]), file] if f not in loading]
    return [modules / file for file in loading]


def module_bytes(file: Path) -> bytes:
    if file.suffix == ".xz":
        return lzma.decompress(file.read_bytes())
    if file.suffix == ".ko":
        return file.read_bytes()
    raise Trouble(Ending.USAGE, f"{file}: unknown compression of a kernel module")


def build(arch: Arch, module: Path, programs: list[Path], modules: Path | None, ports: int,
          emulator: str, scenarios: Path, files: tuple[Path, ...] = ()) -> Archive:
    """All but the script. `ports`: how many side channels the machine has; `emulator`: what its results shall name;
    `scenarios`: the folder of the scenario files; `files`: others, which come to be in /files."""
    archive = Archive()
    for folder in ("dev", "proc", "sys", "tmp", "root"):
        archive.add_folder(folder)
    archive.add("init", INIT.replace("PORTS", str(ports)).replace("EMULATED_BY", emulator).encode(), executable=True)
    archive.add("bin/busybox", sysroot.resolve(sysroot.folder(arch), "/bin/busybox").read_bytes(), executable=True)
    archive.add_folder("scenarios")
    for file in sorted([*scenarios.rglob("*.flt"), *scenarios.rglob("*.toml")]):
        archive.add(f"scenarios/{file.relative_to(scenarios)}", file.read_bytes())
    for file in files:
        archive.add(f"files/{file.name}", file.read_bytes())
    stripped = module.with_suffix(".stripped.ko")
    subprocess.run([sysroot.tool(arch, "strip"), "--strip-debug", "-o", str(stripped), str(module)], check=True)
    archive.add("lib/faultline.ko", stripped.read_bytes())
    for program in programs:
        archive.add_program(program, arch)
    names = []
    for file in loading_order(modules, MODULES) if modules else []:
        name = f"lib/modules/{file.name.removesuffix('.xz')}"
        archive.add(name, module_bytes(file))
        names.append(f"/{name}\n")
    archive.add("modules", "".join(names).encode())
    return archive
