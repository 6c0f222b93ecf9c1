//go:build unix

package postgrestest

import (
	"os/exec"
	"syscall"
)

// immediate is Postgres's signal for ending without waiting for anybody.
const immediate = syscall.SIGQUIT

// asUser runs a command as who servers run as, in a process group of its own,
// so that an interrupt at the terminal does not reach it before the tests.
func asUser(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if uid, gid, other := runAs(); other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
}
