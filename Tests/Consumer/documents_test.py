"""The documentation, held against the schemas: every JSON example is valid, every code that a sender may meet is explained."""

import json
import pathlib
import re
import unittest

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCHEMAS = ROOT / "Sources" / "Payloads" / "Schemas"
PAGES = ("for-ai-teams.md", "operating.md", "security.md")


def schema(name):
    return json.loads((SCHEMAS / f"{name.replace('/', '-')}.schema.json").read_text())


def page(name):
    return (ROOT / "docs" / name).read_text()


class Documents(unittest.TestCase):
    def test_every_json_example_is_a_valid_document(self):
        seen = set()
        for name in PAGES:
            for number, block in enumerate(re.findall(r"```json\n(.*?)```", page(name), re.DOTALL), 1):
                with self.subTest(page=name, example=number):
                    document = json.loads(block)
                    jsonschema.Draft202012Validator(schema(document["schema"])).validate(document)
                    seen.add(document["schema"])
        self.assertLessEqual({"reading/1", "command/1", "event/1", "slot/1", "outcome/1", "decision/1", "control/1"}, seen)

    def test_every_refusal_code_is_explained_once(self):
        table = page("for-ai-teams.md").partition("## Refused")[2].partition("\n## ")[0]
        explained = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
        self.assertEqual(sorted(explained), sorted(schema("event/1")["properties"]["code"]["enum"]))

    def test_every_state_and_every_reason_is_named(self):
        follow, reasons = page("for-ai-teams.md"), schema("decision/1")["properties"]["reason"]["enum"]
        for word in schema("event/1")["properties"]["state"]["enum"]:
            self.assertIn(word, follow + page("operating.md"))
        for name in ("for-ai-teams.md", "operating.md"):
            for word in reasons:
                self.assertIn(f"`{word}`", page(name))

    def test_links_lead_somewhere(self):
        for name in PAGES:
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page(name)):
                if not target.startswith("http"):
                    self.assertTrue((ROOT / "docs" / target).exists(), f"{name}: {target}")

    def test_they_say_that_this_is_no_safety_function(self):
        for name in PAGES:
            self.assertIn("not a safety function", page(name))


if __name__ == "__main__":
    unittest.main()
