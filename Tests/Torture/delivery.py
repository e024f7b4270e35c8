"""The parts after which every value is accounted for: kills, outages, a disk that refuses, a clock that jumps."""

import contextlib
import json
import math
import os
import subprocess
import threading
import time

import faults
import judge
import rig
from stage import Stage

DRAIN_LIMIT, SHORT_DRAIN_LIMIT = 900, 60  # seconds until the backlog is delivered
RECOVERY_LIMIT = 15  # seconds from a disk that takes rows again to the first row that was read since
STARTUP = 30
SHARED = {"silence": 10.0, "uncommitted": 5.0}  # limits of the judge where a build may run beside the short parts
OFFSETS = (0.0, -3600.0, 3600.0)


# ---- What all of them end with ----


def account_for(run, stage, figures, **story):
    """Judges the stage's capture. → findings"""
    run.say("judging")
    if run.options.short:
        story = SHARED | story
    story = judge.Story(stopped=stage.stopped, devices=stage.devices, values=stage.values, kills=stage.kills,
                        outages=stage.outages, **story)
    with open(stage.capture, "rb") as capture, open(stage.served, "rb") as served:
        findings = judge.judge(capture, served, story)
    for problem in stage.problems:
        findings.add("problem while it ran", problem)
    findings.figures |= figures
    findings.figures["longest time without a poll of a device, s: limit"] = story.silence
    if stage.kills:
        findings.figures["longest loss before a kill, s: limit"] = story.uncommitted
    findings.figures["headgate journal verify"] = own_verdict(stage, findings)
    return findings


def own_verdict(stage, findings):
    """What `headgate journal verify` says of the journal and of the capture, where there is one. → exit codes"""
    files, said = [stage.folder / "state" / "journal.sqlite"], {}
    if stage.consumer:
        files.append(stage.folder / "capture.jsonl")
        with open(stage.capture, "rb") as capture, open(files[-1], "wb") as payloads:
            fields = (line.split(b"\t", 2) for line in capture)
            payloads.writelines(payload for _, topic, payload in fields if not topic.endswith(judge.MARK))
    for file in files:
        command = [stage.program, "journal", "verify", "--allow-duplicates", file]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=1800)
        said[file.name] = answer.returncode
        if answer.returncode != 0:
            findings.add("headgate journal verify is not content",
                         f"{file.name}: exit {answer.returncode}: {(answer.stdout + answer.stderr).strip()[-600:]}")
    return said


def wait_first_batch(stage):
    def arrived():
        stage.gateway.check_alive()
        return stage.capture.stat().st_size > 0

    rig.wait_for("the first batch", STARTUP, arrived)


def drain(run, stage):
    """→ seconds until nothing was left, seconds that the clean stop took"""
    run.say("draining")
    drained = stage.wait_drained(SHORT_DRAIN_LIMIT if run.options.short else DRAIN_LIMIT)
    return {"seconds to drain": round(drained, 1), "seconds to stop": round(stage.finish(), 2)}


# ---- kills ----


class Moods:
    """Puts the broker up, down or into a stall, each for a random time, while others do something else to the gateway."""

    def __init__(self, stage, rng, seconds):
        self.stage, self.rng, self.seconds = stage, rng, seconds
        self.mood, self.counts, self.failure = "up", {"up": 1, "down": 0, "stalled": 0}, None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self.over.wait(self.rng.uniform(*self.seconds)):
                self._change(self.rng.choice([mood for mood in self.counts if mood != self.mood]))
            self._change("up")
        except Exception as error:  # told by stop()
            self.failure = error

    def _change(self, mood):
        if mood == self.mood:
            return
        if self.mood == "stalled":
            # A stalled broker that goes down must first deliver what it acknowledged.
            self.stage.wire.cut() if mood == "down" else None
            self.stage.resume()
        if self.mood == "down":
            self.stage.broker_up()
        if mood == "down":
            self.stage.broker_down()
        elif mood == "stalled":
            self.stage.stall()
        self.mood = mood
        self.counts[mood] += 1

    def stop(self):
        self.over.set()
        self.thread.join()
        if self.failure:
            raise self.failure


def kills(run, stack, folder):
    """kill -9 at random moments, while the broker is up, down or stalled."""
    rng, count = run.rng("kills"), run.options.kills
    longest = 1.0 if run.options.short else 2.0
    stage = Stage(stack, folder, run.program)
    stage.broker_up()
    # About every ten kills.
    moods = Moods(stage, run.rng("moods"), (1, 5) if run.options.short else (4, 16))
    moods.thread.start()
    for number in range(count):
        if number % 50 == 0:
            run.say(f"kill {number} of {count}")
        stage.start_gateway()
        time.sleep(rng.uniform(0.05, longest))
        stage.kill_gateway()
        time.sleep(rng.choice([0, 0, rng.uniform(0, 0.3)]))
    moods.stop()
    ready = (folder / "headgate.log").read_bytes().count(b"gateway ready")
    stage.start_gateway()
    figures = {"broker": moods.counts, "killed before they were ready": count - ready}
    return account_for(run, stage, figures | drain(run, stage))


# ---- outages ----


def outages(run, stack, folder):
    """The broker goes away, or stalls, for a random time; the gateway lives on."""
    rng, count, (shortest, longest) = run.rng("outages"), run.options.outages, run.options.outage_seconds
    stage, stalls, total = Stage(stack, folder, run.program), 0, 0.0
    stage.broker_up()
    stage.start_gateway()
    wait_first_batch(stage)
    for number in range(count):
        stage.during(rng.uniform(1, 2 if run.options.short else 10))
        seconds = math.exp(rng.uniform(math.log(shortest), math.log(longest)))
        is_stall = rng.random() < 0.2
        run.say(f"outage {number + 1} of {count}: {'stalled' if is_stall else 'down'} for {seconds:.1f} s")
        begun = time.monotonic()
        stage.stall() if is_stall else stage.broker_down()
        stage.during(max(0, seconds - (time.monotonic() - begun)))
        stage.resume() if is_stall else stage.broker_up()
        stalls += is_stall
        total += time.monotonic() - begun
    figures = {"stalls": stalls, "seconds without a broker": round(total, 1)}
    return account_for(run, stage, figures | drain(run, stage))


# ---- disk ----


def arrived_since(stage, offset, moment):
    """Whether a row from the journal with a reading newer than `moment` is in the capture behind `offset`."""
    with open(stage.capture, "rb") as stream:
        stream.seek(offset)
        for line in stream:
            if not line.endswith(b"\n") or b'"volatile":true' in line or b'"reading/1"' not in line:
                continue
            readings = json.loads(line.split(b"\t", 2)[2])["readings"]
            if max(judge.utc(reading["time"]) for reading in readings) >= moment:
                return True
    return False


def refuse(run, stage, begin, end, seconds, is_killed=False):
    """One round: the disk refuses from begin() to end(), and the gateway lives through it or is killed at the end of it.
    → messages that arrived meanwhile, seconds to recover"""
    size = stage.capture.stat().st_size
    begin()
    stage.during(seconds)
    with open(stage.capture, "rb") as stream:
        stream.seek(size)
        messages = stream.read().count(b"\n")
    if is_killed:
        stage.kill_gateway()
    end()
    if is_killed:
        stage.start_gateway()
    cleared, begun, offset = time.time(), time.monotonic(), stage.capture.stat().st_size
    while time.monotonic() - begun < RECOVERY_LIMIT:
        if arrived_since(stage, offset, cleared) or not stage.check_gateway():
            break
        time.sleep(0.1)
    else:
        stage.problems.append(f"no row from the journal {RECOVERY_LIMIT} s after the disk took rows again")
    return messages, time.monotonic() - begun


def disk_rounds(run, rng, count):
    """enospc as often as asked, the other faults a fifth as often; of each kind another fifth, at the end of which the
    gateway is killed; in random order with random lengths. → mode, seconds, whether it is killed"""
    longest, some = 2.5 if run.options.short else 20, math.ceil(count / 5)
    rounds = [("enospc", False)] * count + [(mode, False) for mode in ("eio", "eio_sync", "readonly")] * some
    rounds += [(mode, True) for mode in (["enospc"] if run.options.short else faults.MODES[1:])] * some
    rng.shuffle(rounds)
    return [(mode, rng.uniform(2, longest), is_killed) for mode, is_killed in rounds]


def disk(run, stack, folder):
    """The journal's disk refuses for a while, again and again; sometimes the gateway is killed before it recovers."""
    rng, control = run.rng("disk"), faults.Faults(folder / "faults")
    stage = Stage(stack, folder, run.program, faults=control)
    stage.broker_up()
    stage.start_gateway()
    wait_first_batch(stage)
    told, worst = {}, 0.0
    for mode, seconds, is_killed in disk_rounds(run, rng, run.options.disk_rounds):
        stage.during(rng.uniform(0.5, 1.5) if run.options.short else rng.uniform(1, 3))
        run.say(f"disk: {mode} for {seconds:.1f} s" + (", then kill -9" if is_killed else ""))
        injected = control.counters()["injected"]
        messages, recovery = refuse(run, stage, lambda: control.disk(mode), lambda: control.disk("none"), seconds,
                                    is_killed)
        if control.counters()["injected"] == injected:
            stage.problems.append(f"{mode} met no call: the shim is not in the way")
        worst = max(worst, recovery)
        figure = told.setdefault(mode, {"rounds": 0, "killed": 0, "seconds": 0.0, "messages meanwhile": 0})
        figure["rounds"] += 1
        figure["killed"] += is_killed
        figure["seconds"] = round(figure["seconds"] + seconds, 1)
        figure["messages meanwhile"] += messages
    figures = {"rounds": told, "longest recovery, s": round(worst, 2),
               "longest recovery, s: limit": RECOVERY_LIMIT, "calls": control.counters()}
    # What was read long before the kill may have been in memory only: that is the disk's doing, and told as such.
    return account_for(run, stage, figures | drain(run, stage), excused=("disk_error", "restart", "not_polled"))


class SmallDisk:
    """A file system of 8 MiB in memory, and a file that takes all its free space and gives it back."""

    def __init__(self, stack, folder):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", folder], check=False)
        self.filler = folder / "filler"

    def fill(self):
        with open(self.filler, "wb", buffering=0) as filler, contextlib.suppress(OSError):
            for piece in (bytes(1 << 16), bytes(1 << 12), bytes(1)):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(piece)

    def clear(self):
        self.filler.unlink()


def small_disk(run, stack, folder):
    """A disk that is really full: a small file system, filled by somebody else."""
    if os.geteuid() != 0:
        return "skipped: mounting a small file system needs root"
    rng = run.rng("small-disk")
    # 1,000 values/s: the rounds together must not fill it by themselves.
    stage = Stage(stack, folder, run.program, every="1s")
    site = stage.site.read_text()
    stage.site.write_text(site.replace("max_size: 4GiB", "max_size: 16MiB"))
    try:
        small = SmallDisk(stack, folder / "state")
    except subprocess.CalledProcessError as error:
        return f"skipped: no small file system: {error}"
    # The mount goes last: what was put on the stack before it ends after it.
    stack.callback(stage._end_gateway)
    stage.broker_up()
    stage.start_gateway()
    wait_first_batch(stage)
    worst, arrived, count = 0.0, 0, max(1, run.options.disk_rounds // 2)
    for number in range(count):
        stage.during(rng.uniform(1, 3))
        seconds = rng.uniform(2, 4 if run.options.short else 20)
        run.say(f"small disk: full for {seconds:.1f} s")
        messages, recovery = refuse(run, stage, small.fill, small.clear, seconds)
        worst, arrived = max(worst, recovery), arrived + messages
    figures = {"rounds": count, "longest recovery, s": round(worst, 2),
               "longest recovery, s: limit": RECOVERY_LIMIT, "messages meanwhile": arrived}
    return account_for(run, stage, figures | drain(run, stage), silence=4.0)


# ---- clock ----


def clock(run, stack, folder):
    """The clock jumps back and forward by an hour, once in each direction while the broker is away."""
    rng, control = run.rng("clock"), faults.Faults(folder / "faults")
    stage = Stage(stack, folder, run.program, faults=control)
    stage.broker_up()
    stage.start_gateway()
    wait_first_batch(stage)
    steps = [-3600, 3600, 0] if run.options.short else [-3600, 0, 3600, 0] * 8 + [-3600, 3600, 0]
    # A pause between attempts to connect must not follow the clock: one of each direction happens without a broker.
    differences = [after - before for before, after in zip([0] + steps, steps)]
    away = {rng.choice([number for number, step in enumerate(differences) if step * sign > 0]) for sign in (-1, 1)}

    def pause():
        return rng.uniform(0.5, 1.5) if run.options.short else rng.uniform(2, 5)

    for number, offset in enumerate(steps):
        stage.during(pause())
        if number in away:
            stage.broker_down()
            stage.during(pause())
        run.say(f"clock: {offset:+d} s" + (" without a broker" if number in away else ""))
        control.clock(offset)
        if number in away:
            stage.during(pause())
            stage.broker_up()
    if control.counters()["clock_reads"] == 0:
        stage.problems.append("no read of the clock was shifted: the shim is not in the way")
    figures = {"steps": len(steps), "shifted reads of the clock": control.counters()["clock_reads"]}
    # No gap record excuses anything here: nothing may be lost, and one that spans a jump would cover an hour.
    return account_for(run, stage, figures | drain(run, stage), offsets=OFFSETS, excused=())
