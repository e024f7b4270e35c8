"""Judges a capture: what the field served against what the consumer received. Pure; times are UTC seconds."""

import dataclasses
import datetime
import json

COUNTER = 1024  # field.c: value = (device * values + index) * COUNTER + tick % COUNTER
CODES = 16384
TICK = 0.1
SHOWN = 5  # examples of each kind of problem


@dataclasses.dataclass
class Timeline:
    """When what happened to whom. `outage` and `dead` are (from, to)."""

    outage: tuple
    dead: tuple
    stopped: float
    period: float = 1.0
    devices: int = 10
    values: int = 100
    # What was served this long before the kill may not have been committed: commit_every, and time for a slow disk.
    uncommitted: float = 1.0


@dataclasses.dataclass
class Delivery:
    """One received message."""

    arrived: float
    topic: str
    body: dict


def parse_capture(lines):
    """Lines of `mosquitto_sub -F '%U\\t%t\\t%p'` → deliveries, problems."""
    deliveries, problems = [], []
    for number, line in enumerate(lines, 1):
        try:
            arrived, topic, payload = line.rstrip("\n").split("\t", 2)
            deliveries.append(Delivery(float(arrived), topic, json.loads(payload)))
        except ValueError as error:
            problems.append(f"capture line {number} is not a message: {error}: {line[:80]!r}")
    return deliveries, problems


def parse_served(lines, values):
    """field.c's log → {(tick, code)} packed as tick * CODES + code, and {device: [ticks of its first block]}."""
    served, first_blocks = set(), {}
    for line in lines:
        tick, device, first, count = map(int, line.split())
        for index in range((first + 1) // 2, (first + count) // 2):
            served.add(tick * CODES + device * values + index)
        if first == 0:
            first_blocks.setdefault(device, []).append(tick)
    return served, first_blocks


def utc(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Findings:
    """Problems by kind, with a count and a few examples, and figures to show."""

    def __init__(self):
        self.kinds, self.figures = {}, {}

    def add(self, kind, example):
        entry = self.kinds.setdefault(kind, [0, []])
        entry[0] += 1
        if len(entry[1]) < SHOWN:
            entry[1].append(example)

    def lines(self):
        for kind, (count, examples) in self.kinds.items():
            yield f"{kind}: {count}"
            yield from (f"    {example}" for example in examples)


def decode(reading, device, arrived, timeline, findings):
    """The packed (tick, code) that a reading claims, or None where it claims nothing that could be true."""
    point, value = reading["point"], reading["value"]
    where = f"{point} n={reading.get('n')} time={reading.get('time')}"
    if reading["quality"] != "good":
        findings.add("reading that is not good", f"{where}: {reading['quality']} {reading.get('reasons')}")
        return None
    if point.split("/")[0] != device:
        findings.add("point under the wrong device", f"{where} in a batch of {device}")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        findings.add("value that was never served", f"{where}: {value!r}")
        return None
    code, counter = divmod(int(value), COUNTER)
    if code != int(point[1:4]) * timeline.values + int(point[6:9]):
        findings.add("value of another point", f"{where}: {value!r} has code {code}")
        return None
    time = utc(reading["time"])
    near = int(time / TICK)
    tick = near + (counter - near + COUNTER // 2) % COUNTER - COUNTER // 2
    if abs(tick * TICK + TICK / 2 - time) > 1:
        findings.add("time that does not fit the value", f"{where}: served {tick * TICK - time:+.1f} s away")
    if time > arrived + 0.5:
        findings.add("time in the future", f"{where}: arrived {arrived:.3f}")
    return tick * CODES + code


def judge_batches(deliveries, findings):
    """One body for one seq; → {seq: first delivery}."""
    first, same = {}, {}
    for delivery in deliveries:
        body = {key: value for key, value in delivery.body.items() if key not in ("sent", "replay")}
        seq = body["seq"]
        if seq in first:
            findings.figures["redelivered messages"] = findings.figures.get("redelivered messages", 0) + 1
            if same[seq] != body:
                findings.add("two different batches under one seq", f"seq {seq}")
        else:
            first[seq], same[seq] = delivery, body
    return first


def judge_sequence(first, findings):
    gaps = [d.body for d in first.values() if d.body["schema"] == "gap/1"]
    named = [(gap["from_seq"], gap["to_seq"]) for gap in gaps if gap.get("from_seq") is not None]
    missing = sorted(set(range(min(first), max(first) + 1)) - first.keys())
    for seq in missing:
        if not any(low <= seq <= high for low, high in named):
            findings.add("hole in seq that no gap record names", f"seq {seq}")
    findings.figures |= {"seq": f"{min(first)} to {max(first)}", "seq named by gaps": len(missing), "gap records": len(gaps)}
    for gap in gaps[:SHOWN]:
        findings.figures[f"gap {gap['seq']}"] = f"{gap.get('reason')}, count {gap.get('count')}"
    epochs = [first[seq].body["epoch"] for seq in sorted(first)]
    if epochs != sorted(epochs):
        findings.add("epoch that goes back while seq goes on", str(sorted(set(epochs))))
    findings.figures["epochs"] = sorted(set(epochs))


def judge_counters(batches, findings):
    """`n` of a point has no hole within an epoch, in the order of seq."""
    last = {}
    for batch in batches:
        for reading in batch.body["readings"]:
            key = (batch.body["epoch"], reading["point"])
            if key in last and reading["n"] != last[key] + 1:
                findings.add("n that is not contiguous", f"{key[1]} epoch {key[0]}: {last[key]} then {reading['n']}")
            last[key] = reading["n"]


def judge_replay(batches, timeline, findings):
    begun, restored = timeline.outage
    marked = 0
    for batch in batches:
        newest = max(utc(reading["time"]) for reading in batch.body["readings"])
        replay = batch.body.get("replay")
        if replay not in (None, True):
            findings.add("replay that is neither true nor absent", f"seq {batch.body['seq']}: {replay!r}")
        marked += replay is True
        if begun + 1 < newest < restored - 1 and replay is not True:
            findings.add("batch of the outage without replay: true", f"seq {batch.body['seq']}")
        if batch.arrived < begun and replay is True:
            findings.add("live batch with replay: true", f"seq {batch.body['seq']}")
    findings.figures["batches marked as replay"] = marked
    if marked == 0:
        findings.add("no batch was replayed", "the outage left nothing to replay")


def judge_values(batches, served, timeline, findings):
    received = set()
    for batch in batches:
        for reading in batch.body["readings"]:
            claim = decode(reading, batch.body["device"], batch.arrived, timeline, findings)
            if claim is None:
                continue
            if claim not in served:
                findings.add("value that was never served", f"{reading['point']} {reading['value']} at {reading['time']}")
            elif claim in received:
                findings.add("reading under two seqs", f"{reading['point']} {reading['value']} seq {batch.body['seq']}")
            received.add(claim)
    excused = 0
    for claim in served - received:
        tick, code = divmod(claim, CODES)
        at = tick * TICK
        if timeline.dead[0] - timeline.uncommitted <= at <= timeline.dead[0] + TICK or at >= timeline.stopped - 2:
            excused += 1
            continue
        device, index = divmod(code, timeline.values)
        findings.add("value that was served and never arrived", f"d{device:03d}/v{index:03d} at {at:.1f}")
    findings.figures |= {"values served": len(served), "values received": len(received),
                         "values in flight at the kill and at the end": excused}


def judge_periods(first_blocks, timeline, findings):
    """Every device was polled in every period, but for the time in which the gateway was dead."""
    dead_from, dead_to = timeline.dead
    for device in range(timeline.devices):
        ticks = sorted(first_blocks.get(device, []))
        if not ticks:
            findings.add("device that was never polled", f"d{device:03d}")
        for before, after in zip(ticks, ticks[1:]):
            was_dead = before * TICK <= dead_to + timeline.period and after * TICK >= dead_from
            if (after - before) * TICK >= 2 * timeline.period and not was_dead:
                findings.add("period without a poll", f"d{device:03d}: {before * TICK:.1f} to {after * TICK:.1f}")
        if ticks and timeline.stopped - ticks[-1] * TICK > 2 * timeline.period:
            findings.add("device no longer polled at the end", f"d{device:03d}: last at {ticks[-1] * TICK:.1f}")


def judge(capture_lines, served_lines, timeline):
    findings = Findings()
    deliveries, problems = parse_capture(capture_lines)
    for problem in problems:
        findings.add("broken message", problem)
    served, first_blocks = parse_served(served_lines, timeline.values)
    if not deliveries:
        findings.add("nothing was received", "the capture is empty")
        return findings
    for delivery in deliveries:
        if delivery.body.get("schema") not in ("reading/1", "gap/1"):
            findings.add("unknown schema", str(delivery.body.get("schema")))
    deliveries = [d for d in deliveries if d.body.get("schema") in ("reading/1", "gap/1")]
    first = judge_batches(deliveries, findings)
    judge_sequence(first, findings)
    batches = [first[seq] for seq in sorted(first) if first[seq].body["schema"] == "reading/1"]
    judge_counters(batches, findings)
    judge_replay(batches, timeline, findings)
    judge_values(batches, served, timeline, findings)
    judge_periods(first_blocks, timeline, findings)
    return findings
