package store

import (
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Table describes an authenticated table. Beside its Columns the SQL table has
// `written bigint`, the head's sequence when the row was written, and
// `mac bytea`. Two descriptions with one name must be equal.
type Table struct {
	Name    string
	Key     []string // the primary key: the first of Columns
	Columns []string // all columns but written and mac, in the order of a Row
	// Mutable lists the columns that Put, Update and Swap write to a row that
	// exists; nil means all but the key. The values of the others must be
	// those of the row, or the row no longer fits its MAC.
	Mutable []string
	// Summed tables have the sum of their rows' MACs in the head row, so that
	// a row cannot be deleted or put back unnoticed.
	Summed bool
}

// Row is the values of one row: int64, string or []byte, in the order of the
// columns asked for. In arguments other integers, strings and byte slices and
// arrays of any type are taken too; a nil []byte counts as an empty one.
type Row []any

// Int returns the integer in column i, 0 if it holds something else. The types
// in a verified row are those it was written with.
func (r Row) Int(i int) int64 { v, _ := r[i].(int64); return v }

// Text returns the text in column i, "" if it holds something else.
func (r Row) Text(i int) string { v, _ := r[i].(string); return v }

// Bytes returns the bytes in column i, nil if it holds something else.
func (r Row) Bytes(i int) []byte { v, _ := r[i].([]byte); return v }

// Mark identifies one version of one row: its MAC. The zero Mark stands for a
// row that is not there.
type Mark [32]byte

// value brings an argument into one of the three types of a Row.
func value(v any) (any, error) {
	switch x := v.(type) {
	case int64, string:
		return v, nil
	case []byte:
		if x == nil {
			return []byte{}, nil
		}
		return v, nil
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.String:
		return r.String(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if r.Uint() > math.MaxInt64 {
			return nil, fmt.Errorf("%d is beyond 2^63-1", r.Uint())
		}
		return int64(r.Uint()), nil
	case reflect.Slice, reflect.Array:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, r.Len())
			reflect.Copy(reflect.ValueOf(b), r)
			return b, nil
		}
	}
	return nil, fmt.Errorf("a %T is no integer, text or bytes", v)
}

// keyText is a primary key as a sentence names it.
func keyText[V any](key []V) string {
	parts := make([]string, len(key))
	for i, v := range key {
		switch x := any(v).(type) {
		case int64:
			parts[i] = strconv.FormatInt(x, 10)
		case string:
			parts[i] = x
		case []byte:
			parts[i] = hex.EncodeToString(x)
		default:
			parts[i] = fmt.Sprintf("%T", v)
		}
	}
	return strings.Join(parts, "/")
}

// operation is one of the statements that a table needs.
type operation int

const (
	insertOne operation = iota
	insertFew
	insertMany
	upsertOne
	updateOne
	swapOne
	selectRow
	deleteOne
	operations // how many there are
)

// A multi-row insert saves about a fifth of a row's cost; past 16 rows a
// statement there is nothing more to save.
const (
	fewRows  = 4
	manyRows = 16
)

// rows is how many rows an insert takes.
func (o operation) rows() int {
	switch o {
	case insertFew:
		return fewRows
	case insertMany:
		return manyRows
	}
	return 1
}

// plan is a Table made ready for one connection: its statements, prepared when
// first used, and the positions of its columns.
type plan struct {
	table      Table
	mutable    []int
	statements [operations]*statement
}

func newPlan(t Table) (*plan, error) {
	if len(t.Key) == 0 || len(t.Key) > len(t.Columns) || !slices.Equal(t.Key, t.Columns[:len(t.Key)]) {
		return nil, fmt.Errorf("table %q: the key is not the first of the columns", t.Name)
	}
	p := &plan{table: t}
	for i, c := range t.Columns[len(t.Key):] {
		if t.Mutable == nil || slices.Contains(t.Mutable, c) {
			p.mutable = append(p.mutable, len(t.Key)+i)
		}
	}
	if t.Mutable != nil && len(p.mutable) != len(t.Mutable) {
		return nil, fmt.Errorf("table %q: a mutable column is in the key or not there", t.Name)
	}
	return p, nil
}

// sql writes the statement for o. The order of its arguments is that of the
// placeholders: columns, written, mac, then the key, then the old MAC.
func (p *plan) sql(o operation) string {
	t, n := p.table, 0
	next := func() string { n++; return "$" + strconv.Itoa(n) }
	name := quote(t.Name)
	where := func() string {
		terms := make([]string, len(t.Key))
		for i, k := range t.Key {
			terms[i] = quote(k) + " = " + next()
		}
		return " WHERE " + strings.Join(terms, " AND ")
	}
	all := quoteAll(t.Columns) + `, "written", "mac"`
	insert := func(rows int) string {
		tuples := make([]string, rows)
		for i := range tuples {
			marks := make([]string, len(t.Columns)+2)
			for j := range marks {
				marks[j] = next()
			}
			tuples[i] = "(" + strings.Join(marks, ", ") + ")"
		}
		return "INSERT INTO " + name + " (" + all + ") VALUES " + strings.Join(tuples, ", ")
	}
	changed := make([]string, 0, len(p.mutable)+2)
	for _, i := range p.mutable {
		changed = append(changed, quote(t.Columns[i]))
	}
	changed = append(changed, `"written"`, `"mac"`)
	set := func(to func(column string) string) string {
		terms := make([]string, len(changed))
		for i, c := range changed {
			terms[i] = c + " = " + to(c)
		}
		return " SET " + strings.Join(terms, ", ")
	}
	placeholder := func(string) string { return next() }

	switch o {
	case insertOne, insertFew, insertMany:
		return insert(o.rows())
	case upsertOne:
		return insert(1) + " ON CONFLICT (" + quoteAll(t.Key) + ") DO UPDATE" +
			set(func(c string) string { return "excluded." + c })
	case updateOne:
		return "UPDATE " + name + set(placeholder) + where()
	case swapOne:
		return "UPDATE " + name + set(placeholder) + where() + ` AND "mac" = ` + next()
	case selectRow:
		return p.selectAll() + where()
	case deleteOne:
		return "DELETE FROM " + name + where()
	}
	panic("no such statement")
}

// selectAll is the head of every query for verified rows.
func (p *plan) selectAll() string {
	return "SELECT " + quoteAll(p.table.Columns) + `, "written", "mac" FROM ` + quote(p.table.Name)
}

func quote(name string) string { return `"` + name + `"` }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}
