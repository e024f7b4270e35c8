#!/usr/bin/python3
"""Recommends a setpoint to a Headgate gateway, step by step, and follows what becomes of it. Speaks MQTT, nothing else.

    headgate keys generate chw-opt
    optimiser.py --broker mqtt://127.0.0.1:1883 --gateway demo --key chw-opt.jwk --value 9

Ctrl-C gives the point back; killed, it falls silent and the gateway takes the point back. Exit code 1: only a person
can help. Debian 12: apt install python3-paho-mqtt python3-jwt python3-cryptography. See docs/for-ai-teams.md."""
import argparse
import json
import os
import time
import uuid
from urllib.parse import urlsplit
import jwt
import paho.mqtt.client as mqtt
from paho.mqtt.properties import PacketTypes, Properties

SAVING = 0.02  # the whole model: the share of the power that each kelvin of warmer chilled water saves
PENDING = {"received", "held", "approved", "executing", "written", "indeterminate"}
# No repetition cures these: a person has to change the arguments, the site file or the plant.
HOPELESS = {"not_authorised", "bad_signature", "unknown_point", "not_writable", "bad_format", "bad_unit",
            "wrong_device", "duplicate_conflict", "out_of_limits", "step_limit"}


def say(*words):
    print(time.strftime("%H:%M:%S"), *filter(None, words), flush=True)


class Optimiser:  # everything happens when a message comes: readings come each second, no timer is needed
    def __init__(self, args):
        with open(args.key) as file:
            self.key = json.load(file)
        self.args, self.name, self.readings = args, args.name or self.key["kid"], {}
        self.asked = None  # (id, message, give up at) of the request whose fate is open
        self.held = None  # id of the command by which we hold the point: the gateway's word, not ours
        self.renew_at = self.next_at = self.refusals = self.hopeless = 0
        versions = getattr(mqtt, "CallbackAPIVersion", None)  # 2.x asks for it, 1.6 does not know it
        about = {"client_id": f"headgate-{self.name}", "protocol": mqtt.MQTTv5}
        self.client = mqtt.Client(versions.VERSION2, **about) if versions else mqtt.Client(**about)
        self.client.on_connect, self.client.on_message = self.connected, self.received
        self.client.on_disconnect = lambda *_: say("broker away" if not self.hopeless else "gives up")
        self.root = f"headgate/v1/{args.gateway}"

    def run(self):
        broker, session = urlsplit(self.args.broker), Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 86400  # events and outcomes wait for us at the broker
        broker.scheme == "mqtts" and self.client.tls_set()
        self.client.username_pw_set(broker.username, os.environ.get("MQTT_PASSWORD"))
        self.client.connect_async(broker.hostname, broker.port or 1883, 20, clean_start=False, properties=session)
        try:
            self.client.loop_forever(retry_first_connection=True)
        except KeyboardInterrupt:
            self.held and self.request("release")
            for _ in range(100):
                self.held and self.client.loop(0.1)
        return self.hopeless

    def connected(self, *_):
        say("connected")
        topics = {"r/#": 0, f"c/evt/{self.args.point}": 1, f"c/slot/{self.args.point}": 1, "o/+": 1}
        self.client.subscribe([(f"{self.root}/{topic}", qos) for topic, qos in topics.items()])
        if self.asked:  # the answer may be lost. The same bytes do nothing twice: the gateway says how the command is
            self.client.publish(f"{self.root}/c/req/{self.args.point}", self.asked[1], qos=1)

    def received(self, _, __, message):
        kinds = {"reading/1": self.note, "event/1": self.follow, "slot/1": self.hold, "outcome/1": self.learn}
        try:
            document = json.loads(message.payload)
            kinds[document["schema"]](document)
            self.act(time.monotonic())
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            say(f"skipped a message on {message.topic}: {error!r}")

    def note(self, batch):
        for reading in [] if batch.get("replay") else batch["readings"]:  # history is no ground to act on
            self.readings[reading["point"]] = {**reading, "epoch": batch["epoch"], "came": time.monotonic()}

    def follow(self, event):
        if self.asked and event["id"] == self.asked[0]:
            state, code, guards = event["state"], event.get("code"), event.get("guards", [])
            why = [f"{g['guard']} {json.dumps(g.get('inputs', {}))}" for g in guards if g["verdict"] != "pass"]
            say(state, code, "actor" in event and f"by {event['actor']}", event.get("note"), *why)
            if state not in PENDING:  # a step in effect shows what it brings, a no lasts, each refusal makes us rarer
                self.asked, self.hopeless = None, int(code in HOPELESS)
                self.refusals = 0 if state in ("verified", "shadowed") else min(self.refusals + 1, 6)
                pause = self.args.within if state == "verified" else self.args.pause * (10 if state == "denied" else 1)
                self.next_at = time.monotonic() + pause * 2 ** max(self.refusals - 1, 0)

    def hold(self, slot):
        held = next((entry.get("id") for entry in slot["slots"] if entry["holder"] == self.name), None)
        held == self.held or say("holds the point" if held else "does not hold the point any more")
        self.held, self.renew_at = held, time.monotonic() + self.args.lease / 3

    def learn(self, outcome):
        if (outcome["issuer"], outcome["point"]) == (self.name, self.args.point):
            seen = [f"{m['point']} {m.get('observed')}, expected {m['expected']};" for m in outcome["measures"]]
            say("outcome:", *seen, "usable" if outcome["usable"] else f"not usable: {', '.join(outcome['objections'])}")

    def act(self, now):
        if self.hopeless:
            self.client.disconnect()
        elif self.asked and now > self.asked[2]:
            self.follow({"id": self.asked[0], "state": "expired", "note": "no answer from the gateway"})
        elif self.held and now >= self.renew_at:  # another lease, and a sign of life
            self.renew_at = now + self.args.lease / 3
            self.request("renew", lease={"seconds": self.args.lease})
        elif not self.asked and now >= self.next_at:
            self.recommend(*map(self.good, (self.args.point, self.args.effect, self.args.evidence)))

    def good(self, point):
        reading = self.readings.get(point, {"quality": "unknown"})
        return reading if reading["quality"] == "good" and time.monotonic() - reading["came"] < 30 else None

    def recommend(self, now, power, ground):
        args, self.next_at = self.args, time.monotonic() + self.args.pause / 10
        if not (now and power and ground):
            return say("waits for good readings of", ", ".join((args.point, args.effect, args.evidence)))
        move = max(-args.step, min(args.step, args.value - now["value"]))
        if abs(move) >= 0.05:
            value, change = round(now["value"] + move, 1), round(-SAVING * move * power["value"], 1)
            say(f"recommends {value}, now {now['value']}; expects {args.effect} {change:+} {power['unit']}")
            expected = {"point": args.effect, "change": change, "unit": power["unit"], "within_s": args.within}
            self.asked = self.request(
                "set", value=value, unit=now["unit"], expect={"value": now["value"], "tolerance": 0.05},
                lease={"seconds": args.lease}, rationale={"text": "warmer chilled water", "expected": [expected]})

    def request(self, action, **members):
        args, identity = self.args, str(getattr(uuid, "uuid7", uuid.uuid4)())
        issued, expires = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + s)) for s in (0, args.expires)]
        evidence = [{key: reading[key] for key in ("point", "epoch", "n", "value")}
                    for reading in map(self.good, (args.evidence, args.point)) if reading]
        message = jwt.PyJWS().encode(json.dumps({  # a JWS in compact form, EdDSA or HS256 as the key is
            "schema": "command/1", "id": identity, "target": {"gateway": args.gateway, "point": args.point},
            "action": action, "mode": args.mode, "issued": issued, "expires": expires, "evidence": evidence,
            "origin": {"category": "ai", "actor": f"model:{self.name}", "version": "1"}, **members
        }).encode(), jwt.PyJWK(self.key).key, self.key["alg"], {"kid": self.name})
        self.client.publish(f"{self.root}/c/req/{args.point}", message, qos=1)
        return identity, message, time.monotonic() + args.expires + 5


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in dict(
            broker="mqtt://127.0.0.1:1883", gateway="demo", key="chw-opt.jwk", name="", point="chiller1/chw_setpoint",
            evidence="chiller1/chw_supply_temp", effect="meter1/power_total", value=9.0, step=1.0, mode="write",
            lease=900.0, expires=600.0, within=300.0, pause=60.0).items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help="%(default)s")
    raise SystemExit(Optimiser(parser.parse_args()).run())
