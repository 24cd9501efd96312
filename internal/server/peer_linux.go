package server

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// peer is the user id of whoever connected, as the kernel saw it then.
func peer(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || failed != nil {
		return -1, errors.Join(err, failed)
	}
	return int(cred.Uid), nil
}
