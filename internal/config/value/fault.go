package value

// Fault is why a value cannot be used. Without a fix, the key's example is it.
type Fault struct{ Cause, Fix string }
