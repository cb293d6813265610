package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
)

// common are the flags that every verb takes.
type common struct {
	config  string // path, or "-"
	root    string // absolute
	variant rules.Variant
	json    bool
	quiet   bool
	verbose bool
	color   string // auto, always, never
	live    bool   // change the running kernel, also from below another root
}

// commonFlags are those that every verb takes, before it or behind it.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read the config from `FILE`; - is standard input", DefaultText: "/" + paths.Config},
		&cli.StringFlag{Name: "root", Value: "/", Usage: "for images: keep every file below `DIR`, and change no running kernel"},
		&cli.BoolFlag{Name: "live", Usage: "change the running kernel, also with another --root, or in a chroot"},
		&cli.StringFlag{Name: "variant", Value: string(rules.Auto), Usage: "use this `VARIANT` of iptables: auto, nft or legacy"},
		&cli.BoolFlag{Name: "json", Usage: "print the result as JSON on standard output"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing but errors"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say each program that is run, too"},
		&cli.StringFlag{Name: "color", Value: "auto", Usage: "use colors: `WHEN` is auto, always or never"},
	}
}

// readCommon reads the flags that every verb takes, and checks their values.
func readCommon(c *cli.Context) (common, error) {
	if err := checkEmpty(c); err != nil {
		return common{}, err
	}
	root, err := rootDir(c.String("root"))
	if err != nil {
		return common{}, err
	}
	flags := common{
		config:  c.String("config"),
		root:    root,
		variant: rules.Variant(c.String("variant")),
		json:    c.Bool("json"),
		quiet:   c.Bool("quiet"),
		verbose: c.Bool("verbose"),
		color:   c.String("color"),
		live:    c.Bool("live"),
	}
	if flags.config == "" {
		flags.config = filepath.Join(root, paths.Config)
	}
	if err := oneOf("variant", string(flags.variant), "auto", "nft", "legacy"); err != nil {
		return common{}, err
	}
	return flags, oneOf("color", flags.color, "auto", "always", "never")
}

// checkEmpty refuses flags with an empty value, which mostly come from an unset
// variable of a script: --root "$IMAGE" must not mean the working directory, nor
// --config "" the config of the machine.
func checkEmpty(c *cli.Context) error {
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
	if slices.Contains(list.Value(), "") {
		return ""
	}
	return fmt.Sprint(list.Value())
}

// conflict is a combination of flags that a verb refuses.
type conflict struct {
	given bool
	words string // which ones, why, and what to give instead
}

// checkConflicts refuses the first combination that was given.
func checkConflicts(conflicts ...conflict) error {
	for _, c := range conflicts {
		if c.given {
			return usageErrorf("%s", c.words)
		}
	}
	return nil
}

// familyFlags choose a family for what a verb does.
func familyFlags(does string) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "4", Usage: does + " IPv4"},
		&cli.BoolFlag{Name: "6", Usage: does + " IPv6"},
	}
}

// readFamilies returns the families that were chosen: one, or both where none was.
func readFamilies(c *cli.Context) ([]rules.Family, error) {
	switch four, six := c.Bool("4"), c.Bool("6"); {
	case four && six:
		return nil, usageErrorf("-4 and -6 exclude each other: give one of them, or none")
	case four:
		return []rules.Family{rules.IPv4}, nil
	case six:
		return []rules.Family{rules.IPv6}, nil
	}
	return rules.Families(), nil
}

// The bounds of --confirm and --wait: time enough to load, and no more than a day's
// work.
const (
	shortestDuration = time.Second
	longestDuration  = 24 * time.Hour
)

// readDuration reads the value of a flag that is a duration; 0 is none.
func readDuration(c *cli.Context, flag string) (time.Duration, error) {
	value := c.String(flag)
	if value == "" {
		return 0, nil
	}
	read, err := time.ParseDuration(value)
	switch {
	case err != nil:
		return 0, usageErrorf("--%s: invalid duration %q; examples: 60s, 5m", flag, value)
	case read < shortestDuration || read > longestDuration || read%time.Second != 0:
		return 0, usageErrorf("--%s: %q is not whole seconds from 1s to 24h; examples: 60s, 5m", flag, value)
	}
	return read, nil
}

// readGenerations reads the arguments of a verb that takes numbers of generations.
func readGenerations(c *cli.Context) ([]int, error) {
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
		return "", usageErrorf("cannot use --root %q: %v: make it first, or name one that is there", dir, atomicfile.Cause(err))
	case !info.IsDir():
		return "", usageErrorf("cannot use --root %q: it is not a directory", dir)
	}
	return root, nil
}

// oneOf checks the value of a flag that has few.
func oneOf(flag, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return usageErrorf("--%s %q is none of %s", flag, value, strings.Join(known, ", "))
}

// offline tells whether install and uninstall work on an image: only files, no
// kernel, no systemd.
func (c common) offline() bool { return c.root != "/" }

// configBelow returns where the config is below the root, "" where it is not, or no
// file at all.
func (c common) configBelow() string {
	path, err := filepath.Abs(c.config)
	if err != nil || c.config == "-" {
		return ""
	}
	below, err := filepath.Rel(c.root, path)
	if err != nil || !filepath.IsLocal(below) {
		return ""
	}
	return below
}
