package server

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// limitedListener closes connections beyond max at once, so that they do not
// wait in vain. Of those, one source of the network holds at most perSource: one
// that opens them and says nothing must leave places for the others.
type limitedListener struct {
	net.Listener
	max, perSource int
	refused        prometheus.Counter

	mu      sync.Mutex
	open    int
	sources map[netip.Prefix]int
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := network(addressOf(c))
		if l.admit(source) {
			return &limitedConn{Conn: c, listener: l, source: source}, nil
		}
		l.refused.Inc()
		c.Close()
	}
}

func (l *limitedListener) admit(source netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.max || source.IsValid() && l.sources[source] >= l.perSource {
		return false
	}
	l.open++
	l.sources[source]++
	return true
}

func (l *limitedListener) release(source netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.sources[source]--; l.sources[source] == 0 {
		delete(l.sources, source)
	}
}

// addressOf is the peer's address on the network; the zero Addr over the unix socket.
func addressOf(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

type limitedConn struct {
	net.Conn
	listener *limitedListener
	source   netip.Prefix // invalid over the unix socket
	once     sync.Once
	proved   atomic.Bool // somebody has authenticated on it

	mu   sync.Mutex
	idle *time.Timer // ends the connection; nil when nothing does
}

// limitedOf finds the connection below TLS; nil when it is not one of ours.
func limitedOf(c net.Conn) *limitedConn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // of TLS
		c = t.NetConn()
	}
	l, _ := c.(*limitedConn)
	return l
}

func (c *limitedConn) Close() error {
	c.once.Do(func() { c.listener.release(c.source) })
	return c.Conn.Close()
}

// CloseWrite lets net/http end an answer so that it is read before the connection
// goes, also when the request was not read to its end.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// watchIdle is told by net/http what a connection does. One that idles and on
// which nobody has authenticated is ended early: places are for callers.
func (s *Server) watchIdle(c net.Conn, state http.ConnState) {
	l := limitedOf(c)
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idle != nil {
		l.idle.Stop()
		l.idle = nil
	}
	if state == http.StateIdle && !l.proved.Load() {
		l.idle = time.AfterFunc(s.limits.StrangeTime, func() { l.Close() })
	}
}
