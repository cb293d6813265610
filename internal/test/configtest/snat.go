package configtest

import (
	"slices"

	"pgregory.net/rapid"

	"natspread/internal/config"
)

// sourcePool generates one source address, a few, or ranges of them.
func sourcePool(t *rapid.T, six bool) config.SNAT {
	if rapid.Bool().Draw(t, "one source") {
		return config.SNAT{Mode: config.Address, Addr: address(t, six, sources)}
	}
	made := config.SNAT{Mode: config.Address}
	for range rapid.IntRange(1, 4).Draw(t, "sources") {
		first := address(t, six, sources)
		one := config.Sources{First: first, Last: first}
		for range rapid.IntRange(0, 8).Draw(t, "more sources") {
			if next := one.Last.Next(); !next.IsMulticast() && rapid.Bool().Draw(t, "a range") {
				one.Last = next
			}
		}
		if !slices.ContainsFunc(made.Pool, one.Overlaps) {
			made.Pool = append(made.Pool, one)
		}
	}
	if len(made.Pool) == 1 && made.Pool[0].First == made.Pool[0].Last {
		return config.SNAT{Mode: config.Address, Addr: made.Pool[0].First}
	}
	return made
}

// snatText writes snat, several source addresses as a list.
func snatText(service config.Service) string {
	text := "snat = \"" + service.SNAT.String() + "\"\n"
	if service.SNAT.Pool != nil {
		text = "snat = " + list(service.SNAT.Pool) + "\n"
	}
	return text
}

// farApart are source addresses of which no two follow on one another.
func (f *filler) farApart() config.SNAT {
	made := config.SNAT{Mode: config.Address}
	for i := range 2 + f.IntN(3) {
		a := f.address(sources, 8+2*i)
		made.Pool = append(made.Pool, config.Sources{First: a, Last: a})
	}
	return made
}
