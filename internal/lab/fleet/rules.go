package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"natspread/internal/paths"
)

// snatAddress is the pair's source address.
const snatAddress = "10.0.0.253"

// takeoverKey is the page's line that has natspread make the rules of takeover.
const takeoverKey = "takeover  = true\n"

// config is what a balancer is told: the page's, with what the row has otherwise.
func (s *stage) config(balancer int) string {
	r := s.row
	pairs := []string{"192.0.2.10:80", s.listen()}
	if r.algorithm != "" {
		pairs = append(pairs, `"source"`, fmt.Sprintf("%q", r.algorithm))
	}
	snat := r.snat
	if r.engine == conntrackdPair {
		snat = snatAddress
	}
	if snat != "" {
		pairs = append(pairs, `"none"`, fmt.Sprintf("%q", snat))
	}
	if r.rules != byKey || r.engine == conntrackdPair {
		pairs = append(pairs, takeoverKey, "")
	}
	if r.more && balancer == 2 {
		pairs = append(pairs, `"10.0.0.3:80"`, `"10.0.0.3:80", "10.0.0.4:80"`)
	}
	if r.family == 6 {
		pairs = append(pairs, "10.0.0.1:80", "[fd00::1]:80", "10.0.0.2:80", "[fd00::2]:80", "10.0.0.3:80", "[fd00::3]:80")
	}
	text := strings.NewReplacer(pairs...).Replace(s.texts[configText])
	if r.udp {
		text += "protocol  = \"udp\"\n"
	}
	if r.forward != accepts {
		text += "forward   = \"accept\"\n"
	}
	return text
}

// apply has natspread apply a config on a balancer, and edits its rules where the row has others.
func (s *stage) apply(balancer int, text string) error {
	host := balancerName(balancer)
	root := filepath.Join("/run/natspread", host)
	file := filepath.Join(root, paths.Config)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		return err
	}
	if _, err := command(host, "", s.program, "--root", root, "--live", "--variant", s.row.variant, "apply"); err != nil {
		return err
	}
	return errors.Join(s.copyRules(host, text), s.deleteRules(host))
}

// copyRules adds to POST what natspread makes there for what a backend says first, with source: the
// row has an algorithm with which natspread refuses takeover.
func (s *stage) copyRules(host, text string) error {
	if s.row.rules != copied {
		return nil
	}
	wanted := strings.Replace(text, fmt.Sprintf("%q\n", s.row.algorithm), "\"source\"\n"+takeoverKey, 1)
	rendered, err := command(host, wanted, s.program, "--config", "-", "render")
	if err != nil {
		return err
	}
	return s.edit(host, rendered, func(rule string) string {
		if strings.HasPrefix(rule, "-A NATSPREAD-POST -s ") {
			return rule
		}
		return ""
	})
}

// deleteRules deletes the rules that the row is to have no more.
func (s *stage) deleteRules(host string) error {
	if s.row.cut == "" {
		return nil
	}
	live, err := command(host, "", "iptables-"+s.row.variant+"-save")
	if err != nil {
		return err
	}
	return s.edit(host, live, func(rule string) string {
		if !strings.Contains(rule, s.row.cut) {
			return ""
		}
		return strings.Replace(rule, "-A ", "-D ", 1)
	})
}

// edit loads what choose makes of each rule of some tables; "" is none.
func (s *stage) edit(host, tables string, choose func(rule string) string) error {
	var batch strings.Builder
	for line := range strings.Lines(tables) {
		switch chosen := choose(strings.TrimSpace(line)); {
		case line[0] == '*', line == "COMMIT\n":
			batch.WriteString(line)
		case chosen != "":
			fmt.Fprintln(&batch, chosen)
		}
	}
	_, err := command(host, batch.String(), "iptables-"+s.row.variant+"-restore", "-w", "5", "--noflush")
	return err
}

// dropForwarded has FORWARD drop what no rule accepts, where the row has it so.
func (s *stage) dropForwarded(host string) error {
	if s.row.forward == accepts {
		return nil
	}
	_, err := command(host, "", "iptables-"+s.row.variant, "-w", "5", "-P", "FORWARD", "DROP")
	return err
}

// drain drains the first backends on all balancers.
func (s *stage) drain() (err error) {
	var pairs []string
	for i := range s.row.drained {
		address := fmt.Sprintf("%q", fmt.Sprintf("10.0.0.%d:80", i+1))
		pairs = append(pairs, address, "{ address = "+address+", drain = true }")
	}
	for i := 1; i <= s.layout.balancers && err == nil; i++ {
		err = s.apply(i, strings.NewReplacer(pairs...).Replace(s.config(i)))
	}
	return err
}
