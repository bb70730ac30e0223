package config

import (
	"fmt"
	"strings"
)

// Problem is one mistake in the environment: the variable, its value and what it takes. Got never
// holds a secret.
type Problem struct {
	Variable string
	Got      string // "": the variable isn't set
	Takes    string
}

// String returns the problem in one line.
func (p Problem) String() string {
	if p.Got == "" {
		return fmt.Sprintf("%s: takes %s", p.Variable, p.Takes)
	}
	return fmt.Sprintf("%s: got %s; takes %s", p.Variable, p.Got, p.Takes)
}

// Problems lists all mistakes in the environment.
type Problems []Problem

// Error returns one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// add adds a problem, unless the variable has one already.
func (p *Problems) add(problem Problem) {
	for _, known := range *p {
		if known.Variable == problem.Variable {
			return
		}
	}
	*p = append(*p, problem)
}
