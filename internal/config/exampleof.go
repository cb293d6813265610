package config

import "natspread/internal/config/field"

// exampleOf shows how a key is written, or is empty for a key nobody knows.
func exampleOf(name string) string {
	if k, ok := field.Find(serviceKeys, name); ok {
		return k.Example
	}
	if k, ok := field.Find(backendKeys, name); ok {
		return k.Example
	}
	if k, ok := field.Find(checkKeys, name); ok {
		return k.Example
	}
	return ""
}
