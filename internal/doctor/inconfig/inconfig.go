// Package inconfig writes the fixes that belong into the config: the line to type, and what to
// write there.
package inconfig

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config"
)

// Line returns the line to type for what is to be written into a service of the file. It runs as it
// stands: edit opens the config, and applies what was written.
func Line(service, write string) string {
	return fmt.Sprintf("natspread edit # in service %s: %s", config.Service{Name: service}.Written(), write)
}

// Interface returns the line that replaces one interface of a service by a better one.
func Interface(service config.Service, named, better string) string {
	var all []string
	for _, link := range service.Interfaces {
		if link == named {
			link = better
		}
		if !slices.Contains(all, link) {
			all = append(all, link)
		}
	}
	if len(all) == 1 {
		return Line(service.Name, fmt.Sprintf("interface = %q", all[0]))
	}
	return Line(service.Name, "interface = "+List(all))
}

// mostSources is how many source addresses a line writes.
const mostSources = 16

// WithoutAddress is the line after which a service, of one half for each family, no longer needs an
// address that the host lost: one that moves, as by DHCP, is best not written. The other listen
// addresses stay, unless "*" has them. keeps tells of which halves all of them stay.
func WithoutAddress(name string, addr netip.Addr, halves []config.Service, keeps func(config.Service) bool) string {
	var listens []config.Listen
	var sources []netip.Addr
	moved, masquerade := false, false
	for _, half := range halves {
		for _, listen := range half.Listen {
			if listen.Addr == addr && !keeps(half) {
				listen.Addr, moved = netip.Addr{}, true
			}
			listens = append(listens, listen)
		}
		others := slices.DeleteFunc(half.SNAT.Addresses(), func(a netip.Addr) bool { return a == addr })
		masquerade = masquerade || len(others) == 0
		sources = append(sources, others...)
	}
	line := fmt.Sprintf("snat = %q", config.SNAT{})
	if n := len(sources); !masquerade && 0 < n && n <= mostSources {
		line = "snat = " + List(sources)
	}
	if moved {
		line = "listen = " + Listen(listens) + " and " + line
	}
	return Line(name, line)
}

// Listen writes listen addresses as the config does: each once, and none that "*" has already.
func Listen(listens []config.Listen) string {
	var all []string
	for _, listen := range listens {
		had := func(o config.Listen) bool { return o.Any() && o.Ports.Overlaps(listen.Ports) }
		if !listen.Any() && slices.ContainsFunc(listens, had) {
			continue
		}
		written := listen.String()
		if listen.To != 0 { // its ports are those of the key ports
			if written = "*"; !listen.Any() {
				written = listen.Addr.String()
			}
		}
		if !slices.Contains(all, written) {
			all = append(all, written)
		}
	}
	if len(all) == 1 {
		return fmt.Sprintf("%q", all[0])
	}
	return List(all)
}

// List writes values as a list of the config.
func List[T any](values []T) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = fmt.Sprintf("%q", fmt.Sprint(value))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
