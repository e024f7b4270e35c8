"""Where a value is judged: as the registers hold it, and where the profile says that it is confirmed. The gateway's own
program, a private broker, a device in this process. Loopback only."""

import contextlib
import json
import pathlib
import tempfile
import time
import unittest

from plant import Ear, Issuers, Plant, other_command, rig, set_command
from registers import Registers

PROFILE = """
profile: test/places
title: Places
manufacturer: Test
model: Places
revision: 1
source: "Tests/Commands/places_test.py"
defaults: {table: holding, type: int16, unit: Cel, every: 200ms}
points:
  tick: {address: 0}
  coarse: {address: 1, scale: 10, write: {mode: single}}
  whole: {address: 2, write: {mode: single}}
  remote: {address: 3, write: {mode: single, readback: remote_shown}}
  remote_shown: {address: 4}
  hidden: {address: 5, write: {mode: single, readback: {address: 6}}}
  trigger: {address: 27, write: {mode: single, readback: none}}
  forbidden: {address: 28, write: {mode: single, readback: none}}
  swapped: {address: 8, type: uint32, write: {mode: multiple, order: CDAB}}
  rescaled: {address: 10, scale: 0.1, write: {mode: single, address: 20, scale: 1}}
  never: {address: 12, type: float32, write: {mode: multiple, unset: nan}}
  marked: {address: 14, sentinels: 0x8000, write: {mode: single, unset: sentinel}}
  zero: {address: 15, limits: [10, 50], write: {mode: single, unset: 0}}
  refusing: {address: 40, write: {mode: single, unset: exception}}
  locked: {address: 17, limits: [10, 50], write: {mode: single}}
  slow: {address: 18, every: 1h, write: {mode: single}}
  slower: {address: 19, every: 1h, write: {mode: single}}
  halves: {parts: [{address: 50}, {address: 52}], type: uint32}
  sum: {parts: [{address: 54, type: uint16, scale: 1000}, {address: 56, type: uint16}], type: uint32}
"""
SIMPLE = """
profile: test/simple
title: Simple
manufacturer: Test
model: Simple
revision: 1
source: "Tests/Commands/places_test.py"
defaults: {table: holding, type: int16, unit: Cel, every: 200ms}
points:
  one: {address: 1, write: {mode: single}}
  two: {address: 2, write: {mode: single}}
  alone: {address: 3, write: {mode: single}}
"""
ALLOW = ["opt", "anna"]


def policy(*points, **members):
    return {"points": [point if "/" in point else f"d0/{point}" for point in points], "allow": ALLOW, "fallback": 20,
            "lease": {"max": "1m"}} | members


class PlacesPlant(Plant):
    """A site of devices that are objects of this process: profile and ``Registers`` by name."""

    def __init__(self, devices, policies):
        self.sources = devices
        super().__init__({"opt": {"category": "ai", "lane": "autonomous"}, "anna": {"category": "operator"}}, policies)

    def _start(self, issuers, policies, *_):
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-places-")))
        self.state = self.folder / "state"
        self.state.mkdir()
        port = rig.free_ports(1)
        self.faults, self.brokers = None, [rig.start_broker(self.stack, self.folder, port)]
        self.issuers = Issuers(self.folder, list(issuers))
        profiles = self.folder / "profiles" / "test"
        profiles.mkdir(parents=True)
        for name, text in (("places", PROFILE), ("simple", SIMPLE)):
            (profiles / f"{name}.yaml").write_text(text.lstrip())
        self.settings = {
            "gateway": {"id": "gw", "owner": "ops", "state": str(self.state)}, "profiles": [str(profiles.parent)],
            "connections": {name: {"tcp": f"127.0.0.1:{device.port}", "timeout": "400ms"}
                            for name, (_, device) in self.sources.items()},
            "devices": {name: {"profile": profile, "connection": name, "unit": 1, "owner": "energy"}
                        for name, (profile, _) in self.sources.items()},
            "publish": {"p0": {"mqtt": f"mqtt://127.0.0.1:{port}"}},
            "commands": {"issuers": {name: self.issuers.entry(name, **about) for name, about in issuers.items()},
                         "policies": policies}}
        self.ears = [Ear(self.stack, port)]
        self.ear, self.gateway = self.ears[0], None
        self.start()


class Case(unittest.TestCase):
    maxDiff = None

    def verified(self, point, value, **members):
        command = self.plant.send(set_command(point, value, **members))
        return command, self.plant.expect(command, "verified")

    def refused(self, point, value, code, **members):
        count = len(self.device.writes)
        event = self.plant.expect(self.plant.send(set_command(point, value, **members)), "rejected", code)
        self.assertEqual(len(self.device.writes), count)
        return event

    def guard(self, event, name):
        return next(guard for guard in event["guards"] if guard["guard"] == name)


class Places(Case):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)

        def shows(address):
            return lambda device, words: device.words.__setitem__(address, words[0])

        def swapped(device, words):
            device.words[8], device.words[9] = words[1], words[0]

        cls.device = Registers(
            cls.stack, {1: 5, 2: 20, 4: 35, 6: 35, 10: 200, 12: 0x7FC0, 14: 0x8000, 18: 20, 19: 20},
            {3: shows(4), 5: shows(6), 8: swapped, 20: lambda device, words: device.words.__setitem__(10, 10 * words[0]),
             27: lambda device, words: None, 28: lambda device, words: None}, {27, 28, 40})
        cls.plant = PlacesPlant({"d0": ("test/places", cls.device)}, {
            "coarse": policy("coarse", min=34, max=95, fallback=40), "whole": policy("whole"),
            "elsewhere": policy("remote", "hidden", step=10, fallback="previous"),
            "trigger": policy("trigger", allow_unverified=True, fallback=0), "forbidden": policy("forbidden", fallback=0),
            "forms": policy("swapped", "rescaled"), "first": policy("never", "marked", "zero", "refusing", "locked"),
            "slow": policy("slow", "slower")})
        cls.addClassCleanup(cls.plant.close)

    @classmethod
    def tearDownClass(cls):
        cls.plant.stop()
        cls.plant.verify()
        cls().assertEqual(cls.plant.ear.wrong, [])

    def test_a_value_in_several_places_is_described_with_each_of_them(self):
        def described():
            documents = [document for _, document, _ in self.plant.ear.documents["device/1"]]
            return {point["id"]: point["source"].get("parts") for point in documents[-1]["points"]} if documents else None

        parts = self.plant.ear.wait("device/1", described)
        self.assertEqual([part["address"] for part in parts["d0/halves"]], [50, 52])
        self.assertEqual([part.get("scale", 1) for part in parts["d0/sum"]], [1000, 1])

    # The value that is judged is the one that is written

    def test_a_value_between_two_steps_is_judged_as_the_registers_will_hold_it(self):
        for asked, held in ((95, 100), (34, 30)):
            event = self.refused("d0/coarse", asked, "out_of_limits")
            self.assertEqual((event["value"], event["asked"]), (held, asked))
            self.assertEqual(self.guard(event, "limits")["inputs"]["value"], held)
        command, event = self.verified("d0/coarse", 85)
        self.assertEqual((event["value"], event["asked"], event["readback"]), (80, 85, 80))
        slot = self.plant.ear.wait("slot", lambda: self.plant.slot("d0/coarse").get("slots"))[0]
        self.assertEqual((slot["value"], slot["asked"]), (80, 85))
        self.assertEqual(self.device.writes_to(1), [8])
        states = [leaf["event"] for leaf in self.plant.leaves()
                  if leaf["kind"] == "command" and leaf["event"]["id"] == command]
        self.assertEqual({(event["value"], event["asked"]) for event in states}, {(80, 85)})
        self.verified("d0/coarse", 90)
        self.assertEqual(self.device.writes_to(1), [8, 9])

    def test_a_register_without_scale_takes_whole_numbers(self):
        event = self.refused("d0/whole", 22.5, "bad_format")
        self.assertIn("whole numbers", event["note"])
        self.verified("d0/whole", 22.0)

    # A point is judged where it is confirmed

    def test_a_point_that_is_confirmed_elsewhere_is_judged_there(self):
        for name, write, shown in (("remote", 3, 4), ("hidden", 5, 6)):
            with self.subTest(name):
                point = f"d0/{name}"
                self.refused(point, 9, "step_limit")
                event = self.refused(point, 36, "expect_mismatch", expect={"value": 0, "tolerance": 0.1})
                self.assertEqual(self.guard(event, "expect")["inputs"]["measured"], 35)
                command, _ = self.verified(point, 40, expect={"value": 35, "tolerance": 0.1})
                time.sleep(1)  # polls of its own register, which shows 0
                self.assertEqual(self.plant.states(command)[-1], "verified")
                self.plant.expect(self.plant.send(other_command("release", point)), "approved")
                self.plant.restored(point)
                self.assertEqual(self.device.writes_to(write), [40, 35])
                command, _ = self.verified(point, 44)
                self.device.words[shown] = 77
                event = self.plant.expect(command, "overridden")
                self.assertEqual(event["actor"], "local")
                self.refused(point, 70, "local_control")

    def test_a_write_that_nothing_confirms_needs_a_policy_that_allows_it(self):
        self.refused("d0/forbidden", 5, "unverified")
        before = len(self.device.writes_to(27))
        expected = [{"point": "d0/tick", "change": 1, "unit": "Cel", "within_s": 1}]
        command = self.plant.send(set_command("d0/trigger", 5, lease={"seconds": 2}, rationale={"expected": expected}))
        event = self.plant.expect(command, "written", "unverified")
        self.assertEqual(event["value"], 5)
        slot = self.plant.ear.wait("slot", lambda: self.plant.slot("d0/trigger").get("slots"))[0]
        self.assertEqual((slot["id"], slot["value"]), (command, 5))
        self.plant.expect(command, "reverted", "unverified")
        self.assertEqual(self.device.writes_to(27)[before:], [5, 0])
        outcome = self.plant.ear.wait(
            "outcome", lambda: [o for _, o, _ in self.plant.ear.documents["outcome/1"] if o["id"] == command])[0]
        self.assertEqual((outcome["result"], outcome["usable"]), ("written_unverified", False))
        self.assertEqual([leaf for leaf in self.plant.leaves() if leaf["kind"] == "lane"], [])
        self.assertEqual((self.device.reads[27], self.device.reads[28]), (0, 0))

    def test_a_person_at_the_shell_is_shown_an_unverified_write_as_done(self):
        site = self.plant.folder / "headgate.yaml"
        done = self.plant.run("command", "set", "d0/trigger", 7, "--as", "anna", "--for", "2s", "--config", site)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("unverified", done.stdout + done.stderr)
        self.plant.restored("d0/trigger")

    def test_values_are_written_in_another_form_than_they_are_read(self):
        self.assertEqual(self.verified("d0/swapped", 0x12345)[1]["readback"], 0x12345)
        self.assertEqual(self.device.writes_to(8), [[0x2345, 1]])
        self.assertEqual(self.verified("d0/rescaled", 31)[1]["readback"], 31)
        self.assertEqual(self.device.writes_to(20), [31])
        time.sleep(0.6)
        for name in ("swapped", "rescaled"):
            self.assertEqual(len(self.plant.slot(f"d0/{name}")["slots"]), 1, name)

    # Nothing sensible before the first write

    def test_a_point_that_shows_nothing_before_its_first_write_can_be_written(self):
        for name, value in (("never", 30.5), ("marked", 30), ("zero", 30), ("refusing", 30)):
            with self.subTest(name):
                self.assertEqual(self.verified(f"d0/{name}", value)[1]["readback"], value)

    def test_a_refusal_names_the_value_that_is_in_the_way(self):
        for sender in ("opt", "anna"):
            origin = {"category": "ai" if sender == "opt" else "operator", "actor": sender}
            command = self.plant.send(set_command("d0/locked", 30, origin=origin), sender)
            event = self.plant.expect(command, "rejected", "device_unhealthy")
            self.assertEqual(self.guard(event, "device")["inputs"]["value"], 0)
            self.assertIn("impossible", json.dumps(self.guard(event, "device")))
            self.assertIn("it shows 0", event["note"])

    # Read when a command needs it

    def test_a_point_with_a_slow_period_is_commanded_right_after_a_start_and_a_reload(self):
        self.verified("d0/slow", 30)
        self.plant.settings["devices"]["d0"]["owner"] = "others"
        self.plant.settings["devices"]["d0"]["points"] = {"tick": {"deadband": 1}}
        self.plant.reload()
        self.verified("d0/slower", 30)


class PowerCycle(Case):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.device = Registers(cls.stack, {1: 15, 2: 16, 3: 17})
        cls.plant = PlacesPlant({"d0": ("test/simple", cls.device)}, {"all": policy("one", "two", "alone")})
        cls.addClassCleanup(cls.plant.close)

    def test_a_device_that_restarts_loses_its_setpoints_and_no_person_has_to_release_them(self):
        held = [self.verified("d0/one", 30)[0], self.verified("d0/two", 31)[0]]
        self.device.off()
        time.sleep(1.5)
        self.device.words.update({1: 0, 2: 0})
        self.device.on()
        for command in held:
            event = self.plant.expect(command, "reverted", seconds=40)
            self.assertIn("restarted", event["note"])
        self.assertEqual([self.device.words[1], self.device.words[2]], [20, 20])
        leaves = [leaf for leaf in self.plant.leaves() if leaf["kind"] == "device_restarted"]
        self.assertEqual({leaf["id"] for leaf in leaves}, set(held))
        self.verified("d0/one", 32)


if __name__ == "__main__":
    unittest.main()
