package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/server"
)

// newAdmin looks after the people who administer the instance.
func newAdmin(a *app) *cobra.Command {
	login := server.AdminLogin
	password := &cobra.Command{
		Use: "password", Short: "Set an administrator's password, read from the terminal or standard input", Args: exactly(0),
		Long: "Set the password with which an administrator signs in on the pages. The account is made\n" +
			"when it is not there: at the first start, nobody else can sign in.",
		Example: "  clyde-registry admin password\n  clyde-registry admin password --login ada < password.txt",
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, err := a.readPassword(cmd)
			if err != nil {
				return err
			}
			var out server.AdminMade
			if err := a.ask(cmd, "admin.password", server.AdminPassword{Login: login, Password: secret}, &out); err != nil {
				return err
			}
			if out.Made {
				return a.result(out, "The administrator %s can sign in with that password.", out.Login)
			}
			return a.result(out, "The administrator %s has a new password. Every session of the account has ended.", out.Login)
		},
	}
	password.Flags().StringVar(&login, "login", login, "login of the account")
	return group("admin", "Look after the administrators' accounts", password)
}

// readPassword asks twice on a terminal; elsewhere it reads one line.
func (a *app) readPassword(cmd *cobra.Command) (string, error) {
	in := cmd.InOrStdin()
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(in, account.MaxPassword+2)).ReadString('\n')
		if err != nil && err != io.EOF {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var typed [2]string
	for i, prompt := range []string{"New password: ", "Once more: "} {
		fmt.Fprint(a.stderr, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.stderr)
		if err != nil {
			return "", err
		}
		typed[i] = string(b)
	}
	if typed[0] != typed[1] {
		return "", clyde.Errorf(clyde.ErrInvalid, "the two passwords differ")
	}
	return typed[0], nil
}
