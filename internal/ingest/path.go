package ingest

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// notFound returns the error for an unknown path. If only slashes, capitals, escapes or the part
// before the name differ from an endpoint's path, it also returns that endpoint's name: somebody
// has registered a wrong address.
func (h *Handler) notFound(path string) (nearest string, err error) {
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path
	}
	plain = strings.TrimRight(strings.ToLower(plain), "/ ")
	plain = plain[strings.LastIndexByte(plain, '/')+1:]
	at, ok := h.endpoints["/webhooks/"+plain]
	if !ok {
		return "", errNotFound
	}
	return at.Name, fmt.Errorf("%w: the endpoint is at /webhooks/%s", errWrongPath, at.Name)
}

// encoded returns errContentEncoding for a body that isn't JSON and has a Content-Encoding, and
// else err. The header alone isn't judged: some senders write a charset there.
func (d *delivery) encoded(err error) error {
	isJSON := !errors.Is(err, stringify.ErrSyntax) && !errors.Is(err, stringify.ErrUTF8)
	for _, coding := range d.r.Header.Values("Content-Encoding") {
		if !isJSON && coding != "" && !strings.EqualFold(coding, "identity") {
			return fmt.Errorf("%w: %w", errContentEncoding, err)
		}
	}
	return err
}
