package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/explain"
	"natspread/internal/failure"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/trace"
	"natspread/restore"
)

// renderVerb describes render.
func (s *session) renderVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "render",
		Usage: "print the rules as iptables-restore takes them",
		Description: "Needs no rights, no iptables and no kernel. Without -6 the rules are those of\n" +
			"IPv4. The output is a complete nat table: on a host without other nat rules,\n" +
			"plain iptables-restore loads it. Services with forward = \"accept\" have rules in\n" +
			"the filter table, too, and with clamp_mss in the mangle table: --filter and\n" +
			"--mangle print these, for iptables-restore -n.\n" +
			"Instead of the rules it prints, when asked, what they make of one connection, or\n" +
			"a picture of their chains.",
		Flags: append(familyFlags("print"),
			&cli.BoolFlag{Name: "filter", Usage: "print the part of the filter table instead of the nat table"},
			&cli.BoolFlag{Name: "mangle", Usage: "print the part of the mangle table instead of the nat table"},
			&cli.StringFlag{Name: "o", Usage: "write rules.v4 and rules.v6 into `DIR`, which must exist, instead; and filter.v4 and mangle.v6, say, where there are such rules"},
			&cli.StringFlag{Name: "explain", Usage: "follow a connection to `ADDRESS:PORT` through the rules, by -v on every path; behind the port may stand /udp or /sctp"},
			&cli.StringFlag{Name: "in", Usage: "explain what comes in by this `INTERFACE`", DefaultText: "the service's"},
			&cli.StringFlag{Name: "from", Usage: "explain what comes from the client at `SOURCE`", DefaultText: "a stranger"},
			&cli.BoolFlag{Name: "dot", Usage: "print the chains as a graph for Graphviz"},
			&cli.BoolFlag{Name: "svg", Usage: "print the chains as a picture, drawn by Graphviz"},
		),
	}, "natspread render --explain 192.0.2.10:80", readRender, s.render)
}

// renderOptions are the flags of render.
type renderOptions struct {
	family   rules.Family // IPv4 unless -6 is given
	families []rules.Family
	filter   bool // the part of the filter table, as mangle
	mangle   bool
	outDir   string
	explain  string
	in, from string // of --explain
	dot, svg bool
}

// readRender reads them.
func readRender(c *cli.Context) (renderOptions, error) {
	families, err := readFamilies(c)
	if err != nil {
		return renderOptions{}, err
	}
	o := renderOptions{
		family: families[0], families: families, filter: c.Bool("filter"), mangle: c.Bool("mangle"), outDir: c.String("o"),
		explain: c.String("explain"), in: c.String("in"), from: c.String("from"), dot: c.Bool("dot"), svg: c.Bool("svg"),
	}
	forms := strings.Join(o.forms(), " and ")
	return o, cmp.Or(
		cmdline.RefuseIf(len(o.forms()) > 1, forms+" exclude each other: give one of them"),
		cmdline.RefuseIf(o.filter && o.mangle, "--filter and --mangle exclude each other: give one of them"),
		cmdline.RefuseIf(o.filter && (o.outDir != "" || o.explain != ""), "--filter says which rules are printed, and "+forms+" is for all of them: leave it out"),
		cmdline.RefuseIf(o.mangle && (o.outDir != "" || o.explain != ""), "--mangle says which rules are printed, and "+forms+" is for all of them: leave it out"),
		cmdline.RefuseIf(o.explain == "" && o.in != "", "--in says how a connection comes in: give --explain, too"),
		cmdline.RefuseIf(o.explain == "" && o.from != "", "--from says whose connection it is: give --explain, too"),
	)
}

// forms returns the flags that were given for another form of output than one table's rules.
func (o renderOptions) forms() []string {
	var forms []string
	for _, form := range []struct {
		flag  string
		given bool
	}{{"-o", o.outDir != ""}, {"--explain", o.explain != ""}, {"--dot", o.dot}, {"--svg", o.svg}} {
		if form.given {
			forms = append(forms, form.flag)
		}
	}
	return forms
}

// renderResult is what render prints with --json.
type renderResult struct {
	Changed bool     `json:"changed"`          // with -o: whether a file has other bytes than before
	Family  string   `json:"family,omitempty"` // of the rules
	Rules   string   `json:"rules,omitempty"`  // a whole rules file
	Files   []string `json:"files,omitempty"`  // with -o instead of rules: what was written
	Dot     string   `json:"dot,omitempty"`    // with --dot instead of rules
	SVG     string   `json:"svg,omitempty"`    // with --svg instead of rules
}

// render prints or writes the rules, or what is asked of them.
func (s *session) render(ctx context.Context, o renderOptions) error {
	plan, err := s.load()
	switch {
	case err != nil:
		return err
	case o.outDir != "":
		return s.renderFiles(o, plan)
	case o.explain != "":
		return s.explain(o, plan)
	case o.dot, o.svg:
		return s.draw(ctx, o, plan)
	}
	printed := string(rules.EncodeFile(o.table(plan)))
	for _, part := range []rules.Table{plan.Tables.Filter(o.family), plan.Tables.Mangle(o.family)} {
		if !o.filter && !o.mangle && !part.Empty() {
			s.Printf("note: there are rules of the %[1]v table, too: natspread render --%[1]v", part.Name)
		}
	}
	return s.Answer(renderResult{Family: o.family.String(), Rules: printed}, printed)
}

// table returns the table that was chosen of a config.
func (o renderOptions) table(plan change.Plan) rules.Table {
	switch {
	case o.filter:
		return plan.Tables.Filter(o.family)
	case o.mangle:
		return plan.Tables.Mangle(o.family)
	}
	return plan.Tables.Of(o.family)
}

// renderFiles writes the rules of both families.
func (s *session) renderFiles(o renderOptions, plan change.Plan) error {
	files, changed, err := plan.WriteRules(o.outDir)
	if err != nil {
		return failure.Halfway(restore.Result{Changed: changed}, nil, err)
	}
	for _, path := range files {
		s.Printf("wrote %s", path)
	}
	return s.Answer(renderResult{Changed: changed, Files: files}, "")
}

// explain prints what happens to a packet.
func (s *session) explain(o renderOptions, plan change.Plan) error {
	question, err := explain.Words{To: o.explain, In: o.in, From: o.from, Families: o.families}.Question(plan.Config)
	if err != nil {
		return cmdline.Coded(exitUsage, err)
	}
	explained, err := trace.Explain(plan.Tables, question.Packet)
	if err != nil {
		return err
	}
	return s.Answer(question.Result(explained), question.Text(explained, s.Verbose, s.Screen()))
}

// draw prints the chains of a family as a graph or as a picture.
func (s *session) draw(ctx context.Context, o renderOptions, plan change.Plan) error {
	result := renderResult{Family: o.family.String()}
	graph := trace.Dot(o.table(plan))
	if o.svg {
		s.Doing("drawing")
		picture, err := program.Draw(ctx, s.traced(), graph)
		if err != nil {
			return fmt.Errorf("cannot draw the chains: %w: natspread render --dot prints the graph itself", err)
		}
		result.SVG = string(picture)
	} else {
		result.Dot = string(graph)
	}
	return s.Answer(result, result.Dot+result.SVG)
}
