package promtest

import "testing"

// TestScrapeRefuses holds the reader to the format.
func TestScrapeRefuses(t *testing.T) {
	t.Parallel()
	const about = "# HELP a_b c\n# TYPE a_b gauge\n"
	for _, text := range []string{
		"", about, about + "a_b 1", about + "a_c 1\n", "a_b 1\n" + about, about + "a_b one\n", about + "a_b 1\na_b 1\n",
		about + "a_b{x=1} 1\n", about + "a_b{x=\"\"\"} 1\n", "# TYPE a_b gauge\na_b 1\n", about + about + "a_b 1\n", about + "a-b 1\n",
	} {
		if _, err := Scrape(text); err == nil && text != about {
			t.Errorf("%q passes", text)
		}
	}
	if got, err := Scrape(about + "a_b{x=\"1\",y=\"2\"} 3e-05\n"); err != nil || got.Values["a_b,x=1,y=2"] != 3e-05 {
		t.Errorf("%v, %v", got, err)
	}
}
