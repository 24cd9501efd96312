package api_test

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"keyward/api"
)

func TestBothJSONPackagesWriteTheSame(t *testing.T) {
	nonce := uint64(7)
	decimals := 18
	eth := api.Asset{ID: "eip155:1/slip44:60", Symbol: "ETH", Decimals: &decimals}
	for _, v := range []any{
		api.Signed{
			Key: "hot", KeyID: "key_1", Version: 2, Type: "tx", Output: "0x02", DryRun: true,
			Intent: &api.Intent{
				Kind: "transaction", Chain: "eip155:1", Sentence: "pay", Nonce: &nonce,
				Moves: []api.Move{{Amount: api.Amount{Asset: eth, Amount: "1500000000000000000", Text: "1.5 ETH"}, To: "0x1"}},
				Fee:   &api.Fee{Amount: api.Amount{Asset: eth, Amount: "0"}},
			},
			Answer: api.Answer{Operation: "op_1", Audit: &api.Audit{Sequence: 9, Hash: []byte{1, 2}}},
		},
		api.CreatedService{Service: api.Service{ID: "svc_1", Name: "payouts", Created: 1_700_000_000_001}, Token: api.Text("kwt_1")},
		api.CreateKey{Name: "hot", Spec: "AES_256", Ask: api.Ask{ExpiresInSeconds: 5}},
		api.Keys{Keys: []api.Key{}}, api.Ask{}, api.Sign{Payload: []byte{}},
	} {
		std, err := stdjson.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(std, ours) {
			t.Errorf("encoding/json writes\n%s\nwe write\n%s", std, ours)
		}
	}
}

func TestVersionComesFirstAndIsOne(t *testing.T) {
	b, err := json.Marshal(api.Signed{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(b), `{"v":1,`) {
		t.Errorf("got %s, want v first", b)
	}
	for in, ok := range map[string]bool{`{"v":1}`: true, `{}`: true, `{"v":2}`: false, `{"v":"1"}`: false, `{"v":1.0}`: false} {
		var d api.Done
		if err := json.Unmarshal([]byte(in), &d); (err == nil) != ok {
			t.Errorf("%s: got %v, want ok=%v", in, err, ok)
		}
	}
}

func TestTimesAreUTCWithMilliseconds(t *testing.T) {
	for ms, want := range map[api.Time]string{
		0: "1970-01-01T00:00:00.000Z", 1_700_000_000_001: "2023-11-14T22:13:20.001Z", -1: "1969-12-31T23:59:59.999Z",
	} {
		if got := ms.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		var back api.Time
		if err := back.UnmarshalText([]byte(want)); err != nil || back != ms {
			t.Errorf("%s: got %d (%v), want %d", want, back, err, ms)
		}
	}
	var zoned api.Time
	if err := zoned.UnmarshalText([]byte("2023-11-15T00:13:20.001+02:00")); err != nil || zoned != 1_700_000_000_001 {
		t.Errorf("got %d (%v), want the same moment", zoned, err)
	}
	for _, bad := range []string{"", "now", "2023-11-14", "1700000000"} {
		if err := new(api.Time).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a time", bad)
		}
	}
}

func TestTokensDoNotPrint(t *testing.T) {
	s := api.CreatedService{Token: api.Text("kwt_secret")}
	if got := fmt.Sprintf("%v %+v %s", s, s, s.Token); strings.Contains(got, "kwt_") {
		t.Errorf("got %s", got)
	}
}
