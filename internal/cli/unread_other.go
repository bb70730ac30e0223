//go:build !unix

package cli

import "os"

// awaitUnread can't know it here: the next write fails.
func awaitUnread(*os.File) bool { return false }
