// Package dirlock keeps a directory to one process at a time.
package dirlock

import "errors"

// ErrInUse says that another process holds the lock.
var ErrInUse = errors.New("in use by another process")
