package httpguard

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Address returns the client's address, as the package's documentation says; the zero Addr if it is unknown.
func (g *Guard) Address(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := plain(peer.Addr())
	if !g.proxy(addr) {
		return addr
	}
	// Several headers are one list: a client can send its own, and a proxy append another.
	list := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for list != "" {
		var last string
		if i := strings.LastIndexByte(list, ','); i >= 0 {
			list, last = list[:i], list[i+1:]
		} else {
			list, last = "", list
		}
		addr, ok := parse(strings.Trim(last, " \t"))
		if !ok {
			return netip.Addr{}
		}
		if !g.proxy(addr) {
			return addr
		}
	}
	return netip.Addr{} // from one of the proxies themselves
}

func (g *Guard) proxy(addr netip.Addr) bool {
	return slices.ContainsFunc(g.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// parse reads an address, with the port that some proxies add.
func parse(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		var ap netip.AddrPort
		if ap, err = netip.ParseAddrPort(s); err != nil {
			if len(s) < 2 || s[0] != '[' || s[len(s)-1] != ']' {
				return netip.Addr{}, false
			}
			if addr, err = netip.ParseAddr(s[1 : len(s)-1]); err != nil || !addr.Is6() {
				return netip.Addr{}, false
			}
			return plain(addr), addr.Zone() == ""
		}
		addr = ap.Addr()
	}
	return plain(addr), addr.Zone() == ""
}

// plain writes one address in one way: IPv4 as such, without a zone.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
