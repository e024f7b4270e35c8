"""What must hold whatever happened: judged by the log of the devices and the audit export, and by nothing that the gateway
says of itself."""

import collections
import unittest

from plant import FALLBACK, SETPOINTS, microseconds

AI = {"category": "ai", "lane": "autonomous"}
ISSUERS = {
    "opt": AI, "rival": AI, "shady": {"category": "ai"}, "pilot": {"category": "ai"},
    "adviser": {"category": "ai", "lane": "advise"}, "careful": {"category": "ai", "lane": "supervised"},
    "beating": AI | {"heartbeat": "2s"}, "plain": AI | {"keyless": True},
    "anna": {"category": "operator"}, "ben": {"category": "operator"}, "carl": {"category": "local"}}
EVERYBODY = list(ISSUERS)
FREE = {"allow": EVERYBODY, "fallback": FALLBACK, "lease": {"max": "1m"}}


def policy(*points, **members):
    return FREE | {"points": [f"d0/{point}" if "/" not in point else point for point in points]} | members


def raw(value):
    return round(value * 10)


def grants(leaves):
    """What the audit allowed to be written: (device, address, raw) -> [(time, what)], in order."""
    found = collections.defaultdict(list)
    for leaf in leaves:
        if leaf["kind"] == "command" and leaf["event"]["state"] == "executing":
            point, value, what = leaf["event"]["point"], leaf["event"]["value"], leaf["event"]["id"]
        elif leaf["kind"] == "revert":
            point, value, what = leaf["point"], leaf["value"], f"revert {leaf['id']} {leaf['write']}"
        else:
            continue
        device, name = point.split("/")
        if name in SETPOINTS:
            place = (int(device[1:]), SETPOINTS.index(name), round(value * 10) & 0xFFFF)
            found[place].append((microseconds(leaf["time"]), what))
    return found


def unexplained(writes, leaves):
    """Writes that a device saw without an entry of their own before them: never recorded, recorded later, or repeated."""
    free, problems = grants(leaves), []
    for time, device, function, address, raw, verdict in writes:
        if function != 6 or address >= len(SETPOINTS):
            continue
        waiting = free[device, address, raw]
        if waiting and waiting[0][0] <= time:
            waiting.pop(0)
        else:
            late = f"; the next entry is {waiting[0][0] - time} us later" if waiting else ""
            problems.append(f"device {device} register {address} := {raw} ({verdict}) at {time}: no entry{late}")
    return problems


def disorders(leaves):
    """Commands whose entries do not follow each other, that were written twice, or that a start took up as executing."""
    state, executed, problems = {}, collections.Counter(), []
    for index, leaf in enumerate(leaves):
        if leaf["kind"] == "started":
            problems += [f"{index}: {command} is executing at a start" for command, at in state.items() if at == "executing"]
        if leaf["kind"] != "command":
            continue
        event = leaf["event"]
        if state.get(event["id"]) != leaf.get("from"):
            problems.append(f"{index}: {event['id']} comes from {leaf.get('from')} but was {state.get(event['id'])}")
        state[event["id"]] = event["state"]
        executed[event["id"]] += event["state"] == "executing"
    problems += [f"{command} was executed {count} times" for command, count in executed.items() if count > 1]
    return problems


class Judged(unittest.TestCase):
    """A case with a plant: at its end the audit explains every write, verifies, and every payload was valid."""

    def judge(self, plant):
        plant.verify()
        leaves = plant.leaves()
        self.assertEqual(unexplained(plant.field.writes(), leaves), [])
        self.assertEqual(disorders(leaves), [])
        for ear in plant.ears:
            self.assertEqual(ear.wrong, [])
            self.assertGreater(ear.count["c/evt"], 0)

    def write_of(self, plant, point, value, count=1):
        """That the device was asked for the value so many times."""
        asked = [verdict for word, verdict in plant.writes(point) if word == raw(value)]
        self.assertEqual(len(asked), count, f"{point} := {value}: {plant.writes(point)}")
