package ingest

import (
	"fmt"
	"net/url"
	"strings"
)

// notFound returns the error for an unknown path. If the path differs from an endpoint's only in
// slashes, capitals, escapes or the part before the name, notFound also returns that endpoint's name:
// somebody has registered a wrong address.
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
