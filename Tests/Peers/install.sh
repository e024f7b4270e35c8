#!/bin/sh
# Makes .build/peers, a Python environment with the packages of requirements.txt. Does nothing when it is there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=$(cd "$here/../.." && pwd)/.build/peers
stamp=$folder/requirements.txt

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
cmp -s "$here/requirements.txt" "$stamp" && exit 0

say() { printf 'peers: %s\n' "$*" >&2; }
say "installing $(grep -vc '^#' "$here/requirements.txt") Python packages into $folder"
/usr/bin/python3 -m venv "$folder/venv" || { say "no python3-venv: run deploy/setup.sh"; exit 1; }
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
cp "$here/requirements.txt" "$stamp"
