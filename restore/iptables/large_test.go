package iptables_test

import (
	"fmt"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/configtest"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/testsize"
	"natspread/render"
)

// goldensOf returns the nat tables that a config turns into.
func goldensOf(name string, cfg config.Config) []golden {
	plan := render.New(cfg)
	return []golden{{name + "/ipv4", plan.IPv4}, {name + "/ipv6", plan.IPv6}}
}

// TestLargeConfigsLoad has the kernel take, and give back byte for byte, the trees of
// large configs of every shape.
func TestLargeConfigsLoad(t *testing.T) {
	services := testsize.Of(40, 200)
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		var all []golden
		for i, shape := range configtest.Shapes() {
			all = append(all, goldensOf(shape.String(), configtest.Fill(shape, services, uint64(i)))...)
		}
		comeBack(t, variant, all)
	})
}

// TestLargestConfigLoads is the most services of all shapes.
func TestLargestConfigLoads(t *testing.T) {
	services := testsize.Of(200, configtest.MaxServices)
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		for _, golden := range goldensOf("", configtest.Fill(configtest.Mixed, services, 0)) {
			comesBack(t, variant, golden.table)
		}
	})
}

// TestLongMessages loads what needs more than one socket's buffer: large services, and
// what is long among the goldens.
func TestLongMessages(t *testing.T) {
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		var all []golden
		for _, golden := range goldens(t) {
			if isLong(golden) {
				all = append(all, golden)
			}
		}
		for _, algorithm := range []string{"random", "round-robin"} {
			thousand := hosttest.Config(t, hosttest.ManyBackends(1000, algorithm))
			all = append(all, goldensOf(fmt.Sprint("thousand backends, ", algorithm), thousand)...)
		}
		comeBack(t, variant, all)
	})
}
