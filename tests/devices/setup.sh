#!/bin/bash
# Builds what the device tests need under build/devices (cached): setup.sh [usb] [picamera] [rtsp]
#
# Where it can't (no root, no Debian, no amd64) it says what is missing, writes that into
# build/devices/<name>.missing, from where the tests take their skip reason, and still ends with 0.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BOWERBIRD_DEVICES_BUILD:-$(cd "$here/../.." && pwd)/build/devices}
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$build"

say() { echo "devices: $*" >&2; }

# The first argument is an environment's name; prints and records why it can't be built here.
unfit() {
    local reason=""
    if [ "$(uname -s)" != Linux ] || ! command -v apt-get >/dev/null; then reason="a Debian machine (apt-get)"
    elif [ "$(id -u)" != 0 ]; then reason="root (installs packages, mounts a Debian root): sudo make test-devices"
    elif [ "$(dpkg --print-architecture)" != amd64 ]; then reason="an amd64 machine"
    elif [ "$1" = usb ] && ! grep -q '^ID=debian' /etc/os-release; then reason="Debian itself, for its kernel package"
    fi
    [ -n "$reason" ] || return 1
    say "SKIPPED $1: it needs $reason"
    echo "needs $reason" >"$build/$1.missing"
}

# Installs the packages that are not there yet.
need() {
    local absent=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed' || absent+=("$package")
    done
    [ ${#absent[@]} -eq 0 ] && return
    say "installing ${absent[*]}"
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${absent[@]}" >/dev/null
}

# Runs a builder unless its result is newer than all it is made from (the pytest files are not).
cached() {
    local stamp=$build/$1.built sources=$2
    if [ -e "$stamp" ] && [ -z "$(find "$here/setup.sh" "$here/$sources" "$here/../../pyproject.toml" -newer "$stamp" -type f -not -name '*.py')" ]; then
        return
    fi
    say "building $1"
    rm -f "$stamp"
    "build_$1"
    touch "$stamp"
}

build_usb() {
    local kernel work=$build/usb
    rm -rf "$work"
    mkdir -p "$work"/{package,unpacked,initrd/{bin,dev,proc,sys,mnt,rw,newroot}}
    apt-get update -qq
    kernel=$(apt-cache depends --important linux-image-amd64 | sed -n 's/.*Depends: linux-image-//p' | head -n 1)
    [ -n "$kernel" ] || { say "no Debian kernel package known to apt"; return 1; }
    (cd "$work/package" && apt-get download -qq "linux-image-$kernel" 2>/dev/null)
    dpkg -x "$work"/package/*.deb "$work/unpacked"
    cp "$work/unpacked/boot/vmlinuz-$kernel" "$work/vmlinuz"
    [ -e "$work/unpacked/lib" ] || ln -s usr/lib "$work/unpacked/lib"
    depmod -b "$work/unpacked" "$kernel"
    for module in virtio_pci 9pnet_virtio 9p overlay virtio_rng vivid vhci_hcd uvcvideo; do
        modprobe -d "$work/unpacked" -S "$kernel" --show-depends "$module" | awk '/^insmod/{print $2}'
    done | sort -u | while read -r file; do
        install -D "$file" "$work/initrd/${file#"$work/unpacked/"}"
    done
    cp "$work/unpacked/lib/modules/$kernel"/modules.{order,builtin,builtin.modinfo} "$work/initrd/lib/modules/$kernel/"
    depmod -b "$work/initrd" "$kernel"
    cp /bin/busybox "$work/initrd/bin/busybox"
    install -m 755 "$here/usb/init" "$work/initrd/init"
    (cd "$work/initrd" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd.gz"
    rm -rf "$work/package" "$work/unpacked" "$work/initrd"
}

build_picamera() {
    local root=$build/picamera/root
    if [ ! -e "$root/.debian-13" ]; then
        rm -rf "$root"
        mkdir -p "$root"
        debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev,libcamera-ipa,libcap-dev,libcap2,linux-libc-dev,psmisc,python3-dev,python3-libcamera,python3-numpy,python3-pil,python3-venv \
            trixie "$root" >"$build/picamera/debootstrap.log" 2>&1 ||
            { tail -n 20 "$build/picamera/debootstrap.log" >&2; return 1; }
        rm -rf "$root"/var/cache/apt/archives/*.deb
        touch "$root/.debian-13"
    fi
    # This machine's certificates and resolver, so that pip in there reaches what it reaches out here.
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    mkdir -p "$root"/opt/{glue,lib,frames} "$root/src"
    in_root python3 -m venv --clear --system-site-packages /opt/node
    # The command, its metadata and what it needs; the code itself comes from the checkout, through PYTHONPATH.
    rm -rf "$root/tmp/node"
    mkdir "$root/tmp/node"
    (cd "$here/../.." && cp -r pyproject.toml README.md LICENSE camera_node shared "$root/tmp/node/")
    in_root /opt/node/bin/pip install -q picamera2 /tmp/node
    cp "$here/picamera/fakedmabuf.c" "$root/opt/lib/"
    in_root gcc -shared -fPIC -O1 -o /opt/lib/fakedmabuf.so /opt/lib/fakedmabuf.c -ldl
    local pipelines=$root/usr/share/libcamera/pipeline
    mkdir -p "$pipelines/virtual"
    cp "$here/picamera/virtual.yaml" "$pipelines/virtual/virtual.yaml"
}

in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 PIP_DISABLE_PIP_VERSION_CHECK=1 \
        PIP_ROOT_USER_ACTION=ignore PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
        ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} chroot "$build/picamera/root" "$@"
}

build_rtsp() { /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")'; }

usb() {
    need busybox-static cpio kmod psmisc qemu-system-x86 v4l-utils
    cached usb usb
}
picamera() {
    need debootstrap util-linux
    cached picamera picamera
}
rtsp() {
    need gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly python3-gi
    cached rtsp rtsp
}

[ $# -gt 0 ] || set -- usb picamera rtsp
for name in "$@"; do
    rm -f "$build/$name.missing"
    unfit "$name" || "$name"
done
