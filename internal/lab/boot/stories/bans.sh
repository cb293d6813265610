# A host whose FORWARD drops when it boots, and on which ufw or fail2ban bans a client: a service
# with forward = "accept" gets through, and that client does not.
. "$here/firewalls.sh"

machine
with_ufw
behind ufw enable_ufw
prepare ban_by_ufw
check "ufw: a client that it bans stays banned, others get through" ban_holds
check "ufw, with a ban: reloaded" holds_after ufw reload
check "ufw, with a ban: restarted" holds_after systemctl restart ufw.service
reboot
check "ufw, with a ban: rebooted" rebooted forward-article
prepare wire
check "ufw, with a ban: it holds after a boot" ban_holds
check "ufw: without the ban that client gets through" unbanned ufw route delete deny from 198.51.100.3

machine
with_fail2ban
behind fail2ban enable_fail2ban
check "fail2ban bans what its log says" ban_by_log
check "fail2ban: a client that it bans stays banned, others get through" ban_holds
check "fail2ban: restarted" holds_after systemctl restart natspread.service
reboot
check "fail2ban: rebooted" rebooted forward-article
check "fail2ban: rebooted, it bans again" f2b_bans
prepare wire
check "fail2ban: the ban holds after a boot" ban_holds
check "fail2ban: without the ban that client gets through" unbanned fail2ban-client set balanced unbanip 198.51.100.3
