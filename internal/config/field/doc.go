// Package field takes the pairs of a table by a list of the keys that it may have, and files
// an error for each that does not fit. Its caller knows what the keys mean.
package field
