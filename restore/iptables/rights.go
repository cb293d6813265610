package iptables

import (
	"fmt"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
)

// HasNetAdmin tells whether this process may change the nat table.
func HasNetAdmin() bool { return hasCapability(unix.CAP_NET_ADMIN) }

// CanLoad is an error unless this process has the rights to load rules: for those who write
// something before a load.
func (k Kernel) CanLoad() error {
	if !HasNetAdmin() {
		return fmt.Errorf("%w to change rules: it takes CAP_NET_ADMIN", program.ErrNoRights)
	}
	return k.rights()
}

// rights is an error unless this process has what the variant's programs take beside
// CAP_NET_ADMIN. Those of the legacy variant open a raw socket. Without the right for it
// iptables-legacy-restore says no more than that it cannot initialize a table.
func (k Kernel) rights() error {
	if k.Variant == rules.Legacy && !hasCapability(unix.CAP_NET_RAW) {
		return fmt.Errorf("%w: the legacy variant of iptables takes CAP_NET_RAW, too", program.ErrNoRights)
	}
	return nil
}

// hasCapability tells whether this thread has a capability.
func hasCapability(capability uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}
