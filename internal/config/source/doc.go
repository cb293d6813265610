// Package source reads the text of a config into values that know their places, so that an
// error points at what is wrong. It knows TOML, and none of natspread's keys.
package source
