"""What the benchmark and the acceptance test share: the C parts, a private broker, generated configuration, processes
that are stopped by their own id whatever happens. Loopback only."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / ".build" / "bench"
TICKS = os.sysconf("SC_CLK_TCK")
COUNTER = 1024  # field.c: a value is code * COUNTER + tick % COUNTER


class Failure(Exception):
    """Something the run cannot go on without; the text says what."""


def build_c(name):
    """Compiles name.c when it is newer than its program; returns the program."""
    BUILD.mkdir(parents=True, exist_ok=True)
    source, program = HERE / f"{name}.c", BUILD / name
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libmodbus", "libmosquitto"], check=True, capture_output=True, text=True
    ).stdout
    command = ["gcc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", str(source), *shlex.split(flags)]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


def free_ports(count):
    """The first of `count` free neighbouring loopback ports, below the range the kernel hands out by itself."""
    for base in range(21000 + os.getpid() % 4000, 31000, max(count, 16)):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + count):
                    probe = stack.enter_context(socket.socket())
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
                return base
            except OSError:
                continue
    raise Failure(f"no {count} neighbouring free ports on loopback")


def wait_for(what, seconds, condition, every=0.02):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"{what}: nothing after {seconds:g} s")
        time.sleep(every)


class Process:
    """A child with its stdout as lines and its stderr in a file."""

    def __init__(self, name, command, folder, **options):
        self.name, self.log = name, folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                [str(part) for part in command], stdout=subprocess.PIPE, stderr=log, text=True,
                **{"stdin": subprocess.DEVNULL} | options)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))
            del self.lines[:-10000]

    @property
    def pid(self):
        return self.child.pid

    def tail(self, count=15):
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join((lines or self.lines)[-count:])

    def check_alive(self):
        if self.child.poll() is not None:
            raise Failure(f"{self.name} ended with {self.child.returncode}:\n{self.tail()}")

    def wait_line(self, word, seconds):
        def arrived():
            if word in self.lines:
                return True
            self.check_alive()
            return False

        wait_for(f"{self.name}: waiting for '{word}'", seconds, arrived)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        whole = (int(fields[11]) + int(fields[12])) / TICKS
        # The scheduler counts nanoseconds, but only for threads that still live: use it where both agree.
        exact = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                exact += int((task / "schedstat").read_text().split()[0]) / 1e9
        return exact if whole <= exact < whole + 3 / TICKS else whole

    def peak_rss_mib(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise Failure(f"{self.name}: no VmHWM")

    def kill(self):
        """SIGKILL, as a crash would be."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def stop(self, seconds=10):
        """SIGTERM, and SIGKILL when that is not enough; returns the seconds it took."""
        begun = time.monotonic()
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.reader.join(2)
        if not self.reader.is_alive():
            self.child.stdout.close()
        return time.monotonic() - begun


def start_broker(stack, folder, port, name="mosquitto"):
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
        "max_inflight_messages 1000\nmax_queued_messages 0\nmax_queued_bytes 0\nlog_dest stderr\n"
        "log_type error\nlog_type warning\nlog_type notice\nlog_type subscribe\n")
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    broker = Process(name, [program, "-c", config], folder)
    stack.callback(broker.stop)

    def listening():
        broker.check_alive()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for("mosquitto", 10, listening, every=0.005)
    return broker


def start_field(stack, folder, base, devices, values, log=None):
    command = [build_c("field"), "--base", base, "--devices", devices, "--values", values]
    field = Process("field", command + (["--log", log] if log else []), folder)
    stack.callback(field.stop)
    field.wait_line("ready", 10)
    return field


def write_site(folder, base, devices, values, broker, every):
    """The profile and the site file for field.c; returns the site file."""
    profiles = folder / "profiles" / "bench"
    profiles.mkdir(parents=True, exist_ok=True)
    points = "".join(f"  v{i:03d}: {{address: {2 * i}}}\n" for i in range(values))
    (profiles / "field.yaml").write_text(
        "profile: bench/field\ntitle: Benchmark field\nmanufacturer: Bench\nmodel: Field\nrevision: 1\n"
        'source: "Tests/Benchmark/field.c"\n'
        f'defaults: {{table: holding, type: float32, order: ABCD, unit: "1", every: 1s}}\npoints:\n{points}')
    connections = "".join(f"  c{d:03d}: {{tcp: 127.0.0.1:{base + d}}}\n" for d in range(devices))
    assets = "".join(
        f"  d{d:03d}: {{profile: bench/field, connection: c{d:03d}, unit: 1, owner: bench, every: {every}}}\n"
        for d in range(devices))
    site = folder / "headgate.yaml"
    site.write_text(
        f"gateway: {{id: bench, owner: bench, state: {folder / 'state'}}}\nprofiles: [{folder / 'profiles'}]\n"
        f"connections:\n{connections}devices:\n{assets}publish:\n"
        f'  plant: {{mqtt: "mqtt://127.0.0.1:{broker}", version: 5, format: json, qos: 1}}\n'
        "buffer: {max_size: 4GiB, max_age: 1d, commit_every: 100ms, durability: power}\n")
    (folder / "state").mkdir(exist_ok=True)
    return site


def start_headgate(stack, folder, program, site, environment=None):
    if not pathlib.Path(program).exists():
        raise Failure(f"{program}: no such program; build it with `make release` or name it with --headgate")
    environment = os.environ | {"SWIFT_BACKTRACE": "enable=no"} | (environment or {})
    gateway = Process("headgate", [pathlib.Path(program).resolve(), "run", "--config", site], folder, env=environment)
    stack.callback(gateway.stop)
    return gateway


def folder_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def interruptible():
    """SIGTERM ends a run the way Ctrl-C does, so that every child is stopped."""
    def raise_interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, raise_interrupt)
