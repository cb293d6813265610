package config

// fault is why a value cannot be used. Without a fix, the key's example is it.
type fault struct{ cause, fix string }
