"""The judge is judged: a faultless story passes, and each fault planted in it is found and called by its name."""

import copy
import datetime
import json
import unittest

import verify

START = 1_795_000_000.0
LINE = verify.Timeline(outage=(START + 10, START + 15), dead=(START + 20.5, START + 22.5), stopped=START + 30,
                       devices=2, values=3)


def rfc3339(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"


def story():
    """Two devices of three values, polled each second by a gateway that loses nothing → messages, served lines."""
    messages, served, seq, counts = [], [], 0, {}
    for second in range(30):
        for device in range(2):
            at = START + second + 0.05
            if LINE.dead[0] <= at <= LINE.dead[1]:
                continue
            epoch, tick = 1 if at < LINE.dead[0] else 2, int(at / verify.TICK)
            served.append(f"{tick} {device} 0 6")
            seq += 1
            readings = []
            for index in range(3):
                point = f"d{device:03d}/v{index:03d}"
                n = counts[epoch, point] = counts.get((epoch, point), -1) + 1
                value = (device * 3 + index) * verify.COUNTER + tick % verify.COUNTER
                readings.append({"point": point, "time": rfc3339(at), "value": value, "quality": "good", "n": n})
            body = {"schema": "reading/1", "epoch": epoch, "seq": seq, "sent": rfc3339(at + 0.1),
                    "device": f"d{device:03d}", "readings": readings}
            arrived = at + 0.1
            if LINE.outage[0] <= at < LINE.outage[1]:
                body["replay"], arrived = True, LINE.outage[1] + 1
            messages.append([arrived, body])
    return messages, served


def judge(messages, served):
    lines = [f"{arrived:.6f}\theadgate/v1/bench/r\t{json.dumps(body)}\n" for arrived, body in messages]
    return verify.judge(lines, served, LINE)


class Judge(unittest.TestCase):
    def expect(self, kind, change):
        messages, served = copy.deepcopy(story())
        change(messages, served)
        self.assertIn(kind, judge(messages, served).kinds)

    def test_faultless_story_passes(self):
        findings = judge(*story())
        self.assertEqual(list(findings.lines()), [])
        self.assertEqual(findings.figures["epochs"], [1, 2])

    def test_identical_redelivery_passes(self):
        messages, served = story()
        again = copy.deepcopy(messages[4])
        again[1] |= {"sent": rfc3339(START + 16), "replay": True}
        self.assertEqual(list(judge(messages + [again], served).lines()), [])

    def test_lost_batch_is_found(self):
        self.expect("hole in seq that no gap record names", lambda m, s: m.pop(7))
        self.expect("value that was served and never arrived", lambda m, s: m.pop(7))
        self.expect("n that is not contiguous", lambda m, s: m.pop(7))

    def test_gap_record_names_a_hole(self):
        messages, served = story()
        lost = messages.pop(7)[1]["seq"]
        gap = {"schema": "gap/1", "epoch": 2, "seq": messages[-1][1]["seq"] + 1, "from_seq": lost, "to_seq": lost,
               "reason": "buffer_evicted", "count": 3}
        findings = judge(messages + [[START + 30, gap]], served)
        self.assertNotIn("hole in seq that no gap record names", findings.kinds)

    def test_wrong_values_are_found(self):
        def set_value(value):
            return lambda m, s: m[3][1]["readings"][1].update(value=value)

        self.expect("value of another point", set_value(5))
        self.expect("value that was never served", set_value(0.5))
        self.expect("value that was never served", lambda m, s: s.pop(3))
        self.expect("time that does not fit the value",
                    lambda m, s: m[3][1]["readings"][1].update(time=rfc3339(START + 5)))

    def test_bad_quality_is_found(self):
        self.expect("reading that is not good",
                    lambda m, s: m[3][1]["readings"][1].update(value=None, quality="bad", reasons=["timeout"]))

    def test_second_body_under_one_seq_is_found(self):
        def change(messages, served):
            other = copy.deepcopy(messages[4])
            other[1]["readings"].pop()
            messages.append(other)

        self.expect("two different batches under one seq", change)

    def test_same_reading_under_two_seqs_is_found(self):
        def change(messages, served):
            other = copy.deepcopy(messages[-1])
            other[1]["seq"] += 1
            messages.append(other)

        self.expect("reading under two seqs", change)

    def test_unmarked_replay_is_found(self):
        self.expect("batch of the outage without replay: true", lambda m, s: m[24][1].pop("replay"))
        self.expect("live batch with replay: true", lambda m, s: m[4][1].update(replay=True))

    def test_missed_period_is_found(self):
        def change(messages, served):
            del messages[8:10], served[8:10]

        self.expect("period without a poll", change)

    def test_torn_line_and_empty_capture_are_found(self):
        messages, served = story()
        self.assertIn("broken message", verify.judge(["1.0\ttopic\t{\"seq\":"], served, LINE).kinds)
        self.assertIn("nothing was received", verify.judge([], served, LINE).kinds)


if __name__ == "__main__":
    unittest.main()
