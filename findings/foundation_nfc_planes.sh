#!/usr/bin/env bash
# Foundation on Linux (swiftlang 6.0.3-2 of Debian 13): `precomposedStringWithCanonicalMapping` looks a base character up
# by its low sixteen bits, so that U+E0061 (a tag) or U+20061 (an ideograph) with U+0301 becomes U+00E1, and it does not
# compose a Hangul syllable of two letters with a third. Kannada's vowel sign U+0CCB it composes of its three parts, and
# not of U+0CCA, which is two of them, and U+0CD5. Python's unicodedata and the Unicode Standard (3.11, D117) leave the
# first two apart and compose the others.
#
# Needs root and debootstrap (it makes a Debian 13 root in a temporary folder, about 3.5 GB and two minutes).
set -euo pipefail
version=6.0.3-2
folder=$(mktemp -d)
trap 'rm -rf --one-file-system "$folder"' EXIT
root=$folder/root
debootstrap --variant=minbase trixie "$root" >/dev/null
cp /etc/resolv.conf "$root/etc/" 2>/dev/null || true
inside() { unshare --mount bash -c 'mount --bind /proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" "$@"' "$root" "$@"; }
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends "swiftlang=$version" g++ >/dev/null 2>&1
cat >"$root/tmp/nfc.swift" <<'SWIFT'
import Foundation

for scalars: [UInt32] in [[0x61, 0x301], [0xE0061, 0x301], [0x20061, 0x301], [0x11099, 0x110BA], [0xD558, 0x11AB], [0xCC6, 0xCC2, 0xCD5], [0xCCA, 0xCD5]] {
    var view = String.UnicodeScalarView()
    for scalar in scalars { view.append(Unicode.Scalar(scalar)!) }
    let composed = String(view).precomposedStringWithCanonicalMapping.unicodeScalars.map { String($0.value, radix: 16) }
    print(scalars.map { String($0, radix: 16) }.joined(separator: "+"), "->", composed.joined(separator: "+"))
}
SWIFT
inside swiftc -O /tmp/nfc.swift -o /tmp/nfc
seen=$(inside /tmp/nfc)
echo "swiftlang $version"
echo "$seen"
expected="61+301 -> e1
e0061+301 -> e1
20061+301 -> e1
11099+110ba -> 1109a
d558+11ab -> d558+11ab
cc6+cc2+cd5 -> ccb
cca+cd5 -> cca+cd5"
[ "$seen" = "$expected" ] || { echo "behaves otherwise now"; exit 1; }
