"""The documentation, held against the schemas: every JSON example is valid, every code that a sender may meet is explained."""

import json
import pathlib
import re
import subprocess
import sys
import unittest

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCHEMAS = ROOT / "Sources" / "Payloads" / "Schemas"
sys.path.insert(0, str(ROOT / "deploy"))

import protocol  # noqa: E402

PAGES = ("for-ai-teams.md", "operating.md", "security.md")


def schema(name):
    return json.loads((SCHEMAS / f"{name.replace('/', '-')}.schema.json").read_text())


def page(name):
    return (ROOT / "docs" / name).read_text()


def anchors(file):
    """The names that headings of a page have as targets of links."""
    text = re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


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
        files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "Tests").rglob("*.md")]
        for file in files:
            text = re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)
            for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", text):
                if target.startswith("http"):
                    continue
                with self.subTest(page=str(file.relative_to(ROOT)), target=target, anchor=anchor):
                    other = (file.parent / target).resolve() if target else file
                    self.assertTrue(other.exists())
                    if anchor:
                        self.assertIn(anchor, anchors(other))

    def test_links_of_installed_guides_stay_inside_the_package(self):
        guides = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        guides = [file for file in guides if file.name != "CHANGELOG.md"]
        installed = (*guides, ROOT / "docs" / "examples", ROOT / "Sources" / "Payloads" / "Schemas",
                     ROOT / "Sources" / "Profiles" / "Schemas")
        for file in guides:
            for target in re.findall(r"\]\(([^)#\s]+)", re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)):
                if target.startswith(("http", "../Tests/")):  # deb.sh makes a name of the latter
                    continue
                with self.subTest(page=str(file.relative_to(ROOT)), target=target):
                    other = (file.parent / target).resolve()
                    self.assertTrue(any(other == place or place in other.parents for place in installed))

    def test_the_protocol_page_is_what_the_script_writes(self):
        run = subprocess.run([sys.executable, ROOT / "deploy" / "protocol.py", "--check"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_the_protocol_page_names_every_document_topic_and_code(self):
        text = page("protocol.md")
        for path in SCHEMAS.glob("*.json"):
            document = json.loads(path.read_text())
            self.assertIn(f"### {document['properties']['schema']['const']}\n", text)
        for code in schema("event/1")["properties"]["code"]["enum"] + schema("event/1")["properties"]["state"]["enum"]:
            self.assertIn(f"| `{code}` |", text)
        self.assertNotRegex(text, r"(?m)^\| `[^|]*\|[^|]*\|[^|]*\|  \|$", "a member without a meaning")

    def test_the_drawing_shows_every_step_of_a_command(self):
        drawn = re.findall(r"^    (\w+) --> (\w+)$", page("commands.md"), re.MULTILINE)
        allowed = [(start, end) for start, ends, _ in protocol.transitions(protocol.swift()) for end in ends]
        self.assertEqual(sorted(drawn), sorted(allowed))

    def test_they_say_that_this_is_no_safety_function(self):
        for name in PAGES:
            self.assertIn("not a safety function", page(name))


if __name__ == "__main__":
    unittest.main()
