"""Judges what a consumer received against what the field served, over any number of kills, outages, refusing disks and
jumps of the clock. Pure: open files in, findings out. Times are UTC seconds as the machine's own clock had them."""

import array
import bisect
import dataclasses
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Acceptance"))
from verify import COUNTER, TICK, Findings, utc  # noqa: E402

SERVED_EARLIER = 0.5  # seconds between a value being served and its row being recorded, at most
FIT = 1.0  # seconds between a reading's time and the tick in which its value was served, at most
END = 2.0  # seconds before the stop whose values may still be under way
BAD = 1.5  # seconds around a reading with bad quality in which its point's value may have been served in vain
MARKS = re.compile(rb'"(?:sent":"[^"]*"|replay":(?:true|false)|volatile":(?:true|false)),?')
SEQ = re.compile(rb'[{,]\s*"seq"\s*:\s*(\d+)')
PART = re.compile(rb'"part"\s*:\s*(\d+).*?"parts"\s*:\s*(\d+)|"parts"\s*:\s*(\d+).*?"part"\s*:\s*(\d+)')
MARK = b"/settled"  # ends the topic of the stage's own messages


@dataclasses.dataclass
class Story:
    """What was done to the gateway, and what it may therefore have lost."""

    stopped: float
    devices: int = 10
    values: int = 100
    kills: list = dataclasses.field(default_factory=list)  # (killed, started again), ascending
    outages: list = dataclasses.field(default_factory=list)  # (from, to), ascending
    offsets: tuple = (0.0,)  # seconds by which the gateway's clock was wrong at one time or another
    excused: tuple = ("restart", "disk_error", "not_polled")  # reasons of gap records that may explain a lost value
    uncommitted: float = 1.0  # seconds before a kill whose values may be lost, if a restart gap record says so
    silence: float = 3.0  # seconds without a poll of a device while the gateway lives, at most


# ---- What arrived ----


class Batches:
    """Distinct rows by seq, their readings as columns: a run of half an hour is millions of readings."""

    def __init__(self, story, findings):
        self.story, self.findings = story, findings
        self.rows, self.gaps = {}, []  # seq: (epoch, first reading, end, newest time, replay)
        self.codes, self.counters = array.array("H"), array.array("Q")
        self.ticks, self.times = array.array("q"), array.array("d")
        self.bad = {}  # code: times of readings that are not good
        self.code_of, self.known_times, self.last_claim = {}, {}, (None, None, None)

    def take(self, body, arrived):
        schema = body.get("schema")
        if schema == "gap/1":
            self.gaps.append(body)
            self.rows[body["seq"]] = (body["epoch"], 0, 0, 0.0, body.get("replay"))
        elif schema == "reading/1":
            self._take_readings(body, arrived)
        else:
            self.findings.add("unknown schema", str(schema))

    def _take_readings(self, body, arrived):
        begin, newest, device = len(self.codes), 0.0, body["device"]
        for reading in body["readings"]:
            code = self._code(reading["point"], device)
            time = self._time(reading["time"])
            newest = max(newest, time)
            self.codes.append(code)
            self.counters.append(reading["n"])
            self.times.append(time)
            self.ticks.append(self._tick(reading, code, time, arrived))
        self.rows[body["seq"]] = (body["epoch"], begin, len(self.codes), newest, body.get("replay"))
        if body.get("replay") not in (None, True):
            self.findings.add("replay that is neither true nor absent", f"seq {body['seq']}: {body['replay']!r}")

    def _code(self, point, device):
        code = self.code_of.get(point)
        if code is None:
            code = self.code_of[point] = int(point[1:4]) * self.story.values + int(point[6:9])
        if not point.startswith(device):
            self.findings.add("point under the wrong device", f"{point} in a batch of {device}")
        return code

    def _time(self, text):
        if text not in self.known_times:
            if len(self.known_times) > 10_000:
                self.known_times.clear()
            self.known_times[text] = utc(text)
        return self.known_times[text]

    def _tick(self, reading, code, time, arrived):
        """The tick in which the field had this value, or -1 where the reading claims nothing that could be true."""
        value = reading["value"]
        if reading["quality"] != "good":
            self.bad.setdefault(code, []).append(time)
            return -1
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
            self.findings.add("value that was never served", f"{reading['point']} {value!r}")
            return -1
        claimed, counter = divmod(int(value), COUNTER)
        if claimed != code:
            self.findings.add("value of another point", f"{reading['point']} {value!r} has code {claimed}")
            return -1
        if self.last_claim[:2] != (time, counter):
            self.last_claim = (time, counter, self._fit(reading, time, counter, arrived))
        return self.last_claim[2]

    def _fit(self, reading, time, counter, arrived):
        for offset in self.story.offsets:
            true_time = time - offset
            near = int(true_time / TICK)
            tick = near + (counter - near + COUNTER // 2) % COUNTER - COUNTER // 2
            if abs(tick * TICK + TICK / 2 - true_time) <= FIT:
                if true_time > arrived + 0.5:
                    self.findings.add("time in the future", f"{reading['point']} {reading['time']}")
                return tick
        self.findings.add("time that does not fit the value", f"{reading['point']} {reading['value']} {reading['time']}")
        return -1


def digest(payload):
    """The same for two payloads that say the same: what tells when and how it was sent does not count."""
    head, _, readings = payload.partition(b'"readings":[')
    return hash((MARKS.sub(b"", head), readings))


def content(body):
    return {key: value for key, value in body.items() if key not in ("sent", "replay", "volatile", "part", "parts")}


def part_of(payload):
    """(part, parts) of a split message, None for a whole one."""
    head, _, readings = payload.partition(b'"readings":[')
    found = PART.search(head) or PART.search(readings[readings.rfind(b"]"):])
    if not found:
        return None
    first, first_of, second_of, second = found.groups()
    return (int(first), int(first_of)) if first else (int(second), int(second_of))


class Capture:
    """Reads lines of `mosquitto_sub -F '%U\\t%t\\t%p'`: each row is taken once, repetitions are compared."""

    def __init__(self, stream, batches, findings):
        self.stream, self.batches, self.findings = stream, batches, findings
        self.seen = {}  # seq: (offset of its line, digest)
        self.parts = {}  # seq: {(part, parts): (offset, digest)}
        self.doubtful = []  # seq, two offsets
        self.messages = self.redelivered = self.volatile = 0

    def read(self):
        offset = 0
        for number, line in enumerate(self.stream, 1):
            try:
                self._take_line(line, offset)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                self.findings.add("broken message", f"line {number}: {error!r}: {line[:80]!r}")
            offset += len(line)
        for seq in sorted(self.parts):
            self._take_parts(seq)
        for seq, first, second in self.doubtful:
            self._compare(seq, self._body(first), self._body(second))

    def _take_line(self, line, offset):
        arrived, topic, payload = line.rstrip(b"\n").split(b"\t", 2)
        if topic.endswith(MARK):
            return
        found = SEQ.search(payload)
        if not found:
            raise ValueError("no seq")
        seq = int(found.group(1))
        self.messages += 1
        self.volatile += b'"volatile":true' in payload
        part = part_of(payload)
        seen = self.parts.setdefault(seq, {}) if part else self.seen
        key, print_ = part or seq, digest(payload)
        if key not in seen:
            if not part:
                self.batches.take(json.loads(payload), float(arrived))
            seen[key] = (offset, print_)
        elif seen[key][1] == print_:
            self.redelivered += 1
        else:
            self.doubtful.append((seq, seen[key][0], offset))

    def _body(self, offset):
        self.stream.seek(offset)
        return json.loads(self.stream.readline().split(b"\t", 2)[2])

    def _compare(self, seq, first, second):
        if content(first) == content(second):
            self.redelivered += 1
        else:
            self.findings.add("two different batches under one seq", f"seq {seq}")

    def _take_parts(self, seq):
        """A split batch may have been sent again in other parts, or whole: all must say the same."""
        found = self.parts[seq]
        complete = [parts for parts in {parts for _, parts in found}
                    if all((part, parts) in found for part in range(1, parts + 1))]
        bodies = [self._assembled(found, parts) for parts in complete]
        if not bodies and seq not in self.seen:
            self.findings.add("batch with missing parts", f"seq {seq}: {sorted(found)}")
        elif seq in self.seen:
            bodies.insert(0, self._body(self.seen[seq][0]))
        else:
            self.stream.seek(found[(1, complete[0])][0])
            self.batches.take(bodies[0], float(self.stream.readline().split(b"\t", 1)[0]) + FIT)
        for other in bodies[1:]:
            self._compare(seq, bodies[0], other)

    def _assembled(self, found, parts):
        bodies = [self._body(found[(part, parts)][0]) for part in range(1, parts + 1)]
        return bodies[0] | {"readings": [reading for body in bodies for reading in body["readings"]]}


# ---- What was served ----


class Grid:
    """How often each value was served in each tick, and how often it arrived."""

    def __init__(self, lines, codes, values):
        blocks = [tuple(map(int, line.split())) for line in lines if line.count(b" ") == 3 and line.endswith(b"\n")]
        self.codes = codes
        self.first = min((block[0] for block in blocks), default=0)
        span = max((block[0] for block in blocks), default=0) - self.first + 1
        self.served, self.received = bytearray(span * codes), bytearray(span * codes)
        self.polls = {}  # device: ticks of its first block
        for tick, device, register, count in blocks:
            start = (tick - self.first) * codes + device * values
            for cell in range(start + (register + 1) // 2, start + (register + count) // 2):
                self.served[cell] += 1
            if register == 0:
                self.polls.setdefault(device, []).append(tick)

    def arrived(self, tick, code):
        """Counts a reading.

        Returns whether its value was served, and as often as it arrived."""
        cell = (tick - self.first) * self.codes + code
        if not 0 <= cell < len(self.served) or self.received[cell] >= self.served[cell]:
            return False
        self.received[cell] += 1
        return True

    def missing(self):
        """(tick, code, how often) of what was served and never arrived."""
        for start in range(0, len(self.served), self.codes):
            served, received = self.served[start:start + self.codes], self.received[start:start + self.codes]
            if served == received:
                continue
            tick = self.first + start // self.codes
            for code, (wanted, got) in enumerate(zip(served, received)):
                if wanted > got:
                    yield tick, code, wanted - got


class Spans:
    """Spans of time or of seq, merged, so that asking is cheap."""

    def __init__(self, spans):
        self.lows, self.highs = [], []
        for low, high in sorted(spans):
            if self.highs and low <= self.highs[-1]:
                self.highs[-1] = max(self.highs[-1], high)
            else:
                self.lows.append(low)
                self.highs.append(high)

    def hits(self, low, high):
        index = bisect.bisect_right(self.lows, high) - 1
        return index >= 0 and self.highs[index] >= low


# ---- The judgement ----


def judge_sequence(batches, findings):
    """No hole in seq that no gap record names. → the missing ones"""
    seqs = sorted(batches.rows)
    named = Spans((gap["from_seq"], gap["to_seq"]) for gap in batches.gaps if gap.get("from_seq") is not None)
    missing, unexplained = [], 0
    for before, after in zip([0] + seqs, seqs):
        missing.extend(range(before + 1, min(after, before + 1_000_000)))
    for seq in missing:
        if not named.hits(seq, seq):
            unexplained += 1
            findings.add("hole in seq that no gap record names", f"seq {seq}")
    findings.figures |= {"rows": len(seqs), "seq": f"{seqs[0]} to {seqs[-1]}", "holes explained": len(missing) - unexplained,
                         "holes unexplained": unexplained}
    epochs = [batches.rows[seq][0] for seq in seqs]
    if epochs != sorted(epochs):
        findings.add("epoch that goes back while seq goes on", str(sorted(set(epochs)))[:200])
    findings.figures["epochs"] = len(set(epochs))
    return missing


def gap_spans(batches, story, reason):
    """Times that gap records of this reason cover, in the machine's own time."""
    for gap in batches.gaps:
        if gap.get("reason") == reason:
            low, high = sorted((utc(gap["from"]), utc(gap["to"])))
            for offset in story.offsets:
                yield low - offset - SERVED_EARLIER, high - offset + TICK


def judge_counters(batches, story, missing, findings):
    """`n` of a point has no hole within an epoch, in the order of seq, but where rows are gone or the disk refused.

    → indexes of readings that repeat another one word for word"""
    lost_rows, refused = Spans((seq, seq) for seq in missing), Spans(gap_spans(batches, story, "disk_error"))
    last, doubtful = {}, set()  # (epoch, code): (n, seq, time)
    start, jumps = None, 0
    for seq in sorted(batches.rows):
        epoch, begin, end, _, _ = batches.rows[seq]
        for index in range(begin, end):
            key, n, time = (epoch << 16) + batches.codes[index], batches.counters[index], batches.times[index]
            if start is None:
                start = n
            before, before_seq, before_time = last.get(key, (start - 1, 0, time - 3600))
            if n <= before:
                doubtful.add((key, n))
                continue
            last[key] = (n, seq, time)
            if n == before + 1:
                continue
            jumps += 1
            low, high = sorted((before_time, time))
            if not lost_rows.hits(before_seq, seq) and not refused.hits(low, high):
                findings.add("n that is not contiguous", f"code {key & 0xFFFF} epoch {epoch} seq {seq}: {before} then {n}")
    findings.figures["jumps of n"] = jumps
    return judge_doubtful(batches, doubtful, findings)


def judge_doubtful(batches, doubtful, findings):
    """Readings under one (epoch, point, n): they must say the same. → all but the first of each"""
    first, repeats = {}, set()
    for seq in sorted(batches.rows) if doubtful else []:
        epoch, begin, end, _, _ = batches.rows[seq]
        for index in range(begin, end):
            key = ((epoch << 16) + batches.codes[index], batches.counters[index])
            if key not in doubtful:
                continue
            said = (batches.ticks[index], batches.times[index])
            if key not in first:
                first[key] = said
            elif first[key] == said:
                repeats.add(index)
            else:
                findings.add("one (epoch, point, n) with two contents",
                             f"epoch {epoch} code {key[0] & 0xFFFF} n {key[1]} seq {seq}")
    findings.figures["readings under two seqs, word for word"] = len(repeats)
    return repeats


def judge_arrivals(batches, grid, repeats, findings):
    unserved = 0
    for index, (tick, code) in enumerate(zip(batches.ticks, batches.codes)):
        if tick >= 0 and index not in repeats and not grid.arrived(tick, code):
            unserved += 1
            findings.add("value that was never served, or not as often", f"code {code} tick {tick}")
    findings.figures |= {"readings": len(batches.codes), "readings that are not good": sum(map(len, batches.bad.values())),
                         "values served": sum(grid.served), "values never served": unserved}


class Excuses:
    """Why a value that was served may be missing."""

    def __init__(self, batches, story):
        self.story = story
        self.spans = {reason: Spans(gap_spans(batches, story, reason)) for reason in story.excused}
        self.bad = {code: sorted(times) for code, times in batches.bad.items()}
        self.killed = [killed for killed, _ in story.kills]

    def reason(self, time, code):
        """The first excuse that holds, None where there is none."""
        if time >= self.story.stopped - END:
            return "at the end"
        for reason, spans in self.spans.items():
            if spans.hits(time, time + TICK):
                return reason
        times = self.bad.get(code, [])
        nearest = bisect.bisect_left(times, time - BAD)
        return "told by a bad reading" if nearest < len(times) and times[nearest] <= time + BAD else None

    def before_kill(self, time):
        """Seconds from this value to the kill that cost it; 0 where the gateway was dead already."""
        index = bisect.bisect_left(self.killed, time)
        if index > 0 and time <= self.story.kills[index - 1][1] + TICK:
            return 0.0
        return self.killed[index] - time if index < len(self.killed) else float("inf")


def judge_missing(batches, grid, story, findings):
    excuses, counts, longest = Excuses(batches, story), {}, 0.0
    for tick, code, often in grid.missing():
        time = tick * TICK
        reason = excuses.reason(time, code)
        counts[reason] = counts.get(reason, 0) + often
        device, point = divmod(code, story.values)
        if reason is None:
            findings.add("value that was served and never arrived", f"d{device:03d}/v{point:03d} at {time:.1f}")
        elif reason == "restart":
            distance = excuses.before_kill(time)
            longest = max(longest, distance)
            if distance > story.uncommitted + TICK:
                findings.add("value lost though it was served long before the kill",
                             f"d{device:03d}/v{point:03d} at {time:.1f}, {distance:.1f} s before")
    findings.figures["missing unexplained"] = counts.pop(None, 0)
    findings.figures["missing explained"] = counts
    findings.figures["longest loss before a kill, s"] = round(longest, 2)
    told = [gap["count"] for gap in batches.gaps if gap.get("reason") == "disk_error"]
    findings.figures["readings that disk_error records count"] = sum(told)
    if counts.get("disk_error", 0) > sum(told) and 0 not in told:
        findings.add("more readings missing than disk_error records count", f"{counts['disk_error']} and {sum(told)}")


def judge_replay(batches, story, findings):
    """What was read while the broker was away is marked as replay."""
    away = Spans((begin + 1, end - 1) for begin, end in story.outages if end - begin > 2)
    marked = 0
    for seq, (_, begin, end, newest, replay) in batches.rows.items():
        marked += replay is True
        if end > begin and replay is not True and away.hits(newest, newest):
            findings.add("batch of an outage without replay: true", f"seq {seq}")
    findings.figures["rows first seen as replay"] = marked


def judge_polls(grid, story, findings):
    """No device is left alone while the gateway lives."""
    dead, longest = Spans((killed, again + 1) for killed, again in story.kills), 0.0
    for device in range(story.devices):
        ticks = sorted(grid.polls.get(device, []))
        if not ticks:
            findings.add("device that was never polled", f"d{device:03d}")
        for before, after in zip(ticks, ticks[1:] + [int(story.stopped / TICK)]):
            low, high = before * TICK, after * TICK
            if dead.hits(low, high):
                continue
            longest = max(longest, high - low)
            if high - low > story.silence:
                findings.add("device that was not polled", f"d{device:03d} from {low:.1f} for {high - low:.1f} s")
    findings.figures["longest time without a poll of a device, s"] = round(longest, 1)


def gap_figures(batches):
    figures = {}
    for gap in batches.gaps:
        records, count = figures.get(gap.get("reason"), (0, 0))
        figures[gap.get("reason")] = (records + 1, count + gap.get("count", 0))
    return {reason: {"records": records, "count": count} for reason, (records, count) in figures.items()}


def judge(capture, served, story):
    """capture: seekable binary file; served: binary lines of field.c's log."""
    findings = Findings()
    batches = Batches(story, findings)
    received = Capture(capture, batches, findings)
    received.read()
    findings.figures |= {"kills": len(story.kills), "outages": len(story.outages), "messages": received.messages,
                         "redelivered": received.redelivered, "volatile messages": received.volatile,
                         "split batches": len(received.parts), "gap records": gap_figures(batches)}
    if not batches.rows:
        findings.add("nothing was received", "the capture is empty")
        return findings
    grid = Grid(served, story.devices * story.values, story.values)
    missing = judge_sequence(batches, findings)
    repeats = judge_counters(batches, story, missing, findings)
    judge_arrivals(batches, grid, repeats, findings)
    judge_missing(batches, grid, story, findings)
    judge_replay(batches, story, findings)
    judge_polls(grid, story, findings)
    changed = findings.kinds.get("two different batches under one seq", [0])[0]
    findings.figures["changed batches"] = changed
    return findings
