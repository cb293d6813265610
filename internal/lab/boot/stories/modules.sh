# A kernel that has none of the packet filter when it starts: the unit has to get the modules
# that it needs, although its own sandbox loads none.
machine
boot
print versions
check "installing changes no rule and no setting" installs natspread.deb
prepare set_up article
prepare keep_modules
check "systemd-analyze verify has nothing to say" verified
check "exposure at most 1.8" hardened
check "the unit's sandbox can load no module" locked_in
reboot
check "no module before the unit, its variant's after it" loads_modules
print modules
check "rebooted" rebooted article
check "no ordering cycle" no_circle
prepare wire
check "connections are spread" spreads

# The filter table, which only a service with forward = "accept" needs.
prepare set_up forward-article
reboot
check "filter table: no module before the unit, its variant's after it" loads_modules filter
print modules
check "filter table: rebooted" rebooted forward-article
prepare wire
prepare "iptables-$variant" -P FORWARD DROP
check "filter table: connections are spread" spreads
check "filter table: nothing else gets through" nothing_else

# HMARK, which nothing but a service with slots needs.
prepare set_up source
reboot
check "slots: the modules come with the rules" loads_slots
print modules
check "slots: rebooted" rebooted source
prepare wire
check "slots: each backend has clients" note_backends
prepare set_up forward-article
reboot

# What would not be there without the unit's Wants=, and what a circle would look like.
prepare without_help
prepare make_circle
reboot
check "a circle would be seen" circle_seen
if [[ $variant == legacy ]]; then
  check "without modprobe@ip_tables.service the unit fails" helpless
else
  check "without modprobe@ip_tables.service: rebooted" in_sync forward-article
fi
print last_words
