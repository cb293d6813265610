package iptables

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// standing reads rules as iptables-save prints them, the frame around them left out.
func standing(t *testing.T, list string) ownedState {
	t.Helper()
	saved, err := rules.ParseSaved(rules.NAT, []byte("*nat\n"+list+"COMMIT\n"))
	if err != nil {
		t.Fatal(err)
	}
	return stateOfSaved(saved)
}

const (
	builtIns = ":PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
	pre      = ":NATSPREAD-PRE - [0:0]\n"
	preJump  = "-A PREROUTING -j NATSPREAD-PRE\n"
	web      = ":NATSPREAD-web - [0:0]\n"
	webRule  = "-A NATSPREAD-web -p tcp -j DNAT --to-destination 10.0.0.1:80\n"
	toWeb    = "-A NATSPREAD-PRE -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j NATSPREAD-web\n"
	docker   = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
)

func TestTransaction(t *testing.T) {
	balancer := builtIns + pre + web + preJump + toWeb + webRule
	for _, c := range []struct {
		name       string
		live, want string // as iptables-save prints them
		text       string // without *nat and COMMIT; "" is nothing to do
	}{
		{"nothing anywhere", builtIns, builtIns, ""},
		{"in sync", balancer, balancer, ""},
		{"in sync but for counters", strings.ReplaceAll(balancer, "\n-A", "\n[7:8] -A"), balancer, ""},
		{"foreign rules behind", balancer + docker, balancer, ""},
		{"first load", builtIns, balancer,
			pre + web + toWeb + webRule + "-I PREROUTING 1 -j NATSPREAD-PRE\n"},
		{"first load beside others", builtIns + docker, balancer,
			pre + web + toWeb + webRule + "-I PREROUTING 1 -j NATSPREAD-PRE\n"},
		{"one chain changed", strings.Replace(balancer, "10.0.0.1:80", "10.0.0.9:80", 1), balancer, web + webRule},
		{"rules in another order",
			builtIns + web + webRule + "-A NATSPREAD-web -p udp -j DNAT --to-destination 10.0.0.1:80\n",
			builtIns + web + "-A NATSPREAD-web -p udp -j DNAT --to-destination 10.0.0.1:80\n" + webRule,
			web + "-A NATSPREAD-web -p udp -j DNAT --to-destination 10.0.0.1:80\n" + webRule},
		{"a chain emptied", builtIns + web, builtIns + web + webRule, web + webRule},
		{"a chain is to be empty", builtIns + web + webRule, builtIns + web, web},
		{"a new empty chain", builtIns, builtIns + web, web},
		{"a chain too many", builtIns + pre + web + ":NATSPREAD-old - [0:0]\n" + preJump + toWeb + webRule +
			"-A NATSPREAD-old -p tcp -j NATSPREAD-web\n", balancer,
			":NATSPREAD-old - [0:0]\n-X NATSPREAD-old\n"},
		{"all away", balancer + docker, builtIns,
			pre + web + "-D PREROUTING -j NATSPREAD-PRE\n-X NATSPREAD-PRE\n-X NATSPREAD-web\n"},
		{"jump doubled", balancer + preJump, balancer,
			"-D PREROUTING -j NATSPREAD-PRE\n" +
				"-D PREROUTING -j NATSPREAD-PRE\n" +
				"-I PREROUTING 1 -j NATSPREAD-PRE\n"},
		{"jump by hand", builtIns + pre + web + "-A PREROUTING -i eth0 -g NATSPREAD-PRE\n" + toWeb + webRule, balancer,
			"-D PREROUTING -i eth0 -g NATSPREAD-PRE\n-I PREROUTING 1 -j NATSPREAD-PRE\n"},
		{"jump behind another's", builtIns + pre + web + docker + preJump + toWeb + webRule, balancer,
			"-D PREROUTING -j NATSPREAD-PRE\n-I PREROUTING 1 -j NATSPREAD-PRE\n"},
		{"back to a jump behind another's", balancer + docker, builtIns + pre + web + docker + preJump + toWeb + webRule,
			"-D PREROUTING -j NATSPREAD-PRE\n-I PREROUTING 2 -j NATSPREAD-PRE\n"},
		{"jump gone", builtIns + pre + web + toWeb + webRule, balancer,
			"-I PREROUTING 1 -j NATSPREAD-PRE\n"},
		{"a comment that looks like a jump",
			builtIns + `-A PREROUTING -m comment --comment "-j NATSPREAD-PRE" -j DOCKER` + "\n", builtIns, ""},
		{"a stranger of a similar name", builtIns + ":NATSPREADER - [0:0]\n-A PREROUTING -j NATSPREADER\n", builtIns, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := ""
			if c.text != "" {
				want = "*nat\n" + c.text + "COMMIT\n"
			}
			if diff := cmp.Diff(want, string(transaction(standing(t, c.live), standing(t, c.want)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestStateOfIsThatOfItsText holds the two ways to a state together.
func TestStateOfIsThatOfItsText(t *testing.T) {
	text := "*nat\n" + builtIns + ":NATSPREAD-OUT - [0:0]\n:NATSPREAD-POST - [0:0]\n" + pre + web + preJump +
		"-A OUTPUT -j NATSPREAD-OUT\n-A POSTROUTING -j NATSPREAD-POST\n" +
		toWeb + webRule + "COMMIT\n"
	table, err := rules.Parse(rules.IPv4, rules.NAT, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	saved, err := rules.ParseSaved(rules.NAT, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stateOfSaved(saved), stateOf(table, 1), cmp.AllowUnexported(ownedState{}, placed{})); diff != "" {
		t.Errorf("(-saved +table):\n%s", diff)
	}
	if diff := cmp.Diff(stateOfSaved(rules.Saved{}), stateOf(rules.Table{}, 1), cmp.AllowUnexported(ownedState{}, placed{})); diff != "" {
		t.Errorf("nothing (-saved +table):\n%s", diff)
	}
}

// TestScratchNamespaceIsLeft makes many, so that some begin on the first thread of
// the process, by whose namespaces /proc/self tells what is live.
func TestScratchNamespaceIsLeft(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	live, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			err := inScratchNamespace(func() error {
				scratch, err := os.Readlink("/proc/thread-self/ns/net")
				if err == nil && scratch == live {
					t.Error("the scratch namespace is the live one")
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if now, err := os.Readlink("/proc/self/ns/net"); err != nil || now != live {
		t.Errorf("the process is in %s now, and was in %s (%v)", now, live, err)
	}
}
