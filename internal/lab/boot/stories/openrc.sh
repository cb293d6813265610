# No systemd: OpenRC starts the rules and the checks, by the services of docs/no-systemd.md, and after that its script is
# process 1 of a container, whose image buildah builds.
. "$here/root.sh"
. "$here/page.sh"
. "$here/openrc.sh"
. "$here/buildah.sh"
page=no-systemd.md dir=$work/$story disk=$work/$story
mkdir -p "$dir"
base=$(openrc_dir)

# put_in makes a machine with the program, a config, and a network that OpenRC brings up.
put_in() {
  machine
  bring_program "$disk/usr/local/sbin"
  cp "$here/guest-openrc" "$disk/opt/boot"
  bring_config "$disk/etc/natspread"
  printf '%s\n' 'auto lb0' 'iface lb0 inet static' 'address 192.0.2.10/24' 'pre-up ip link add lb0 type bridge' 'up ip route add 10.0.0.0/8 dev lb0' >"$disk/etc/network/interfaces"
}

# look is check, for the functions of a machine without systemd, and run prepares by one of them.
look() { check "$1" . /opt/boot/guest-openrc "${@:2}"; }
run() { prepare . /opt/boot/guest-openrc "$@"; }

put_in
paste $page /etc/init.d/natspread "$disk/etc/init.d/natspread"
paste $page /etc/init.d/natspread-health "$disk/etc/init.d/natspread-health"
paste $page "once: let OpenRC start them" "$disk/opt/boot/once"
boot
look "OpenRC takes the services" once_lines
look "apply without systemd" applies
reboot
cp "$disk.console" "$disk/opt/boot/console"
look "rebooted: in sync, and the service runs" healthy
look "the rules are loaded before the network" first
run wire
look "connections are spread" spreads
run checks
run dead 2
look "a dead backend goes out: OpenRC runs the checks" goes_out 2
look "killed, they run again" killed_watcher
run alive 2
look "and it comes back" await loaded article
look "a reload brings back what was flushed" reloads
look "stop takes the rules out" taken_out
look "start loads them" comes_in
run spoil
reboot
look "a damaged generation: the one before is loaded, and the service has failed" old
verdict "$(grep -q 'fell back to generation' "$disk.console"; echo $?)" "and the console says so"
verdict "$(grep -q 'ERROR: natspread failed to start' "$disk.console"; echo $?)" "as OpenRC does"
halt

machine
cp "$here/guest-openrc" "$disk/opt/boot"
bring_program "$dir"
bring_config "$dir"
paste $page /usr/local/sbin/balancer "$dir/balancer"
chmod 0755 "$dir/balancer"
build_page $page
how=($(sed -n 's/^CMD \["\(.*\)"\]$/\1/p' "$dir/Dockerfile"))
start balancer guest /opt/boot/guest . /opt/boot/guest-openrc watchers >/dev/null
look "without any init the script of the page is process 1: the rules are loaded" loaded article
run wire
look "connections are spread, too" spreads
run checks
run dead 2
look "a dead backend goes out, too" goes_out 2
look "killed, its checks run again" killed_watcher
look "and still know who is out" goes_out 2
kill -TERM "$leader"
rc=0
wait "$nspawn" || rc=$?
nspawn=''
verdict "$rc" "told to end, it takes the rules out and ends well"
verdict "$(grep -q 'the rules of natspread are out of the kernel' "$disk.console"; echo $?)" "and says so"
