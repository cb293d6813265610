# Clients that keep their backends: through a reload, a flush and a boot.
machine
boot
prepare installs natspread.deb
prepare set_up source
check "in sync" in_sync source
prepare wire
check "each backend has clients" note_backends
check "a reload moves no client" systemctl reload natspread.service
check "after it each gets its backend" same_backends
prepare systemctl restart natspread.service
check "after a restart, too" same_backends
reboot
check "rebooted" rebooted source
prepare wire
check "a boot moves no client" same_backends
check "a drain moves its own clients, and no others" moves_its_own
prepare natspread undrain web 10.0.0.2
check "undrain brings them back" same_backends
