"""The stage that every part plays on: the field, a broker with its consumer, a wire between gateway and broker that can be
cut, and a gateway that can be killed and started again."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Benchmark"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Acceptance"))
import acceptance  # noqa: E402
import rig  # noqa: E402

STOP_LIMIT = 15  # seconds from SIGTERM to a clean end, a backlog being under way
PIPE = 1 << 20
SETTLED = "headgate/v1/bench/r/settled"


class Wire:
    """The gateway's only way to the broker. A broker that is killed takes with it what it has acknowledged and not yet
    delivered, and nobody could tell that from a loss by the gateway: so the wire is cut first, the broker delivers what it
    has, and then it is killed. The gateway sees what it always sees: a connection that breaks at a random moment, then
    connections that are refused."""

    def __init__(self, port, broker_port):
        self.port, self.broker_port = port, broker_port
        self.listener, self.sockets, self.lock = None, set(), threading.Lock()

    def open(self):
        if self.listener:
            return
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen()
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        with self.lock:
            listener, self.listener = self.listener, None
            if listener:
                self._end(listener)
            for end in self.sockets:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._end(end)
            self.sockets.clear()

    @staticmethod
    def _end(end):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            end.close()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.broker_port))
            except OSError:
                return
            with self.lock:
                if listener is not self.listener:
                    self._end(near)
                    self._end(far)
                    return
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.sockets.add(end)
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source, target):
        """Moves bytes inside the kernel until either end closes."""
        reader, writer = os.pipe()
        with contextlib.suppress(OSError, ValueError):
            while (count := os.splice(source.fileno(), writer, PIPE)) > 0:
                while count > 0:
                    count -= os.splice(reader, target.fileno(), count)
        os.close(reader)
        os.close(writer)
        with self.lock:
            for end in (source, target):
                self.sockets.discard(end)
        self._end(source)
        self._end(target)


class Stage:
    """One part's processes in one folder. What was done when is kept for the judge."""

    def __init__(self, stack, folder, program, devices=10, values=100, every="200ms", faults=None, consumer=True):
        self.stack, self.folder, self.program, self.faults = stack, folder, program, faults
        self.devices, self.values = devices, values
        base = rig.free_ports(devices + 2)
        self.base, self.broker_port, wire_port = base, base + devices, base + devices + 1
        self.capture, self.served = folder / "capture.tsv", folder / "served.log"
        self.site = rig.write_site(folder, base, devices, values, wire_port, every)
        self.field = rig.start_field(stack, folder, base, devices, values, log=self.served if consumer else None)
        self.wire = Wire(wire_port, self.broker_port)
        stack.callback(self.wire.cut)
        self.consumer = self._new_consumer() if consumer else None
        self.broker = self.gateway = None
        self.brokers = self.settled = 0
        self.kills, self.outages, self.starts, self.problems = [], [], [], []
        self.stopped = None
        stack.callback(self._end_gateway)

    def _new_consumer(self):
        consumer = acceptance.Consumer(self.broker_port, self.capture)
        # A stall must not cost it its session, and the window must not be what holds the broker up.
        consumer.command += ["-c", "-k", "600", "-D", "connect", "receive-maximum", "1000"]
        self.capture.touch()
        self.stack.callback(consumer.stop)
        return consumer

    # ---- The broker ----

    def broker_up(self):
        """The wire opens when the consumer has subscribed."""
        self.brokers += 1
        self.broker = rig.start_broker(self.stack, self.folder, self.broker_port, name=f"mosquitto-{self.brokers:03d}")
        self.stack.callback(self._signal_broker, self.broker, signal.SIGCONT)
        if self.consumer:
            self.consumer.start()
            acceptance.wait_subscribed(self.broker)
        self.wire.open()
        if self.outages and self.outages[-1][1] is None:
            self.outages[-1] = (self.outages[-1][0], time.time())

    def broker_down(self):
        self.outages.append((time.time(), None))
        self.wire.cut()
        self.settle()
        self.broker.kill()
        if self.consumer:
            self.consumer.stop()

    @staticmethod
    def _signal_broker(broker, number):
        if broker.child.poll() is None:
            os.kill(broker.pid, number)

    def stall(self):
        self._signal_broker(self.broker, signal.SIGSTOP)

    def resume(self):
        self._signal_broker(self.broker, signal.SIGCONT)

    def settle(self, limit=60):
        """Until the consumer has written all that the broker has for it: a last message of our own comes behind the rest."""
        if not self.consumer:
            return
        self.settled += 1
        mark, begin = f"settled {self.settled}", self.capture.stat().st_size
        command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.broker_port), "-q", "1", "-t", SETTLED, "-m", mark]
        sent = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit)
        if sent.returncode != 0:
            raise rig.Failure(f"mosquitto_pub ended with {sent.returncode}: {sent.stderr}")
        with open(self.capture, "rb") as stream:
            stream.seek(begin)
            seen = b""

            def arrived():
                nonlocal seen
                seen = seen[-len(mark) - 1:] + stream.read()
                return f"{mark}\n".encode() in seen

            rig.wait_for("the consumer, to have written what the broker has", limit, arrived)

    # ---- The gateway ----

    def start_gateway(self):
        if not pathlib.Path(self.program).exists():
            raise rig.Failure(f"{self.program}: no such program; build it with `make release` or name it with --headgate")
        environment = os.environ | {"SWIFT_BACKTRACE": "enable=no"}
        if self.faults:
            environment |= self.faults.environment()
        self.gateway = rig.Process(
            "headgate", [self.program, "run", "--config", self.site], self.folder, env=environment)
        self.starts.append(time.time())
        if self.kills and self.kills[-1][1] is None:
            self.kills[-1] = (self.kills[-1][0], self.starts[-1])
        return self.gateway

    def kill_gateway(self):
        self.check_gateway()
        self.kills.append((time.time(), None))
        self.gateway.kill()

    def check_gateway(self):
        """A gateway that ends by itself is a defect; the run goes on without it."""
        code = self.gateway.child.poll()
        if code is not None and not any("ended by itself" in problem for problem in self.problems):
            self.problems.append(f"the gateway ended by itself with {code}: {self.gateway.tail(4)}")
        return code is None

    def _end_gateway(self):
        if self.gateway:
            self.gateway.stop()

    def log_size(self):
        path = self.folder / "headgate.log"
        return path.stat().st_size if path.exists() else 0

    def wait_log(self, words, start, limit, every=0.01):
        """→ seconds until the gateway's log says so, counted from now"""
        begun, path = time.monotonic(), self.folder / "headgate.log"

        def said():
            self.gateway.check_alive()
            with open(path, "rb") as log:
                log.seek(start)
                return words.encode() in log.read()

        rig.wait_for(f"'{words}' in the gateway's log", limit, said, every=every)
        return time.monotonic() - begun

    def during(self, seconds):
        """Waits; everything that should live must."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.field.check_alive()
            self.check_gateway()
            time.sleep(min(left, 0.1))

    # ---- The end ----

    def wait_drained(self, limit):
        """Until live batches arrive and for three seconds no replayed one did. → seconds"""
        quiet, begun = 0, time.monotonic()
        with open(self.capture, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            while quiet < 3:
                if time.monotonic() - begun > limit:
                    self.problems.append(f"the backlog was not delivered within {limit:g} s")
                    break
                if not self.check_gateway():
                    break
                time.sleep(1)
                data = stream.read()
                replays = len(re.findall(rb'"replay"\s*:\s*true', data))
                live = len(re.findall(rb'"schema"\s*:\s*"reading/1"', data)) - replays
                quiet = quiet + 1 if live > 0 and replays == 0 else 0
        return time.monotonic() - begun

    def finish(self):
        """A clean stop of the gateway, then of the rest. → seconds that the gateway took"""
        self.stopped = time.time()
        seconds = self.gateway.stop(60)
        code = self.gateway.child.returncode
        if code != 0 or seconds > STOP_LIMIT:
            self.problems.append(f"SIGTERM ended the gateway with {code} in {seconds:.1f} s; limit {STOP_LIMIT} s")
        self.settle()
        self.wire.cut()
        if self.consumer:
            self.consumer.stop()
        self.field.stop()
        return seconds

    def state_bytes(self):
        return rig.folder_bytes(self.folder / "state")

    def journal_status(self):
        """The program's own words on its journal, as JSON."""
        answer = subprocess.run(
            [self.program, "journal", "status", "--json", "--config", self.site], capture_output=True, text=True, timeout=60)
        if answer.returncode != 0:
            raise rig.Failure(f"journal status ended with {answer.returncode}: {answer.stderr}")
        return json.loads(answer.stdout)

    def rows_to_deliver(self):
        return sum(publisher["depth"] for publisher in self.journal_status()["publishers"].values())
