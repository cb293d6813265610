package config

import _ "embed"

// example is the commented config of a balancer for three web servers.
//
//go:embed example.toml
var example string

// Example returns a commented config that parses and names every key there is.
func Example() []byte { return []byte(example) }
