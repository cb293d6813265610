# No package: one program copied to a machine installs itself, and takes itself out again.
machine
dpkg-deb --fsys-tarfile "$work/natspread.deb" | tar --extract --directory "$disk/opt/boot" --strip-components=3 ./usr/sbin/natspread
boot
prepare list_files
check "install by a copied program: in sync" installs_itself
reboot
check "rebooted" rebooted article
if [[ $variant == nft ]]; then
  for verb in start reload restart stop; do
    check "nftables.service: $verb" after_flush systemctl "$verb" nftables.service
  done
fi
check "uninstall leaves no unit, no drop-in, no rule" uninstalls_itself
reboot
check "a boot after uninstall loads nothing" none_loaded
