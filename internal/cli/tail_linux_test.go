package cli

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns a pseudo-terminal, as a program sees it.
func openTerminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal
}

// Colours are for a terminal that can show them and for nobody who doesn't want any.
func TestWhenColours(t *testing.T) {
	terminal := openTerminal(t)
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, test := range []struct {
		colour  string
		out     *os.File
		environ []string
		want    bool
	}{
		{"auto", terminal, nil, true},
		{"auto", terminal, []string{"TERM=xterm", "NO_COLOR="}, true},
		{"auto", terminal, []string{"NO_COLOR=1"}, false},
		{"auto", terminal, []string{"TERM=dumb"}, false},
		{"auto", file, nil, false},
		{"always", file, []string{"NO_COLOR=1"}, true},
		{"never", terminal, nil, false},
	} {
		to := tail{colour: test.colour}
		if p, err := to.printer(test.environ, stdio{out: test.out}); err != nil || p.colours != test.want {
			t.Errorf("%s on %s with %q: %t, %v", test.colour, test.out.Name(), test.environ, p.colours, err)
		}
	}
}
