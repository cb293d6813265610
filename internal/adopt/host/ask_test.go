package host_test

import (
	"context"
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
