# An image is made without its kernel and without systemd, and boots into a balancer: then
# boot itself has to prove the rules, also those that were made for the other variant.
other=nft
[[ $variant == legacy ]] || other=legacy

# bake installs the package in the image and writes the generation, for a variant.
bake() {
  machine
  unshare --net chroot "$disk" dpkg --install /opt/boot/natspread.deb >"$disk.dpkg" 2>&1 || give_up "dpkg: $(tail -n 1 "$disk.dpkg")"
  awk '/^-- natspread.toml --$/ { on = 1; next } /^-- .* --$/ { on = 0 } on' "$disk/opt/boot/article.txtar" |
    setpriv --bounding-set=-all --inh-caps=-all -- "$disk/usr/sbin/natspread" --root "$disk" install --config - --variant "$1" >"$disk.baked" 2>&1 ||
    give_up "install --root: $(tail -n 1 "$disk.baked")"
}
bake "$variant"
boot
check "an image boots into a balancer" rebooted article
cut
boot
check "killed, and booted" rebooted article
bake "$other"
boot
check "an image made for $other boots into a balancer" rebooted article
check "the journal says that it was made for $other" journal_has "was made for the $other variant"
