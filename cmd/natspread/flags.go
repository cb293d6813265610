package main

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/urfave/cli/v2"

	"natspread/internal/atomicfile"
	"natspread/internal/cmdline"
	"natspread/internal/console"
	"natspread/internal/namespace"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/units"
)

// common are the flags that every verb takes.
type common struct {
	config  string // path, or "-"
	root    string // absolute
	variant rules.Variant
	live    bool // change the running kernel, also from below another root
	image   bool // what is below the root is an image, as somebody said
}

// commonFlags are those that every verb takes, before it or behind it.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read `FILE`, or -", DefaultText: "/" + paths.Config},
		&cli.StringFlag{Name: "root", Value: "/", Usage: "for images: all files below `DIR`, no kernel is changed"},
		&cli.BoolFlag{Name: "live", Usage: "change the running kernel, with --root or in a chroot too"},
		&cli.StringFlag{Name: "variant", Value: string(rules.Auto), Usage: "the `VARIANT` of iptables: auto, nft or legacy"},
		&cli.BoolFlag{Name: "json", Usage: "print the result as JSON on standard output"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing but errors"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say each program that is run, too"},
		&cli.StringFlag{Name: "color", Value: "auto", Usage: "use colors: `WHEN` is auto, always or never"},
	}
}

// readCommon reads the flags that every verb takes, and checks their values.
func (s *session) readCommon(c *cli.Context) error {
	root, err := rootDir(c.String("root"))
	if err != nil {
		return err
	}
	s.common = common{
		config:  c.String("config"),
		root:    root,
		variant: rules.Variant(c.String("variant")),
		live:    c.Bool("live"),
	}
	s.Flags = console.Flags{JSON: c.Bool("json"), Quiet: c.Bool("quiet"), Verbose: c.Bool("verbose"), Color: c.String("color")}
	if s.Quiet {
		s.Line = nil
	}
	if s.config == "" {
		s.config = filepath.Join(root, paths.Config)
	}
	if err := cmdline.OneOf("variant", string(s.variant), "auto", "nft", "legacy"); err != nil {
		return err
	}
	return cmdline.OneOf("color", s.Color, "auto", "always", "never")
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
		return nil, cmdline.UsageErrorf("-4 and -6 exclude each other: give one of them, or none")
	case four:
		return []rules.Family{rules.IPv4}, nil
	case six:
		return []rules.Family{rules.IPv6}, nil
	}
	return rules.Families(), nil
}

// readGenerations reads the arguments of a verb that takes numbers of generations.
func readGenerations(c *cli.Context) ([]int, error) {
	var numbers []int
	for _, arg := range c.Args().Slice() {
		number, err := strconv.Atoi(arg)
		if err != nil || number < 1 {
			return nil, cmdline.UsageErrorf("natspread %s takes the number of a generation, not %q: see natspread history", c.Command.Name, arg)
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
		return "", cmdline.UsageErrorf("cannot use --root %q: %v", dir, err)
	}
	info, err := os.Stat(root)
	switch {
	case err != nil:
		return "", cmdline.UsageErrorf("cannot use --root %q: %v: make it first, or name one that is there", dir, atomicfile.Cause(err))
	case !info.IsDir():
		return "", cmdline.UsageErrorf("cannot use --root %q: it is not a directory", dir)
	}
	return root, nil
}

// offline tells whether install and uninstall work on an image: only files, no
// kernel, no systemd. In a chroot they do where no systemd can be reached.
func (c common) offline() bool {
	return c.image || c.root != "/" || !c.live && !units.Running() && namespace.Chrooted()
}

// sameFlags returns the flags, and a space, with which the next command reads the same config.
func (s *session) sameFlags() string {
	switch {
	case s.config != filepath.Join(s.root, paths.Config):
		return "--config " + s.config + " "
	case s.root != "/":
		return "--root " + s.root + " "
	}
	return ""
}
