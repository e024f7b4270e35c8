#!/bin/sh
# Tries a package in a clean Debian root: lintian, install, every tool, the service under a booted systemd, upgrade, upgrade
# with an edited configuration, remove, purge. As root: deploy/test-deb.sh dist/headgate_VERSION_ARCH.deb [FOLDER]. FOLDER keeps the root for the next run.
# The Debian mirror is the one in this machine's apt configuration.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

say() { printf 'test-deb: %s\n' "$*" >&2; }
fail() { say "FAILED: $*"; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "must run as root (debootstrap, chroot)"
[ $# -ge 1 ] && [ -f "$1" ] || fail "usage: $0 PACKAGE.deb [FOLDER]"
for tool in debootstrap lintian dpkg-deb; do
    command -v "$tool" >/dev/null || fail "no $tool; apt-get install debootstrap lintian dpkg-dev"
done
package=$(realpath "$1")
cd "$(dirname "$0")/.."
suite=bookworm
work=$(mktemp -d)
root=${2:-$work/root}

clean_up() {
    for mounted in dev/pts proc; do
        if mountpoint -q "$root/$mounted"; then umount "$root/$mounted"; fi
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

inside() { chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
claim() { # claim TEXT COMMAND...
    text=$1
    shift
    "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; fail "$text"; }
    say "ok: $text"
}
not() { ! "$@"; }
status_is() { [ "$(inside dpkg-query --show --showformat='${db:Status-Abbrev}' headgate 2>/dev/null || echo un)" = "$1" ]; }
install_package() { # install_package PACKAGE [APT OPTION...]
    cp "$1" "$root/tmp/headgate.deb"
    shift
    inside apt-get install --yes --quiet --allow-downgrades "$@" /tmp/headgate.deb
}

man_page_is_whole() {
    inside headgate --help | sed -n '/^SUBCOMMANDS/,$s/^  \([a-z]*\)[ ,].*/\1/p' >"$work/commands"
    [ -s "$work/commands" ] && while read -r command; do
        zcat "$root/usr/share/man/man1/headgate.1.gz" | grep -q "^\.B[IR]* \"*$command" || { echo "$command"; return 1; }
    done <"$work/commands"
}
# Of each link: the file, from the folder of the guide or from the root.
links_hold() {
    find "$root/usr/share/doc/headgate" -type f -name '*.md' | while read -r file; do
        grep -oE '\]\([^)[:space:]]+\)' "$file" | sed -e 's/^](//' -e 's/)$//' -e 's/#.*//' | while read -r target; do
            case $target in
                '' | http*) ;;
                /*) [ -e "$root$target" ] || echo "$file: $target" ;;
                *) [ -e "${file%/*}/$target" ] || echo "$file: $target" ;;
            esac
        done
    done >"$work/links"
    cat "$work/links"
    [ ! -s "$work/links" ]
}

# A newer package with another shipped site file, as a release would be.
newer() { # newer SUFFIX
    rm -rf "$work/newer"
    dpkg-deb --raw-extract "$package" "$work/newer"
    sed -i "s/^Version: .*/&+$1/" "$work/newer/DEBIAN/control"
    echo "# shipped with $1" >>"$work/newer/etc/headgate/headgate.yaml"
    dpkg-deb --root-owner-group -Znone --build "$work/newer" "$work/$1.deb"
}

say "lintian"
lintian --fail-on error "$package" || fail "lintian"

if [ ! -x "$root/usr/bin/apt-get" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Release: $suite" 'Component: main' | head -n 1)
    [ -n "$mirror" ] || fail "no mirror for $suite in this machine's apt configuration (apt-get update first)"
    say "a clean $suite root"
    debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$work/debootstrap" 2>&1 ||
        { tail -n 20 "$work/debootstrap" >&2; fail "debootstrap"; }
    echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
fi
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
mountpoint -q "$root/dev/pts" || mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -sf pts/ptmx "$root/dev/ptmx"
inside apt-get update --quiet >"$work/update" 2>&1 || { cat "$work/update" >&2; fail "apt-get update"; }
inside dpkg --purge headgate >"$work/output" 2>&1 || true

configuration=$root/etc/headgate/headgate.yaml
claim "installs with its dependencies" install_package "$package"
claim "is configured" status_is "ii "
claim "user headgate is in dialout" sh -c "chroot '$root' id -nG headgate | grep -qw dialout"
claim "state folder belongs to headgate" sh -c "[ \"\$(chroot '$root' stat -c '%U:%G %a' /var/lib/headgate)\" = 'headgate:headgate 750' ]"
claim "configuration folder is root's" sh -c "[ \"\$(chroot '$root' stat -c '%U:%G %a' /etc/headgate)\" = 'root:headgate 750' ]"
claim "service is not enabled" not test -e "$root/etc/systemd/system/multi-user.target.wants/headgate.service"
claim "every library is there" sh -c "! chroot '$root' ldd /usr/bin/headgate | grep 'not found'"
claim "headgate --version" inside headgate --version
claim "headgate check is clean on the shipped site file" inside headgate check --config /etc/headgate/headgate.yaml
claim "profiles pass their golden tests" inside headgate profile test
shipped() { # shipped FOLDER PATTERN FOLDER-IN-THE-PACKAGE
    find "$1" -type f -name "$2" -printf '%f\n' | sort >"$work/wanted"
    find "$root/usr/share/headgate/$3" -type f -printf '%f\n' | sort | diff "$work/wanted" -
}
claim "every profile and every SunSpec model is there" shipped Devices '*.yaml' devices
claim "every schema is there" shipped Sources '*.schema.json' schemas
claim "headgate profile list" sh -c '[ "$(chroot "$0" headgate profile list | wc -l)" -ge 40 ]' "$root"
claim "headgate profile show finds the models" \
    sh -c 'chroot "$0" headgate profile show sunspec/any | grep -q ^inverter_power_total' "$root"
claim "the man page knows every command" man_page_is_whole
claim "links between the guides hold" links_hold
claim "bash completes it" inside bash -c '. /usr/share/bash-completion/completions/headgate && complete -p headgate'
claim "headgate keys generate" inside sh -c 'cd /tmp && headgate keys generate desk && test "$(stat -c %a desk.jwk)" = 600'
try_import() { # try_import FOLDER WORD...
    rm -rf "$root/tmp/import"
    cp -r "Tests/Fixtures/import/$1" "$root/tmp/import"
    shift
    inside sh -c 'cd /tmp/import && { headgate profile import --output . "$@" || [ $? -eq 2 ]; } &&
        headgate profile list profiles | grep .' - "$@"
}
claim "imports SunSpec" try_import sunspec/inverter-103 sunspec model_1.json model_103.json
claim "imports CSV" try_import csv/server-export csv packing-line.csv --order CDAB
claim "imports Home Assistant" try_import home-assistant/plant home-assistant configuration.yaml
claim "imports Telegraf" try_import telegraf/metric telegraf telegraf.conf
claim "imports ThingsBoard" try_import thingsboard/shipped thingsboard modbus.json
claim "imports EdgeX" try_import edgex/coolmasternet edgex modbus.test.device.profile.yml --devices modbus.test.devices.yaml
code=0
inside timeout --signal=INT --kill-after=10 12 headgate demo >"$work/demo" 2>&1 </dev/null || code=$?
# timeout reports 124 when it had to interrupt: the demo ran until then.
case $code in
    0 | 124 | 130) say "ok: headgate demo runs and ends at Ctrl-C" ;;
    *) cat "$work/demo" >&2; fail "headgate demo: exit $code" ;;
esac
claim "the demo shows live values of every device" \
    sh -c 'for device in chiller1 pump1 pump2 meter1; do grep -q "$device/.* good" "$1" || { head "$1"; exit 1; }; done' - "$work/demo"
for process in /proc/[0-9]*; do
    [ "$(readlink "$process/root" 2>/dev/null || true)" != "$(realpath "$root")" ] ||
        fail "the demo left process ${process#/proc/} behind: $(tr '\0' ' ' <"$process/cmdline")"
done

say "the service, under a booted systemd"
claim "what booting needs is installed" inside apt-get install --yes --quiet --no-install-recommends \
    systemd systemd-sysv dbus mosquitto mosquitto-clients procps
umount "$root/dev/pts" "$root/proc"
deploy/test-service.sh "$root" "$package" || fail "the service"
mount -t proc proc "$root/proc"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
claim "is purged after use" inside dpkg --purge headgate
claim "installs anew" install_package "$package"

echo precious >"$root/var/lib/headgate/journal-stand-in"
newer upgrade1
claim "upgrades" install_package "$work/upgrade1.deb"
claim "state survives an upgrade" grep -q precious "$root/var/lib/headgate/journal-stand-in"
claim "an untouched site file is replaced by the newer example" grep -q "shipped with upgrade1" "$configuration"

echo "# edited by the administrator" >>"$configuration"
newer upgrade2
claim "upgrades over an edited site file" \
    install_package "$work/upgrade2.deb" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold
claim "an edited site file stays" grep -q "edited by the administrator" "$configuration"
claim "the newer example lies beside it" test -e "$configuration.dpkg-dist"

claim "is removed" inside dpkg --remove headgate
claim "the program is gone" not test -e "$root/usr/bin/headgate"
claim "configuration survives a removal" grep -q "edited by the administrator" "$configuration"
claim "state survives a removal" grep -q precious "$root/var/lib/headgate/journal-stand-in"
claim "installs again" install_package "$package" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold
claim "state is still there" grep -q precious "$root/var/lib/headgate/journal-stand-in"

claim "is purged" inside dpkg --purge headgate
claim "configuration is gone" not test -e "$root/etc/headgate"
claim "state is gone" not test -e "$root/var/lib/headgate"
claim "user is gone" not inside getent passwd headgate
claim "nothing is left" sh -c "! find '$root' -xdev -path '$root/proc' -prune -o -path '$root/tmp' -prune -o -name '*headgate*' -print | grep ."
say "all passed"
