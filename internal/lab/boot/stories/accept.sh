# A host whose FORWARD drops when it boots, by ufw and by netfilter-persistent: a service with
# forward = "accept" gets through, nothing else does, and all that is others' stays.

. "$here/firewalls.sh"

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
