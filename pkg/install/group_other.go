//go:build !unix

package install

import "os/exec"

// ownGroup does nothing where there are no process groups: the step itself
// ends, and its output is let go.
func ownGroup(*exec.Cmd) {}

// endGroup is for systems with groups of processes.
func endGroup(*exec.Cmd) {}
