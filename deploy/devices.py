#!/usr/bin/env python3
"""Writes docs/devices.md, the list of the shipped device profiles, from the files in Devices.

    deploy/devices.py            write it
    deploy/devices.py --check    exit code 1, and the difference, when it is not up to date
"""
import sys
from pathlib import Path

import written_page
import yaml

ROOT = Path(__file__).resolve().parent.parent
DEVICES, TARGET = ROOT / "Devices", ROOT / "docs" / "devices.md"

# The first word that occurs in a title decides; "Other" means that a title does not say what the device is.
KINDS = [
    ("Simulated", ["simulated"]),
    ("Energy and power meters", ["energy meter", "power meter"]),
    ("Variable-speed drives", ["drive"]),
    ("Gensets", ["genset"]),
    ("Temperature and process controllers", ["temperature controller", "process controller"]),
    ("Remote I/O", ["remote i/o"]),
    ("PLCs", ["plc", "logic module"]),
    ("Solar inverters", ["inverter"]),
    ("Uninterruptible power supplies", ["ups"]),
    ("Chillers and heat pumps", ["chiller", "heat pump"]),
    ("Flow meters", ["flow meter"]),
    ("Other", [""]),
]
UNTRIED = "Not tested on a device."
DOUBTS = ("ncertain", "ompare with")

INTRODUCTION = """\
# Devices that Headgate knows

<!-- Written by deploy/devices.py from the profiles in Devices: change those, then `make devices`. -->

{count} profiles of devices, and {simulated} for tests without a device. `headgate profile list` shows what is
installed, `headgate profile show ID` all points of one. If yours is missing, [profiles.md](profiles.md) shows how to write it
in 15 minutes.

The columns:

- **Points**: how many values the profile gives. Golden tests cover all of them; `make test` runs them.
- **Serial**: the factory setting, as far as it is known. A scan tries it first; it is never a default.
- **Can be written**: the points with a write rule, with the bounds of the device. The site's policy decides
  who may write them, and how far.
- **Source**: where the register map comes from, and what it was compared with. "One source" means that nothing else
  confirms it. {tried}
- **Compare first**: points whose address or scale is uncertain. Compare them with the device's display before you rely on
  them; the profile names the reason. Points with more doubt were left out.
"""


def models() -> list[dict]:
    """The definitions of SunSpec models, whose points profiles name by number."""
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(DEVICES.glob("sunspec/models/*.yaml"))]


def of_models(wanted: list[int]) -> dict[str, dict]:
    """The points of a device that has one model of each kind that a profile wants."""
    found = {}
    several = [model for model in models() if set(model["models"]) & set(wanted)]
    for model in {model["prefix"]: model for model in reversed(several)}.values():
        repeated = {f"1_{name}": point for name, point in model.get("repeat", {}).get("points", {}).items()}
        for name, point in (model["points"] | repeated).items():
            found[f"{model['prefix']}_{name}"] = point
    return found


def profiles() -> list[dict]:
    """All profile files, by id."""
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(DEVICES.glob("*/*.yaml"))]


def points(profile: dict) -> dict[str, dict]:
    """The points by name, with those of all copies of its repeated blocks and those of its models."""
    single = profile.get("points", {})
    blocks = profile.get("repeat", [])
    blocks = [blocks] if isinstance(blocks, dict) else blocks
    result = {} if any("points" not in block for block in blocks) else dict(single)
    for block in blocks:
        first = block.get("first", 1)
        for number in range(first, first + block["count"]):
            prefix = block["name"].replace("{n}", str(number))
            result |= {prefix + name: point for name, point in block.get("points", single).items()}
    return result | of_models(profile.get("sunspec", []))


def kind(profile: dict) -> str:
    title = profile["title"].lower()
    return next(name for name, words in KINDS if any(word in title for word in words))


def serial(profile: dict) -> str:
    setting = profile.get("serial")
    return f"{setting['baud']} {setting['format']}, unit {setting.get('unit', 1)}" if setting else "TCP"


def number(value: float) -> str:
    return f"{value:g}" if abs(value) < 100_000 else str(value)


def bounds(rule: dict, unit: str) -> str:
    low, high = rule.get("min"), rule.get("max")
    if low is None or high is None:
        return ""
    text = f"{number(low)} to {number(high)}"
    return f" ({text})" if unit == "1" else f" ({text} {unit})"


def writable(profile: dict) -> str:
    """The points with a write rule; runs such as do_0 to do_5 in short."""
    names: list[tuple[str, str]] = []
    for name, point in points(profile).items():
        if rule := point.get("write"):
            names.append((name, bounds(rule, point.get("unit", "1"))))
    parts: list[str] = []
    while names:
        first, limits = names.pop(0)
        last = first
        while names and names[0] == (successor(last), limits):
            last = names.pop(0)[0]
        parts.append((f"`{first}`" if last == first else f"`{first}` to `{last}`") + limits)
    return ", ".join(parts) or "–"


def successor(name: str) -> str:
    """The name with its last number one higher."""
    head = name.rstrip("0123456789")
    digits = name[len(head):]
    return f"{head}{int(digits) + 1}" if digits else ""


def doubtful(profile: dict) -> str:
    names = [
        name for name, point in points(profile).items()
        if any(doubt in point.get("description", "") for doubt in DOUBTS)
    ]
    return ", ".join(f"`{name}`" for name in names) or "–"


def source(profile: dict) -> str:
    text = " ".join(profile["source"].split())
    return text.removesuffix(UNTRIED).strip()


def row(profile: dict) -> str:
    cells = [
        profile["title"], f"`{profile['profile']}`", str(len(points(profile))), serial(profile), writable(profile),
        source(profile), doubtful(profile),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def tried(real: list[dict]) -> str:
    count = sum(UNTRIED not in " ".join(profile["source"].split()) for profile in real)
    if count == 0:
        return "None was tested on a real device yet: a report that yours works, or does not, is welcome."
    return f"{count} of them were tested on a real device, and their source names it; the others were not."


def document() -> str:
    everything = profiles()
    real = [profile for profile in everything if kind(profile) != "Simulated"]
    text = INTRODUCTION.format(count=len(real), simulated=len(everything) - len(real), tried=tried(real))
    for name, _ in sorted(KINDS, key=lambda pair: pair[0] in ("Simulated", "Other")):
        members = [profile for profile in everything if kind(profile) == name]
        if not members:
            continue
        text += f"\n## {name}\n\n"
        text += "| Device | Profile | Points | Serial | Can be written | Source | Compare first |\n"
        text += "|---|---|---:|---|---|---|---|\n"
        text += "\n".join(row(profile) for profile in members) + "\n"
    return text


if __name__ == "__main__":
    sys.exit(written_page.main(document, TARGET, source="Devices", command="make devices"))
