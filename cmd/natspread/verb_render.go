package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"natspread/internal/atomicfile"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// renderVerb describes render.
func (s *session) renderVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "render",
		Usage: "print the rules as iptables-restore takes them",
		Description: "Needs no rights, no iptables and no kernel. Without -6 the rules are those of\n" +
			"IPv4. The output is a complete nat table: on a host without other nat rules,\n" +
			"plain iptables-restore loads it. Services with forward = \"accept\" have rules in\n" +
			"the filter table, too: --filter prints these, for iptables-restore -n.\n" +
			"Instead of the rules it prints, when asked, what they make of one connection, or\n" +
			"a picture of their chains.",
		Flags: append(familyFlags("print"),
			&cli.BoolFlag{Name: "filter", Usage: "print the part of the filter table instead of the nat table"},
			&cli.StringFlag{Name: "o", Usage: "write rules.v4 and rules.v6 into `DIR`, which must exist, instead; and filter.v4 and filter.v6, where there are such rules"},
			&cli.StringFlag{Name: "explain", Usage: "walk a connection to `ADDRESS:PORT` through the rules, by -v on every path; behind the port may stand /udp or /sctp"},
			&cli.StringFlag{Name: "in", Usage: "explain what comes in by this `INTERFACE`", DefaultText: "the service's"},
			&cli.StringFlag{Name: "from", Usage: "explain what comes from the client at `SOURCE`", DefaultText: "a stranger"},
			&cli.BoolFlag{Name: "dot", Usage: "print the chains as a graph for Graphviz"},
			&cli.BoolFlag{Name: "svg", Usage: "print the chains as a picture, drawn by Graphviz"},
		),
	}, "natspread render --explain 192.0.2.10:80", s.render)
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
	Dot    string   `json:"dot,omitempty"`    // with --dot instead of rules
	SVG    string   `json:"svg,omitempty"`    // with --svg instead of rules
}

// render prints or writes the rules, or what is asked of them.
func (s *session) render(ctx context.Context, o options) error {
	if err := o.oneResult(); err != nil {
		return err
	}
	c, err := s.load(o)
	switch {
	case err != nil:
		return err
	case o.outDir != "":
		return s.renderFiles(o, c)
	case o.explain != "":
		return s.explain(o, c)
	case o.dot, o.svg:
		return s.draw(ctx, o, c)
	}
	rules := string(rules.EncodeFile(o.table(c)))
	if !o.filter && !c.tables.Filter(o.family()).Empty() {
		s.tell(o, "note: there are rules of the filter table, too: natspread render --filter")
	}
	if o.json {
		return s.printJSON(renderResult{Family: o.family().String(), Rules: rules})
	}
	return s.print(rules)
}

// oneResult refuses flags of render that ask for two results, or for none.
func (o options) oneResult() error {
	var asked []string
	for _, flag := range []struct {
		name  string
		given bool
	}{{"-o", o.outDir != ""}, {"--explain", o.explain != ""}, {"--dot", o.dot}, {"--svg", o.svg}} {
		if flag.given {
			asked = append(asked, flag.name)
		}
	}
	switch {
	case len(asked) > 1:
		return usageErrorf("%s and %s exclude each other: give one of them", asked[0], asked[1])
	case o.filter && (o.outDir != "" || o.explain != ""):
		return usageErrorf("--filter says which rules are printed, and %s is for all of them: leave it out", asked[0])
	case o.explain == "" && o.in != "":
		return usageErrorf("--in says how a connection comes in: give --explain, too")
	case o.explain == "" && o.from != "":
		return usageErrorf("--from says whose connection it is: give --explain, too")
	}
	return nil
}

// renderFiles writes the rules of both families. When a later file cannot be written,
// earlier ones that are new go again. A part of the filter table that is empty has a file
// only if there was one: an old one would say something else.
func (s *session) renderFiles(o options, c checked) error {
	var files, fresh []string
	for _, table := range c.tables.All() {
		path := filepath.Join(o.outDir, generation.RulesFile(table))
		if _, err := os.Lstat(path); err != nil {
			if table.Name == rules.Filter && table.Empty() {
				continue
			}
			fresh = append(fresh, path)
		}
		if err := atomicfile.WriteFile(path, rules.EncodeFile(table), 0o644); err != nil {
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
func (o options) family() rules.Family {
	if o.family6 {
		return rules.IPv6
	}
	return rules.IPv4
}

// table returns the table that was chosen of a config.
func (o options) table(c checked) rules.Table {
	if o.filter {
		return c.tables.Filter(o.family())
	}
	return c.tables.Of(o.family())
}
