package main

import (
	"context"
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
		Description: "Needs no rights, no iptables and no kernel. The output is a complete nat table: on\n" +
			"a host without other nat rules, plain iptables-restore loads it.",
		Flags: append(familyFlags(),
			&cli.StringFlag{Name: "o", Usage: "write rules.v4 and rules.v6 into `DIR` instead"},
		),
	}, "natspread render -6 --config ./natspread.toml", s.render)
}

// familyFlags choose a family.
func familyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "4", Usage: "IPv4 (default)"},
		&cli.BoolFlag{Name: "6", Usage: "IPv6"},
	}
}

// render prints or writes the rules.
func (s *session) render(_ context.Context, o options) error {
	c, err := s.load(o)
	if err != nil {
		return err
	}
	if o.outDir == "" {
		return s.print(string(nat.Seal(c.tables.Of(o.family()))))
	}
	for _, family := range nat.Families() {
		path := filepath.Join(o.outDir, rulesName(family))
		if err := atomicfile.WriteFile(path, nat.Seal(c.tables.Of(family)), 0o644); err != nil {
			return err
		}
		s.tell(o, "wrote %s", path)
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
