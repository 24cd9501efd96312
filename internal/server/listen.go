package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// ListenTLS binds an address, "127.0.0.1:7443"; port 0 means a free one. It
// returns how clients call it: "https://127.0.0.1:7443".
func (s *Server) ListenTLS(address string) (string, error) {
	if s.http.TLSConfig == nil {
		return "", errors.New("listen: no certificate for TLS")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	url := "https://" + l.Addr().String()
	s.bound = append(s.bound, listener{Listener: l, address: url, tls: true, close: func() {}})
	return url, nil
}

// ListenSocket binds a unix socket with mode 0600. A socket that is left from a
// process that died is replaced; one that somebody answers on is an error.
func (s *Server) ListenSocket(path string) error {
	short, done, err := shortPath(path)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer done()
	if err := clearStale(path, short); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	l, err := net.Listen("unix", short)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", path, bare(err))
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it would use the short path, which is gone by then
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return fmt.Errorf("listen: %w", err)
	}
	s.bound = append(s.bound, listener{Listener: l, address: "unix:" + path, close: sync.OnceFunc(func() { os.Remove(path) })})
	return nil
}

// maxSocketPath is what fits into a sockaddr_un with its closing zero; Linux.
const maxSocketPath = 107

// shortPath gives a path that the system allows for a socket: through its opened
// directory where it is too long. It holds until done is called.
func shortPath(path string) (short string, done func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	short = "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path)
	if _, err := os.Stat("/proc/self/fd"); err != nil || len(short) > maxSocketPath {
		dir.Close()
		return "", nil, fmt.Errorf("socket path of %d bytes: this system allows %d; use a shorter data directory", len(path), maxSocketPath)
	}
	return short, func() { dir.Close() }, nil
}

func clearStale(path, short string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is in the way and is no socket", path)
	}
	c, err := net.DialTimeout("unix", short, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("somebody already serves %s", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s: cannot tell whether somebody serves it: %w", path, bare(err))
	}
	return os.Remove(path)
}

// bare takes away operation and address, which hold the short path.
func bare(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// origin is where a connection comes from, found once.
type origin struct {
	operator string       // source of the local operator: "unix", "offline"; "" when the peer is not the operator
	address  netip.Addr   // the zero Addr over the unix socket and in process
	conn     *limitedConn // nil when others listen
}

type originKey struct{}

func withOrigin(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, originKey{}, originOf(c))
}

// originOfRequest falls back on the address when a Handler is served by others:
// then nobody is the operator.
func originOfRequest(r *http.Request) *origin {
	if o, ok := r.Context().Value(originKey{}).(*origin); ok {
		return o
	}
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return &origin{}
	}
	return &origin{address: a.Addr().Unmap()}
}

func originOf(c net.Conn) *origin {
	o := &origin{conn: limitedOf(c)}
	if o.conn == nil {
		return o
	}
	switch c := o.conn.Conn.(type) {
	case *net.UnixConn:
		uid, err := peer(c)
		if err == nil && (uid == 0 || uid == os.Geteuid()) {
			o.operator = "unix"
		}
	case *net.TCPConn:
		o.address = addressOf(c)
	}
	return o
}
