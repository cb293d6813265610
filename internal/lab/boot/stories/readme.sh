# A new user's first minute: the README's own lines, as pasted, on a machine that never saw natspread.
# Then a reboot, and the metrics by Debian's node_exporter.
machine
mkdir "$disk/opt/boot/bin"
cp "$work/natspread.deb" "$disk/opt/boot/bin/natspread_$(dpkg-deb --field "$work/natspread.deb" Version)_$(dpkg --print-architecture).deb"
boot
prepare network_up
prepare wire http
check "the README's lines, from apt install to a balancer in a minute or less" first_minute
print took
check "it balances" balances
reboot
check "rebooted: the rules are there before the network" serves
prepare wire http
check "and it still balances" balances

check "without node_exporter install --prometheus fails, and says why" exporter_missing
prepare dpkg --install /usr/share/boot-units/prometheus-node-exporter.deb
check "node_exporter shows the metrics after one command: by a timer, as nothing is checked" by_timer
check "or by that of the package" packaged_timer
check "rules that are gone are no failure of writing" drift_shown
prepare rm_file /var/lib/prometheus/node-exporter/natspread.prom
reboot
check "rebooted: metrics are written" metrics_at_boot
prepare wire http
prepare set_checks
check "node_exporter shows the metrics after the same command: by the watcher, as backends are checked" by_watcher
check "purge takes the metrics and their units away" purged_metrics
