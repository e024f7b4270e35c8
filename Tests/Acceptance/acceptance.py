#!/usr/bin/env python3
"""The promise, tried: 10 devices x 100 float32 each second; the broker is killed for a tenth of the time; the gateway
is killed with -9 once and started again. Afterwards every value, every seq and every period is accounted for.
Real peers: libmodbus as the field, mosquitto as the broker, mosquitto_sub as the consumer. Loopback only."""

import argparse
import contextlib
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Benchmark"))
import rig  # noqa: E402
import verify  # noqa: E402

DEVICES, VALUES = 10, 100
CONSUMER = "acceptance-consumer"
DRAIN_LIMIT = 120  # seconds for the backlog after the last second of the test
STOP_LIMIT = 5  # seconds from SIGTERM to a clean end


class Consumer:
    """mosquitto_sub, appending to one file; started again at once whenever it ends, so that a broker that comes back
    finds it subscribed before the gateway's back-off is over."""

    def __init__(self, port, capture):
        self.command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-V", "5", "-q", "1", "-i", CONSUMER,
                        "-t", "headgate/v1/+/r/#", "-t", "headgate/v1/+/gap/#", "-F", "%U\\t%t\\t%p"]
        self.capture, self.child, self.thread, self.starts = capture, None, None, 0
        self.wanted = threading.Event()

    def _keep_running(self):
        with open(self.capture, "ab") as capture:
            while self.wanted.is_set():
                self.child = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=capture, stderr=subprocess.DEVNULL)
                self.starts += 1
                self.child.wait()
                time.sleep(0.005)

    def start(self):
        self.wanted.set()
        self.thread = threading.Thread(target=self._keep_running, daemon=True)
        self.thread.start()

    def stop(self):
        self.wanted.clear()
        while self.thread and self.thread.is_alive():
            if self.child and self.child.poll() is None:
                self.child.terminate()
            self.thread.join(0.2)


def wait_subscribed(broker):
    """The broker's log tells when both subscriptions are there."""
    def both():
        broker.check_alive()
        return len(re.findall(rf"{CONSUMER} 1 headgate/", broker.log.read_text(errors="replace"))) >= 2

    rig.wait_for("the consumer's subscription", 10, both, every=0.005)


def consumer_was_first(broker):
    """Whether the consumer had subscribed before the gateway connected: else the broker dropped what came between."""
    log = broker.log.read_text(errors="replace")
    subscribed = [m.start() for m in re.finditer(rf"{CONSUMER} 1 headgate/", log)]
    others = [m.start() for m in re.finditer(r"New client connected from \S+ as (?!acceptance-)(\S+) ", log)]
    return len(subscribed) >= 2 and (not others or subscribed[1] < others[0])


def wait_drained(capture, limit):
    """Until no replayed batch has arrived for three seconds."""
    quiet, deadline = 0, time.monotonic() + limit
    with open(capture, "rb") as stream:
        stream.seek(0, 2)
        while quiet < 3 and time.monotonic() < deadline:
            time.sleep(1)
            quiet = 0 if re.search(rb'"replay"\s*:\s*true', stream.read()) else quiet + 1


def until(begun, offset, *processes):
    """Waits for that second of the test; every process must live until then."""
    while (left := begun + offset - time.monotonic()) > 0:
        for process in processes:
            process.check_alive()
        time.sleep(min(left, 0.2))


def say(begun, text):
    print(f"{time.monotonic() - begun:7.1f} s  {text}", flush=True)


def play(stack, folder, program, seconds):
    """Runs the story → timeline, whether the consumer was subscribed in time, seconds of the clean stop, exit code."""
    base = rig.free_ports(DEVICES + 1)
    port, capture, served = base + DEVICES, folder / "capture.tsv", folder / "served.log"
    site = rig.write_site(folder, base, DEVICES, VALUES, port, "1s")
    field = rig.start_field(stack, folder, base, DEVICES, VALUES, log=served)
    broker = rig.start_broker(stack, folder, port)
    consumer = Consumer(port, capture)
    stack.callback(consumer.stop)
    consumer.start()
    wait_subscribed(broker)
    gateway = rig.start_headgate(stack, folder, program, site)
    rig.wait_for("the first batch", 30, lambda: gateway.check_alive() or capture.stat().st_size > 0)
    begun = time.monotonic()
    say(begun, "the gateway publishes")

    until(begun, 0.4 * seconds, gateway, field, broker)
    outage_from = time.time()
    broker.kill()
    time.sleep(0.5)  # what the kernel still holds for the consumer
    consumer.stop()
    say(begun, "broker killed")
    until(begun, 0.5 * seconds - 0.5, gateway, field)
    consumer.start()
    until(begun, 0.5 * seconds, gateway, field)
    broker = rig.start_broker(stack, folder, port, name="mosquitto-again")
    outage_to = time.time()
    wait_subscribed(broker)
    say(begun, f"broker is back, consumer subscribed (attempt {consumer.starts})")

    until(begun, 0.75 * seconds, gateway, field, broker)
    dead_from = time.time()
    gateway.kill()
    say(begun, "gateway killed with -9")
    time.sleep(2)
    gateway = rig.start_headgate(stack, folder, program, site)
    size = capture.stat().st_size
    rig.wait_for("a batch after the restart", 60, lambda: gateway.check_alive() or capture.stat().st_size > size)
    dead_to = time.time()
    say(begun, "gateway publishes again")

    until(begun, seconds, gateway, field, broker)
    wait_drained(capture, DRAIN_LIMIT)
    gateway.check_alive()
    stopped = time.time()
    stop_seconds = gateway.stop(30)
    say(begun, f"gateway stopped in {stop_seconds:.1f} s with {gateway.child.returncode}")
    time.sleep(1)
    in_time = consumer_was_first(broker)
    consumer.stop()
    field.stop()
    timeline = verify.Timeline((outage_from, outage_to), (dead_from, dead_to), stopped, 1.0, DEVICES, VALUES)
    return timeline, in_time, stop_seconds, gateway.child.returncode


def report(folder, timeline, in_time, stop_seconds, code):
    with open(folder / "capture.tsv") as capture, open(folder / "served.log") as served:
        findings = verify.judge(capture, served, timeline)
    if code != 0 or stop_seconds > STOP_LIMIT:
        findings.add("SIGTERM did not end the gateway cleanly", f"{stop_seconds:.1f} s, exit {code}; limit {STOP_LIMIT} s")
    print()
    for name, figure in findings.figures.items():
        print(f"  {name + ':':<48}{figure}")
    if not findings.kinds:
        print("\naccepted: every value, every seq and every period is accounted for")
        return 0
    print("\nfound:")
    for line in findings.lines():
        print(f"  {line}")
    if not in_time:
        print("inconclusive: the gateway reached the broker before the consumer had subscribed; run it again")
        return 2
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, epilog="exit: 0 accepted, 1 not, 2 inconclusive, 130 stopped")
    parser.add_argument("--headgate", default=str(rig.ROOT / ".build/release/headgate"), help="the program to try")
    parser.add_argument("--seconds", type=float, default=600, help="length of the test (default 600, at least 40)")
    parser.add_argument("--keep", metavar="FOLDER", help="keep capture, logs and state there")
    options = parser.parse_args()
    if not 40 <= options.seconds <= 7 * 86_400:
        parser.error("--seconds must be 40 to 604800")
    rig.interruptible()
    try:
        with contextlib.ExitStack() as stack:
            if options.keep:
                folder = pathlib.Path(options.keep).resolve()
                folder.mkdir(parents=True)
            else:
                folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-acceptance-")))
            return report(folder, *play(stack, folder, options.headgate, options.seconds))
    except FileExistsError as error:
        print(f"acceptance: {error.filename} exists; name a new folder", file=sys.stderr)
    except rig.Failure as failure:
        print(f"acceptance: {failure}", file=sys.stderr)
    except KeyboardInterrupt:
        print("acceptance: stopped", file=sys.stderr)
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
