// Package endpoint is what one string of a config means that names where packets come from or go to: an
// address with its ports, some ports, or a pair of them. It knows no keys.
package endpoint
