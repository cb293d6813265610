package configtest

import (
	"slices"

	"pgregory.net/rapid"

	"natspread/internal/config/value"
)

// interfaces generates none, one or a few names and patterns of interfaces, none of which holds
// another.
func interfaces(t *rapid.T) []string {
	var all []string
	for range rapid.SampledFrom([]int{0, 0, 1, 1, 3}).Draw(t, "interfaces") {
		link := rapid.OneOf(
			rapid.StringMatching(`[A-Za-z0-9_@][A-Za-z0-9_.@-]{0,14}`),
			rapid.StringMatching(`[A-Za-z0-9_@][A-Za-z0-9_.@-]{0,13}\+`),
			rapid.SampledFrom([]string{"eth0", "eth1", "eth+", "wg0", "wg+"}), // so that services meet
		).Draw(t, "interface")
		holds := func(other string) bool {
			return value.InterfaceWithin(link, other) || value.InterfaceWithin(other, link)
		}
		if !slices.ContainsFunc(all, holds) {
			all = append(all, link)
		}
	}
	return all
}
