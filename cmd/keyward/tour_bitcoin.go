package main

import "strings"

// The words that everybody knows, from the tests of BIP-39: whatever is sent to
// them is gone. With them the tour's PSBTs can be the same in every round.
const tourWords = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"

// Two PSBTs that spend one coin of 3 BTC, which never existed, at the first
// address of m/84h/0h/0h: to a stranger, and the rest back to the account.
const (
	tourSmallPSBT = "cHNidP8BAHECAAAAAStwjdXh3qFPFI7GYDe1C8fGXvIhWKLBuEbB5B5/00DTAAAAAAD/////AoCWmAAAAAAAFgAUWlpaWlpaWlpaWlpaWlpaWlpaWlr+BkkR" +
		"AAAAABYAFD40mF3Kb93J+zaZQOTH2OKHP1KcAAAAAAABAFICAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHAAAAAAD/////AQCj4REAAAAA" +
		"FgAUwM681sPTyox13F7GLr5VMw75EOIAAAAAAQEfAKPhEQAAAAAWABTAzrzWw9PKjHXcXsYuvlUzDvkQ4iIGAzDVT9DdQgpuX402JPXzSCyuNQ951fB1O/W+" +
		"75wtka88GHPF2gpUAACAAAAAgAAAAIAAAAAAAAAAAAAAIgIDAlMkiI5Cmrjj268feAJki5zQHptBhIXF+kwbm1cA4aYYc8XaClQAAIAAAACAAAAAgAEAAAAA" +
		"AAAAAA=="

	tourLargePSBT = "cHNidP8BAHECAAAAAStwjdXh3qFPFI7GYDe1C8fGXvIhWKLBuEbB5B5/00DTAAAAAAD/////AgDC6wsAAAAAFgAUWlpaWlpaWlpaWlpaWlpaWlpaWlp+2/UF" +
		"AAAAABYAFD40mF3Kb93J+zaZQOTH2OKHP1KcAAAAAAABAFICAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHAAAAAAD/////AQCj4REAAAAA" +
		"FgAUwM681sPTyox13F7GLr5VMw75EOIAAAAAAQEfAKPhEQAAAAAWABTAzrzWw9PKjHXcXsYuvlUzDvkQ4iIGAzDVT9DdQgpuX402JPXzSCyuNQ951fB1O/W+" +
		"75wtka88GHPF2gpUAACAAAAAgAAAAIAAAAAAAAAAAAAAIgIDAlMkiI5Cmrjj268feAJki5zQHptBhIXF+kwbm1cA4aYYc8XaClQAAIAAAACAAAAAgAEAAAAA" +
		"AAAAAA=="
)

// plant is the chapter of the seed and of Bitcoin.
func (t *tour) plant() error {
	t.tell("A seed: one tree of keys for many accounts and chains. These words are in every textbook; make yours with keyward seed create.")
	if _, err := t.pipe(exitDone, tourWords, "seed", "import", "savings"); err != nil {
		return err
	}
	t.tell("An account of it stores nothing: it is derived when it is used.")
	if _, err := t.run(exitDone, "key", "show", "savings/m/84h/0h/0h"); err != nil {
		return err
	}
	t.tell("A Bitcoin payment (PSBT). What comes back to the account is proved by deriving it again, not believed.")
	if _, err := t.run(exitDone, "decode", "--key", "savings/m/84h/0h/0h", t.path("small.psbt")); err != nil {
		return err
	}
	if _, err := t.run(exitDone, "sign", "--key", "savings/m/84h/0h/0h", t.path("small.psbt")); err != nil {
		return err
	}
	t.tell("The same for 2 BTC is over the limit. The fee counts; what comes back does not.")
	_, err := t.run(exitDenied, "sign", "--key", "savings/m/84h/0h/0h", t.path("large.psbt"))
	return err
}

// pipe is run with something on standard input.
func (t *tour) pipe(want int, stdin string, args ...string) ([]byte, error) {
	return t.runIn(want, t.path("data"), strings.NewReader(stdin), args...)
}
