package store_test

import (
	"testing"

	"keyward/internal/twintest"
)

// The store's promises are kept by a few lines each. Without them the suite
// must fail.
func TestBrokenTwinsAreCaught(t *testing.T) {
	const engine = "keyward/internal/store/sqlite"
	t.Run("sum not moved", func(t *testing.T) {
		twintest.MustFail(t, engine, "^TestEngine$/^Rows$", "sum.go", "testdata/twins/sum.go")
	})
	for _, twin := range []struct{ name, run, file, old, broken string }{
		{"sum not compared", "^TestEngine$/^Attacks$/^a_row_deleted$", "reader.go",
			"if t.Summed && total != *h.sums.of(t.Name) {", "if h.sums.of(t.Name); t.Summed && total == (sum{}) && false {"},
		{"sum moved by a MAC that was not verified", "^TestEngine$/^Attacks$/^a_chosen_MAC", "tx.go",
			"return t.session.macer.verify(t.keys, &p.table, values)", "_ = p; return plainRow(values), Mark(values[len(values)-1].([]byte)), nil"},
		{"MAC without the table's name", "^TestEngine$/^Attacks$/^a_row_of_another_table$", "mac.go",
			"b = appendText(append(b, rowLabel...), table)", `b = appendText(append(b, rowLabel...), "")`},
		{"row not verified", "^TestEngine$/^Attacks$/^a_column$", "reader.go",
			"row, _, err = s.macer.verify(r.keys, &p.table, values)", "row = plainRow(values[:len(table.Columns)])"},
		{"head not verified", "^TestEngine$/^Attacks$/^the_head$", "transact.go",
			"if err := h.verify(s.macer, w.keys); err != nil {", "if err := h.verify(s.macer, w.keys); false {"},
		{"old head believed", "^TestEngine$/^Attacks$/^the_head$", "transact.go",
			"case w.last != nil && h.commits <= w.last.commits:", "case false:"},
		{"what was found forgotten", "^TestEngine$/^Watch$/^what_is_found", "watch.go",
			"	if err := w.reader.VerifyAll(ctx, w.watch.tables); err != nil {", "	w.watch.version = version\n\tif err := w.reader.VerifyAll(ctx, w.watch.tables); err != nil && false {"},
		{"another connection believed", "^TestEngine$/^Watch$/^a_connection", "writer.go",
			"w.watch.version = nil // another connection counts anew", ""},
		{"swallowed error committed", "^TestEngine$/^Commits$", "transact.go",
			"if t.failed != nil {", "if false {"},
		{"unknown outcome taken for a failure", "^TestEngine$/^Faults$", "transact.go",
			`return false, fmt.Errorf("%w: %w: %w", ErrUnknownCommit, ErrBroken, err)`, `return false, fmt.Errorf("%w: %w", ErrBroken, err)`},
	} {
		t.Run(twin.name, func(t *testing.T) {
			twintest.MustFail(t, engine, twin.run, twin.file, twintest.Edited(t, twin.file, twin.old, twin.broken))
		})
	}
}
