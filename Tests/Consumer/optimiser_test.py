"""The example optimiser, tried: what it asks for, and how it takes each answer. The gateway is a script, the broker and the
signatures are real. What the script says is held against the shipped schemas too. Loopback only."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import secrets
import signal
import sys
import tempfile
import threading
import time
import unittest

import jsonschema

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "Benchmark"))
import rig  # noqa: E402

try:
    import jwt  # noqa: F401  what the optimiser signs with; checked here by other means
    import paho.mqtt.client as mqtt
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
except ImportError:
    mqtt = None

OPTIMISER = ROOT / "docs" / "examples" / "optimiser.py"
POINT, TOPIC = "chiller1/chw_setpoint", "headgate/v1/gw"
SCHEMAS = {path.name.split("-")[0]: json.loads(path.read_text())
           for path in (ROOT / "Sources" / "Payloads" / "Schemas").glob("*.schema.json")}


def valid(document):
    jsonschema.Draft202012Validator(SCHEMAS[document["schema"].partition("/")[0]]).validate(document)
    return document


def now(seconds=0):
    moment = time.time() + seconds
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1000):03}Z"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def make_key(algorithm):
    """A JSON Web Key as `headgate keys generate` writes it, and a check of a signature."""
    about = {"kid": "chw-opt", "alg": algorithm, "use": "sig"}
    if algorithm == "HS256":
        secret = secrets.token_bytes(32)

        def check(text, signature):
            assert hmac.compare_digest(hmac.digest(secret, text, hashlib.sha256), signature), "bad signature"
        return {"kty": "oct", "k": b64(secret)} | about, check
    private = Ed25519PrivateKey.generate()
    seed = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return ({"kty": "OKP", "crv": "Ed25519", "x": b64(public), "d": b64(seed)} | about,
            lambda text, signature: private.public_key().verify(signature, text))


class Gateway:
    """Says what a test tells it to say, and publishes readings ten times a second."""

    def __init__(self, port, check, quality="good", extra={}):
        self.check, self.requests, self.times, self.troubles = check, [], [], []
        self.answers = lambda request: None
        self.values = {POINT: (6.5, "Cel"), "chiller1/chw_supply_temp": (6.6, "Cel"), "meter1/power_total": (100000.0, "W")}
        self.quality, self.extra, self.n, self.seq = quality, extra, 0, 0
        self.stopped = threading.Event()
        versions = getattr(mqtt, "CallbackAPIVersion", None)
        named = {"client_id": "gateway", "protocol": mqtt.MQTTv5}
        self.client = mqtt.Client(versions.VERSION2, **named) if versions else mqtt.Client(**named)
        self.client.on_connect = lambda *_: self.client.subscribe(f"{TOPIC}/c/req/#", 1)
        self.client.on_message = self.take
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def stop(self):
        self.stopped.set()
        self.thread.join(5)
        self.client.loop_stop()

    def read(self):
        while not self.stopped.wait(0.1):
            self.n += 1
            for device in ("chiller1", "meter1"):
                readings = [
                    {"point": point, "def": "00112233445566aa", "time": now(), "unit": unit, "quality": self.quality, "n": self.n,
                     "value": None if self.quality == "bad" else value}
                    | ({} if self.quality == "good" else {"reasons": ["stale" if self.quality == "uncertain" else "timeout"]})
                    for point, (value, unit) in self.values.items() if point.startswith(device)]
                if readings and self.client.is_connected():
                    self.say(f"r/{device}", {"schema": "reading/1", "gateway": "gw", "epoch": 3, "seq": self.n, "sent": now(),
                                             "device": device, "readings": readings} | self.extra)

    def take(self, _, __, message):
        """Everything that can be wrong with a request is kept for the test's end: this is paho's thread."""
        try:
            head, body, signature = bytes(message.payload).split(b".")
            header = json.loads(unb64(head.decode()))
            assert header["kid"] == "chw-opt" and header["alg"] in ("EdDSA", "HS256"), header
            self.check(head + b"." + body, unb64(signature.decode()))
            request = valid(json.loads(unb64(body.decode())))
            assert message.topic == f"{TOPIC}/c/req/{POINT}" and not message.retain, message.topic
            assert request["target"] == {"gateway": "gw", "point": POINT}, request
            self.requests.append(request)
            self.times.append(time.monotonic())
            self.answers(request)
        except Exception as error:  # noqa: BLE001
            self.troubles.append(f"{message.payload!r}: {error!r}")

    def say(self, topic, document, retain=False):
        self.client.publish(f"{TOPIC}/{topic}", json.dumps(valid(document)), 1 if topic.startswith(("c/", "o/")) else 0, retain)

    def event(self, request, *states, **members):
        for state in states:
            self.seq += 1
            about = members if state == states[-1] else {}
            self.say(f"c/evt/{POINT}", {"schema": "event/1", "id": request["id"], "point": POINT, "state": state,
                                        "time": now(), "seq": self.seq} | about)

    def slot(self, *held):
        slots = [{"slot": "ai", "holder": "chw-opt", "id": request["id"], "value": request["value"], "until": now(9),
                  "note": "lease enforced by gateway only"} for request in held]
        self.say(f"c/slot/{POINT}", {"schema": "slot/1", "point": POINT, "slots": slots, "alarm": False}, retain=True)

    def obey(self, request):
        """What a gateway does in the lane autonomous when all is well."""
        if request["action"] == "set":
            self.event(request, "received", "approved", "executing", "written", "verified", readback=request["value"])
            self.values[POINT] = (request["value"], "Cel")
            self.slot(request)
        else:
            self.event(request, "received", "approved")
        if request["action"] == "release":
            self.slot()

    def sets(self):
        return [request for request in self.requests if request["action"] == "set"]


@unittest.skipIf(mqtt is None, "needs python3-paho-mqtt, python3-jwt and python3-cryptography: deploy/setup.sh")
class Optimiser(unittest.TestCase):
    def setUp(self):
        self.stack, self.brokers = contextlib.ExitStack(), []
        self.addCleanup(lambda: [broker.child.stdout.close() for broker in self.brokers])
        self.addCleanup(self.stack.close)
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-optimiser-")))
        self.port = rig.free_ports(1)
        self.broker = self.start_broker()

    def start_broker(self):
        self.brokers.append(rig.start_broker(self.stack, self.folder, self.port))
        return self.brokers[-1]

    def start(self, *flags, algorithm="EdDSA", answers=None, **about):
        """A scripted gateway, then the optimiser."""
        key, check = make_key(algorithm)
        path = self.folder / "chw-opt.jwk"
        path.write_text(json.dumps(key))
        os.chmod(path, 0o600)
        self.gateway = Gateway(self.port, check, **about)
        self.stack.callback(self.gateway.stop)
        self.gateway.answers = answers(self.gateway) if answers else self.gateway.obey
        self.optimiser = rig.Process("optimiser", [
            sys.executable, OPTIMISER, "--broker", f"mqtt://127.0.0.1:{self.port}", "--gateway", "gw", "--key", path,
            "--pause", "0.3", "--within", "1", "--lease", "3", *flags], self.folder)
        self.stack.callback(self.optimiser.child.stdout.close)
        self.stack.callback(self.optimiser.kill)

    def end(self):
        self.optimiser.kill()
        self.gateway.stop()

    def wait(self, what, condition, seconds=20):
        def arrived():
            self.assertEqual(self.gateway.troubles, [])
            return condition()
        try:
            rig.wait_for(what, seconds, arrived)
        except rig.Failure as failure:
            self.fail(f"{failure}\n{self.text()}\n{self.optimiser.tail()}")

    def text(self):
        return "\n".join(self.optimiser.lines)

    def wait_text(self, words):
        self.wait(f"'{words}'", lambda: words in self.text())

    def test_the_point_is_led_to_its_value_in_steps_and_given_back(self):
        for algorithm in ("EdDSA", "HS256"):
            with self.subTest(algorithm):
                self.start("--value", "8.2", "--step", "1", algorithm=algorithm)
                self.wait("two steps", lambda: len(self.gateway.sets()) == 2)
                self.wait("a renewal", lambda: any(r["action"] == "renew" for r in self.gateway.requests))
                first, second = self.gateway.sets()
                self.assertEqual((first["value"], first["unit"], first["mode"]), (7.5, "Cel", "write"))
                self.assertEqual(first["expect"], {"value": 6.5, "tolerance": 0.05})
                self.assertEqual(first["lease"], {"seconds": 3.0})
                self.assertEqual(first["origin"]["category"], "ai")
                self.assertEqual(first["rationale"]["expected"], [
                    {"point": "meter1/power_total", "change": -2000.0, "unit": "W", "within_s": 1.0}])
                self.assertEqual([(e["point"], e["epoch"], e["value"]) for e in first["evidence"]],
                                 [("chiller1/chw_supply_temp", 3, 6.6), (POINT, 3, 6.5)])
                self.assertTrue(all(0 < e["n"] <= self.gateway.n for e in first["evidence"]))
                self.assertEqual(second["value"], 8.2)
                self.optimiser.child.send_signal(signal.SIGINT)
                self.assertEqual(self.optimiser.child.wait(10), 0)
                self.wait("the release", lambda: self.gateway.requests[-1]["action"] == "release")
                ids = [request["id"] for request in self.gateway.requests]
                self.assertEqual(len(ids), len(set(ids)))
                for line in ("recommends 7.5, now 6.5; expects meter1/power_total -2000.0 W", "verified", "holds the point"):
                    self.assertIn(line, self.text())
                self.end()

    def test_outcomes_are_told(self):
        def answers(gateway):
            def answer(request):
                gateway.obey(request)
                if request["action"] == "set":
                    outcome = {
                        "schema": "outcome/1", "id": request["id"], "point": POINT, "issuer": "chw-opt", "lane": "autonomous",
                        "command": request, "state": "verified", "anchor": now(), "horizon": now(1), "measures": [
                            {"point": "meter1/power_total", "unit": "W", "expected": -2000, "before": 100000, "after": 98100,
                             "observed": -1900, "coverage_before": 1, "coverage_after": 0.98}], "usable": True}
                    gateway.say(f"o/{request['id']}", outcome)
                    gateway.say(f"o/{request['id']}", outcome | {"usable": False, "objections": ["confounded", "coverage"]})
            return answer
        self.start(answers=answers)
        self.wait_text("outcome: meter1/power_total -1900, expected -2000; usable")
        self.wait_text("outcome: meter1/power_total -1900, expected -2000; not usable: confounded, coverage")

    def test_what_only_a_person_can_cure_ends_it(self):
        for code in ("bad_unit", "not_authorised", "step_limit"):
            with self.subTest(code):
                guards = [{"guard": "format", "verdict": "refuse", "code": code, "inputs": {"unit_of_point": "K"}}]
                self.start(answers=lambda gateway: lambda request: gateway.event(
                    request, "received", "rejected", code=code, guards=guards))
                self.assertEqual(self.optimiser.child.wait(20), 1, self.text())
                self.assertEqual(len(self.gateway.requests), 1)
                self.wait_text(f'rejected {code} format {{"unit_of_point": "K"}}')
                self.end()

    def test_refusals_that_pass_are_tried_again_ever_more_rarely(self):
        self.start(answers=lambda gateway: lambda request: gateway.event(
            request, "received", "rejected", code="interlock_unknown"))
        self.wait("four requests", lambda: len(self.gateway.times) >= 4)
        first, second, third = (b - a for a, b in zip(self.gateway.times, self.gateway.times[1:4]))
        self.assertTrue(0.25 < first < second < third, (first, second, third))
        self.assertEqual(len({request["id"] for request in self.gateway.requests}), len(self.gateway.requests))

    def test_a_held_command_is_waited_for_and_a_no_is_taken(self):
        self.start("--mode", "advise", answers=lambda gateway: lambda request: gateway.event(request, "received", "held"))
        self.wait("the request", lambda: self.gateway.requests)
        time.sleep(1.5)  # five pauses: it must not ask a second time while a person thinks
        request, = self.gateway.requests
        self.assertEqual(request["mode"], "advise")
        self.gateway.event(request, "denied", code="approval_denied", actor="anna", note="comfort")
        self.wait_text("denied approval_denied by anna comfort")
        said = time.monotonic()
        self.wait("another request", lambda: len(self.gateway.requests) == 2)
        self.assertGreater(self.gateway.times[1] - said, 2.5)  # ten pauses
        self.gateway.event(self.gateway.requests[1], "approved", "executing", "written", "verified", actor="anna")
        self.wait_text("verified by anna")

    def test_without_an_answer_the_request_is_given_up(self):
        self.start("--expires", "0.5", answers=lambda gateway: lambda request: None)
        self.wait_text("expired no answer from the gateway")
        self.wait("another request", lambda: len(self.gateway.requests) == 2)

    def test_a_shadowed_recommendation_is_followed_by_another(self):
        self.start(answers=lambda gateway: lambda request: gateway.event(request, "received", "shadowed"))
        self.wait("three requests", lambda: len(self.gateway.requests) == 3)
        self.assertNotIn("holds the point", self.text())

    def test_after_an_outage_of_the_broker_the_same_bytes_are_sent_again(self):
        self.start("--expires", "60", answers=lambda gateway: lambda request: gateway.event(request, "received"))
        self.wait_text("received")
        self.broker.kill()
        self.wait_text("broker away")
        time.sleep(1)
        self.broker = self.start_broker()
        self.gateway.answers = self.gateway.obey
        self.wait_text("verified")
        self.assertEqual(len({request["id"] for request in self.gateway.sets()}), 1)
        self.assertGreater(len(self.gateway.sets()), 1)
        self.assertTrue(all(request == self.gateway.requests[0] for request in self.gateway.sets()))

    def test_losing_the_point_is_noticed_and_it_is_asked_for_again(self):
        self.start("--value", "7.5")
        self.wait_text("holds the point")
        self.gateway.event(self.gateway.sets()[0], "reverting", "reverted", note="interlock: chiller1/running == true")
        self.gateway.values[POINT] = (6.5, "Cel")
        self.gateway.slot()
        self.wait_text("does not hold the point any more")
        self.wait("another request", lambda: len(self.gateway.sets()) == 2)
        self.assertEqual(self.gateway.sets()[1]["value"], 7.5)

    def test_it_recommends_nothing_without_good_live_readings(self):
        for quality, extra in (("bad", {}), ("uncertain", {}), ("good", {"replay": True})):
            with self.subTest(quality=quality, **extra):
                self.start(quality=quality, extra=extra)
                self.wait_text("waits for good readings of chiller1/chw_setpoint, meter1/power_total, chiller1/chw_supply_temp")
                time.sleep(1)
                self.assertEqual(self.gateway.requests, [])
                self.end()

    def test_junk_on_its_topics_is_skipped(self):
        self.start(answers=lambda gateway: lambda request: None)
        self.wait("the request", lambda: self.gateway.requests)
        junk = [b"", b"\xff\xfe", b"[1]", b"7", b"null", b"{}", b'{"schema":7}', b'{"schema":[]}', b'{"schema":"event/1"}',
                b'{"schema":"event/2"}', b'{"schema":"slot/1","slots":7}', b'{"schema":"slot/1","slots":[7]}', b"[" * 5000,
                b'{"schema":"outcome/1"}', b'{"schema":"reading/1","readings":{"a":1}}']
        for topic in (f"c/evt/{POINT}", f"c/slot/{POINT}", "o/x", "r/x"):
            for payload in junk:
                self.gateway.client.publish(f"{TOPIC}/{topic}", payload, 1)
        self.gateway.event({"id": None}, "rejected", code="bad_signature")
        self.gateway.obey(self.gateway.requests[0])
        self.wait_text("verified")
        self.assertGreater(self.text().count("skipped a message"), len(junk))


if __name__ == "__main__":
    unittest.main()
