package store

// Nested runs f within the transaction such that it can fail alone: when it
// returns an error, nothing of it stays, neither rows nor sums nor what it set
// in the head, and the transaction goes on. Only an engine that fails takes the
// whole transaction with it.
func (t *Tx) Nested(f func(*Tx) error) error {
	if _, err := t.Exec("SAVEPOINT nested"); err != nil {
		return err
	}
	head := t.head
	head.sums = append(sums(nil), t.head.sums...)
	err := f(t)
	if err == nil {
		err = t.failed
	}
	if err == nil {
		_, err := t.Exec("RELEASE SAVEPOINT nested")
		return err
	}
	if t.cause != nil {
		if f := t.engine.Classify(t.cause); f != FaultNone && f != FaultConflict {
			return err // the transaction itself is lost
		}
	}
	t.head, t.failed, t.cause = head, nil, nil
	if _, err := t.Exec("ROLLBACK TO SAVEPOINT nested"); err != nil {
		return err
	}
	if _, err := t.Exec("RELEASE SAVEPOINT nested"); err != nil {
		return err
	}
	return err
}
