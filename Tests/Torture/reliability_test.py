"""The page says what the reports say, a failure first of all."""

import copy
import io
import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import reliability
import torture

KILLS = {
    "part": "kills", "passed": True, "seconds": 550.5, "findings": {}, "figures": {
        "kills": 500, "killed before they were ready": 47, "broker": {"up": 19, "down": 18, "stalled": 16},
        "values served": 2028208, "rows": 19549, "holes unexplained": 0, "changed batches": 0, "values never served": 0,
        "missing unexplained": 0, "missing explained": {"restart": 119708},
        "gap records": {"restart": {"records": 464, "count": 0}},
        "longest loss before a kill, s": 0.2, "longest loss before a kill, s: limit": 1.0}}
SMALL = {"part": "small-disk", "passed": True, "skipped": "skipped: mounting a small file system needs root", "seconds": 0.1,
         "findings": {}, "figures": {}}
REPORT = {"seed": 1001, "begun": "2026-11-21T08:00:00Z", "seconds": 551.0, "cores": 2, "flags": ["--part", "kills"],
          "program": {"version": "0.1.0", "sha256": "ab" * 32}, "parts": [KILLS, SMALL]}


class Reliability(unittest.TestCase):
    def test_every_figure_of_a_part_that_passed_is_on_the_page(self):
        page = reliability.page([REPORT])
        for text in ("**1 of 2 parts passed**, 1 skipped.", "Not in these reports: outages, disk, clock, soak, backlog, open.",
                     "| kills | 500 kill -9, 47 of them before the gateway was ready; "
                     "broker up 19, down 18, stalled 16 times | passed | 1001 | 550.5 |",
                     "| kills | 1001 | 2,028,208 | 19,549 | 0 | 0 | 0 | 0 | restart 119,708 |",
                     "| kills | 1001 | restart | 464 | unknown |", "| kills | 1001 | longest loss before a kill, s | 0.2 | 1 |",
                     "| small-disk | skipped: mounting a small file system needs root | skipped |",
                     "| 1001 | 2026-11-21T08:00:00Z | 0.1.0 | `abababababababab` | 2 | 551 | `--part kills` |"):
            self.assertIn(text, page)
        self.assertNotIn("FAILED", page)
        self.assertNotIn("What was found", page)

    def test_a_failure_is_shown_with_its_examples(self):
        report = copy.deepcopy(REPORT)
        report["parts"][0] |= {"passed": False, "findings": {"hole in seq": {"count": 2, "examples": ["seq 7", "seq 9"]}}}
        page = reliability.page([report])
        for text in ("**0 of 2 parts passed**", "| **FAILED** | 1001 |", "- kills, seed 1001: hole in seq: 2", "  - `seq 9`"):
            self.assertIn(text, page)

    def test_a_part_that_could_not_be_played_has_no_figures_and_breaks_nothing(self):
        broken = {"part": "backlog", "passed": False, "seconds": 3.0, "figures": {},
                  "findings": {"the part could not be played": {"count": 1, "examples": ["no free ports"]}}}
        self.assertIn("| backlog | did not get that far | **FAILED** |", reliability.page([REPORT | {"parts": [broken]}]))

    def test_every_part_has_words(self):
        self.assertEqual(set(reliability.TOLD), set(torture.PARTS))

    def test_a_report_without_parts_makes_no_page(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(json.dumps(REPORT | {"parts": []}))
            file.flush()
            with mock.patch.object(sys, "argv", ["reliability.py", file.name]), mock.patch.object(sys, "stderr", io.StringIO()):
                self.assertEqual(reliability.main(), 1)
        missing = pathlib.Path(file.name)
        with mock.patch.object(sys, "argv", ["reliability.py", missing]), mock.patch.object(sys, "stderr", io.StringIO()):
            self.assertEqual(reliability.main(), 1)

    def test_only_options_that_change_the_story_are_kept(self):
        arguments = ["--part", "soak", "--seed", "4", "--soak-seconds", "300", "--headgate", "/x", "--keep=/y", "--report", "/z"]
        self.assertEqual(torture.flags_of(arguments), ["--part", "soak", "--soak-seconds", "300"])


if __name__ == "__main__":
    unittest.main()
