// Command keyward is the whole product in one binary: the server, the client
// that talks to it, and the tools that need neither.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the build.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], std())
	stop()
	os.Exit(code)
}

// run is the program without the process around it, so that tests can run many.
func run(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s, args: args}
	defer a.close()
	if err := refuseSecrets(args); err != nil {
		return a.report(err)
	}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	return a.report(root.ExecuteContext(ctx))
}
