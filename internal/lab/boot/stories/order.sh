# A boot beside each firewall: out of a circle systemd drops a unit without a word to anybody,
# and everything looks well. ufw and firewalld are their real units with other programs.
unit_dir=/etc/systemd/system

# circle tells whether systemd found one: on the console, as the journal is not there yet.
circle() { grep -i 'ordering cycle' "$disk.console"; }

# beside boots a new machine with some firewalls enabled.
beside() {
  local unit
  machine
  for unit; do
    if [[ -f $disk/usr/share/boot-units/$unit ]]; then
      mkdir -p "$disk$unit_dir/$unit.d"
      cp "$disk/usr/share/boot-units/$unit" "$disk$unit_dir"
      printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=\nExecStart=/bin/true\nExecReload=\nExecReload=/usr/sbin/nft flush ruleset\nExecStop=\n' >"$disk$unit_dir/$unit.d/stub.conf"
    fi
    chroot "$disk" systemctl enable "$unit" >/dev/null 2>&1
  done
  chroot "$disk" dpkg --install /opt/boot/natspread.deb >"$disk.dpkg" 2>&1 || give_up "dpkg: $(tail -n 1 "$disk.dpkg")"
  boot
  prepare set_up article
  reboot
  check "beside $*" rebooted article
  for unit; do check "beside $*: $unit ran too" is active systemctl is-active "$unit"; done
  verdict "$(circle >"$disk.circle"; echo $((!$?)))" "beside $*: no ordering cycle $(cat "$disk.circle")"
}
beside nftables.service
beside netfilter-persistent.service
beside ufw.service
beside firewalld.service
check "firewalld.service: reload" after_flush systemctl reload firewalld.service
beside nftables.service netfilter-persistent.service ufw.service

# A circle of two others, to see that it would be seen.
prepare make_circle
reboot
verdict "$(circle >/dev/null; echo $?)" "a circle would be seen"
