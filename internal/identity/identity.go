// Package identity knows who asks: the local operator and, later, members;
// services with their tokens. It proves who somebody is and never what they may
// do.
package identity
