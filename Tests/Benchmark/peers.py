#!/usr/bin/env python3
"""Modbus devices that keep time as the real ones do, with framing of their own: a serial line with its wire time behind a
pseudo-terminal, and a Modbus TCP gateway behind a network that delays. Registers are zero: these measure time.

The log gets one line per request as it arrives: microseconds of the monotonic clock, unit. Units that are dead do not
answer; SIGUSR1 makes them so where they were not from the start."""

import argparse
import asyncio
import os
import signal
import struct
import sys
import termios
import time
import tty


class Units:
    def __init__(self, options):
        self.dead = set(options.dead)
        self.are_dead = not options.later
        self.log = open(options.log, "w", buffering=1 << 16) if options.log else None
        signal.signal(signal.SIGUSR1, self.die)

    def die(self, *_):
        self.are_dead = True

    def arrived(self, unit):
        if self.log:
            self.log.write(f"{time.monotonic_ns() // 1000} {unit}\n")
            self.log.flush()

    def answer(self, unit, pdu):
        """The reply PDU, None for silence."""
        if self.are_dead and unit in self.dead:
            return None
        function, _, count = struct.unpack(">BHH", pdu)
        if function not in (3, 4) or not 1 <= count <= 125:
            return bytes([function | 0x80, 1])
        return bytes([function, 2 * count]) + bytes(2 * count)


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


def serve_serial(options, units):
    """A line at --baud, 8N1: a request is heard once its last character is through, a reply likewise."""
    master, slave = os.openpty()
    tty.setraw(slave, termios.TCSANOW)
    print(os.ttyname(slave), flush=True)
    character, data = 10 / options.baud, b""
    while True:
        data += os.read(master, 256)
        while len(data) >= 8:
            frame, heard = data[:8], time.monotonic()
            if crc(frame[:6]) != frame[6:]:
                data = data[1:]
                continue
            data = data[8:]
            units.arrived(frame[0])
            reply = units.answer(frame[0], frame[1:6])
            if reply is None:
                continue
            reply = bytes([frame[0]]) + reply
            reply += crc(reply)
            rest = heard + (8 + len(reply)) * character + options.delay / 1000 - time.monotonic()
            time.sleep(max(0, rest))
            os.write(master, reply)


async def serve_tcp(options, units):
    """Every reply comes --delay after its request, however many are under way."""
    loop = asyncio.get_running_loop()

    async def client(reader, writer):
        try:
            while True:
                transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                pdu = await reader.readexactly(length - 1)
                units.arrived(unit)
                reply = units.answer(unit, pdu)
                if reply is not None:
                    frame = struct.pack(">HHHB", transaction, 0, len(reply) + 1, unit) + reply
                    loop.call_later(options.delay / 1000, writer.write, frame)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["serial", "tcp"])
    parser.add_argument("--baud", type=int, default=19200)
    parser.add_argument("--delay", type=float, default=5, help="ms: the device's turnaround, or the network's round trip")
    parser.add_argument("--dead", type=int, nargs="*", default=[], help="units that do not answer")
    parser.add_argument("--later", action="store_true", help="they answer until SIGUSR1")
    parser.add_argument("--log")
    options = parser.parse_args()
    units = Units(options)
    if options.kind == "serial":
        serve_serial(options, units)
    asyncio.run(serve_tcp(options, units))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main()
