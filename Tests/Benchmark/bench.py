#!/usr/bin/env python3
"""Headgate beside the C floor on the same field, broker and consumer; prints a table with ratios. See README.md."""

import argparse
import contextlib
import json
import os
import pathlib
import sys
import tempfile
import time

import buses
import commands
import rig

COMMIT_EVERY_MS = 100
SCENARIOS = {
    # name: devices, values a device, Headgate's period (None: flat out)
    "10x100": (10, 100, "1s"),
    "100x100": (100, 100, "1s"),
    "flat-out": (100, 100, None),
}
COMMANDS = "commands"  # a scenario of its own, see commands.py
BUSES = {"dead_units": buses.run_dead_units, "pipelining": buses.run_pipelining}  # see buses.py
FLAT_OUT_PERIOD = "10ms"
FLAT_OUT_OFFERED = 1_000_000  # values/s that this period asks for; near it, the period was measured and not the program


def start_subject(stack, folder, subject, program, ports, devices, values, period):
    base, broker = ports
    if subject == "headgate":
        site = rig.write_site(folder, base, devices, values, broker, period or FLAT_OUT_PERIOD)
        return rig.start_headgate(stack, folder, program, site)
    pace = ["--period", 1000] if period else ["--flat-out"]
    command = [rig.build_c("floor"), "--base", base, "--broker", broker, "--devices", devices, "--values", values]
    process = rig.Process("floor", command + pace, folder)
    stack.callback(process.stop)
    return process


def measure(subject, scenario, program, seconds, warm_up):
    """One run; returns the figures."""
    devices, values, period = SCENARIOS[scenario]
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
        base = rig.free_ports(devices + 1)
        ports = (base, base + devices)
        broker = rig.start_broker(stack, folder, ports[1])
        field = rig.start_field(stack, folder, base, devices, values)
        consumer = rig.Process(
            "consumer",
            [rig.build_c("consumer"), "--broker", ports[1], "--values", values, "--seconds", seconds,
             "--warm-up", warm_up], folder)
        stack.callback(consumer.stop)
        consumer.wait_line("ready", 10)
        tested = start_subject(stack, folder, subject, program, ports, devices, values, period)

        def progress(word, limit):
            def arrived():
                for process in (tested, broker, field, consumer):
                    process.check_alive()
                return word in consumer.lines

            try:
                rig.wait_for(f"{subject}, {scenario}: '{word}'", limit, arrived, every=0.005)
            except rig.Failure as failure:
                raise rig.Failure(f"{failure}\n{subject}'s log ends:\n{tested.tail()}") from None

        progress("first", 60)
        progress("measuring", warm_up + 10)
        watched = {"cpu": tested, "broker_cpu": broker, "consumer_cpu": consumer, "field_cpu": field}
        before, begun = {key: process.cpu_seconds() for key, process in watched.items()}, time.monotonic()
        progress("measured", seconds + 10)
        elapsed = time.monotonic() - begun
        used = {key: process.cpu_seconds() - before[key] for key, process in watched.items()}
        rss = tested.peak_rss_mib()
        stop_seconds = tested.stop()
        time.sleep(0.5)
        consumer.stop()
        field.stop()
        result, served = json.loads(consumer.lines[-1]), json.loads(field.lines[-1])
        disk = rig.folder_bytes(folder / "state") if subject == "headgate" else None

    figures = {key: used[key] / elapsed for key in used if key != "cpu"}
    return figures | {
        "subject": subject, "scenario": scenario,
        "values_per_second": result["values_per_second"],
        "cpu_ms_per_1000": used["cpu"] * 1e6 / result["window_values"] if result["window_values"] else None,
        "cpu_share": used["cpu"] / elapsed,
        "rss_mib": rss, "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"],
        "disk_bytes_per_value": disk / served["values"] if disk is not None and served["values"] else None,
        "values_served": served["values"], "values_received": result["values"],
        "wrong": result["wrong"], "not_good": result["not_good"], "gaps": result["gaps"],
        "replays": result["replays"], "seq_holes": result["seq_holes"], "seq_duplicates": result["seq_duplicates"],
        "stop_seconds": stop_seconds,
    }


def ratio(ours, floor):
    return ours / floor if ours is not None and floor else None


def rows(scenario, floor, ours):
    """(metric, floor, headgate, ratio, target, met) for one scenario; None where there is nothing to say."""
    def one(name, key, digits, target=None, met=None):
        a, b = (side.get(key) if side else None for side in (floor, ours))
        r = ratio(b, a)
        return (name, a, b, r, digits, target, met(b, r) if met and b is not None else None)

    paced, big = SCENARIOS[scenario][2] is not None, scenario == "100x100"
    yield one("values/s at the subscriber", "values_per_second", 0,
              None if paced else ">= 300,000", None if paced else lambda v, r: v >= 300_000)
    # The limits are stated for 10,000 values/s with durability: power.
    yield one("CPU ms per 1,000 values", "cpu_ms_per_1000", 3, "<= 5 x floor (aim 2.5)" if big else None,
              (lambda v, r: None if r is None else r <= 5) if big else None)
    yield one("CPU share of one core", "cpu_share", 3)
    yield one("peak RSS, MiB", "rss_mib", 1, "<= 48" if big else None, (lambda v, r: v <= 48) if big else None)
    yield one("p50 sample to subscriber, ms", "p50_ms", 1)
    limit = COMMIT_EVERY_MS + 50
    yield one("p99 sample to subscriber, ms", "p99_ms", 1, f"<= {limit}" if big else None,
              (lambda v, r: 0 <= v <= limit) if big else None)
    yield one("bytes on disk per value", "disk_bytes_per_value", 2, "<= 12" if big else None,
              (lambda v, r: v <= 12) if big else None)
    yield one("broker's share of a core", "broker_cpu", 2)
    yield one("wrong, not good or seq hole", "faults", 0, "0", lambda v, r: v == 0)
    yield one("served, never received", "undelivered", 0)
    yield one("gap records (periods not polled)", "gaps", 0)
    yield one("batches replayed, not in p50/p99", "replays", 0)


def show(scenario, results):
    floor, ours = (results.get((subject, scenario)) for subject in ("floor", "headgate"))
    for side in filter(None, (floor, ours)):
        side["faults"] = side["wrong"] + side["not_good"] + side["seq_holes"]
        side["undelivered"] = side["values_served"] - side["values_received"]
    devices, values, period = SCENARIOS[scenario]
    print(f"\n{scenario}: {devices} devices x {values} float32, " + (f"every {period}" if period else "flat out"))
    print(f"  {'':<34}{'C floor':>12}{'headgate':>12}{'ratio':>8}  target")
    missed = []
    for name, a, b, r, digits, target, met in rows(scenario, floor, ours):
        cell = lambda v, d: "-" if v is None else f"{v:,.{d}f}"  # noqa: E731
        verdict = "" if met is None else "  met" if met else "  MISSED"
        print(f"  {name:<34}{cell(a, digits):>12}{cell(b, digits):>12}{cell(r, 2):>8}  {target or ''}{verdict}".rstrip())
        if met is False:
            missed.append(f"{scenario}: {name} {cell(b, digits)}, target {target}")
    if period is None and ours and ours["values_per_second"] > 0.95 * FLAT_OUT_OFFERED:
        print("  Headgate kept up with all that was offered: its limit is higher and was not measured")
    return missed


def measure_commands(options):
    """Figures of the scenario `commands`, and the targets that were missed."""
    results = []
    for load in commands.TARGETS:
        print(f"measuring headgate, commands, {load} ...", file=sys.stderr, flush=True)
        with contextlib.ExitStack() as stack:
            results.append(commands.measure(stack, options.headgate, load, options.seconds, options.warm_up))
    return results, commands.show(results)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {"cores": os.cpu_count(), "cpu": model, "kernel": os.uname().release, "load": os.getloadavg()[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headgate", default=str(rig.ROOT / ".build/release/headgate"), help="the program to measure")
    parser.add_argument("--seconds", type=float, default=20, help="measured time of each run (default 20)")
    parser.add_argument("--warm-up", type=float, default=3, help="seconds after the first batch (default 3)")
    parser.add_argument("--scenario", action="append", choices=[*SCENARIOS, COMMANDS, *BUSES], help="only these; may be repeated")
    parser.add_argument("--subject", action="append", choices=["floor", "headgate"], help="only these; may be repeated")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args()
    if not 1 <= options.seconds <= 3600 or not 0 <= options.warm_up <= 600:
        parser.error("--seconds must be 1 to 3600, --warm-up 0 to 600")
    rig.interruptible()
    here, results, missed, governed, timing = machine(), {}, [], [], {}
    print(f"{here['cores']} x {here['cpu']}, Linux {here['kernel']}, load {here['load']:.1f}; {options.seconds:g} s a run")
    try:
        for scenario in options.scenario or [*SCENARIOS, COMMANDS, *BUSES]:
            if scenario == COMMANDS:
                governed, late = measure_commands(options)
                missed += late
                continue
            if scenario in BUSES:
                print(f"measuring headgate, {scenario} ...", file=sys.stderr, flush=True)
                timing[scenario], late = BUSES[scenario](contextlib.ExitStack, options.headgate, options.seconds)
                missed += late
                continue
            for subject in options.subject or ["floor", "headgate"]:
                print(f"measuring {subject}, {scenario} ...", file=sys.stderr, flush=True)
                results[subject, scenario] = measure(
                    subject, scenario, options.headgate, options.seconds, options.warm_up)
            missed += show(scenario, results)
    except rig.Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 130
    if options.json:
        pathlib.Path(options.json).write_text(
            json.dumps({"machine": here, "seconds": options.seconds, "runs": list(results.values()), "commands": governed, "buses": timing}, indent=1) + "\n")
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    faults = any(run["wrong"] or run["seq_holes"] for run in results.values())
    return 1 if faults or (options.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
