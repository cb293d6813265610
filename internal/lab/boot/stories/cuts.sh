# The power is cut at a random moment after an apply was reported and while others go on, which
# alternate between two configs. The disk keeps what the kernel handed to it and loses what was
# only in memory.
RANDOM=$(((SEED + ${#variant}) % 32768))

# apply_next applies the config that was not reported last, and notes what is reported before
# it goes on.
apply_next() {
  local said
  said=$(guest /opt/boot/guest apply_story "$next" 2>"$disk.did") && turn "$said"
}

# turn notes that a generation was made of the other config.
turn() { generation=$1 && read -r reported next <<<"$next $reported"; }

# clean replays the journal of a copy of the disk, and checks all of it.
clean() {
  cp --sparse=always "$image" "$image.copy"
  e2fsck -p "$image.copy" >"$disk.did" 2>&1 || (($? == 1)) || return
  e2fsck -fn "$image.copy" >>"$disk.did" 2>&1
}

machine
boot
print versions
prepare installs natspread.deb
prepare set_up two-backends
prepare set_up article
generation=2 reported=article next=two-backends
echo "     $story: SEED=$SEED cuts at the same moments again"
for ((n = 1; n <= CUTS; n++)); do
  first=$generation pause=$((RANDOM % 4000))
  apply_next || { cat "$disk.did" && give_up "apply failed after boot $n"; }
  cut_after "$pause"
  while apply_next; do :; done
  ! kill -0 "$vm" 2>/dev/null || { cat "$disk.did" && give_up "apply failed before cut $n"; }
  cut
  what="cut $n, $((generation - first)) applies after the boot"
  if clean; then verdict 0 "$what: the file system is clean"; else verdict 1 "$what: the file system is clean" && cat "$disk.did"; fi
  boot
  check "$what: boot loads one of the two, not older than reported" after_cut "$generation" "$reported" "$next"
  found=$(guest /opt/boot/guest generation)
  echo "     $story: generation $found is loaded, $generation was reported"
  ((found == generation)) || turn "$found"
done
