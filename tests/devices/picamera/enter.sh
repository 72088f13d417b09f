#!/bin/bash
# enter.sh ROOT COMMAND...: runs a command in the Debian 13 root, with this checkout at /src (read-only).
#
# SENSOR: a folder with `frames`, the JPEGs that the sensor sees, and where glue/sitecustomize.py looks for its
# other files. Without it no camera is there.
# Mounts stay in a namespace of their own, and go with the command.
set -euo pipefail
if [ "${ENTERED:-}" != yes ]; then ENTERED=yes exec unshare --mount "$0" "$@"; fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs tmp "$root/tmp"
mount --bind -o ro "$here/../../.." "$root/src"
mount --bind -o ro "$here/glue" "$root/opt/glue"
if [ -n "${SENSOR:-}" ]; then
    mkdir "$root/tmp/sensor"
    mount --bind "$SENSOR" "$root/tmp/sensor"
    mount --bind "$SENSOR/frames" "$root/opt/frames"
else mount -t tmpfs none "$root/usr/share/libcamera/pipeline/virtual"; fi
exec chroot "$root" /usr/bin/env -u VIRTUAL_ENV -u PYTHONHOME PATH=/opt/node/bin:/usr/bin:/bin HOME=/tmp LC_ALL=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/glue:/src LD_PRELOAD=/opt/lib/fakedmabuf.so \
    VIRTUAL_CAMERA=/tmp/sensor "$@"
