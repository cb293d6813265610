# What natspread's units can read and write, by a probe in the place of their program; and that
# both variants work in this sandbox from the first boot on, also where the root is read-only.
machine
boot
prepare installs natspread.deb
prepare set_up article
reboot
check "rebooted: in sync" rebooted article
check "systemd-analyze verify has nothing to say" verified
check "exposure at most 1.8" hardened
print hardened
check "the lock of iptables need not be there" by_itself
check "who makes it is the unit's own line" lockless
check "a /run that everybody may write to" sticky_run
halt
boot --read-only
check "a read-only root: in sync" sealed
halt
SYSTEMD_NSPAWN_TMPFS_TMP=0 boot --read-only
check "a read-only /tmp, too: the unit does not start" needs_tmp
reboot
prepare without_devices
halt
SYSTEMD_NSPAWN_TMPFS_TMP=0 boot --read-only
check "a read-only /tmp, too, and PrivateDevices=no: in sync" sealed
reboot
prepare rm_file /etc/systemd/system/natspread.service.d/devices.conf

prepare furnish_places
check "without the sandbox the probe writes to all places" open
prepare probes natspread.service
prepare probes natspread-confirm.service
reboot
check "what the unit can read and write at boot" sees unit_sees
prepare revert_probes
check "what the revert of a trial can read and write" sees revert_sees
prepare watcher_probes
check "what the watcher can read and write" sees watcher_sees
prepare metrics_probe
check "what writes the metrics can read and write" sees metrics_sees
