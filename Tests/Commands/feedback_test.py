"""What comes back to those who send, decide and judge: answers to one broker, reasons, metrics, who was at the socket,
watchdogs that are fed. The gateway's own program, private brokers, devices in a process of their own. Loopback only."""

import json
import os
import pwd
import stat
import time
import unittest

from judge import ISSUERS, Judged, policy
from plant import ROOT, Plant, origin, other_command, set_command


class Answers(Judged):
    """Two brokers: what one of them asks is not answered at the other."""

    @classmethod
    def setUpClass(cls):
        cls.plant = Plant(ISSUERS, {"free": policy("sp00", "sp01", "sp02")}, brokers=2)
        cls.addClassCleanup(cls.plant.close)

    @classmethod
    def tearDownClass(cls):
        cls.plant.stop()
        cls().judge(cls.plant)

    def answers(self, ear, command):
        return [answer for answer in ear.answers if answer[2]["id"] == command]

    def test_an_answer_goes_to_the_broker_that_was_asked_and_events_to_all(self):
        plant, (first, second) = self.plant, self.plant.ears
        command = plant.send(set_command("d0/sp00", 21), ear=second, ResponseTopic="answers/opt")
        for ear in plant.ears:
            plant.expect(command, "verified", ear=ear)
        second.wait("answer", lambda: [a for a in self.answers(second, command) if a[2]["state"] == "verified"])
        # What the first broker is asked later is answered there: by then a stray answer would have arrived.
        later = plant.send(set_command("d0/sp01", 21), ResponseTopic="answers/opt")
        first.wait("answer", lambda: [a for a in self.answers(first, later) if a[2]["state"] == "verified"])
        self.assertEqual(self.answers(first, command), [])
        self.assertEqual(self.answers(second, later), [])

    def test_no_answer_becomes_a_command_or_a_retained_word_of_the_gateway(self):
        plant, ear = self.plant, self.plant.ear
        known = plant.figures()["requests"]
        topics = [f"{ROOT}/c/req/d0/sp02", f"{ROOT}/c/ctl", f"{ROOT}/c/slot/d0/sp02", f"{ROOT}/r/d0", "$SYS/broker/x"]
        for value, topic in enumerate(topics, 22):
            command = plant.send(set_command("d0/sp02", value), ResponseTopic=topic)
            plant.expect(command, "verified")
        figures = plant.figures()
        self.assertEqual((figures["requests"] - known, figures.get("junk", 0)), (len(topics), 0))
        for answer in ear.documents["event/1"]:
            self.assertIn("/c/evt/", answer[0].replace("answers/", "/c/evt/"))


if __name__ == "__main__":
    unittest.main()
