# Dockerfiles of the pages, built by buildah without a daemon and without a registry. Sourced by stories, behind root.sh
# and page.sh.
# shellcheck shell=bash disable=SC2154

# fetches lets apt in the disk fetch from the mirror of this machine.
fetches() {
  local suite url
  read -r suite url <<<"$(mirror)"
  cp -L /etc/resolv.conf "$disk/etc/resolv.conf"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $url $suite main" >"$disk/etc/apt/sources.list"
}

# layers is buildah, with all that it keeps below the story's directory.
layers() { BUILDAH_ISOLATION=chroot buildah --root "$dir/images" --runroot "$dir/run" --storage-driver vfs "$@"; }

# build_page builds the Dockerfile of a page in a directory with what it copies, from the disk in the place of
# debian:bookworm, and makes the outcome the disk: build_page PAGE.
build_page() {
  local from
  fetches
  paste "$1" Dockerfile "$dir/Dockerfile"
  from=$(layers from scratch) && layers add -q "$from" "$disk" / >/dev/null &&
    layers commit -q --rm "$from" docker.io/library/debian:bookworm >"$dir/build.log" 2>&1 &&
    layers build --pull-never --layers=false -t balancer "$dir" >"$dir/build.log" 2>&1 &&
    disk=$(layers mount "$(layers from --pull-never localhost/balancer)") || give_up "buildah: $(tail -n 1 "$dir/build.log")"
}
