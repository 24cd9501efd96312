package seed

import (
	"bytes"
	_ "embed" // the word list
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"keyward/internal/secret"
)

const (
	listSize = 2048
	wordBits = 11
	maxBits  = 24 * wordBits
	maxText  = 4096 // bytes of words: 24 of the longest, and a lot of white space
)

// Language is a word list of BIP-39.
type Language struct {
	number    byte // in stored material; never changes
	name      string
	separator string   // in what people read; any white space is understood
	list      [][]byte // in NFKD
}

//go:embed english.txt
var english string

// English is the word list that every wallet knows.
var English = newLanguage(1, "English", " ", english)

// languages are all; a new one is added at the end.
var languages = []*Language{English}

func newLanguage(number byte, name, separator, list string) *Language {
	return &Language{number, name, separator, bytes.Fields([]byte(list))}
}

// Numbered finds the language of a number that Number returned.
func Numbered(n byte) (*Language, bool) {
	for _, l := range languages {
		if l.number == n {
			return l, true
		}
	}
	return nil, false
}

// Number stands for the language in stored material.
func (l *Language) Number() byte { return l.number }

func (l *Language) String() string { return l.name }

// words writes entropy of a size that was checked.
func (l *Language) words(entropy secret.Bytes, separator string) secret.Bytes {
	count := entropy.Len() * 8 * 33 / 32 / wordBits
	size := (count - 1) * len(separator)
	secret.Do(func() {
		for i := range count {
			size += len(l.list[wordAt(entropy.View(), i)])
		}
	})
	text := secret.New(size)
	secret.Do(func() {
		rest := text.View()
		for i := range count {
			if i > 0 {
				rest = rest[copy(rest, separator):]
			}
			rest = rest[copy(rest, l.list[wordAt(entropy.View(), i)]):]
		}
	})
	return text
}

// wordAt is the number of the i-th word: eleven bits of entropy and checksum.
func wordAt(entropy []byte, i int) (n int) {
	for bit := i * wordBits; bit < (i+1)*wordBits; bit++ {
		b := byte(0)
		if bit/8 < len(entropy) {
			b = entropy[bit/8]
		} else {
			b = checksum(entropy)
		}
		n = n<<1 | int(b>>(7-bit%8)&1)
	}
	return n
}

// entropy reads words.
func (l *Language) entropy(words secret.Bytes) (entropy secret.Bytes, err error) {
	text, err := normalize(words, maxText)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("words: %w", err)
	}
	defer text.Destroy()
	room := secret.New((maxBits + 7) / 8)
	defer room.Destroy()
	size := 0
	secret.Do(func() { size, err = l.pack(room.View(), text.View()) })
	if err != nil {
		return secret.Bytes{}, err
	}
	entropy = secret.New(size)
	copy(entropy.View(), room.View())
	return entropy, nil
}

// pack puts the numbers of the words into bits, checks their last ones, and
// returns the size of the entropy before them.
func (l *Language) pack(bits, text []byte) (size int, err error) {
	count := 0
	for word, rest := cutWord(text); len(word) > 0; word, rest = cutWord(rest) {
		count++
		n, ok := l.find(word)
		switch {
		case !ok:
			return 0, fmt.Errorf("word %d is not in the %s list: compare it with what was written down", count, l)
		case count*wordBits > maxBits:
			return 0, errors.New("more than 24 words: want 12, 15, 18, 21 or 24")
		}
		for i := range wordBits {
			at := (count-1)*wordBits + i
			bits[at/8] |= byte(n>>(wordBits-1-i)&1) << (7 - at%8)
		}
	}
	size = count * wordBits * 32 / 33 / 8
	if count%3 != 0 || checkEntropy(size) != nil {
		return 0, fmt.Errorf("%d words: want 12, 15, 18, 21 or 24", count)
	}
	if got, length := bits[size], size/4; (got^checksum(bits[:size]))>>(8-length) != 0 {
		return 0, errors.New("the checksum is wrong: every word is in the list, but one is not the right one, or two have changed places")
	}
	return size, nil
}

// cutWord lends the first word of text, in lower case, and the rest. In NFKD
// what accents a letter stands behind it, so that letters with a case are ASCII.
func cutWord(text []byte) (word, rest []byte) {
	text = bytes.TrimLeftFunc(text, unicode.IsSpace)
	end := 0
	for end < len(text) {
		r, n := utf8.DecodeRune(text[end:])
		if unicode.IsSpace(r) {
			break
		}
		if 'A' <= r && r <= 'Z' {
			text[end] += 'a' - 'A'
		}
		end += n
	}
	return text[:end], text[end:]
}

// find looks at the whole list, so that its time does not tell the word.
func (l *Language) find(word []byte) (n int, ok bool) {
	for i, w := range l.list {
		if bytes.Equal(w, word) {
			n, ok = i, true
		}
	}
	return n, ok
}
