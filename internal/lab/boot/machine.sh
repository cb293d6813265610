# What a story does with its machine, of whatever kind: nspawn.sh and qemu.sh say how each is
# made, booted, cut off and spoken to. Sourced by story.
# shellcheck shell=bash

# environment is what programs in the machine start with.
environment=(env --chdir=/ -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
  LC_ALL=C DEBIAN_FRONTEND=noninteractive VARIANT="$variant")

# furnish puts what a story needs on a disk that is mounted: the variant of iptables, both
# packages, and guest.
furnish() {
  local program
  for program in iptables ip6tables; do
    chroot "$1" update-alternatives --set "$program" "/usr/sbin/$program-$variant" >/dev/null
  done
  mkdir "$1/opt/boot"
  cp "$work"/natspread*.deb "$here"/guest{,-apt,-confirm,-forward,-health,-readme,-sandbox,-slots,-vm} "$here"/../../../testdata/render/{article,forward-article,two-backends,protocol-udp,source}.txtar \
    "$here"/../../../{README,docs/apt}.md "$1/opt/boot"
}

# give_up ends the story with what the machine said.
give_up() {
  tail -n 40 "$disk.console"
  echo "FAIL $story: $*"
  exit 0
}

# reboot is a shutdown and a boot.
reboot() { halt; boot; }

# prepare runs a function of guest that prepares something; a story cannot go on without.
prepare() { guest /opt/boot/guest "$@" >"$disk.did" 2>&1 || { cat "$disk.did"; give_up "$*"; }; }

# verdict tells what became of a check.
verdict() { # verdict STATUS WORDS
  if (($1 == 0)); then echo "PASS $story: $2"; else echo "FAIL $story: $2"; fi
}

# check runs a function of guest that says whether something holds; what it prints says why.
check() {
  local what=$1
  shift
  if guest /opt/boot/guest "$@" >"$disk.checked" 2>&1; then echo "PASS $story: $what"; return; fi
  echo "FAIL $story: $what"
  sed 's/^/    /' "$disk.checked"
  guest journalctl --boot --no-pager --output=short-monotonic --unit=natspread.service --lines=15 2>/dev/null | sed 's/^/    | /' || true
}

# print prints what a function of guest measures.
print() { guest /opt/boot/guest "$@" | sed "s/^/     $story: /" || true; }
