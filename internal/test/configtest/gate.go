package configtest

import (
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"natspread/internal/config"
)

// gate gives a third of the services lists of the clients that they serve, or do not serve: a few
// subnets, or more than fit into a plain list.
func gate(t *rapid.T, made *config.Service, six bool) {
	if rapid.IntRange(0, 2).Draw(t, "gate") > 0 {
		return
	}
	made.Deny = subnets(t, six, 12, "deny")
	made.Allow = slices.DeleteFunc(subnets(t, six, 0, "allow"), made.ServesNone) // which asks deny alone so far
	for _, list := range []*[]netip.Prefix{&made.Allow, &made.Deny} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	if made.Gated() {
		made.Refused = rapid.SampledFrom([]config.Refused{config.Reject, config.ToHost}).Draw(t, "refused")
	}
}

// served returns those of some subnets that a service serves.
func served(made config.Service, subnets []netip.Prefix) []netip.Prefix {
	if subnets = slices.DeleteFunc(subnets, made.ServesNone); len(subnets) == 0 {
		return nil
	}
	return subnets
}

// subnets generates none, a few or many subnets, some of them within others, each of so many bits at
// least. One of 0 bits is every client of the family.
func subnets(t *rapid.T, six bool, shortest int, name string) []netip.Prefix {
	most := rapid.SampledFrom([]int{0, 3, 3, 40}).Draw(t, name)
	one := rapid.Custom(func(t *rapid.T) netip.Prefix {
		address := address(t, six, clients)
		return netip.PrefixFrom(address, rapid.IntRange(shortest, address.BitLen()).Draw(t, "bits")).Masked()
	})
	return rapid.SliceOfNDistinct(one, 0, most, rapid.ID).Draw(t, name)
}
