package bootfiles

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// File is a file that loads rules at boot which natspread replaces, with the numbers of their lines.
type File struct {
	From, Name string
	Numbers    []int
	Sure       bool
	rules      bool // each of the lines is a rule and nothing else, so sed may take it out
}

// isRule matches a line for iptables-restore. Without it the file is as good as before.
var isRule = regexp.MustCompile(`^(\[\d+:\d+\] )?(-A|-I|--append|--insert) `)

// isPath matches a name that needs no quotes in a shell.
var isPath = regexp.MustCompile(`^[\w./@+-]+$`)

// Files puts lines together that stand in one file, and of which we know as much.
func Files(lines []Line) []File {
	var files []File
	for _, line := range lines {
		at := slices.IndexFunc(files, func(f File) bool { return f.Name == line.File && f.Sure == line.Sure })
		if at < 0 {
			files = append(files, File{From: line.From, Name: line.File, Sure: line.Sure, rules: isPath.MatchString(line.File)})
			at = len(files) - 1
		}
		files[at].Numbers = append(files[at].Numbers, line.Line)
		files[at].rules = files[at].rules && isRule.MatchString(line.Text)
	}
	return files
}

// String says who loads which lines, in one line.
func (f File) String() string {
	if !f.Sure {
		return fmt.Sprintf("%s loads the old rules again if a variable is one of their backends: %s of %s", f.From, f.lines(), f.Name)
	}
	return fmt.Sprintf("%s loads the old rules again: %s of %s", f.From, f.lines(), f.Name)
}

// Fix returns the command that takes the lines out; "" where more than a rule may stand in one of them.
func (f File) Fix() string {
	if !f.rules || !f.Sure {
		return ""
	}
	return fmt.Sprintf("sed -i '%sd' %s", strings.Join(f.ranges(","), "d;"), f.Name)
}

// lines writes the numbers for people: "line 4", "lines 5-7 and 9".
func (f File) lines() string {
	all := f.ranges("-")
	words := strings.Join(all, ", ")
	if last := len(all) - 1; last > 0 {
		words = strings.Join(all[:last], ", ") + " and " + all[last]
	}
	if len(f.Numbers) == 1 {
		return "line " + words
	}
	return "lines " + words
}

// ranges writes the numbers in order, with a sign between the first and the last of those that follow each other.
func (f File) ranges(sign string) []string {
	numbers := slices.Compact(slices.Sorted(slices.Values(f.Numbers)))
	var all []string
	for first := 0; first < len(numbers); {
		last := first
		for last+1 < len(numbers) && numbers[last+1] == numbers[last]+1 {
			last++
		}
		word := fmt.Sprint(numbers[first])
		if last > first {
			word += sign + fmt.Sprint(numbers[last])
		}
		all = append(all, word)
		first = last + 1
	}
	return all
}
