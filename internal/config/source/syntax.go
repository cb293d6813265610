package source

import (
	"regexp"
	"slices"
	"strings"
)

// keyForm finds a key and what follows it on a line, with or without what has to stand between
// them.
var keyForm = regexp.MustCompile(`(?:^|[{,])\s*([A-Za-z0-9_-]+)(?:\s*(?:=|:=|:|=>)\s*|\s+)([^=]*)$`)

// syntaxFix is the way to write whatever the syntax error stands in: with what is missing there, or its
// key with the values that are there, or the example of the key, or a form.
func (s *Source) syntaxFix(at Span, fault string, exampleOf func(key string) string) string {
	begin := strings.LastIndexByte(s.Text[:at.Start], '\n') + 1
	line, _, _ := strings.Cut(s.Text[begin:], "\n")
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "[") && !strings.Contains(line, "=") {
		if begin > s.part(at).at.Start && line == "[[service]]" {
			return "close the list above it with ]"
		}
		return "write [[" + strings.Trim(line, "[] \t") + "]]"
	}
	if fix := s.missing(at, fault); fix != "" {
		return fix
	}
	whole := keyForm.FindStringSubmatch(line)
	if whole != nil && exampleOf(whole[1]) != "" {
		return "write " + repaired(whole[1], whole[2], exampleOf(whole[1]))
	}
	if m := keyForm.FindStringSubmatch(s.Text[begin:at.Start]); m != nil && exampleOf(m[1]) != "" {
		return "write " + exampleOf(m[1])
	}
	if whole != nil {
		return "write " + repaired(whole[1], whole[2], whole[1]+` = "value"`)
	}
	return `write it behind a #, or as key = "value"`
}

// word is a string, with or without its quotes, or what else stands alone.
var word = regexp.MustCompile(`"[^"]*"?|'[^']*'?|[^\s,\[\]{}"'#]+`)

// repaired writes a key with the values that were found behind it, as its example has them: in
// quotes, and in a list. It returns the example where that is not TOML either.
func repaired(key, found, example string) string {
	_, model, _ := strings.Cut(example, " = ")
	found = strings.NewReplacer("\u201c", `"`, "\u201d", `"`, "\u2019", "'", "\u2018", "'").Replace(found)
	if !strings.ContainsAny(found, `"'`) {
		found, _, _ = strings.Cut(found, "#")
	}
	values := word.FindAllString(found, -1)
	quoted := strings.ContainsAny(model, `"`)
	for i, v := range values {
		values[i] = strings.Trim(v, `"'`)
		if quoted {
			values[i] = Quote(values[i])
		} else {
			values[i] = plain(values[i])
		}
	}
	line := key + " = " + strings.Join(values, ", ")
	if strings.HasPrefix(model, "[") || len(values) > 1 && strings.Contains(found, "[") {
		line = key + " = [" + strings.Join(values, ", ") + "]"
	}
	some := slices.ContainsFunc(values, func(v string) bool { return v != `""` })
	if !some || strings.Contains(found, "{") || !isTOML(line) {
		return example
	}
	return line
}

// plain writes a number or a switch as TOML has it; "" for what is neither.
func plain(text string) string {
	switch lower := strings.ToLower(text); lower {
	case "true", "yes", "on":
		return "true"
	case "false", "no", "off":
		return "false"
	default:
		if strings.Trim(lower, "0123456789") != "" {
			return `""`
		}
		return lower
	}
}
