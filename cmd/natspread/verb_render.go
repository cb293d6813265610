package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"natspread/internal/atomicfile"
	"natspread/nat"
)

// renderVerb describes render.
func (s *session) renderVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "render",
		Usage: "print the rules as iptables-restore takes them",
		Description: "Needs no rights, no iptables and no kernel. Without -6 the rules are those of\n" +
			"IPv4. The output is a complete nat table: on a host without other nat rules,\n" +
			"plain iptables-restore loads it.",
		Flags: append(familyFlags("print"),
			&cli.StringFlag{Name: "o", Usage: "write rules.v4 and rules.v6 into `DIR`, which must exist, instead"},
		),
	}, "natspread render -6 --config ./natspread.toml", s.render)
}

// familyFlags choose a family for what a verb does.
func familyFlags(does string) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "4", Usage: does + " IPv4"},
		&cli.BoolFlag{Name: "6", Usage: does + " IPv6"},
	}
}

// renderResult is what render prints with --json.
type renderResult struct {
	Family string   `json:"family,omitempty"` // of the rules
	Rules  string   `json:"rules,omitempty"`  // a whole rules file
	Files  []string `json:"files,omitempty"`  // with -o instead of rules: what was written
}

// render prints or writes the rules.
func (s *session) render(_ context.Context, o options) error {
	c, err := s.load(o)
	if err != nil {
		return err
	}
	if o.outDir != "" {
		return s.renderFiles(o, c)
	}
	rules := string(nat.Seal(c.tables.Of(o.family())))
	if o.json {
		return s.printJSON(renderResult{Family: o.family().String(), Rules: rules})
	}
	return s.print(rules)
}

// renderFiles writes the rules of both families. When the second file cannot be
// written, a first one that is new goes again.
func (s *session) renderFiles(o options, c checked) error {
	var files, fresh []string
	for _, family := range nat.Families() {
		path := filepath.Join(o.outDir, rulesName(family))
		if _, err := os.Lstat(path); err != nil {
			fresh = append(fresh, path)
		}
		if err := atomicfile.WriteFile(path, nat.Seal(c.tables.Of(family)), 0o644); err != nil {
			for _, path := range fresh {
				_ = os.Remove(path) // it may not even have come to be
			}
			return err
		}
		files = append(files, path)
	}
	for _, path := range files {
		s.tell(o, "wrote %s", path)
	}
	if o.json {
		return s.printJSON(renderResult{Files: files})
	}
	return nil
}

// family returns the family that was chosen.
func (o options) family() nat.Family {
	if o.family6 {
		return nat.IPv6
	}
	return nat.IPv4
}

// rulesName returns the name of a family's file, the one that iptables-persistent
// made known.
func rulesName(family nat.Family) string {
	if family == nat.IPv6 {
		return "rules.v6"
	}
	return "rules.v4"
}
