package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// testChain is the chain id of the node in these tests.
const testChain = 31337

// node is an Ethereum node of its own chain, on loopback, that lives as long as
// its test. It mines each transaction at once.
type node struct {
	t   *testing.T
	url string
}

func startNode(t *testing.T) node {
	t.Helper()
	path := anvilPath(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, path, "--host", "127.0.0.1", "--port", "0", "--chain-id", fmt.Sprint(testChain), "--accounts", "1")
	cmd.Dir, cmd.Env = t.TempDir(), []string{"HOME=" + t.TempDir()}
	address := started(t, cmd, "Listening on ")
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed
	})
	return node{t, "http://" + address}
}

// started starts a program that dies with this one, and returns the rest of the
// line on which it says where it listens.
func started(t *testing.T, cmd *exec.Cmd, mark string) string {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found, said := make(chan string, 1), new(bytes.Buffer)
	go func() {
		defer close(found)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, address, ok := strings.Cut(lines.Text(), mark); ok {
				found <- strings.TrimSpace(address)
				_, _ = io.Copy(io.Discard, out)
				return
			}
			fmt.Fprintln(said, lines.Text())
		}
	}()
	select {
	case address, ok := <-found:
		if !ok {
			t.Fatalf("%s ended before it listened:\n%s", cmd.Path, said)
		}
		return address
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		t.Fatalf("%s does not listen after a minute", cmd.Path)
	}
	return ""
}

// call asks the node; an error of the node's ends the test.
func (n node) call(result any, method string, params ...any) {
	n.t.Helper()
	if err := n.try(result, method, params...); err != nil {
		n.t.Fatalf("%s: %v", method, err)
	}
}

func (n node) try(result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	return answered(request, result)
}

// answered asks a node by JSON-RPC.
func answered(request *http.Request, result any) error {
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return fmt.Errorf("the node says: %s", answer.Error.Message)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer.Result, result)
}

// receipt is what came of a transaction.
type receipt struct {
	Status            hexutil.Uint64
	Type              hexutil.Uint64
	From              common.Address
	To                *common.Address
	GasUsed           hexutil.Uint64
	EffectiveGasPrice *hexutil.Big
	TransactionHash   common.Hash
}

// cost is what the sender paid for its gas, in wei.
func (r receipt) cost() *big.Int {
	return new(big.Int).Mul(new(big.Int).SetUint64(uint64(r.GasUsed)), r.EffectiveGasPrice.ToInt())
}

// execute sends a raw transaction and waits until it is in a block.
func (n node) execute(raw string) receipt {
	n.t.Helper()
	var hash common.Hash
	n.call(&hash, "eth_sendRawTransaction", raw)
	for range 200 {
		var r *receipt
		n.call(&r, "eth_getTransactionReceipt", hash)
		if r != nil {
			return *r
		}
		time.Sleep(50 * time.Millisecond)
	}
	n.t.Fatalf("transaction %s is in no block", hash)
	return receipt{}
}

func (n node) balance(a common.Address) *big.Int {
	n.t.Helper()
	var b hexutil.Big
	n.call(&b, "eth_getBalance", a, "latest")
	return b.ToInt()
}

func (n node) nonce(a common.Address) uint64 {
	n.t.Helper()
	var c hexutil.Uint64
	n.call(&c, "eth_getTransactionCount", a, "latest")
	return uint64(c)
}
