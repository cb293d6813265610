# What the virtual machine boots: the Debian of root.sh on an ext4, with Debian's own kernel
# and its modules. No boot loader and no initrd: that kernel, the one for clouds, has ext4 and
# NVMe built in, and all of the packet filter as modules. Sourced by vm.
# shellcheck shell=bash

kernel_package=linux-image-cloud-amd64

# image_dir prints the path of a directory with vmlinuz and the disk, after building it when
# it is not there.
image_dir() {
  local root dir
  root=$(root_dir) || return
  dir=$root-vm-$(made_by "$here/image.sh" "$here/agent")
  once "$dir" build_image "$root"
  echo "$dir"
}

# build_image copies the root, adds kernel and agent, and makes a file system of it with as
# much room again.
build_image() {
  local root=$1 dir=$2 disk=$2/root
  mkdir -p "$dir" && cp -a "$root" "$disk" &&
    fetch_kernel "$dir/kernel" && cp -a "$dir/kernel/lib/modules" "$disk/usr/lib/" &&
    chroot "$disk" depmod -a "$(ls "$disk/lib/modules")" && cp "$dir"/kernel/boot/vmlinuz-* "$dir/vmlinuz" &&
    echo '/dev/nvme0n1 / ext4 defaults 0 1' >"$disk/etc/fstab" && speaks "$disk" &&
    mke2fs -q -t ext4 -d "$disk" "$dir/disk" "$(($(du -sm "$disk" | cut -f1) * 2))M" &&
    rm -rf "$disk" "$dir/kernel"
}

# fetch_kernel unpacks the kernel of the suite, without the scripts of its package, which would
# make an initrd. It has lists of its own, as this machine's apt may know no such kernel.
fetch_kernel() {
  local dir=$1 suite url apt
  read -r suite url <<<"$(mirror)"
  mkdir -p "$dir/lists/partial" "$dir/debs/partial"
  echo "deb $url $suite main" >"$dir/sources"
  apt=(-o Dir::Etc::SourceList="$dir/sources" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/debs" -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update -q && (
    cd "$dir" && apt-get "${apt[@]}" download -q "$(apt-cache "${apt[@]}" depends "$kernel_package" | awk '$1 == "Depends:" { print $2; exit }')" &&
      dpkg-deb -x ./*.deb .
  )
}

# speaks makes the agent run in the machine.
speaks() {
  local units=$1/etc/systemd/system
  install -m 0755 "$here/agent" "$1/usr/local/sbin/boot-agent" &&
    printf '[Service]\nType=exec\nExecStart=/usr/local/sbin/boot-agent\n[Install]\nWantedBy=multi-user.target\n' >"$units/boot-agent.service" &&
    chroot "$1" systemctl enable boot-agent.service
}
