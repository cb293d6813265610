// Package value turns one string of a config into the address, port, name or word that it
// means, or says why it means none. It knows neither where the string stands nor its key.
package value
