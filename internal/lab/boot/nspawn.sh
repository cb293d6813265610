# One machine, a container: its disk, its power switch, and a way to run things in it. Sourced
# by story.
# shellcheck shell=bash

# enter makes the places that systemd-nspawn and the machine's systemd write to, seen by
# nobody else: a /run, and a tree of control groups without those of version 1.
enter() {
  local group=/sys/fs/cgroup/$BOOT_GROUP.$name.$variant
  mount -t tmpfs tmpfs /run
  [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir "$group"
  echo $$ >"$group/cgroup.procs"
  disks=0 leader='' nspawn=''
}

# machine makes a new disk with both packages on it, for the variant of the story. Where the
# files cannot be laid over the root they are copied.
machine() {
  halt
  local dir=$work/$story.$((disks += 1))
  disk=$dir/disk
  mkdir -p "$disk" "$dir/upper" "$dir/overlay"
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$dir/upper,workdir=$dir/overlay" "$disk" 2>/dev/null ||
    cp -a "$base/." "$disk"
  furnish "$disk"
}

# boot starts the machine, with more options for it, and waits until its systemd has nothing more to do.
boot() {
  local i
  systemd-nspawn --quiet --boot --directory="$disk" --machine="boot-$name-$variant" --private-network \
    --register=no --keep-unit --link-journal=no --console=read-only "$@" </dev/null >"$disk.console" 2>&1 &
  nspawn=$!
  for ((i = 0; i < 400; i++)); do
    kill -0 "$nspawn" 2>/dev/null || give_up "the machine ended while it booted"
    if find_leader && [[ -S /proc/$leader/root/run/systemd/private ]]; then
      state=$(timeout 60 nsenter --target "$leader" --all -- systemctl is-system-running --wait 2>/dev/null) || true
      case $state in running | degraded) return ;; esac
    fi
    sleep 0.05
  done
  give_up "the machine did not finish to boot: ${state:-no answer}"
}

# find_leader finds the machine's process 1: of the children of systemd-nspawn the one in
# process namespaces of its own that has become systemd.
find_leader() {
  for leader in $(cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null); do
    [[ $(cat "/proc/$leader/comm" 2>/dev/null) == systemd &&
      $(readlink "/proc/$leader/ns/pid") != "$(readlink /proc/self/ns/pid)" ]] && return
  done
  return 1
}

# halt shuts the machine down in order, if it runs.
halt() { [[ ! $nspawn ]] || { kill -TERM "$nspawn"; wait "$nspawn" || true; nspawn=''; }; }

# cut kills every process of the machine at once.
cut() { kill -KILL "$leader"; wait "$nspawn" || true; nspawn=''; }

# guest runs a program in the machine, as root.
guest() { nsenter --target "$leader" --all -- "${environment[@]}" "$@"; }
