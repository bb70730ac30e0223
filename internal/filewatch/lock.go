package filewatch

import "errors"

// ErrInUse means that another process holds the lock.
var ErrInUse = errors.New("in use by another process")
