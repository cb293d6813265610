package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/internal/paths"
	"natspread/internal/rules"
)

// options are the flags of a run, the common ones and those of single verbs.
type options struct {
	config  string // path, or "-"
	root    string // absolute
	variant rules.Variant
	json    bool
	quiet   bool
	verbose bool
	color   string // auto, always, never

	listen, backends []string      // init
	snat             string        // init
	family4, family6 bool          // render, diff
	outDir           string        // render
	filter           bool          // render
	explain          string        // render
	in, from         string        // render --explain
	dot, svg         bool          // render
	saved            string        // diff
	dryRun           bool          // apply
	exclusive, yes   bool          // apply
	confirm          time.Duration // apply; 0 without
	wait             time.Duration // drain; 0 without
	overdue          bool          // rollback
	watch            bool          // status
	prometheus       string        // status; path, or "-"

	args        []string // as many as the verb takes
	generations []int    // rollback, diff: the arguments, which are numbers
}

// commonFlags are those that every verb takes, before it or behind it.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read the config from `FILE`; - is standard input", DefaultText: "/" + paths.Config},
		&cli.StringFlag{Name: "root", Value: "/", Usage: "keep every file below `DIR`"},
		&cli.StringFlag{Name: "variant", Value: string(rules.Auto), Usage: "use this `VARIANT` of iptables: auto, nft or legacy"},
		&cli.BoolFlag{Name: "json", Usage: "print the result as JSON on standard output"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing but errors"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "tell of each program that is run, too"},
		&cli.StringFlag{Name: "color", Value: "auto", Usage: "use colors: `WHEN` is auto, always or never"},
	}
}

// optionsOf reads the flags and checks their values.
func optionsOf(c *cli.Context) (options, error) {
	if err := noneEmpty(c); err != nil {
		return options{}, err
	}
	root, err := rootDir(c.String("root"))
	if err != nil {
		return options{}, err
	}
	o := options{
		config:  c.String("config"),
		root:    root,
		variant: rules.Variant(c.String("variant")),
		json:    c.Bool("json"),
		quiet:   c.Bool("quiet"),
		verbose: c.Bool("verbose"),
		color:   c.String("color"),

		listen: c.StringSlice("listen"), backends: c.StringSlice("backend"),
		snat:    c.String("snat"),
		family4: c.Bool("4"), family6: c.Bool("6"),
		outDir:  c.String("o"),
		filter:  c.Bool("filter"),
		explain: c.String("explain"),
		in:      c.String("in"), from: c.String("from"),
		dot: c.Bool("dot"), svg: c.Bool("svg"),
		saved:     c.String("saved"),
		exclusive: c.Bool("exclusive"), yes: c.Bool("yes"),
		dryRun: c.Bool("dry-run"), overdue: c.Bool("overdue"),
		watch: c.Bool("watch"), prometheus: c.String("prometheus"),
		args: c.Args().Slice(),
	}
	if o.confirm, err = timeOf("confirm", c.String("confirm")); err != nil {
		return options{}, err
	}
	if o.wait, err = timeOf("wait", c.String("wait")); err != nil {
		return options{}, err
	}
	if o.generations, err = generationNumbers(c); err != nil {
		return options{}, err
	}
	if o.config == "" {
		o.config = filepath.Join(root, paths.Config)
	}
	if err := oneOf("variant", string(o.variant), "auto", "nft", "legacy"); err != nil {
		return options{}, err
	}
	if err := oneOf("color", o.color, "auto", "always", "never"); err != nil {
		return options{}, err
	}
	return o, o.together()
}

// together refuses flags that exclude each other, or that say nothing alone.
func (o options) together() error {
	switch {
	case o.family4 && o.family6:
		return usageErrorf("-4 and -6 exclude each other: give one of them, or none")
	case o.config == "-" && o.saved == "-":
		return usageErrorf("--config and --saved cannot both be -: there is one standard input")
	case o.exclusive && o.confirm > 0:
		return usageErrorf("--exclusive and --confirm exclude each other: what --exclusive removes is not put back later")
	case o.yes && !o.exclusive:
		return usageErrorf("--yes answers what only --exclusive asks: give both, or none")
	case o.prometheus != "" && (o.watch || o.json):
		return usageErrorf("--prometheus excludes --watch and --json: give one of them")
	case len(o.generations) > 0 && o.overdue:
		return usageErrorf("--overdue and a generation exclude each other: give one of them")
	case len(o.generations) > 0 && o.saved != "":
		return usageErrorf("--saved and a generation exclude each other: give one of them")
	}
	return nil
}

// noneEmpty refuses flags with an empty value, which mostly come from an unset
// variable of a script: --root "$IMAGE" must not mean the working directory, nor
// --config "" the config of the machine.
func noneEmpty(c *cli.Context) error {
	for _, flag := range c.Command.Flags {
		described, ok := flag.(cli.DocGenerationFlag)
		name := flag.Names()[0]
		if ok && described.TakesValue() && c.IsSet(name) && given(c, name) == "" {
			return usageErrorf("%s is given an empty value: see natspread %s --help", dashed(name), c.Command.Name)
		}
	}
	return nil
}

// given returns the value of a flag as text; a list without any empty element is
// not empty.
func given(c *cli.Context, name string) string {
	list, ok := c.Value(name).(cli.StringSlice)
	if !ok {
		return c.String(name)
	}
	for _, value := range list.Value() {
		if value == "" {
			return ""
		}
	}
	return fmt.Sprint(list.Value())
}

// The bounds of --confirm and --wait: time enough to load, and no more than a day's
// work.
const (
	leastTime = time.Second
	mostTime  = 24 * time.Hour
)

// timeOf reads the value of a flag that is a time; "" is none.
func timeOf(flag, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	read, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, usageErrorf("--%s %q is no time: write 60s, or 5m", flag, text)
	case read < leastTime || read > mostTime || read%time.Second != 0:
		return 0, usageErrorf("--%s %q is not whole seconds from 1s to 24h: write 60s, or 5m", flag, text)
	}
	return read, nil
}

// short returns a time as people write it: 1h and not 1h0m0s.
func short(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// generationNumbers reads the arguments of a verb that takes numbers of generations.
func generationNumbers(c *cli.Context) ([]int, error) {
	if !strings.HasPrefix(c.Command.ArgsUsage, "[N]") {
		return nil, nil
	}
	var numbers []int
	for _, arg := range c.Args().Slice() {
		number, err := strconv.Atoi(arg)
		if err != nil || number < 1 {
			return nil, usageErrorf("natspread %s takes the number of a generation, not %q: see natspread history", c.Command.Name, arg)
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// rootDir returns the absolute path of the directory that every file is below. One
// that does not exist is a slip, and would look like a machine without natspread.
func rootDir(dir string) (string, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return "", usageErrorf("cannot use --root %q: %v", dir, err)
	}
	info, err := os.Stat(root)
	switch {
	case err != nil:
		return "", usageErrorf("cannot use --root %q: %v: make it first, or name one that is there", dir, cause(err))
	case !info.IsDir():
		return "", usageErrorf("cannot use --root %q: it is not a directory", dir)
	}
	return root, nil
}

// oneOf checks the value of a flag that has few.
func oneOf(flag, value string, known ...string) error {
	for _, k := range known {
		if value == k {
			return nil
		}
	}
	return usageErrorf("--%s %q is none of %s", flag, value, strings.Join(known, ", "))
}

// offline tells whether install and uninstall work on an image: only files, no
// kernel, no systemd.
func (o options) offline() bool { return o.root != "/" }
