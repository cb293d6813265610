package host_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/adopt"
	"natspread/internal/adopt/host"
	"natspread/internal/test/hosttest"
)

// twoLeaks are two services of which a part reaches no backend. What the second one was meant to be is known.
const twoLeaks = `*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.0.0.1:80
-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 81 -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.0.0.1:80
-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 81 -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.0.0.2:80
COMMIT
`

// TestAskOnce asks a question once, and says for whom the answer is.
func TestAskOnce(t *testing.T) {
	t.Parallel()
	var asked []string
	choose := func(_ context.Context, question, _, _ string, _ func(string) string) (string, error) {
		asked = append(asked, question)
		return adopt.Meant, nil
	}
	found, err := host.Adopt(t.Context(), host.Host{Root: t.TempDir(), In: strings.NewReader(twoLeaks), Choose: choose}, host.Source{File: "-"}, adopt.Choices{})
	hosttest.Must(t, err)
	if len(found.Services) != 2 || len(asked) != 1 || !strings.HasSuffix(asked[0], "; the answer is for tcp-80, too") {
		t.Errorf("%d services, asked %q", len(found.Services), asked)
	}
}

// byHalves is a service whose shares are known, and one of other backends whose shares are to be chosen, for all
// addresses.
const byHalves = `*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 53 -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.0.0.1:53
-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 10.0.0.2:53
-A PREROUTING -p tcp -m tcp --dport 80 -m statistic --mode random --probability 0.25000000000 -j DNAT --to-destination 10.0.0.1:80
-A PREROUTING -p tcp -m tcp --dport 80 -m statistic --mode random --probability 0.25000000000 -j DNAT --to-destination 10.0.0.2:80
-A PREROUTING -p tcp -m tcp --dport 80 -m statistic --mode random --probability 0.25000000000 -j DNAT --to-destination 10.0.0.3:80
-A PREROUTING -p tcp -m tcp --dport 80 -m statistic --mode random --probability 0.25000000000 -j DNAT --to-destination 10.0.0.4:80
COMMIT
`

// TestAskAnswers takes an address that was typed, and names all lines of a file that boot reads, whether a question is
// open or not.
func TestAskAnswers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	hosttest.Must(t, os.MkdirAll(filepath.Join(root, "etc/iptables"), 0o755))
	hosttest.Must(t, os.WriteFile(filepath.Join(root, "etc/iptables/rules.v4"), []byte(byHalves), 0o644))
	for _, c := range []struct {
		listen string
		want   string
		open   string
	}{
		{"192.0.2.10 192.0.2.11", `"192.0.2.10:80", "192.0.2.11:80"`, ""},
		{"*", `"*:80"`, ""},
		{"", "", "a choice is open: add --listen '*' --shares meant, or another answer of those above"},
	} {
		choose := func(_ context.Context, question, prompt, proposed string, wrong func(string) string) (string, error) {
			if strings.Contains(question, "no -d") {
				if prompt != "*, an address of this host" || proposed != "*" || wrong("eth0") == "" {
					t.Errorf("%s: %q, proposed %q", question, prompt, proposed)
				}
				return c.listen, nil
			}
			return proposed, nil
		}
		found, err := host.Adopt(t.Context(), host.Host{Root: root, In: strings.NewReader(byHalves), Choose: choose}, host.Source{File: "-"}, adopt.Choices{})
		hosttest.Must(t, err)
		lines := strings.Join(found.Lines(false), "\n")
		if !strings.Contains(string(found.Text), c.want) || !strings.HasSuffix(lines, c.open) ||
			!strings.Contains(lines, "\nat boot netfilter-persistent loads the old rules again: lines 3-8 of /etc/iptables/rules.v4; fix: sed -i '3,8d' ") {
			t.Errorf("%q:\n%s\n%s", c.listen, found.Text, lines)
		}
	}
}
