"""The scenarios about buses: what dead units cost the others, how many devices one gateway polls on time, and what several
requests under way at once gain. The gateway says how late its polls began; the devices' own log of arrivals says it too."""

import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import rig

HERE = pathlib.Path(__file__).resolve().parent
PERIOD = 1.0
PUNCTUAL = 0.1  # a poll is on time when it begins within a tenth of its period


def start_peer(stack, folder, name, *options):
    """A process of peers.py; returns it and where it can be reached."""
    log = folder / f"{name}.times"
    peer = rig.Process(name, [sys.executable, HERE / "peers.py", *options, "--log", log], folder)
    stack.callback(peer.kill)
    rig.wait_for(f"{name} starts", 10, lambda: peer.lines)
    return peer, peer.lines[0], log


def write_site(folder, connections, units, registers, every, broker):
    """`connections`: name to the text of its mapping; `units`: (connection, unit) of each device."""
    profiles = folder / "profiles" / "bench"
    profiles.mkdir(parents=True, exist_ok=True)
    points = "".join(f"  r{i:03d}: {{address: {i}}}\n" for i in range(registers))
    (profiles / "unit.yaml").write_text(
        "profile: bench/unit\ntitle: Benchmark unit\nmanufacturer: Bench\nmodel: Unit\nrevision: 1\n"
        'source: "Tests/Benchmark/peers.py"\n'
        f'defaults: {{table: holding, type: uint16, unit: "1", every: 1s}}\npoints:\n{points}')
    channels = "".join(f"  {name}: {{{text}}}\n" for name, text in connections.items())
    assets = "".join(
        f"  d{i:03d}: {{profile: bench/unit, connection: {connection}, unit: {unit}, owner: bench, every: {every}}}\n"
        for i, (connection, unit) in enumerate(units))
    site = folder / "headgate.yaml"
    site.write_text(
        f"gateway: {{id: bench, owner: bench, state: {folder / 'state'}}}\nprofiles: [{folder / 'profiles'}]\n"
        f"connections:\n{channels}devices:\n{assets}publish:\n"
        f'  plant: {{mqtt: "mqtt://127.0.0.1:{broker}", version: 5, format: json, qos: 1}}\n'
        "buffer: {max_size: 1GiB, max_age: 1d, commit_every: 100ms, durability: power}\n")
    (folder / "state").mkdir(exist_ok=True)
    return site


def ask_devices(program, site):
    answer = subprocess.run([program, "devices", "--json", "--config", site], capture_output=True, text=True, timeout=20)
    if answer.returncode != 0:
        raise rig.Failure(f"headgate devices: {answer.stderr}")
    return json.loads(answer.stdout)


def arrivals(log, begin, end):
    """Seconds of the requests of each unit within a time."""
    found = {}
    for line in log.read_text().splitlines():
        fields = line.split()
        if len(fields) == 2 and begin <= (moment := int(fields[0]) / 1e6) < end:
            found.setdefault(int(fields[1]), []).append(moment)
    return found


def phase_of(times):
    """Where in the period a device is polled: the earliest place at which polls pile up, since none begins early."""
    places = [moment % PERIOD for moment in times]
    return max(places, key=lambda place: sum((other - place) % PERIOD < 0.005 for other in places))


def lateness(times, phase):
    # A poll seen a hair before its phase is on time, not a period late.
    return [((moment - phase + 0.01) % PERIOD) - 0.01 for moment in times]


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def settle(program, site, count, seconds):
    """Waits until every device was polled, then so many seconds."""
    def polled():
        try:
            return sum(device["polls"] > 0 for device in ask_devices(program, site)["devices"]) >= count
        except rig.Failure:
            return False  # it has not opened its socket yet

    rig.wait_for("every device is polled", 60, polled, every=0.5)
    time.sleep(seconds)


def dead_on_a_line(stack, program, seconds):
    """Ten units on 19,200 baud, polled every second; three of them die."""
    dead, alive = [2, 5, 8], [1, 3, 4, 6, 7, 9, 10]
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
    broker = rig.free_ports(1)
    rig.start_broker(stack, folder, broker)
    peer, path, log = start_peer(
        stack, folder, "line", "serial", "--baud", 19200, "--later", "--dead", *dead)
    site = write_site(
        folder, {"line": f"serial: {path}, baud: 19200, format: 8N1, timeout: 1s"},
        [("line", unit) for unit in range(1, 11)], 10, "1s", broker)
    rig.start_headgate(stack, folder, program, site)
    settle(program, site, 10, 40)
    healthy_until = time.monotonic()
    before = ask_devices(program, site)
    os.kill(peer.pid, signal.SIGUSR1)
    begin = time.monotonic()
    time.sleep(seconds)
    end = time.monotonic()
    after = ask_devices(program, site)
    healthy, seen = arrivals(log, healthy_until - 35, healthy_until), arrivals(log, begin, end)
    phases = {unit: phase_of(healthy[unit]) for unit in alive}
    settled = begin + 20

    def on_time_share(start):
        punctual = sum(
            late < PUNCTUAL * PERIOD
            for unit in alive for late in lateness([t for t in seen[unit] if t >= start], phases[unit]))
        return min(1, punctual / (len(alive) * (end - start) / PERIOD))

    every = sorted((moment, unit) for unit, times in seen.items() for moment in times)
    spent = [(moment, min(following - moment, 1.3))
             for (moment, unit), (following, _) in zip(every, every[1:]) if unit in dead]
    own = own_share(before, after, alive)
    return {
        "scenario": "3 of 10 units dead, 19,200 baud", "seconds": seconds,
        "on_time_share": on_time_share(begin), "settled_on_time_share": on_time_share(settled),
        "own_on_time_share": own,
        # What follows a dead unit's request may have come later than it could have: an upper bound.
        "probe_share": sum(cost for moment, cost in spent if moment > settled) / (end - settled),
        "probe_share_whole": sum(cost for _, cost in spent) / seconds,
        "timeout_ms": {d["id"]: d.get("timeout_ms") for d in after["devices"]},
    }


def own_share(before, after, units):
    """What the gateway itself counted: polls of these units neither late nor missed."""
    def figures(document, key):
        return sum(d.get(key, 0) for d in document["devices"] if d["unit"] in units)

    polls, late, missed = (figures(after, k) - figures(before, k) for k in ("polls", "late_polls", "missed_polls"))
    return (polls - late) / (polls + missed) if polls else 0


def many_devices(stack, program, seconds, devices, dead=0):
    """TCP devices on connections of their own, polled every second; the first `dead` of them are stopped half way."""
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
    base = rig.free_ports(devices + 2)
    rig.start_broker(stack, folder, base + devices)
    log = folder / "field.times"
    command = [rig.build_c("field"), "--devices", devices - dead, "--base", base + dead, "--values", 10, "--times", log]
    field = rig.Process("field", command, folder)
    stack.callback(field.stop)
    field.wait_line("ready", 10)
    victim = None
    if dead:
        victim, port, _ = start_peer(stack, folder, "victim", "tcp", "--delay", 1, "--later", "--dead", 1)
        ports = {0: port}
    else:
        ports = {}
    connections = {f"c{d:03d}": f"tcp: 127.0.0.1:{ports.get(d, base + d)}" for d in range(devices)}
    site = write_site(folder, connections, [(f"c{d:03d}", 1) for d in range(devices)], 20, "1s", base + devices)
    gateway = rig.start_headgate(stack, folder, program, site)
    settle(program, site, devices, 10)

    def window():
        begin, used = time.monotonic(), gateway.cpu_seconds()
        time.sleep(seconds)
        end = time.monotonic()
        share = (gateway.cpu_seconds() - used) / (end - begin)
        return begin, end, share, ask_devices(program, site)

    windows = [window()]
    if victim:
        os.kill(victim.pid, signal.SIGUSR1)
        time.sleep(3)
        windows.append(window())
    field.stop()
    result = []
    for begin, end, share, document in windows:
        late = [late for times in arrivals(log, begin, end).values() for late in lateness(times, phase_of(times))]
        own = document["polling"]["lateness_ms"]
        result.append({
            "cpu_share": share, "polls_per_second": len(late) / (end - begin),
            "peer_p99_ms": quantile(late, 0.99) * 1000, "own_p99_ms": own["p99"], "own_worst_ms": own["worst"],
            "missed": sum(d["missed_polls"] for d in document["devices"]),
        })
    return {"devices": devices, "windows": result, "rss_mib": gateway.peak_rss_mib()}


def pipelining(stack, program, seconds, in_flight, dead=()):
    """Sixteen units behind one Modbus TCP gateway 50 ms away, as fast as it goes."""
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
    broker = rig.free_ports(1)
    rig.start_broker(stack, folder, broker)
    every = "1s" if dead else "20ms"
    _, port, log = start_peer(
        stack, folder, "gateway", "tcp", "--delay", 50, *(["--dead", *dead] if dead else []))
    site = write_site(
        folder, {"far": f"tcp: 127.0.0.1:{port}, in_flight: {in_flight}, timeout: 1s"},
        [("far", unit) for unit in range(1, 17)], 10, every, broker)
    rig.start_headgate(stack, folder, program, site)
    settle(program, site, 16 - len(dead), 40 if dead else 3)
    begin = time.monotonic()
    time.sleep(seconds)
    end = time.monotonic()
    seen = arrivals(log, begin, end)
    alive = [unit for unit in range(1, 17) if unit not in dead]
    devices = [d for d in ask_devices(program, site)["devices"] if d["unit"] in alive]
    return {
        "in_flight": in_flight, "polls_per_second": sum(len(seen.get(unit, [])) for unit in alive) / (end - begin),
        "worst_lateness_ms": max(d["lateness_ms"]["worst"] for d in devices),
        "p99_lateness_ms": statistics.median(d["lateness_ms"]["p99"] for d in devices),
    }


# MARK: scenarios of bench.py

def report(rows):
    """Prints (what, value, target, whether met) and returns what was missed."""
    missed = []
    for what, value, target, met in rows:
        verdict = "" if met is None else "  met" if met else "  MISSED"
        print(f"  {what:<58}{value:>12}  {target or ''}{verdict}".rstrip())
        if met is False:
            missed.append(f"{what}: {value}, target {target}")
    return missed


def run_dead_units(make_stack, program, seconds):
    with make_stack() as stack:
        line = dead_on_a_line(stack, program, max(seconds, 120))
    with make_stack() as stack:
        hundred = many_devices(stack, program, seconds, 100, dead=1)
    with make_stack() as stack:
        fleet = many_devices(stack, program, seconds, 500)
    print("\ndead_units: what dead units cost the others, and how many devices are polled on time")
    whole = fleet["windows"][0]
    change = hundred["windows"][1]["peer_p99_ms"] - hundred["windows"][0]["peer_p99_ms"]
    own_change = hundred["windows"][1]["own_p99_ms"] - hundred["windows"][0]["own_p99_ms"]
    missed = report([
        (f"19,200 baud, 3 of 10 die: {line['seconds']:g} s from then, on time", f"{line['on_time_share']:.1%}", ">= 95 %",
         line["on_time_share"] >= 0.95),
        ("  20 s later and on", f"{line['settled_on_time_share']:.1%}", ">= 95 %", line["settled_on_time_share"] >= 0.95),
        ("  as the gateway counts them", f"{line['own_on_time_share']:.1%}", None, None),
        ("  bus time for the dead, after 20 s", f"{line['probe_share']:.1%}", "<= 2 % (+ 1 s saved)",
         line["probe_share"] <= 0.02 + 1 / (line["seconds"] - 20)),
        ("  bus time for the dead, all of it", f"{line['probe_share_whole']:.1%}", None, None),
        ("100 TCP devices, one dies: p99 lateness of the others", f"{change:+.1f} ms", "< 10 ms", change < 10),
        ("  as the gateway measures it", f"{own_change:+.1f} ms", None, None),
        ("500 TCP devices every second: share of a core", f"{whole['cpu_share']:.1%}", "<= 15 %",
         whole["cpu_share"] <= 0.15),
        ("  peak RSS", f"{fleet['rss_mib']:.1f} MiB", "<= 80 MB", fleet["rss_mib"] * 1.048576 <= 80),
        ("  p99 lateness, as the gateway measures it", f"{whole['own_p99_ms']:.1f} ms", "<= 20 ms",
         whole["own_p99_ms"] <= 20),
        ("  p99 lateness, from the devices' log", f"{whole['peer_p99_ms']:.1f} ms", "<= 20 ms",
         whole["peer_p99_ms"] <= 20),
        ("  worst lateness", f"{whole['own_worst_ms']:.1f} ms", None, None),
        ("  polls a second", f"{whole['polls_per_second']:.1f}", ">= 499", whole["polls_per_second"] >= 499),
    ])
    return [line, hundred, fleet], missed


def run_pipelining(make_stack, program, seconds):
    results = []
    for in_flight in (1, 4, 16):
        with make_stack() as stack:
            results.append(pipelining(stack, program, seconds, in_flight))
    with make_stack() as stack:
        isolated = pipelining(stack, program, seconds, 4, dead=(7,))
    print("\npipelining: 16 units behind one gateway, 50 ms away")
    missed = report([
        (f"polls a second with in_flight {r['in_flight']}", f"{r['polls_per_second']:.0f}",
         f">= {16 * r['in_flight']}", r["polls_per_second"] >= 16 * r["in_flight"]) for r in results
    ] + [
        ("in_flight 4, one unit dead: p99 lateness of the others", f"{isolated['p99_lateness_ms']:.1f} ms", "<= 60 ms",
         isolated["p99_lateness_ms"] <= 60),
        ("  worst", f"{isolated['worst_lateness_ms']:.1f} ms", None, None),
    ])
    return results + [isolated], missed
