//go:build unix

package cli

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// awaitUnread waits until nobody reads the pipe any more. It returns false if the file isn't a pipe. For
// some other files it waits for ever.
func awaitUnread(pipe *os.File) bool {
	const readBand = 0x80 // POLLRDBAND: macOS reports nothing if no event is asked for
	fds := []unix.PollFd{{Fd: int32(pipe.Fd()), Events: readBand}}
	for {
		if _, err := unix.Poll(fds, -1); !errors.Is(err, unix.EINTR) {
			return fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
		}
	}
}
