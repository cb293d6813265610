# A host whose FORWARD drops when it boots, by ufw and by netfilter-persistent: a service with
# forward = "accept" gets through, nothing else does, and all that is others' stays.

# with_ufw puts ufw in the place of netfilter-persistent, beside which its package cannot be.
with_ufw() {
  unshare --net chroot "$disk" sh -c 'dpkg --purge iptables-persistent netfilter-persistent && dpkg --install /usr/share/boot-units/ufw.deb' \
    >"$disk.dpkg" 2>&1 || give_up "dpkg: $(tail -n 1 "$disk.dpkg")"
}

# behind tells what becomes of a machine by a firewall: behind NAME FUNCTION, which starts it.
behind() {
  boot
  prepare "$2"
  prepare installs natspread.deb
  prepare set_up article
  prepare systemctl start natspread.service
  prepare wire
  prepare keep_others
  check "$1: without forward = \"accept\" connections are dropped, and status says so" dropped
  check "$1: with it they are spread" survives set_up forward-article
  reboot
  check "$1: rebooted" rebooted forward-article
  check "$1: its own rules and the policy DROP are as they were" as_kept
  prepare wire
  check "$1: connections are spread" spreads
  check "$1: nothing else gets through" nothing_else
}

machine
with_ufw
behind ufw enable_ufw
check "ufw reload" survives ufw reload
check "ufw.service: restart" survives systemctl restart ufw.service
prepare flush_too
check "ufw reload that empties the built-in chains: status says so, and a reload heals" heals 3 'not loaded: ' ufw reload
prepare after_ufw
check "the same, with an after.init" survives ufw reload
check "ufw.service, with it: restart" survives systemctl restart ufw.service
reboot
check "ufw, with it: rebooted" rebooted forward-article
check "ufw: stop leaves FORWARD as it was" stopped

machine
behind netfilter-persistent enable_persistent
check "netfilter-persistent reload" survives netfilter-persistent reload
check "netfilter-persistent.service: restart" survives systemctl restart netfilter-persistent.service
prepare netfilter-persistent save
reboot
check "netfilter-persistent save, rebooted: in sync" rebooted forward-article
prepare wire
check "iptables-restore by hand takes the accepts out: status says so, and a reload heals" heals 1 'ipv4 filter: the jump in FORWARD is missing' load_file
check "netfilter-persistent: stop leaves FORWARD as it was" stopped
