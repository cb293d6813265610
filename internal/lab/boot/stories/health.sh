# The watcher under a real systemd: installed, killed, hung, upgraded, stopped with the rules, and
# booted beside a backend that is dead.
machine
boot
prepare list_files
prepare installs natspread.deb
check "the watcher's unit is there, and disabled" disabled_watcher
prepare set_up article
prepare set_checks
prepare wire
check "apply notes that nobody watches, and its line starts the watcher" noted
check "install enables and starts it" installs_watcher
check "systemd-analyze verify has nothing to say" verified_watcher
check "exposure at most 1.9" hardened_watcher
print hardened_watcher
prepare dead 2
check "a dead backend goes out" goes_out 2
check "status says so" told 2
check "no connection goes there, and none fails" without 2
check "SIGKILL: no rule changes, no connection fails, and it starts again" undisturbed signalled KILL
check "a crash, too" undisturbed signalled ABRT
check "hung: its watchdog kills it, no rule changes, no connection fails" undisturbed hangs
check "upgrade: another watcher, of the new program, no rule changes, no connection fails" undisturbed upgraded natspread-newer.deb
check "upgraded" version_is natspread-newer.deb
check "the backend is still out" out 2
check "upgrade of a watcher that was stopped: it stays so" rests_on natspread-newer.deb
check "wrong usage ends it" ends
check "stopping natspread.service stops it" stopped_with
check "starting natspread.service starts it" started_with 2
check "restarting natspread.service restarts it" restarted_with 2
check "metrics are written where install was told" measures
prepare alive 2
check "a backend that lives again comes back" comes_back
prepare wire_at_boot 2
reboot
check "boot loads all, the dead backend too" booted_with article
check "the watcher takes it out within 2.5 intervals" soon_out 2
print soon_out 2
check "no connection goes there, and none fails" without 2
prepare not_wired
check "uninstall stops it" uninstalled
check "remove stops it, and purge leaves no file" purged_watcher
