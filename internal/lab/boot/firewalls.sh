# What stories do with firewalls on a machine. Sourced by them.
# shellcheck shell=bash disable=SC2154

# with_ufw puts ufw in the place of netfilter-persistent, beside which its package cannot be.
with_ufw() {
  unshare --net chroot "$disk" sh -c 'dpkg --purge iptables-persistent netfilter-persistent && dpkg --install /usr/share/boot-units/ufw.deb' \
    >"$disk.dpkg" 2>&1 || give_up "dpkg: $(tail -n 1 "$disk.dpkg")"
}

# with_fail2ban adds fail2ban.
with_fail2ban() {
  unshare --net chroot "$disk" dpkg --install /usr/share/boot-units/fail2ban.deb >"$disk.dpkg" 2>&1 || give_up "dpkg: $(tail -n 1 "$disk.dpkg")"
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
