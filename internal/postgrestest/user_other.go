//go:build !unix

package postgrestest

import (
	"os"
	"os/exec"
)

var immediate = os.Kill

func asUser(*exec.Cmd) {}
