// Package interop holds other people's programs as judges of keyward: an
// Ethereum node, go-ethereum, and the libraries that wallets use. It is a module
// of its own, so that nothing of theirs, and none of their licences, gets into
// the product; README.md says what they are and where they come from.
//
// It has no code but its tests. A judge that is not here makes its tests skip;
// with KEYWARD_TEST_ALL=1 it makes them fail.
package interop
