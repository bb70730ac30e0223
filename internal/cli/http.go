package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 64 << 10

// withoutUser is the error for a URL with a user and password.
const withoutUser = "leave out the user and password, which others could see in the list of processes"

// newClient returns a client for so many requests at once to one server. It follows no redirects: they may
// lead to another host, which would get the signed delivery or the event, and net/http follows most with a
// GET.
func newClient(atOnce int, timeout time.Duration) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost = atOnce, atOnce, atOnce
	transport.MaxResponseHeaderBytes = maxAnswer
	return &http.Client{
		Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type answer struct {
	code   int
	status string // the code and its name
	body   string
}

// exchange sends a request and reads the answer. If only a part of the body comes, it returns that part
// and an error. If no answer comes, the code is 0.
func exchange(client *http.Client, request *http.Request) (answer, error) {
	r, err := client.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok { // it may quote what a server sends that doesn't speak HTTP
		const notHTTP = "the server there doesn't speak HTTP: it may be NATS"
		switch {
		case isA[tls.RecordHeaderError](err):
			failed.Err = errors.New(notHTTP)
		case strings.Contains(err.Error(), "malformed HTTP "),
			strings.Contains(err.Error(), "%!w(<nil>)"): // net/http (1.26) if the server speaks first
			failed.Err = errors.New(notHTTP + ", or need https://")
		}
	}
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	return answer{r.StatusCode, r.Status, strings.TrimSpace(string(body))}, err
}

// local returns the address at which a listener is reached from this machine.
func local(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// withHint adds to a send error what to do about it.
func withHint(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens there: %w; start a bridge with `bridge serve`, or give its address with --url", err)
	case isA[x509.UnknownAuthorityError](err):
		return fmt.Errorf("%w; if the certificate is your own, set SSL_CERT_FILE to its authority's file", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w; does --url name the bridge, and does a firewall let it through?", err)
	case isA[*net.DNSError](err):
		return fmt.Errorf("%w; check the name in --url", err)
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return fmt.Errorf("%w; there is no TLS: give --url http://…", err)
	}
	return err
}
