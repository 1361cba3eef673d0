#!/bin/sh
# setup.sh installed|unpacked PACKAGE PROGRAM
#
# Makes PROGRAM of a Debian PACKAGE available: installed with apt-get where that is allowed, or only
# unpacked below .tools/, for servers whose packages would start a daemon.
set -eu
how=$1 package=$2 program=$3
tools=$(dirname "$0")/../../.tools

missing() {
    echo "missing: $program; install the Debian package $package${1:+ ($1)}" >&2
    exit 1
}

root() {
    if [ "$(id -u)" = 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
    fi 2>/dev/null
}

apt="apt-get -qq -o Acquire::http::Timeout=30 -o Acquire::Retries=2 -o DPkg::Lock::Timeout=120"
install() { root $apt install --no-install-recommends "$package" >/dev/null; }
download() {
    rm -rf "$tools/download" && mkdir -p "$tools/download" &&
        (cd "$tools/download" && $apt -o APT::Sandbox::User=root download "$package" 2>/dev/null)
}
# The package lists may be missing or too old.
with_fresh_lists() { "$1" || { root $apt update && "$1"; }; }

templates=/usr/share/prometheus/alertmanager
ready() {
    command -v "$program" >/dev/null && return 0
    [ "$how" = unpacked ] && [ -x "$tools/usr/bin/$program" ] || return 1
    # Debian's Alertmanager reads its default template from this one place.
    [ "$program" != amtool ] || [ -e "$templates" ]
}

ready && exit 0
command -v apt-get >/dev/null || missing "there is no apt-get here"

if [ "$how" = installed ]; then
    with_fresh_lists install || missing "apt-get was not allowed, or could not fetch it"
else
    with_fresh_lists download || missing "apt-get could not fetch it"
    dpkg-deb -x "$tools/download/$package"_*.deb "$tools"
    if [ "$program" = amtool ] && [ ! -e "$templates" ]; then
        root mkdir -p "$templates" && root cp -r "$tools$templates"/* "$templates/" || missing "$templates"
    fi
fi
