#!/bin/sh
# The first process on the guest's root: the file systems that every Linux has, then /share/command.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/guest LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /guest
mkdir -p /run/lock /dev/pts /dev/shm /lib/modules
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount --bind "$(cat /share/modules)" /lib/modules
modprobe loop
echo "127.0.0.1 nas localhost" >/etc/hosts
sh /share/command >/share/output 2>&1
echo $? >/share/code
sync
echo o >/proc/sysrq-trigger
sleep 60
