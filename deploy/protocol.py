#!/usr/bin/env python3
"""Writes docs/protocol.md, the reference of topics, documents and codes, from the JSON schemas and the sources.

    deploy/protocol.py            write it
    deploy/protocol.py --check    exit code 1, and the difference, when it is not up to date

The tables TOPICS and WITHOUT_SCHEMA below are held against the sources: a topic or a document that is in only one of the two
is an error.
"""
import json
import re
import sys
from pathlib import Path

import written_page

ROOT = Path(__file__).resolve().parent.parent
SOURCES, SCHEMAS, TARGET = ROOT / "Sources", ROOT / "Sources" / "Payloads" / "Schemas", ROOT / "docs" / "protocol.md"

# Below headgate/v1/{gateway}/: topic, direction, retained, document, when.
TOPICS = [
    ("status", "out", "yes", "status/1", "every 15 s, at a stop, and by the broker as the will (`offline`)"),
    ("d/{device}", "out", "yes", "device/1", "when a session begins, and when the device changes; cleared with the device"),
    ("r/{device}", "out", "no", "reading/1", "each poll that has news; `topic:` of the publisher replaces it"),
    ("gap", "out", "no", "gap/1", "a loss that concerns all devices"),
    ("gap/{device}", "out", "no", "gap/1", "a loss of one device"),
    ("c/req/{device}/{point}", "in", "refused", "command/1", "a request to a point, signed"),
    ("c/decide/{id}", "in", "refused", "decision/1", "a person's decision about a held command, signed"),
    ("c/ctl", "in", "refused", "control/1", "a person's order, signed"),
    ("c/evt/{device}/{point}", "out", "no", "event/1", "each step of a command"),
    ("c/held/{id}", "out", "yes", "held/1", "while a person must decide; then cleared"),
    ("c/slot/{device}/{point}", "out", "yes", "slot/1", "when the holder changes; cleared when no policy covers the point"),
    ("o/{id}", "out", "no", "outcome/1", "when the horizon of a command is over"),
    ("audit/checkpoint", "out", "yes", "", "once a minute after new entries of the audit log, and at a stop: a signed note"),
]
ORIGIN = "audit"  # the name in checkpoints begins like a topic and is none
WITHOUT_TOPIC = {
    "metrics/1": "printed by `headgate command metrics --json`",
    "point/1": "inside of device/1",
}
# Documents that have a name and a version but no JSON Schema: place, page.
WITHOUT_SCHEMA = {
    "audit/1": ("entries of the audit log, and the first line of its export", "[audit.md](audit.md#formats)"),
    "command_row/1": ("`headgate command export --format jsonl`", "[for-ai-teams.md](for-ai-teams.md#outcomes-what-came-of-it)"),
    "learned/1": ("`learned.json` in the state folder", "[decisions/0010](decisions/0010-what-devices-refuse-is-a-file.md)"),
    "sunspec/1": ("`sunspec.json` in the state folder", "[profiles.md](profiles.md#sunspec-models)"),
}
PATTERNS = {
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$": "time",
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$": "time",
    r"^sha256:[0-9a-f]{64}$": "`sha256:` and 64 hex digits",
}
LISTS = {"RefusalCode": "[code](#codes)", "CommandState": "[state](#states-of-a-command)",
         "HumanReason": "[reason](#reasons-that-persons-give)", "QualityReason": "[reason](#quality-of-a-reading)"}

INTRODUCTION = """\
# Protocol: topics, documents, codes

<!-- Written by deploy/protocol.py from Sources/Payloads/Schemas and the sources: change those, then `make protocol`. -->

The reference of all that Headgate publishes and accepts. Guides with examples: [consuming.md](consuming.md) for readings,
[for-ai-teams.md](for-ai-teams.md) for commands, [operating.md](operating.md) for decisions and orders.

- Documents are JSON in UTF-8. Each names its kind and version in `schema`. A new version has a new number.
- Times are UTC as in RFC 3339, with `Z`. The gateway writes milliseconds and reads up to six digits.
- Numbers are exact decimals with digits that fit 64 bits with a sign; larger whole numbers are texts. Units are UCUM codes.
- The gateway refuses unknown members of `command/1`, `decision/1` and `control/1`. A consumer should ignore members that it
  does not know: a later release may add some.

## Topics

All of them below `headgate/v1/{gateway}/`, with QoS 1; reading batches and gap records with the `qos` of their publisher.

"""
MQTT = """
*Signed*: the payload is a JWS in compact form over the document, `EdDSA` or `HS256`, `kid` the name of the issuer. A plain
`command/1` is accepted only where a policy has `unsigned: allow`.

With MQTT 5, documents have the content type `application/json` (checkpoints `text/plain; charset=utf-8`), events expire after
an hour at the broker, and events of a request also go to its response topic with its correlation data. Which session of the
gateway carries what: [security.md](security.md#sessions-at-the-broker).
"""
EXIT_CODES = """
## Exit codes of the shell's commands

| code | meaning |
|---:|---|
| 0 | done, and the answer is good |
| 1 | the input, a device, the gateway or what was checked is at fault; stderr names it |
| 2 | only `profile import`: done, and something was left out |
| 64 | wrong usage |

Data goes to stdout, all else to stderr. `--help` of each command says what its code 1 means.

## Local socket

The shell's commands use the Unix socket `control.sock` in the state folder: one request a line, one JSON document a line back.
It is made for the program of the same version; other programs call `headgate … --json`.

An error is `{"error": "what is wrong, in words"}`. Where it concerns commands it also has `code`, one of the [codes](#codes).

"""
# Requests at the local socket, and the answers.
REQUESTS = [
    ("status", "status/1 with `local_socket`"),
    ("devices", "as `headgate devices --json`"),
    ("forget DEVICE", "`device` and `forgotten`: what was forgotten"),
    ("read DEVICE", "as `headgate read --json`"),
    ("journal", "as `headgate journal status --json`"),
    ("replay PUBLISHER FROM-TO …", "`rows`: how many will be sent again"),
    ("commands", "`commands`, `held`, `slots`, `lockouts` and `figures`"),
    ("commands ID", "`events`: the entries of the audit log about one command"),
    ("command NAME DOCUMENT", "`events` of a command/1 in the name of a person, until it comes to a rest or 14 s are over"),
    ("rehearse NAME DOCUMENT", "`guards`: the verdicts on a command/1, without a write"),
    ("decide NAME DOCUMENT", "`done`, after a decision/1"),
    ("order NAME DOCUMENT", "`done`, after an order such as control/1"),
    ("metrics QUERY", "metrics/1"),
    ("tool DOCUMENT", "lines with `trace`, `lost`, `progress`; at the end `result`, `error` or `elsewhere`"),
]


# Name of a guard in verdicts, the codes that it may give, what it checks.
GUARDS = [
    ("address", "unknown_point not_writable", "the gateway and the point are right, and a policy covers the point"),
    ("authority", "not_authorised", "the policy names the issuer, whose category is the one that it claims"),
    ("signature", "bad_signature", "the request is signed, or comes from the local socket, or the policy allows unsigned ones"),
    ("time", "expired time_skew bad_format", "issued not in the future, not expired, and not for too long"),
    ("site", "mode_blocked not_ready", "the site may be written, and the gateway is not stopping"),
    ("lockout", "locked_out", "no lockout covers the point"),
    ("local", "local_control", "no person at the plant has the point; a person there may command it"),
    ("interlocks", "interlock interlock_unknown", "every condition of the policy is known to hold"),
    ("evidence", "evidence_stale evidence_bad", "the evidence is what was published, fresh enough and good enough"),
    ("format", "bad_format bad_unit", "the value is of the kind of the point, in its unit"),
    ("hours", "mode_blocked", "the policy allows writes at this hour"),
    ("holder", "held_by_other", "no issuer with more authority, and no other machine, holds the point"),
    ("limits", "out_of_limits device_unhealthy", "the value is inside the limits of policy, profile and device"),
    ("step", "step_limit device_unhealthy wrong_device", "the value is not too far from the measured one"),
    ("rate", "rate_limit", "the writes of the hour are not used up"),
    ("min_interval", "min_interval", "the last write is long enough ago"),
    ("per_day", "budget", "the writes of the day are not used up"),
    ("expect", "expect_mismatch", "the point has the value that the issuer expects"),
    ("expected", "unknown_point bad_unit", "expected changes are of points of this gateway, in their units"),
    ("device", "device_unhealthy wrong_device", "the device answers, and is the one of its profile"),
    ("confirmation", "unverified", "the write can be confirmed, or the policy allows it without"),
    ("readiness", "not_ready", "the readiness report allows it, where the policy requires one"),
    ("approval", "", "`hold` until a person decides, where mode, lane or policy require it"),
]


def fail(text: str) -> None:
    sys.exit(f"deploy/protocol.py: {text}")


# Swift sources


def swift() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in sorted(SOURCES.rglob("*.swift"))}


def enum_body(sources: dict[Path, str], name: str) -> str:
    pattern = re.compile(rf"^package enum {name}\b.*?{{\n(.*?)^}}", re.M | re.S)
    found = [match.group(1) for text in sources.values() for match in pattern.finditer(text)]
    if len(found) != 1:
        fail(f"{len(found)} enums {name} in Sources")
    return found[0]


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: "_" + match.group(1).lower(), name)


def cases(sources: dict[Path, str], name: str) -> list[tuple[str, str, str]]:
    """Name, code and doc comment of each case of an enum, in order."""
    result, comment = [], []
    for line in enum_body(sources, name).splitlines():
        text = line.strip()
        if text.startswith("///"):
            comment.append(text[3:].strip())
            continue
        if match := re.fullmatch(r'case (\w+)(?: = (?:"(\w+)"|\d+))?', text):
            if not comment:
                fail(f"{name}.{match.group(1)} has no comment")
            result.append((match.group(1), match.group(2) or snake(match.group(1)), " ".join(comment)))
        comment = []
    return result


def switch(body: str, variable: str) -> dict[str, str]:
    """What a computed property gives for each case."""
    part = re.search(rf"var {variable}: .*?{{\n(.*?)^    }}", body, re.M | re.S)
    result = {}
    for names, value in re.findall(r"case ((?:\.\w+,?\s*)+):\s*(\S+)", part.group(1) if part else ""):
        result |= {name: value.lstrip(".") for name in re.findall(r"\.(\w+)", names)}
    return result


def transitions(sources: dict[Path, str]) -> list[tuple[str, list[str], list[str]]]:
    """From each state: where a command may go, and where it may go when nothing can confirm its write."""
    text = next(text for path, text in sources.items() if path.name == "CommandState.swift")
    target = switch(enum_body(sources, "CommandStep"), "target")
    body = re.search(r"func allowed\(.*?switch self {\n(.*?)^        }", text, re.M | re.S).group(1)
    result = []
    for names, value in re.findall(r"case ((?:\.\w+,?\s*)+):\s*(.*?)(?=\n\s*case |\Z)", body, re.S):
        sides = []
        for unverified in (False, True):
            choice = r"isUnverified \? (\[[^]]*\]|\.\w+) : (\[[^]]*\]|\.\w+)"
            chosen = re.sub(choice, r"\1" if unverified else r"\2", value)
            sides.append([snake(target[step]) for step in re.findall(r"\.(\w+)", chosen)])
        result += [(snake(name), sides[0], sides[1] if sides[1] != sides[0] else []) for name in re.findall(r"\.(\w+)", names)]
    return result


# What must be the same in two places


def check_topics(sources: dict[Path, str]) -> None:
    known = {re.sub(r"{\w+}(/{\w+})*", "*", topic) for topic, *_ in TOPICS} | {ORIGIN}
    found = {}
    for path, text in sources.items():
        for literal in re.findall(r'"(?:headgate/v1/(?:\\\(gateway\)|{gateway})|\\\(root\))/([^"\s]+)"', text):
            shape = re.sub(r"\\\(.*?\)|{\w+}|[+#]", "*", literal)
            if shape != "c/":
                found[shape] = path.relative_to(ROOT)
    if unknown := set(found) - known:
        fail(f"a topic that TOPICS lacks: {sorted(unknown)} in {[str(found[topic]) for topic in sorted(unknown)]}")
    if gone := known - set(found):
        fail(f"topics that are not in the sources: {sorted(gone)}")


def check_documents(sources: dict[Path, str], schemas: dict[str, dict]) -> None:
    found = {name for text in sources.values() for name in re.findall(r'"(\w+/\d+)"', text)
             if f'("{name}")' in text or f'== "{name}"' in text or f'"{name}" }}' in text}
    known = set(schemas) | set(WITHOUT_SCHEMA)
    if found != known:
        fail(f"documents only in the sources: {sorted(found - known)}; only here: {sorted(known - found)}")
    placed = {document for _, _, _, document, _ in TOPICS if document} | set(WITHOUT_TOPIC)
    if placed != set(schemas):
        fail(f"documents without a place, or places without a schema: {sorted(placed ^ set(schemas))}")


def check_codes(schemas: dict[str, dict], listed: dict[str, list]) -> None:
    event = schemas["event/1"]["properties"]
    reading = schemas["reading/1"]["properties"]["readings"]["items"]["properties"]
    in_schemas = {"RefusalCode": event["code"], "CommandState": event["state"], "HumanReason": event["reason"],
                  "QualityReason": reading["reasons"]["items"], "GapReason": schemas["gap/1"]["properties"]["reason"]}
    for name, of_schema in in_schemas.items():
        codes = [code for _, code, _ in listed[name]]
        if sorted(codes) != sorted(of_schema["enum"]):
            fail(f"{name} and its schema differ: {sorted(set(codes) ^ set(of_schema['enum']))}")


def check_guards(sources: dict[Path, str], codes: list[tuple[str, str, str]]) -> None:
    guards = "".join(text for path, text in sources.items() if path.name.startswith("Guard"))
    found = set(re.findall(r'(?:verdict|counted)\(\s*"(\w+)"', guards))
    if found != {name for name, _, _ in GUARDS}:
        fail(f"guards only in the sources or only here: {sorted(found ^ {name for name, _, _ in GUARDS})}")
    if unknown := {code for _, own, _ in GUARDS for code in own.split()} - {code for _, code, _ in codes}:
        fail(f"no such codes: {sorted(unknown)}")


def check_requests(sources: dict[Path, str]) -> None:
    everything = "".join(sources.values())
    if gone := [request for request, _ in REQUESTS if not re.search(rf'"{request.split()[0]}[" ]', everything)]:
        fail(f"requests that are not in the sources: {gone}")


# The page


def type_of(node: dict, listed: dict[str, list]) -> str:
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(type_of(choice, listed) for choice in node["anyOf"]))
    if (name := node.get("properties", {}).get("schema", {}).get("const")) is not None:
        return f"[{name}](#{name.replace('/', '')})"
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if "enum" in node:
        whole = next((link for name, link in LISTS.items() if len(node["enum"]) == len(listed[name])
                      and set(node["enum"]) == {code for _, code, _ in listed[name]}), None)
        return whole or ", ".join(f"`{value}`" for value in node["enum"])
    kind = node.get("type", "any")
    if kind == "array":
        items = node["items"]
        return "list" if "properties" in items and "schema" not in items["properties"] else "list of " + type_of(items, listed)
    if kind == "object" and isinstance(node.get("additionalProperties"), dict):
        return "object by name"
    if kind == "string":
        pattern = node.get("pattern", "")
        return PATTERNS.get(pattern, "UUID" if "{12}" in pattern and "{8}" in pattern else "text")
    names = {"string": "text", "boolean": "true or false", "null": "null", "integer": "whole number"}
    return " or ".join(names.get(name, name) for name in (kind if isinstance(kind, list) else [kind]))


def members(node: dict, listed: dict[str, list], prefix: str = "", seen: dict | None = None) -> list[list[str]]:
    seen = {} if seen is None else seen
    rows, own = [], node.get("properties", {})
    same = (shape for shape in seen if len(shape) > 2 and all(own.get(name) == seen[shape][1][name] for name in shape))
    known = next(same, None)
    seen.setdefault(tuple(own), (prefix.rstrip("."), own))
    for name, child in own.items():
        if not isinstance(child, dict) or (known and name in known):
            continue
        path = prefix + name
        needed = "yes" if name in node.get("required", []) else ""
        rows.append([f"`{path}`", needed, type_of(child, listed), child.get("description", "")])
        if "schema" in child.get("properties", {}) or "schema" in child.get("items", {}).get("properties", {}):
            continue
        rows += members(child, listed, path + ".", seen) if "properties" in child else []
        for key, mark in (("items", "[]."), ("additionalProperties", ".*.")):
            if isinstance(child.get(key), dict) and "properties" in child[key]:
                rows += members(child[key], listed, path + mark, seen)
    if known:
        rows.append([f"`{prefix}…`", "", "", f"the members of `{seen[known][0]}`"])
    return rows


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]) + "\n"


def document_section(name: str, schema: dict, listed: dict[str, list]) -> str:
    places = [f"`{topic}`" for topic, _, _, document, _ in TOPICS if document == name]
    place = "Topic " + " and ".join(places) if places else WITHOUT_TOPIC[name][0].upper() + WITHOUT_TOPIC[name][1:]
    title = schema["title"].partition(": ")[2]
    file = f"../Sources/Payloads/Schemas/{name.replace('/', '-')}.schema.json"
    rows = [row for row in members(schema, listed) if row[0] != "`schema`"]
    head = f"\n### {name}\n\n{title[0].upper()}{title[1:]}. {place}. [Schema]({file}).\n\n"
    return head + table(["member", "always", "type", "meaning"], rows)


def coded(codes: list[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)


def meanings(head: str, cases: list[tuple[str, str, str]]) -> str:
    return table([head, "meaning"], [[f"`{code}`", meaning] for _, code, meaning in cases])


def topics_table() -> str:
    return table(
        ["topic", "direction", "retained", "document", "when"],
        [[f"`{topic}`", direction, retained, f"[{name}](#{name.replace('/', '')})" if name else "text", when]
         for topic, direction, retained, name, when in TOPICS])


def documents_sections(schemas: dict[str, dict], listed: dict[str, list]) -> str:
    text = "\n## Documents\n\n*always*: the member is in every document of the kind.\n"
    text += "".join(document_section(name, schema, listed) for name, schema in schemas.items())
    rows = [[f"`{name}`", place, page] for name, (place, page) in WITHOUT_SCHEMA.items()]
    return text + "\n### Documents without a schema\n\n" + table(["name", "where", "see"], rows)


def command_sections(sources: dict[Path, str], listed: dict[str, list]) -> str:
    text = "\n## States of a command\n\nThe drawing is in [commands.md](commands.md).\n\n"
    text += meanings("state", listed["CommandState"]) + "\n"
    text += table(["from", "to", "to, where nothing can be read back"], [
        [f"`{start}`", coded(ends), coded(others)] for start, ends, others in transitions(sources) if ends or others])
    text += """
## Codes

`code` of an event, of a guard's verdict and of an error at the local socket. When several guards refuse, the
first of this list is the code of the event. What to do about each: [for-ai-teams.md](for-ai-teams.md#refused-what-to-do).

""" + meanings("code", listed["RefusalCode"])
    text += "\n## Guards\n\n`guard` of a verdict. All guards that apply to an action run, and the worst verdict counts.\n\n"
    text += table(["guard", "passes when", "code"], [[f"`{name}`", what, coded(codes.split())] for name, codes, what in GUARDS])
    text += "\n## Reasons that persons give\n\n`reason` of a denial or an override.\n\n"
    return text + meanings("reason", listed["HumanReason"])


def reading_sections(sources: dict[Path, str], listed: dict[str, list]) -> str:
    body = enum_body(sources, "QualityReason")
    quality, status = switch(body, "quality"), switch(body, "opcUAStatus")
    text = """
## Quality of a reading

`reasons` of a reading. Its `quality` is the worst that one of them implies; without any it is `good`. The last
column is the status code of OPC UA (part 4, section 7.39) that means the same.

"""
    text += table(["reason", "quality", "meaning", "OPC UA"], [
        [f"`{code}`", quality[name], meaning, f"`{status[name].replace('_', '')}`"]
        for name, code, meaning in listed["QualityReason"]])
    text += "\n## Reasons of a loss\n\n`reason` of a gap record; what `count` counts: [journal.md](journal.md#gap-records).\n\n"
    return text + meanings("reason", listed["GapReason"])


def document() -> str:
    sources = swift()
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(SCHEMAS.glob("*.schema.json"))]
    schemas = {schema["properties"]["schema"]["const"]: schema for schema in documents}
    enums = ["RefusalCode", "CommandState", "HumanReason", "QualityReason", "GapReason"]
    listed = {name: cases(sources, name) for name in enums}
    check_topics(sources)
    check_documents(sources, schemas)
    check_codes(schemas, listed)
    check_guards(sources, listed["RefusalCode"])
    check_requests(sources)
    requests = table(["request", "answer"], [[f"`{request}`", answer] for request, answer in REQUESTS])
    return (INTRODUCTION + topics_table() + MQTT + documents_sections(schemas, listed) + command_sections(sources, listed)
            + reading_sections(sources, listed) + EXIT_CODES + requests)


if __name__ == "__main__":
    sys.exit(written_page.main(document, TARGET, source="Sources", command="make protocol"))
