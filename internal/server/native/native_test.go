package native_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyward/api"
	"keyward/client"
	"keyward/internal/journal"
)

func TestSignAndVerify(t *testing.T) {
	b := newBed(t)
	k := b.key(t, "programs", "ECC_NIST_P256", "")
	if k.V != (api.V1{}) || !strings.HasPrefix(k.ID, "key_") || k.Domain != "raw" || k.State != "active" || k.Audit == nil || k.Operation == "" {
		t.Errorf("got %+v, want a raw, active key with its record", k)
	}
	payload := []byte("a message")
	s, err := b.client.Sign(t.Context(), "programs", api.Sign{Payload: payload, Type: "message"})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(k.PublicKey))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(payload)
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], s.Signature) {
		t.Error("the signature does not hold")
	}
	if s.Audit == nil || s.Audit.Sequence <= k.Audit.Sequence || len(s.Audit.Hash) != 32 || s.Intent == nil || s.Intent.Kind != "plain" || s.Output != "" {
		t.Errorf("got %+v, want its record and meaning", s)
	}
	for _, tt := range []struct {
		payload []byte
		want    bool
	}{{payload, true}, {[]byte("another"), false}} {
		v, err := b.client.Verify(t.Context(), "programs", api.Verify{Payload: tt.payload, Type: "message", Signature: s.Signature})
		if err != nil || v.Valid != tt.want {
			t.Errorf("%q: got %v (%v), want %v", tt.payload, v.Valid, err, tt.want)
		}
	}
	_, err = b.client.Sign(t.Context(), "nobody", api.Sign{Payload: payload})
	kindOf(t, err, api.NotFound)
}

func TestTransactionsAreDecodedAndSigned(t *testing.T) {
	b := newBed(t)
	k := b.key(t, "hot", "ECC_SECG_P256K1", "ethereum")
	if len(k.Addresses) == 0 || !strings.HasPrefix(k.Addresses[0].Address, "0x") {
		t.Fatalf("got addresses %v, want one of Ethereum", k.Addresses)
	}
	tx := []byte(`{"type":"0x2","chainId":"0x1","nonce":"0x7","to":"0x00000000219ab540356cBB839Cbe05303d7705Fa","value":"0x14d1120d7b160000","gas":"0x5208","maxFeePerGas":"0x3b9aca00","maxPriorityFeePerGas":"0x1"}`)
	d, err := b.client.Decode(t.Context(), api.Decode{Payload: tx, Key: "hot"})
	if err != nil {
		t.Fatal(err)
	}
	if d.Type != "tx" || len(d.Intent.Moves) != 1 || d.Intent.Moves[0].Amount.Amount != "1500000000000000000" || d.Intent.Moves[0].Text != "1.5 ETH" || d.Intent.Fee == nil {
		t.Errorf("got %+v, want a move of 1.5 ETH and a fee", d)
	}
	s, err := b.client.Sign(t.Context(), "hot", api.Sign{Payload: tx})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.Output, "0x02") || s.Signature != nil {
		t.Errorf("got output %.10s…, want a signed transaction of type 2", s.Output)
	}
	m, err := b.client.Sign(t.Context(), "hot", api.Sign{Payload: []byte("hello"), Type: "message"})
	if err != nil || len(m.Signature) != 65 || len(m.Output) != 2+2*65 {
		t.Errorf("got %d bytes and %q (%v), want a message's signature in both forms", len(m.Signature), m.Output, err)
	}
	rehearsed, err := b.client.Sign(t.Context(), "hot", api.Sign{Payload: tx, DryRun: true})
	if err != nil || !rehearsed.DryRun || rehearsed.Output != "" || rehearsed.Operation != "" {
		t.Errorf("got %+v (%v), want nothing but a judgement", rehearsed, err)
	}
	_, err = b.client.Sign(t.Context(), "hot", api.Sign{Payload: make([]byte, 32), Type: "digest"})
	if got := client.KindOf(err); got != api.Denied && got != api.Invalid {
		t.Errorf("a digest by a chain's key: got %v, want a refusal", err)
	}
}

func TestBatchItemsAreAnsweredForThemselves(t *testing.T) {
	b := newBed(t)
	b.key(t, "programs", "ECC_NIST_EDWARDS25519", "")
	items := []api.SignItem{{Payload: []byte("a")}, {Payload: []byte("b"), Version: 9}, {Payload: []byte("c")}}
	out, err := b.client.SignBatch(t.Context(), "programs", api.SignBatch{Items: items})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Results) != 3 || out.Results[0].Signed == nil || out.Results[2].Signed == nil || out.Results[1].Error == nil {
		t.Fatalf("got %+v, want the second alone refused", out.Results)
	}
	kindOf(t, client.Problem(out.Results[1].Error), api.NotFound)
	_, err = b.client.SignBatch(t.Context(), "programs", api.SignBatch{Items: make([]api.SignItem, 257)})
	kindOf(t, err, api.Invalid)
}

func TestEncryptDecryptAndMAC(t *testing.T) {
	b := newBed(t)
	b.key(t, "files", "AES_256", "")
	b.key(t, "tags", "HMAC_256", "")
	context := map[string]string{"table": "users"}
	e, err := b.client.Encrypt(t.Context(), "files", api.Encrypt{Plaintext: []byte("hello"), Context: context})
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.client.Decrypt(t.Context(), "files", api.Decrypt{Ciphertext: e.Ciphertext, Context: context})
	if err != nil || string(d.Plaintext) != "hello" || d.Audit == nil {
		t.Errorf("got %q (%v), want hello and its record", d.Plaintext, err)
	}
	_, err = b.client.Decrypt(t.Context(), "files", api.Decrypt{Ciphertext: e.Ciphertext})
	kindOf(t, err, api.Unverified)
	key, err := b.client.DataKey(t.Context(), "files", api.MakeDataKey{Context: context})
	if err != nil || len(key.Plaintext) != 32 {
		t.Fatalf("got %d bytes (%v), want 32", len(key.Plaintext), err)
	}
	again, err := b.client.Decrypt(t.Context(), "files", api.Decrypt{Ciphertext: key.Ciphertext, Context: context})
	if err != nil || !bytes.Equal(again.Plaintext, key.Plaintext) {
		t.Errorf("the data key does not come back: %v", err)
	}
	m, err := b.client.MAC(t.Context(), "tags", api.MakeMAC{Message: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	for message, want := range map[string]bool{"x": true, "y": false} {
		v, err := b.client.VerifyMAC(t.Context(), "tags", api.VerifyMAC{Message: []byte(message), MAC: m.MAC})
		if err != nil || v.Valid != want {
			t.Errorf("%q: got %v (%v), want %v", message, v.Valid, err, want)
		}
	}
}

func TestOneKeyOneOperation(t *testing.T) {
	b := newBed(t)
	b.key(t, "programs", "ECC_NIST_EDWARDS25519", "")
	ctx := client.WithIdempotencyKey(t.Context(), "order-1")
	first, err := b.client.Sign(ctx, "programs", api.Sign{Payload: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.client.Sign(ctx, "programs", api.Sign{Payload: []byte("a")})
	for end := time.Now().Add(5 * time.Second); client.KindOf(err) == api.Conflict && time.Now().Before(end); {
		again, err = b.client.Sign(ctx, "programs", api.Sign{Payload: []byte("a")}) // its end is recorded a little later
	}
	if err != nil || again.Operation != first.Operation || !again.Replayed || !bytes.Equal(again.Signature, first.Signature) {
		t.Errorf("got %+v (%v), want the first one's result", again, err)
	}
	_, err = b.client.Sign(ctx, "programs", api.Sign{Payload: []byte("b")})
	kindOf(t, err, api.Conflict)
}

func TestKeysGoThroughTheirLife(t *testing.T) {
	b := newBed(t)
	b.key(t, "b", "ECC_NIST_P256", "")
	b.key(t, "a", "AES_256", "")
	page, err := b.client.Keys(t.Context(), "", 1)
	if err != nil || len(page.Keys) != 1 || page.Keys[0].Name != "b" || page.Next != page.Keys[0].ID {
		t.Fatalf("got %+v (%v), want b and more", page, err)
	}
	page, err = b.client.Keys(t.Context(), page.Next, 0)
	if err != nil || len(page.Keys) != 1 || page.Keys[0].Name != "a" || page.Next != "" {
		t.Fatalf("got %+v (%v), want a and no more", page, err)
	}
	step := func(name string, do func() (api.Key, error), state string, version uint32) {
		t.Helper()
		k, err := do()
		if err != nil || k.State != state || k.Version != version || k.Audit == nil {
			t.Fatalf("%s: got %+v (%v), want %s, version %d", name, k, err, state, version)
		}
	}
	ctx := t.Context()
	step("rotate", func() (api.Key, error) { return b.client.RotateKey(ctx, "b", api.Ask{}) }, "active", 2)
	step("disable", func() (api.Key, error) { return b.client.DisableKey(ctx, "b", api.Ask{}) }, "suspended", 2)
	step("enable", func() (api.Key, error) { return b.client.EnableKey(ctx, "b", api.Ask{}) }, "active", 2)
	step("destroy", func() (api.Key, error) { return b.client.DestroyKey(ctx, "b", api.DestroyKey{Days: 7}) }, "pending-destruction", 2)
	step("cancel", func() (api.Key, error) { return b.client.CancelDestroy(ctx, "b", api.Ask{}) }, "suspended", 2)
	k, err := b.client.Key(ctx, "b")
	if err != nil || len(k.Versions) != 2 || k.PublicKey != k.Versions[1].PublicKey || k.PublicKey == k.Versions[0].PublicKey {
		t.Errorf("got %+v (%v), want two versions", k, err)
	}
	byID, err := b.client.Key(ctx, k.ID)
	if err != nil || byID.Name != "b" {
		t.Errorf("got %+v (%v), want the same by its id", byID, err)
	}
	_, err = b.client.DestroyKey(ctx, "b", api.DestroyKey{Days: 1})
	kindOf(t, err, api.Invalid)
}

func TestWaitingRequestsAreShownAndCollected(t *testing.T) {
	b := newBed(t)
	b.key(t, "slow", "ECC_NIST_EDWARDS25519", "")
	c, _ := b.service(t, "payouts")
	b.apply(t, "  - {name: slowly, who: ['service:payouts'], keys: [slow], do: [sign], then: {delay: 30m}}\n")
	_, err := c.Sign(t.Context(), "slow", api.Sign{Payload: []byte("a")})
	kindOf(t, err, api.Waiting)
	e, ok := err.(*client.Error)
	if !ok || e.Operation == "" || e.Status != http.StatusAccepted {
		t.Fatalf("got %+v, want 202 and the operation", err)
	}
	list, err := c.Requests(t.Context(), "waiting", "", 0)
	if err != nil || len(list.Requests) != 1 || list.Requests[0].ID != e.Operation {
		t.Fatalf("got %+v (%v), want the one that waits", list, err)
	}
	shown, err := c.Request(t.Context(), e.Operation)
	if err != nil || shown.Intent == nil || shown.Actor != "service:payouts" || len(shown.Request) == 0 {
		t.Errorf("got %+v (%v), want what was asked and what it means", shown, err)
	}
	other, _ := b.service(t, "other")
	_, err = other.Request(t.Context(), e.Operation)
	kindOf(t, err, api.NotFound)
	_, err = other.Collect(t.Context(), e.Operation)
	kindOf(t, err, api.NotFound)
	_, err = c.Await(t.Context(), e.Operation, time.Second)
	kindOf(t, err, api.Waiting)
	_, err = c.Sign(t.Context(), "slow", api.Sign{Payload: []byte("a"), DryRun: true})
	kindOf(t, err, api.Waiting)
}

func TestServices(t *testing.T) {
	b := newBed(t)
	b.key(t, "programs", "ECC_NIST_EDWARDS25519", "")
	c, token := b.service(t, "payouts")
	if !strings.HasPrefix(token, "kwt_") {
		t.Errorf("got token %.4s…", token)
	}
	_, err := c.Sign(t.Context(), "programs", api.Sign{Payload: []byte("a")})
	kindOf(t, err, api.Denied)
	b.apply(t, "  - {name: payouts, who: ['service:payouts'], keys: [programs], do: [sign], then: allow}\n")
	if _, err = c.Sign(t.Context(), "programs", api.Sign{Payload: []byte("a")}); err != nil {
		t.Errorf("got %v, want a signature", err)
	}
	list, err := b.client.Services(t.Context())
	if err != nil || len(list.Services) != 1 || list.Services[0].Name != "payouts" || list.Services[0].Revoked != 0 {
		t.Errorf("got %+v (%v), want the service", list, err)
	}
	if done, err := b.client.RevokeService(t.Context(), "payouts", api.Ask{}); err != nil || done.Audit == nil {
		t.Errorf("got %+v (%v), want its record", done, err)
	}
	_, err = c.Sign(t.Context(), "programs", api.Sign{Payload: []byte("a")})
	kindOf(t, err, api.Unauthenticated)
}

func TestSealAndUnseal(t *testing.T) {
	b := newBed(t)
	added, err := b.client.AddSlot(t.Context(), "keyfile", "second", bytes.Repeat([]byte{7}, 32))
	if err != nil || added.Audit == nil {
		t.Fatalf("got %+v (%v), want a slot", added, err)
	}
	if _, err := b.client.RotateRoot(t.Context(), api.Ask{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.RemoveSlot(t.Context(), "first", api.Ask{}); err != nil {
		t.Fatal(err)
	}
	slots, err := b.client.Slots(t.Context())
	if err != nil || len(slots.Slots) != 1 || slots.Slots[0].Name != "second" || slots.Slots[0].Warning == "" {
		t.Errorf("got %+v (%v), want the second alone, with its warning", slots, err)
	}
	if s, err := b.client.Seal(t.Context()); err != nil || !s.Sealed {
		t.Fatalf("got %+v (%v), want it sealed", s, err)
	}
	status, err := b.client.Status(t.Context())
	if err != nil || !status.Sealed || status.Ready {
		t.Errorf("got %+v (%v), want sealed", status, err)
	}
	_, err = b.client.Keys(t.Context(), "", 0)
	kindOf(t, err, api.Sealed)
	if w := b.ask("GET", "/readyz", "", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("readyz: got %d, want 503", w.Code)
	}
	_, err = b.client.Unseal(t.Context(), "keyfile", b.keyFile)
	kindOf(t, err, api.Unverified)
	if s, err := b.client.Unseal(t.Context(), "keyfile", bytes.Repeat([]byte{7}, 32)); err != nil || s.Sealed {
		t.Errorf("got %+v (%v), want it open", s, err)
	}
	if w := b.ask("GET", "/readyz", "", ""); w.Code != http.StatusOK {
		t.Errorf("readyz: got %d, want 200", w.Code)
	}
}

// Whoever sends requests here must learn that they will be refused.
func TestFullDiskIsNotReady(t *testing.T) {
	b := newBedOn(t, slog.New(slog.NewTextHandler(t.Output(), nil)), journal.Floors{Uses: 1 << 60})
	const sentence = "the disk is full: nothing was begun"
	if w := b.ask("GET", "/readyz", "", ""); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), sentence) {
		t.Errorf("got %d %s, want 503 and why", w.Code, w.Body)
	}
	if w := b.ask("GET", "/healthz", "", ""); w.Code != http.StatusOK {
		t.Errorf("healthz: got %d: the process lives", w.Code)
	}
	status, err := b.client.Status(t.Context())
	if err != nil || status.Ready || !strings.HasPrefix(status.Why, sentence+"; make space") || !strings.Contains(strings.Join(status.Warnings, "\n"), "the disk is full (") {
		t.Errorf("got %+v (%v), want the same in the status", status, err)
	}
	if s, err := b.client.Seal(t.Context()); err != nil || !s.Sealed {
		t.Errorf("got %+v (%v), want it sealed", s, err)
	}
}

func TestAClockThatWasSetIsToldAndAccepted(t *testing.T) {
	b := newBed(t)
	b.key(t, "k", "ECC_NIST_P256", "")
	b.off.Store(int64(time.Hour))
	w := b.ask("GET", "/readyz", "", "")
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "the clock was set forward") ||
		!strings.Contains(w.Body.String(), "keyward clock accept") {
		t.Errorf("readyz: got %d %s, want 503, the fact and the next step", w.Code, w.Body)
	}
	s, err := b.client.Status(t.Context())
	if err != nil || s.Ready || s.Sealed || !strings.Contains(s.Why, "keyward clock accept") {
		t.Errorf("got %+v (%v), want it not ready", s, err)
	}
	_, err = b.client.Sign(t.Context(), "k", api.Sign{Payload: []byte("a")})
	kindOf(t, err, api.Unready)
	_, err = b.client.AcceptClock(t.Context(), api.AcceptClock{Time: api.Time(time.Now().UnixMilli())})
	kindOf(t, err, api.Conflict) // that is not what it shows
	now := time.Now().Add(time.Hour).UnixMilli()
	a, err := b.client.AcceptClock(t.Context(), api.AcceptClock{Time: api.Time(now)})
	if err != nil || a.Audit == nil || int64(a.To)-now > 60_000 || int64(a.To) < now || a.To-a.From < 3_000_000 {
		t.Errorf("got %+v (%v), want the hour, in a record", a, err)
	}
	if w := b.ask("GET", "/readyz", "", ""); w.Code != http.StatusOK {
		t.Errorf("readyz: got %d %s, want 200", w.Code, w.Body)
	}
	if _, err := b.client.Sign(t.Context(), "k", api.Sign{Payload: []byte("a")}); err != nil {
		t.Error(err)
	}
}

func TestPolicyIsCheckedShownAndApplied(t *testing.T) {
	b := newBed(t)
	before, err := b.client.Policy(t.Context())
	if err != nil || !strings.Contains(before.Text, "solo") {
		t.Fatalf("got %+v (%v), want the solo policy", before, err)
	}
	_, err = b.client.CheckPolicy(t.Context(), api.CheckPolicy{Text: "version: 1\nrules: [{name: a, nonsense: 1}]"})
	kindOf(t, err, api.Invalid)
	if found, err := b.client.CheckPolicy(t.Context(), api.CheckPolicy{Text: before.Text}); err != nil || found.Findings == nil {
		t.Errorf("got %+v (%v), want a list", found, err)
	}
	b.apply(t, "")
	after, err := b.client.Policy(t.Context())
	if err != nil || after.Version != before.Version+1 || bytes.Equal(after.Hash, before.Hash) {
		t.Errorf("got %+v (%v), want the next version", after, err)
	}
}
