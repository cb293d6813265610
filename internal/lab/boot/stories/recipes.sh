# The other recipes of docs/images.md: buildah builds the Dockerfile, a provisioner works in a chroot, and live-build runs
# its includes and hooks. Each image boots into a balancer.
. "$here/root.sh"
. "$here/page.sh"
page=images.md dir=$work/$story disk=$work/$story
mkdir -p "$dir"
dpkg-deb --fsys-tarfile "$work/natspread.deb" | tar --extract --directory "$dir" --strip-components=3 ./usr/sbin/natspread
awk '/^-- natspread.toml --$/ { on = 1; next } /^-- .* --$/ { on = 0 } on' "$here/../../../testdata/render/article.txtar" >"$dir/natspread.toml"
read -r suite url <<<"$(mirror)"

# fetches lets apt in the disk fetch from the mirror of this machine.
fetches() {
  cp -L /etc/resolv.conf "$disk/etc/resolv.conf"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $url $suite main" >"$disk/etc/apt/sources.list"
}

# tried boots the disk that a recipe made: tried RECIPE LOG.
tried() {
  verdict "$(grep -q '^wrote generation 1 for the .* to be proven at boot$' "$2" && ! grep -q '^note: the image has no' "$2"; echo $?)" "$1: install finds that it is an image, which lacks nothing"
  boot
  check "$1: it boots into a balancer" rebooted article
  halt
}

# as_layer has buildah work below this directory, without a daemon and without a registry.
as_layer() { BUILDAH_ISOLATION=chroot buildah --root "$dir/images" --runroot "$dir/run" --storage-driver vfs "$@"; }

machine
fetches
paste $page Dockerfile "$dir/Dockerfile"
from=$(as_layer from scratch) && as_layer add -q "$from" "$disk" / >/dev/null && as_layer commit -q --rm "$from" docker.io/library/debian:bookworm >"$dir/from.log" 2>&1 &&
  as_layer build --pull-never --layers=false -t balancer "$dir" >"$dir/build.log" 2>&1 && built=$(as_layer mount "$(as_layer from --pull-never localhost/balancer)") ||
  give_up "buildah: $(tail -n 1 "$dir/build.log")"
disk=$built
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
lb config --distribution "$suite" >"$dir/live.log" 2>&1
install -D -m 0755 "$dir/natspread" config/includes.chroot/usr/local/sbin/natspread
install -D -m 0644 "$dir/natspread.toml" config/includes.chroot/etc/natspread/natspread.toml
paste $page config/hooks/normal/5000-natspread.hook.chroot config/hooks/normal/5000-natspread.hook.chroot
mkdir -p .build && touch .build/config .build/bootstrap # what lb bootstrap leaves, which took the chroot from elsewhere
{ lb chroot_includes_after_packages && lb chroot_hooks; } >>"$dir/live.log" 2>&1 || give_up "live-build: $(tail -n 1 "$dir/live.log")"
cd /
umount "$dir/live/chroot"
tried live-build "$dir/live.log"
