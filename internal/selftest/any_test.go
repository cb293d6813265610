package selftest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/selftest"
	"natspread/internal/test/configtest"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/testsize"
	"natspread/render"
	"natspread/restore/iptables"
)

// mistakes are what may be wrong in a config that check takes.
func mistakes() []string {
	return []string{"beside the backends", "passes the nat rules only once", "no client may connect", "takes them for one"}
}

// TestAny tries any configs with the rules that render makes of them: what is found is a mistake of
// the config, and none of the rules or of selftest.
func TestAny(t *testing.T) {
	for seed := range testsize.Of(4, 25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
				cfg := configtest.Config().Example(seed)
				result, err := selftest.Run(t.Context(), iptables.Kernel{Run: program.Exec(), Variant: variant}, cfg, render.New(cfg), cfg.Services)
				hosttest.Must(t, err)
				for _, service := range result.Services {
					for _, finding := range service.Findings {
						is := func(mistake string) bool { return strings.Contains(finding.What, mistake) }
						if !slices.ContainsFunc(mistakes(), is) {
							t.Errorf("%s: %s\n%s", service.Name, finding.What, configtest.Text(cfg))
						}
					}
				}
			})
		})
	}
}
