// Package uplinktest holds docs/uplinks.md to what it says: its texts are run on a balancer with two
// uplinks.
package uplinktest
