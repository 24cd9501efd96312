package sqlite

// Positional is how a query's placeholders reach SQLite.
func Positional(query string) string { return positional(query) }

// Fill is how the reserve is made where the system has no call for it.
var Fill = fill
