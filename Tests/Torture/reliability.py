#!/usr/bin/env python3
"""Reports of torture.py → docs/reliability.md on stdout. Every figure on the page is a figure of a report.

    Tests/Torture/reliability.py REPORT... > docs/reliability.md

exit: 0 written, 1 a report cannot be read or has no parts"""

import json
import pathlib
import sys

LIMIT = ": limit"

HEAD = """# Reliability: what was done to Headgate, and what was lost

A script (`Tests/Torture/reliability.py`) makes this page from the reports of `make torture`. What each part does, and what the judge checks:
[Tests/Torture/README.md](../Tests/Torture/README.md).
"""

FOOT = """## Try it yourself

```sh
make torture                                                  # all parts, about an hour and a half
make torture TORTURE_FLAGS="--part kills --seed 7"            # one part with the choices of a seed
make torture TORTURE_FLAGS="--report report.json"        # then: Tests/Torture/reliability.py report.json
```

A seed repeats what the test does and when, not what the machine does meanwhile. So a run with the same seed has the same events with other figures.
`make test` runs kills, outages, disk and clock in small.

## How the faults get in

A library of 260 lines between the program and libc makes the disk refuse and the clock jump (`Tests/Torture/faults.c`, LD_PRELOAD).

- It works on the program that is delivered. It needs no root and no kernel module.
- It fails single calls of single files, so a full disk and a disk whose syncs fail are separate cases.
- It counts the calls that it refused; a round without any fails.
- `small-disk` is the check without the library: another program fills a real file system of 8 MiB.
- A device-mapper target needs root and a block device, which containers and build servers do not have. A SQLite VFS with faults would be another program than the one delivered.

A broker that is killed loses what it has acknowledged and not yet delivered, and the test is about the gateway. So the gateway reaches the broker over a connection that the test can cut. The
test cuts it first, waits until the broker has delivered everything, and then kills the broker.

## What this does not show

- **A power cut.** After kill -9 the kernel still has the data. Only a real power cut shows whether a disk keeps what it has synced. `durability: power` syncs
  each commit (checked at start, counted by the library). `Tests/SQLiteJournalTests` tests torn and truncated logs.
- **Writes through a memory map.** SQLite maps the index of its log (`-shm`); the library cannot refuse these writes. The index is rebuilt after a loss.
- **The last moments before a kill.** What was read and not yet committed is gone; a `restart` record names it. The judge accepts that for values served within
  1 s before the kill, and for nothing older. The table has the longest time.
- **Other peers.** One kind of device (libmodbus, float32 blocks over TCP), one broker (mosquitto), all on loopback.
- **A busy machine.** Devices, broker, consumer and gateway share the cores.
"""


def number(value):
    """1234567 → 1,234,567; what is no number stays as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(number, row)) + " |" for row in rows]) + "\n"


def listed(counts):
    return ", ".join(f"{name} {number(count)}" for name, count in counts.items()) or "nothing"


# ---- What was injected, in words ----


def told_kills(figures):
    return (f"{number(figures['kills'])} kill -9, {number(figures['killed before they were ready'])} of them before the gateway was ready; "
            f"broker {listed(figures['broker'])} times")


def told_outages(figures):
    return (f"{number(figures['outages'])} times no broker and {number(figures['stalls'])} times a stalled one, "
            f"{number(figures['seconds without a broker'])} s together")


def told_disk(figures):
    rounds = (f"{mode} {number(one['rounds'])} times, {number(one['seconds'])} s" for mode, one in figures["rounds"].items())
    killed = sum(one["killed"] for one in figures["rounds"].values())
    return f"{'; '.join(rounds)}; {number(figures['calls']['injected'])} calls refused; kill -9 at the end of {number(killed)} rounds"


def told_small_disk(figures):
    return f"file system full {number(figures['rounds'])} times"


def told_clock(figures):
    return f"{number(figures['steps'])} steps of an hour or two, {number(figures['outages'])} of them without a broker"


def told_soak(figures):
    return f"{number(figures['seconds without a broker'])} s without a broker under load"


def told_backlog(figures):
    return f"{number(figures['readings of backlog'])} readings of backlog"


def told_open(figures):
    return f"journal of {figures['bytes'] / (1 << 30):.2f} GiB, {number(figures['rows'])} rows, nothing of it in memory; stopped, and killed"


TOLD = {"kills": told_kills, "outages": told_outages, "disk": told_disk, "small-disk": told_small_disk, "clock": told_clock,
        "soak": told_soak, "backlog": told_backlog, "open": told_open}


def injected(part):
    if part.get("skipped"):
        return part["skipped"]
    try:
        return TOLD[part["part"]](part["figures"])
    except KeyError:
        return "did not get that far"


# ---- Sections ----


def verdict(part):
    return "skipped" if part.get("skipped") else "passed" if part["passed"] else "**FAILED**"


def summary(parts):
    rows = [(part["part"], injected(part), verdict(part), seed, part["seconds"]) for seed, part in parts]
    return "## What was done\n\n" + table(["part", "injected", "verdict", "seed", "s"], rows)


def accounted(parts):
    rows = []
    for seed, part in parts:
        figures = part["figures"]
        if "missing unexplained" not in figures:
            continue
        told = figures["missing explained"]
        rows.append((part["part"], seed, figures["values served"], figures["rows"], figures["holes unexplained"],
                     figures["changed batches"], figures["values never served"], figures["missing unexplained"], listed(told)))
    if not rows:
        return ""
    return ("## What was lost\n\nEach value that the field served, compared with what the consumer received. A row is a batch or a gap record; "
            "each has a `seq`. The reasons are those of gap records. `at the end` means served during the stop: the next start would "
            "record it.\n\n" +
            table(["part", "seed", "values served", "rows", "holes in seq unexplained", "rows with two contents", "values never served",
                   "values lost, unexplained", "values missing, and why"], rows))


def endured(parts):
    rows = []
    for seed, part in parts:
        figures = part["figures"]
        if "values served" in figures and "holes in seq" in figures:
            rows.append((part["part"], seed, figures["values served"], figures["messages"], figures["holes in seq"],
                         figures["wrong values"], figures["not good"], figures["redelivered"]))
    if not rows:
        return ""
    return "## Under load\n\n" + table(
        ["part", "seed", "values served", "messages", "holes in seq", "wrong values", "not good", "redelivered"], rows)


def limits(parts):
    rows = []
    for seed, part in parts:
        for name, value in part["figures"].items():
            if name + LIMIT in part["figures"]:
                rows.append((part["part"], seed, name, value, part["figures"][name + LIMIT]))
    if not rows:
        return ""
    return "## Against limits\n\n" + table(["part", "seed", "figure", "measured", "limit"], rows)


def flagged(parts):
    rows = []
    for seed, part in parts:
        figures = part["figures"]
        for reason, told in (figures.get("gap records") or {}).items() if isinstance(figures.get("gap records"), dict) else ():
            rows.append((part["part"], seed, reason, told["records"], told["count"] or "unknown"))
        if figures.get("volatile messages"):
            rows.append((part["part"], seed, "rows published from memory (`volatile`)", figures["volatile messages"], ""))
    if not rows:
        return ""
    return "## What was flagged\n\n" + table(["part", "seed", "reason", "records", "count"], rows)


def memory(parts):
    rows = []
    for seed, part in parts:
        rss = part["figures"].get("RSS, MB")
        if rss:
            rows.append((part["part"], seed, *(round(rss[name], 1) for name in ("begin", "end", "most", "after the drain"))))
    if not rows:
        return ""
    return "## Memory without a broker, MB\n\n" + table(["part", "seed", "begin", "end", "most", "after the drain"], rows)


def failures(parts):
    lines = []
    for seed, part in parts:
        for kind, found in part["findings"].items():
            lines.append(f"- {part['part']}, seed {seed}: {kind}: {number(found['count'])}")
            lines += [f"  - `{example}`" for example in found["examples"]]
    return "## What was found\n\n" + "\n".join(lines) + "\n" if lines else ""


def runs(reports):
    rows = [(str(report["seed"]), report["begun"], report["program"]["version"], f"`{report['program']['sha256'][:16]}`", report["cores"],
             report["seconds"], f"`{' '.join(report['flags'])}`" if report["flags"] else "") for report in reports]
    return "## Runs\n\n" + table(["seed", "begun", "version", "SHA-256 of the program", "cores", "s", "options"], rows)


def page(reports):
    parts = [(str(report["seed"]), part) for report in reports for part in report["parts"]]
    passed = sum(part["passed"] and not part.get("skipped") for _, part in parts)
    skipped = sum(bool(part.get("skipped")) for _, part in parts)
    absent = [name for name in TOLD if name not in {part["part"] for _, part in parts}]
    words = f"**{passed} of {len(parts)} parts passed**" + (f", {skipped} skipped" if skipped else "") + ".\n"
    words += f"Not in these reports: {', '.join(absent)}.\n" if absent else ""
    sections = [HEAD, words, summary(parts), failures(parts), accounted(parts), flagged(parts), endured(parts), limits(parts),
                memory(parts), runs(reports), FOOT]
    return "\n".join(section for section in sections if section)


def main():
    try:
        reports = [json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:]]
    except (OSError, ValueError) as error:
        print(f"reliability: {error}", file=sys.stderr)
        return 1
    if not any(report["parts"] for report in reports):
        print(__doc__, file=sys.stderr)
        return 1
    sys.stdout.write(page(reports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
