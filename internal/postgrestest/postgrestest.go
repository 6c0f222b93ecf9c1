// Package postgrestest runs private Postgres servers for tests, made by initdb
// in a directory of the test's own and reachable over a socket in it.
package postgrestest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// startTime bounds how long a server may take to begin or to end.
const startTime = 30 * time.Second

// Server is a running server.
type Server struct {
	dir  string // data and socket
	bin  string
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd ended
	next atomic.Int64
}

// Start starts a server that stops with the test. It skips a test that make
// test/postgres does not run, and fails it there when Postgres is missing.
func Start(t testing.TB) *Server {
	t.Helper()
	if os.Getenv("CLYDE_TEST_POSTGRES") == "" {
		t.Skip("needs Postgres; make test/postgres runs it")
	}
	s := &Server{bin: find(t)}
	var err error
	if s.dir, err = os.MkdirTemp("", "clyde-pg-"); err != nil { //nolint:usetesting // a socket's path has at most 107 bytes
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop(t)
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
	})
	if err := own(s.dir); err != nil {
		t.Fatal(err)
	}
	// A database in English, so that an order which is not that of the bytes
	// shows wherever a statement forgot to ask for it.
	out, err := s.command("initdb", "-D", filepath.Join(s.dir, "data"), "-U", "clyde", "-A", "trust",
		"-E", "UTF8", "--locale-provider=icu", "--icu-locale=en", "--no-sync").CombinedOutput()
	if err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Go(t)
	return s
}

// find returns the directory of Postgres's programs, which Debian keeps off PATH.
func find(t testing.TB) string {
	t.Helper()
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(p)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is right
	if len(found) == 0 {
		t.Fatal("initdb is missing: apt-get install postgresql")
	}
	return filepath.Dir(found[len(found)-1])
}

// runAs is the user that servers run as: they refuse to be root.
func runAs() (uid, gid int, other bool) {
	if os.Getuid() != 0 {
		return os.Getuid(), os.Getgid(), false
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return 65534, 65534, true // nobody
	}
	uid, err = strconv.Atoi(u.Uid)
	if err != nil {
		return 65534, 65534, true
	}
	gid, err = strconv.Atoi(u.Gid)
	if err != nil {
		return 65534, 65534, true
	}
	return uid, gid, true
}

func own(dir string) error {
	uid, gid, other := runAs()
	if !other {
		return nil
	}
	return os.Chown(dir, uid, gid)
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...) //nolint:noctx // it outlives the call, and Stop ends it
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	asUser(cmd)
	return cmd
}

// Go starts the server again after Stop.
func (s *Server) Go(t testing.TB) {
	t.Helper()
	var log bytes.Buffer
	cmd := s.command("postgres", "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=300", "-c", "shared_buffers=64MB",
		"-c", "log_min_messages=fatal", "-c", "log_min_error_statement=panic")
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.cmd, s.done = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait() // Stop ends it
		close(s.done)
	}()
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return
		}
		select {
		case <-s.done:
			t.Fatalf("postgres ended: %s", log.String())
		case <-ctx.Done():
			t.Fatalf("postgres does not answer: %v\n%s", err, log.String())
		case <-tick.C:
		}
	}
}

// Stop ends the server at once, as a crash does, and every connection to it.
// Stopping again does nothing.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(immediate); err != nil {
		t.Error(err)
	}
	select {
	case <-s.done:
	case <-time.After(startTime):
		t.Error("postgres does not stop")
		_ = s.cmd.Process.Kill()
	}
	s.cmd = nil
}

// Database makes an empty database and returns its address.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d", s.next.Add(1))
	s.Exec(t, "postgres", "CREATE DATABASE "+name)
	return s.url(name)
}

// Copy makes a database that is like the one at the address, to which nobody
// may be connected, and returns its address.
func (s *Server) Copy(t testing.TB, of string) string {
	t.Helper()
	u, err := url.Parse(of)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("t%d", s.next.Add(1))
	s.Exec(t, "postgres", "CREATE DATABASE "+name+" TEMPLATE "+u.Path[1:])
	return s.url(name)
}

// Exec runs a statement in a database named, as its owner.
func (s *Server) Exec(t testing.TB, database, stmt string) {
	t.Helper()
	db, err := sql.Open("pgx", s.url(database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), stmt); err != nil {
		t.Fatalf("%s: %v", stmt, err)
	}
}

func (s *Server) url(database string) string {
	return "postgres://clyde@/" + database + "?" + url.Values{"host": {s.dir}, "sslmode": {"disable"}}.Encode()
}
