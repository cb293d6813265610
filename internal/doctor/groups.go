package doctor

// groups collects values by a key, the keys in the order in which they came first.
type groups[K, V comparable] struct {
	keys   []K
	values map[K][]V
}

// add adds a value to those of a key, unless it was the last one to be added there. That
// is enough to have each service once: what one service adds comes in one go.
func (g *groups[K, V]) add(key K, value V) {
	if g.values == nil {
		g.values = map[K][]V{}
	}
	values, known := g.values[key]
	if !known {
		g.keys = append(g.keys, key)
	}
	if len(values) == 0 || values[len(values)-1] != value {
		g.values[key] = append(values, value)
	}
}
