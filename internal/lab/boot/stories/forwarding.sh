# Others switch forwarding off after natspread's unit: by systemd-networkd, whose files are
# applied later at every boot, and by sysctl --system. status says so, and names the file.
machine
printf 'IPForward=no\nIPv4Forwarding=no\n' >>"$disk/etc/systemd/network/lb0.network"
boot
prepare installs natspread.deb
prepare set_up article
reboot
check "a .network file that switches one interface off" networkd_switched_off net.ipv4.conf.lb0.forwarding /etc/systemd/network/lb0.network
prepare without_line IPv4Forwarding /etc/systemd/network/lb0.network
prepare put /etc/systemd/networkd.conf.d/off.conf '[Network]\nIPv4Forwarding=no\n'
check "status foretells what a drop-in of networkd.conf will do" networkd_will_switch_off net.ipv4.ip_forward /etc/systemd/networkd.conf.d/off.conf:2
reboot
check "a drop-in of networkd.conf that switches the host off" networkd_switched_off net.ipv4.ip_forward /etc/systemd/networkd.conf.d/off.conf
prepare rm_file /etc/systemd/networkd.conf.d/off.conf

prepare put /etc/sysctl.d/10-router.conf 'net.ipv4.ip_forward = 1\n'
prepare put /etc/sysctl.d/90-off.conf '# by its other name\nnet.ipv4.conf.all.forwarding = 0\n'
reboot
check "a file of sysctl.d does not count at boot" rebooted article
check "but status says what it would do" foretold 'in /etc/sysctl.d/90-off.conf:2'
check "sysctl --system switches the host off, and status names the file" sysctl_switched_off net.ipv4.ip_forward /etc/sysctl.d/90-off.conf:2
check "apply switches it on" applied_again article
prepare put /etc/sysctl.d/90-off.conf 'net.ipv4.conf.lb0.forwarding = 0\n'
check "sysctl --system switches one interface off, and status names the file" sysctl_switched_off net.ipv4.conf.lb0.forwarding /etc/sysctl.d/90-off.conf:1
