# A Debian whose init is OpenRC, as root.sh's is systemd, and how it is booted. Sourced by stories, behind root.sh.
# shellcheck shell=bash disable=SC2154

# openrc_dir prints the path of that Debian, after building it when it is not there.
openrc_dir() {
  local suite url dir
  read -r suite url <<<"$(mirror)"
  dir=$cache/$suite-openrc-$(sha256sum <"$here/openrc.sh" | head -c 12)
  once "$dir" build_openrc "$suite" "$url"
  echo "$dir"
}

# build_openrc has mmdebstrap build it. No console is there for a getty.
build_openrc() {
  mmdebstrap --mode=root --aptopt='APT::Sandbox::User "root"' --variant=minbase \
    --include=sysvinit-core,openrc,ifupdown,procps,kmod,iproute2,iptables,nftables \
    "$1" "$3" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $2 $1 main" &&
    sed -i '/getty/d' "$3/etc/inittab" && rm -rf "$3"/var/lib/apt/lists/* "$3"/var/cache/apt/*
}

# cannot is what once says, in a story.
cannot() { give_up "$*"; }

# start starts the machine with a program as its process 1, or its init, and waits for something that
# is to be there then: start NAME COMMAND.... The array how is that program, or --boot.
start() {
  local name=$1 i
  shift
  systemd-nspawn --quiet --directory="$disk" --machine="boot-$name-$variant" --private-network \
    --register=no --keep-unit --link-journal=no --console=read-only --kill-signal=SIGTERM "${how[@]}" </dev/null >"$disk.console" 2>&1 &
  nspawn=$!
  for ((i = 0; i < 400; i++)); do
    kill -0 "$nspawn" 2>/dev/null || give_up "the machine ended while it booted"
    find_process "$name" && "$@" && return
    sleep 0.05
  done
  give_up "the machine did not finish to boot"
}

# find_process finds the machine's process 1, which has that name.
find_process() {
  for leader in $(cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null); do
    [[ $(cat "/proc/$leader/comm" 2>/dev/null) == "$1" &&
      $(readlink "/proc/$leader/ns/pid") != "$(readlink /proc/self/ns/pid)" ]] && return
  done
  return 1
}

# boot boots the machine until OpenRC has started all of its runlevel default.
boot() { how=(--boot); start init booted; }
booted() { [[ $(cat "/proc/$leader/root/run/openrc/softlevel" 2>/dev/null) == default && ! -e /proc/$leader/root/run/openrc/rc.starting ]]; }

# halt shuts the machine down in order, if it runs.
halt() {
  [[ $nspawn ]] || return 0
  guest /sbin/shutdown -h now >/dev/null 2>&1 || true
  timeout 30 tail --pid="$nspawn" -f /dev/null || kill -KILL "$leader"
  wait "$nspawn" || true
  nspawn=''
}
