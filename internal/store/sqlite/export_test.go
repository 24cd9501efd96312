package sqlite

// Positional is how a query's placeholders reach SQLite.
func Positional(query string) string { return positional(query) }
