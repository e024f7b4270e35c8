"""The scenario `commands`: from the publication of a signed command to its event `verified`, on a device that does nothing
else and while the gateway polls 10,000 values a second; beside it what the device alone takes for a write and a read, and the
broker for a round trip."""

import ctypes
import ctypes.util
import pathlib
import sys
import threading
import time

import rig

sys.path.insert(0, str(rig.HERE.parent / "Commands"))

PER_SECOND = 8  # an issuer has 10 a second
BUSY_DEVICES, BUSY_VALUES = 100, 100
TARGETS = {"idle": {"p50": 10, "p99": 50}, "polling": {"p99": 100}}
POLICY = {"points": ["d0/sp00"], "allow": ["opt"], "fallback": 20, "lease": {"max": "1m"}}


class Bare:
    """A client that is nothing but libmodbus."""

    def __init__(self, stack, port):
        self.library = ctypes.CDLL(ctypes.util.find_library("modbus"))
        self.library.modbus_new_tcp.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.modbus_new_tcp(b"127.0.0.1", port))
        if self.library.modbus_connect(self.context) != 0:
            raise rig.Failure(f"no connection to the device on port {port}")
        stack.callback(self.library.modbus_close, self.context)
        self.word = (ctypes.c_uint16 * 1)()

    def write_and_read(self, address, word):
        begun = time.perf_counter()
        done = self.library.modbus_write_register(self.context, address, word)
        read = self.library.modbus_read_registers(self.context, address, 1, self.word)
        if (done, read, self.word[0]) != (1, 1, word):
            raise rig.Failure("the device did not take a bare write")
        return time.perf_counter() - begun


class Sender:
    """Sends a command and waits for its event; notes the time when the event has arrived."""

    def __init__(self, stack, plant):
        import paho.mqtt.client as mqtt
        from plant import ROOT
        self.plant, self.root = plant, ROOT
        self.condition, self.wanted, self.arrived = threading.Condition(), None, None
        self.client = mqtt.Client(protocol=mqtt.MQTTv5)
        self.client.on_message = self.hear
        self.client.connect("127.0.0.1", plant.ports[0])
        self.client.subscribe([(f"{ROOT}/c/evt/#", 1), ("bench/echo", 1)])
        self.client.loop_start()
        stack.callback(self.client.loop_stop)

    def hear(self, _client, _user, message):
        now = time.perf_counter()
        with self.condition:
            if self.wanted and all(word in message.payload for word in self.wanted):
                self.wanted, self.arrived = None, now
                self.condition.notify()

    def send(self, topic, payload, *wanted):
        """Seconds until a message with all of `wanted` in it is here."""
        with self.condition:
            self.wanted, self.arrived = wanted, None
        begun = time.perf_counter()
        self.client.publish(topic, payload, 1)
        with self.condition:
            if not self.condition.wait_for(lambda: self.arrived is not None, 10):
                raise rig.Failure(f"no answer within 10 s on {topic}")
        return self.arrived - begun

    def command(self, value):
        from plant import set_command
        document = set_command("d0/sp00", value)
        payload = self.plant.issuers.sign(document, "opt")
        return self.send(f"{self.root}/c/req/d0/sp00", payload, document["id"].encode(), b'"verified"')

    def echo(self):
        return self.send("bench/echo", b"echo", b"echo")


def percentiles(seconds):
    ordered = sorted(seconds)
    return {f"p{share}": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1000 for share in (50, 99)}


def measure(stack, program, load, seconds, warm_up):
    """Figures of one run: `load` is idle or polling."""
    import plant as plants
    plants.HEADGATE = str(pathlib.Path(program).resolve())
    plant = plants.Plant({"opt": {"category": "ai", "lane": "autonomous"}}, {"bench": POLICY}, every="1s")
    stack.callback(plant.close)
    if load == "polling":
        base = rig.free_ports(BUSY_DEVICES)
        rig.start_field(stack, plant.folder, base, BUSY_DEVICES, BUSY_VALUES)
        plant.stop()
        plant.poll(base, BUSY_DEVICES, BUSY_VALUES)
        plant.start()
    plant.ear.client.unsubscribe(f"{plants.ROOT}/r/#")  # what is not heard costs the sender nothing
    sender, bare = Sender(stack, plant), Bare(stack, plant.device_port)
    commands, device, broker = [], [], []
    begun, count = time.monotonic(), 0
    while (at := time.monotonic() - begun) < warm_up + seconds:
        count += 1
        figures = sender.command(21 + count % 700 / 10), bare.write_and_read(90, count % 1000), sender.echo()
        if at >= warm_up:
            for list_, figure in zip((commands, device, broker), figures):
                list_.append(figure)
        time.sleep(max(0, begun + count / PER_SECOND - time.monotonic()))
    plant.stop()
    return {"load": load, "count": len(commands), "headgate": percentiles(commands), "device": percentiles(device),
            "broker": percentiles(broker)}


def show(results):
    """Prints the table; returns the targets that were missed."""
    missed = []
    print("\ncommands: from the publication of a signed command to its event `verified`, one register by FC06")
    print(f"  {'':<34}{'broker':>10}{'device':>10}{'headgate':>10}{'above':>10}  target above the device alone")
    for result in results:
        for share in ("p50", "p99"):
            above = result["headgate"][share] - result["device"][share]
            target = TARGETS[result["load"]].get(share)
            verdict = "" if target is None else f"<= {target}  {'met' if above <= target else 'MISSED'}"
            name = f"{share}, {result['load']}, {result['count']} commands, ms"
            cells = "".join(f"{figure:>10.2f}" for figure in (
                result["broker"][share], result["device"][share], result["headgate"][share], above))
            print(f"  {name:<34}{cells}  {verdict}".rstrip())
            if target is not None and above > target:
                missed.append(f"commands: {name} {above:.1f} above the device, target {target}")
    return missed
