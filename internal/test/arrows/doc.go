// Package arrows holds the imports of the whole house to their one direction:
// what a room must not know, it must not import. It is a test alone.
package arrows
