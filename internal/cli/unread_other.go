//go:build !unix

package cli

import "os"

// awaitUnread returns false: this system doesn't tell. The next write fails.
func awaitUnread(*os.File) bool { return false }
