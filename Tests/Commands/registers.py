"""A Modbus TCP device in this process, for what device.c does not do: registers that read other than they were written, that
cannot be read, or that hold nothing sensible before their first write; and a device that loses its power. Loopback only."""

import collections
import contextlib
import socket
import struct
import threading


class Registers:
    """Holding registers of one unit. `words` are what it shows; `effects` say what a write to an address does, where that is
    not to store the words there; reads that touch an address of `unreadable` are refused with exception 02."""

    def __init__(self, stack, words=None, effects=None, unreadable=()):
        self.words = collections.defaultdict(int, words or {})
        self.effects, self.unreadable = effects or {}, set(unreadable)
        self.writes, self.reads = [], collections.Counter()  # [(address, [word, …])]; by address
        self.lock, self.lines, self.listener = threading.Lock(), set(), None
        self.port = 0
        self.on()
        stack.callback(self.off)

    def on(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.listener.listen()
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def off(self):
        """Takes the power away: nothing is accepted, and what is connected breaks off."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            lines = list(self.lines)
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener):
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.lines.add(line)
            threading.Thread(target=self._serve, args=[line], daemon=True).start()

    def _serve(self, line):
        with line, contextlib.suppress(OSError, ConnectionError):
            while True:
                head = self._take(line, 7)
                transaction, _, length, unit = struct.unpack(">HHHB", head)
                with self.lock:
                    answer = self._answer(self._take(line, length - 1))
                line.sendall(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
        with self.lock:
            self.lines.discard(line)

    @staticmethod
    def _take(line, count):
        data = b""
        while len(data) < count:
            part = line.recv(count - len(data))
            if not part:
                raise ConnectionError
            data += part
        return data

    def _answer(self, request):
        function, address, number = struct.unpack(">BHH", request[:5])
        if function in (3, 4):
            span = range(address, address + number)
            self.reads.update(span)
            if self.unreadable & set(span):
                return bytes([function | 0x80, 2])
            return bytes([function, 2 * number]) + b"".join(struct.pack(">H", self.words[a]) for a in span)
        if function == 6:
            self._store(address, [number])
            return request
        if function == 16:
            self._store(address, list(struct.unpack(f">{number}H", request[6:])))
            return request[:5]
        return bytes([function | 0x80, 1])

    def _store(self, address, words):
        self.writes.append((address, words))
        effect = self.effects.get(address)
        if effect:
            return effect(self, words)
        for offset, word in enumerate(words):
            self.words[address + offset] = word
            self.unreadable.discard(address + offset)

    def writes_to(self, address):
        return [words[0] if len(words) == 1 else words for at, words in self.writes if at == address]
