//go:build goexperiment.runtimesecret && linux && (amd64 || arm64)

package secret_test

import (
	rt "runtime/secret"
	"testing"

	"keyward/internal/secret"
)

func TestDoErasesWithRuntimeSecret(t *testing.T) {
	if !secret.Status().Runtime {
		t.Error("Status: got no runtime/secret in a build that has it")
	}
	inside := false
	secret.Do(func() { inside = rt.Enabled() })
	if !inside || rt.Enabled() {
		t.Errorf("got erasing %v inside Do and %v after it, want true and false", inside, rt.Enabled())
	}
	// Secrets made and lost in Do have both the runtime's marks and ours.
	var view []byte
	secret.Do(func() { view = leak() })
	if secret.Do(func() { secret.New(32).Destroy() }); len(view) != 48 {
		t.Errorf("got %d bytes, want 48", len(view))
	}
}
