"""What the command tests share: a private broker, devices that misbehave when told to, the gateway, senders with keys, and a
judge that compares the log of the devices with the audit export. Loopback only."""

import base64
import collections
import contextlib
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import jsonschema
import jwt
import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "Benchmark"), str(HERE.parent / "Torture")]
import faults  # noqa: E402
import rig  # noqa: E402

HEADGATE = os.environ.get("HEADGATE", str(rig.ROOT / ".build/debug/headgate"))
ROOT = "headgate/v1/gw"
SCHEMAS = {}
for file in (rig.ROOT / "Sources/Payloads/Schemas").glob("*.schema.json"):
    schema = json.loads(file.read_text())
    SCHEMAS[file.name.split(".")[0].replace("-", "/")] = jsonschema.Draft202012Validator(schema)

SETPOINTS = [f"sp{i:02}" for i in range(30)]  # int16, scale 0.1, holding registers 0 to 29
FALLBACK = 20  # what every register holds at first, and where the policies of these tests go back to
FINAL = {"rejected", "shadowed", "denied", "expired", "cancelled", "failed", "superseded", "overridden", "released",
         "reverted", "revert_failed"}


def stamp(seconds=0.0):
    """Now, or so many seconds from now, as the gateway reads it."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def microseconds(text):
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    return round(moment.timestamp() * 1e6)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def compact(header, payload, secret):
    """A JWS made by hand, for what no library would sign."""
    content = base64url(json.dumps(header).encode()) + b"." + base64url(payload)
    return content + b"." + base64url(hmac.new(secret, content, hashlib.sha256).digest())


def set_command(point, value, **members):
    """A command/1 with what is required; members come in place of it, None leaves one out."""
    document = {
        "schema": "command/1", "id": str(uuid.uuid4()), "target": {"gateway": "gw", "point": point}, "action": "set",
        "value": value, "unit": "Cel", "mode": "write", "issued": stamp(), "expires": stamp(60),
        "origin": {"category": "ai", "actor": "model:test", "version": "1"}}
    document.update(members)
    return {key: member for key, member in document.items() if member is not None}


def other_command(action, point, **members):
    return set_command(point, None, unit=None, action=action, **members)


def origin(category):
    return {"category": category, "actor": "test"}


class Issuers:
    """Names with keys: machines and the person at the plant share secrets, operators sign with Ed25519."""

    SIGNERS = ("anna", "ben")

    def __init__(self, folder, names):
        self.secrets = {name: os.urandom(32).hex().encode() for name in names if name not in self.SIGNERS}
        self.keys = {name: Ed25519PrivateKey.generate() for name in names if name in self.SIGNERS}
        self.public = {
            name: key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for name, key in self.keys.items()}
        self.folder = folder
        for name, secret in self.secrets.items():
            with open(os.open(self.file(name), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as output:
                output.write(secret)

    def file(self, name):
        return str(self.folder / f"{name}.key")

    def entry(self, name, **members):
        if name in self.public:
            return {"key": "ed25519:" + base64url(self.public[name]).decode()} | members
        return {"hmac_file": self.file(name)} | members

    def sign(self, document, name):
        key, algorithm = (self.keys[name], "EdDSA") if name in self.keys else (self.secrets[name], "HS256")
        return jwt.encode(document, key, algorithm=algorithm, headers={"kid": name}).encode()


class Field(rig.Process):
    """device.c, told what to do on its stdin."""

    def __init__(self, stack, folder, base, devices):
        program = rig.BUILD / "device"
        source = HERE / "device.c"
        rig.BUILD.mkdir(parents=True, exist_ok=True)
        if not program.exists() or program.stat().st_mtime <= source.stat().st_mtime:
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmodbus"], check=True, capture_output=True,
                                   text=True).stdout.split()
            subprocess.run(["gcc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", str(source), *flags, "-pthread",
                            "-o", str(program)], check=True)
        self.path, self.told = folder / "writes.log", 0
        reader, self.control = os.pipe()
        command = [program, "--base", base, "--devices", devices, "--log", self.path]
        super().__init__("device", command, folder, stdin=reader)
        os.close(reader)
        stack.callback(self.stop)
        stack.callback(os.close, self.control)
        self.wait_line("ready", 10)

    def tell(self, *words):
        self.told += 1
        os.write(self.control, (" ".join(map(str, words)) + "\n").encode())
        self.wait_line(f"ok {self.told}", 10)

    def writes(self, device=None, address=None):
        """[(microseconds, device, function, address, raw value, verdict)] as the devices saw them."""
        rows = []
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            *numbers, verdict = line.split()
            rows.append((*map(int, numbers), verdict))
        return [row for row in rows if device in (None, row[1]) and address in (None, row[3])]


class Ear:
    """A client that hears everything the gateway says, and checks each payload against the shipped schemas."""

    def __init__(self, stack, port):
        self.lock = threading.Condition()
        self.events, self.unattributed = collections.defaultdict(list), []
        self.documents = collections.defaultdict(list)  # by schema: (topic, retained, document)
        self.retained, self.wrong, self.count = {}, [], collections.Counter()
        self.answers = []  # (topic, correlation, document)
        self.client = mqtt.Client(protocol=mqtt.MQTTv5)
        self.client.max_inflight_messages_set(1000)
        self.client.on_message = self._hear
        # All that the gateway says, and not what others say to it.
        topics = ["+", "r/#", "gap/#", "d/#", "c/evt/#", "c/held/#", "c/slot/#", "o/#", "audit/#"]
        filters = [(f"{ROOT}/{topic}", 1) for topic in topics] + [("answers/#", 1)]
        self.client.on_connect = lambda client, *_: client.subscribe(filters)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        stack.callback(self.client.loop_stop)

    def _hear(self, _client, _user, message):
        topic, payload = message.topic, bytes(message.payload)
        branch = topic[len(ROOT) + 1:]
        with self.lock:
            self.count[branch.split("/")[0] + "/" + (branch.split("/") + [""])[1]] += 1
            try:
                self._take(topic, branch, payload, message)
            except (ValueError, jsonschema.ValidationError) as error:
                if len(self.wrong) < 50:
                    self.wrong.append((topic, payload[:600], str(error).splitlines()[0]))
            self.lock.notify_all()

    def _take(self, topic, branch, payload, message):
        if topic.startswith(ROOT) and (branch.startswith(("c/held/", "c/slot/", "audit/"))):
            self.retained[branch] = payload
        if branch == "audit/checkpoint" or not payload:
            return
        document = json.loads(payload)
        if document.get("schema") not in SCHEMAS:
            raise ValueError(f"no schema {document.get('schema')} is shipped")
        # Readings are checked by other tests; here they come by the thousand.
        if document["schema"] != "reading/1" or self.count["readings"] < 20:
            SCHEMAS[document["schema"]].validate(document)
        if document["schema"] == "reading/1":
            self.count["readings"] += 1
            self.documents["reading/1"][:-1000] = []
        self.documents[document["schema"]].append((topic, document, time.time()))
        if not topic.startswith(ROOT):
            self.answers.append((topic, getattr(message.properties, "CorrelationData", None), document))
        elif document["schema"] == "event/1":
            (self.unattributed if document["id"] is None else self.events[document["id"]]).append(document)

    def wait(self, what, condition, seconds=8.0):
        """What `condition` returns once it is true; asked whenever something comes in."""
        deadline = time.monotonic() + seconds
        with self.lock:
            while True:
                found = condition()
                if found:
                    return found
                if time.monotonic() > deadline:
                    raise AssertionError(f"{what}: nothing after {seconds:g} s")
                self.lock.wait(0.1)

    def publish(self, topic, payload, qos=1, retain=False, **properties):
        bag = None
        if properties:
            bag = Properties(PacketTypes.PUBLISH)
            for name, value in properties.items():
                setattr(bag, name, value)
        return self.client.publish(topic, payload, qos, retain, properties=bag)


class Plant:
    """A site of `devices` devices with thirty setpoints each, everything started. `policies` and `issuers` as in the site
    file; an issuer named None has no key."""

    def __init__(self, issuers, policies, devices=1, brokers=1, commands=None, every="200ms", faulty=None):
        self.stack = contextlib.ExitStack()
        try:
            self._start(issuers, policies, devices, brokers, commands or {}, every, faulty)
        except BaseException:
            self.stack.close()
            raise

    def _start(self, issuers, policies, devices, brokers, commands, every, faulty):
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-commands-")))
        self.state = self.folder / "state"
        self.state.mkdir()
        self.faults = faults.Faults(self.folder / "faults", faulty) if faulty else None
        base = rig.free_ports(devices + brokers)
        self.ports = [base + devices + i for i in range(brokers)]
        self.brokers = []
        for port in self.ports:
            (self.folder / f"b{port}").mkdir()
            self.brokers.append(rig.start_broker(self.stack, self.folder / f"b{port}", port))
        self.device_port, self.field = base, Field(self.stack, self.folder, base, devices)
        self.names = list(issuers)
        self.issuers = Issuers(self.folder, [name for name, about in issuers.items() if not about.get("keyless")])
        entries = {}
        for name, about in issuers.items():
            about = dict(about)
            entries[name] = about if about.pop("keyless", False) else self.issuers.entry(name, **about)
        self.settings = {
            "gateway": {"id": "gw", "owner": "ops", "state": str(self.state)}, "profiles": [str(self.profile(every))],
            "connections": {f"c{d}": {"tcp": f"127.0.0.1:{base + d}", "timeout": "400ms"} for d in range(devices)},
            "devices": {f"d{d}": {"profile": "test/plant", "connection": f"c{d}", "unit": 1, "owner": "energy"}
                        for d in range(devices)},
            "publish": {f"p{i}": {"mqtt": f"mqtt://127.0.0.1:{port}"} for i, port in enumerate(self.ports)},
            "commands": {"issuers": entries, "policies": policies} | commands}
        self.ears = [Ear(self.stack, port) for port in self.ports]
        self.ear, self.gateway = self.ears[0], None
        self.start()

    def profile(self, every):
        folder = self.folder / "profiles" / "test"
        folder.mkdir(parents=True)
        points = "".join(f"  {name}: {{address: {i}, scale: 0.1, write: {{mode: single, min: 0, max: 1000}}}}\n"
                         for i, name in enumerate(SETPOINTS))
        (folder / "plant.yaml").write_text(
            "profile: test/plant\ntitle: Test plant\nmanufacturer: Test\nmodel: Plant\nrevision: 1\n"
            'source: "Tests/Commands/device.c"\n'
            f"defaults: {{table: holding, type: int16, unit: Cel, every: {every}}}\npoints:\n{points}"
            "  multiple: {address: 40, type: float32, order: ABCD, kind: setpoint, "
            "write: {mode: multiple, min: 0, max: 1000}}\n"
            "  masked: {address: 50, type: uint16, bits: 4..7, unit: \"1\", kind: setpoint, "
            "write: {mode: mask, min: 0, max: 15}}\n"
            "  coil: {table: coil, address: 5, type: bool, kind: state, write: {mode: single}}\n"
            "  fixed: {address: 60, scale: 0.1}\n")
        return self.folder / "profiles"

    def poll(self, base, devices, values):
        """From the next start on the gateway also reads the devices of field.c every second."""
        rig.write_site(self.folder / "field", base, devices, values, 1, "1s")  # of which only the profile is needed
        self.settings["profiles"].append(str(self.folder / "field" / "profiles"))
        for d in range(devices):
            self.settings["connections"][f"b{d}"] = {"tcp": f"127.0.0.1:{base + d}"}
            self.settings["devices"][f"b{d}"] = {
                "profile": "bench/field", "connection": f"b{d}", "unit": 1, "owner": "bench", "every": "1s"}

    def write_site(self):
        site = self.folder / "headgate.yaml"
        site.write_text(json.dumps(self.settings, indent=1))
        return site

    # The gateway

    def start(self):
        """Starts the gateway and waits until it has read every device and every broker has its subscriptions."""
        since, known = time.time(), [self.subscriptions(i) for i in range(len(self.brokers))]
        environment = self.faults and self.faults.environment()
        self.gateway = rig.start_headgate(self.stack, self.folder, HEADGATE, self.write_site(), environment)

        def ready():
            self.gateway.check_alive()
            read = collections.Counter(
                document["device"] for _, document, at in self.ear.documents["reading/1"]
                if at > since and not document.get("replay"))
            # The first reading may be older than the desk of the commands.
            return all(read[device] > 1 for device in self.settings["devices"])

        self.ear.wait("readings of every device", ready, 20)
        if self.settings.get("commands", {}).get("issuers"):
            rig.wait_for("subscriptions", 10, lambda: all(
                self.subscriptions(i) > known[i] for i in range(len(self.brokers))))

    def subscriptions(self, index):
        log = self.brokers[index].tail(100_000)
        return min(log.count(f"{ROOT}/{topic}") for topic in ("c/ctl", "c/req/#"))

    def stop(self, seconds=20):
        took = self.gateway.stop(seconds)
        if took >= seconds:
            raise AssertionError(f"the gateway did not stop within {seconds} s:\n{self.gateway.tail()}")
        return took

    def reload(self, seconds=25):
        """Has the gateway read the site file again, and waits until it has."""
        def count():
            log = self.gateway.log.read_text(errors="replace")
            return log.count("site file applied") + log.count("site file not applied") + log.count("site file has errors")

        known = count()
        self.write_site()
        self.gateway.child.send_signal(signal.SIGHUP)
        rig.wait_for("the new site file", seconds, lambda: count() > known)
        last = [line for line in self.gateway.tail(20).splitlines() if "site file" in line][-1]
        if "site file applied" not in last:
            raise AssertionError(last)

    def close(self):
        self.stack.close()

    def run(self, *words, **options):
        return subprocess.run([HEADGATE, *map(str, words)], capture_output=True, text=True, timeout=60, **options)

    def ask(self, request):
        """One request at the local socket."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(str(self.state / "control.sock"))
            line.sendall((request + "\n").encode())
            answer = b""
            while not answer.endswith(b"\n"):
                part = line.recv(65536)
                if not part:
                    break
                answer += part
        return json.loads(answer)

    def figures(self):
        return self.ask("commands").get("figures", {})

    # Sending

    def send(self, document, name="opt", ear=None, **options):
        """Signs a command and sends it on its topic; returns its id."""
        payload = self.issuers.sign(document, name) if name else json.dumps(document).encode()
        self.publish(document["target"]["point"], payload, ear, **options)
        return document["id"]

    def publish(self, point, payload, ear=None, **options):
        (ear or self.ear).publish(f"{ROOT}/c/req/{point}", payload, **options)

    def decide(self, command, name, verdict="approve", **members):
        """Decides about what `held/1` shows; members come in place of what would be right."""
        held = json.loads(self.ear.wait("what waits", lambda: self.ear.retained.get(f"c/held/{command}")))
        document = {"schema": "decision/1", "gateway": "gw", "id": command, "digest": held["digest"],
                    "decision": verdict, "issued": stamp(), "expires": stamp(30)}
        self.ear.publish(f"{ROOT}/c/decide/{command}", self.issuers.sign(document | members, name))

    def order(self, name, **members):
        document = {"schema": "control/1", "gateway": "gw", "issued": stamp(), "expires": stamp(30)} | members
        self.ear.publish(f"{ROOT}/c/ctl", self.issuers.sign(document, name))

    # Hearing

    def expect(self, command, state, code=None, seconds=8.0, ear=None):
        """The first event of the command with this state; a final state that is another one ends the wait."""
        ear = ear or self.ear

        def arrived():
            for event in ear.events[command]:
                if event["state"] == state and code in (None, event.get("code")):
                    return event
            return None

        try:
            return ear.wait(state, arrived, seconds)
        except AssertionError as error:
            seen = [(e["state"], e.get("code"), e.get("note"), [g for g in e.get("guards", []) if g["verdict"] != "pass"])
                    for e in ear.events[command]]
            raise AssertionError(f"{command}: {error}; it was {seen}\n{self.gateway.tail(5)}") from None

    def states(self, command):
        return [event["state"] for event in self.ear.events[command]]

    def slot(self, point):
        return json.loads(self.ear.retained.get(f"c/slot/{point}", b"{}"))

    def restored(self, point, seconds=12.0):
        """Waits until nobody holds the point and it is not on its way."""
        def quiet():
            slot = self.slot(point)
            return slot and not slot["slots"] and "restoring" not in slot and not slot["alarm"]

        self.ear.wait(f"{point} restored, not {self.slot(point)}", quiet, seconds)

    # Judging

    def writes(self, point):
        """Raw values that the device was asked to take, in order, with its verdicts."""
        device, name = point.split("/")
        return [(row[4], row[5]) for row in self.field.writes(int(device[1:]), SETPOINTS.index(name))]

    def leaves(self):
        done = self.run("audit", "export", self.state)
        if done.returncode:
            raise AssertionError(done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        # Some entries are seals: text of another form, that binds the records to the entries.
        return [json.loads(line["text"]) for line in lines if line.get("text", "").startswith("{")]

    def verify(self):
        done = self.run("audit", "verify", self.state)
        if done.returncode:
            raise AssertionError(f"audit verify: {done.stdout}{done.stderr}")
