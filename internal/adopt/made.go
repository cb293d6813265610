package adopt

import (
	"bytes"
	"regexp"
)

// madeBy is how the first line of a config begins that adopt made. The flags that it was made with stand behind it.
const madeBy = "# Made by natspread adopt"

// again matches the first line of a config that adopt made, with its flags.
var again = regexp.MustCompile(`^` + madeBy + `((?: --(?:listen|shares|snat|except) \S+)*) from the rules that this host had\.\n`)

// Again returns the line that makes a config again that adopt made, and loads it in place of the old rules; "" for any
// other config.
func Again(text []byte) string {
	flags := again.FindSubmatch(text)
	if flags == nil {
		return ""
	}
	return "natspread adopt --apply" + string(flags[1])
}

// IsMade tells whether a file is the config that adopt made here, with whatever flags.
func (r Result) IsMade(file []byte) bool {
	made := func(text []byte) []byte { return again.ReplaceAll(text, nil) }
	return Again(file) != "" && bytes.Equal(made(file), made(r.Text))
}
