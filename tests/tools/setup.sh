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
    fi
}

templates=/usr/share/prometheus/alertmanager
ready() {
    command -v "$program" >/dev/null && return 0
    [ "$how" = unpacked ] && [ -x "$tools/usr/bin/$program" ] || return 1
    # Debian's Alertmanager reads its default template from this one place.
    [ "$program" != amtool ] || [ -e "$templates" ]
}

ready && exit 0
command -v apt-get >/dev/null || missing "there is no apt-get here"

apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [0-9]' || root apt-get -qq update || missing

if [ "$how" = installed ]; then
    root apt-get -qq install --no-install-recommends "$package" >/dev/null || missing "apt-get was not allowed"
else
    mkdir -p "$tools/download"
    (cd "$tools/download" && apt-get -qq -o APT::Sandbox::User=root download "$package") || missing "it could not be downloaded"
    dpkg-deb -x "$tools/download/$package"_*.deb "$tools"
    if [ "$program" = amtool ] && [ ! -e "$templates" ]; then
        root mkdir -p "$templates" && root cp -r "$tools$templates"/* "$templates/" || missing "$templates"
    fi
fi
