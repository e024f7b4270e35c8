"""Governed commands from the broker to the device and back: the gateway's own program, a private mosquitto, devices that
clamp, refuse and fall silent. What counts is what the devices' log says, and the audit export. Loopback only."""

import base64
import hashlib
import json
import subprocess
import time
import unittest
import uuid

from judge import ISSUERS, Judged, policy
from plant import ROOT, Plant, base64url, compact, origin, other_command, set_command, stamp


class Site(Judged):
    """Cases that share one gateway: each has points of its own."""

    @classmethod
    def setUpClass(cls):
        cls.plant = Plant(ISSUERS, {
            "free": policy("sp00", "sp01", "sp02", "multiple", "coil", "masked", fallback="previous"),
            "unsigned": policy("sp03", unsigned="allow"),
            "bounds": policy("sp04", min=10, max=50, step=5),
            "rate": policy("sp05", rate="2/h"),
            "interval": policy("sp06", min_interval="3s"),
            "guarded": policy("sp07", "sp08", interlocks=["d3/sp00 == 20"]),
            "held": policy("sp09", "sp10", "sp11", approval={"by": ["anna", "ben"], "above_step": 2, "within": "1m"}),
            "two": policy("sp12", approval={"by": ["anna", "ben"], "count": 2, "within": "5s"}),
            "ceiling": policy("sp13", allow={"opt": "shadow", "rival": "advise", "anna": "write"}),
            "lanes": policy("sp14", "sp15"),
            "leases": policy("sp16", "sp17", "sp18", "sp19", "sp20", lease={"max": "2s"}),
            "renewed": policy("sp21", "sp22", "sp23"),
            "locked": policy("sp24", "sp25", "sp26"),
            "evidence": policy("sp27", evidence={"points": "d0/sp00", "max_age": "10s"}),
            "closed": policy("sp28", allow=["anna"]),
            "clamp": policy("d1/sp00"), "refuse": policy("d1/sp01"), "late": policy("d1/sp02"),
            "silent": policy("d2/sp00", "d2/sp01", "d2/sp02", lease={"max": "1m"}),
        }, devices=4)
        cls.addClassCleanup(cls.plant.close)

    @classmethod
    def tearDownClass(cls):
        cls.plant.stop()
        cls().judge(cls.plant)

    def setUp(self):
        self.send, self.expect = self.plant.send, self.plant.expect

    def refused(self, command, code, point):
        before = self.plant.writes(point)
        event = self.expect(command, "rejected", code)
        self.assertEqual(self.plant.writes(point), before)
        return event

    # Writing

    def test_a_command_is_written_once_and_verified(self):
        command = self.send(set_command("d0/sp00", 21.5))
        event = self.expect(command, "verified")
        self.assertEqual(event["readback"], 21.5)
        self.assertEqual(self.plant.states(command), ["received", "approved", "executing", "written", "verified"])
        self.write_of(self.plant, "d0/sp00", 21.5)
        self.plant.ear.wait("slot", lambda: (self.plant.slot("d0/sp00").get("slots") or [{}])[0].get("id") == command)

    def test_every_kind_of_write(self):
        for point, value, unit, code in (("multiple", 33.25, "Cel", 16), ("coil", True, "Cel", 5), ("masked", 9, "1", 22)):
            command = self.send(set_command(f"d0/{point}", value, unit=unit))
            self.assertEqual(self.expect(command, "verified")["readback"], value)
            self.assertIn(code, {row[2] for row in self.plant.field.writes(0)})

    def test_a_clamped_write_failed_and_goes_back(self):
        self.plant.field.tell(1, "clamp", 150, 300)
        command = self.send(set_command("d1/sp00", 41))
        event = self.expect(command, "failed", "verify_mismatch")
        self.assertEqual((event["readback"], event["note"]), (30, "the device clamped it"))
        self.expect(command, "reverted")
        self.plant.field.tell(1, "normal")
        self.assertEqual(self.plant.writes("d1/sp00"), [(410, "clamped"), (200, "clamped")])
        lanes = [leaf for leaf in self.plant.leaves() if leaf["kind"] == "lane" and leaf["point"] == "d1/sp00"]
        self.assertEqual([(leaf["from"], leaf["to"]) for leaf in lanes], [("autonomous", "supervised")])

    def test_a_write_that_the_device_refuses_failed_and_is_not_repeated(self):
        self.plant.field.tell(1, "refuse", 3)
        command = self.send(set_command("d1/sp01", 41))
        self.assertIn("exception 3", self.expect(command, "failed", "device_rejected")["note"])
        self.plant.field.tell(1, "normal")
        time.sleep(0.5)
        self.assertEqual(self.plant.writes("d1/sp01"), [(410, "refused")])

    def test_a_slow_device_is_waited_for(self):
        self.plant.field.tell(1, "delay", 150)
        command = self.send(set_command("d1/sp02", 42))
        self.expect(command, "verified")
        self.plant.field.tell(1, "normal")
        self.write_of(self.plant, "d1/sp02", 42)

    def test_after_a_silence_the_read_back_decides_and_nothing_is_written_twice(self):
        for mode, point, state in (("swallow", "d2/sp00", "verified"), ("drop", "d2/sp01", "failed")):
            self.plant.field.tell(2, mode)
            command = self.send(set_command(point, 43))
            self.expect(command, "indeterminate")
            self.plant.field.tell(2, "normal")
            self.expect(command, state, seconds=15)
            self.write_of(self.plant, point, 43)
            # The device is asked again by polls before the next case, so that it counts as healthy.
            self.plant.ear.wait("health", lambda: self.healthy("d2"), 15)

    def test_what_a_converter_delivers_late_is_seen_also_after_it_was_given_up(self):
        def silent(value):
            self.plant.field.tell(2, "drop")
            command = self.send(set_command("d2/sp02", value))
            self.expect(command, "indeterminate")
            self.plant.field.tell(2, "normal")
            return command

        command = silent(44)
        time.sleep(3)  # read back more than once, and the old value each time
        self.assertEqual(self.plant.states(command)[-1], "indeterminate")
        self.plant.field.tell(2, "set", 2, 440)
        self.expect(command, "verified")
        self.expect(self.send(other_command("release", "d2/sp02")), "approved")
        self.plant.restored("d2/sp02")
        command = silent(45)
        self.expect(command, "failed", "verify_mismatch", seconds=20)
        self.plant.field.tell(2, "set", 2, 450)
        self.plant.ear.wait("taken back", lambda: self.plant.writes("d2/sp02")[3:])
        # Asked for once each, taken back once each.
        self.assertEqual([raw for raw, _ in self.plant.writes("d2/sp02")], [440, 200, 450, 200])
        self.assertEqual([leaf["id"] for leaf in self.plant.leaves() if leaf["kind"] == "late_write"], [command])

    def test_a_lane_taken_down_to_shadow_takes_back_what_is_held(self):
        command = self.send(set_command("d0/sp19", 55, lease={"seconds": 2}), "careful")
        self.expect(command, "verified")
        self.plant.order("anna", order="lane", issuer="careful", point="d0/sp19", lane="shadow", reason="comfort")
        self.expect(command, "reverted")
        self.assertEqual([event["reason"] for event in self.plant.ear.events[command] if "reason" in event], ["comfort"])
        self.expect(self.send(set_command("d0/sp19", 56), "careful"), "shadowed")
        self.assertEqual(self.plant.writes("d0/sp19"), [(550, "done"), (200, "done")])

    def healthy(self, device):
        now = time.time()
        return any(document["device"] == device and now - at < 1 and document["readings"][0]["quality"] == "good"
                   for _, document, at in self.plant.ear.documents["reading/1"])

    # Attributing

    def test_the_same_id_with_the_same_bytes_is_written_once_and_gets_the_same_answer(self):
        document = set_command("d0/sp01", 22.5)
        command = self.send(document)
        first = self.expect(command, "verified")
        self.send(document)
        events = self.plant.ear.wait("second answer", lambda: self.plant.ear.events[command][5:])
        self.assertEqual([(e["state"], e["readback"]) for e in events], [("verified", first["readback"])])
        self.write_of(self.plant, "d0/sp01", 22.5)
        self.send(document | {"value": 23.5})
        self.refused(command, "duplicate_conflict", "d0/sp01")
        known = len(self.plant.ear.events[command])
        # Somebody else's message, and a copy, say nothing under the id of a command that is in effect.
        self.send(document, "rival")
        self.send(document, retain=True)
        self.plant.publish("d0/sp01", b"", retain=True)
        self.plant.ear.wait("two refusals", lambda: {"duplicate_conflict", "bad_format"} <= {
            event["code"] for event in self.plant.ear.unattributed if event["point"] == "d0/sp01"})
        self.assertEqual(self.plant.ear.events[command][known:], [])
        self.write_of(self.plant, "d0/sp01", 23.5, 0)

    def test_retained_expired_and_future_requests_are_refused(self):
        command = self.send(set_command("d0/sp02", 24), retain=True)
        self.plant.publish("d0/sp02", b"", retain=True)
        self.refused(command, "bad_format", "d0/sp02")
        command = self.send(set_command("d0/sp02", 24, issued=stamp(-70), expires=stamp(-10)))
        self.refused(command, "expired", "d0/sp02")
        command = self.send(set_command("d0/sp02", 24, issued=stamp(120), expires=stamp(180)))
        self.refused(command, "time_skew", "d0/sp02")
        command = self.send(set_command("d0/sp02", 24, expires=stamp(7200)))
        self.refused(command, "bad_format", "d0/sp02")
        self.write_of(self.plant, "d0/sp02", 24, 0)

    def unattributed(self, point, payload, code):
        known = len(self.plant.ear.unattributed)
        before = self.plant.writes(point)
        self.plant.publish(point, payload)
        event = self.plant.ear.wait(code, lambda: self.plant.ear.unattributed[known:])[0]
        self.assertEqual((event["id"], event["code"], event["point"]), (None, code, point))
        self.assertEqual(self.plant.writes(point), before)

    def test_what_nobody_signed_as_it_should_be_is_not_attributed(self):
        issuers, payload = self.plant.issuers, json.dumps(set_command("d0/sp02", 25)).encode()
        good = issuers.sign(set_command("d0/sp02", 25), "opt")
        head, body, signature = good.split(b".")
        forgeries = [
            compact({"alg": "HS256", "kid": "nobody"}, payload, issuers.secrets["opt"]),
            compact({"alg": "HS256", "kid": "rival"}, payload, issuers.secrets["opt"]),
            compact({"alg": "HS256"}, payload, issuers.secrets["opt"]),
            compact({"alg": "HS256", "kid": "anna"}, payload, issuers.public["anna"]),
            compact({"alg": "HS256", "kid": "anna"}, payload, base64url(issuers.public["anna"])),
            base64url(b'{"alg":"none","kid":"opt"}') + b"." + base64url(payload) + b".",
            base64url(b'{"alg":"none","kid":"opt"}') + b"." + base64url(payload) + b"." + signature,
            compact({"alg": "HS256", "kid": "opt", "crit": ["exp"]}, payload, issuers.secrets["opt"]),
            head + b"." + base64url(payload.replace(b"25", b"45")) + b"." + signature, good[:-3], b"junk", b""]
        for forgery in forgeries:
            with self.subTest(forgery=forgery[:60]):
                self.unattributed("d0/sp02", forgery, "bad_signature")
                time.sleep(0.2)  # junk is answered so often and no more

    def test_a_document_that_says_something_else_than_its_topic_is_refused(self):
        time.sleep(1)
        signed = self.plant.issuers.sign(set_command("d0/sp00", 26), "opt")
        self.unattributed("d0/sp02", signed, "bad_format")
        for members, word in (({"surprise": 1}, "surprise"), ({"expires": None}, "expires"), ({"id": "7"}, "id")):
            document = set_command("d0/sp02", 26, **members)
            known = len(self.plant.ear.unattributed)
            self.plant.publish("d0/sp02", self.plant.issuers.sign(document, "opt"))
            if word == "id":
                event = self.plant.ear.wait(word, lambda: self.plant.ear.unattributed[known:])[0]
            else:
                event = self.refused(document["id"], "bad_format", "d0/sp02")
            self.assertIn(word, event["note"])
        command = self.send(set_command("d0/sp02", 26, target={"gateway": "other", "point": "d0/sp02"}))
        self.refused(command, "unknown_point", "d0/sp02")

    def test_an_unsigned_request_needs_a_policy_that_allows_it(self):
        who = {"category": "ai", "actor": "plain"}
        command = self.send(set_command("d0/sp02", 27, origin=who), None)
        self.refused(command, "bad_signature", "d0/sp02")
        command = self.send(set_command("d0/sp03", 27, origin=who), None)
        self.expect(command, "verified")
        self.write_of(self.plant, "d0/sp03", 27)
        received = [leaf for leaf in self.plant.leaves()
                    if leaf["kind"] == "command" and leaf["event"]["id"] == command and "signed" in leaf]
        self.assertEqual([leaf["signed"] for leaf in received], [False])

    def test_mqtt_5_response_topic_and_correlation_data(self):
        command = self.send(set_command("d0/sp00", 28), ResponseTopic="answers/opt", CorrelationData=b"\x00\x01four")
        self.expect(command, "verified")
        ear = self.plant.ear
        ear.wait("answer", lambda: [a for a in ear.answers if a[2]["id"] == command and a[2]["state"] == "verified"])
        self.assertEqual({(topic, bag) for topic, bag, document in ear.answers if document["id"] == command},
                         {("answers/opt", b"\x00\x01four")})

    def test_who_proves_nothing_gets_no_answer_on_a_topic_of_his_choice(self):
        time.sleep(1)
        ear, known = self.plant.ear, len(self.plant.ear.answers)
        decision = f"{ROOT}/c/decide/0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11"
        for topic in (f"{ROOT}/c/req/d0/sp02", decision, f"{ROOT}/c/ctl"):
            ear.publish(topic, b"junk", ResponseTopic="answers/junk", CorrelationData=topic.encode())
        command = self.send(set_command("d0/sp03", 28), ResponseTopic="answers/opt", CorrelationData=b"after the junk")
        ear.wait("answer", lambda: [a for a in ear.answers if a[2]["id"] == command and a[2]["state"] == "verified"])
        self.assertEqual({topic for topic, _, _ in ear.answers[known:]}, {"answers/opt"})

    def test_a_message_that_is_too_large_is_refused(self):
        time.sleep(0.5)
        for size in (70_000, 3_000_000):
            self.unattributed("d0/sp02", b"x" * size, "bad_format")
        self.assertGreaterEqual(self.plant.figures()["junk"], 2)

    # Guards

    def test_points_and_issuers_that_no_policy_names(self):
        for point, code in (("d0/sp29", "not_writable"), ("d0/fixed", "not_writable"), ("d9/sp00", "unknown_point")):
            command = self.send(set_command(point, 29))
            self.expect(command, "rejected", code)
        self.refused(self.send(set_command("d0/sp28", 29)), "not_authorised", "d0/sp28")
        self.refused(self.send(set_command("d0/sp02", 29, origin=origin("local"))), "not_authorised", "d0/sp02")
        self.assertEqual(self.plant.field.writes(0, 29), [])

    def test_limits_step_and_unit(self):
        point = "d0/sp04"
        for value, code in ((9.9, "out_of_limits"), (50.1, "out_of_limits"), (25.5, "step_limit")):
            self.refused(self.send(set_command(point, value)), code, point)
        self.refused(self.send(set_command(point, 22, unit="K")), "bad_unit", point)
        self.refused(self.send(set_command(point, "warm")), "bad_format", point)
        self.refused(self.send(set_command(point, 22, expect={"value": 19, "tolerance": 0.5})), "expect_mismatch", point)
        self.expect(self.send(set_command(point, 25, expect={"value": 20, "tolerance": 0.05})), "verified")
        self.plant.ear.wait("the new value", lambda: self.reading(point) == 25)
        self.expect(self.send(set_command(point, 29.9)), "verified")  # the step is from what is measured now

    def reading(self, point):
        for _, document, _ in reversed(self.plant.ear.documents["reading/1"]):
            for row in document["readings"]:
                if row["point"] == point:
                    return row["value"]
        return None

    def test_rate_and_interval(self):
        for value in (31, 32):
            self.expect(self.send(set_command("d0/sp05", value)), "verified")
        self.refused(self.send(set_command("d0/sp05", 33)), "rate_limit", "d0/sp05")
        self.expect(self.send(set_command("d0/sp06", 31)), "verified")
        self.refused(self.send(set_command("d0/sp06", 32)), "min_interval", "d0/sp06")
        time.sleep(3)
        self.expect(self.send(set_command("d0/sp06", 33)), "verified")

    def test_interlocks_true_false_and_unknown(self):
        command = self.send(set_command("d0/sp07", 34))
        self.expect(command, "verified")
        self.plant.field.tell(3, "set", 0, 210)  # the condition no longer holds
        self.expect(command, "reverted")
        self.plant.ear.wait("the sensor", lambda: self.reading("d3/sp00") == 21)
        self.refused(self.send(set_command("d0/sp08", 34)), "interlock", "d0/sp08")
        self.plant.field.tell(3, "set", 0, 200)
        self.plant.ear.wait("the sensor", lambda: self.reading("d3/sp00") == 20)
        held = self.send(set_command("d0/sp08", 35))
        self.expect(held, "verified")
        self.plant.field.tell(3, "deaf")
        self.expect(held, "reverted", seconds=20)  # nobody knows any longer
        self.refused(self.send(set_command("d0/sp07", 36)), "interlock_unknown", "d0/sp07")
        self.plant.field.tell(3, "normal")
        self.assertEqual([word for word, _ in self.plant.writes("d0/sp08")], [350, 200])

    def test_evidence_must_be_named_recent_and_true(self):
        def refused(code, *evidence):
            self.refused(self.send(set_command("d0/sp27", 37, evidence=list(evidence))), code, "d0/sp27")

        refused("evidence_stale")
        _, batch, _ = [entry for entry in self.plant.ear.documents["reading/1"] if entry[1]["device"] == "d0"][-1]
        row = next(row for row in batch["readings"] if row["point"] == "d0/sp00")
        named = {"point": "d0/sp00", "epoch": batch["epoch"], "n": row["n"], "value": row["value"]}
        refused("evidence_bad", named | {"value": 99})
        refused("evidence_stale", named | {"epoch": 999})
        self.expect(self.send(set_command("d0/sp27", 37, evidence=[named])), "verified")

    # Lanes and people

    def test_shadow_writes_nothing(self):
        cases = (("shady", "d0/sp14", {}), ("opt", "d0/sp14", {"mode": "shadow"}), ("opt", "d0/sp13", {}))
        for name, point, members in cases:
            event = self.expect(self.send(set_command(point, 38, **members), name), "shadowed")
            self.assertGreater(len(event["guards"]), 10)
        self.write_of(self.plant, "d0/sp13", 38, 0)
        self.write_of(self.plant, "d0/sp14", 38, 0)

    def held(self, command):
        self.expect(command, "held")
        return self.plant.ear.wait("held", lambda: json.loads(self.plant.ear.retained.get(f"c/held/{command}") or b"null"))

    def released_from_hold(self, command):
        self.plant.ear.wait("held cleared", lambda: self.plant.ear.retained.get(f"c/held/{command}") == b"")

    def test_advice_is_held_then_approved_or_denied(self):
        command = self.send(set_command("d0/sp09", 21), "adviser")
        self.assertEqual(self.held(command)["approvers"], ["anna", "ben"])
        self.write_of(self.plant, "d0/sp09", 21, 0)
        self.plant.decide(command, "carl")  # not an approver
        self.plant.decide(command, "adviser")  # a machine, and the one that asked
        self.plant.ear.wait("two refusals", lambda: [
            (event["state"], event["code"], event["actor"]) for event in self.plant.ear.events[command][2:]
        ] == [("held", "not_authorised", "carl"), ("held", "not_authorised", "adviser")])
        self.plant.decide(command, "ben")
        self.assertEqual(self.expect(command, "approved")["actor"], "ben")
        self.expect(command, "verified")
        self.released_from_hold(command)
        self.write_of(self.plant, "d0/sp09", 21)
        command = self.send(set_command("d0/sp09", 22), "adviser")
        self.held(command)
        self.plant.decide(command, "anna", "deny", reason="maintenance", note="belt")
        event = self.expect(command, "denied", "approval_denied")
        self.assertEqual((event["actor"], event["note"]), ("anna", "maintenance"))
        self.released_from_hold(command)
        self.write_of(self.plant, "d0/sp09", 22, 0)

    def test_an_approval_is_worth_what_was_shown_here_and_now(self):
        payload = self.plant.issuers.sign(set_command("d0/sp09", 21.5), "adviser")
        command = json.loads(base64.urlsafe_b64decode(payload.split(b".")[1] + b"=="))["id"]
        self.plant.publish("d0/sp09", payload)
        held = self.held(command)
        self.assertEqual(held["digest"], "sha256:" + hashlib.sha256(payload).hexdigest())
        self.assertLessEqual(held["until"], held["command"]["expires"])
        self.assertIn(held["from"], (20, 21, 22))
        other = "sha256:" + hashlib.sha256(payload + b" ").hexdigest()
        for wrong, code in [({"gateway": "gw2"}, "unknown_point"), ({"digest": other}, "duplicate_conflict"),
                            ({"digest": None}, "bad_format"), ({"gateway": None}, "bad_format"),
                            ({"expires": stamp(400)}, "bad_format"), ({"expires": stamp(-1), "issued": stamp(-9)}, "expired")]:
            known = len(self.plant.ear.events[command])
            self.plant.decide(command, "ben", **wrong)
            event = self.plant.ear.wait(f"refusal of {wrong}", lambda: self.plant.ear.events[command][known:])[0]
            self.assertEqual((event["state"], event["code"], event["actor"]), ("held", code, "ben"), wrong)
        state = ["--state", self.plant.state]
        listed = json.loads(self.plant.run("command", "list", "--json", *state).stdout)
        row = [row for row in listed["commands"] if row["id"] == command][0]
        self.assertEqual((row["digest"], row["until"]), (held["digest"], held["until"]))
        self.assertIn(held["digest"], self.plant.run("command", "show", command, *state).stdout)
        approve = ["command", "approve", command, "--as", "fritz", *state]
        for words, status in [([], 64), (["--digest", "12345"], 64), (["--digest", other[:20]], 1)]:
            done = self.plant.run(*approve, *words, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        self.assertEqual(self.plant.states(command)[-1], "held")
        self.plant.decide(command, "ben")
        self.expect(command, "verified")
        self.write_of(self.plant, "d0/sp09", 21.5)

    def test_stops_of_a_machine_leave_a_person_the_last_word(self):
        point = "d0/sp10"
        size = len(self.plant.leaves())
        for _ in range(3000):
            self.plant.order("adviser", order="lockout", scope=f"point:{point}", on=True, reason=str(uuid.uuid4()))
        self.plant.ear.wait("lockout", lambda: self.plant.slot(point).get("lockout"))
        self.plant.order("anna", order="lockout", scope=f"point:{point}", on=False)
        self.plant.ear.wait("no lockout", lambda: self.plant.slot(point).get("lockout") is None, 30)
        self.assertLess(len(self.plant.leaves()) - size, 50)

    def test_supervised_writes_small_steps_and_holds_large_ones(self):
        self.expect(self.send(set_command("d0/sp10", 21), "careful"), "verified")
        command = self.send(set_command("d0/sp10", 24.5), "careful")
        self.held(command)
        self.plant.decide(command, "anna")
        self.expect(command, "verified")
        self.expect(self.send(set_command("d0/sp11", 30)), "verified")  # autonomous: above_step is not for it

    def test_two_persons_neither_of_them_the_issuer(self):
        command = self.send(set_command("d0/sp12", 39, origin=origin("operator")), "anna")
        self.held(command)
        self.plant.decide(command, "anna")
        self.plant.decide(command, "ben")
        time.sleep(0.5)
        self.assertEqual(self.plant.states(command)[-1], "held")
        self.expect(command, "expired", "approval_timeout")
        command = self.send(set_command("d0/sp12", 40))
        self.held(command)
        self.plant.decide(command, "anna")
        self.plant.decide(command, "anna")
        told = self.plant.ear.wait("one of two", lambda: [
            held for _, held, _ in self.plant.ear.documents["held/1"] if held["id"] == command and held["approvals"]])[0]
        self.assertEqual(told["approvals"], ["anna"])
        self.assertGreater(len(told["guards"]), 10)  # who decides second sees them, too
        time.sleep(0.3)
        self.write_of(self.plant, "d0/sp12", 40, 0)
        self.plant.decide(command, "ben")
        self.expect(command, "verified")
        self.write_of(self.plant, "d0/sp12", 40)

    def test_promotion_by_topic_and_by_socket_one_step_at_a_time(self):
        lane = {"order": "lane", "issuer": "pilot", "point": "d0/sp15"}
        self.plant.order("pilot", **lane, lane="advise")  # not a person
        known = len(self.plant.ear.unattributed)
        self.plant.order("anna", **lane, lane="supervised")  # two steps
        told = self.plant.ear.wait("why not", lambda: [
            e for e in self.plant.ear.unattributed[known:] if e.get("actor") == "anna"])[0]
        self.assertEqual((told["point"], told["code"]), ("d0/sp15", "not_ready"))
        self.expect(self.send(set_command("d0/sp15", 41), "pilot"), "shadowed")
        self.plant.order("anna", **lane, lane="advise", reason="a month in the shadow")
        self.plant.ear.wait("advise", lambda: self.promoted("advise"))
        command = self.send(set_command("d0/sp15", 42), "pilot")
        self.held(command)
        answer = self.plant.ask("order ben " + json.dumps(lane | {"lane": "supervised", "reason": "goes well"}))
        self.assertEqual(answer, {"done": True})
        self.expect(self.send(set_command("d0/sp15", 43), "pilot"), "verified")
        self.expect(command, "superseded")
        answer = self.plant.ask("order opt " + json.dumps(lane | {"lane": "autonomous"}))
        self.assertEqual(answer["code"], "not_authorised")

    def promoted(self, to):
        time.sleep(0.2)
        return [leaf for leaf in self.plant.leaves() if leaf["kind"] == "lane" and leaf["to"] == to
                and leaf["issuer"] == "pilot"]

    # Leases

    def test_a_lease_ends_at_the_fallback(self):
        command = self.send(set_command("d0/sp16", 44, lease={"seconds": 1}))
        self.expect(command, "verified")
        self.expect(command, "reverted")
        self.assertEqual(self.plant.writes("d0/sp16"), [(440, "done"), (200, "done")])

    def test_renew_and_release(self):
        command = self.send(set_command("d0/sp17", 45))
        self.expect(command, "verified")
        for _ in range(3):
            time.sleep(1)
            self.expect(self.send(other_command("renew", "d0/sp17")), "approved")
        self.assertEqual(self.plant.states(command)[-1], "verified")  # 3 s with a lease of 2
        self.expect(self.send(other_command("release", "d0/sp17")), "approved")
        self.expect(command, "released")
        self.plant.restored("d0/sp17")
        self.assertEqual(self.plant.writes("d0/sp17"), [(450, "done"), (200, "done")])

    def test_nobody_takes_a_point_from_another_machine_and_a_person_takes_it_from_both(self):
        command = self.send(set_command("d0/sp21", 46))
        self.expect(command, "verified")
        self.refused(self.send(set_command("d0/sp21", 47), "rival"), "held_by_other", "d0/sp21")
        person = self.send(set_command("d0/sp21", 48, origin=origin("operator")), "anna")
        self.expect(person, "verified")
        self.expect(command, "preempted")
        self.refused(self.send(set_command("d0/sp21", 49)), "held_by_other", "d0/sp21")
        self.expect(self.send(other_command("release", "d0/sp21", origin=origin("operator")), "anna"), "approved")
        self.plant.ear.wait("back", lambda: self.plant.states(command)[-1] == "verified")
        self.assertEqual([word for word, _ in self.plant.writes("d0/sp21")], [460, 480, 460])

    def test_a_hand_at_the_device_wins(self):
        command = self.send(set_command("d0/sp22", 50))
        self.expect(command, "verified")
        self.plant.field.tell(0, "set", 22, 333)
        self.assertEqual(self.expect(command, "overridden")["actor"], "local")
        self.refused(self.send(set_command("d0/sp22", 51)), "local_control", "d0/sp22")
        why = {"id": command, "order": "explain", "reason": "comfort", "note": "hall 2"}
        self.assertEqual(self.plant.ask("order carl " + json.dumps(why)), {"done": True})
        told = self.plant.ear.wait("why", lambda: [e for e in self.plant.ear.events[command] if e.get("reason")])
        self.assertEqual((told[0]["state"], told[0]["reason"], told[0]["actor"]), ("overridden", "comfort", "carl"))
        rows = self.plant.run("commands", "export", "--format", "jsonl", "--state", self.plant.state).stdout.splitlines()
        row = next(row for row in map(json.loads, rows) if row["id"] == command)
        self.assertEqual((row["intervention"]["by"], row["intervention"]["reason"]), ("local", "comfort"))
        answer = self.plant.ask("command carl " + json.dumps(other_command("release", "d0/sp22", origin=origin("local"))))
        self.assertIn("events", answer)
        self.plant.restored("d0/sp22")
        self.assertEqual([word for word, _ in self.plant.writes("d0/sp22")], [500, 200])

    def test_a_person_at_the_socket(self):
        document = set_command("d0/sp23", 52, origin=origin("local"), lease={"seconds": 30})
        rehearsed = self.plant.ask("rehearse carl " + json.dumps(document))
        self.assertNotIn("refuse", {guard["verdict"] for guard in rehearsed["guards"]})
        self.write_of(self.plant, "d0/sp23", 52, 0)
        answer = self.plant.ask("command carl " + json.dumps(document))
        self.assertEqual(answer["events"][-1]["state"], "verified")
        self.write_of(self.plant, "d0/sp23", 52)
        self.assertEqual(self.plant.ask("command opt " + json.dumps(document))["code"], "not_authorised")
        history = self.plant.ask(f"commands {document['id']}")
        self.assertEqual(history["events"][0]["issuer"], "carl")

    def test_without_a_sign_of_life_the_issuer_loses_the_point(self):
        command = self.send(set_command("d0/sp18", 53, lease={"seconds": 60}), "beating")
        self.expect(command, "verified")
        quiet = time.monotonic()
        self.expect(command, "reverted")
        self.assertGreater(time.monotonic() - quiet, 1.5)
        self.assertEqual([word for word, _ in self.plant.writes("d0/sp18")], [530, 200])

    def test_lockout_by_topic_socket_and_file(self):
        def lock(scope, on):
            self.plant.order("anna", order="lockout", scope=scope, on=on, reason="test")

        def by_socket(scope, on):
            order = {"order": "lockout", "scope": scope, "on": on, "reason": "test"}
            self.assertEqual(self.plant.ask("order carl " + json.dumps(order)), {"done": True})

        def by_file(scope, on):
            path = self.plant.state / "lockout"
            path.touch() if on else path.unlink()

        cases = ((lock, "d0/sp24", "point:d0/sp24"), (by_socket, "d0/sp25", "device:d0"), (by_file, "d0/sp26", "site"))
        for way, point, scope in cases:
            with self.subTest(scope):
                command = self.send(set_command(point, 54))
                self.expect(command, "verified")
                way(scope, True)
                self.expect(command, "reverted")
                self.assertEqual(self.plant.writes(point), [(540, "done"), (200, "done")])
                self.refused(self.send(set_command(point, 55)), "locked_out", point)
                carl = self.send(set_command(point, 55, origin=origin("local")), "carl")
                self.refused(carl, "locked_out", point)
                way(scope, False)
                self.plant.ear.wait("unlocked", lambda: "lockout" not in self.plant.slot(point))
        self.write_of(self.plant, "d0/sp24", 55, 0)


if __name__ == "__main__":
    unittest.main()
