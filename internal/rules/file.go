package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// end is the last line of a rules file. A file without it was cut.
const end = "# natspread: end of rules\n"

// EncodeFile returns the rules file of a table: a header comment with its name and the
// sha256 of all that follows it, the table's text, and a last comment line.
// To iptables-restore these are comments, so the file loads without natspread.
func EncodeFile(table Table) []byte {
	body := append(table.Text(), end...)
	return append(header(table, body), body...)
}

// header returns the first line of a table's rules file with this body.
func header(table Table, body []byte) []byte {
	sum := sha256.Sum256(body)
	return fmt.Appendf(nil, "# natspread %s sha256 %s\n", table.String(), hex.EncodeToString(sum[:]))
}

// Errors of Open that say what became of a file.
var (
	ErrEmpty   = errors.New("it is empty")
	ErrForeign = errors.New("its first line is not that of a natspread rules file for this table")
	ErrCut     = errors.New("it was cut: its last line is missing")
	ErrAltered = errors.New("it was altered: its sha256 is not the one in its first line")
)

// DecodeFile reads a rules file. It is the inverse of Seal, and it takes nothing that
// Seal did not write: iptables-restore itself takes an empty file, a cut comment
// and a stranger's rules, each with exit code 0.
func DecodeFile(family Family, kind TableName, file []byte) (Table, error) {
	if len(file) == 0 {
		return Table{}, ErrEmpty
	}
	first, body, _ := bytes.Cut(file, []byte("\n"))
	if !bytes.HasPrefix(first, fmt.Appendf(nil, "# natspread %s sha256 ", Table{Family: family, Name: kind}.String())) {
		return Table{}, ErrForeign
	}
	text, whole := bytes.CutSuffix(body, []byte(end))
	if !whole {
		return Table{}, ErrCut
	}
	if !bytes.Equal(file[:len(first)+1], header(Table{Family: family, Name: kind}, body)) {
		return Table{}, ErrAltered
	}
	return Parse(family, kind, text)
}
