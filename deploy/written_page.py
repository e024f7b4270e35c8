"""The command line of the scripts that write a page of docs/: write it, or hold it against what it should be."""
import argparse
import difflib
import sys
from pathlib import Path


def main(document, target: Path, source: str, command: str) -> int:
    """document() gives the text of the page; `source` is what it is made from, `command` what writes it."""
    page = target.relative_to(target.parent.parent)
    parser = argparse.ArgumentParser(description=f"Writes {page} from {source}.")
    parser.add_argument("--check", action="store_true", help="write nothing, say whether it is up to date")
    arguments = parser.parse_args()
    text = document()
    if arguments.check:
        return check(text, target, source, command)
    target.write_text(text, encoding="utf-8")
    return 0


def check(text: str, target: Path, source: str, command: str) -> int:
    old = target.read_text(encoding="utf-8") if target.exists() else ""
    if old == text:
        return 0
    page = str(target.relative_to(target.parent.parent))
    print(f"{page} is not up to date; run: {command}", file=sys.stderr)
    sys.stderr.writelines(
        line + "\n" for line in difflib.unified_diff(old.splitlines(), text.splitlines(), page, source, n=0, lineterm=""))
    return 1
