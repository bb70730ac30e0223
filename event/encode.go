package event

import "bytes"

// Encode returns the event as JSON: the attributes in the order of [Event], and the data last. Unlike
// encoding/json it doesn't change a byte of the data.
func (e *Event) Encode() []byte {
	var room [1024]byte // usually enough, and on the stack
	dst := append(room[:0], '{')
	for _, a := range attributes {
		if value := *a.value(e); value != "" || a.required {
			dst = append(append(append(dst, '"'), a.name...), `":`...)
			dst = append(appendString(dst, value), ',')
		}
	}
	dst = append(dst, `"data":`...)
	return bytes.Join([][]byte{dst, e.Data, {'}'}}, nil)
}

// appendString appends text as a JSON string. An event that wasn't made by New may have control
// characters.
func appendString(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(append(dst, text[from:i]...), '\\', c)
		case c < 0x20:
			dst = append(append(dst, text[from:i]...), '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			continue
		}
		from = i + 1
	}
	return append(append(dst, text[from:]...), '"')
}
