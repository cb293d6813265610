# mmdebstrap makes an image by the script of docs/images.md, whose hook makes a balancer of it, which boots. Into an
# image for another machine only a program for that one goes.
. "$here/root.sh"
. "$here/page.sh"
dir=$work/$story
mkdir -p "$dir"
read -r suite url <<<"$(mirror)"
bring_config "$dir"
bring_program "$dir"
(cd "$here/../../.." && GOARCH=arm64 CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$dir/natspread.arm64" ./cmd/natspread)

# make_image makes an image in a directory, by options of mmdebstrap: make_image DIR PROGRAM... OPTION...
make_image() {
  (cd "$dir" && SOURCE_DATE_EPOCH=1700000000 "${@:2}" --mode=root --aptopt='APT::Sandbox::User "root"' "$suite" "$1" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $url $suite main") >"$1.console" 2>&1 ||
    give_up "mmdebstrap: $(tail -n 1 "$1.console")"
}

disk=$dir/disk
paste images.md "make-image: ./make-image SUITE TARGET [MIRROR]" "$dir/make-image"
[[ $variant == nft ]] || sed -i "s/ install / install --variant $variant /" "$dir/make-image"
make_image "$disk" sh ./make-image --variant=minbase \
  --customize-hook="./natspread --root \"\$1\" install --config natspread.toml --variant $variant >'$dir/second' 2>&1"
verdict "$(! grep -q '^note: the image has no' "$disk.console"; echo $?)" "an image of mmdebstrap lacks nothing"
verdict "$(grep -qx 'no change: the image has generation 1 already' "$dir/second"; echo $?)" "the same install again changes nothing"
network "$disk" 2>/dev/null
furnish "$disk"
boot
check "it boots into a balancer" rebooted article
halt

[[ $variant == nft ]] || return 0
other=$dir/arm64
make_image "$other" mmdebstrap --variant=extract --architectures=arm64 --include=systemd,iptables
verdict "$(! "$dir/natspread" --root "$other" install --config "$dir/natspread.toml" >"$dir/refused" 2>&1; echo $?)" "a program for another machine is refused"
verdict "$(grep -q 'is built for x86_64, and the image is for aarch64' "$dir/refused"; echo $?)" "and it says for which"
verdict "$([[ ! -e $other/etc/natspread && ! -e $other/var/lib/natspread ]]; echo $?)" "nothing is in that image"
verdict "$("$dir/natspread" --root "$other" install --config "$dir/natspread.toml" --program "$dir/natspread.arm64" >"$dir/taken" 2>&1; echo $?)" "one for its machine is taken"
verdict "$(cmp -s "$dir/natspread.arm64" "$other/usr/local/sbin/natspread" && [[ -L $other/etc/systemd/system/multi-user.target.wants/natspread.service ]]; echo $?)" "and is there, with its unit enabled"
