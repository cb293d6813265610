// Package hosttest is a balancer in a test's own namespaces: the configs that tests load,
// the host's iptables as its own programs show them, and generations on disk, good and
// damaged.
//
// It imports neither restore nor restore/iptables, so that tests within those packages can
// use it.
package hosttest
