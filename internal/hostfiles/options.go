package hostfiles

import (
	"slices"
	"strings"
)

// Option is one NAME=VALUE in a file of systemd's.
type Option struct {
	section, Name, Value string
	At                   Place
}

// Options are those of a file and its drop-ins, in order.
type Options []Option

// options reads a file. A backslash at the end of a line joins the next line to it.
func (r Root) options(file string) Options {
	var read Options
	section, joined := "", ""
	var at Place
	for _, line := range r.Lines(file) {
		if joined == "" {
			at = line.At
		}
		text, more := strings.CutSuffix(joined+line.Text, `\`)
		if joined = ""; more {
			joined = text + " "
			continue
		}
		if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
			section = text[1 : len(text)-1]
		} else if name, value, found := strings.Cut(text, "="); found {
			read = append(read, Option{section, strings.TrimSpace(name), strings.TrimSpace(value), at})
		}
	}
	return read
}

// WithDropIns returns the options of a file, of none for "", and of the drop-ins in some
// directories.
func (r Root) WithDropIns(file string, dirs []string) Options {
	var all Options
	if file != "" {
		all = r.options(file)
	}
	for _, dropIn := range r.InOrder(".conf", dirs...) {
		all = append(all, r.options(dropIn)...)
	}
	return all
}

// Boolean returns the last boolean value of an option. found is false where it has none, or
// where an empty value removed those before it.
func (o Options) Boolean(section, name string) (last Option, on, found bool) {
	for _, option := range o {
		if option.section != section || option.Name != name {
			continue
		}
		switch value := strings.ToLower(option.Value); {
		case value == "":
			found = false
		case slices.Contains([]string{"1", "yes", "y", "true", "t", "on"}, value):
			last, on, found = option, true, true
		case slices.Contains([]string{"0", "no", "n", "false", "f", "off"}, value):
			last, on, found = option, false, true
		}
	}
	return last, on, found
}

// Words returns the words of all values of an option. An empty value removes those
// before it (systemd.syntax(7)).
func (o Options) Words(section, name string) []string {
	var all []string
	for _, option := range o {
		if option.section == section && option.Name == name {
			all = append(all, strings.Fields(option.Value)...)
			if option.Value == "" {
				all = nil
			}
		}
	}
	return all
}
