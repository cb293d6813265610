# What container and vm have in common: which stories are told and with what, in what bounds,
# and that nothing is left of them. Sourced by both, which say what they are:
#   target    the make target       needs     the programs without which it cannot run
#   kind      nspawn or qemu        stories   all there are, each in its variants
#   limit     of a story, seconds   base      a function that prints what machines are made from
#   named     those that are told only when they are named
#   at_once   how many are told at the same time
# shellcheck shell=bash disable=SC2154

exec 4>&1 # what cannot says is seen also where output is read into a variable

# cannot ends a run that this machine does not allow; in CI that is a failure and no skip.
cannot() {
  echo "$target: cannot run here: $*" >&2
  [[ ${REQUIRE_NETNS-} == 1 ]] || exit 3
  printf 'FAIL it can run here\n%s: 0 passed, 1 failed\n' "$target" >&4
  exit 1
}

. "$here/root.sh"

# chosen prints the stories that were asked for, all when none was.
chosen() {
  local word story known
  (($#)) || printf '%s\n' "${stories[@]}"
  for word; do
    known=''
    for story in "${stories[@]}" "${named[@]}"; do
      if [[ $story == "$word" || ${story%:*} == "$word" ]]; then echo "$story" && known=1; fi
    done
    [[ $known ]] || { echo "there is no story $word, but ${stories[*]} ${named[*]}" >&2; return 2; }
  done
}

# packages makes what is installed: the tree's own package, and the same in a higher version,
# with a program that knows its version.
packages() {
  local newer=$work/newer version
  if [[ ${DEB-} ]]; then cp "$DEB" "$work/natspread.deb"; else
    "$here/../../../.ci/deb" "$work/deb" >/dev/null
    mv "$work"/deb/natspread_*.deb "$work/natspread.deb"
  fi
  version=$(dpkg-deb --field "$work/natspread.deb" Version)+newer
  dpkg-deb --raw-extract "$work/natspread.deb" "$newer"
  sed -i "s/^Version: .*/Version: $version/" "$newer/DEBIAN/control"
  (cd "$here/../../.." && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-X main.buildVersion=$version" -o "$newer/usr/sbin/natspread" ./cmd/natspread)
  (cd "$newer" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  dpkg-deb --root-owner-group -Znone --build "$newer" "$work/natspread-newer.deb" >/dev/null
}

# tell tells a story in mount and process namespaces of its own. However it ends, each process
# of the chain takes the next one along, and the kernel the mounts and the machine.
tell() {
  local said=$work/$1.said rc=0
  setpriv --pdeathsig KILL timeout --foreground -s KILL "$limit" setpriv --pdeathsig KILL \
    unshare --mount --propagation private --pid --fork --kill-child=KILL --mount-proc \
    "$here/story" "$kind" "$1" "$work" "$made_from" >"$said" 2>&1 </dev/null || rc=$?
  ((rc == 0)) || echo "FAIL $1: it is told to its end (exit $rc)" >>"$said"
  tee -a "$work/all" <"$said"
}

# tell_all tells stories, some at the same time, but for cost, which measures.
tell_all() {
  local story
  for story; do
    while (($(jobs -rp | wc -l) >= at_once)); do wait -n || true; done
    if [[ $story == cost:* ]]; then wait && tell "$story"; else tell "$story" & fi
  done
  wait
}

# groups_away removes the control groups of the machines, which are busy for a moment.
groups_away() {
  local group i
  for group in $(control_groups); do
    for ((i = 0; i < 50; i++)); do
      find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
      sleep 0.1
    done
  done
}

control_groups() { find /sys/fs/cgroup -maxdepth 2 -name "$BOOT_GROUP.*" 2>/dev/null; }

# left prints what a machine could leave behind: control groups, mounts, loop devices and
# processes of this run, and interfaces of any.
left() {
  control_groups
  grep -F "$work" /proc/self/mountinfo || true
  losetup --list --noheadings --output BACK-FILE | grep -F "$work" || true
  pgrep -af -- "$work/[a-z]*:" || true
  ip -o link | cut -d: -f2
}

# clean_up ends the stories that still run, and takes away what was made for this run.
clean_up() {
  if [[ $telling ]]; then { kill -KILL -- "-$telling" && wait "$telling"; } 2>/dev/null || true; fi
  groups_away
  rm -rf "$work"
}

# run tells the stories that are named, and counts.
run() {
  local program asked before difference passed failed
  ((EUID == 0)) || cannot "only root boots a machine: sudo make $target"
  for program in debootstrap unshare setpriv losetup dpkg-deb ip "${needs[@]}"; do
    command -v "$program" >/dev/null || cannot "$program is missing, make $target installs it"
  done
  asked=$(chosen "$@") || exit 2
  made_from=$(base) || exit
  work=$(mktemp -d) telling=''
  export BOOT_GROUP=natspread-boot.$$
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  packages
  before=$(left)
  set -m # the stories are a process group, which ends as one
  # shellcheck disable=SC2086
  tell_all $asked &
  telling=$!
  set +m
  wait "$telling" || true
  telling=''
  groups_away
  if difference=$(diff <(echo "$before") <(left)); then echo "PASS nothing is left behind"; else
    printf 'FAIL nothing is left behind\n%s\n' "$difference"
  fi | tee -a "$work/all"
  passed=$(grep -c '^PASS ' "$work/all") || true
  failed=$(grep -c '^FAIL ' "$work/all") || true
  echo "$target: $passed passed, $failed failed"
  ((failed == 0 && passed > 0))
}
