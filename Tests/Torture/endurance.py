"""The parts that take their time: hours of load without a broker, an hour of backlog, a journal of several GiB. What arrives
is checked by Tests/Benchmark/consumer.c: seq without a hole, values that were served, latency of what is live."""

import contextlib
import json
import math
import os
import shutil
import signal
import sqlite3
import time

import rig
from delivery import own_verdict
from judge import Findings
from stage import Stage

DEVICES, VALUES = 100, 100
UP = 30  # seconds with a broker before it goes
RSS_EVERY = 5
SETTLED = 300  # seconds after which memory must not grow any more
JUDGED = 900  # seconds behind that in which a slope of 1 MB/h can be told from single pages
NOT_GOOD_SHARE = 0.001  # of the readings: a poll that times out on a busy machine is told by bad readings
SLOPE_LIMIT = 1.0  # MB/h
LATENCY_LIMIT = 1.0  # seconds, p99 of what is live while the backlog drains
DISK_LIMIT = 12.0  # bytes a reading
BACKLOG_LIMIT = 300  # seconds for an hour of backlog at 10,000 values/s
OPEN_LIMIT = 2.0  # seconds to open a large journal
MEASURED = 3600  # seconds that the consumer's window stays open: longer than any drain


# ---- Load without a broker, then the backlog ----


def start_consumer(stage, warm_up):
    """The window of its latencies opens `warm_up` seconds after the first batch."""
    command = [rig.build_c("consumer"), "--broker", stage.broker_port, "--values", VALUES, "--seconds", MEASURED,
               "--warm-up", warm_up]
    consumer = rig.Process("consumer", command, stage.folder)
    stage.stack.callback(consumer.stop)
    consumer.wait_line("ready", 10)
    return consumer


def go_offline(run, stack, folder, every, up, seconds):
    """Runs with a broker for `up` seconds, then without. → stage, consumer, when the outage began"""
    stage = Stage(stack, folder, run.program, devices=DEVICES, values=VALUES, every=every, consumer=False)
    stage.broker_up()
    # The window opens shortly before the broker comes back, so that only what is live while the backlog drains counts.
    consumer = start_consumer(stage, up + seconds - 2)
    stage.start_gateway()
    consumer.wait_line("first", 60)
    stage.during(up)
    stage.wire.cut()
    run.say(f"no broker for {seconds:g} s")
    return stage, consumer, time.monotonic()


def come_back(run, stage, consumer, limit):
    """The broker is back. → seconds until no more than two seconds of live rows are pending"""
    consumer.wait_line("measuring", 60)
    # Nothing can be live before the backlog's session stands.
    stage.wire.open()
    begun = time.monotonic()
    run.say("the broker is back")
    rows = 2 * DEVICES
    while (depth := stage.rows_to_deliver()) > rows:
        if time.monotonic() - begun > 4 * limit:
            stage.problems.append(f"the backlog was not delivered within {4 * limit:g} s: {depth} rows are left")
            break
        if not stage.check_gateway():
            break
        time.sleep(1)
    seconds = time.monotonic() - begun
    run.say(f"drained in {seconds:.0f} s")
    return seconds


def end(stage, consumer):
    """→ what the consumer counted, values that the field served, figures"""
    stage.during(2)
    stop = stage.finish()
    time.sleep(1)
    consumer.stop()
    counted, served = json.loads(consumer.lines[-1]), json.loads(stage.field.lines[-1])["values"]
    figures = {
        "values served": served, "readings received": counted["values"], "messages": counted["messages"],
        "redelivered": counted["seq_duplicates"], "gap records": counted["gaps"], "replayed": counted["replays"],
        "holes in seq": counted["seq_holes"], "wrong values": counted["wrong"], "not good": counted["not_good"],
        "live p50 while draining, s": counted["p50_ms"] / 1000, "live p99 while draining, s": counted["p99_ms"] / 1000,
        "bytes a reading on disk": round(stage.state_bytes() / max(1, served), 2), "seconds to stop": round(stop, 2)}
    return counted, served, figures


def check_counts(stage, findings, counted, served):
    """No hole, no wrong value, and everything served has arrived but for what was under way at the stop."""
    figures = findings.figures
    if figures["not good"] > served * NOT_GOOD_SHARE:
        findings.add("not good", f"{figures['not good']} of {served}")
    for name in ("holes in seq", "wrong values"):
        if figures[name]:
            findings.add(name, str(figures[name]))
    distinct = counted["values"] - counted["seq_duplicates"] * VALUES
    missing = served - distinct
    figures["served and not received (the last seconds)"] = missing
    if missing > 2 * DEVICES * VALUES:
        findings.add("values served that never arrived", f"{missing}; at most {2 * DEVICES * VALUES} may be under way")
    for problem in stage.problems:
        findings.add("problem while it ran", problem)
    figures["headgate journal verify"] = own_verdict(stage, findings)


def limit(findings, name, value, most, judged=True, least=0.0):
    """A figure beside its limit; a missed one is a finding, unless the run was too short to judge it."""
    findings.figures[name] = value
    findings.figures[f"{name}: limit"] = most if judged else f"{most}, not judged in so short a run"
    if judged and not least <= value <= most:
        findings.add(f"limit missed: {name}", f"{value}, limit {most}")


# ---- soak ----


def rss_kib(pid, kind="VmRSS"):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(kind + ":"))


def slope(samples):
    """Least squares of (seconds, KiB). → MB per hour"""
    count = len(samples)
    if count < 3:
        return 0.0
    middle = [sum(column) / count for column in zip(*samples)]
    spread = sum((x - middle[0]) ** 2 for x, _ in samples)
    rise = sum((x - middle[0]) * (y - middle[1]) for x, y in samples) / spread
    return rise * 3600 * 1024 / 1e6


def soak(run, stack, folder):
    """10,000 values/s with the broker away: memory must not grow, the disk takes it all, live comes first afterwards."""
    seconds, findings = run.options.soak_seconds, Findings()
    stage, consumer, begun = go_offline(run, stack, folder, "1s", UP, seconds)
    samples, anonymous = [], rss_kib(stage.gateway.pid, "RssAnon")
    while (elapsed := time.monotonic() - begun) < seconds:
        samples.append((elapsed, rss_kib(stage.gateway.pid)))
        stage.during(min(RSS_EVERY, max(0.1, seconds - elapsed)))
    anonymous = [anonymous, rss_kib(stage.gateway.pid, "RssAnon")]
    late = [sample for sample in samples if sample[0] >= min(SETTLED, seconds / 2)]
    drained = come_back(run, stage, consumer, BACKLOG_LIMIT)
    after = rss_kib(stage.gateway.pid)
    counted, served, figures = end(stage, consumer)
    findings.figures |= figures | {
        "seconds without a broker": seconds, "seconds to drain": round(drained, 1),
        "RSS, MB": {"begin": samples[0][1] * 1024 / 1e6, "end": samples[-1][1] * 1024 / 1e6,
                    "most": max(kib for _, kib in samples) * 1024 / 1e6, "after the drain": after * 1024 / 1e6},
        "of it anonymous at begin and end, MB": [kib * 1024 / 1e6 for kib in anonymous],
        "RSS every 5 s, KiB": [kib for _, kib in samples]}
    is_long = seconds >= SETTLED + JUDGED
    limit(findings, "RSS slope, MB/h", round(slope(late), 3), SLOPE_LIMIT, is_long, least=-math.inf)
    limit(findings, "live p99 while draining, s", figures["live p99 while draining, s"], LATENCY_LIMIT)
    limit(findings, "bytes a reading on disk", figures["bytes a reading on disk"], DISK_LIMIT, is_long)
    check_counts(stage, findings, counted, served)
    return findings


# ---- backlog ----


def backlog(run, stack, folder):
    """An hour of 10,000 values/s, gathered ten times as fast; then the broker is back while live data goes on."""
    seconds, findings = run.options.backlog_seconds, Findings()
    stage, consumer, begun = go_offline(run, stack, folder, "100ms", 5, seconds)
    stage.during(seconds - (time.monotonic() - begun))
    position = stage.log_size()
    rig.write_site(folder, stage.base, DEVICES, VALUES, stage.wire.port, "1s")
    os.kill(stage.gateway.pid, signal.SIGHUP)
    stage.wait_log("site file applied", position, 30)
    stage.during(2)
    rows = stage.rows_to_deliver()
    drained = come_back(run, stage, consumer, BACKLOG_LIMIT)
    counted, served, figures = end(stage, consumer)
    is_whole = rows * VALUES >= 34_000_000
    findings.figures |= figures | {"rows of backlog": rows, "readings of backlog": rows * VALUES,
                                   "readings/s while draining": round(rows * VALUES / drained)}
    limit(findings, "seconds to drain", round(drained, 1), BACKLOG_LIMIT, is_whole)
    limit(findings, "live p99 while draining, s", figures["live p99 while draining, s"], LATENCY_LIMIT)
    check_counts(stage, findings, counted, served)
    return findings


# ---- open ----


def multiply(path, wanted):
    """Repeats the rows of a journal under new seqs until the file has `wanted` bytes. → rows"""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as journal:
        journal.execute("PRAGMA journal_mode = DELETE")
        journal.execute("PRAGMA synchronous = OFF")
        journal.execute("PRAGMA journal_mode = OFF")
        first, last = journal.execute("SELECT min(seq), max(seq) FROM row").fetchone()
        unit = last - first + 1
        row_bytes = max(1, path.stat().st_size // unit)
        while path.stat().st_size < wanted:
            copies = min(unit, (wanted - path.stat().st_size) // row_bytes + 1, 500_000)
            journal.execute(
                "INSERT INTO row SELECT seq + ?, epoch, recorded, CASE WHEN substr(body, 1, 1) = x'c1' THEN substr(body, 6) "
                # Rows without a checksum, which would be about another seq, are read as those of older versions.
                "ELSE body END FROM row WHERE seq BETWEEN ? AND ? ORDER BY seq",
                (unit, first, first + copies - 1))
            unit += copies
        journal.execute("PRAGMA journal_mode = WAL")
        return unit


def forget_pages(path):
    """The next reader finds nothing of the file in memory. → how that was done"""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        with open("/proc/sys/vm/drop_caches", "w") as control:
            control.write("3\n")
        return "drop_caches"
    except OSError:
        return "posix_fadvise"


def time_to_open(run, stage, path):
    """→ seconds from the start of the process to its word that it is ready, how the cache was emptied"""
    how, position, begun = forget_pages(path), stage.log_size(), time.monotonic()
    stage.start_gateway()
    stage.wait_log("gateway ready", position, 120, every=0.002)
    seconds = time.monotonic() - begun
    run.say(f"ready after {seconds:.2f} s")
    return seconds, how


def open_large(run, stack, folder):
    """A journal of 4 GiB, nothing of it in memory: how long until the gateway is ready."""
    wanted, findings = int(run.options.open_gib * (1 << 30)), Findings()
    if shutil.disk_usage(folder).free < wanted + (1 << 30):
        return f"skipped: {(wanted >> 30) + 1} GiB of free disk are needed in {folder}"
    stage = Stage(stack, folder, run.program, devices=DEVICES, values=VALUES, every="100ms", consumer=False)
    stage.site.write_text(stage.site.read_text().replace("max_size: 4GiB", "max_size: 16GiB"))
    path = folder / "state" / "journal.sqlite"
    stage.start_gateway()
    stage.during(10)
    stage.gateway.stop(60)
    run.say("making the journal large")
    rows = multiply(path, wanted)
    run.say(f"{rows} rows, {path.stat().st_size >> 20} MiB")
    clean, how = time_to_open(run, stage, path)
    stage.during(3)
    stage.kill_gateway()
    crashed, _ = time_to_open(run, stage, path)
    stage.during(1)
    status = stage.journal_status()
    findings.figures |= {"rows": rows, "bytes": path.stat().st_size, "cache emptied by": how,
                         "seq after it": status["next_seq"]}
    limit(findings, "seconds to ready, stopped before", round(clean, 3), OPEN_LIMIT)
    limit(findings, "seconds to ready, killed before", round(crashed, 3), OPEN_LIMIT)
    if status["next_seq"] <= rows:
        findings.add("positions were given twice", f"next {status['next_seq']} with {rows} rows stored")
    stage.finish()
    for problem in stage.problems:
        findings.add("problem while it ran", problem)
    return findings
