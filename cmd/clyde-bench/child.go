package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the peer's storage
	"github.com/sirupsen/logrus"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/server"
)

// A measured server is this program started again with a hidden subcommand and
// a directory, so that its processor time and memory are its own. It prints a
// greeting, answers each line on its input with its usage so far, and stops
// when its input ends.

// greeting is a child's first line.
type greeting struct{ Addr, Secret string }

// usage is what a process has taken so far.
type usage struct {
	CPU  time.Duration // user and system
	RSS  int64         // bytes now
	Peak int64         // bytes at most
	Heap int64         // bytes of Go's heap in use after the last collection
}

// children are the hidden subcommands.
var children = map[string]func(ctx context.Context, dir string, ready func(greeting)) error{
	"serve-ours": serveOurs,
	"serve-peer": servePeer,
}

func serveChild(ctx context.Context, name string, args []string, stdin io.Reader, stdout io.Writer) (err error) {
	if len(args) != 1 {
		return errors.New("want one directory")
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if dir := os.Getenv(profileEnv); dir != "" {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", filepath.Base(args[0]), os.Getpid())))
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(err, f.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, f.Close())
		}()
	}
	out := json.NewEncoder(stdout)
	return children[name](ctx, args[0], func(g greeting) {
		if err := out.Encode(g); err != nil {
			stop()
			return
		}
		go func() {
			defer stop()
			for lines := bufio.NewScanner(stdin); lines.Scan(); {
				if lines.Text() == "gc" {
					runtime.GC()
				}
				if out.Encode(used()) != nil {
					return
				}
			}
		}()
	})
}

func ourConfig(dir string) config.Config {
	c := config.Default()
	c.Data.Dir, c.HTTP.Addr = dir, "127.0.0.1:0"
	c.Limits.Searches, c.API.ReadsPerSecond = 0, 0 // one address asks for everybody
	return c
}

func serveOurs(ctx context.Context, dir string, ready func(greeting)) error {
	s, err := server.New(ctx, ourConfig(dir), server.Options{})
	if err != nil {
		return err
	}
	secret, _, err := s.Accounts.Create(ctx, server.System, account.TokenSpec{Name: "bench " + time.Now().UTC().Format(time.RFC3339Nano), Admin: true})
	if err == nil {
		ready(greeting{strings.Replace(strings.TrimPrefix(s.PublicURL(), "http://"), "localhost", "127.0.0.1", 1), secret})
		err = s.Run(ctx)
	}
	return errors.Join(err, s.Close())
}

// servePeer is distribution as its own program would run it, without
// authentication, and with its log thrown away.
func servePeer(ctx context.Context, dir string, ready func(greeting)) error {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.PanicLevel)
	c := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem":  {"rootdirectory": dir, "maxthreads": 100},
		"delete":      {"enabled": true},
		"cache":       {"blobdescriptor": "inmemory"},
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}}
	c.HTTP.Secret, c.HTTP.RelativeURLs = "benchmark", true
	app := handlers.NewApp(ctx, c)
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: app, ReadHeaderTimeout: time.Minute}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		_ = srv.Close()
	}()
	ready(greeting{Addr: ln.Addr().String()})
	err = srv.Serve(ln)
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, app.Shutdown())
}

// child is a server that is being measured.
type child struct {
	greeting
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// start runs a server on a directory below b.dir and waits for its greeting.
func (b *bench) start(ctx context.Context, name, dir string, env ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(b.dir, dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, name, dir)}
	c.cmd.Env = append(os.Environ(), append([]string{childEnv + "=1", profileEnv + "=" + b.profile}, env...)...)
	c.cmd.Stderr = b.log.Writer()
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.out = json.NewDecoder(out)
	if err := c.out.Decode(&c.greeting); err != nil {
		return nil, errors.Join(fmt.Errorf("%s does not start: %w", name, err), c.stop())
	}
	return c, nil
}

// childEnv tells a test binary that it is a child; the program looks at its
// arguments.
const childEnv = "CLYDE_BENCH_CHILD"

// profileEnv names a directory in which a child writes a profile of its
// processor time.
const profileEnv = "CLYDE_BENCH_PROFILE"

// usage asks the child; collect makes it collect garbage before.
func (c *child) usage(collect bool) (u usage, err error) {
	line := "usage\n"
	if collect {
		line = "gc\n"
	}
	if _, err = io.WriteString(c.in, line); err != nil {
		return u, err
	}
	return u, c.out.Decode(&u)
}

func (c *child) stop() error { return errors.Join(c.in.Close(), c.cmd.Wait()) }

// used is the usage of this process.
func used() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := system()
	u.Heap = int64(m.HeapAlloc)
	return u
}
