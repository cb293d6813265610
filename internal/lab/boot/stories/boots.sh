# Many boots, one after the other: in each the unit must load the rules in time. Every third is a
# boot after a power cut.
machine
boot
prepare installs natspread.deb
prepare set_up article
failed=0
for ((n = 1; n <= BOOTS; n++)); do
  if ((n % 3)); then halt; else cut; fi
  boot
  guest /opt/boot/guest rebooted article >"$disk.checked" 2>&1 && continue
  ((failed += 1))
  echo "     $story: boot $n of $BOOTS:"
  sed 's/^/    /' "$disk.checked"
  guest journalctl --boot --no-pager --output=cat --unit=natspread.service | sed 's/^/    | /' || true
done
verdict "$((failed > 0))" "$BOOTS boots, $failed of them failed"
