package main

import "github.com/spf13/cobra"

// commands is the whole command line, a noun a file.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.initCommand(), a.serverCommand(), a.statusCommand(), a.unsealCommand(), a.sealCommand(), a.clockCommand(), a.tourCommand(),
		a.keyCommand(), a.seedCommand(),
		a.decodeCommand(), a.signCommand(), a.verifyCommand(), a.encryptCommand(), a.decryptCommand(), a.datakeyCommand(), a.macCommand(),
		a.policyCommand(), a.serviceCommand(), a.requestCommand(),
		a.auditCommand(),
	}
}
