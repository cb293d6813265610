package main

import (
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/restore"
)

// configPath is where the config is, below the root.
const configPath = "etc/natspread/natspread.toml"

// options are the flags of a run, the common ones and those of single verbs.
type options struct {
	config  string // path, or "-"
	root    string // absolute
	variant restore.Variant
	json    bool
	quiet   bool
	verbose bool
	color   string // auto, always, never

	listen, backends []string // init
	snat             string   // init
	family4, family6 bool     // render, diff
	outDir           string   // render
	saved            string   // diff
	dryRun           bool     // apply
}

// commonFlags are those that every verb takes, before it or behind it.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read the config from `FILE`; - is standard input", DefaultText: "/" + configPath},
		&cli.StringFlag{Name: "root", Value: "/", Usage: "keep every file below `DIR`"},
		&cli.StringFlag{Name: "variant", Value: string(restore.Auto), Usage: "use this `VARIANT` of iptables: auto, nft or legacy"},
		&cli.BoolFlag{Name: "json", Usage: "print the result as JSON on standard output"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing but errors"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say more"},
		&cli.StringFlag{Name: "color", Value: "auto", Usage: "use colors: `WHEN` is auto, always or never"},
	}
}

// optionsOf reads the flags and checks their values.
func optionsOf(c *cli.Context) (options, error) {
	root, err := filepath.Abs(c.String("root"))
	if err != nil {
		return options{}, usageErrorf("cannot use --root %q: %v", c.String("root"), err)
	}
	o := options{
		config:  c.String("config"),
		root:    root,
		variant: restore.Variant(c.String("variant")),
		json:    c.Bool("json"),
		quiet:   c.Bool("quiet"),
		verbose: c.Bool("verbose"),
		color:   c.String("color"),

		listen: c.StringSlice("listen"), backends: c.StringSlice("backend"),
		snat:    c.String("snat"),
		family4: c.Bool("4"), family6: c.Bool("6"),
		outDir: c.String("o"),
		saved:  c.String("saved"),
		dryRun: c.Bool("dry-run"),
	}
	if o.config == "" {
		o.config = filepath.Join(root, configPath)
	}
	if err := oneOf("variant", string(o.variant), "auto", "nft", "legacy"); err != nil {
		return options{}, err
	}
	if c.Bool("4") && c.Bool("6") {
		return options{}, usageErrorf("-4 and -6 exclude each other: one family is printed, -o DIR writes both")
	}
	return o, oneOf("color", o.color, "auto", "always", "never")
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
