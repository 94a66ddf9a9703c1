#!/bin/sh
# Makes a stand-in for the Dockerfile's base image, without an image registry: Debian's smallest system, its Python as
# `python`, and pip. Usage, as root: base.sh SUITE MIRROR PIP OUT.tar, where PIP is a folder with pip's package.
set -eu
suite=$1 mirror=$2 pip=$3 out=$4
# In a mount namespace of its own, so that the file system in memory goes with this process.
[ "${5:-}" = inside ] || exec unshare --mount --propagation private sh "$0" "$@" inside
folder=$(mktemp -d)
trap 'umount --lazy "$folder"; rmdir "$folder"; rm -f "$out.part"' EXIT
# In memory: dpkg waits for the disk after each file.
mount -t tmpfs tmpfs "$folder"
debootstrap --variant=minbase --include=python3 "$suite" "$folder/base" "$mirror"
cd "$folder/base"
rm -rf usr/share/doc usr/share/man usr/share/locale var/cache/apt/archives/*.deb var/lib/apt/lists/*
ln -s /usr/bin/python3 usr/local/bin/python
cp -r "$pip"/pip "$pip"/pip-*.dist-info usr/local/lib/python3.*/dist-packages/
# A user may end it at any time, so the name is given to a whole file only.
tar -c --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -f "$out.part" .
mv "$out.part" "$out"
