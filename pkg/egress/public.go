package egress

import (
	"net/netip"
	"slices"
)

// special are the IPv4 networks that are not everybody's: IANA's registry of
// special-purpose addresses, and multicast (RFC 5771).
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)

// global is where public IPv6 addresses are (RFC 4291), without what of it is
// set aside: protocol assignments with Teredo, documentation, 6to4.
var (
	global   = netip.MustParsePrefix("2000::/3")
	special6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
	nat64    = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the last four bytes are an IPv4 address
)

func prefixes(ss ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(ss))
	for i, s := range ss {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Public reports whether a is an address of the public Internet. One that
// carries an IPv4 address for a translator is what that one is.
func Public(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case a.Is4():
		return !slices.ContainsFunc(special, in)
	case in(nat64):
		b := a.As16()
		return Public(netip.AddrFrom4([4]byte(b[12:])))
	}
	return in(global) && !slices.ContainsFunc(special6, in)
}
