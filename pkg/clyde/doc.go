// Package clyde defines the words of the registry: names, versions, ranges,
// manifests, events and the errors about them. It performs no I/O; every other
// package of the module may import it and it imports none of them.
package clyde
