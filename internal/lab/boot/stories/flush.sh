# Others empty the tables on which the balancer stands.
machine
boot
prepare installs natspread.deb
prepare set_up article
reboot
check "in sync" in_sync article
if [[ $variant == nft ]]; then # the legacy tables are beyond nft's reach
  for verb in start reload restart stop start; do
    check "nftables.service: $verb" after_flush systemctl "$verb" nftables.service
  done
  check "rules that were stopped stay out when nftables restarts" stays_out systemctl restart nftables.service
  prepare systemctl start natspread.service
  prepare systemctl enable nftables.service
  reboot
  check "rebooted with nftables.service" rebooted article
  for verb in reload restart stop start; do
    check "nftables.service, enabled: $verb" after_flush systemctl "$verb" nftables.service
  done
  prepare systemctl disable --now nftables.service
fi
prepare foreign_rules
prepare systemctl enable netfilter-persistent.service
reboot
check "rebooted with netfilter-persistent.service" rebooted article
check "netfilter-persistent reload" after_reload netfilter-persistent reload
check "netfilter-persistent.service: restart" after_reload systemctl restart netfilter-persistent.service
check "netfilter-persistent flush takes ours out, too" flushes_ours
check "netfilter-persistent start" after_reload netfilter-persistent start
