// Package host reads what adopt needs from the host: the rules that are live, or those of a file.
package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"natspread/internal/adopt"
	"natspread/internal/adopt/bootfiles"
	"natspread/internal/adopt/walk"
	"natspread/internal/atomicfile"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/screen"
	"natspread/restore/iptables"
)

// live returns the rules that the kernel holds by a variant of iptables, and as notes what else translates
// destinations: rules of the other variant, and tables of nftables' own.
func live(ctx context.Context, run program.Runner, variant rules.Variant) (in adopt.Input, notes []string, err error) {
	hooks, err := iptables.ReadHooks(ctx, run)
	if err != nil {
		return in, nil, err
	}
	in.Link = iptables.LinkTo
	for _, ruleset := range hooks.Rulesets {
		set := walk.Live(ruleset, hooks.Partly)
		switch {
		case ruleset.Variant == variant:
			in.Rules = append(in.Rules, set)
		case set.Translates():
			notes = append(notes, fmt.Sprintf("the %s variant of iptables has %v rules that translate, too: natspread adopt --variant %s", ruleset.Variant, ruleset.Family, ruleset.Variant))
		}
	}
	for _, native := range hooks.Native {
		if nativeDNAT.Match(native.Text) {
			notes = append(notes, fmt.Sprintf("the table %s %s of nftables translates, too, and iptables does not show it: nft list table %s %s", native.Family, native.Name, native.Family, native.Name))
		}
	}
	return in, notes, nil
}

// nativeDNAT is what a rule of nft's has that rewrites destinations.
var nativeDNAT = regexp.MustCompile(`\b(dnat|redirect)\b.*\bto\b`)

// Source is where rules are read from.
type Source struct {
	File     string         // "-" is standard input, "" the kernel
	Families []rules.Family // one: the file's
}

// Host is what adopt asks.
type Host struct {
	Run    program.Runner
	Root   string                                         // below which the files are that boot reads
	Kernel func(context.Context) (iptables.Kernel, error) // that has the live rules
	In     io.Reader
	// Choose asks for an answer, and returns "" where nobody can answer: see console.Choose.
	Choose func(ctx context.Context, question, prompt, proposed string, wrong func(string) string) (string, error)
}

// Found is the result of an adoption, and what else the host has that translates.
type Found struct {
	adopt.Result
	Notes []string
	Boot  []bootfiles.Line
	Live  bool
}

// Report returns it for programs, with the name of the file that has the config, and its text.
func (f Found) Report(config, text string) adopt.Report {
	report := f.Result.Report()
	report.Config, report.Text, report.Notes = config, text, f.Notes
	for _, line := range f.Boot {
		report.Boot = append(report.Boot, adopt.BootLine(line))
	}
	return report
}

// Adopt reads the rules and makes a config of them. What they do not say is asked, if it is open.
func Adopt(ctx context.Context, h Host, from Source, choices adopt.Choices) (found Found, err error) {
	found.Live = from.File == ""
	var in adopt.Input
	if found.Live {
		var kernel iptables.Kernel
		if kernel, err = h.Kernel(ctx); err == nil {
			in, found.Notes, err = live(ctx, h.Run, kernel.Variant)
		}
	} else {
		in, err = from.read(h.In)
	}
	if err != nil {
		return found, err
	}
	in.Choices = choices
	for found.Result = adopt.Adopt(in); len(found.Questions) > 0; found.Result = adopt.Adopt(in) {
		answered, err := h.ask(ctx, found.Questions, &in.Choices)
		if err != nil {
			return found, err
		}
		if !answered {
			break
		}
	}
	for _, name := range choices.Except {
		if !slices.Contains(found.Names, name) {
			return found, fmt.Errorf("--except %s: no service is called that; there are: %s", name, strings.Join(found.Names, ", "))
		}
	}
	if backends := found.Backends(); len(backends) > 0 {
		found.Boot = bootfiles.Find(h.Root, bootfiles.Wanted{Backends: backends, Taken: found.TakenWhole(), Stays: found.Staying()})
	}
	return found, nil
}

// ask asks a question, and notes the answer. It is for all services that have the same question: of
// these the one is asked that has the most answers.
func (h Host) ask(ctx context.Context, all []adopt.Question, choices *adopt.Choices) (answered bool, err error) {
	q := all[0]
	for _, other := range all {
		if other.Flag == q.Flag && len(other.Answers) > len(q.Answers) {
			q = other
		}
	}
	var others []string
	for _, other := range all {
		if other.Flag == q.Flag && other.Service != q.Service {
			others = append(others, other.Service)
		}
	}
	asked := q.Service + ": " + q.Text
	if len(others) > 0 {
		asked += "; the answer is for " + strings.Join(others, ", ") + ", too"
	}
	prompt, proposed := q.Prompt()
	answer, err := h.Choose(ctx, asked, prompt, proposed, q.Wrong)
	if err != nil || answer == "" {
		return false, err
	}
	*choices = choices.With(q.Flag, answer)
	return true, nil
}

// Lines describes the result for people. In brief is without the rules that Proposal lists.
func (f Found) Lines(brief bool) []string {
	lines := append(f.Result.Lines(brief), f.Notes...)
	for _, file := range bootfiles.Files(f.Boot) {
		line := fmt.Sprintf("at boot %s", file)
		if fix := file.Fix(); fix != "" {
			line += screen.Sign + fix + " # once natspread's rules are to stay"
		}
		lines = append(lines, line)
	}
	switch {
	case len(f.Services) > 0 && len(f.Boot) == 0:
		lines = append(lines, "no file was found that loads the old rules at boot")
	case len(f.Services)+len(f.Refused)+len(f.Questions) == 0:
		lines = append(lines, "no rule here balances: nothing to adopt")
	}
	if flags := f.Missing(); flags != "" {
		lines = append(lines, "a choice is open: add "+flags+", or another answer of those above")
	}
	return lines
}

// Proposal is what is loaded if somebody agrees: the config, which is written to a file, and what goes.
func (f Found) Proposal(file string) []string {
	lines := append([]string{"", file + " will be:", ""}, strings.Split(string(f.Text), "\n")...)
	if len(f.TakeOut) == 0 {
		return append(lines, "no rule goes: all of them serve others, too")
	}
	lines = append(lines, "these go, in the transaction that loads the config's rules:")
	return append(lines, f.TakeOutLines()...)
}

// CanApply is an error while a question is open, or while the new rules would do something else than
// the old ones.
func (f Found) CanApply() error {
	switch {
	case len(f.Questions) > 0:
		return errors.New("a choice is open")
	case len(f.Differences) > 0:
		return errors.New("the config's rules would not do the same as the old ones: see the lines that begin with differs")
	}
	return nil
}

// mostSaved is the largest text of iptables-save that is read.
const mostSaved = 64 << 20

// read reads the rules of a file.
func (s Source) read(in io.Reader) (adopt.Input, error) {
	name := "stdin"
	if s.File != "-" {
		name = s.File
		file, err := os.Open(s.File)
		if err != nil {
			return adopt.Input{}, fmt.Errorf("cannot read %s: %w", s.File, atomicfile.Cause(err))
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, mostSaved+1))
	switch {
	case err != nil:
	case len(text) > mostSaved:
		err = fmt.Errorf("it is larger than %d MiB", mostSaved>>20)
	case strings.Contains(string(text), "`nat' is incompatible"):
		err = errors.New("its nat table holds rules of nft's own, which iptables-save does not show: give them a table of their own, and save again")
	default:
		_, err = rules.ParseSaved(rules.NAT, text)
	}
	if err != nil {
		return adopt.Input{}, fmt.Errorf("cannot read %s: %w: write it with iptables-save", name, err)
	}
	return adopt.Input{Rules: []*walk.Ruleset{walk.Parse(s.family(text), text)}}, nil
}

// ofIPv6 is an IPv6 address in a rule.
var ofIPv6 = regexp.MustCompile(`(?m)^(\[\d+:\d+\] )?-A .* (-s|-d|--to-destination|--to-source) \[?[0-9a-f]*:[0-9a-f]*:`)

// family returns the family of a file: the one that was given, else that of its addresses.
func (s Source) family(text []byte) rules.Family {
	switch {
	case len(s.Families) == 1:
		return s.Families[0]
	case ofIPv6.Match(text):
		return rules.IPv6
	}
	return rules.IPv4
}
