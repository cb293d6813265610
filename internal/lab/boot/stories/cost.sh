# What the unit takes at boot, beside netfilter-persistent with as many rules in the same boot.
# The numbers are for people: a busy machine is no failure.
machine
boot
prepare installs natspread.deb
prepare set_up article
prepare same_rules
prepare systemctl enable netfilter-persistent.service
for _ in 1 2 3; do
  reboot
  print blame
done
check "both were loaded" rebooted article
