package sqlite_test

import (
	"testing"

	"keyward/internal/store/storetest"
)

func BenchmarkEngine(b *testing.B) { storetest.Bench(b, openAt) }
