package main

import (
	"bytes"
	"testing"

	"keyward/internal/policy"
)

func TestPolicyOfTheBenchIsInOrder(t *testing.T) {
	p, err := policy.Parse(policyText)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Check() {
		if f.Level == policy.Error {
			t.Errorf("rule %q: %s", f.Rule, f.Text)
		}
	}
}

func TestRequestsAreNumbered(t *testing.T) {
	shot := target{address: "host", header: "Idempotency-Key: b-" + mark + "\r\n"}.request("POST", "/keys/k-"+mark, []byte(`{"name":"`+mark+`"}`))
	for _, n := range []uint64{7, 12345678} {
		shot.number(shot.text, n)
	}
	if got := bytes.Count(shot.text, []byte("12345678")); got != 3 || bytes.Contains(shot.text, []byte(mark)) {
		t.Errorf("got %d numbers in %q, want 3", got, shot.text)
	}
}
