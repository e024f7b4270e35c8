"""The judge is judged: a faultless story of two kills, an outage and a full disk passes, and each fault planted in it is
found and called by its name."""

import copy
import datetime
import io
import json
import unittest

import judge

START = 1_795_000_000.0
SECONDS = 40
KILLS = [(START + 20.95, START + 22.5), (START + 25.95, START + 26.5)]
OUTAGE = (START + 10, START + 15)
DISK = (START + 30, START + 33)


def story(**changes):
    return judge.Story(stopped=START + SECONDS, devices=2, values=3, kills=KILLS, outages=[OUTAGE], **changes)


def rfc3339(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"


class Plant:
    """Two devices of three values, polled each second by a gateway that loses only what it may and says so."""

    def __init__(self, offset=lambda at: 0.0):
        self.messages, self.served, self.seq, self.counts, self.offset = [], [], 0, {}, offset
        for second in range(SECONDS):
            for device in range(2):
                self.poll(device, START + second + 0.05)
            for killed, again in KILLS:
                if second == int(again - START):
                    self.gap(again, "restart", killed - 0.2, again, 0)
            if second == int(DISK[1] - START):
                self.gap(DISK[1], "disk_error", DISK[0], DISK[1], 2 * 3 * 3)

    def epoch(self, at):
        return 1 + sum(at > killed for killed, _ in KILLS)

    def row(self, at, body):
        self.seq += 1
        self.messages.append([at, {"epoch": self.epoch(at), "seq": self.seq, "sent": rfc3339(at)} | body])

    def gap(self, at, reason, begin, end, count):
        begin, end = rfc3339(begin + self.offset(begin)), rfc3339(end + self.offset(end))
        self.row(at, {"schema": "gap/1", "reason": reason, "count": count, "from": begin, "to": end})

    def poll(self, device, at):
        if any(killed <= at <= again for killed, again in KILLS):
            return
        tick, time, readings = int(at / judge.TICK), at + self.offset(at), []
        self.served.append(f"{tick} {device} 0 6\n".encode())
        for index in range(3):
            point = f"d{device:03d}/v{index:03d}"
            key = (self.epoch(at), point)
            n = self.counts[key] = self.counts.get(key, -1) + 1
            value = (device * 3 + index) * judge.COUNTER + tick % judge.COUNTER
            readings.append({"point": point, "time": rfc3339(time), "value": value, "quality": "good", "n": n})
        body = {"schema": "reading/1", "device": f"d{device:03d}", "readings": readings}
        if OUTAGE[0] <= at < OUTAGE[1]:
            body["replay"] = True
        if not DISK[0] <= at < DISK[1]:
            self.row(OUTAGE[1] + 1 if "replay" in body else at + 0.1, body)


def judged(plant, extra="", **changes):
    lines = "".join(f"{at:.6f}\theadgate/v1/bench/r\t{json.dumps(body, separators=(',', ':'))}\n"
                    for at, body in plant.messages)
    return judge.judge(io.BytesIO((extra + lines).encode()), plant.served, story(**changes))


class Judge(unittest.TestCase):
    def setUp(self):
        self.plant = Plant()
        self.messages = self.plant.messages

    def expect(self, kind):
        self.assertIn(kind, judged(self.plant).kinds)

    def expect_faultless(self, **changes):
        findings = judged(self.plant, **changes)
        self.assertEqual(list(findings.lines()), [])
        return findings.figures

    def reading_rows(self):
        return [body for _, body in self.messages if "readings" in body]

    def again(self, index, **changes):
        at, body = copy.deepcopy(self.messages[index])
        self.messages.append([at + 1, body | changes])
        return body

    def test_faultless_story_passes(self):
        figures = self.expect_faultless()
        self.assertEqual(figures["epochs"], 3)
        self.assertEqual(figures["missing explained"], {"disk_error": 18})
        self.assertEqual(figures["gap records"]["restart"]["records"], 2)

    def test_redelivery_passes_whatever_tells_how_it_was_sent(self):
        self.again(4, sent=rfc3339(START + 16), replay=True)
        self.again(5, volatile=True)
        self.assertEqual(self.expect_faultless()["redelivered"], 2)

    def test_the_stages_own_messages_are_no_rows(self):
        findings = judged(self.plant, extra=f"{START:.6f}\theadgate/v1/bench/r/settled\tsettled 1\n")
        self.assertEqual(list(findings.lines()), [])

    def test_redelivery_in_another_order_of_members_passes(self):
        body = self.again(4)
        self.messages[-1][1] = dict(reversed(list(body.items())))
        self.assertEqual(self.expect_faultless()["redelivered"], 1)

    def test_lost_batch_is_found(self):
        self.messages.pop(7)
        for kind in ("hole in seq that no gap record names", "value that was served and never arrived"):
            self.expect(kind)

    def test_lost_first_batch_is_found(self):
        self.messages.pop(0)
        self.expect("hole in seq that no gap record names")

    def test_row_that_a_gap_record_names_is_no_hole(self):
        lost = self.messages.pop(7)[1]["seq"]
        self.plant.row(START + SECONDS, {
            "schema": "gap/1", "reason": "disk_error", "count": 3, "from_seq": lost, "to_seq": lost,
            "from": rfc3339(START + 3), "to": rfc3339(START + 4)})
        self.assertEqual(self.expect_faultless()["holes explained"], 1)

    def test_reading_lost_inside_a_batch_is_found(self):
        self.reading_rows()[6]["readings"].pop()
        self.expect("n that is not contiguous")
        self.expect("value that was served and never arrived")

    def test_changed_batch_is_found(self):
        self.again(4)["readings"].pop()
        self.expect("two different batches under one seq")

    def test_split_batch_is_one_batch(self):
        at, body = self.messages.pop(4)
        for part in (1, 2):
            readings = body["readings"][:2] if part == 1 else body["readings"][2:]
            self.messages.append([at, body | {"part": part, "parts": 2, "readings": readings}])
        self.messages.append([at, body])
        self.expect_faultless()
        self.messages.pop()
        self.assertEqual(self.expect_faultless()["split batches"], 1)
        self.messages.pop()
        self.expect("batch with missing parts")

    def test_split_batch_that_differs_from_the_whole_is_found(self):
        at, body = self.messages[4]
        for part in (1, 2):
            self.messages.append([at, body | {"part": part, "parts": 2, "readings": body["readings"][:part]}])
        self.expect("two different batches under one seq")

    def test_one_key_with_two_contents_is_found(self):
        body = copy.deepcopy(self.reading_rows()[6])
        body["readings"][0]["time"] = rfc3339(START + 3.2)
        self.plant.row(START + SECONDS, {"schema": "reading/1", "device": "d000", "readings": body["readings"]} | {"epoch": 1})
        self.expect("one (epoch, point, n) with two contents")

    def test_repetition_under_another_seq_passes(self):
        body = copy.deepcopy(self.messages[-1][1])
        self.messages.append([START + SECONDS, body | {"seq": body["seq"] + 1}])
        self.assertEqual(self.expect_faultless()["readings under two seqs, word for word"], 3)

    def test_values_that_were_never_served_are_found(self):
        self.plant.served.pop(3)
        self.expect("value that was never served, or not as often")

    def test_wrong_values_are_found(self):
        for value, kind in ((5, "value of another point"), (0.5, "value that was never served")):
            self.reading_rows()[3]["readings"][1]["value"] = value
            self.expect(kind)

    def test_wrong_times_are_found(self):
        self.reading_rows()[3]["readings"][1]["time"] = rfc3339(START + 5)
        self.expect("time that does not fit the value")

    def test_restart_record_that_does_not_cover_the_loss_is_found(self):
        self.drop_before_first_kill()
        self.expect("value that was served and never arrived")

    def test_loss_just_before_a_kill_passes_when_it_is_told(self):
        self.drop_before_first_kill()
        self.restart()["from"] = rfc3339(START + 20)
        figures = self.expect_faultless()
        self.assertEqual(figures["missing explained"]["restart"], 6)

    def test_loss_long_before_a_kill_is_found_even_when_it_is_told(self):
        self.drop_before_first_kill(3)
        self.restart()["from"] = rfc3339(START + 18)
        self.expect("value lost though it was served long before the kill")

    def restart(self):
        return next(body for _, body in self.messages if body.get("reason") == "restart")

    def drop_before_first_kill(self, seconds=1):
        """The last rows before the first kill were never committed: what follows has their seq."""
        lost = [m for m in self.messages if KILLS[0][0] - seconds < m[0] < KILLS[0][0]]
        for message in lost:
            self.messages.remove(message)
        for _, body in self.messages:
            if body["seq"] > lost[-1][1]["seq"]:
                body["seq"] -= len(lost)

    def test_disk_error_records_that_count_too_few_are_found(self):
        next(body for _, body in self.messages if body.get("reason") == "disk_error")["count"] = 7
        self.expect("more readings missing than disk_error records count")

    def test_bad_reading_excuses_its_own_value_only(self):
        self.reading_rows()[3]["readings"][1].update(value=None, quality="bad", reasons=["timeout"])
        self.assertEqual(self.expect_faultless()["missing explained"]["told by a bad reading"], 1)

    def test_unmarked_replay_is_found(self):
        self.reading_rows()[24].pop("replay")
        self.expect("batch of an outage without replay: true")

    def test_device_that_is_not_polled_is_found(self):
        self.plant.served = [line for line in self.plant.served if not START + 2 < int(line.split()[0]) / 10 < START + 6.5]
        self.expect("device that was not polled")

    def test_clock_that_jumps_by_a_known_offset_passes(self):
        self.plant = Plant(offset=lambda at: -3600.0 if at > START + 5 else 0.0)
        self.assertIn("time that does not fit the value", judged(self.plant).kinds)
        self.expect_faultless(offsets=(0.0, -3600.0))

    def test_torn_line_and_empty_capture_are_found(self):
        self.assertIn("broken message", judge.judge(io.BytesIO(b"1.0\tt\t{\"seq\":\n"), [], story()).kinds)
        self.assertIn("nothing was received", judge.judge(io.BytesIO(b""), [], story()).kinds)


if __name__ == "__main__":
    unittest.main()
