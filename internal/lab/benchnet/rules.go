package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
)

// benchRules measures the first packet of a connection to one destination through
// each of the files of rules, beside plain routing.
func benchRules(opts options, out io.Writer) error {
	to, err := netip.ParseAddrPort(opts.to)
	if err != nil || !to.Addr().Is4() {
		return fmt.Errorf("cannot ask for %q: it is an IPv4 ADDRESS:PORT", opts.to)
	}
	probes := []probe{through(nameRouting, &layout{name: nameRouting}, backendAddress(0, 0))}
	for _, file := range opts.files {
		variants := opts.variants()
		if filepath.Ext(file) == ".nft" {
			variants = []string{"native"}
		}
		for _, variant := range variants {
			l := &layout{file, variant, func() ([]byte, error) { return os.ReadFile(file) }}
			probes = append(probes, probe{name: file + ", " + variant, layout: l, to: []netip.AddrPort{to}})
		}
	}
	stages, samples, err := measureProbes(opts, probes)
	if err != nil {
		return err
	}
	for _, s := range stages {
		fmt.Fprintf(out, "%-62s %s\n", s.name, spread(samples[s.name]))
	}
	return nil
}
