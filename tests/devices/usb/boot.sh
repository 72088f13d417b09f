#!/bin/sh
# boot.sh BUILD PYTHON [TEST,TEST...]: boots the virtual machine of BUILD (see setup.sh), runs tests of in_guest.py
# in it with this machine's PYTHON, and ends. Its console is on standard output.
here=$(cd "$(dirname "$0")" && pwd)
exec qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 \
    -nodefaults -no-reboot -display none -serial stdio -device virtio-rng-pci \
    -virtfs local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap \
    -kernel "$1/vmlinuz" -initrd "$1/initrd.gz" \
    -append "console=ttyS0 quiet panic=-1 guest.python=$2 guest.script=$here/guest.py guest.tests=${3:-}" </dev/null
