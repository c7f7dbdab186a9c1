package httpaudit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// address returns the client's address, or the zero Addr if it is not known:
// the nearest hop that is not one of ours.
func (e *Edge) address(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := plain(peer.Addr())
	// Several headers are one list: each proxy may append a header of its own.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; e.proxy(addr); i-- {
		if i < 0 {
			return addr // from a proxy itself
		}
		hop := strings.TrimSpace(hops[i])
		next, err := netip.ParseAddr(strings.Trim(hop, "[]"))
		if err != nil {
			withPort, err := netip.ParseAddrPort(hop)
			if err != nil {
				return netip.Addr{} // what a proxy believed is not for us to guess
			}
			next = withPort.Addr()
		}
		addr = plain(next)
	}
	return addr
}

func (e *Edge) proxy(addr netip.Addr) bool {
	return slices.ContainsFunc(e.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// plain writes one address in one way.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
