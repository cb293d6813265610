package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// options is what the arguments say.
type options struct {
	only    string         // the one part to measure, or all
	match   *regexp.Regexp // which figures of the first packet to measure
	variant string         // nft or legacy, or both
	rounds  int
	quick   bool     // small layouts: only to see that it works
	to      string   // what to ask of the rules files
	files   []string // of rules to measure instead of the usual layouts, or to draw from
	draw    string   // the picture to draw, instead of a measurement
	left    string   // the network namespace that the inside left; empty: the outside
	proxies []proxy  // to compare to
}

// readOptions reads the arguments. It says itself what is wrong with them.
func readOptions(args []string, stderr io.Writer) (options, error) {
	opts := options{proxies: proxies()}
	flags := flag.NewFlagSet("benchnet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: benchnet [flags]\n       benchnet [flags] -to ADDRESS:PORT -rules FILE [FILE...]\n       benchnet -draw PICTURE.svg FILE")
		flags.PrintDefaults()
	}
	flags.StringVar(&opts.only, "only", "", "measure one part only: "+partNames())
	match := flags.String("match", "", "measure only those figures of the first packet whose names match this `regexp`")
	flags.StringVar(&opts.variant, "variant", "", "measure one variant of iptables only: nft or legacy")
	flags.IntVar(&opts.rounds, "rounds", 11, "how often each figure is taken; the median is printed")
	flags.BoolVar(&opts.quick, "quick", false, "measure small layouts, to see that each works; the figures mean nothing")
	flags.StringVar(&opts.to, "to", "", "the `ADDRESS:PORT` to ask of the rules files")
	rules := flags.Bool("rules", false, "the arguments are files for iptables-restore, or for nft when so named (*.nft); measure those")
	flags.StringVar(&opts.draw, "draw", "", "measure nothing; draw the `picture` of the last whole run in the file, which has what benchnet printed")
	flags.StringVar(&opts.left, "inside", "", "set by benchnet itself: the network namespace that it left")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	opts.files = flags.Args()
	var err error
	opts.match, err = regexp.Compile(*match)
	if err := errors.Join(err, opts.check(*rules)); err != nil {
		fmt.Fprintf(stderr, "benchnet: %v\n", err)
		flags.Usage()
		return opts, err
	}
	return opts, nil
}

// check says what is wrong with the arguments.
func (o options) check(rules bool) error {
	switch {
	case o.only != "" && !slices.ContainsFunc(parts(), func(p part) bool { return p.name == o.only }):
		return fmt.Errorf("cannot measure %q: it is one of %s", o.only, partNames())
	case o.variant != "" && o.variant != "nft" && o.variant != "legacy":
		return fmt.Errorf("cannot measure variant %q: it is nft or legacy", o.variant)
	case o.rounds < 1:
		return fmt.Errorf("cannot measure %d rounds", o.rounds)
	case o.draw != "" && (rules || o.to != "" || len(o.files) != 1):
		return errors.New("cannot draw: -draw wants one file, which has what benchnet printed")
	case o.draw == "" && (rules != (o.to != "") || rules != (len(o.files) > 0)):
		return errors.New("cannot measure rules without all of -rules, -to ADDRESS:PORT and a file")
	}
	return nil
}

// variants are those of iptables that are measured.
func (o options) variants() []string {
	if o.variant != "" {
		return []string{o.variant}
	}
	return []string{"nft", "legacy"}
}

// sizes says how large what is measured is.
type sizes struct {
	steps        []int // numbers of services on which natspread's growth shows
	many, most   int   // of those, the ones at which it is compared to other layouts
	wide         int   // backends of the one service that has many
	positions    int   // services asked for one by one, to find the worst
	slotted      []slotted
	slots        []int // of each of slotServices services
	slotServices int
	takeover     []slotted // of one service each
	gates        []int     // subnets of clients of one service

	costed, timed, rated int // connections of a sample, for each of its figures
	bulk                 int // bytes of a sample
}

// sizes are those that promises are about, or, in a quick run, those on which it
// only shows that everything works.
func (o options) sizes() sizes {
	if o.quick {
		return sizes{
			steps: []int{10, 20}, many: 10, most: 20, wide: 50, positions: 2,
			slotted: []slotted{{3, 16}, {10, 64}}, slots: []int{16}, slotServices: 10,
			takeover: []slotted{{3, 16}, {40, 256}}, gates: []int{10, 20},
			costed: 100, timed: 50, rated: 100, bulk: 1 << 20,
		}
	}
	return sizes{
		steps: []int{1, 10, 100, 1000, 5000, 10_000}, many: 5000, most: 10_000, wide: 500, positions: 8,
		slotted: []slotted{{3, 256}, {10, 256}, {100, 1024}}, slots: []int{64, 256}, slotServices: 1000,
		takeover: []slotted{{3, 256}, {100, 1024}, {1000, 4096}}, gates: []int{10, 100, 1000},
		costed: 8000, timed: 1000, rated: 8000, bulk: 512 << 20,
	}
}
