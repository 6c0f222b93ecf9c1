package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clydepm/clyde-registry/pkg/api"
)

// oneConn is a listener that accepts one connection in memory, so that time
// can be faked.
type oneConn struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l oneConn) Close() error   { close(l.done); return nil }
func (l oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// A client that announces a body and holds it back, whole or in part, gets its
// answer and loses the connection, whatever the handler does with the body.
func TestPatient(t *testing.T) {
	t.Parallel()
	const slow = 5 * time.Minute
	for _, tt := range []struct {
		name, path string
		send       func(io.Writer) // after the header
		handle     http.HandlerFunc
		least      time.Duration // until the answer
		most       time.Duration
		status     int
	}{
		{"body not read", "/v2/", nil, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, 0, drainPatience, 401},
		{"body not read, large answer", "/", nil, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<16)) }, 0, api.UploadIdle, 200},
		{"deadline taken away", "/api/v1/packages", nil, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			w.WriteHeader(401)
		}, 0, drainPatience, 401},
		{"body read, none comes", "/v2/", nil, readAll, api.UploadIdle, api.UploadIdle + drainPatience, 408},
		{"body read, a byte now and then", "/v2/", func(w io.Writer) {
			for {
				if _, err := w.Write([]byte("x")); err != nil {
					return
				}
				<-time.After(api.UploadIdle - time.Second) // of the bubble's clock
			}
		}, readAll, api.UploadGrace, api.UploadGrace + drainPatience, 408},
		{"body comes, handler works on", "/v2/", func(w io.Writer) { _, _ = w.Write(make([]byte, 1000)) }, func(w http.ResponseWriter, r *http.Request) {
			readAll(w, r)
			select {
			case <-r.Context().Done():
				t.Error("the request ended")
			case <-time.After(slow):
			}
		}, slow, slow, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := oneConn{make(chan net.Conn, 1), make(chan struct{})}
				srv := &http.Server{Handler: patient(tt.handle, defaultPace)}
				go func() {
					if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
						t.Error(err)
					}
				}()
				client, server := net.Pipe()
				l.conns <- server
				began := time.Now()
				var sender sync.WaitGroup
				sender.Go(func() {
					_, _ = io.WriteString(client, "POST "+tt.path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
					if tt.send != nil {
						tt.send(client)
					}
				})
				resp, err := http.ReadResponse(bufio.NewReader(client), nil)
				if err != nil {
					t.Fatal(err)
				}
				took := time.Since(began)
				if resp.StatusCode != tt.status || took < tt.least || took > tt.most {
					t.Errorf("answered %d after %v; want %d within %v to %v", resp.StatusCode, took, tt.status, tt.least, tt.most)
				}
				if err := errors.Join(resp.Body.Close(), client.Close(), srv.Close()); err != nil {
					t.Error(err)
				}
				sender.Wait()
			})
		})
	}
}

// readAll answers 408 where the body does not come.
func readAll(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.WriteHeader(http.StatusRequestTimeout)
	}
}
