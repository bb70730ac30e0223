package event

// Append appends the event as JSON, attributes in the order in which [Event] has them and the data
// last, byte for byte as it is. Unlike encoding/json it doesn't touch the data's text.
func (e *Event) Append(dst []byte) []byte {
	dst = append(dst, '{')
	for _, a := range attributes {
		if value := *a.value(e); value != "" || a.required {
			dst = append(appendString(dst, a.name), ':')
			dst = append(appendString(dst, value), ',')
		}
	}
	dst = append(dst, `"data":`...)
	dst = append(dst, e.Data...)
	return append(dst, '}')
}

// Size is how many bytes Append appends.
func (e *Event) Size() int {
	n := len(`{"data":}`) + len(e.Data)
	for _, a := range attributes {
		if value := *a.value(e); value != "" || a.required {
			n += sizeOfString(a.name) + len(":") + sizeOfString(value) + len(",")
		}
	}
	return n
}

// sizeOfString is how many bytes appendString appends.
func sizeOfString(text string) int {
	n := len(`""`) + len(text)
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			n++
		case c < 0x20:
			n += len(`\u0000`) - 1
		}
	}
	return n
}

// appendString appends text as a JSON string. The text is valid for CloudEvents (see New), so only
// the quote and the backslash need escaping; the control characters are there for events that
// somebody else filled in.
func appendString(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
