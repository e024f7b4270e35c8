"""Leases, readings and retained documents when the site file changes, when the gateway starts without what it had, and when the
clock or the ledger are not what they were. What counts is what the devices' log says, and the audit export. Loopback only."""

import contextlib
import json
import signal
import threading
import time
import unittest

import judge
import rig
from judge import ISSUERS, Judged
from plant import ROOT, Ear, Plant, set_command, stamp

NAMES = ("opt", "anna", "carl")


def policy(*points, **members):
    return judge.policy(*points, allow=list(NAMES), **members)


class Lifetimes(Judged):
    def plant(self, policies=None, **options):
        plant = Plant({name: ISSUERS[name] for name in NAMES}, policies or {"free": policy("sp00", "sp01")}, **options)
        self.addCleanup(plant.close)
        return plant

    def take(self, plant, point="d0/sp00", value=31, **members):
        command = plant.send(set_command(point, value, **members))
        plant.expect(command, "verified")
        return command

    def status(self, plant):
        return plant.ask("status").get("commands", {})

    def retained(self, plant, topic):
        """What a broker gives to somebody who comes now."""
        with contextlib.ExitStack() as stack:
            ear = Ear(stack, plant.ports[0])
            time.sleep(0.7)
            return ear.retained.get(topic)

    def kinds(self, plant, kind):
        return [leaf for leaf in plant.leaves() if leaf["kind"] == kind]

    # Changes of the site file

    def test_a_point_that_is_read_once_a_minute_can_be_commanded_after_every_reload(self):
        plant = self.plant({"slow": policy("d1/sp00", evidence={"points": "d1/sp01", "max_age": "3m"})}, devices=2)
        plant.settings["devices"]["d1"]["every"] = "1m"
        plant.reload()
        time.sleep(1)
        before = 20
        for value in (21, 22, 23):
            plant.settings["commands"]["skew"] = f"{value}s"
            plant.reload()
            batch = [d for _, d, _ in plant.ear.documents["reading/1"] if d["device"] == "d1"][-1]
            row = next(row for row in batch["readings"] if row["point"] == "d1/sp01")
            evidence = [{"point": row["point"], "epoch": batch["epoch"], "n": row["n"], "value": row["value"]}]
            self.take(plant, "d1/sp00", value, expect={"value": before, "tolerance": 0.1}, evidence=evidence)
            before = value
        # Another unit is another device: what was read of the old one is of no use.
        plant.settings["devices"]["d1"]["unit"] = 2
        plant.stop()
        self.judge(plant)

    def test_what_a_reload_takes_away_goes_back_before_it_is_gone(self):
        plant = self.plant({"a": policy("sp00"), "b": policy("d1/sp00"), "c": policy("sp01")}, devices=2)
        for point in ("d0/sp00", "d1/sp00", "d0/sp01"):
            self.take(plant, point)
        del plant.settings["commands"]["policies"]["a"], plant.settings["devices"]["d1"]
        del plant.settings["connections"]["c1"], plant.settings["commands"]["policies"]["b"]
        plant.reload()
        self.assertEqual(plant.writes("d0/sp00"), [(310, "done"), (200, "done")])
        self.assertEqual(plant.writes("d1/sp00"), [(310, "done"), (200, "done")])
        self.assertEqual(plant.writes("d0/sp01"), [(310, "done")])
        plant.ear.wait("cleared", lambda: plant.ear.retained.get("c/slot/d0/sp00") == b"")
        plant.ear.wait("cleared", lambda: plant.ear.retained.get("c/slot/d1/sp00") == b"")
        self.assertFalse(self.retained(plant, "c/slot/d1/sp00"))
        self.assertNotIn("alarms", self.status(plant))
        plant.stop()
        self.judge(plant)

    def test_a_device_that_moves_goes_back_first_and_can_be_commanded_at_its_new_place(self):
        plant = self.plant({"a": policy("d1/sp00"), "b": policy("d0/sp01")}, devices=2)
        self.take(plant, "d1/sp00")
        plant.settings["devices"]["d1"]["unit"] = 2
        plant.reload()
        self.assertEqual(plant.writes("d1/sp00"), [(310, "done"), (200, "done")])
        since = time.time()
        plant.ear.wait("readings", lambda: any(
            d["device"] == "d1" and at > since + 0.5 for _, d, at in plant.ear.documents["reading/1"]))
        self.take(plant, "d1/sp00", 32)
        plant.stop()
        self.judge(plant)

    def test_a_write_that_is_out_when_the_site_file_changes_comes_to_its_end(self):
        plant = self.plant()
        plant.field.tell(0, "delay", 250)
        for value, change in ((31, "skew"), (32, "every")):
            command = plant.send(set_command("d0/sp00", value))
            plant.expect(command, "executing")
            if change == "skew":
                plant.settings["commands"]["skew"] = "40s"
            else:
                plant.settings["devices"]["d0"]["every"] = "300ms"
            plant.reload()
            plant.expect(command, "verified")
            self.assertNotIn("indeterminate", plant.states(command))
            self.write_of(plant, "d0/sp00", value)
        plant.field.tell(0, "normal")
        plant.stop()
        self.judge(plant)

    def test_hangups_and_a_stop_at_once_leave_nothing_behind(self):
        plant = self.plant()
        for turn, pause in enumerate((0, 0, 0.002, 0.01, 0.05, 0.2)):
            self.take(plant, value=30 + turn)
            for _ in range(2):
                plant.settings["commands"]["skew"] = "31s" if plant.settings["commands"].get("skew") != "31s" else "32s"
                plant.write_site()
                plant.gateway.child.send_signal(signal.SIGHUP)
                time.sleep(pause)
            since = len(plant.gateway.log.read_text())
            self.assertLess(plant.stop(25), 20)
            said = plant.gateway.log.read_text()[since:]
            self.assertIn("gateway stopped", said)
            self.assertNotIn("[", said.partition("gateway stopped")[2])
            self.assertEqual(plant.writes("d0/sp00")[-1], (200, "done"))
            self.assertEqual(plant.gateway.child.returncode, 0)
            plant.start()
        plant.stop()
        self.judge(plant)

    def test_a_hangup_in_the_first_moments_does_not_end_the_program(self):
        plant = self.plant()
        plant.stop()
        begin = threading.Thread(target=plant.start)
        known = plant.gateway
        begin.start()
        while plant.gateway is known:
            time.sleep(0.001)
        time.sleep(0.25)
        for _ in range(5):
            plant.gateway.child.send_signal(signal.SIGHUP)
            time.sleep(0.02)
        begin.join()
        self.take(plant)
        plant.stop()
        self.judge(plant)

    def test_a_reload_that_cannot_read_the_audit_key_changes_nothing(self):
        plant = self.plant()
        (plant.state / "audit.key").chmod(0o644)
        plant.settings["commands"]["skew"] = "33s"
        plant.write_site()
        plant.gateway.child.send_signal(signal.SIGHUP)
        rig.wait_for("the complaint", 10, lambda: "audit.key" in plant.gateway.tail())
        self.take(plant)
        (plant.state / "audit.key").chmod(0o600)
        plant.stop()
        self.judge(plant)

    # Starts without what was there

    def test_a_start_without_commands_returns_what_was_leased_and_clears_what_was_said(self):
        plant = self.plant()
        self.take(plant)
        plant.gateway.kill()
        commands = plant.settings.pop("commands")
        plant.start()
        plant.ear.wait("the fallback", lambda: plant.writes("d0/sp00") == [(310, "done"), (200, "done")])
        plant.ear.wait("cleared", lambda: plant.ear.retained.get("c/slot/d0/sp00") == b"")
        self.assertFalse(self.retained(plant, "c/slot/d0/sp00"))
        status = self.status(plant)
        self.assertEqual(status["state"], "ending")
        self.assertNotIn("alarms", status)
        command = plant.send(set_command("d0/sp00", 33))
        self.assertEqual(plant.ask("command carl {}")["code"], "not_writable")
        time.sleep(0.5)
        self.assertEqual(plant.states(command), [])
        plant.settings["commands"] = commands
        plant.stop()
        plant.start()
        self.take(plant, value=32)
        plant.stop()
        self.judge(plant)

    def test_a_lease_of_a_device_that_is_gone_is_told_at_each_start_and_recorded_once(self):
        plant = self.plant({"b": policy("d1/sp00"), "c": policy("sp01")}, devices=2)
        command = self.take(plant, "d1/sp00")
        kept = json.loads(json.dumps(plant.settings))
        for _ in range(2):
            plant.gateway.kill()
            plant.settings["devices"].pop("d1", None)
            plant.settings["connections"].pop("c1", None)
            plant.settings["commands"]["policies"].pop("b", None)
            since = len(plant.gateway.log.read_text())
            plant.start()
            time.sleep(1)
            alarm = self.status(plant)["alarms"][0]
            self.assertEqual((alarm["point"], alarm["fallback"]), ("d1/sp00", 20))
            said = plant.gateway.log.read_text()[since:]
            line = next(line for line in said.splitlines() if "a point is not at its fallback" in line)
            for word in ("error", "d1/sp00", "fallback=20", "by hand"):
                self.assertIn(word, line)
            slot = json.loads(self.retained(plant, "c/slot/d1/sp00"))
            self.assertTrue(slot["alarm"])
        self.assertEqual(plant.states(command)[-1], "revert_failed")
        self.assertEqual([leaf["point"] for leaf in self.kinds(plant, "orphaned")], ["d1/sp00"])
        self.assertEqual(plant.writes("d1/sp00"), [(310, "done")])
        plant.gateway.kill()
        plant.settings = kept
        plant.start()
        plant.restored("d1/sp00")
        self.assertEqual(plant.writes("d1/sp00"), [(310, "done"), (200, "done")])
        plant.stop()
        self.judge(plant)

    def test_an_alarm_that_only_a_person_can_end_is_acknowledged_for_good(self):
        plant = self.plant({"b": policy("d1/sp00"), "c": policy("sp01")}, devices=2)
        self.take(plant, "d1/sp00")
        plant.gateway.kill()
        for kind, name in (("devices", "d1"), ("connections", "c1")):
            plant.settings[kind].pop(name)
        plant.settings["commands"]["policies"].pop("b")
        plant.start()

        def acknowledge(point):
            return plant.run("command", "acknowledge", point, "--reason", "20 by hand", "--as", "carl", "--state", plant.state)

        self.assertEqual(acknowledge("d0/sp01").returncode, 1)
        done = acknowledge("d1/sp00")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.status(plant).get("alarms", []), [])
        rig.wait_for("the slot to be cleared", 5, lambda: not self.retained(plant, "c/slot/d1/sp00"))
        plant.gateway.kill()
        plant.start()
        time.sleep(1)
        self.assertEqual(self.status(plant).get("alarms", []), [])
        self.assertEqual([(leaf["by"], leaf["reason"]) for leaf in self.kinds(plant, "acknowledged")],
                         [("carl", "20 by hand")])
        plant.stop()
        self.judge(plant)

    # Without a ledger

    def test_without_its_ledger_the_gateway_ends_leases_and_begins_nothing(self):
        plant = self.plant(faulty="ledger.sqlite")
        ending = self.take(plant, lease={"seconds": 4})
        lasting = self.take(plant, "d0/sp01", 32, lease={"seconds": 50})
        plant.faults.disk("enospc")
        plant.expect(plant.send(set_command("d0/sp00", 33)), "rejected", "audit_unavailable")
        plant.ear.wait("the fallback", lambda: plant.writes("d0/sp00") == [(310, "done"), (200, "done")], 8)
        status = self.status(plant)
        self.assertEqual(status["state"], "refused")
        self.assertGreater(status["unrecorded"], 0)
        line = next(line for line in plant.gateway.tail(50).splitlines() if "fallback written without an audit entry" in line)
        for word in ("error", ending, "d0/sp00", "value=20"):
            self.assertIn(word, line)
        # What only this process knows must not be lost by a change of the site file.
        plant.settings["commands"]["skew"] = "40s"
        with self.assertRaisesRegex(AssertionError, "ledger.*not applied"):
            plant.reload()
        self.assertEqual(plant.states(ending)[-1], "verified")
        self.assertEqual(len(plant.writes("d0/sp01")), 1)
        plant.faults.disk("none")
        plant.expect(ending, "reverted")
        self.assertEqual(plant.states(lasting)[-1], "verified")
        away = self.kinds(plant, "ledger_away")
        self.assertEqual([leaf["writes"] for leaf in away], [1])
        self.assertEqual([leaf["late"] for leaf in self.kinds(plant, "revert")], [True])
        self.take(plant, value=34)
        plant.reload()
        plant.stop()
        self.judge(plant)

    def test_killed_before_the_ledger_is_back_the_lease_is_over_all_the_same(self):
        plant = self.plant(faulty="ledger.sqlite")
        command = self.take(plant, lease={"seconds": 2})
        plant.faults.disk("eio")
        plant.ear.wait("the fallback", lambda: plant.writes("d0/sp00") == [(310, "done"), (200, "done")], 8)
        plant.gateway.kill()
        plant.faults.disk("none")
        plant.start()
        plant.expect(command, "reverted")
        self.assertEqual(plant.writes("d0/sp00")[2:], [(200, "done")])
        plant.stop()
        plant.verify()
        # The one that no entry explains is the one that the log tells of.
        self.assertEqual(len(judge.unexplained(plant.field.writes(), plant.leaves())), 1)
        self.assertIn("fallback written without an audit entry", plant.gateway.log.read_text())

    def test_a_stop_without_a_ledger_takes_back_what_is_leased(self):
        plant = self.plant(faulty="ledger.sqlite")
        self.take(plant)
        plant.faults.disk("enospc")
        self.assertLess(plant.stop(), 15)
        self.assertEqual(plant.writes("d0/sp00"), [(310, "done"), (200, "done")])
        self.assertIn("audit entries are lost", plant.gateway.log.read_text())

    # Clocks

    def test_a_clock_that_was_set_back_before_a_start_lengthens_no_lease(self):
        plant = self.plant(faulty="nothing")
        self.take(plant, lease={"seconds": 4})
        plant.gateway.kill()
        plant.faults.clock(-7200)
        begun = time.monotonic()
        plant.start()
        plant.ear.wait("the fallback", lambda: len(plant.writes("d0/sp00")) == 2, 12)
        self.assertLess(time.monotonic() - begun, 9)
        self.assertEqual(plant.writes("d0/sp00")[-1], (200, "done"))
        plant.stop()
        plant.verify()

    # Orders and people

    def test_orders_of_other_gateways_and_copies_of_orders_unlock_nothing(self):
        plant = self.plant()

        def locked(value):
            plant.ear.wait(f"lockout {value}", lambda: bool(plant.slot("d0/sp00").get("lockout")) == value)

        off = {"schema": "control/1", "order": "lockout", "scope": "site", "on": False, "issued": stamp(), "expires": stamp(240)}
        foreign, nameless, own = (plant.issuers.sign(off | extra, "anna") for extra in (
            {"gateway": "gw-other"}, {}, {"gateway": "gw"}))
        plant.order("anna", order="lockout", scope="site", on=True)
        locked(True)
        for payload in (foreign, nameless):
            plant.ear.publish(f"{ROOT}/c/ctl", payload)
        time.sleep(0.7)
        locked(True)
        plant.ear.publish(f"{ROOT}/c/ctl", own)
        locked(False)
        plant.order("anna", order="lockout", scope="site", on=True, reason="again")
        locked(True)
        for _ in range(2):
            plant.ear.publish(f"{ROOT}/c/ctl", own)
            time.sleep(0.7)
            locked(True)
            plant.gateway.kill()
            plant.start()
        plant.expect(plant.send(set_command("d0/sp00", 31)), "rejected", "locked_out")
        plant.stop()
        self.judge(plant)

    def test_two_people_who_ask_for_the_same_both_hear_what_became_of_it(self):
        plant = self.plant()
        plant.field.tell(0, "delay", 300)
        request = "command carl " + json.dumps(set_command("d0/sp00", 31, origin={"category": "local", "actor": "carl"}))
        answers = {}

        def ask(name):
            begun = time.monotonic()
            answers[name] = (plant.ask(request), time.monotonic() - begun)

        threads = [threading.Thread(target=ask, args=(name,)) for name in ("first", "second")]
        for thread in threads:
            thread.start()
            time.sleep(0.15)
        for thread in threads:
            thread.join()
        plant.field.tell(0, "normal")
        states = [event["state"] for event in answers["first"][0]["events"]]
        self.assertEqual(states[-1], "verified")
        for answer, seconds in answers.values():
            self.assertLess(seconds, 8)
            self.assertTrue(answer["events"])
        self.write_of(plant, "d0/sp00", 31)
        plant.stop()
        self.judge(plant)


if __name__ == "__main__":
    unittest.main()
