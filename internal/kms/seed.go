package kms

import (
	"context"
	"fmt"

	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/keystore/software"
	"keyward/internal/secret"
	"keyward/internal/seed"
)

// defaultWords is how many words a new seed has: 256 bits of entropy.
const defaultWords = 24

// CreateSeed makes a seed, or takes one that exists as words. Where they are to
// be shown they come back once, when the seed is on disk: to the local operator
// alone, who sits before the machine. The caller must Destroy them.
func (k *KMS) CreateSeed(ctx context.Context, a identity.Actor, n NewSeed) (KeyView, secret.Bytes, Answer, error) {
	var words secret.Bytes
	u, err := k.unsealed()
	if err != nil {
		return KeyView{}, words, Answer{}, err
	}
	if n.Show && a.Kind() != identity.LocalOperator {
		return KeyView{}, words, Answer{}, fail(Denied, "make it on the machine itself, or without words", "only the local operator is shown the words of a seed")
	}
	meta, p, err := n.check()
	if err != nil {
		return KeyView{}, words, Answer{}, fail(Invalid, "see: keyward seed --help", "%w", err)
	}
	bear := func(made key.Key) (birth software.Birth, err error) {
		if birth, err = u.keystore.GenerateSeed(ctx, made, 1, bitsOf(p.Words)); err != nil || !n.Show {
			return birth, err
		}
		words.Destroy() // of an earlier try
		words, err = u.keystore.Words(birth)
		return birth, err
	}
	sentence := fmt.Sprintf("Create seed %q of %d words, domain %s; the words are shown: %t.", meta.Name, p.Words, meta.Domain, n.Show)
	if !n.Import.IsZero() {
		m, err := seed.Read(seed.English, n.Import, n.Passphrase)
		if err != nil {
			return KeyView{}, words, Answer{}, fail(Invalid, "check the words against what is written down", "%w", err)
		}
		defer m.Destroy()
		sentence = fmt.Sprintf("Import seed %q from its words, domain %s.", meta.Name, meta.Domain)
		bear = func(made key.Key) (software.Birth, error) { return u.keystore.ImportSeed(ctx, made, 1, m) }
	}
	view, answer, err := k.bring(ctx, u, a, meta, p, sentence, n.Ask, bear)
	if err != nil || answer.replayed() {
		words.Destroy() // of a seed that there is not, or of another one
		words = secret.Bytes{}
	}
	return view, words, answer, err
}

func bitsOf(words int) int { return words / 3 * 32 }

func (n NewSeed) check() (key.Key, newKeyParameters, error) {
	refuse := func(format string, args ...any) (key.Key, newKeyParameters, error) {
		return key.Key{}, newKeyParameters{}, fmt.Errorf(format, args...)
	}
	if n.Domain == "" {
		n.Domain = key.ByPath
	}
	if err := key.ValidName(n.Name); err != nil {
		return refuse("%w", err)
	}
	meta, err := NewKey{Name: n.Name, Spec: key.HDSeed, Domain: n.Domain, Tags: n.Tags}.meta()
	if err != nil {
		return refuse("%w", err)
	}
	p := newKeyParameters{Spec: meta.Spec, Usage: meta.Usage, Domain: meta.Domain, Tags: meta.Tags}
	switch imported := !n.Import.IsZero(); {
	case imported && (n.Words != 0 || n.Show):
		return refuse("an imported seed has the words that were given, and shows none")
	case imported:
		meta.Origin, p.Origin = key.Imported, key.Imported
		return meta, p, nil
	case n.Passphrase.Len() > 0:
		return refuse("a passphrase goes with words that exist already; a new seed has none")
	}
	if n.Words == 0 {
		n.Words = defaultWords
	}
	if n.Words < 12 || n.Words > 24 || n.Words%3 != 0 {
		return refuse("%d words: a seed has 12, 15, 18, 21 or 24", n.Words)
	}
	meta.WordsShown, p.Words, p.Shown = n.Show, n.Words, n.Show
	return meta, p, nil
}
