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

// Problems lists all mistakes in the environment.
type Problems []Problem

// Error returns one line for each problem.
func (p Problems) Error() string {
	var lines []string
	for _, problem := range p {
		got := ""
		if problem.Got != "" {
			got = "got " + problem.Got + "; "
		}
		lines = append(lines, fmt.Sprintf("%s: %stakes %s", problem.Variable, got, problem.Takes))
	}
	return strings.Join(lines, "\n")
}
