# What make apt-repo made, for a real apt: signed, unsigned, and spoilt.
machine
export GNUPGHOME=$work/gnupg
mkdir -m 0700 "$GNUPGHOME"
for name in release stranger; do gpg --batch --quiet --passphrase '' --quick-generate-key "$name@natspread.example" ed25519 sign never; done

# publishes puts packages into a repository of the machine: publishes DIR KEY DEB...
publishes() { KEY=$2 "$here/../../../.ci/apt-repo" "$disk$1" "${@:3}" >"$disk.published" 2>&1 || give_up "$(cat "$disk.published")"; }
publishes /srv/apt release@natspread.example "$work/natspread.deb"
publishes /srv/unsigned '' "$work/natspread.deb"
gpg --batch --armor --export stranger@natspread.example >"$disk/srv/stranger.asc"
index=$disk/srv/apt/dists/stable
boot
prepare publish
check "docs/apt.md's lines install the package" pasted_apt
check "from the repository" from_repository 8000
publishes /srv/apt release@natspread.example "$work/natspread-newer.deb"
check "apt upgrade brings a newer one" upgrades_apt natspread-newer.deb
prepare signed_by /srv/stranger.asc
check "signed by another key: refused" refuses_apt 'NO_PUBKEY|is not signed'
prepare signed_by /etc/apt/keyrings/natspread.asc
cp -a "$index" "$disk.index"
for file in "$index"/main/binary-amd64/Packages{,.gz}; do rm "$file"; done
sed 's/^Depends: .*/Depends: iptables, perl/' "$disk.index/main/binary-amd64/Packages" >"$index/main/binary-amd64/Packages"
gzip --keep "$index/main/binary-amd64/Packages"
check "a spoilt Packages: refused" refuses_apt 'unexpected size|Hash Sum mismatch'
rm -r "$index" && cp -a "$disk.index" "$index"
sed -i 's/^Label: natspread/Label: another/' "$index/InRelease"
check "a spoilt InRelease: refused" refuses_apt 'signatures were invalid|BADSIG'
rm -r "$index" && cp -a "$disk.index" "$index"
check "put back: read" from_again
prepare only_source 8001
check "unsigned: refused" refuses_apt 'is not signed'
prepare dpkg --purge natspread
check "unsigned and trusted=yes: installed" trusts_unsigned
