"""Files of the state folder that are put back from a copy, deleted or changed, and starts on a disk that takes nothing, with the
real gateway. What counts is what the device was told, and which seq and epoch a consumer saw. Loopback only."""

import collections
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import unittest

from plant import FALLBACK, Plant, SETPOINTS, rig, set_command

sys.path.insert(0, str(rig.ROOT / "Tests" / "Torture"))
from delivery import SmallDisk  # noqa: E402

POINTS = [f"d0/{name}" for name in SETPOINTS[:6]]
JOURNAL = ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"]
LEDGER = ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"]


class PutBack(unittest.TestCase):
    def setUp(self):
        self.begin()

    def begin(self):
        self.plant = Plant({"opt": {"category": "ai", "lane": "autonomous"}}, {
            "all": {"points": POINTS, "allow": ["opt"], "fallback": FALLBACK, "lease": {"max": "10m"}}})
        self.addCleanup(self.plant.close)
        self.state, self.kept = self.plant.state, self.plant.folder / "kept"

    def keep(self, names=None):
        """A copy of files of the state folder, or of all of it."""
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()
        for path in self.state.iterdir():
            if path.is_file() and (names is None or path.name in names):
                shutil.copy2(path, self.kept)

    def put_back(self, names=None):
        for name in names or [path.name for path in self.state.iterdir() if path.is_file()]:
            (self.state / name).unlink(missing_ok=True)
        for path in self.kept.iterdir():
            shutil.copy2(path, self.state)

    def execute(self, point, value):
        """A command that is carried out; what was sent, for a test that sends it again."""
        document = set_command(point, value, lease={"seconds": 300})
        payload = self.plant.issuers.sign(document, "opt")
        self.plant.publish(point, payload)
        self.plant.expect(document["id"], "verified")
        return document["id"], payload

    def rows(self):
        """(epoch, seq) → contents of what a consumer has seen."""
        found = collections.defaultdict(set)
        for schema in ("reading/1", "gap/1"):
            for _, document, _ in self.plant.ear.documents[schema]:
                found[document["seq"]].add((document["epoch"], str(document.get("readings", document.get("from_seq")))))
        return found

    def assert_nothing_came_twice(self):
        twice = {seq: contents for seq, contents in self.rows().items() if len(contents) > 1}
        self.assertEqual(list(twice), [])

    def highest(self):
        readings = [document for _, document, _ in self.plant.ear.documents["reading/1"]]
        return max(d["epoch"] for d in readings), max(d["seq"] for d in readings)

    def after_start(self, since):
        return [d for _, d, at in self.plant.ear.documents["reading/1"] if at > since]

    def test_a_journal_put_back_from_a_copy_of_the_same_run(self):
        for kill in (False, True):
            with self.subTest(kill=kill):
                time.sleep(0.6)
                self.keep(JOURNAL)
                time.sleep(1.5)
                epoch, seq = self.highest()
                self.plant.gateway.kill() if kill else self.plant.stop()
                self.put_back(JOURNAL)
                done = self.plant.run("journal", "verify", self.state)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn("put back", done.stdout + done.stderr)
                self.plant.start()
                time.sleep(0.5)
                self.assert_nothing_came_twice()
                self.assertGreater(self.highest()[1], seq)
                self.assertIn("put back", self.plant.gateway.tail(50))
        self.plant.stop()
        done = self.plant.run("journal", "verify", self.state)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_whole_state_folder_put_back(self):
        self.plant.stop()
        self.keep()
        time.sleep(1.2)
        self.plant.start()
        command, payload = self.execute(POINTS[0], 31)
        epoch, seq = self.highest()
        self.plant.gateway.kill()
        self.put_back()
        self.plant.start()
        time.sleep(0.5)
        self.assertGreater(self.highest()[0], epoch)
        self.assert_nothing_came_twice()
        before = len(self.plant.writes(POINTS[0]))
        self.plant.publish(POINTS[0], payload)
        event = self.plant.ear.wait("the refusal", lambda: next(
            (e for e in self.plant.ear.events[command] if e["state"] == "rejected"), None))
        self.assertEqual(event["code"], "expired")
        time.sleep(0.5)
        self.assertEqual(len(self.plant.writes(POINTS[0])), before, "executed twice")
        self.execute(POINTS[1], 32)  # what is issued now is followed

    def refused(self, payload, command, point, before):
        self.plant.publish(point, payload)
        event = self.plant.ear.wait("the refusal", lambda: next(
            (e for e in [*self.plant.ear.events[command], *self.plant.ear.unattributed]
             if e.get("code") == "audit_unavailable"), None))
        self.assertIn("ledger", event["note"])
        rig.wait_for("the log", 5, lambda: "nothing is commanded" in self.plant.gateway.tail(50))
        time.sleep(0.5)
        self.assertEqual(self.plant.writes(point)[:before], self.plant.writes(point), "executed twice")

    def test_a_ledger_put_back_within_a_minute_of_its_checkpoint_or_without_its_log(self):
        for names in (LEDGER, ["ledger.sqlite"]):
            with self.subTest(names=names):
                self.begin()
                self.keep(names)
                command, payload = self.execute(POINTS[2], 33 + len(names))
                self.plant.gateway.kill()
                good = self.plant.folder / "good"
                shutil.rmtree(good, ignore_errors=True)
                shutil.copytree(self.state, good, ignore=shutil.ignore_patterns("*.sock"))
                self.put_back(LEDGER)
                before = len(self.plant.writes(POINTS[2]))
                self.plant.start()
                self.refused(payload, command, POINTS[2], before)
                self.assertNotEqual(self.plant.run("audit", "verify", self.state).returncode, 0)
                self.assertIn("put back", self.plant.gateway.tail(200))
                # The newest brought back while the gateway runs ends it.
                for name in LEDGER:
                    (self.state / name).unlink(missing_ok=True)
                    if (good / name).exists():
                        shutil.copy2(good / name, self.state / name)
                rig.wait_for("the ledger", 30, lambda: "ledger takes entries again" in self.plant.gateway.tail(50))
                self.execute(POINTS[3], 40 + len(names))

    def test_a_ledger_whose_records_are_deleted_or_that_is_cut_short(self):
        def deleted():
            with sqlite3.connect(self.state / "ledger.sqlite") as database:
                database.execute("DELETE FROM record")

        def cut_short():
            # What is still in the log alone is not lost with the file.
            database = sqlite3.connect(self.state / "ledger.sqlite")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.close()
            os.truncate(self.state / "ledger.sqlite", 4096)

        for harm in (deleted, cut_short):
            with self.subTest(harm=harm):
                self.begin()
                command, payload = self.execute(POINTS[4], 41)
                before = len(self.plant.writes(POINTS[4]))
                harm()
                other = set_command(POINTS[5], 42)
                self.refused(self.plant.issuers.sign(other, "opt"), other["id"], POINTS[5], len(self.plant.writes(POINTS[5])))
                self.plant.gateway.kill()
                self.plant.start()
                self.refused(payload, command, POINTS[4], before)
                self.plant.gateway.kill()
                for name in [*LEDGER, "ledger.lock"]:
                    (self.state / name).unlink(missing_ok=True)
                self.plant.start()  # a new ledger follows nothing from before
                self.plant.publish(POINTS[4], payload)
                self.plant.expect(command, "rejected", "expired")
                self.execute(POINTS[3], 43)


class FullDisk(unittest.TestCase):
    POLICY = {"all": {"points": POINTS, "allow": ["opt"], "fallback": FALLBACK, "lease": {"max": "10m"}}}
    ISSUERS = {"opt": {"category": "ai", "lane": "autonomous"}}

    def volatile(self):
        return [d for _, d, _ in self.plant.ear.documents["reading/1"] if d.get("volatile")]

    def test_a_start_on_a_disk_that_refuses(self):
        for mode in ("enospc", "eio", "readonly"):
            with self.subTest(mode=mode):
                self.plant = Plant(self.ISSUERS, self.POLICY, faulty="journal.sqlite")
                try:
                    time.sleep(1)
                    self.plant.stop()
                    self.plant.faults.disk(mode)
                    self.plant.start()
                    self.plant.ear.wait("volatile readings", self.volatile)
                    before = len(self.volatile())
                    self.plant.faults.disk("none")
                    rig.wait_for("the disk", 15, lambda: "disk takes" in self.plant.gateway.tail(50) or not
                                 self.plant.ask("status").get("journal", {}).get("fault"))
                    time.sleep(1.5)
                    self.assertGreater(before, 0)
                    self.plant.stop()
                    done = self.plant.run("journal", "verify", self.plant.state)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                finally:
                    self.plant.close()

    @unittest.skipIf(os.geteuid() != 0, "mounting a small file system needs root")
    def test_a_start_on_a_full_file_system_ends_its_leases(self):
        self.plant = Plant(self.ISSUERS, self.POLICY)
        self.addCleanup(self.plant.close)
        self.plant.stop()
        try:
            small = SmallDisk(self.plant.stack, self.plant.state)
        except subprocess.CalledProcessError as error:
            self.skipTest(f"no small file system: {error}")
        self.plant.stack.callback(self.plant.gateway.stop)
        self.plant.start()
        document = set_command(POINTS[0], 35, lease={"seconds": 6})
        self.plant.send(document)
        self.plant.expect(document["id"], "verified")
        self.plant.gateway.kill()
        small.fill()
        self.plant.start()
        self.plant.ear.wait("readings", self.volatile, 15)
        rig.wait_for("the fallback", 20, lambda: self.plant.writes(POINTS[0])[-1] == (FALLBACK * 10, "done"))
        small.clear()
        rig.wait_for("the ledger", 20, lambda: "ledger takes entries again" in self.plant.gateway.tail(100))
        document = set_command(POINTS[1], 36)
        self.plant.send(document)
        self.plant.expect(document["id"], "verified")
        self.plant.gateway.stop()


if __name__ == "__main__":
    unittest.main()
