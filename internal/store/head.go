package store

import (
	"context"
	"crypto/subtle"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
)

// Head is what the head row tells about the whole installation.
type Head struct {
	Sequence uint64   // of the newest record of the log; 0 before the first
	Hash     [32]byte // running hash of the log after that record
	Time     int64    // log time, in ms: of the newest record, or what it was set forward to by that
	Epoch    uint64   // raised by every tightening
	Charter  uint64   // version of the charter in force
	Rules    [32]byte // hash of the policy in force
	Open     uint64   // no operation begun before this sequence lacks its end
}

// headRow is the head row: the Head, the number of commits so far, so that two
// heads are never equal, and the sums.
type headRow struct {
	Head
	commits uint64
	sums    sums

	encoded []byte // the sums
	mac     [32]byte
}

const headColumns = `"sequence", "hash", "time", "epoch", "charter", "rules", "open", "commits", "sums", "mac"`

const (
	// lockHead writes, so that it locks in every engine, and changes nothing.
	lockHead   = `UPDATE "head" SET "commits" = "commits" WHERE "id" = 1 RETURNING ` + headColumns
	readHead   = `SELECT ` + headColumns + ` FROM "head" WHERE "id" = 1`
	insertHead = `INSERT INTO "head" ("id", ` + headColumns + `) VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	updateHead = `UPDATE "head" SET "sequence" = $1, "hash" = $2, "time" = $3, "epoch" = $4, "charter" = $5, "rules" = $6, "open" = $7, "commits" = $8, "sums" = $9, "mac" = $10 WHERE "id" = 1`
)

// A head that was changed is a row like any other to those who read of it.
func tamperedHead() error { return &TamperError{Table: "head", Key: "1"} }

func goneHead() error { return &TamperError{Table: "head", Key: "1", Gone: true} }

// sign computes the MAC of the head row.
func (h *headRow) sign(m *macer, r *keyring, mac *[32]byte) error {
	b := append(m.buf[:0], headLabel...)
	b = appendInteger(b, int64(h.Sequence))
	b = appendBytes(b, h.Hash[:])
	b = appendInteger(b, h.Time)
	b = appendInteger(b, int64(h.Epoch))
	b = appendInteger(b, int64(h.Charter))
	b = appendBytes(b, h.Rules[:])
	b = appendInteger(b, int64(h.Open))
	b = appendInteger(b, int64(h.commits))
	b = appendBytes(b, h.encoded)
	m.buf = b
	return m.sum(r, b, mac)
}

// parseHead reads the columns of a head row and judges nothing but their form.
func parseHead(values []driver.Value) (*headRow, error) {
	if values == nil {
		return nil, ErrUninitialized
	}
	var numbers [6]int64
	for i, column := range []int{0, 2, 3, 4, 6, 7} {
		n, ok := values[column].(int64)
		if !ok {
			return nil, tamperedHead()
		}
		numbers[i] = n
	}
	hash, ok := values[1].([]byte)
	rules, ok2 := values[5].([]byte)
	encoded, ok3 := values[8].([]byte)
	mac, ok4 := values[9].([]byte)
	if !ok || !ok2 || !ok3 || !ok4 || len(hash) != 32 || len(rules) != 32 || len(mac) != 32 {
		return nil, tamperedHead()
	}
	h := &headRow{
		Head: Head{
			Sequence: uint64(numbers[0]),
			Hash:     [32]byte(hash),
			Time:     numbers[1],
			Epoch:    uint64(numbers[2]),
			Charter:  uint64(numbers[3]),
			Rules:    [32]byte(rules),
			Open:     uint64(numbers[4]),
		},
		commits: uint64(numbers[5]),
		encoded: encoded,
		mac:     [32]byte(mac),
	}
	return h, nil
}

// verify checks the MAC and reads the sums.
func (h *headRow) verify(m *macer, r *keyring) error {
	var mac [32]byte
	if err := h.sign(m, r, &mac); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(mac[:], h.mac[:]) != 1 {
		return tamperedHead()
	}
	var err error
	if h.sums, err = decodeSums(h.encoded); err != nil {
		return tamperedHead()
	}
	return nil
}

// same tells whether two head rows agree in every column.
func (h *headRow) same(o *headRow) bool {
	return o != nil && h.Head == o.Head && h.commits == o.commits && h.mac == o.mac && string(h.encoded) == string(o.encoded)
}

// after refuses what a transaction must never do to the head.
func (h *headRow) after(old Head) error {
	switch {
	case h.Sequence < old.Sequence:
		return errors.New("the head's sequence went back")
	case h.Time < old.Time:
		return errors.New("the log time went back")
	case h.Epoch < old.Epoch:
		return errors.New("the epoch went back")
	case h.Charter < old.Charter:
		return errors.New("the charter's version went back")
	case max(h.Sequence, h.Epoch, h.Charter, h.Open) > math.MaxInt64:
		return errors.New("a number in the head is beyond 2^63-1")
	}
	return nil
}

// write signs the head row and stores it by query, insertHead or updateHead.
func (h *headRow) write(ctx context.Context, s *session, r *keyring, query string) error {
	h.encoded = h.sums.encode()
	if err := h.sign(s.macer, r, &h.mac); err != nil {
		return err
	}
	st, err := s.statement(ctx, query)
	if err != nil {
		return err
	}
	args := s.room(10)
	args[0].Value = int64(h.Sequence)
	args[1].Value = h.Hash[:]
	args[2].Value = h.Time
	args[3].Value = int64(h.Epoch)
	args[4].Value = int64(h.Charter)
	args[5].Value = h.Rules[:]
	args[6].Value = int64(h.Open)
	args[7].Value = int64(h.commits)
	args[8].Value = h.encoded
	args[9].Value = h.mac[:]
	switch n, err := s.exec(ctx, st, args); {
	case err != nil:
		return err
	case n != 1:
		return fmt.Errorf("the head row is not there: %w", tamperedHead())
	}
	return nil
}
