# The other recipes of docs/images.md: buildah builds the Dockerfile, a provisioner works in a chroot, and live-build runs
# its includes and hooks. Each image boots into a balancer.
. "$here/root.sh"
. "$here/page.sh"
. "$here/buildah.sh"
page=images.md dir=$work/$story disk=$work/$story
mkdir -p "$dir"
bring_program "$dir"
bring_config "$dir"

# tried boots the disk that a recipe made: tried RECIPE LOG.
tried() {
  verdict "$(grep -q '^wrote generation 1 for the .* to be proven at boot: ' "$2" && ! grep -q '^note: the image has no' "$2"; echo $?)" "$1: install finds that it is an image, which lacks nothing"
  boot
  check "$1: it boots into a balancer" rebooted article
  halt
}

machine
build_page $page
tried Dockerfile "$dir/build.log"

machine
fetches
cp "$dir/natspread" "$dir/natspread.toml" "$disk/tmp"
paste $page "provision: in the image, with natspread and natspread.toml in /tmp" "$disk/tmp/provision"
chroot "$disk" sh /tmp/provision >"$dir/provision.log" 2>&1 || give_up "provision: $(tail -n 1 "$dir/provision.log")"
tried chroot "$dir/provision.log"

machine
mkdir -p "$dir/live/chroot"
mount --bind "$disk" "$dir/live/chroot"
cd "$dir/live"
lb config --distribution bookworm >"$dir/live.log" 2>&1
install -D -m 0755 "$dir/natspread" config/includes.chroot/usr/local/sbin/natspread
install -D -m 0644 "$dir/natspread.toml" config/includes.chroot/etc/natspread/natspread.toml
paste $page config/hooks/normal/5000-natspread.hook.chroot config/hooks/normal/5000-natspread.hook.chroot
mkdir -p .build && touch .build/config .build/bootstrap # what lb bootstrap leaves, which took the chroot from elsewhere
{ lb chroot_includes_after_packages && lb chroot_hooks; } >>"$dir/live.log" 2>&1 || give_up "live-build: $(tail -n 1 "$dir/live.log")"
cd /
umount "$dir/live/chroot"
tried live-build "$dir/live.log"
