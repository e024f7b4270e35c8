#!/bin/sh
# Installs the Debian packages that building, testing and packaging Headgate needs.
# Does nothing, and needs no network, when all of them are there.
# Not in the list on purpose: libsystemd-dev (its installation can upgrade systemd itself; Headgate does not use it).
set -eu

libraries="libmodbus-dev libmosquitto-dev libsqlite3-dev libssl-dev"
compiler="gcc libc6-dev make pkg-config"
peers="mosquitto mosquitto-clients socat mbpoll openssl"
checkers="python3 python3-jsonschema python3-paho-mqtt python3-jwt python3-cryptography python3-yaml python3-venv"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

installed() {
    case $(dpkg-query --show --showformat='${db:Status-Abbrev}' "$1" 2>/dev/null || true) in
        ?i*) return 0 ;;
        *) return 1 ;;
    esac
}

command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 || fail \
    "this machine has no dpkg and apt-get; install the equivalents of these yourself:" \
    "$libraries $compiler $peers $checkers"

missing=
for package in $libraries $compiler $peers $checkers; do
    installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

say "missing Debian packages:$missing"
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    # Never wait for a password where nobody can type one.
    if [ -t 0 ] && [ -z "${CI:-}" ]; then as_root="sudo"; else as_root="sudo -n"; fi
    say "installing them with sudo"
else
    fail "not root and no sudo; as root run: apt-get update && apt-get install --yes$missing"
fi

apt() {
    # shellcheck disable=SC2086  # $as_root is a command and its flag, or nothing
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2
}

say "apt-get update"
# One broken source among several is not ours to judge: the installation below is.
apt update || say "apt-get update failed; trying with the package lists that are here"
say "apt-get install$missing"
# shellcheck disable=SC2086  # a list
apt install --no-install-recommends $missing || fail "apt-get could not install:$missing"

for package in $missing; do
    installed "$package" || fail "apt-get reported success but $package is not installed"
done
say "done"
