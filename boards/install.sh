#!/bin/sh
# Branchline onto a box without Debian's packages. `sh install.sh --help` says more. For any sh, busybox's too.
set -eu

usage() {
    cat <<'HELP'
Usage: sh install.sh [--board NAME] [--program FILE] [--no-check]
       sh install.sh --undo

Installs the program that lies beside this script (or FILE), or a newer one over an older. Beside the script lie also what it
installs with it: branchline.sha256, branchline.service, 60-branchline.rules, branchline.init, trial, board, boards/*.toml. In a
clone of the repository it finds them, and the program that boards/build made for this processor.

It checks the machine first (processor, kernel, space, who manages services), verifies the program's SHA-256, and tries it. An
upgrade is tried with a copy of the store (branchline self-test). What fails leaves the box as it was. Then it makes the user
branchline, installs, enables, and where there is a configuration it starts the service and runs  branchline check --online.

--board     which board this is, a file of boards/; without, it is recognised by its device tree where there is one
--no-check  does not start the service, nor ask broker and platform; an image for many boxes is made so
--undo      takes back the last installation: the older program comes back, or all that was installed goes. Configuration
            and store stay. The same program installed again is no installation to take back.

BRANCHLINE_ROOT=DIR installs below DIR, as for an image; services are then neither enabled nor started.

Exit code: 0 done; 1 check --online says no, or the program is not sound; 64 usage; 69 this machine cannot run it.
HELP
}

root=${BRANCHLINE_ROOT:-}
here=$(cd "$(dirname "$0")" && pwd)
state=$root/var/lib/branchline-upgrade
# OpenWrt's /var is memory (boards/trial keeps the older program in the same place).
[ ! -e "$root/etc/openwrt_release" ] || state=$root/srv/branchline-upgrade
# What this script installs, so that --undo takes away that and nothing else.
list=$state/installed
board= program= check=yes undo=no

say() { printf '%s\n' "$*"; }
fail() { code=$1; shift; printf 'install.sh: %s\n' "$*" >&2; exit "$code"; }

while [ $# -gt 0 ]; do
    case "$1" in
    -h | --help) usage; exit 0 ;;
    --board) [ $# -gt 1 ] || { usage >&2; exit 64; }; board=$2; shift ;;
    --program) [ $# -gt 1 ] || { usage >&2; exit 64; }; program=$2; shift ;;
    --no-check) check=no ;;
    --undo) undo=yes ;;
    *) usage >&2; exit 64 ;;
    esac
    shift
done

# systemd, procd (OpenWrt), or none that is known here.
manager() {
    if [ -n "$root" ]; then
        if [ -e "$root/etc/openwrt_release" ]; then echo procd
        elif [ -d "$root/usr/lib/systemd" ] || [ -d "$root/lib/systemd" ]; then echo systemd
        else echo none; fi
    elif [ -d /run/systemd/system ]; then echo systemd
    elif [ -e /etc/openwrt_release ] && [ -e /sbin/procd ]; then echo procd
    else echo none; fi
}

MANAGER=$(manager)

service() {
    [ -z "$root" ] || return 0
    case "$MANAGER-$1" in
    systemd-enable) systemctl daemon-reload && systemctl enable --quiet branchline.service ;;
    systemd-start) systemctl restart branchline.service ;;
    systemd-stop) systemctl disable --quiet --now branchline.service 2>/dev/null || true ;;
    procd-enable) /etc/init.d/branchline enable ;;
    procd-start) /etc/init.d/branchline restart ;;
    procd-stop) /etc/init.d/branchline stop 2>/dev/null; /etc/init.d/branchline disable 2>/dev/null || true ;;
    esac
}

take_back() {
    if [ "${exchanged:-$undo}" = yes ] && [ -e "$state/upgraded" ]; then
        BRANCHLINE_ROOT=$root "$root/usr/lib/branchline/trial" back
        rm -f "$state/upgraded"
        [ "$undo" = no ] || [ "$check" = no ] || service start
        say "The older program is back."
    elif [ "$undo" = no ] && [ "${fresh:-yes}" = no ]; then
        # It failed without an exchange of programs: what was here works on.
        say "The program that was installed was not touched."
    else
        service stop
        if [ -e "$list" ]; then
            while read -r file; do rm -f "$root$file"; done <"$list"
        fi
        rm -rf "$state"
        for folder in /usr/lib/branchline /usr/share/branchline/boards /usr/share/branchline /etc/systemd/system/branchline.service.d; do
            rmdir "$root$folder" 2>/dev/null || true
        done
        [ "$MANAGER" != systemd ] || [ -n "$root" ] || systemctl daemon-reload
        say "All that was installed is gone. Configuration (/etc/branchline), store and the user branchline stay."
    fi
}

[ "$(id -u)" -eq 0 ] || fail 69 "only root can install: run it with sudo."

if [ "$undo" = yes ]; then
    [ -e "$list" ] || fail 1 "nothing is installed by this script ($list is missing). A Debian package goes by apt-get remove."
    take_back
    exit 0
fi

# --- the machine

case "$(uname -m)" in
aarch64 | arm64) target=aarch64-unknown-linux-musl wanted=$(printf '\267') ;;
armv7l | armv8l) target=armv7-unknown-linux-musleabihf wanted=$(printf '\050') ;;
armv6l) target=arm-unknown-linux-musleabihf wanted=$(printf '\050') ;;
x86_64) target=x86_64-unknown-linux-musl wanted=$(printf '\076') ;;
*) fail 69 "no program is built for this processor, $(uname -m). Built are: 64-bit ARM, ARMv7 and ARMv6 with hardware floating point, x86-64." ;;
esac
[ "$(uname -s)" = Linux ] || fail 69 "this is $(uname -s), not Linux."
release=$(uname -r)
major=${release%%.*}
case "$major" in *[!0-9]*) major=9 ;; esac
[ "$major" -ge 4 ] || fail 69 "Linux $release is too old: 4.0 at the least."
if command -v dpkg-query >/dev/null && dpkg-query --show --showformat '${db:Status-Status}' branchline 2>/dev/null | grep -qx installed; then
    fail 69 "Branchline is installed here as a Debian package: upgrade that (apt-get install ./branchline_...deb), or remove it first."
fi

# --- what is to be installed

find_file() {
    for place in "$here/$1" "$here/openwrt/$1" "$here/../$1"; do
        if [ -e "$place" ]; then echo "$place"; return; fi
    done
}

[ -n "$program" ] || program=$(find_file branchline)
if [ ! -f "$program" ]; then program=$here/../target/boards/$target/branchline; fi
[ -f "$program" ] || fail 69 "no program lies beside this script; --program FILE names one."
sum=$(dirname "$program")/branchline.sha256
[ -f "$sum" ] || fail 1 "$sum is missing, so nobody can say whether the program is whole. boards/build writes it."
told=$(cut -d' ' -f1 "$sum")
is=$(sha256sum "$program" | cut -d' ' -f1)
[ "$told" = "$is" ] || fail 1 "$program is not what was built: its SHA-256 is $is, and $sum says $told. Copy it again."
# Byte 18 of a program for Linux says for which processor it is.
kind=$(head -c 19 "$program" | tail -c 1)
[ "$kind" = "$wanted" ] || fail 69 "$program is for another processor than this, $(uname -m). It takes target/boards/$target/branchline."
need=$(($(wc -c <"$program") * 2 / 1024 + 1024))
mkdir -p "$root/usr/bin"
free=$(df -Pk "$root/usr/bin" 2>/dev/null | awk 'NR == 2 { print $4 }')
# A df that knows no mount point says nothing.
[ -z "$free" ] || [ "$free" -ge "$need" ] || fail 69 "$free KiB are free where /usr/bin is, and $need are needed."
version=$("$program" --version) || fail 69 "the program does not run here: see above."

if [ -z "$board" ]; then board=$(BRANCHLINE_BOARDS=$here "$here/board" 2>/dev/null || true); fi
if [ -z "$board" ] && [ "$MANAGER" = procd ]; then board=openwrt-router; fi
facts=$here/${board:-generic}.toml
[ -f "$facts" ] || facts=$here/boards/${board:-generic}.toml
[ -f "$facts" ] || fail 64 "no board is called $board. There are: $(ls "$here"/*.toml "$here"/boards/*.toml 2>/dev/null | sed 's|.*/||; s|\.toml||' | tr '\n' ' ')"

say "$version, SHA-256 verified; $(uname -m), Linux $release, board ${board:-generic}, services by $MANAGER."

# --- installing; what fails from here on is taken back

fresh=yes exchanged=no
[ ! -x "$root/usr/bin/branchline" ] || fresh=no
# Run again once there is a configuration, say: no upgrade, and nothing to go back to.
same=no
! cmp -s "$program" "$root/usr/bin/branchline" || same=yes
installing=yes
trap '[ "$installing" = no ] || { say "It failed; taking back what was done." >&2; take_back >&2; }' EXIT

mkdir -p "$state"
put() { # MODE FILE PLACE
    [ -n "$2" ] || fail 69 "a file that belongs beside this script is missing, for $3."
    mkdir -p "$root$(dirname "$3")"
    cp "$2" "$root$3.new"
    chmod "$1" "$root$3.new"
    mv "$root$3.new" "$root$3"
    grep -qxF "$3" "$list" 2>/dev/null || echo "$3" >>"$list"
}

if [ -z "$root" ] && ! grep -q '^branchline:' /etc/passwd; then
    if command -v useradd >/dev/null; then
        useradd --system --user-group --home-dir /var/lib/branchline --no-create-home --shell /bin/false branchline
    elif command -v adduser >/dev/null && command -v addgroup >/dev/null; then
        addgroup -S branchline 2>/dev/null || true
        adduser -S -D -H -h /var/lib/branchline -s /bin/false -G branchline branchline
    else
        # OpenWrt has neither.
        id=880
        while grep -q "^[^:]*:[^:]*:$id:" /etc/passwd /etc/group; do id=$((id + 1)); done
        echo "branchline:x:$id:" >>/etc/group
        echo "branchline:x:$id:$id:branchline:/var/lib/branchline:/bin/false" >>/etc/passwd
        [ ! -e /etc/shadow ] || echo 'branchline:*:0:0:99999:7:::' >>/etc/shadow
    fi
fi

put 755 "$(find_file trial)" /usr/lib/branchline/trial
put 755 "$(find_file board)" /usr/lib/branchline/board
for file in "$here"/*.toml "$here"/boards/*.toml; do
    [ ! -f "$file" ] || put 644 "$file" "/usr/share/branchline/boards/$(basename "$file")"
done
if [ "$same" = no ] && [ "$fresh" = no ]; then
    BRANCHLINE_ROOT=$root "$root/usr/lib/branchline/trial" keep
    : >"$state/upgraded"
    # On the disk before the new one is: a power cut leaves something to go back to.
    sync
    exchanged=yes
fi
[ "$same" = yes ] || put 755 "$program" /usr/bin/branchline

# The store's folder: outbox.path of the board.
store=$(sed -n 's/^path = "\(.*\)\/[^/"]*".*/\1/p' "$facts")
mkdir -p "$root/etc/branchline" "$root${store:=/var/lib/branchline}"
if [ -z "$root" ]; then
    chown root:branchline /etc/branchline
    chown branchline:branchline "$store"
fi
chmod 750 "$root/etc/branchline" "$root$store"
if [ ! -e "$root/etc/default/branchline" ]; then
    mkdir -p "$root/etc/default"
    {
        echo "# What the service's environment holds besides: BRANCHLINE_BOARD, BRANCHLINE_LOG."
        [ -z "$board" ] || echo "BRANCHLINE_BOARD=$board"
    } >"$root/etc/default/branchline"
fi
case "$MANAGER" in
systemd)
    put 644 "$(find_file branchline.service)" /etc/systemd/system/branchline.service
    if [ -n "$(find_file 60-branchline.rules)" ]; then put 644 "$(find_file 60-branchline.rules)" /etc/udev/rules.d/60-branchline.rules; fi
    if [ -z "$root" ] && command -v udevadm >/dev/null; then
        udevadm control --reload && udevadm trigger --subsystem-match=leds --subsystem-match=watchdog || true
    fi
    if [ -n "$board" ]; then
        BRANCHLINE_BOARDS=$root/usr/share/branchline/boards BRANCHLINE_DROP_IN=$root/etc/systemd/system/branchline.service.d/board.conf \
            "$root/usr/lib/branchline/board" apply "$board"
        grep -qxF /etc/systemd/system/branchline.service.d/board.conf "$list" || echo /etc/systemd/system/branchline.service.d/board.conf >>"$list"
    fi
    ;;
procd) put 755 "$(find_file branchline.init)" /etc/init.d/branchline ;;
esac

if [ "$exchanged" = yes ]; then
    BRANCHLINE_ROOT=$root "$root/usr/lib/branchline/trial" judge ||
        fail 1 "the new version failed its self-test on a copy of the store, or refuses the configuration that the old one takes: see above."
    BRANCHLINE_ROOT=$root "$root/usr/lib/branchline/trial" begin
fi
service enable
sync
installing=no

case "$MANAGER" in
none) say "No systemd and no procd here: let the box's init run, and start again whatever ends it:  /usr/lib/branchline/trial run  (as root; the daemon runs as the user branchline)." ;;
esac
if [ ! -e "$root/etc/branchline/branchline.toml" ]; then
    say "Installed. There is no configuration yet. Next, as root:  branchline init${board:+ --board $board}  asks six questions, writes one, tries it and sends the first message (--language pt or es for other languages); or plug in a stick that is made for this box. Then run this again."
    exit 0
fi
[ "$check" = yes ] || { say "Installed; not started."; exit 0; }
[ -z "$root" ] || { say "Installed below $root."; exit 0; }
service start
say "Installed and started. Asking broker and platform:"
/usr/lib/branchline/trial as branchline check --online || exit 1
