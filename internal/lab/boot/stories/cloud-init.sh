# cloud-init makes a balancer of a machine at its first boot, by the user data of docs/cloud-init.md.
. "$here/root.sh"
. "$here/page.sh"
. "$here/cloud.sh"
disk=$work/$story
base=$(cloud_dir)

# with_user_data makes a machine with the program, whose seed of NoCloud has the page's user data.
with_user_data() {
  machine
  bring_program "$disk/usr/local/sbin"
  seed=$disk/var/lib/cloud/seed/nocloud
  paste cloud-init.md user-data "$seed/user-data"
  echo "instance-id: $story" >"$seed/meta-data"
}

with_user_data
cp "$seed/user-data" "$disk/root/user-data"
bring_config "$disk/root"
paste cloud-init.md "before: the user data and the config in it" "$disk/root/before"
verdict "$(chroot "$disk" sh -ec 'cd /root && . ./before' >"$disk.before" 2>&1 && grep -q '^Valid cloud-config' "$disk.before"; echo $?)" "cloud-init finds the user data right, and natspread the config"
boot
check "the first boot: in sync" in_sync article
check "systemd and cloud-init have nothing to say" expect "$(printf 'running\nstatus: done')" "$(guest systemctl is-system-running; guest cloud-init status)"
reboot
check "rebooted" rebooted article
check "install again changes nothing" sh -c 'natspread install --json | grep -F "\"changed\": false"'
halt

[[ $variant == nft ]] || return 0
echo "instance-id: another" >"$seed/meta-data"
boot
check "another instance: rebooted" rebooted article
check "its install changed nothing" test ! -e /var/lib/natspread/generations/2
halt

with_user_data
sed -i 's/10.0.0.3:80/10.0.0.3:0/' "$seed/user-data"
boot
check "a wrong config: nothing is loaded" none_loaded
check "and systemd and cloud-init say so" expect "$(printf 'degraded\nstatus: error')" "$(guest systemctl is-system-running; guest cloud-init status)"
check "with the error in the log" grep -F '10.0.0.3:0' /var/log/cloud-init-output.log
