#!/bin/sh
# Builds dist/headgate_VERSION_ARCH.deb: one program with the Swift runtime inside, profiles, schemas, service, man page.
# HEADGATE_BINARY=FILE packs that program instead of building one. SOURCE_DATE_EPOCH fixes every date (default: the last
# commit); the same input gives the same package, byte for byte.
set -eu
umask 022
export LC_ALL=C
cd "$(dirname "$0")/.."

say() { printf 'deb: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
for tool in dpkg-deb dpkg-shlibdeps strip gzip; do
    command -v "$tool" >/dev/null || fail "no $tool; install dpkg-dev and binutils"
done

version=$(sed -n 's/^package let headgateVersion = "\([0-9][0-9A-Za-z.+~]*\)"$/\1/p' Sources/Gateway/Version.swift)
[ -n "$version" ] || fail "Sources/Gateway/Version.swift: no line 'package let headgateVersion = \"1.2.3\"'"
revision=${HEADGATE_REVISION:-1}
architecture=$(dpkg --print-architecture)
maintainer=${HEADGATE_MAINTAINER:-Headgate maintainers <maintainers@headgate.example>}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date -r CHANGELOG.md +%s)}
export SOURCE_DATE_EPOCH

if [ -z "${HEADGATE_BINARY:-}" ]; then
    make release
    HEADGATE_BINARY=.build/release/headgate
fi
[ -x "$HEADGATE_BINARY" ] || fail "$HEADGATE_BINARY: no such program"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
root=$work/root
put() { install -D -m "$1" "$2" "$root/$3"; }
compress() { gzip -9n "$root/$1"; }
fill() {
    sed -e "s/@VERSION@/$version-$revision/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@MAINTAINER@/$maintainer/" \
        -e "s/@DATE@/$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%d)/" "$@"
}

put 755 "$HEADGATE_BINARY" usr/bin/headgate
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/headgate"

# A dynamically linked Swift runtime is on no target machine.
if readelf -d "$root/usr/bin/headgate" | grep -q 'NEEDED.*libswift'; then
    fail "$HEADGATE_BINARY needs the Swift runtime as shared libraries; build it with: make release"
fi

(cd Devices && find . -type f -name '*.yaml' -printf '%P\n') | while read -r file; do
    put 644 "Devices/$file" "usr/share/headgate/devices/$file"
done
for folder in Sources/Payloads/Schemas Sources/Profiles/Schemas; do
    [ -d "$folder" ] || continue
    for file in "$folder"/*.json; do put 644 "$file" "usr/share/headgate/schemas/${file##*/}"; done
done

put 644 deploy/headgate.yaml etc/headgate/headgate.yaml
put 644 deploy/systemd/headgate.service lib/systemd/system/headgate.service
put 644 deploy/systemd/60-headgate-serial.rules lib/udev/rules.d/60-headgate-serial.rules
put 644 deploy/systemd/headgate.sysusers usr/lib/sysusers.d/headgate.conf
put 644 deploy/systemd/headgate.tmpfiles usr/lib/tmpfiles.d/headgate.conf

put 644 deploy/debian/copyright usr/share/doc/headgate/copyright
put 644 CHANGELOG.md usr/share/doc/headgate/changelog
compress usr/share/doc/headgate/changelog
# The guides keep their places, so that their links hold; what they name of the sources is installed, or just a name.
for file in README.md CONTRIBUTING.md SECURITY.md docs/*.md docs/decisions/*.md; do
    put 644 "$file" "usr/share/doc/headgate/$file"
    sed -i -E -e 's#\]\((\.\./)*Sources/[A-Za-z]+/Schemas#](/usr/share/headgate/schemas#g' \
        -e 's#\]\(\.\./Tests/Peers/verify_audit\.py#](examples/verify_audit.py#g' \
        -e 's#\[([^]]*)\]\(\.\./Tests/[^)]*\)#\1#g' "$root/usr/share/doc/headgate/$file"
done
for file in docs/examples/*.py; do
    put 755 "$file" "usr/share/doc/headgate/examples/${file##*/}"
done
put 644 Tests/Peers/verify_audit.py usr/share/doc/headgate/examples/verify_audit.py
ln -s ../examples "$root/usr/share/doc/headgate/docs/examples"
for shell in bash:bash-completion/completions/headgate zsh:zsh/vendor-completions/_headgate \
    fish:fish/vendor_completions.d/headgate.fish; do
    "$HEADGATE_BINARY" --generate-completion-script "${shell%%:*}" | sed "1{/^#!/d}" >"$work/completion"
    put 644 "$work/completion" "usr/share/${shell#*:}"
done
printf 'headgate (%s-%s) unstable; urgency=medium\n\n  * Release %s; what changed is in changelog.gz.\n\n -- %s  %s\n' \
    "$version" "$revision" "$version" "$maintainer" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" \
    >"$root/usr/share/doc/headgate/changelog.Debian"
compress usr/share/doc/headgate/changelog.Debian
mkdir -p "$root/usr/share/man/man1"
fill deploy/debian/headgate.1 >"$root/usr/share/man/man1/headgate.1"
compress usr/share/man/man1/headgate.1
if [ -f deploy/debian/lintian-overrides ]; then
    put 644 deploy/debian/lintian-overrides usr/share/lintian/overrides/headgate
fi

# dpkg-shlibdeps wants to stand in a source package.
mkdir "$work/debian"
printf 'Source: headgate\n\nPackage: headgate\nArchitecture: any\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O -e root/usr/bin/headgate 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || fail "dpkg-shlibdeps found no dependencies"
# Packed relocations need a loader of glibc 2.36, which dpkg-shlibdeps does not know.
if readelf -V "$root/usr/bin/headgate" | grep -q GLIBC_ABI_DT_RELR; then depends="$depends, libc6 (>= 2.36)"; fi

mkdir "$root/DEBIAN"
size=$(find "$root" -type f ! -path '*/DEBIAN/*' -printf '%s\n' | awk '{ sum += int(($1 + 1023) / 1024) } END { print sum }')
fill -e "s/@DEPENDS@/$depends/" -e "s/@INSTALLED_SIZE@/$size/" deploy/debian/control.in >"$root/DEBIAN/control"
for script in postinst prerm postrm; do install -m 755 "deploy/debian/$script" "$root/DEBIAN/$script"; done
echo /etc/headgate/headgate.yaml >"$root/DEBIAN/conffiles"
(cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum) \
    >"$root/DEBIAN/md5sums"
find "$root" -type d -exec chmod 755 {} +
find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

mkdir -p dist
package=dist/headgate_$version-${revision}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >&2
say "$package, $(stat -c %s "$package") bytes, depends: $depends"
