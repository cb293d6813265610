// Package recipetest holds the pages of docs to what they say: each text that a page shows is run, by a test here
// or by a story of internal/lab/boot, and each link leads somewhere.
package recipetest
