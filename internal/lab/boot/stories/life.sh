# The life of the package, from the first installation to the one after the purge.
machine
boot
prepare list_files
check "installing changes no rule and no setting" installs natspread.deb
check "it is enabled, and waits to be set up" waits
reboot
check "a boot before it is set up fails nothing" untroubled
check "init, apply: in sync" init_apply
check "apply started the unit: systemctl is-active says so" is active systemctl is-active natspread
check "systemd-analyze verify has nothing to say" verified
check "exposure at most 1.8" hardened
print hardened
reboot
check "rebooted" rebooted article
cut
boot
check "killed, and booted" rebooted article
check "uninstall, install: in sync" again
reboot
check "rebooted after uninstall and install" rebooted article
prepare wire
check "upgrade: no rule vanishes, no connection fails" undisturbed dpkg --install /opt/boot/natspread-newer.deb
check "upgraded" version_is natspread-newer.deb
check "in sync after the upgrade" in_sync article
check "downgrade: no rule vanishes, no connection fails" undisturbed dpkg --install /opt/boot/natspread.deb
check "downgraded" version_is natspread.deb
check "the watch would see a restart" disturbed
check "a flow of datagrams that began without the rules moves to a backend" early_flow
reboot
check "rebooted after upgrade and downgrade" rebooted article
check "remove: rules, forwarding and unit are gone, the config is not" removed
reboot
check "a boot after remove loads nothing and fails nothing" none_loaded
check "purge leaves no file" purged
check "reinstalling changes no rule and no setting" installs natspread.deb
check "init, apply after purge: in sync" init_apply
reboot
check "rebooted after purge and reinstallation" rebooted article
