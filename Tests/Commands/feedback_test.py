"""What comes back to those who send, decide and judge: answers to one broker, reasons, metrics, who was at the socket,
watchdogs that are fed. The gateway's own program, private brokers, devices in a process of their own. Loopback only."""

import json
import os
import pwd
import stat
import time
import unittest

from judge import ISSUERS, Judged, policy
from plant import ROOT, SCHEMAS, Plant, origin, other_command, set_command


class Answers(Judged):
    """Two brokers: what one of them asks is not answered at the other."""

    @classmethod
    def setUpClass(cls):
        cls.plant = Plant(ISSUERS, {"free": policy("sp00", "sp01", "sp02")}, brokers=2)
        cls.addClassCleanup(cls.plant.close)

    @classmethod
    def tearDownClass(cls):
        cls.plant.stop()
        cls().judge(cls.plant)

    def answers(self, ear, command):
        return [answer for answer in ear.answers if answer[2]["id"] == command]

    def test_an_answer_goes_to_the_broker_that_was_asked_and_events_to_all(self):
        plant, (first, second) = self.plant, self.plant.ears
        command = plant.send(set_command("d0/sp00", 21), ear=second, ResponseTopic="answers/opt")
        for ear in plant.ears:
            plant.expect(command, "verified", ear=ear)
        second.wait("answer", lambda: [a for a in self.answers(second, command) if a[2]["state"] == "verified"])
        # What the first broker is asked later is answered there: by then a stray answer would have arrived.
        later = plant.send(set_command("d0/sp01", 21), ResponseTopic="answers/opt")
        first.wait("answer", lambda: [a for a in self.answers(first, later) if a[2]["state"] == "verified"])
        self.assertEqual(self.answers(first, command), [])
        self.assertEqual(self.answers(second, later), [])

    def test_no_answer_becomes_a_command_or_a_retained_word_of_the_gateway(self):
        plant, ear = self.plant, self.plant.ear
        known = plant.figures()["requests"]
        topics = [f"{ROOT}/c/req/d0/sp02", f"{ROOT}/c/ctl", f"{ROOT}/c/slot/d0/sp02", f"{ROOT}/r/d0", "$SYS/broker/x"]
        for value, topic in enumerate(topics, 22):
            command = plant.send(set_command("d0/sp02", value), ResponseTopic=topic)
            plant.expect(command, "verified")
        figures = plant.figures()
        self.assertEqual((figures["requests"] - known, figures.get("junk", 0)), (len(topics), 0))
        for answer in ear.documents["event/1"]:
            self.assertIn("/c/evt/", answer[0].replace("answers/", "/c/evt/"))

class People(Judged):
    """What people say at the shell, and what becomes of it: reasons, renewals, cancellations, who was there."""

    @classmethod
    def setUpClass(cls):
        me = pwd.getpwuid(os.getuid()).pw_name
        people = {"dora": {"category": "operator", "keyless": True, "accounts": [me]},
                  "emil": {"category": "operator", "keyless": True, "accounts": ["nobody"]},
                  "fritz": {"category": "operator", "keyless": True}}
        names = [*ISSUERS, *people]
        held = {"approval": {"by": ["anna", "dora"], "within": "1m"}}
        cls.plant = Plant(ISSUERS | people, {
            "free": policy("sp00", "sp01", "sp02", "sp03", allow=names), "held": policy("sp10", "sp11", allow=names, **held)})
        cls.addClassCleanup(cls.plant.close)

    @classmethod
    def tearDownClass(cls):
        cls.plant.stop()
        cls().judge(cls.plant)

    def shell(self, *words, code=0):
        done = self.plant.run("command", *words, "--config", self.plant.folder / "headgate.yaml")
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done

    def foretold(self):
        return {"expected": [{"point": "d0/sp20", "change": 0, "unit": "Cel", "within_s": 2}]}

    def outcome(self, command):
        ear = self.plant.ear
        # A journal that cannot be read at the horizon is asked again after a minute.
        return ear.wait("outcome", lambda: [
            o for _, o, _ in ear.documents["outcome/1"] if o["id"] == command], 80)[0]

    def row(self, command):
        done = self.plant.run("command", "export", "--format", "jsonl", "--state", self.plant.state)
        self.assertEqual(done.returncode, 0, done.stderr)
        return next(row for row in map(json.loads, done.stdout.splitlines()) if row["id"] == command)

    def test_an_override_carries_its_reason_to_the_outcome_and_the_export(self):
        command = self.plant.send(set_command("d0/sp00", 21, rationale=self.foretold()))
        self.plant.expect(command, "verified")
        self.shell("set", "d0/sp00", "22", "--for", "30s", "--reason", "comfort", "--note", "hall 2", "--as", "fritz")
        self.assertEqual(self.plant.expect(command, "preempted")["reason"], "comfort")
        self.shell("release", "d0/sp00", "--reason", "own words", "--as", "fritz")
        outcome = self.outcome(command)
        told = {key: outcome["intervention"][key] for key in ("kind", "by", "reason", "note")}
        self.assertEqual(told, {"kind": "preempted", "by": "fritz", "reason": "comfort", "note": "hall 2"})
        self.assertEqual(outcome["reason"], "comfort")
        self.assertEqual(self.row(command)["intervention"]["reason"], "comfort")

    def test_a_denial_carries_its_reason_to_the_outcome_and_the_export(self):
        command = self.plant.send(set_command("d0/sp10", 21, rationale=self.foretold()))
        self.plant.expect(command, "held")
        self.plant.decide(command, "anna", "deny", reason="wrong_data", note="T4 is off")
        event = self.plant.expect(command, "denied")
        self.assertEqual((event["reason"], event["note"]), ("wrong_data", "wrong_data"))
        outcome = self.outcome(command)
        self.assertEqual((outcome["reason"], outcome["intervention"]["note"], outcome["deciders"]),
                         ("wrong_data", "T4 is off", ["anna"]))
        self.assertIn("after_s", outcome["intervention"])
        decision = self.row(command)["decision"]
        self.assertEqual((decision["reason"], decision["note"], decision["by"]), ("wrong_data", "T4 is off", ["anna"]))

    def metrics(self, *words):
        done = self.plant.run("command", "metrics", "--json", "--state", self.plant.state, *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        SCHEMAS["metrics/1"].validate(document)
        return document

    def test_metrics_are_the_same_from_the_gateway_after_a_restart_and_from_the_file(self):
        plant = self.plant
        denied = plant.send(set_command("d0/sp10", 26), "rival")
        plant.expect(denied, "held")
        plant.decide(denied, "anna", "deny", reason="timing")
        plant.expect(denied, "denied")
        taken = plant.send(set_command("d0/sp03", 26), "rival")
        plant.expect(taken, "verified")
        self.shell("set", "d0/sp03", "27", "--for", "5s", "--reason", "safety", "--as", "fritz")
        plant.expect(taken, "preempted")
        # Until the point is back: the next start must find nothing to be done.
        self.shell("release", "d0/sp03", "--as", "fritz")
        plant.ear.wait("back", lambda: plant.states(taken)[-1] == "verified")
        live = self.metrics("--issuer", "rival")
        rows = {row["point"]: row for row in live["rows"]}
        self.assertEqual((rows["d0/sp10"]["denial"], rows["d0/sp10"]["denial_reasons"]), (1, {"timing": 1}))
        self.assertEqual((rows["d0/sp03"]["override"], rows["d0/sp03"]["override_reasons"]), (1, {"safety": 1}))
        self.assertEqual(rows["d0/sp03"]["override_after_s"]["n"], 1)
        self.assertEqual([row["point"] for row in self.metrics("--point", "d0/sp10", "--issuer", "rival")["rows"]], ["d0/sp10"])
        self.assertIn("rival", self.shell("metrics", "--state", plant.state).stdout)
        plant.stop()
        offline = self.metrics("--issuer", "rival")
        plant.start()
        again = self.metrics("--issuer", "rival")
        # The stop took back what was leased, which is no person's doing.
        for later in (offline, again):
            self.assertEqual(later["total"], live["total"])
        plant.ear.wait("status", lambda: [
            s for _, s, at in plant.ear.documents["status/1"] if s.get("commands", {}).get("metrics", {}).get("denied")], 40)

    def test_renew_and_cancel_are_about_one_command(self):
        self.shell("set", "d0/sp01", "23", "--for", "20s", "--as", "fritz")
        own = json.loads(self.shell("list", "--json", "--state", self.plant.state).stdout)["commands"]
        own = next(entry for entry in own if entry["point"] == "d0/sp01")
        self.shell("renew", own["id"], "--for", "50s", "--as", "fritz")
        slot = self.plant.ear.wait("renewed", lambda: next(
            (s for s in self.plant.slot("d0/sp01")["slots"] if s["until"] > own["until"]), None))
        self.assertEqual(slot["id"], own["id"])
        self.shell("renew", own["id"], "--as", "dora", code=1)
        self.shell("cancel", own["id"], "--as", "fritz", code=1)
        held = [self.plant.send(set_command("d0/sp11", value), name) for value, name in ((24, "opt"), (25, "rival"))]
        for command in held:
            self.plant.expect(command, "held")
        self.shell("cancel", held[0], "--reason", "timing", "--as", "fritz")
        event = self.plant.expect(held[0], "cancelled")
        self.assertEqual((event["actor"], event["reason"]), ("fritz", "timing"))
        self.assertEqual(self.plant.states(held[1])[-1], "held")
        self.shell("cancel", held[0], "--as", "fritz", code=1)

    def test_the_socket_is_for_owner_and_group_and_the_audit_says_who_was_there(self):
        path = self.plant.state / "control.sock"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
        document = set_command("d0/sp02", 22, origin=origin("operator"), lease={"seconds": 30})
        self.assertEqual(self.plant.ask("command dora " + json.dumps(document))["events"][-1]["state"], "verified")
        history = self.plant.ask(f"commands {document['id']}")["events"][0]
        self.assertEqual((history["issuer"], history["signed"], history["account"]["uid"]), ("dora", False, os.getuid()))
        shown = self.shell("show", document["id"], "--state", self.plant.state).stdout
        self.assertIn(f"dora (socket: {pwd.getpwuid(os.getuid()).pw_name}, uid {os.getuid()})", shown)
        answer = self.plant.ask("command emil " + json.dumps(document | {"id": document["id"][:-1] + "0"}))
        self.assertEqual(answer["code"], "not_authorised")
        # A signature is worth more than a claim: what anna signs has no account, what is said in her name here is not signed.
        signed = self.plant.send(set_command("d0/sp02", 23, origin=origin("operator")), "anna")
        self.plant.expect(signed, "verified")
        claimed = other_command("release", "d0/sp02", origin=origin("operator"))
        self.plant.ask("command anna " + json.dumps(claimed))
        leaves = {leaf["event"]["id"]: leaf for leaf in self.plant.leaves() if leaf["kind"] == "command" and "request" in leaf}
        self.assertEqual([leaves[i]["signed"] for i in (signed, claimed["id"])], [True, False])
        self.assertEqual(["account" in leaves[i] for i in (signed, claimed["id"])], [False, True])


class WatchedPlant(Plant):
    """Device 0 has a watchdog at register 60, which the site's policy lets the gateway feed."""

    def profile(self, every):
        folder = super().profile(every)
        file = folder / "test" / "plant.yaml"
        text = file.read_text().replace("  fixed: {address: 60, scale: 0.1}", "  beat: {address: 60, write: {mode: single, min: 0, max: 9}}")
        file.write_text(text.replace("points:\n", "watchdog: {point: beat, every: 200ms, values: count, covers: [sp00]}\npoints:\n"))
        return folder


class Watchdogs(Judged):
    """A watchdog is fed while the gateway commands, starved by a lockout and by a kill; leases say what they are worth."""

    def test_a_watchdog_is_fed_and_starved(self):
        plant = WatchedPlant(ISSUERS, {
            "free": policy("sp00", "sp01"), "beat": {"points": ["d0/beat"], "watchdog": "feed"}})
        self.addCleanup(plant.close)

        def beats():
            return [row[4] for row in plant.field.writes(0, 60)]

        def state():
            return plant.ask("status")["commands"]["watchdogs"]["d0"]

        plant.ear.wait("beats", lambda: len(beats()) >= 12)
        numbers = beats()
        self.assertEqual([(first + 1) % 10 for first in numbers], numbers[1:] + [(numbers[-1] + 1) % 10])
        self.assertEqual((state()["state"], state()["point"]), ("fed", "d0/beat"))
        guarded, other = plant.send(set_command("d0/sp00", 21)), plant.send(set_command("d0/sp01", 21))
        for command in (guarded, other):
            plant.expect(command, "verified")
        slots = [plant.ear.wait("slot", lambda p=p: plant.slot(p).get("slots"))[0] for p in ("d0/sp00", "d0/sp01")]
        self.assertEqual([slot["enforced_by"] for slot in slots], ["device", "gateway"])
        self.assertEqual(["note" in slot for slot in slots], [False, True])
        nobody = plant.send(set_command("d0/beat", 1, unit="Cel"))
        plant.expect(nobody, "rejected", "not_authorised")
        plant.order("anna", order="lockout", scope="site", on=True)
        plant.ear.wait("starved", lambda: state()["state"] == "stopped")
        count = len(beats())
        time.sleep(1)
        self.assertEqual(len(beats()), count)
        plant.order("anna", order="lockout", scope="*", on=False)
        plant.ear.wait("fed again", lambda: len(beats()) > count + 5)
        plant.gateway.kill()
        count = len(beats())
        time.sleep(1)
        self.assertEqual(len(beats()), count)
        plant.start()
        plant.ear.wait("fed after the kill", lambda: len(beats()) > count + 5)
        plant.stop()
        told = [leaf["state"] for leaf in plant.leaves() if leaf["kind"] == "watchdog"]
        self.assertEqual(told, ["started", "stopped", "started", "started", "stopped"])
        plant.verify()
        self.assertEqual(plant.ear.wrong, [])


if __name__ == "__main__":
    unittest.main()
