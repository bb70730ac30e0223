package config

import (
	"fmt"
	"iter"
	"reflect"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// Variable is one variable of the environment, as the documentation shows it.
type Variable struct {
	Name    string
	Type    string // what it takes, in words
	Default string // "": none
	Doc     string
	Value   string // the value in use, secrets hidden; "": none
	Origin  string // the preset that the value comes from; "": none
}

// Variables lists every variable with its value in force, in the order of the documentation. Each
// variable of a further endpoint stands once, as ENDPOINTS_<i>_…, unless further endpoints are set.
func (c *Config) Variables() []Variable {
	var list []Variable
	for field, value := range fields(c) {
		if field.Name == "NATSURL" { // the endpoints come before NATS, as in the contract
			list = append(list, c.endpointVariables()...)
		}
		list = append(list, variable(field, value, ""))
	}
	return list
}

// endpointVariables lists the variables of the providers' own endpoints, configured or not, and
// then those of the further endpoints, or where there is none, of any.
func (c *Config) endpointVariables() []Variable {
	configured := make(map[string]Endpoint)
	var own, further []Variable
	for _, e := range c.Endpoints {
		configured[e.prefix] = e
		if strings.HasPrefix(e.prefix, "ENDPOINTS_") {
			further = append(further, c.variablesOf(e, e.prefix, nil)...)
		}
	}
	for _, p := range providers.All {
		own = append(own, c.variablesOf(configured[p.Variable("")], p.Variable(""), p)...)
	}
	if further == nil {
		further = c.variablesOf(Endpoint{}, "ENDPOINTS_<i>_", nil)
	}
	return append(own, further...)
}

// variablesOf lists the variables that an endpoint may have. The own endpoint of a provider has its
// name and its provider from its prefix, and the choices that the provider has. Of a further
// endpoint's settings the origin tells which the provider has filled in.
func (c *Config) variablesOf(e Endpoint, prefix string, own *verify.Provider) (list []Variable) {
	for field, value := range fields(&e) {
		variable, name := variable(field, value, prefix), field.Tag.Get("env")
		isSetting, isChoice := len(field.Index) > 1, name == "SIGNATURE" || name == "FRESHNESS"
		if isSetting || isChoice || name == "TOLERANCE" {
			variable.Default = "the provider's"
		}
		switch {
		case own != nil && (isSetting || name == "NAME" || name == "PROVIDER"), own != nil && name == "FRESHNESS" && own.Freshness() == nil:
			continue
		case own != nil && name == "TOLERANCE":
			variable.Default = humanize.Duration(own.Tolerance)
		case own != nil && isChoice:
			words := own.Signatures()
			if name == "FRESHNESS" {
				words = own.Freshness()
			}
			variable.Type, variable.Default = "one of "+strings.Join(words, ", "), words[0]
		case own != nil || e.Vendor == nil:
		case isSetting && e.Vendor.Configure == nil, isChoice && e.Vendor.Configure != nil:
			continue
		case isSetting && !c.set[variable.Name] && variable.Value != "":
			variable.Origin = e.Provider
		}
		list = append(list, variable)
	}
	return list
}

// settingNames lists the variables of verify.Settings.
func settingNames() (names []string) {
	for _, s := range (verify.Settings{}).List() {
		names = append(names, s.Variable)
	}
	return names
}

// Names lists the names of all variables; those of further endpoints as ENDPOINTS_<i>_….
func Names() []string {
	var names []string
	for _, v := range new(Config).Variables() {
		names = append(names, v.Name)
	}
	return names
}

// Variable returns the full name of an endpoint's variable: for SECRETS it is <PROVIDER>_SECRETS,
// for example.
func (e Endpoint) Variable(name string) string { return e.prefix + name }

// fields yields the fields of a struct that have a variable, with their values.
func fields(target any) iter.Seq2[reflect.StructField, reflect.Value] {
	return func(yield func(reflect.StructField, reflect.Value) bool) {
		v := reflect.ValueOf(target).Elem()
		for _, field := range reflect.VisibleFields(v.Type()) {
			if name := field.Tag.Get("env"); name != "" && name != "-" && !yield(field, v.FieldByIndex(field.Index)) {
				return
			}
		}
	}
}

// variable returns a field's variable, whose name begins with prefix.
func variable(field reflect.StructField, value reflect.Value, prefix string) Variable {
	tag := field.Tag
	return Variable{Name: prefix + tag.Get("env"), Type: takes(field), Default: tag.Get("envDefault") + tag.Get("fallback"), Doc: tag.Get("doc"), Value: show(field, value)}
}

// oneOf returns the words that a field takes; nil if it takes other values.
func oneOf(field reflect.StructField) []string {
	words := field.Tag.Get("oneof")
	if words == "providers" {
		return providers.Names()
	}
	return strings.Fields(words)
}

// takes describes the valid values of a field.
func takes(field reflect.StructField) string {
	if words := field.Tag.Get("takes"); words != "" {
		return words
	}
	if words := oneOf(field); len(words) > 0 {
		return "one of " + strings.Join(words, ", ")
	}
	if kind, ok := kinds[field.Tag.Get("kind")]; ok {
		return kind.takes
	}
	switch reflect.Zero(field.Type).Interface().(type) {
	case Size:
		return "a size such as 512KiB, 1GiB or plain bytes"
	case []secret.Secret:
		return "secrets with commas between, none of them empty"
	case time.Duration:
		return "a duration such as 400ms, 24h or 7d"
	case bool:
		return "true or false"
	case int:
		return "a whole number"
	}
	return "text"
}

// takesOf describes the valid values of the struct's field of that name.
func takesOf(owner any, name string) string {
	field, _ := reflect.TypeOf(owner).FieldByName(name)
	return takes(field)
}

// show returns a field's value as one would set it, secrets hidden.
func show(field reflect.StructField, v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		return humanize.Duration(value)
	case []secret.Secret:
		return strings.TrimSuffix(strings.Repeat("[hidden],", len(value)), ",")
	case string:
		if kind := field.Tag.Get("kind"); kind == "servers" || kind == "URL" {
			return HideUser(value)
		}
	}
	return fmt.Sprint(v.Interface())
}
