#!/bin/sh
# Branchline onto a box without Debian's packages. `sh install.sh --help` says more. For any sh, busybox's too.
set -eu

usage() {
    cat <<'HELP'
Usage: sh install.sh [--board NAME] [--program FILE] [--no-check]
       sh install.sh --undo [--no-check]

Installs the program that lies beside this script (or FILE), or a newer one over an older. Beside the script lie also what it
installs with it: branchline.sha256, branchline.service, 60-branchline.rules, branchline.init, branchline.keep, trial, board,
boards/*.toml. In a clone of the repository it finds them, and the program that boards/build made for this processor.

It checks the machine first (processor, kernel, space, who manages services), verifies the program's SHA-256, and tries it. Then it
makes the user branchline, installs, tries an upgrade with a copy of the store (branchline self-test), enables, and where there is a
configuration starts the service. What fails up to here leaves the box as it was, but for that user: every file that was there
comes back, what was not goes, and a service that ran runs again. So does what a power cut left half done, when this runs again.
Then it runs  branchline check --online : what that finds (no network yet) it tells, and the installation stays.

--board     which board this is, a file of boards/ or beside this script, or of /etc/branchline/boards, where one of your own is put;
            without, it is recognised by its device tree where there is one
--no-check  does not start the service, nor ask broker and platform; an image for many boxes is made so
--undo      takes back the last installation: the older program comes back, or all that was installed goes. Configuration
            and store stay. The same program installed again is no installation to take back. An older program that fails its
            self-test, for the store was brought forward, stays away; with --no-check it comes back all the same.

BRANCHLINE_ROOT=DIR installs below DIR, as for an image; services are then neither enabled nor started.

Exit code: 0 done; 1 the program is not sound, the service does not start, or check --online says no; 64 usage; 69 this machine
cannot run it.
HELP
}

root=${BRANCHLINE_ROOT:-}
here=$(cd "$(dirname "$0")" && pwd)
state=$root/var/lib/branchline-upgrade
# OpenWrt's /var is memory (boards/trial keeps the older program in the same place).
[ ! -e "$root/etc/openwrt_release" ] || state=$root/srv/branchline-upgrade
# What this script installs, so that --undo takes away that and nothing else.
list=$state/installed
# What the installation on its way has changed of this box: files/, as they were; added, the files that were not there; folders that
# it made; and as empty files what is so: the older program is kept, the service was enabled, it ran, it was touched.
# What an upgrade changed is kept afterwards, for --undo.
doing=$state/installing
upgraded=$state/upgraded
board= named=no program= check=yes undo=no

say() { printf '%s\n' "$*"; }
fail() { code=$1; shift; printf 'install.sh: %s\n' "$*" >&2; exit "$code"; }

while [ $# -gt 0 ]; do
    case "$1" in
    -h | --help) usage; exit 0 ;;
    --board) [ $# -gt 1 ] || { usage >&2; exit 64; }; board=$2 named=yes; shift ;;
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
    systemd-enabled) systemctl is-enabled --quiet branchline.service 2>/dev/null ;;
    # Activating is also one that ended and waits to be started again.
    systemd-running) case "$(systemctl is-active branchline.service)" in active | activating | reloading) ;; *) return 1 ;; esac ;;
    systemd-reload)
        systemctl daemon-reload
        if command -v udevadm >/dev/null; then
            udevadm control --reload && udevadm trigger --subsystem-match=leds --subsystem-match=watchdog || true
        fi
        ;;
    systemd-enable) systemctl enable --quiet branchline.service ;;
    systemd-disable) systemctl disable --quiet branchline.service 2>/dev/null || true ;;
    # Until it says that it is ready, or fails.
    systemd-start) systemctl restart branchline.service ;;
    systemd-stop) systemctl stop branchline.service 2>/dev/null || true ;;
    systemd-log) journalctl --no-pager --quiet --lines=20 --unit=branchline.service || true ;;
    procd-enabled) /etc/init.d/branchline enabled 2>/dev/null ;;
    procd-running) /etc/init.d/branchline running 2>/dev/null ;;
    procd-enable) /etc/init.d/branchline enable ;;
    procd-disable) /etc/init.d/branchline disable 2>/dev/null || true ;;
    procd-start)
        /etc/init.d/branchline restart
        # procd tells nobody when a service is ready, but it waits five seconds before it starts one again that ended.
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            sleep 1
            service running || return 1
        done
        ;;
    procd-stop) /etc/init.d/branchline stop 2>/dev/null || true ;;
    procd-log) logread -e branchline 2>/dev/null | tail -n 20 ;;
    esac
}

# Before PLACE is changed: as it was, it can be put back, after a power cut too.
remember() { # PLACE
    if [ -e "$doing/files$1" ] || grep -qxF "$1" "$doing/added" 2>/dev/null; then return; fi
    if [ -e "$root$1" ]; then
        mkdir -p "$doing/files$(dirname "$1")"
        # No half copy is ever put back.
        cp -p "$root$1" "$doing/copy"
        sync
        mv "$doing/copy" "$doing/files$1"
    else
        echo "$1" >>"$doing/added"
        sync
    fi
}

folder() { # PLACE
    if [ ! -d "$root$1" ]; then
        echo "$1" >>"$doing/folders"
        mkdir -p "$root$1"
    fi
}

# The box as it was before the installation that left this folder. What cannot be put back holds up nothing else.
restore() { # FOLDER
    restored=yes
    if [ -e "$1/program" ]; then BRANCHLINE_ROOT=$root "$root/usr/lib/branchline/trial" back || restored=no; fi
    if [ -d "$1/files" ]; then
        (cd "$1/files" && find . -type f) >"$1/back"
        while read -r file; do
            file=${file#.}
            cp -p "$1/files$file" "$root$file.new" && mv "$root$file.new" "$root$file" || restored=no
        done <"$1/back"
    fi
    # A service without a unit is stopped and disabled before it loses that.
    if [ -e "$1/added" ]; then
        if grep -qx '/etc/systemd/system/branchline.service\|/etc/init.d/branchline' "$1/added"; then service stop; service disable; fi
        while read -r file; do rm -f "$root$file"; done <"$1/added"
    fi
    if [ -e "$1/folders" ]; then
        while read -r made; do rmdir "$root$made" 2>/dev/null || true; done <"$1/folders"
    fi
    service reload
    sync
    [ "$restored" = yes ]
}

# What `put` makes of folders on its way.
empty_folders() {
    for made in /usr/lib/branchline /usr/share/branchline/boards /usr/share/branchline /etc/systemd/system/branchline.service.d /etc/systemd/system/branchline-forward.service.d; do
        rmdir "$root$made" 2>/dev/null || true
    done
}

# An installation that failed, or that a power cut ended.
take_back() {
    if [ -e "$doing/touched" ]; then service stop; fi
    whole=yes
    restore "$doing" || whole=no
    if [ -e "$root/usr/bin/branchline" ]; then
        [ -e "$doing/enabled" ] || service disable
        if [ -e "$doing/touched" ] && [ -e "$doing/running" ]; then
            service start || say "The service does not start as it was before either."
        fi
    fi
    if [ "$whole" = no ]; then
        say "Not all of it could be put back: see above. What was there lies in $doing/files; run this again when that is mended."
        return 1
    elif [ -e "$root/usr/bin/branchline" ]; then
        rm -rf "$doing"
        empty_folders
        say "What was installed before is in place as it was."
    else
        rm -rf "$state"
        empty_folders
        say "Nothing of it is left, but for the user branchline."
    fi
}

# Scripts that were installed before they could be asked say nothing against it.
older_runs() {
    ! grep -q '^older)' "$root/usr/lib/branchline/trial" || BRANCHLINE_ROOT=$root "$root/usr/lib/branchline/trial" older
}

take_back_the_last() {
    if [ -d "$doing" ]; then
        take_back
    elif [ -d "$upgraded" ]; then
        # A store that the newer version brought forward, say, is closed to it.
        if [ "$check" = yes ] && [ -e "$upgraded/program" ] && ! older_runs; then
            fail 1 "the older program would not run here: see above. Nothing was changed. --undo --no-check brings it back all the same."
        fi
        restore "$upgraded" || fail 1 "not all of it could be put back: see above. What was there lies in $upgraded/files."
        if [ "$check" = yes ] && [ -e "$root/etc/branchline/branchline.toml" ]; then
            service start || fail 1 "the older program is back, with its service, which does not start: see above, or its log."
        fi
        rm -rf "$upgraded"
        say "The older program is back, with its service.$([ "$check" = yes ] || echo ' One that runs is the newer one until it is started anew.')"
    else
        service stop
        service disable
        while read -r file; do rm -f "$root$file"; done <"$list"
        rm -rf "$state"
        empty_folders
        service reload
        say "All that was installed is gone. Configuration (/etc/branchline), store and the user branchline stay."
    fi
}

[ "$(id -u)" -eq 0 ] || fail 69 "only root can install: run it with sudo."

if [ "$undo" = yes ]; then
    [ -e "$list" ] || [ -d "$doing" ] || fail 1 "nothing is installed by this script ($list is missing). A Debian package goes by apt-get remove."
    take_back_the_last
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
for facts in "$here/${board:-generic}.toml" "$here/boards/${board:-generic}.toml" "$root/etc/branchline/boards/${board:-generic}.toml"; do
    [ ! -f "$facts" ] || break
done
[ -f "$facts" ] || fail 64 "no board is called $board. There are: $(ls "$here"/*.toml "$here"/boards/*.toml 2>/dev/null | sed 's|.*/||; s|\.toml||' | tr '\n' ' ')"

say "$version, SHA-256 verified; $(uname -m), Linux $release, board ${board:-generic}, services by $MANAGER."

# --- installing; what fails from here on is taken back

if [ -d "$doing" ]; then
    say "An installation ended half-way here. First that is taken back."
    take_back || exit 1
fi
fresh=yes
[ ! -x "$root/usr/bin/branchline" ] || fresh=no
# Run again once there is a configuration, say: no upgrade, and nothing to go back to.
same=no
! cmp -s "$program" "$root/usr/bin/branchline" || same=yes
rm -rf "$doing.new"
mkdir -p "$doing.new"
! service enabled || : >"$doing.new/enabled"
! service running || : >"$doing.new/running"
sync
mv "$doing.new" "$doing"
installing=yes
trap '[ "$installing" = no ] || { say "It failed; taking back what was done." >&2; take_back >&2; }' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Done: what an upgrade replaced is kept.
installed() {
    if [ "$same" = no ] && [ "$fresh" = no ]; then
        rm -rf "$upgraded"
        mv "$doing" "$upgraded"
    else
        rm -rf "$doing"
    fi
    sync
    installing=no
}

put() { # MODE FILE PLACE
    [ -n "$2" ] || fail 69 "a file that belongs beside this script is missing, for $3."
    grep -qxF "$3" "$list" 2>/dev/null || echo "$3" >>"$list"
    ! cmp -s "$2" "$root$3" || return 0
    # The older program is kept by trial.
    [ "$3-$fresh" = /usr/bin/branchline-no ] || remember "$3"
    mkdir -p "$root$(dirname "$3")"
    cp "$2" "$root$3.new"
    chmod "$1" "$root$3.new"
    mv "$root$3.new" "$root$3"
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
    : >"$doing/program"
    # On the disk before the new one is: a power cut leaves something to go back to.
    sync
fi
[ "$same" = yes ] || put 755 "$program" /usr/bin/branchline

# The store's folder: outbox.path of the board.
store=$(sed -n 's/^path = "\(.*\)\/[^/"]*".*/\1/p' "$facts")
folder /etc/branchline
folder "${store:=/var/lib/branchline}"
if [ -z "$root" ]; then
    chown root:branchline /etc/branchline
    chown branchline:branchline "$store"
fi
chmod 750 "$root/etc/branchline" "$root$store"
# One that is not built in is looked for beside the configuration, and is configuration: it stays.
own=/etc/branchline/boards/$board.toml
if [ -n "$board" ] && [ ! -e "$root$own" ] && "$root/usr/bin/branchline" check --board "$board" --config /dev/null 2>&1 | grep -q "no board is called"; then
    folder /etc/branchline/boards
    cp "$facts" "$root$own"
    [ -n "$root" ] || chgrp -R branchline /etc/branchline/boards
    chmod 750 "$root/etc/branchline/boards"
    chmod 640 "$root$own"
fi
set_to=/etc/default/branchline
if [ ! -e "$root$set_to" ]; then
    remember $set_to
    mkdir -p "$root/etc/default"
    {
        echo "# What the service's environment holds besides: BRANCHLINE_BOARD, BRANCHLINE_LOG."
        [ -z "$board" ] || echo "BRANCHLINE_BOARD=$board"
    } >"$root$set_to"
elif [ $named = yes ] && ! grep -qx "BRANCHLINE_BOARD=$board" "$root$set_to"; then
    remember $set_to
    { sed '/^BRANCHLINE_BOARD=/d' "$root$set_to" && echo "BRANCHLINE_BOARD=$board"; } >"$root$set_to.new"
    mv "$root$set_to.new" "$root$set_to"
fi
case "$MANAGER" in
systemd)
    put 644 "$(find_file branchline.service)" /etc/systemd/system/branchline.service
    if [ -n "$(find_file 60-branchline.rules)" ]; then put 644 "$(find_file 60-branchline.rules)" /etc/udev/rules.d/60-branchline.rules; fi
    drop_in=/etc/systemd/system/branchline.service.d/board.conf
    # Another board than before, and nobody has changed what was written for that.
    if [ $named = yes ] && grep -q "^# Written when Branchline was installed" "$root$drop_in" 2>/dev/null && ! grep -q "this is a $board\." "$root$drop_in"; then
        remember $drop_in
        rm "$root$drop_in"
    fi
    if [ -n "$board" ] && [ ! -e "$root$drop_in" ]; then
        remember $drop_in
        BRANCHLINE_ROOT=$root BRANCHLINE_DROP_IN=$root$drop_in "$root/usr/lib/branchline/board" apply "$board"
        grep -qxF $drop_in "$list" || echo $drop_in >>"$list"
    fi
    for unit in branchline branchline-forward; do
        secrets=/etc/systemd/system/$unit.service.d/no-secrets.conf
        remember $secrets
        grep -qxF $secrets "$list" || echo $secrets >>"$list"
    done
    BRANCHLINE_ROOT=$root "$root/usr/lib/branchline/board" secrets
    ;;
procd)
    put 755 "$(find_file branchline.init)" /etc/init.d/branchline
    put 644 "$(find_file branchline.keep)" /lib/upgrade/keep.d/branchline
    ;;
esac

service reload

if [ -e "$doing/program" ]; then
    BRANCHLINE_ROOT=$root "$root/usr/lib/branchline/trial" judge ||
        fail 1 "the new version failed its self-test on a copy of the store, or refuses the configuration that the old one takes: see above."
    BRANCHLINE_ROOT=$root "$root/usr/lib/branchline/trial" begin
fi
service enable

ready=no
if [ "$check" = yes ] && [ -z "$root" ] && [ -e /etc/branchline/branchline.toml ]; then ready=yes; fi
if [ "$ready" = yes ] && [ "$MANAGER" != none ]; then
    : >"$doing/touched"
    service start || { service log >&2; fail 1 "the service does not start: see above."; }
fi
installed

case "$MANAGER" in
none) say "No systemd and no procd here: let the box's init run, and start again whatever ends it:  /usr/lib/branchline/trial run  (as root; the daemon runs as the user branchline)." ;;
esac
if [ ! -e "$root/etc/branchline/branchline.toml" ]; then
    say "Installed. There is no configuration yet. Next, as root:  branchline init${board:+ --board $board}  asks six questions, writes one, tries it and sends the first message (--language pt or es for other languages); or plug in a stick that is made for this box. Then run this again."
elif [ "$ready" = no ]; then
    say "Installed${root:+ below $root}; not started."
else
    [ "$MANAGER" = none ] || say "Installed and started."
    say "Asking broker and platform:"
    /usr/lib/branchline/trial as branchline check --online || {
        say "The installation stands. Once what says no above is mended, ask again:  /usr/lib/branchline/trial as branchline check --online"
        exit 1
    }
fi
