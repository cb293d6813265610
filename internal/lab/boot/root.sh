# The Debian that is booted: built once from this machine's own mirror, and from then on
# only read, each machine below a layer or a copy of its own. Sourced by run.sh.
# shellcheck shell=bash

cache=${BOOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/natspread-boot}

# perl and e2fsck are there in every Debian; the rest is what natspread meets at boot, what the README
# types, and what ufw wants, which stands no netfilter-persistent beside it.
packages=systemd,systemd-sysv,udev,dbus,procps,kmod,iproute2,iptables,nftables,netfilter-persistent,iptables-persistent,python3,ucf,curl

# mirror prints the suite that this machine runs and where its apt gets it. It is asked for
# each time, so that no address gets into a file.
mirror() {
  local suite
  suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$suite" '$1 == suite { print; exit }'
}

# once makes a directory of the cache, unless it is there: once DIR COMMAND... has the command
# make it under another name.
once() {
  local dir=$1
  mkdir -p "$cache"
  exec 8>"$cache/lock"
  flock 8 # of two that build the same the second waits
  if [[ ! -d $dir ]]; then
    echo "building what is booted, once: $dir" >&2
    rm -rf "$dir.new"
    "${@:2}" "$dir.new" >"$cache/log" 2>&1 8>&- || {
      rm -rf "$dir.new"
      tail -n 5 "$cache/log" | sed -E 's#(https?://)[^ /]+#\1MIRROR#g' >&2
      cannot "it cannot be built, the whole story is in $cache/log"
    }
    mv "$dir.new" "$dir"
  fi
  exec 8>&-
}

# made_by tells one version of the scripts that build from another.
made_by() { cat "$@" | sha256sum | cut -c1-12; }

# root_dir prints the path of the root, after building it when it is not there. What it is
# made from is part of its name: another list of packages is another root.
root_dir() {
  local suite url root
  read -r suite url <<<"$(mirror)" || true
  [[ $url ]] || cannot "apt knows no mirror of this release: run apt-get update"
  root=$cache/$suite-$(made_by "$here/root.sh")
  once "$root" build_root "$suite" "$url"
  echo "$root"
}

# build_root builds the root in two steps, fetching with the network and unpacking without,
# because the scripts of iptables-persistent look at the nat table of wherever they run. The
# second step mounts things, which end with it in a namespace of its own.
build_root() {
  local suite=$1 url=$2 root=$3
  export DPKG_FORCE=unsafe-io # a root that a power cut spoils is built again
  apt-get update -qq || true # what apt knows already may do
  debootstrap --variant=minbase --include="$packages" --make-tarball="$root.tar" "$suite" "$root" "$url" &&
    unshare --net --mount --propagation private --pid --fork --kill-child=KILL --mount-proc \
      debootstrap --variant=minbase --include="$packages" --unpack-tarball="$root.tar" "$suite" "$root" "$url" &&
    rm -rf "$root.tar" "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/usr/share/{doc,man,locale}/* "$root"/etc/iptables/rules.* &&
    : >"$root/etc/apt/sources.list" && echo 00000000000000000000000000000b07 >"$root/etc/machine-id" &&
    chroot "$root" systemctl disable netfilter-persistent.service nftables.service &&
    fetch_units "$root/usr/share/boot-units" && network "$root"
}

# kept are packages that only some machines get.
kept=(ufw fail2ban prometheus-node-exporter)

# fetch_units keeps the units of two firewalls, to be booted with /bin/true for a program: their
# order is the real one. Beside them it keeps whole packages.
fetch_units() {
  local dir=$1 from name
  mkdir -p "$dir" && from=$(mktemp -d) && (
    cd "$from" && apt-get -o APT::Sandbox::User=root download -q firewalld "${kept[@]}" &&
      for deb in *.deb; do dpkg-deb -x "$deb" . || exit; done &&
      find . \( -name ufw.service -o -name firewalld.service \) -exec cp {} "$dir" \; &&
      for name in "${kept[@]}"; do cp "${name}"_*.deb "$dir/$name.deb" || exit; done
  )
  local rc=$?
  rm -rf "$from"
  [[ $rc = 0 && -f $dir/ufw.service && -f $dir/firewalld.service ]]
}

# network gives the machine a network of one interface with the balancer's address and a route
# to its backends, brought up by systemd-networkd, which waits for network-pre.target as every other does.
network() {
  local dir=$1/etc/systemd/network
  printf '[NetDev]\nName=lb0\nKind=bridge\n' >"$dir/lb0.netdev" &&
    printf '[Match]\nName=lb0\n[Link]\nRequiredForOnline=no\n[Route]\nDestination=10.0.0.0/8\nScope=link\n[Network]\nAddress=192.0.2.10/24\nLinkLocalAddressing=no\nConfigureWithoutCarrier=yes\n' >"$dir/lb0.network" &&
    chroot "$1" systemctl enable systemd-networkd.service &&
    chroot "$1" systemctl disable systemd-networkd-wait-online.service &&
    chroot "$1" systemctl mask getty.target console-getty.service systemd-resolved.service
}
