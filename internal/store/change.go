package store

import (
	"errors"
	"fmt"
)

// Insert adds a row. ErrConflict when its key or a unique column is there.
func (t *Tx) Insert(table Table, row Row) error {
	return t.InsertMany(table, []Row{row})
}

// InsertMany adds rows, many to a statement. ErrConflict as Insert.
func (t *Tx) InsertMany(table Table, rows []Row) error {
	p, err := t.plan(table)
	if err != nil {
		return err
	}
	for _, o := range [...]operation{insertMany, insertFew, insertOne} {
		for n := o.rows(); len(rows) >= n; rows = rows[n:] {
			if err := t.add(p, o, rows[:n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Put adds a row, or replaces the one with its key.
func (t *Tx) Put(table Table, row Row) error {
	p, err := t.plan(table)
	if err != nil {
		return err
	}
	if !table.Summed {
		return t.add(p, upsertOne, []Row{row})
	}
	old, err := t.mark(p, row)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	_, err = t.swap(p, old, row)
	return err
}

// Update replaces a row that exists, or fails with ErrNotFound.
func (t *Tx) Update(table Table, row Row) error {
	p, err := t.plan(table)
	if err != nil {
		return err
	}
	if table.Summed {
		old, err := t.mark(p, row)
		if err != nil {
			return err
		}
		_, err = t.swap(p, old, row)
		return err
	}
	_, n, err := t.replace(p, updateOne, Mark{}, row)
	if err == nil && n == 0 {
		err = fmt.Errorf("table %q: %w", table.Name, ErrNotFound)
	}
	return err
}

// Swap replaces the row that had the mark old when its caller last saw it, the
// zero Mark for a row that must not exist, and returns the new mark. It saves
// Put's look at the row. When the row is another one by now it fails with
// ErrChanged and changes nothing. A mark counts only once the Commit succeeded.
func (t *Tx) Swap(table Table, old Mark, row Row) (Mark, error) {
	p, err := t.plan(table)
	if err != nil {
		return Mark{}, err
	}
	return t.swap(p, old, row)
}

// Delete removes the row with this primary key, or fails with ErrNotFound.
func (t *Tx) Delete(table Table, key ...any) error {
	_, old, err := t.RowMark(table, key...)
	if err != nil {
		return err
	}
	p, err := t.plan(table)
	if err != nil {
		return err
	}
	st, err := t.session.planned(t.ctx, p, deleteOne)
	if err != nil {
		return t.fail(err)
	}
	bound, err := t.session.bind(key)
	if err != nil {
		return err
	}
	if _, err := t.session.exec(t.ctx, st, bound); err != nil {
		return fmt.Errorf("table %q: %w", table.Name, t.fail(err))
	}
	if table.Summed {
		t.head.sums.of(table.Name).subtract((*[32]byte)(&old))
	}
	return nil
}

// mark reads the mark of the row with row's key. The row is verified although
// nobody looks at it: who could choose the MAC that the sum is moved by could
// make good for a row that they deleted elsewhere.
func (t *Tx) mark(p *plan, row Row) (Mark, error) {
	if len(row) != len(p.table.Columns) {
		return Mark{}, errColumns(p, row)
	}
	_, mark, err := t.RowMark(p.table, row[:len(p.table.Key)]...)
	return mark, err
}

// swap inserts when old is zero, else replaces the row that has that mark.
func (t *Tx) swap(p *plan, old Mark, row Row) (Mark, error) {
	if old == (Mark{}) {
		err := t.add(p, insertOne, []Row{row})
		return t.session.macs[0], err
	}
	mark, n, err := t.replace(p, swapOne, old, row)
	if err != nil {
		return Mark{}, err
	}
	if n == 0 {
		return Mark{}, fmt.Errorf("table %q: %w", p.table.Name, ErrChanged)
	}
	if p.table.Summed {
		s := t.head.sums.of(p.table.Name)
		s.subtract((*[32]byte)(&old))
		s.add((*[32]byte)(&mark))
	}
	return mark, nil
}

// add runs one of the inserts and adds the rows to the table's sum. Of the
// upsert there is no sum.
func (t *Tx) add(p *plan, o operation, rows []Row) error {
	st, err := t.session.planned(t.ctx, p, o)
	if err != nil {
		return t.fail(err)
	}
	width := len(p.table.Columns) + 2
	args := t.session.room(width * len(rows))
	for i, row := range rows {
		values, err := t.sign(p, row, i)
		if err != nil {
			return err
		}
		for j, v := range values {
			args[width*i+j].Value = v
		}
		args[width*i+width-2].Value = t.written
		args[width*i+width-1].Value = t.session.boxed[i]
	}
	if _, err := t.session.exec(t.ctx, st, args); err != nil {
		return fmt.Errorf("table %q: %w", p.table.Name, t.fail(err))
	}
	if p.table.Summed {
		s := t.head.sums.of(p.table.Name)
		for i := range rows {
			s.add(&t.session.macs[i])
		}
	}
	return nil
}

// replace runs one of the updates and returns the new mark and how many rows it
// changed.
func (t *Tx) replace(p *plan, o operation, old Mark, row Row) (Mark, int64, error) {
	st, err := t.session.planned(t.ctx, p, o)
	if err != nil {
		return Mark{}, 0, t.fail(err)
	}
	values, err := t.sign(p, row, 0)
	if err != nil {
		return Mark{}, 0, err
	}
	args := t.session.room(len(p.mutable) + len(p.table.Key) + 3)
	n := 0
	set := func(v any) { args[n].Value = v; n++ }
	for _, i := range p.mutable {
		set(values[i])
	}
	set(t.written)
	set(t.session.boxed[0])
	for _, v := range values[:len(p.table.Key)] {
		set(v)
	}
	if o == swapOne {
		set(old[:])
	}
	changed, err := t.session.exec(t.ctx, st, args[:n])
	if err != nil {
		return Mark{}, 0, fmt.Errorf("table %q: %w", p.table.Name, t.fail(err))
	}
	return t.session.macs[0], changed, nil
}

// sign brings a row into its canonical types and computes its MAC into slot i.
func (t *Tx) sign(p *plan, row Row, i int) (Row, error) {
	if len(row) != len(p.table.Columns) {
		return nil, errColumns(p, row)
	}
	if cap(t.session.scratch) < len(row) {
		t.session.scratch = make(Row, len(row))
	}
	values := t.session.scratch[:len(row)]
	for j, v := range row {
		bound, err := value(v)
		if err != nil {
			return nil, fmt.Errorf("table %q, column %q: %w", p.table.Name, p.table.Columns[j], err)
		}
		values[j] = bound
	}
	if t.written == nil || t.at != t.head.Sequence {
		t.written, t.at = int64(t.head.Sequence), t.head.Sequence
	}
	return values, t.session.macer.row(t.keys, p.table.Name, int64(t.at), values, &t.session.macs[i])
}

func errColumns(p *plan, row Row) error {
	return fmt.Errorf("table %q: a row has %d columns, not %d", p.table.Name, len(p.table.Columns), len(row))
}
