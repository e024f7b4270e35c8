"""The example consumer, tried: what it stores and what it says of losses, with a private mosquitto in between. A kill -9
is a kill -9, a redelivery is the broker's. Loopback only."""

import contextlib
import json
import pathlib
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Benchmark"))
import rig  # noqa: E402

try:
    import paho.mqtt.client as mqtt
except ImportError:
    mqtt = None

CONSUMER = HERE.parent.parent / "docs" / "examples" / "consumer.py"
START = 1_795_000_000
POINTS = 4


def at(seq):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(START + seq)) + ".000Z"


def batch(seq, points=range(POINTS), epoch=3, **members):
    """A reading/1 document as Headgate publishes it: one reading a point, `n` counts with seq."""
    readings = [{"point": f"d1/p{p}", "def": "00112233445566aa", "time": at(seq), "value": seq + p / 10, "unit": "Cel",
                 "quality": "good", "n": seq} for p in points]
    return {"schema": "reading/1", "gateway": "gw", "epoch": epoch, "seq": seq, "sent": at(seq), "device": "d1",
            "readings": readings} | members


def gap(seq, reason, count, since, until, epoch=3, **members):
    return {"schema": "gap/1", "gateway": "gw", "epoch": epoch, "seq": seq, "sent": at(seq), "from": at(since),
            "to": at(until), "reason": reason, "count": count} | members


def status(second, next_seq, pending=0, epoch=3):
    return {"schema": "status/1", "gateway": "gw", "state": "online", "epoch": epoch, "version": "1", "devices": {},
            "time": at(second), "buffer": {"next_seq": next_seq, "publishers": {
                "plant": {"connected": True, "pending": pending, "acknowledged": 0, "refused": 0}}}}


@unittest.skipIf(mqtt is None, "needs paho-mqtt: apt install python3-paho-mqtt")
class Consumer(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(lambda: self.broker.child.stdout.close())
        self.addCleanup(self.stack.close)
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-consumer-")))
        self.db = self.folder / "plant.db"
        self.port = rig.free_ports(1)
        self.broker = rig.start_broker(self.stack, self.folder, self.port)
        versions = getattr(mqtt, "CallbackAPIVersion", None)
        named = {"client_id": "gateway", "protocol": mqtt.MQTTv5}
        self.gateway = mqtt.Client(versions.VERSION2, **named) if versions else mqtt.Client(**named)
        self.gateway.max_inflight_messages_set(1000)
        self.gateway.connect("127.0.0.1", self.port)
        self.gateway.loop_start()
        self.stack.callback(self.gateway.loop_stop)
        self.starts = 0

    def start(self):
        """A consumer that has subscribed."""
        self.starts += 1
        consumer = rig.Process(f"consumer{self.starts}", [
            sys.executable, CONSUMER, "consume", self.db, "--broker", f"mqtt://127.0.0.1:{self.port}"], self.folder)
        self.stack.callback(consumer.child.stdout.close)
        self.stack.callback(consumer.kill)
        rig.wait_for("the subscription", 10, lambda: consumer.check_alive() or "subscribed" in consumer.tail(999))
        return consumer

    def publish(self, *documents):
        """Sends documents, or bytes as they are; returns when the broker has them."""
        topics = {"reading/1": "headgate/v1/gw/r/d1", "gap/1": "headgate/v1/gw/gap", "status/1": "headgate/v1/gw/status"}
        sent = []
        for document in documents:
            topic = "headgate/v1/gw/r/junk"
            if isinstance(document, dict):
                topic = topics.get(document["schema"], topic)
                document = json.dumps(document)
            sent.append(self.gateway.publish(topic, document, qos=1))
        for message in sent:
            message.wait_for_publish(10)

    def ask(self, sql):
        with contextlib.closing(sqlite3.connect(self.db)) as db:
            return db.execute(sql).fetchall()

    def drain(self, newest, second=9000):
        """Two statuses say that all below `newest` + 1 is delivered; returns when the consumer has stored the second."""
        self.publish(status(second, newest + 1), status(second + 15, newest + 1))
        rig.wait_for("the status", 15, lambda: self.ask(f"SELECT 1 FROM gateway WHERE time = '{at(second + 15)}'"))

    def report(self, *flags):
        done = subprocess.run([sys.executable, CONSUMER, "report", self.db, *flags], capture_output=True, text=True,
                              timeout=20)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def expect(self, text, lines):
        for line in lines:
            self.assertIn(line, text)

    def test_everything_once_whatever_arrives_twice_or_late(self):
        self.start()
        self.publish(*map(batch, (1, 2, 5, 6)))  # live goes on while 3 and 4 are backlog
        self.publish(batch(3, replay=True), batch(2, replay=True), batch(4, replay=True), batch(2, replay=True))
        self.publish(gap(7, "restart", 0, 6, 7), gap(7, "restart", 0, 6, 7), batch(8, volatile=True))
        self.drain(8)
        code, text = self.report()
        self.assertEqual(code, 0, text)
        self.expect(text, [f"gateway gw: {7 * POINTS} readings, {2 * POINTS} duplicates ignored, volatile: 4, conflicts: 0",
                           "seq 1 to 8, judged to 8, holes: 0", f"loss all devices: restart, {at(6)} to {at(7)}, count unknown"])
        self.assertEqual(self.ask("SELECT low, high FROM span"), [(1, 8)])
        self.assertEqual(self.ask("SELECT value, quality, seq FROM reading WHERE point = 'd1/p1' AND n = 5"), [(5.1, "good", 5)])

    def test_killed_again_and_again_loses_nothing_and_doubles_nothing(self):
        dice, seq = random.Random(7), 0
        consumer = self.start()
        for _ in range(5):
            self.publish(*map(batch, range(seq + 1, seq + 301)))
            seq += 300
            time.sleep(dice.uniform(0, 0.15))
            consumer.kill()  # SIGKILL: whatever it was doing
            self.publish(*map(batch, range(seq + 1, seq + 51)))  # while nobody is there
            seq += 50
            consumer = self.start()
        self.drain(seq)
        code, text = self.report()
        self.assertEqual(code, 0, text)
        self.expect(text, [f"gateway gw: {seq * POINTS} readings", f"seq 1 to {seq}, judged to {seq}, holes: 0"])
        self.assertEqual(self.ask("SELECT point, count(*), min(n), max(n) FROM reading GROUP BY point"),
                         [(f"d1/p{p}", seq, 1, seq) for p in range(POINTS)])

    def test_a_message_is_acknowledged_after_its_commit_only(self):
        consumer = self.start()
        self.publish(batch(1))
        rig.wait_for("the first row", 10, lambda: self.ask("SELECT 1 FROM span"))
        with contextlib.closing(sqlite3.connect(self.db, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the database refuses: sqlite3.OperationalError after its 5 s
            self.publish(batch(2))
            rig.wait_for("the end of the consumer", 15, lambda: consumer.child.poll() is not None)
            other.execute("ROLLBACK")
        self.assertIn("database is locked", consumer.tail())
        self.start()
        self.drain(2)
        code, text = self.report()
        self.assertEqual(code, 0, text)
        self.expect(text, [f"gateway gw: {2 * POINTS} readings, 0 duplicates", "seq 1 to 2"])

    def test_holes_are_explained_open_or_missing(self):
        self.start()
        self.publish(*map(batch, (1, 2, 10, 11)))
        self.publish(gap(12, "buffer_evicted", 4, 3, 6, from_seq=3, to_seq=6), batch(13),
                     gap(14, "not_polled", 17, 13, 14, device="d1"), gap(15, "disk_error", 0, 13, 14))
        self.publish(status(1000, 16, pending=3), status(1015, 16, pending=3))
        rig.wait_for("the status", 10, lambda: self.ask(f"SELECT 1 FROM gateway WHERE time = '{at(1015)}'"))
        code, text = self.report()
        self.assertEqual(code, 0, text)  # 7..9 may still come
        self.expect(text, [f"explained 3..6: buffer_evicted, {at(3)} to {at(6)}", "open 7..9", "seq 1 to 15, judged to nothing yet, holes: 1",
                           f"loss d1: not_polled, {at(13)} to {at(14)}, count 17", "loss all devices: disk_error"])
        self.assertEqual(self.report("--final")[0], 1)
        self.publish(batch(8, replay=True))
        self.drain(17)  # and 16, 17 were promised but never came: a broker's queue was full
        code, text = self.report()
        self.assertEqual(code, 1, text)
        self.expect(text, [f"UNEXPLAINED 7..7: {at(6)} to {at(8)}", f"UNEXPLAINED 9..9: {at(8)} to {at(10)}",
                           "UNEXPLAINED 16..17"])
        self.assertNotIn("open", text)
        self.publish(*(batch(seq, replay=True) for seq in (7, 9, 16, 17)))  # asked for again
        self.drain(17, second=9100)
        self.assertEqual(self.report()[0], 0)

    def test_history_from_before_the_first_live_row_is_stored_and_not_judged(self):
        self.start()
        self.publish(batch(40, replay=True), batch(100), batch(41, replay=True), batch(101))
        self.drain(101)
        code, text = self.report()
        self.assertEqual(code, 0, text)
        self.expect(text, [f"{4 * POINTS} readings", "seq 100 to 101, judged to 101, holes: 0"])
        self.assertEqual(self.report("--first", "40")[0], 1)

    def test_a_seq_in_parts_is_complete_when_all_parts_are_here(self):
        self.start()
        parts = [batch(2, [p], part=p + 1, parts=3) for p in range(3)]
        self.publish(batch(1), parts[2], parts[0], parts[0], batch(3))
        self.drain(3)
        code, text = self.report()
        self.assertEqual(code, 1, text)
        self.expect(text, ["UNEXPLAINED 2..2", "incomplete 2: 2 of 3 parts"])
        again = [batch(2, half, part=i + 1, parts=2, replay=True) for i, half in enumerate(([0, 1], [2]))]
        self.publish(again[0])  # divided differently the second time: halves do not complete thirds
        self.drain(3, second=9100)
        self.assertEqual(self.report()[0], 1)
        self.publish(parts[1], parts[1], again[1])
        self.drain(3, second=9200)
        code, text = self.report()
        self.assertEqual(code, 0, text)
        self.assertEqual(self.ask("SELECT count(*) FROM reading WHERE seq = 2"), [(3,)])
        self.assertEqual(self.ask("SELECT * FROM part"), [])

    def test_junk_is_counted_and_skipped(self):
        self.start()
        wrong = [batch(1) | {"schema": "reading/2"}, batch(1) | {"readings": []}, batch(1) | {"readings": 7},
                 batch(1) | {"seq": 0}, batch(1) | {"seq": "x"}, batch(1) | {"epoch": None}, batch(1) | {"gateway": {}},
                 batch(1, part=4, parts=3), batch(1, part="1", parts=2), {"schema": "status/1"},
                 {"schema": "gap/1", "gateway": "gw", "epoch": 3, "seq": 1}, status(1, 2) | {"buffer": 7}]
        for change in ({"n": "first"}, {"n": 1 << 70}, {"quality": "fine"}, {"quality": "bad"}, {"time": "noon"},
                       {"value": [1]}, {"value": {"a": 1}}, {"point": None}, {"unit": "\ud800"}, {"reasons": 5}):
            document = batch(1)
            document["readings"][2] |= change  # two good readings before it: all of a message or nothing
            wrong.append(document)
        wrong += [b"", b"hello", b"\xff\xfe\x00", b"[1, 2]", b"7", b"null", b"[" * 5000,
                  json.dumps(batch(1)).replace("1.2", "NaN").encode(), json.dumps(batch(1)).replace("1.2", "1e999x").encode()]
        self.publish(*wrong, batch(1))
        self.drain(1)
        code, text = self.report()
        self.assertEqual(code, 0, text)
        self.expect(text, [f"gateway gw: {POINTS} readings, 0 duplicates", "junk headgate/v1/gw/r/junk:"])
        self.assertEqual(self.ask("SELECT sum(count) FROM junk"), [(len(wrong),)])

    def test_one_key_with_two_contents_is_a_conflict(self):
        self.start()
        other = batch(1)
        other["readings"][0]["value"] = 99
        self.publish(batch(1), other)  # a second gateway with this name, or a state folder that was thrown away
        self.drain(1)
        code, text = self.report()
        self.assertEqual(code, 1, text)
        self.expect(text, [f"{POINTS} readings, {POINTS - 1} duplicates ignored, volatile: 0, conflicts: 1"])
        self.assertEqual(self.ask("SELECT value FROM reading WHERE point = 'd1/p0'"), [(1,)])


if __name__ == "__main__":
    unittest.main()
