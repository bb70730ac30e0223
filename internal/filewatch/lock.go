package filewatch

import "errors"

// ErrInUse says that another process holds the lock.
var ErrInUse = errors.New("in use by another process")
