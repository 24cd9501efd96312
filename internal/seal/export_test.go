package seal

// OpenGCM is the second half of XAES-256-GCM: AES-256-GCM under Kₓ and Nₓ.
func OpenGCM(kx, nx, body, additional []byte) ([]byte, error) {
	sub := subkey{kx: [KeySize]byte(kx)}
	defer sub.wipe()
	if err := sub.expand(); err != nil {
		return nil, err
	}
	return sub.aead.Open(nil, nx, body, additional)
}

// SealGCM is OpenGCM backwards.
func SealGCM(kx, nx, plaintext, additional []byte) ([]byte, error) {
	sub := subkey{kx: [KeySize]byte(kx)}
	defer sub.wipe()
	if err := sub.expand(); err != nil {
		return nil, err
	}
	return sub.aead.Seal(nil, nx, plaintext, additional), nil
}
