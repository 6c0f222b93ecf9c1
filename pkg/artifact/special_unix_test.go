//go:build unix

package artifact_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// TestPackSpecial packs what is no file, also where a file is read by name:
// opening a named pipe would wait for ever. Not parallel: it changes the
// working directory.
func TestPackSpecial(t *testing.T) { //nolint:paralleltest // changes the working directory
	fifo := func(p string) error { return syscall.Mkfifo(p, 0o600) }
	for _, tt := range []struct {
		name, at string
		make     func(p string) error
		ignore   string
		ok       bool
	}{
		{"named pipe", "src/pipe", fifo, "", false},
		{"named pipe, ignored", "src/pipe", fifo, "pipe", true},
		{"named pipe as ignore file", ".clydeignore", fifo, "", false},
		{"named pipe as manifest", ".clyde/package.yaml", fifo, "", false},
		{"named pipe as readme", "README.md", fifo, "", false},
		{"socket", "s", func(p string) error {
			t.Chdir(filepath.Dir(p)) // names of sockets are short
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "s", Net: "unix"})
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		}, "", false},
	} {
		dir := project(t, "a", "")
		p := filepath.Join(dir, filepath.FromSlash(tt.at))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o700), tt.make(p)); err != nil {
			t.Fatal(err)
		}
		if tt.ignore != "" {
			write(t, dir, ".clydeignore", tt.ignore)
		}
		packed, err := artifact.Pack(t.Context(), dir, artifact.PackOptions{})
		if tt.ok != (err == nil) || err != nil && !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("%s: Pack = %v; accepted: want %v", tt.name, err, tt.ok)
		}
		if packed != nil {
			packed.Close()
		}
	}
}
