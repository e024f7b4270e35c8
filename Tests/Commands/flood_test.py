"""A flood of junk, forged and replayed requests, and a fuzz of the command topics, while devices are polled and valid commands
go on. `--long` as an argument of this file, or HEADGATE_LONG_TESTS=1: a million payloads. Loopback only."""

import collections
import contextlib
import itertools
import json
import os
import pathlib
import random
import sys
import tempfile
import threading
import time
import unittest

import judge
import paho.mqtt.client as mqtt
from plant import ROOT, Plant, compact, rig, set_command, stamp

LONG = "--long" in sys.argv or bool(os.environ.get("HEADGATE_LONG_TESTS"))
FUZZ = 1_000_000 if LONG else 20_000
FLOOD_RATE, FLOOD_SECONDS = 1000, 20
DEVICES, VALUES = 10, 100
MACHINE = {"category": "ai", "lane": "autonomous"}
POLICIES = {"all": {"points": ["d0/sp*"], "allow": ["opt", "stolen"], "fallback": 20, "min": 10, "max": 90}}


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no VmRSS of {pid}")


class Flooded(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("HEADGATE_TEST_SEED", random.randrange(1 << 32)))
        self.dice = random.Random(self.seed)

    def start(self, **options):
        plant = Plant({"opt": MACHINE, "stolen": MACHINE}, POLICIES, **options)
        self.addCleanup(plant.close)
        return plant

    def finish(self, plant):
        plant.stop()
        plant.verify()
        leaves = plant.leaves()
        self.assertEqual(judge.unexplained(plant.field.writes(), leaves), [])
        self.assertEqual(judge.disorders(leaves), [])
        self.assertEqual(plant.ear.wrong, [])
        return leaves

    # Flood

    def test_a_flood_leaves_polling_and_valid_commands_unharmed(self):
        with contextlib.ExitStack() as stack:
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-flood-")))
            base = rig.free_ports(DEVICES)
            rig.start_field(stack, folder, base, DEVICES, VALUES, folder / "reads.log")
            plant = self.start()
            plant.stop()
            plant.poll(base, DEVICES, VALUES)
            plant.start()
            with self.subTest(seed=self.seed):
                self.flood(plant, folder / "reads.log")

    def flood(self, plant, reads):
        replayed = set_command("d0/sp00", 30)
        plant.expect(plant.send(replayed), "verified")
        before, begun = resident_mib(plant.gateway.pid), time.time()
        stop, sent = threading.Event(), collections.Counter()
        attacker = threading.Thread(target=self.attack, args=(plant, replayed, stop, sent))
        attacker.start()
        peak, answered, number = before, [], 0
        try:
            while time.time() - begun < FLOOD_SECONDS:
                number += 1
                asked = time.monotonic()
                plant.expect(plant.send(set_command("d0/sp01", 30 + number / 10)), "verified", seconds=5)
                answered.append(time.monotonic() - asked)
                peak = max(peak, resident_mib(plant.gateway.pid))
                time.sleep(max(0, 0.5 - answered[-1]))
        finally:
            stop.set()
            attacker.join()
        end = time.time()
        figures = plant.figures()
        late = self.lateness(reads, begun, end)
        print(f"flood, seed {self.seed}: {sum(sent.values())} messages in {end - begun:.1f} s ({dict(sent)}), "
              f"{len(answered)} valid commands verified, slowest {max(answered) * 1000:.0f} ms, "
              f"RSS {before:.0f} MiB before, {peak:.0f} MiB at most, longest pause between two polls of a device "
              f"{late:.2f} s; figures {figures['requests']} requests, {figures['junk']} junk, "
              f"{figures['duplicates']} duplicates; load {os.getloadavg()[0]:.1f}")
        self.assertGreater(sum(sent.values()), 0.9 * FLOOD_RATE * FLOOD_SECONDS, "the attacker was too slow")
        self.assertLess(late, 1.5)
        self.assertLess(peak, before + 40)
        leaves = self.finish(plant)
        # The flood itself must not fill the audit either: a few entries, then one a minute that counts the rest.
        self.assertLess(sum(leaf["kind"] == "refused" for leaf in leaves), 50 + FLOOD_SECONDS // 20)
        self.assertEqual(len([1 for word, _ in plant.writes("d0/sp00") if word == 300]), 1)

    def test_a_flood_of_large_plain_json_does_not_delay_the_kill_switch(self):
        plant = Plant({"opt": MACHINE, "stolen": MACHINE, "anna": {"category": "operator"}}, POLICIES)
        self.addCleanup(plant.close)
        document = set_command("d0/sp02", 50, rationale={"text": "x" * 100, "expected": [
            {"point": "d0/sp02", "change": n, "unit": "Cel", "within_s": 60} for n in range(430)]})
        payload = json.dumps(document).encode()
        self.assertTrue(28_000 < len(payload) < 32_768, len(payload))
        took = []
        with contextlib.ExitStack() as stack:
            clients = [attacker(stack, plant) for _ in range(2)]
            for number in range(6000):
                clients[number % 2].publish(f"{ROOT}/c/req/d0/sp02", payload, 1)
            rig.wait_for("the flood", 10, lambda: plant.figures()["junk"] + plant.figures()["requests"] > 100)
            for _ in range(4):
                for on in (True, False):
                    asked = time.monotonic()
                    plant.order("anna", order="lockout", scope="point:d0/sp00", on=on, reason="flood")
                    plant.ear.wait("lockout", lambda: ("lockout" in plant.slot("d0/sp00")) is on, 30)
                    took.append(time.monotonic() - asked)
            figures = plant.figures()
        taken = figures["junk"] + figures["requests"]
        print(f"kill switch in a flood of {len(payload)} bytes: {[round(t, 2) for t in took]} s, {taken} taken by then")
        self.assertLess(max(took), 2)
        self.assertEqual(plant.writes("d0/sp02"), [])
        plant.expect(plant.send(set_command("d0/sp01", 30)), "verified", seconds=60)

    def attack(self, plant, replayed, stop, sent):
        """So many messages a second, a third of each kind, from a client of its own."""
        again = plant.issuers.sign(replayed, "opt")
        junk = [self.dice.randbytes(self.dice.randint(0, 2000)) for _ in range(200)]
        forged = [compact({"alg": "HS256", "kid": "opt"}, json.dumps(set_command("d0/sp02", 50)).encode(), b"x" * 32)
                  for _ in range(200)]
        kinds = itertools.cycle((("junk", junk), ("forged", forged), ("replayed", [again])))
        with contextlib.ExitStack() as stack:
            client = attacker(stack, plant)
            begun, count = time.monotonic(), 0
            while not stop.is_set():
                name, payloads = next(kinds)
                client.publish(f"{ROOT}/c/req/d0/sp0{count % 5 if name == 'junk' else 2 if name == 'forged' else 0}",
                               payloads[count % len(payloads)], 1)
                sent[name] += 1
                count += 1
                time.sleep(max(0, begun + count / FLOOD_RATE - time.monotonic()))

    def lateness(self, reads, begun, end):
        """The longest time between two reads of the same registers of a device, in seconds."""
        times = collections.defaultdict(list)
        for line in reads.read_text().splitlines():
            tick, device, first, _ = map(int, line.split())
            if begun - 1 < tick / 10 < end:
                times[device, first].append(tick / 10)
        self.assertEqual({device for device, _ in times}, set(range(DEVICES)))
        return max(max(b - a for a, b in zip(series, series[1:] + [end])) for series in times.values())

    # Fuzz

    def test_no_payload_crashes_the_gateway_or_writes(self):
        with self.subTest(seed=self.seed):
            plant = self.start()
            plant.stop()
            writes, begun = len(plant.field.writes()), time.monotonic()
            plant.start()
            with contextlib.ExitStack() as stack:
                client = attacker(stack, plant)
                before = peak = resident_mib(plant.gateway.pid)
                taken = 0
                for count, (topic, payload) in enumerate(self.payloads(plant), 1):
                    client.publish(topic, payload, 1)
                    if count % 2000 and count != FUZZ:
                        continue
                    # No more than some thousand ahead: the broker's queue is not what is tested.
                    deadline = time.monotonic() + 60
                    while (taken := self.taken(plant)) < count - (4000 if count != FUZZ else 0):
                        plant.gateway.check_alive()
                        self.assertLess(time.monotonic(), deadline, f"{taken} of {count} taken")
                        time.sleep(0.1)
                    peak = max(peak, resident_mib(plant.gateway.pid))
            print(f"fuzz, seed {self.seed}: {taken} payloads in {time.monotonic() - begun:.0f} s, {plant.figures()}, "
                  f"RSS {before:.0f} MiB before, {peak:.0f} MiB at most")
            self.assertEqual(len(plant.field.writes()), writes)
            self.assertLess(peak, before + 60)
            plant.expect(plant.send(set_command("d0/sp09", 31)), "verified")
            self.finish(plant)

    def taken(self, plant):
        figures = plant.figures()
        return figures["requests"] + figures["junk"]

    def payloads(self, plant):
        """Mutations of messages that are signed well but ask for too much, forged ones that ask for what is allowed, and
        noise, on every command topic."""
        signed = [plant.issuers.sign(set_command("d0/sp00", value, **more), "opt") for value, more in (
            (99, {}), (5, {"lease": {"seconds": 5}}), (30, {"mode": "shadow"}),
            (30, {"expires": stamp(-1), "issued": stamp(-9)}),
            (99, {"evidence": [{"point": "d0/sp00", "epoch": 1, "n": 1}], "rationale": {"text": "x" * 300}}))]
        plain = [json.dumps(set_command("d0/sp00", 30)).encode(), json.dumps(
            {"schema": "control/1", "gateway": "gw", "order": "lane", "issuer": "opt", "point": "d0/sp00", "lane": "autonomous",
             "issued": stamp(), "expires": stamp(60)}).encode()]
        forged = [compact({"alg": alg, "kid": kid}, plain[0], b"k" * 32) for alg in ("HS256", "EdDSA", "none", "RS256")
                  for kid in ("opt", "stolen", "nobody", "")]
        stems = signed + plain + forged
        topics = [f"{ROOT}/c/req/d0/sp0{i}" for i in range(5)] + [
            f"{ROOT}/c/ctl", f"{ROOT}/c/decide/0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11"]
        for _ in range(FUZZ):
            kind, payload = self.dice.random(), self.dice.choice(stems)
            if kind < 0.1:
                payload = self.dice.randbytes(self.dice.randint(0, 400))
            elif kind < 0.6:
                payload = self.mutated(payload)
            elif kind < 0.8:
                payload = self.resigned(payload, plant)
            yield self.dice.choice(topics), payload

    def mutated(self, payload):
        payload = bytearray(payload)
        for _ in range(self.dice.randint(1, 6)):
            at = self.dice.randrange(len(payload) + 1)
            match self.dice.randrange(5):
                case 0: payload[at:at + 1] = self.dice.randbytes(1)
                case 1: del payload[at:at + self.dice.randint(1, 20)]
                case 2: payload[at:at] = self.dice.randbytes(self.dice.randint(1, 5))
                case 3: payload[at:at] = payload[at:at + self.dice.randint(1, 60)]
                case _: payload[at:at + 1] = self.dice.choice((b".", b'"', b"{", b"}", b"\0", b"=", b"1e999", b"\xff"))
        return bytes(payload)

    def resigned(self, payload, plant):
        """A broken document with a good signature, of a value that no setpoint takes."""
        document = json.dumps(set_command("d0/sp00", True)).encode()
        return compact({"alg": "HS256", "kid": "opt"}, self.mutated(document), plant.issuers.secrets["opt"])


def attacker(stack, plant):
    client = mqtt.Client(protocol=mqtt.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", plant.ports[0])
    client.loop_start()
    stack.callback(client.loop_stop)
    stack.callback(client.disconnect)
    return client


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--long"])
