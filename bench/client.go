package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// client sends deliveries over one connection. It is written by hand because it shares the machine
// with the server that is measured: net/http's client costs more than the whole server. But a lean
// client flatters a server that handles several requests together, so there is a load by net/http's
// client, too.
type client struct {
	http    *http.Client // nil for the one written by hand
	url     string
	conn    net.Conn
	reader  *bufio.Reader
	mac     hash.Hash
	request []byte
	body    []byte
	sum     []byte
	forge   bool   // sign wrongly
	path    string // of the endpoint
	padding []byte
}

// events numbers the events, so that each is different.
var events atomic.Int64

const requestTimeout = 10 * time.Second

func dial(addr string, l load) (*client, error) {
	path := "/webhooks/" + cmp.Or(l.endpoint, "flock")
	if l.http {
		transport := &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}
		return &client{http: &http.Client{Transport: transport, Timeout: requestTimeout}, url: "http://" + addr + path, mac: hmac.New(sha256.New, key.Key()), forge: l.forge, padding: bytes.Repeat([]byte("x"), l.padding)}, nil
	}
	conn, err := net.DialTimeout("tcp", addr, requestTimeout) //nolint:noctx // it has a bound
	if err != nil {
		return nil, err
	}
	return &client{path: path, conn: conn, reader: bufio.NewReader(conn), mac: hmac.New(sha256.New, key.Key()), forge: l.forge, padding: bytes.Repeat([]byte("x"), l.padding)}, nil
}

// prepare makes the next request, outside the time that is measured.
func (c *client) prepare() {
	c.body = appendBody(c.body[:0], events.Add(1), time.Now().Unix(), c.padding)
	c.mac.Reset()
	c.mac.Write(c.body)
	c.sum = c.mac.Sum(c.sum[:0])
	if c.forge {
		c.sum[0]++
	}
	if c.http != nil {
		return
	}
	c.request = append(c.request[:0], "POST "...)
	c.request = append(c.request, c.path...)
	c.request = append(c.request, " HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nContent-Type: application/json\r\nX-Flock-Signature: "...)
	c.request = hex.AppendEncode(c.request, c.sum)
	c.request = append(c.request, "\r\nContent-Length: "...)
	c.request = strconv.AppendInt(c.request, int64(len(c.body)), 10)
	c.request = append(append(c.request, "\r\n\r\n"...), c.body...)
}

// send sends the request and returns the answer's status.
func (c *client) send() (status int, err error) {
	if c.http != nil {
		return c.post()
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, fmt.Errorf("answer begins with %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, fmt.Errorf("reading status: %w", err)
	}
	length := 0
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, fmt.Errorf("reading Content-Length: %w", err)
			}
		}
	}
	_, err = io.CopyN(io.Discard, c.reader, int64(length))
	return status, err
}

// post is send by net/http.
func (c *client) post() (status int, err error) {
	request, err := http.NewRequest(http.MethodPost, c.url, bytes.NewReader(c.body)) //nolint:noctx // the client has a time-out
	if err != nil {
		return 0, err
	}
	request.Header.Set("X-Flock-Signature", hex.EncodeToString(c.sum))
	response, err := c.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// close closes the connection.
func (c *client) close() {
	if c.http != nil {
		c.http.CloseIdleConnections()
		return
	}
	_ = c.conn.Close()
}

// expect sends the request and reports whether it was answered with that status.
func (c *client) expect(status int) error {
	if c.http == nil {
		if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
			return err
		}
	}
	got, err := c.send()
	if err == nil && got != status {
		err = errors.New("answered " + strconv.Itoa(got))
	}
	return err
}
