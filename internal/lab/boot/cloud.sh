# The Debian of root.sh with cloud-init in it. Sourced by stories, behind root.sh.
# shellcheck shell=bash disable=SC2154

# cloud_dir prints the path of that Debian, after building it when it is not there.
cloud_dir() {
  local dir=$base-cloud-$(sha256sum <"$here/cloud.sh" | head -c 12)
  once "$dir" build_cloud
  echo "$dir"
}

# build_cloud fetches with the network and unpacks without, as build_root does. The machine has neither locales nor ssh.
build_cloud() {
  local root=$1 suite url
  read -r suite url <<<"$(mirror)"
  local get=(chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o APT::Sandbox::User=root --no-install-recommends)
  cp -a "$base" "$root" && cp -L /etc/resolv.conf "$root/etc/resolv.conf" &&
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $url $suite main" >"$root/etc/apt/sources.list" &&
    "${get[@]}" update && "${get[@]}" --download-only install cloud-init && unshare --net "${get[@]}" install cloud-init &&
    printf '%s\n' 'locale: false' 'ssh_genkeytypes: []' >"$root/etc/cloud/cloud.cfg.d/90-machine.cfg" &&
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root/etc/resolv.conf" && : >"$root/etc/apt/sources.list"
}

# cannot is what once says, in a story.
cannot() { give_up "$*"; }
