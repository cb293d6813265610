// Package selftest tries a config with real connections: in network namespaces of its own it
// builds the balancer, its backends and its clients from the config alone, loads the rules that an
// apply would load, and compares what comes of the connections with what the config says.
//
// What it assumes of the network: a subnet is /24, or /64 for IPv6. The balancer has every listen
// address and every address of snat; a backend with such an address, or with one of this host, is a
// program on the balancer.
// All other backends are on one network, and their default route is the balancer. Clients are
// where no backend is, or beside the backends, where a backend answers them directly.
//
// The namespaces have no names, and it writes no file: the kernel ends all of it with the process.
package selftest
