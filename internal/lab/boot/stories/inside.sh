# An image is made from its inside, in a chroot without /proc, by one program that was copied there; and it boots, from
# a root that can be written, from one that cannot, and with a /var that is empty at each boot.

# unpack makes a machine with the program and its config.
unpack() {
  machine
  dpkg-deb --fsys-tarfile "$work/natspread.deb" | tar --extract --directory "$disk/opt/boot" --strip-components=3 ./usr/sbin/natspread
  mkdir "$disk/etc/natspread"
  awk '/^-- natspread.toml --$/ { on = 1; next } /^-- .* --$/ { on = 0 } on' "$disk/opt/boot/article.txtar" >"$disk/etc/natspread/natspread.toml"
}

# inside runs that program in the image: no /proc, no systemd, no right over any kernel.
inside() { SOURCE_DATE_EPOCH=1700000000 setpriv --bounding-set=-net_admin chroot "$disk" /opt/boot/natspread "$@" >"$disk.inside" 2>&1; }

# made says what the image is made of: names, kinds, modes, links, and what is in the files of natspread.
made() {
  (cd "$disk" && find etc usr/local var/lib -newer opt/boot -printf '%p %y %m %l\n' | sort &&
    find etc/systemd var/lib/natspread usr/local/sbin/natspread -newer opt/boot -type f -print0 | sort -z | xargs -0 sha256sum)
}

unpack
[[ ! -e $disk/proc/self ]] || give_up "the image has a /proc"
inside install || give_up "install: $(tail -n 1 "$disk.inside")"
made >"$disk.made"
grep -q 'rules.v4$' "$disk.made" || give_up "what the image is made of is not seen"
verdict "$(! grep -q '^note: the image has no' "$disk.inside"; echo $?)" "the image lacks nothing"
inside install || give_up "install again: $(tail -n 1 "$disk.inside")"
verdict "$(grep -q '^no change: the image has generation 1 already$' "$disk.inside"; echo $?)" "the same install again changes nothing"
verdict "$(made | cmp -s - "$disk.made"; echo $?)" "and the image is the same"
first=$disk.made
boot
check "it boots into a balancer" rebooted article
halt
boot --read-only
check "from a read-only root, too" in_sync article

unpack
inside install || give_up "install: $(tail -n 1 "$disk.inside")"
verdict "$(made | diff "$first" - >"$disk.differ"; echo $?)" "another image is the same, byte for byte"
boot --volatile=state
check "with an empty /var nothing is there to load" none_loaded

unpack
inside install --volatile || give_up "install --volatile: $(tail -n 1 "$disk.inside")"
for time in first second; do
  boot --volatile=state
  check "the $time boot with an empty /var and a read-only root, after install --volatile" in_sync article
  halt
done
inside uninstall || give_up "uninstall: $(tail -n 1 "$disk.inside")"
boot --volatile=state
check "a boot after uninstall loads nothing" none_loaded
