"""What `headgate devices` and `headgate read` tell of devices that refuse, or answer what was not asked; and how what was learned
of them is forgotten. The gateway's own program, devices in this process. Loopback only."""

import contextlib
import json
import pathlib
import subprocess
import tempfile
import time
import unittest

from plant import HEADGATE, rig
from registers import Registers

PROFILE = """
profile: test/row
title: Row
manufacturer: Test
model: Row
revision: 1
source: "Tests/Commands/devices_test.py"
defaults: {table: holding, type: uint16, every: 200ms}
points:
"""


class Odd(Registers):
    """Registers of which one has four bytes."""

    wide = None
    exception = None

    def _answer(self, request):
        if self.exception:
            return bytes([request[0] | 0x80, self.exception])
        answer = super()._answer(request)
        first, count = request[1] << 8 | request[2], request[3] << 8 | request[4]
        if self.wide is not None and first <= self.wide < first + count:
            answer = bytes([answer[0], answer[1] + 2]) + answer[2:] + b"\0\0"
        return answer


class Devices(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-devices-")))
        self.device = Odd(self.stack, {address: 7 for address in range(20)})
        profiles = self.folder / "profiles" / "test"
        profiles.mkdir(parents=True)
        points = "".join(f"  r{address}: {{address: {address}}}\n" for address in range(20))
        (profiles / "row.yaml").write_text(PROFILE.lstrip() + points)
        (self.folder / "state").mkdir()
        (self.folder / "headgate.yaml").write_text(json.dumps({
            "gateway": {"id": "gw", "owner": "ops", "state": str(self.folder / "state")},
            "profiles": [str(profiles.parent)],
            "publish": {"nowhere": {"mqtt": f"mqtt://127.0.0.1:{rig.free_ports(1)}"}},
            "connections": {"c": {"tcp": f"127.0.0.1:{self.device.port}", "timeout": "400ms"}},
            "devices": {"d0": {"profile": "test/row", "connection": "c", "unit": 1, "owner": "energy"}}}))

    def start(self):
        log = self.stack.enter_context((self.folder / "log").open("w"))
        gateway = subprocess.Popen([HEADGATE, "run", "--config", self.folder / "headgate.yaml"], stdout=log, stderr=log)
        self.stack.callback(gateway.wait)
        self.stack.callback(gateway.terminate)

    def shell(self, *words, code=0):
        done = subprocess.run([HEADGATE, *words, "--config", self.folder / "headgate.yaml"], capture_output=True, text=True,
                              timeout=30)
        if code is not None:
            self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done

    def shown(self, holds):
        """The device as `devices --json` shows it, once it is as `holds` says."""
        device = None
        for _ in range(100):
            done = self.shell("devices", "--json", code=None)
            device = json.loads(done.stdout)["devices"][0] if done.returncode == 0 else None
            if device and holds(device):
                return device
            time.sleep(0.1)
        self.fail(f"{device}\n{(self.folder / 'log').read_text()}")

    def learned(self):
        return json.loads((self.folder / "state" / "learned.json").read_text())["devices"]

    def test_what_was_learned_of_a_device_is_forgotten(self):
        self.device.unreadable.add(7)
        self.start()
        device = self.shown(lambda d: d["refused"])
        self.assertIn("exception 02 illegal data address", device["last_fault"])
        self.assertIn("last fault", self.shell("devices").stdout)
        for _ in range(50):
            if (self.folder / "state" / "learned.json").exists():
                break
            time.sleep(0.1)
        self.assertEqual(len(self.learned()), 1)
        self.device.unreadable.clear()
        done = self.shell("devices", "forget", "d0", "--json")
        self.assertEqual(json.loads(done.stdout)["forgotten"]["refused"], 1)
        self.assertEqual(self.learned(), [])
        device = self.shown(lambda d: d["state"] == "online")
        self.assertEqual(device["refused"], [])
        self.assertIn("d0: nothing was learned", self.shell("devices", "forget", "d0").stdout)
        self.assertIn("no device 'd9'", self.shell("devices", "forget", "d9", code=1).stderr)

    def test_without_a_gateway_nothing_is_forgotten(self):
        self.shell("devices", "forget", "d0", code=1)

    def test_one_register_of_odd_width_costs_only_itself(self):
        self.device.wide = 7
        self.start()
        device = self.shown(lambda d: d["state"] == "degraded" and d["refused"])
        self.assertIn("4 bytes", device["last_fault"])
        done = self.shell("read", "d0", code=1)
        lines = done.stdout.splitlines()
        self.assertEqual(sum("\tgood" in line for line in lines), 19, done.stdout)
        self.assertIn("protocol_error", lines[7])
        self.assertIn("4 bytes", done.stderr)

    def test_a_read_without_a_gateway_gives_what_the_device_gives(self):
        for wide, unreadable in ((7, set()), (None, {7})):
            self.device.wide, self.device.unreadable = wide, unreadable
            done = self.shell("read", "d0", code=1)
            self.assertEqual(sum("\tgood" in line for line in done.stdout.splitlines()), 19, done.stdout)
            self.assertIn("function 3 on holding 7: ", done.stderr)

    def test_a_busy_device_stays_online(self):
        self.start()
        self.shown(lambda d: d["state"] == "online")
        self.device.exception = 6
        device = self.shown(lambda d: d.get("trouble") == "device_busy")
        self.assertEqual(device["state"], "online")
        self.assertIn("exception 06 server device busy", device["last_fault"])
        self.assertIn("exception 06", self.shell("read", "d0/r0", code=1).stderr)


if __name__ == "__main__":
    unittest.main()
