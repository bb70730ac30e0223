package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with the environment: which variable, what it holds, what it
// takes. Got never holds a secret.
type Problem struct {
	Variable string
	Got      string // "" where the variable isn't set
	Takes    string
}

// String is the problem in one line.
func (p Problem) String() string {
	if p.Got == "" {
		return fmt.Sprintf("%s: takes %s", p.Variable, p.Takes)
	}
	return fmt.Sprintf("%s: got %s; takes %s", p.Variable, p.Got, p.Takes)
}

// Problems is all that is wrong with the environment.
type Problems []Problem

// Error has a line a problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// add notes a problem; for another one of a variable that has one already, the first stands.
func (p *Problems) add(problem Problem) {
	for _, known := range *p {
		if known.Variable == problem.Variable {
			return
		}
	}
	*p = append(*p, problem)
}
