package server_test

import (
	"testing"

	"keyward/internal/twintest"
)

func TestBrokenTwinsAreCaught(t *testing.T) {
	for _, twin := range []struct{ name, test, original, old, broken string }{
		{"a source may take all connections", "^TestOneSourceLeavesConnectionsToOthers$", "crowd.go",
			"|| source.IsValid() && l.sources[source] >= l.perSource", ""},
		{"a source's place is not given back", "^TestOneSourceLeavesConnectionsToOthers$", "crowd.go",
			"if l.sources[source]--; l.sources[source] == 0 {", "if l.sources[source] == 0 {"},
		{"an idle stranger stays", "^TestIdleStrangersAreEndedEarly$", "crowd.go",
			"state == http.StateIdle && !l.proved.Load()", "false"},
		{"a caller may take all requests", "^TestStrangersShareLeavesPlaces$", "share.go",
			"more.requests > 0 && h.requests > most.requests || ", ""},
		{"a caller may take all large bodies", "^TestOneCallerLeavesLargeBodiesToOthers$", "share.go",
			" || more.large > 0 && h.large > most.large", ""},
		{"a share is not given back", "^TestOneCallerLeavesLargeBodiesToOthers$", "share.go",
			"share{-c.held.requests, -c.held.large}", "share{-c.held.requests, 0}"},
		{"the operator is held to a share", "^TestOperatorIsNotHeldToAShare$", "share.go",
			"if c.Actor.Kind() == identity.LocalOperator {\n\t\treturn true\n\t}", "_ = identity.LocalOperator"},
		{"a slow body takes a place", "^TestSlowBodiesTakeNoPlace$", "body.go",
			"c.leave()\n\tb, err", "b, err"},
	} {
		t.Run(twin.name, func(t *testing.T) {
			twintest.MustFail(t, ".", twin.test, twin.original, twintest.Edited(t, twin.original, twin.old, twin.broken))
		})
	}
}
