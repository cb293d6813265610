package config

// exampleOf shows how a key is written, or is empty for a key nobody knows.
func exampleOf(name string) string {
	if k, ok := find(serviceKeys, name); ok {
		return k.example
	}
	if k, ok := find(backendKeys, name); ok {
		return k.example
	}
	if k, ok := find(checkKeys, name); ok {
		return k.example
	}
	return ""
}
