#!/bin/sh
# Runs a command in an image's files as a container engine does: read-only but for /tmp and /data, as a number, without
# capabilities. Usage, as root: unshare --mount --pid --fork --kill-child sh run.sh ROOT UID GID COMMAND...
set -eu
root=$1 uid=$2 gid=$3
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid,nodev "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
mount -t tmpfs -o "mode=0700,uid=$uid,gid=$gid,nosuid,nodev" tmpfs "$root/data"
exec setpriv --no-new-privs chroot --userspec="$uid:$gid" --groups= "$root" "$@"
