package adopt

import (
	"fmt"
	"slices"
	"strings"
)

// Question is a choice that is open.
type Question struct {
	Flag    string   `json:"flag"` // that answers it: listen, shares, snat
	Service string   `json:"service"`
	Text    string   `json:"question"`
	Answers []string `json:"answers"`
}

// anAddress stands in Answers for an address of this host.
const anAddress = "ADDRESS"

// Prompt says what may be typed, and returns the answer that a yes stands for; "" for none.
func (q Question) Prompt() (prompt, proposed string) {
	words := slices.Clone(q.Answers)
	if at := slices.Index(words, anAddress); at >= 0 {
		words[at] = "an address of this host"
	}
	if q.Answers[0] != anAddress {
		proposed = q.Answers[0]
	}
	return strings.Join(words, ", "), proposed
}

// Wrong says what is wrong with an answer; "" where nothing is.
func (q Question) Wrong(answer string) string {
	if !slices.Contains(q.Answers, answer) && !slices.Contains(q.Answers, anAddress) {
		return fmt.Sprintf("%q is none of %s", answer, strings.Join(q.Answers, ", "))
	}
	_, wrong, _ := strings.Cut(Choices{}.With(q.Flag, answer).Wrong(), " ") // without the flag
	return wrong
}

// With returns choices with one more answer. Addresses to listen at may be several, with blanks between them.
func (c Choices) With(flag, answer string) Choices {
	switch flag {
	case "listen":
		c.Listen = append(slices.Clone(c.Listen), strings.Fields(answer)...)
	case "shares":
		c.Shares = answer
	case "snat":
		c.SNAT = answer
	case "except":
		c.Except = append(slices.Clone(c.Except), answer)
	}
	return c
}

// Missing returns the flags that answer all open questions, each with its first answer; "" for none.
func (r Result) Missing() string {
	var choices Choices
	var asked []string
	for _, q := range r.Questions {
		if !slices.Contains(asked, q.Flag) {
			asked = append(asked, q.Flag)
			choices = choices.With(q.Flag, q.Answers[0])
		}
	}
	return strings.TrimSpace(choices.Flags())
}

// answers writes how a question is answered.
func (q Question) answers() string {
	var words []string
	for _, answer := range q.Answers {
		words = append(words, strings.TrimSpace(Choices{}.With(q.Flag, answer).Flags()))
	}
	return strings.Join(words, ", or ")
}

// together puts questions together that are the same for several services.
func together(all []Question) []Question {
	var list []Question
	for _, q := range all {
		at := slices.IndexFunc(list, func(one Question) bool {
			return one.Flag == q.Flag && one.Text == q.Text && slices.Equal(one.Answers, q.Answers)
		})
		if at < 0 {
			list = append(list, q)
		} else {
			list[at].Service += ", " + q.Service
		}
	}
	return list
}
