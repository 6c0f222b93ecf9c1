package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// trustProxies lets X-Forwarded-For and X-Forwarded-Proto count where they
// come from a configured proxy, and removes them otherwise, so that nothing
// further in can be fooled by them.
func (s *Server) trustProxies(next http.Handler) http.Handler {
	trusted, _ := s.cfg.HTTP.Proxies() // validated with the configuration
	isTrusted := func(a netip.Addr) bool {
		for _, p := range trusted {
			if p.Contains(a.Unmap()) {
				return true
			}
		}
		return false
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err == nil && isTrusted(peer.Addr()) {
			// The last address that is not a proxy of ours is the client.
			hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
			for _, hop := range slices.Backward(hops) {
				a, err := netip.ParseAddr(strings.TrimSpace(hop))
				if err != nil {
					break
				}
				r.RemoteAddr = net.JoinHostPort(a.String(), "0")
				if !isTrusted(a) {
					break
				}
			}
		} else {
			r.Header.Del("X-Forwarded-Proto")
			r.Header.Del("X-Forwarded-Host")
		}
		r.Header.Del("X-Forwarded-For")
		r.Header.Del("Forwarded")
		next.ServeHTTP(w, r)
	})
}
