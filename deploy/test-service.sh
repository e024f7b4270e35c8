#!/bin/sh
# Runs the installed gateway as a service: boots systemd in a Debian root that has the package, in namespaces of its own
# (network too), with a simulated device and a broker. As root: deploy/test-service.sh ROOT PACKAGE.deb, from test-deb.sh.
set -eu
export LC_ALL=C

say() { printf 'test-service: %s\n' "$*" >&2; }
fail() { say "FAILED: $*"; exit 1; }
[ $# -eq 2 ] && [ -d "$1" ] && [ -f "$2" ] || fail "usage: $0 ROOT PACKAGE.deb"
root=$(realpath "$1")
package=$(realpath "$2")
work=$(mktemp -d)
init=
clean_up() {
    # unshare itself ignores SIGTERM.
    if [ -n "$init" ]; then kill -KILL "$init" 2>/dev/null || true; wait "$booted" 2>/dev/null || true; fi
    rm -f "$root/etc/systemd/system/getty.target"
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# The folder of the control groups: whichever kind this machine has.
cat >"$work/boot" <<'TEXT'
set -eu
ip link set lo up
mount --rbind "$ROOT" "$ROOT"
cd "$ROOT"
mount -t proc proc proc
mount -t sysfs sysfs sys
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount -t tmpfs tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd sys/fs/cgroup/devices
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    mount -t cgroup -o devices cgroup sys/fs/cgroup/devices
fi
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
exec chroot . env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root container=lxc /lib/systemd/systemd
TEXT
export ROOT="$root"
# The consoles are this machine's.
ln -sf /dev/null "$root/etc/systemd/system/getty.target"
unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child sh "$work/boot" >"$work/console" 2>&1 </dev/null &
booted=$!
child() { cat "/proc/$booted/task/$booted/children"; }
until [ -n "$(child)" ]; do sleep 0.1; done
init=$(child)
init=${init%% *}

inside() {
    nsenter --target "$init" --mount --pid --uts --ipc --net --cgroup --root --wd \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"
}
by() { who=$1; shift; inside runuser -u "$who" -- "$@"; }
claim() { # claim TEXT COMMAND...
    text=$1
    shift
    "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; inside journalctl --no-pager --unit headgate --lines 40 >&2; fail "$text"; }
    say "ok: $text"
}
not() { ! "$@"; }
within() { # within SECONDS COMMAND...
    tries=$(($1 * 5))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.2
    done
}
main() { inside systemctl show --property MainPID --value headgate; }
is_another() { [ "$(main)" != "$1" ] && [ "$(main)" != 0 ]; }
is_online() { by anna headgate devices | grep -q "^$1 .*online"; }
logged() { inside journalctl --no-pager --unit headgate --since "$since" | grep "$1"; }

is_up() { inside systemctl is-system-running 2>/dev/null | grep -Eq 'running|degraded'; }
within 60 is_up || { cat "$work/console" >&2; fail "systemd does not boot in $root"; }
for name in anna bob; do inside sh -c "id $name >/dev/null 2>&1 || useradd --create-home $name"; done
inside usermod --append --groups headgate anna
inside usermod --groups "" bob
# A root of an earlier run.
inside systemctl disable --quiet --now headgate
inside sh -c 'rm -rf /var/lib/headgate/*'

site=$root/etc/headgate/headgate.yaml
inside install -m 0600 -o headgate -g headgate /dev/stdin /etc/headgate/desk.key <<'TEXT'
a secret that has at least thirty-two bytes
TEXT
write_site() { # write_site [LINE...]
    cat >"$site" <<TEXT
gateway: {id: gw-01, owner: plant-ops, state: /var/lib/headgate}
connections:
  hall: {tcp: 127.0.0.1:1502}
  line: {serial: /run/plant-line, baud: 19200, format: 8N1}
publish:
  plant: {mqtt: mqtt://127.0.0.1:1883}
commands:
  issuers:
    desk: {hmac_file: /etc/headgate/desk.key, category: operator}
    anna: {category: operator, accounts: [anna]}
  policies:
    demand: {points: [meter1/demand_period], allow: [desk, anna], fallback: hold}
devices:
  meter1: {profile: eastron/sdm630, connection: hall, unit: 1, owner: me}
  meter2: {profile: eastron/sdm630, connection: line, unit: 1, owner: me}
TEXT
    for line; do echo "$line" >>"$site"; done
}
write_site
inside systemd-run --quiet --unit plant headgate simulate eastron/sdm630 --tcp 1502 --unit 1 --unit 2
line_up() {
    inside systemd-run --quiet --unit plant-line --uid headgate --property RuntimeDirectory=plant \
        headgate simulate eastron/sdm630 --pty /run/plant/line --baud 19200 --format 8N1 --unit 1
}
line_up
inside ln -sfn plant/line /run/plant-line
since=$(inside date '+%Y-%m-%d %H:%M:%S')

claim "the unit is sound" inside systemd-analyze verify --man=no headgate.service
inside systemd-run --quiet --unit other-master --uid headgate flock /run/plant-line sleep 300
claim "starts, and is ready" inside systemctl enable --quiet --now headgate
claim "names who holds a serial line that is in use" within 10 logged "in use by flock (process"
inside systemctl stop other-master
claim "reads over TCP" within 10 is_online meter1
claim "reads a serial line" within 10 is_online meter2
claim "publishes" inside timeout 20 mosquitto_sub -h 127.0.0.1 -t 'headgate/v1/gw-01/r/meter1' -C 1
# The setpoint is polled once a minute.
claim "a member of the group commands" within 75 by anna headgate command set meter1/demand_period 10 --reason test
claim "and sees the journal" by anna headgate journal verify
claim "and the audit log" by anna headgate audit verify
claim "but not the key that signs it" not by anna cat /var/lib/headgate/audit.key
for tool in devices "journal status" "audit verify" check; do
    # shellcheck disable=SC2086  # a command with its subcommand
    by bob headgate $tool >"$work/said" 2>&1 && fail "bob may use headgate $tool"
    claim "who is not is told why ($tool)" grep "you may not read" "$work/said"
done
claim "nothing in the state folder is for others" sh -c '! find "$1" -perm /o+rwx | grep .' - "$root/var/lib/headgate"

process=$(main)
write_site '  meter3: {profile: eastron/sdm630, connection: hall, unit: 2, owner: me}'
claim "reloads" inside systemctl reload headgate
claim "polls what the changed file added" within 10 is_online meter3
write_site '  meter3: {profile: no/such, connection: hall, unit: 2, owner: me}'
inside systemctl reload headgate
claim "a file with an error is told" within 10 logged "no/such"
claim "and changes nothing" is_online meter3
claim "in the same process" test "$(main)" = "$process"
write_site

claim "is killed" inside kill -KILL "$process"
claim "comes back" within 15 is_another "$process"
claim "and reads" within 15 is_online meter1
claim "and nothing is missing" by anna headgate journal verify

inside mkdir -p /run/systemd/system/headgate.service.d
printf '[Service]\nWatchdogSec=3s\n' | inside tee /run/systemd/system/headgate.service.d/watchdog.conf >/dev/null
inside systemctl daemon-reload
inside systemctl restart headgate
process=$(main)
sleep 5
claim "a gateway that lives is left alone by the watchdog" test "$(main)" = "$process"
inside kill -STOP "$process"
claim "one that hangs is replaced" within 30 is_another "$process"

# Unlike a real port, a pseudo-terminal stays closed to others when who had it for itself is killed.
inside systemctl stop plant-line
line_up
process=$(main)
cp "$package" "$root/root/headgate.deb"
rm -f "$root/usr/sbin/policy-rc.d"
claim "is installed again while it runs" inside apt-get install --yes --quiet --reinstall \
    -o Dpkg::Options::=--force-confold /root/headgate.deb
claim "and restarted by that" within 20 is_another "$process"
claim "and reads again" within 15 is_online meter2
claim "no system call was refused to it" not logged 'errno=1$\|not permitted'
claim "stops" inside systemctl stop headgate
claim "without a failure" test "$(inside systemctl show --property Result --value headgate)" = success
claim "nothing is missing in the end" by anna headgate journal verify
inside systemctl start headgate
claim "is removed while it runs" inside dpkg --remove headgate
claim "and has ended" not inside pgrep -f 'headgate run'
inside userdel --remove anna >/dev/null 2>&1
inside userdel --remove bob >/dev/null 2>&1
rm -f "$root/root/headgate.deb"
say "all passed"
