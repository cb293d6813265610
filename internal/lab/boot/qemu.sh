# One machine, a virtual one: its disk, its power switch, and a way to run things in it.
# Sourced by story.
# shellcheck shell=bash

# patience bounds a boot, a shutdown and each thing that is done in the machine, in seconds.
patience=150

enter() {
  disks=0 vm=''
  accelerator=$(accelerator)
  echo "     $story: runs by $accelerator"
}

# accelerator prints how the machine runs: by kvm where that boots a kernel, which it does not
# wherever it can be opened.
accelerator() {
  local said=$work/$story.kvm
  [[ ! -w /dev/kvm ]] || timeout --kill-after=1 5 qemu-system-x86_64 -accel kvm -cpu host -m 256 -display none -nodefaults -no-reboot \
    -kernel "$base/vmlinuz" -append 'console=ttyS0 panic=-1' -serial "file:$said" </dev/null >/dev/null 2>&1 || true
  if grep -qs 'Linux version' "$said"; then echo kvm; else echo tcg; fi
}

# machine makes a new disk with both packages on it, for the variant of the story.
machine() {
  halt
  local dir=$work/$story.$((disks += 1))
  disk=$dir/disk image=$dir/image
  mkdir -p "$disk"
  cp --sparse=always "$base/disk" "$image"
  mount -o loop "$image" "$disk"
  furnish "$disk"
  umount "$disk"
}

# boot starts the machine and waits until its systemd has nothing more to do. A write that
# its disk reports as done is done, so that a cut takes what is in the machine's memory, and
# no more.
boot() {
  local state cpu=max
  [[ $accelerator != kvm ]] || cpu=host
  rm -f "$disk.line.in" "$disk.line.out"
  mkfifo "$disk.line.in" "$disk.line.out"
  exec 6<>"$disk.line.out" 7<>"$disk.line.in"
  qemu-system-x86_64 -accel "$accelerator" -cpu "$cpu" -smp 2 -m 512 -display none -nodefaults -no-reboot \
    -kernel "$base/vmlinuz" -append 'root=/dev/nvme0n1 ro console=ttyS0 quiet panic=-1' \
    -drive "if=none,id=disk,format=raw,cache=writethrough,file=$image" -device nvme,serial=boot,drive=disk \
    -serial "file:$disk.console" -serial "pipe:$disk.line" </dev/null >"$disk.qemu" 2>&1 6>&- 7>&- &
  vm=$!
  disown "$vm" # bash would tell of each cut
  hear || give_up "the machine did not finish to boot: $(cat "$disk.qemu")"
  state=$(guest systemctl is-system-running --wait) || true
  case $state in running | degraded) ;; *) give_up "the machine did not finish to boot: ${state:-no answer}" ;; esac
}

# hear reads a line from the machine into heard, unless the machine is dead or silent.
hear() {
  local part i
  heard=''
  for ((i = 0; i < patience; i++)); do
    if IFS= read -r -t 1 -u 6 part; then heard+=$part && return; fi
    heard+=$part
    kill -0 "$vm" 2>/dev/null || return
  done
  return 1
}

# take prints so many bytes of what comes from the machine.
take() { (($1 == 0)) || timeout 20 head -c "$1" <&6; }

# guest runs a program in the machine, as root.
guest() {
  local rc out err
  printf '%q ' "${environment[@]}" "$@" >&7
  echo >&7
  hear || { echo "the machine gives no answer" >&2; return 1; }
  read -r rc out err <<<"$heard"
  take "$out" && take "$err" >&2 || return
  return "$rc"
}

# ended waits until the machine is gone.
ended() {
  local i
  for ((i = 0; i < patience * 10; i++)); do
    kill -0 "$vm" 2>/dev/null || { vm='' && return; }
    sleep 0.1
  done
  return 1
}

# halt shuts the machine down in order, if it runs.
halt() {
  [[ $vm ]] || return 0
  guest systemctl poweroff >/dev/null 2>&1 || true
  ended || give_up "the machine does not shut down"
}

# cut takes the power away.
cut() { kill -KILL "$vm" 2>/dev/null || true; ended; }

# cut_after takes the power away in so many milliseconds, whatever goes on.
cut_after() { (sleep "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))" && kill -KILL "$vm") & }
