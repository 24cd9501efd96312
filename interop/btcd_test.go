package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// bitcoinNode is a btcd of its own chain (regtest), on loopback, that lives as
// long as its test and pays what it mines to one address.
type bitcoinNode struct {
	t   *testing.T
	url string
}

// btcdProgram is built once, from the version that btcd/go.mod pins.
var btcdProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(built.dir, "btcd")
	cmd := exec.Command("go", "build", "-o", path, "github.com/btcsuite/btcd")
	cmd.Dir, cmd.Env = "btcd", append(os.Environ(), "CGO_ENABLED=0", "GOEXPERIMENT=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return path, err
})

func startBitcoin(t *testing.T, miner string) bitcoinNode {
	t.Helper()
	path, err := btcdProgram()
	if err != nil {
		missing(t, "btcd", err.Error())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, path, "--regtest", "--nodnsseed", "--notls", "--txindex", "--configfile", os.DevNull,
		"--datadir", filepath.Join(dir, "data"), "--logdir", filepath.Join(dir, "log"), "--rpcuser", "keyward", "--rpcpass", "keyward",
		"--rpclisten", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--miningaddr", miner)
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
	address := started(t, cmd, "RPC server listening on ")
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed
	})
	return bitcoinNode{t, "http://" + address}
}

func (n bitcoinNode) try(result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	request.SetBasicAuth("keyward", "keyward")
	return answered(request, result)
}

func (n bitcoinNode) call(result any, method string, params ...any) {
	n.t.Helper()
	if err := n.try(result, method, params...); err != nil {
		n.t.Fatalf("%s: %v", method, err)
	}
}

// mine makes blocks, and returns their hashes.
func (n bitcoinNode) mine(blocks int) (hashes []string) {
	n.t.Helper()
	n.call(&hashes, "generate", blocks)
	return hashes
}

// coinbase is the transaction that paid the miner of a block, raw in hex.
func (n bitcoinNode) coinbase(block string) (raw string) {
	n.t.Helper()
	var found struct{ Tx []string }
	n.call(&found, "getblock", block, 1)
	n.call(&raw, "getrawtransaction", found.Tx[0], 0)
	return raw
}

// send gives the node a transaction and has it mined; it returns its id.
func (n bitcoinNode) send(raw string) (id string) {
	n.t.Helper()
	n.call(&id, "sendrawtransaction", raw)
	block := n.mine(1)[0]
	var found struct{ Tx []string }
	n.call(&found, "getblock", block, 1)
	for _, tx := range found.Tx {
		if tx == id {
			return id
		}
	}
	n.t.Fatalf("transaction %s is not in the block that was mined after it: %v", id, found.Tx)
	return ""
}
