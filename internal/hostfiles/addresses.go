package hostfiles

import (
	"fmt"
	"net/netip"
	"path"
	"strings"
)

// Floating returns the addresses in keepalived's config, each with the first line that has it:
// keepalived puts them on the machine that is master.
func (r Root) Floating() map[netip.Addr]Place {
	floating := map[netip.Addr]Place{}
	files := append([]string{"/etc/keepalived/keepalived.conf"}, r.InOrder(".conf", "/etc/keepalived/conf.d", "/etc/keepalived/keepalived.conf.d")...)
	for _, file := range files {
		for _, line := range r.Lines(file) {
			text, _, _ := strings.Cut(line.Text, "!") // begins a comment there
			for word := range strings.FieldsSeq(text) {
				host, _, _ := strings.Cut(word, "/") // the length of its subnet may stand behind it
				addr, err := netip.ParseAddr(host)
				if _, known := floating[addr]; err == nil && !known {
					floating[addr] = line.At
				}
			}
		}
	}
	return floating
}

// KeepAddress says what has to be written where, so that an interface has an address after the
// next boot too, by what sets the host's interfaces up.
func (r Root) KeepAddress(name string, with netip.Prefix) string {
	if plans := r.InOrder(".yaml", "/etc/netplan"); len(plans) > 0 {
		return fmt.Sprintf("%v to the addresses of %s in %s, then netplan apply", with, name, plans[len(plans)-1])
	}
	if file, found := r.networkFile(name); found && r.NetworkdInUse() {
		return fmt.Sprintf("Address=%v below [Network] in %s", with, file)
	}
	for _, line := range r.Lines("/etc/network/interfaces") {
		if words := strings.Fields(line.Text); len(words) > 1 && words[0] == "iface" && words[1] == name {
			return fmt.Sprintf("up ip address add %v dev %s below %s", with, name, line.At)
		}
	}
	if r.Exists("/run/NetworkManager") || r.Enabled("NetworkManager.service") {
		family := "ipv4"
		if with.Addr().Is6() {
			family = "ipv6"
		}
		return fmt.Sprintf("nmcli connection modify CONNECTION +%s.addresses %v", family, with)
	}
	return fmt.Sprintf("%v in whatever sets %s up at boot", with, name)
}

// networkFile returns the file by which networkd sets an interface up.
func (r Root) networkFile(name string) (file string, found bool) {
	for _, file := range r.InOrder(".network", Below("network")...) {
		all := r.WithDropIns(file, Below("network/"+path.Base(file)+".d"))
		if matches, certain := all.Match(name); matches && certain && !r.Masked(file) {
			return file, true
		}
	}
	return "", false
}
