"""The control side of faults.c: builds the shim, and turns its faults on and off in a program that runs with it."""

import mmap
import os
import pathlib
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Benchmark"))
import rig  # noqa: E402

MAGIC = b"HGFAULT1"
MODES = ["none", "enospc", "eio", "eio_sync", "readonly"]
CLOCK_OFFSET, DISK_MODE, COUNTERS = 8, 16, 24
COUNTER_NAMES = ["writes", "bytes", "syncs", "injected", "clock_reads"]


def build_shim():
    """Compiles faults.c when it is newer than its library; returns the library."""
    rig.BUILD.mkdir(parents=True, exist_ok=True)
    source, library = HERE / "faults.c", rig.BUILD / "faults.so"
    if not library.exists() or library.stat().st_mtime <= source.stat().st_mtime:
        flags = ["-shared", "-fPIC", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror"]
        subprocess.run(["gcc", *flags, str(source), "-o", str(library), "-ldl", "-lpthread"], check=True)
    return library


class Faults:
    """The control file of one program, mapped here and there. `file`: what is in the path of every file whose disk fails."""

    def __init__(self, path, file="journal.sqlite"):
        self.path, self.file = path, file
        path.write_bytes(MAGIC + bytes(mmap.PAGESIZE - len(MAGIC)))
        with open(path, "r+b") as control:
            self.map = mmap.mmap(control.fileno(), mmap.PAGESIZE)

    def environment(self):
        return {"LD_PRELOAD": os.fspath(build_shim()), "HEADGATE_FAULTS": os.fspath(self.path),
                "HEADGATE_FAULTS_FILE": self.file}

    def disk(self, mode):
        struct.pack_into("=I", self.map, DISK_MODE, MODES.index(mode))

    def clock(self, offset_seconds):
        struct.pack_into("=q", self.map, CLOCK_OFFSET, round(offset_seconds * 1_000_000))

    def counters(self):
        return dict(zip(COUNTER_NAMES, struct.unpack_from(f"={len(COUNTER_NAMES)}Q", self.map, COUNTERS)))
