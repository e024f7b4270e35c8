"""kill -9 at any moment while commands are taken, written and taken back. What counts is what the devices' log says, and the
audit export. HEADGATE_TEST_SEED repeats a run. Loopback only."""

import collections
import os
import random
import time
import unittest

import judge
from plant import FALLBACK, Plant, other_command, set_command

KILLS = int(os.environ.get("HEADGATE_TEST_KILLS", 32))
POINTS = [f"d{device}/sp{i:02}" for device in range(2) for i in range(3)]
MACHINE = {"category": "ai", "lane": "autonomous"}


class Killed(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("HEADGATE_TEST_SEED", random.randrange(1 << 32)))
        self.dice = random.Random(self.seed)
        self.plant = Plant({name: MACHINE for name in ("opt", "other")}, {
            "all": {"points": POINTS, "allow": ["opt", "other"], "fallback": FALLBACK, "lease": {"max": "1m"}}}, devices=2)
        self.addCleanup(self.plant.close)
        self.sent = []

    def burst(self):
        """Some commands, each with a value that nothing else asks for."""
        for _ in range(self.dice.randint(2, 5)):
            point, number = self.dice.choice(POINTS), len(self.sent)
            if number and self.dice.random() < 0.15:
                self.plant.send(other_command("release", point), "opt")
                continue
            lease = {"seconds": self.dice.choice((0.5, 2, 30))}
            document = set_command(point, 30 + number / 10, lease=lease)
            self.sent.append((document, self.plant.issuers.sign(document, "opt")))
            self.plant.publish(point, self.sent[-1][1])
            time.sleep(self.dice.uniform(0, 0.03))

    def kill(self):
        """Mostly while something is on its way, sometimes when it has come to a rest."""
        time.sleep(self.dice.choice((self.dice.uniform(0, 0.05), self.dice.uniform(0, 0.3), self.dice.uniform(0.5, 1.2))))
        self.plant.gateway.kill()

    def test_killed_at_any_moment_nothing_is_written_twice_or_without_an_entry(self):
        with self.subTest(seed=self.seed):
            for device in range(2):
                self.plant.field.tell(device, "delay", 10)
            for _ in range(KILLS):
                self.burst()
                self.kill()
                self.plant.start()
            for document, payload in self.sent[-50:]:  # whoever heard no answer sends again
                self.plant.publish(document["target"]["point"], payload)
                time.sleep(0.11)
            for point in POINTS:
                self.plant.send(other_command("release", point), "opt")
            self.plant.stop(30)
            self.plant.verify()
            leaves, writes = self.plant.leaves(), self.plant.field.writes()
            self.assertEqual(judge.unexplained(writes, leaves), [])
            self.assertEqual(judge.disorders(leaves), [])
            self.judge_ids(writes, leaves)
            self.assertEqual(self.plant.ear.wrong, [])

    def judge_ids(self, writes, leaves):
        """Each value belongs to one id: a device saw it once, and again only where its successor was taken back."""
        asked = collections.Counter(row[4] for row in writes)
        back = collections.Counter(round(leaf["value"] * 10) for leaf in leaves if leaf["kind"] == "revert")
        self.assertEqual({raw: count for raw, count in asked.items() if count > back[raw] + 1}, {})
        last = {}
        for leaf in leaves:
            if leaf["kind"] == "command":
                last[leaf["event"]["id"]] = (leaf["event"]["point"], leaf["event"]["state"])
        unfinished = {command: at for command, at in last.items() if at[1] in ("executing", "indeterminate", "reverting")}
        self.assertEqual(unfinished, {})
        # The stop took every lease back.
        for point in POINTS:
            self.assertIn(self.plant.writes(point)[-1:], ([], [(FALLBACK * 10, "done")]), point)
        lost = sum(leaf["kind"] == "command" and leaf["event"]["state"] == "indeterminate" for leaf in leaves)
        print(f"{KILLS} kills, seed {self.seed}: {len(self.sent)} commands, {len(writes)} writes, "
              f"{lost} killed while they were written")


if __name__ == "__main__":
    unittest.main()
