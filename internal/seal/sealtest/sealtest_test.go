package sealtest_test

import (
	"testing"

	"keyward/internal/seal"
	"keyward/internal/seal/sealtest"
)

func TestMethod(t *testing.T) {
	sealtest.Run(t, sealtest.Harness{
		Method: new(sealtest.Method),
		Right:  func(t testing.TB) seal.Credential { return sealtest.Credential(t, "right") },
		Wrong:  func(t testing.TB) seal.Credential { return sealtest.Credential(t, "wrong") },
	})
}
