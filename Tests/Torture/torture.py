#!/usr/bin/env python3
"""Headgate under torture: killed hundreds of times, without a broker for half an hour, on a full disk, with a clock that
jumps, under load for long, with an hour of backlog, with a journal of 4 GiB. Afterwards every value is accounted for.
Real peers: libmodbus as the field, mosquitto as the broker. Loopback only. See README.md."""

import argparse
import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import delivery
import endurance
import rig

PARTS = {
    "kills": delivery.kills,
    "outages": delivery.outages,
    "disk": delivery.disk,
    "small-disk": delivery.small_disk,
    "clock": delivery.clock,
    "soak": endurance.soak,
    "backlog": endurance.backlog,
    "open": endurance.open_large,
}
SHORT = ["kills", "outages", "disk", "clock"]
SHORT_SETTINGS = {"kills": 16, "outages": 3, "outage_seconds": (1, 3), "disk_rounds": 1}


class Run:
    """What the parts share: options, a source of random choices for each, and a place to say what happens."""

    def __init__(self, options):
        self.options, self.program = options, pathlib.Path(options.headgate).resolve()
        self.begun = time.monotonic()

    def rng(self, name):
        return random.Random(f"{self.options.seed}/{name}")

    def say(self, text):
        print(f"{time.monotonic() - self.begun:8.1f} s  {text}", flush=True)

    def play(self, name, folder):
        """One part. → its report"""
        self.say(f"== {name}")
        begun = time.monotonic()
        report = {"part": name, "passed": False, "figures": {}, "findings": {}}
        try:
            with contextlib.ExitStack() as stack:
                outcome = PARTS[name](self, stack, folder)
            if isinstance(outcome, str):
                report |= {"passed": True, "skipped": outcome}
            else:
                kinds = {kind: {"count": count, "examples": examples} for kind, (count, examples) in outcome.kinds.items()}
                report |= {"passed": not kinds, "figures": outcome.figures, "findings": kinds}
        except rig.Failure as failure:
            report["findings"] = {"the part could not be played": {"count": 1, "examples": [str(failure)]}}
        report["seconds"] = round(time.monotonic() - begun, 1)
        show(report)
        return report


def show(report):
    for name, figure in report["figures"].items():
        print(f"    {name + ':':<46}{figure}")
    for kind, found in report["findings"].items():
        print(f"    FOUND {kind}: {found['count']}")
        for example in found["examples"]:
            print(f"        {example}")
    verdict = report.get("skipped") or ("passed" if report["passed"] else "FAILED")
    print(f"  {report['part']}: {verdict}, {report['seconds']:g} s\n", flush=True)


def identity(program):
    """Which program it was. → its version, the SHA-256 of its file"""
    if not program.exists():
        raise rig.Failure(f"{program}: no such program; build it with `make release` or name it with --headgate")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60).stdout.strip()
    with open(program, "rb") as file:
        return {"version": version, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def flags_of(arguments):
    """The options that change what is played."""
    pairs = zip([None, *arguments], arguments)
    aside = ("--headgate", "--keep", "--report", "--seed")
    return [word for before, word in pairs if not word.startswith(aside) and before not in aside]


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, epilog="exit: 0 every part passed, 1 not, 130 stopped")
    parser.add_argument("--headgate", default=str(rig.ROOT / ".build/release/headgate"), help="the program to try")
    parser.add_argument("--part", action="append", choices=PARTS, help="only these; may be repeated")
    parser.add_argument("--seed", type=int, help="of every random choice; printed, default a random one")
    parser.add_argument("--short", action="store_true", help=f"at most 90 s: {', '.join(SHORT)}, each in small")
    parser.add_argument("--kills", type=int, default=500, help="default 500")
    parser.add_argument("--outages", type=int, default=50, help="default 50")
    parser.add_argument("--outage-seconds", type=float, nargs=2, metavar=("SHORTEST", "LONGEST"), default=(1, 120),
                        help="default 1 120")
    parser.add_argument("--disk-rounds", type=int, default=10, help="rounds of a full disk, default 10")
    parser.add_argument("--soak-seconds", type=float, default=1800, help="without a broker, default 1800")
    parser.add_argument("--backlog-seconds", type=float, default=360, help="at 100,000 values/s, default 360")
    parser.add_argument("--open-gib", type=float, default=4, help="size of the journal to open, default 4")
    parser.add_argument("--keep", metavar="FOLDER", help="keep captures, logs and state there")
    parser.add_argument("--report", metavar="FILE", help="write every figure there as JSON")
    options = parser.parse_args(arguments)
    if options.short:
        vars(options).update(SHORT_SETTINGS)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    counts = (options.kills, options.outages, options.disk_rounds, options.outage_seconds[0], options.open_gib)
    if min(counts) <= 0 or options.outage_seconds[1] < options.outage_seconds[0]:
        parser.error("counts and lengths must be above zero, and SHORTEST at most LONGEST")
    return options


def main():
    options = options_of(sys.argv[1:])
    rig.interruptible()
    run, reports, begun = Run(options), [], time.monotonic()
    try:
        program = identity(run.program)
    except rig.Failure as failure:
        print(f"torture: {failure}", file=sys.stderr)
        return 1
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")[:-6] + "Z"
    print(f"seed {options.seed}, {os.cpu_count()} cores, Linux {os.uname().release}, {run.program}")
    try:
        with contextlib.ExitStack() as stack:
            if options.keep:
                root = pathlib.Path(options.keep).resolve()
                root.mkdir(parents=True)
            else:
                root = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-torture-")))
            for name in options.part or (SHORT if options.short else PARTS):
                folder = root / name
                folder.mkdir()
                reports.append(run.play(name, folder))
    except FileExistsError as error:
        print(f"torture: {error.filename} exists; name a new folder", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("torture: stopped", file=sys.stderr)
        return 130
    finally:
        if options.report:
            document = {"seed": options.seed, "begun": date, "seconds": round(time.monotonic() - begun, 1), "program": program,
                        "flags": flags_of(sys.argv[1:]), "options": vars(options), "cores": os.cpu_count(),
                        "kernel": os.uname().release, "parts": reports}
            pathlib.Path(options.report).write_text(json.dumps(document, indent=1, default=str) + "\n")
    passed = all(report["passed"] for report in reports)
    print(f"{'passed' if passed else 'FAILED'}: {sum(r['passed'] for r in reports)} of {len(reports)} parts, seed {options.seed}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
