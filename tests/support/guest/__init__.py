"""A guest with a kernel of its own, for what a container cannot mount: NFS, SMB, 9p, vfat, exFAT.

`boot.py` runs on this machine and boots the guest; `cells.py` runs inside and writes down what it
observed; `clients.py` has the mounts that it makes there.
"""
