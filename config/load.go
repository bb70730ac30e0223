package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// Load reads the environment, in the form of os.Environ. The error is [Problems], which lists all
// mistakes at once; the config then holds what could be read. Warnings are about valid settings
// that are probably a mistake.
func Load(environ []string) (c *Config, warnings []string, err error) {
	l := loader{vars: env.ToMap(environ), fields: make(map[string]reflect.StructField)}
	c = &Config{set: make(map[string]bool)}
	for name, value := range l.vars {
		c.set[name] = value != ""
	}
	l.parse(c, "")
	for _, p := range providers.All {
		// The prefix gives the default endpoint's name and provider: the two variables have no effect.
		delete(l.vars, p.Variable("NAME"))
		delete(l.vars, p.Variable("PROVIDER"))
		if e, isConfigured := l.endpoint(p.Variable(""), p.Name); isConfigured {
			c.Endpoints = append(c.Endpoints, e)
			continue
		}
		for _, name := range []string{"SIGNATURE", "TOLERANCE", "FRESHNESS"} {
			if c.set[p.Variable(name)] {
				l.warn("%s has no effect without %s: an endpoint of ENDPOINTS_<i>_NAME has ENDPOINTS_<i>_%s",
					p.Variable(name), p.Variable("SECRETS"), name)
			}
		}
	}
	l.furtherEndpoints(c)
	l.check(c)
	l.addWarnings(c)
	if len(l.problems) > 0 {
		return c, l.warnings, l.problems
	}
	return c, l.warnings, nil
}

// Problem is one mistake in the environment. Got never holds a secret.
type Problem struct {
	Variable string // or two with " and " between; "": none
	Got      string // "": the variable isn't set
	Message  string // what is wrong, or what the variable takes
}

// Problems lists all mistakes in the environment.
type Problems []Problem

// Error returns one line for each problem.
func (p Problems) Error() string {
	var lines []string
	for _, problem := range p {
		got := "not set"
		if problem.Got != "" {
			got = "got " + problem.Got
		}
		if problem.Variable == "" {
			lines = append(lines, problem.Message)
		} else {
			lines = append(lines, fmt.Sprintf("%s: %s; %s", problem.Variable, got, problem.Message))
		}
	}
	return strings.Join(lines, "\n")
}

// loader is one reading of the environment.
type loader struct {
	vars     map[string]string
	fields   map[string]reflect.StructField // by variable: the field that it sets
	problems Problems
	warnings []string
}

// wrong adds a problem, unless the variable has one. The message "" stands for what the variable takes.
func (l *loader) wrong(variable, message string) {
	if message == "" {
		message = "takes " + takes(l.fields[variable])
	}
	if !l.isWrong(variable) {
		l.problems = append(l.problems, Problem{variable, l.got(variable), message})
	}
}

func (l *loader) isWrong(variable string) bool {
	return slices.ContainsFunc(l.problems, func(known Problem) bool { return known.Variable == variable })
}

func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

var (
	// secretVariable matches the variables whose values must not be shown.
	secretVariable = regexp.MustCompile(`_(SECRETS?|PASSWORD|TOKEN)$`)
	// secretFile matches the variables for files with secrets. Somebody may set the secret itself, so
	// a long value is shown only if path matches it.
	secretFile = regexp.MustCompile(`_(SECRETS_FILE|CREDS|NKEY|KEY|KEY_FILE)$`)
	path       = regexp.MustCompile(`^([/.]|[A-Za-z]:)|\.[a-z]{1,6}$`)
)

// got returns the value of a variable, or of two, for a message. Secrets are hidden.
func (l *loader) got(variable string) string {
	if first, second, ok := strings.Cut(variable, " and "); ok {
		return l.got(first) + ", and " + l.got(second)
	}
	value, isThere := l.vars[variable]
	preset := l.fields[variable].Tag.Get("envDefault")
	switch {
	case !isThere && preset != "":
		return "its default, " + preset
	case !isThere:
		return ""
	case value == "":
		return "nothing"
	case secretVariable.MatchString(variable):
		return "[hidden]"
	case secretFile.MatchString(variable) && len(value) >= 16 && !path.MatchString(value):
		return "something that doesn't look like a path [hidden]"
	}
	return strconv.Quote(hide(variable, value))
}

// parse fills a struct from the variables with the prefix. A wrong value counts as not set.
func (l *loader) parse(target any, prefix string) {
	err := env.ParseWithOptions(target, env.Options{Environment: l.vars, Prefix: prefix, FuncMap: parsers})
	unparsed := make(map[string]error) // by field
	all, _ := errors.AsType[env.AggregateError](err)
	for _, err := range all.Errors {
		if wrong, ok := errors.AsType[env.ParseError](err); ok {
			unparsed[wrong.Name] = wrong.Err
		}
	}
	for field, value := range fields(target) {
		variable, err := prefix+field.Tag.Get("env"), unparsed[field.Name]
		l.fields[variable] = field
		if check := kindOf(field).check; check != nil && value.String() != "" {
			err = check(value.String())
		}
		if err == nil {
			continue
		}
		value.SetZero()
		message := "takes " + takes(field)
		if cause, ok := errors.AsType[hint](err); ok {
			message = fmt.Sprintf("%s (%s)", message, cause)
		}
		l.wrong(variable, message)
	}
}

// parsers parse types that have no UnmarshalText.
var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[time.Duration](): func(text string) (any, error) { return ParseDuration(text) },
	reflect.TypeFor[[]secret.Secret](): func(text string) (any, error) {
		secrets, err := secret.List(text)
		if err != nil {
			return nil, hint(err.Error())
		}
		return secrets, nil
	},
}

// endpoint reads the variables of one endpoint, whose names begin with prefix, and reports whether
// its secrets are configured. If provider is "", the variable PROVIDER names it.
func (l *loader) endpoint(prefix, provider string) (e Endpoint, isConfigured bool) {
	e = Endpoint{Name: provider, Provider: provider, prefix: prefix}
	l.parse(&e, prefix)
	isConfigured = l.secrets(&e)
	if e.Name == "" {
		l.wrong(prefix+"NAME", "")
	}
	e.Vendor = l.vendor(&e)
	l.complete(&e)
	return e, isConfigured
}

// vendor returns the provider with the endpoint's settings; nil if the provider is unknown or a setting
// is invalid.
func (l *loader) vendor(e *Endpoint) *verify.Provider {
	if p := providers.ByName(e.Provider); p != nil {
		for _, s := range (verify.Settings{}).List() {
			if l.vars[e.prefix+s.Variable] != "" {
				l.wrong(e.prefix+s.Variable, "what "+p.Name+" signs is fixed: leave it out")
			}
		}
		e.Settings = verify.Settings{}
		return p
	}
	preset := providers.Preset(e.Provider)
	if preset == nil {
		l.wrong(e.prefix+"PROVIDER", "")
		return nil
	}
	// The name is part of the default TYPE_PREFIX: a missing one must not make that invalid, too.
	configured, problems := preset.Configure(cmp.Or(e.Name, "x"), e.Settings)
	for field := range fields(e) {
		if err := problems[field.Tag.Get("env")]; err != nil {
			l.wrong(e.prefix+field.Tag.Get("env"), fmt.Sprintf("takes %s (%v)", takes(field), err))
		}
	}
	e.SecretEncoding = cmp.Or(e.SecretEncoding, preset.Settings.SecretEncoding) // even if another setting is invalid
	if configured != nil {
		given := e.TypePrefix
		e.Settings = configured.Settings
		if e.Name == "" {
			e.TypePrefix = given
		}
	}
	return configured
}

const maxTolerance = 3650 * 24 * time.Hour // so that sums of durations don't overflow

// complete checks an endpoint, and sets what it lacks to the provider's defaults. It checks what it can
// if the provider is unknown or its settings are invalid.
func (l *loader) complete(e *Endpoint) {
	tolerance := e.Variable("TOLERANCE")
	if l.vars[tolerance] != "" && (e.Tolerance <= 0 || e.Tolerance > maxTolerance) {
		l.wrong(tolerance, "")
		e.Tolerance = 0
	}
	if p := e.Vendor; p != nil {
		l.choose(&e.Signature, p.Signatures(), e.Variable("SIGNATURE"))
		l.choose(&e.Freshness, p.Time.Freshness(), e.Variable("FRESHNESS"))
		e.Tolerance = cmp.Or(e.Tolerance, p.Time.Tolerance)
	}
	for position, s := range e.Secrets {
		if doubt := s.Doubt(); doubt != "" {
			l.warn("secret %d of %s %s", position, e.SecretsVariable(), doubt)
		}
	}
	keys, err := e.Settings.Keys(e.Secrets)
	if err != nil {
		l.wrong(e.SecretsVariable(), fmt.Sprintf("takes secrets in %s, as %s says (%v)", e.SecretEncoding, e.Variable("SECRET_ENCODING"), err))
		return
	}
	e.Secrets = keys
}

// choose checks that a value is one of the words, and sets a missing one to the first.
func (l *loader) choose(value *string, words []string, variable string) {
	switch {
	case *value == "", slices.Contains(words, *value):
	case len(words) < 2:
		l.wrong(variable, "this provider has no such choice: leave it out")
	default:
		l.wrong(variable, "takes "+oneOf(words).takes)
	}
	if len(words) > 0 && !slices.Contains(words, *value) {
		*value = words[0] // a wrong one causes no other problem
	}
}

// secrets reads an endpoint's secrets, and reports whether one of their two variables exists.
func (l *loader) secrets(e *Endpoint) bool {
	list, file := e.Variable("SECRETS"), e.Variable("SECRETS_FILE")
	text, hasList := l.vars[list]
	_, hasFile := l.vars[file]
	switch {
	case hasList && hasFile:
		l.wrong(list, file+" is set too: keep one of the two")
	case hasList && text == "":
		l.wrong(list, "")
	case hasFile && e.SecretsFile == "":
		l.wrong(file, "")
	case e.SecretsFile != "":
		content, err := fileio.Read(e.SecretsFile, secret.MaxFile)
		if err == nil {
			e.Secrets, err = secret.Lines(content)
		}
		if err != nil {
			l.wrong(file, "takes a file with one secret a line: "+err.Error())
		}
	}
	return hasList || hasFile
}

var endpointNumber = regexp.MustCompile(`^ENDPOINTS_([0-9]+)_`)

// furtherEndpoints reads ENDPOINTS_0_…, ENDPOINTS_1_… and so on.
func (l *loader) furtherEndpoints(c *Config) {
	numbers := make(map[string]bool)
	for variable := range l.vars {
		if m := endpointNumber.FindStringSubmatch(variable); m != nil && !clusterLink.MatchString(variable) {
			numbers[m[1]] = true
		}
	}
	next := 0
	for ; numbers[strconv.Itoa(next)]; next++ {
		delete(numbers, strconv.Itoa(next))
		l.furtherEndpoint(c, fmt.Sprintf("ENDPOINTS_%d_", next))
	}
	for _, number := range slices.Sorted(maps.Keys(numbers)) {
		l.wrong(fmt.Sprintf("ENDPOINTS_%d_…", next), "but there is ENDPOINTS_"+number+"_…: "+
			"number the endpoints 0, 1, 2 and so on, without a gap or a leading zero")
		l.furtherEndpoint(c, "ENDPOINTS_"+number+"_") // its other mistakes are reported, too
	}
}

func (l *loader) furtherEndpoint(c *Config, prefix string) {
	e, isConfigured := l.endpoint(prefix, "")
	if !isConfigured {
		l.wrong(prefix+"SECRETS", "takes "+takes(l.fields[prefix+"SECRETS"])+"; or set "+prefix+"SECRETS_FILE")
	}
	if slices.ContainsFunc(c.Endpoints, func(other Endpoint) bool { return other.Name == e.Name }) {
		l.wrong(prefix+"NAME", "another endpoint has this name: give each its own")
	}
	c.Endpoints = append(c.Endpoints, e)
}
