//go:build !linux

package main

import (
	"errors"
	"os"
)

// openTerminal is for Linux; scripts that need it begin with [!linux] skip.
func openTerminal() (keys, terminal *os.File, err error) {
	return nil, nil, errors.ErrUnsupported
}
