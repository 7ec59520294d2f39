#!/bin/busybox sh
# The guest's first process, in the initrd: makes a root of this machine's root and starts /share/start.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
ip link set lo up
options=trans=virtio,version=9p2000.L,msize=262144
mount -t 9p -o "$options,ro,cache=loose" root /below || poweroff -f
mount -t tmpfs tmpfs /above
mkdir /above/files /above/work
mount -t overlay -o lowerdir=/below,upperdir=/above/files,workdir=/above/work root /new || poweroff -f
mkdir -p /new/share /new/guest /new/dev/pts
mount --move /dev /new/dev
mount -t 9p -o "$options" share /new/share || poweroff -f
umount /proc /sys
exec switch_root /new /share/start
