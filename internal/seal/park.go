package seal

import (
	"crypto/cipher"
	"reflect"
	"unsafe"

	"keyward/internal/secret"
)

// The first two round keys of AES-256 are the key itself. So an expanded key
// must be locked in memory, and wiped, like the key; the standard library
// offers neither.

// park moves an expanded key out of the collector's heap into locked memory,
// with extra zero bytes behind it, and wipes the heap's copy. A block that holds
// pointers (another implementation of AES) stays where it is.
func park(block cipher.Block, extra int) (cipher.Block, []byte, secret.Bytes) {
	v := reflect.ValueOf(block)
	if v.Kind() != reflect.Pointer || !pointerFree(v.Type().Elem()) {
		home := secret.New(extra)
		return block, home.View(), home
	}
	t := v.Type().Elem()
	home := secret.New(int(t.Size()) + extra)
	view := home.View()
	first := unsafe.Pointer(&view[0])
	if uintptr(first)%uintptr(t.Align()) != 0 {
		return block, view[:extra:extra], home
	}
	moved := reflect.NewAt(t, first)
	moved.Elem().Set(v.Elem())
	v.Elem().SetZero()
	return moved.Interface().(cipher.Block), view[t.Size():], home
}

// zero overwrites the value that p points to: a block or a mode of the standard
// library, which keeps its key in unexported fields.
func zero(p any) {
	if v := reflect.ValueOf(p); v.Kind() == reflect.Pointer && !v.IsNil() {
		v.Elem().SetZero()
	}
}

func pointerFree(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return pointerFree(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !pointerFree(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128
}
