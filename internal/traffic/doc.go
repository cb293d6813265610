// Package traffic makes real connections: servers that say who they are and whom they see, and
// clients that ask them. It must not know what is between the two.
package traffic
