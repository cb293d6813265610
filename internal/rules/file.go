package rules

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
)

// The files that hold what the kernel is given end with a line that says so. One without it
// was cut.
const (
	endOfRules    = "# natspread: end of rules\n"
	endOfServices = "# natspread: end of services\n"
)

// EncodeFile returns the rules file of a table: a header comment with its name and the
// sha256 of all that follows it, the table's text, and a last comment line.
// To iptables-restore these are comments, so the file loads without natspread.
func EncodeFile(table Table) []byte { return encode(table.String(), table.Text(), endOfRules) }

// DecodeFile reads a rules file. It is the inverse of EncodeFile, and it takes nothing that
// EncodeFile did not write: iptables-restore itself takes an empty file, a cut comment
// and a stranger's rules, each with exit code 0.
func DecodeFile(family Family, name TableName, file []byte) (Table, error) {
	text, err := decode(Table{Family: family, Name: name}.String(), file, endOfRules)
	if err != nil {
		return Table{}, err
	}
	return Parse(family, name, text)
}

// encode frames a text: a first line with what it is and the sha256 of all that follows,
// and a last line.
func encode(what string, text []byte, end string) []byte {
	body := append(text, end...)
	return append(header(what, body), body...)
}

// header returns the first line of a file with this body.
func header(what string, body []byte) []byte {
	return fmt.Appendf(nil, "# natspread %s sha256 %x\n", what, sha256.Sum256(body))
}

// Errors of DecodeFile and DecodeServices that say what became of a file.
var (
	ErrEmpty   = errors.New("it is empty")
	ErrForeign = errors.New("its first line is not the one that natspread writes into this file")
	ErrCut     = errors.New("it was cut: its last line is missing")
	ErrLonger  = errors.New("it was altered: something stands behind its last line")
	ErrAltered = errors.New("it was altered: its sha256 is not the one in its first line")
)

// decode returns the text that encode framed.
func decode(what string, file []byte, end string) ([]byte, error) {
	if len(file) == 0 {
		return nil, ErrEmpty
	}
	first, body, _ := bytes.Cut(file, []byte("\n"))
	if !bytes.HasPrefix(first, fmt.Appendf(nil, "# natspread %s sha256 ", what)) {
		return nil, ErrForeign
	}
	text, whole := bytes.CutSuffix(body, []byte(end))
	switch {
	case !whole && bytes.Contains(file, []byte("\n"+end)):
		return nil, ErrLonger
	case !whole:
		return nil, ErrCut
	}
	if !bytes.Equal(file[:len(first)+1], header(what, body)) {
		return nil, ErrAltered
	}
	return text, nil
}
