# A change that has to be confirmed, on a machine whose PID 1 reverts it: whoever dies,
# whatever was not confirmed ends on the old table.
machine
boot
prepare installs natspread.deb
prepare set_up two-backends
reboot
check "in sync" in_sync two-backends
check "not confirmed: the old table is back" not_confirmed confirm_apply 6s
check "the timer is gone, and nothing waits" nothing_waits
check "the journal says so" journal_tells
for signal in HUP KILL; do
  check "apply and its terminal get SIG$signal right after the load: the old table is back" not_confirmed confirm_killed "$signal" 6s
done
check "apply is killed before it loads: the old table, and nothing waits" killed_before_load
check "the room of the revert is as small as that of the unit" same_room
check "the revert takes the lock of iptables where apply did" other_lock
check "rollback reverts it at once" rolled_back
check "a damaged new table is not confirmed" not_confirmed confirm_damaged 6s
check "a root with spaces, % and \$ in its name" odd_root
check "forwarding is what it was" forwarding_back
check "stop ends the wait" stop_ends
prepare systemctl start natspread.service
check "confirm keeps it" confirmed
reboot
check "rebooted: what was confirmed" rebooted article
check "waits, when the power is cut" waiting two-backends 10m
cut
boot
check "a power cut: the old generation, and nothing waits" rebooted article
check "the next apply removes what waited" removes_waiting
check "waits, when the machine is rebooted" waiting two-backends 10m
reboot
check "rebooted while it waited: the old generation" rebooted article
check "uninstall ends the wait" uninstall_ends
check "remove while it waits: rules, forwarding, unit and timer are gone" removed_while_waiting
