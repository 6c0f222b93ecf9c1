package server

import (
	"io"
	"net/http"
)

// api answers the addresses of programs.
func (s *Server) api(string) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return mux, nil
}
