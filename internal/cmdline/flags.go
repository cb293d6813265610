package cmdline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// Flag is a flag as it is typed.
type Flag struct {
	Names   []string // with their dashes, the first one in messages
	Value   string   // the name of its value in the help; "" where it takes none
	Words   string   // what it does
	Default string   // "" where that needs no word
}

// Described returns flags of the library as they are typed. The name of a value stands in
// backquotes in the words.
func Described(flags []cli.Flag) []Flag {
	var all []Flag
	for _, flag := range flags {
		described, ok := flag.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		before, rest, _ := strings.Cut(described.GetUsage(), "`")
		value, after, _ := strings.Cut(rest, "`")
		known := Flag{Words: before + value + after}
		for _, name := range flag.Names() {
			known.Names = append(known.Names, dashed(name))
		}
		if described.TakesValue() {
			known.Value, known.Default = value, strings.Trim(described.GetDefaultText(), `"`)
		}
		all = append(all, known)
	}
	return all
}

// dashed returns a flag's name as it is typed.
func dashed(name string) string { return strings.Repeat("-", min(len(name), 2)) + name }

// Given tells whether a flag that takes no value is among arguments, also where they are not understood otherwise.
func Given(args []string, flag string) bool {
	if at := slices.Index(args, "--"); at >= 0 { // behind it nothing is a flag
		args = args[:at]
	}
	return slices.ContainsFunc(args, func(arg string) bool {
		name, value, _ := strings.Cut(arg, "=")
		return (name == "--"+flag || name == "-"+flag) && value != "false"
	})
}

// RefuseIf refuses a combination of flags, if it was given; words say which ones, why, and
// what to give instead.
func RefuseIf(given bool, words string) error {
	if !given {
		return nil
	}
	return UsageErrorf("%s", words)
}

// OneOf checks the value of a flag that has few.
func OneOf(flag, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return UsageErrorf("--%s %q is none of %s", flag, value, strings.Join(known, ", "))
}

// The bounds of a duration: time enough for some work, and no more than a day's.
const (
	shortestDuration = time.Second
	longestDuration  = 24 * time.Hour
)

// Duration reads the value of a flag that is a duration; 0 is none.
func Duration(c *cli.Context, flag string) (time.Duration, error) {
	value := c.String(flag)
	if value == "" {
		return 0, nil
	}
	read, err := time.ParseDuration(value)
	switch {
	case err != nil:
		return 0, UsageErrorf("--%s: invalid duration %q; examples: 60s, 5m", flag, value)
	case read < shortestDuration || read > longestDuration || read%time.Second != 0:
		return 0, UsageErrorf("--%s: %q is not whole seconds from 1s to 24h; examples: 60s, 5m", flag, value)
	}
	return read, nil
}

// checkEmpty refuses flags with an empty value, which mostly come from an unset
// variable of a script: --root "$IMAGE" must not mean the working directory, nor
// --config "" the config of the machine.
func checkEmpty(c *cli.Context) error {
	for _, flag := range c.Command.Flags {
		described, ok := flag.(cli.DocGenerationFlag)
		name := flag.Names()[0]
		if ok && described.TakesValue() && c.IsSet(name) && given(c, name) == "" {
			return UsageErrorf("%s is given an empty value: see %s %s --help", dashed(name), c.App.Name, c.Command.Name)
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
