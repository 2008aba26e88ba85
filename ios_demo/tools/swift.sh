#!/usr/bin/env bash
# Runs `swift ARGUMENTS` in ios_demo/: with the Swift on the path if there is one, else with Debian's package `swiftlang`
# (Debian 13 or newer), else inside a Debian 13 root that is made once. Needs root only where it has to install.
#
#   ios_demo/tools/swift.sh --install     installs what is missing and says which Swift is used
#   ios_demo/tools/swift.sh test ...      runs `swift test ...`
#   ios_demo/tools/swift.sh compile ...   runs `swiftc ...`
#   ios_demo/tools/swift.sh exec ...      runs the command that `swift.sh build -c release --static-swift-stdlib` has made
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
repository=$(dirname "$here")
root=${KEYBOARD_LM_SWIFT_ROOT:-$HOME/.cache/keyboard-lm/swift-root}
packages="swiftlang libsqlite3-dev g++ git ca-certificates"

say() { echo "swift.sh: $*" >&2; }

install_in() {  # the command prefix that reaches the root, or nothing
    "$@" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "$@" apt-get install -y -qq --no-install-recommends $packages >/dev/null
}

in_root() {  # runs a command in the root; the mounts end with the command
    unshare --mount bash -c '
        mount --bind /proc "$0/proc"; mount --rbind /dev "$0/dev"; mount --bind "$1" "$0$1"
        cd / && exec chroot "$0" "${@:2}"' "$root" "$repository" "$@"
}

make_root() {
    [ "$(id -u)" = 0 ] || { say "no Swift here; install Swift 6, or run this as root to set it up"; exit 3; }
    command -v debootstrap >/dev/null || { apt-get update -qq; apt-get install -y -qq debootstrap >/dev/null; }
    say "making a Debian 13 root with Swift in $root (once; 3.4 GB)"
    mkdir -p "$root"
    debootstrap --variant=minbase trixie "$root" >/dev/null
    cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
    mkdir -p "$root$repository"
    install_in in_root
    touch "$root/.swift-ready"
}

if command -v swift >/dev/null; then
    run=()
elif [ -e "$root/.swift-ready" ]; then
    run=(in_root)
elif [ "$(apt-cache policy swiftlang 2>/dev/null | grep -c Candidate)" != 0 ] && [ "$(id -u)" = 0 ]; then
    install_in
    run=()
else
    make_root
    run=(in_root)
fi
[ "${#run[@]}" = 0 ] || mkdir -p "$root$repository"
if [ "${1:-}" = --install ]; then
    "${run[@]}" swift --version 2>&1 | head -n 1
    exit
fi
if [ "${1:-}" = exec ]; then
    binary=$here/.build/release/keyboard-lm-swift
    [ -x "$binary" ] || { say "build first: ios_demo/tools/swift.sh build -c release --static-swift-stdlib"; exit 3; }
    if [ "${#run[@]}" = 0 ]; then
        exec "$binary" "${@:2}"
    fi
    # The root's own loader and C library, without entering it: the same process, files and folder.
    libraries=$(echo "$root"/usr/lib/*-linux-gnu "$root"/lib/*-linux-gnu | tr ' ' ':')
    exec "$(echo "$root"/lib64/ld-linux-*.so.*)" --library-path "$libraries" "$binary" "${@:2}"
fi
if [ "${1:-}" = compile ]; then
    exec_in=("${run[@]}" swiftc "${@:2}")
    "${exec_in[@]}"
    exit
fi
flags=()
case "$(uname -m):${1:-}" in
x86_64:build | x86_64:test | x86_64:run) flags=(-Xcc -march=x86-64-v3 -Xswiftc -Xcc -Xswiftc -march=x86-64-v3) ;;
esac
command=$1
shift
exec_in=("${run[@]}" swift "$command" --package-path "$here" "${flags[@]}" "$@")
"${exec_in[@]}"
