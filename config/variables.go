package config

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
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

// Variables lists every variable with its value in use, in the order of the documentation. Without
// further endpoints, it lists their variables once, as ENDPOINTS_<i>_….
func (c *Config) Variables() []Variable {
	var list []Variable
	for field, value := range fields(c) {
		if field.Name == "NATSURL" { // in the documentation the endpoints come before NATS
			list = append(list, c.endpointVariables()...)
		}
		v := variable(field, value, "")
		if v.Value == "" && c.set[v.Name] {
			v.Value = fmt.Sprint(value) // 0, of a variable without a default
		}
		list = append(list, v)
	}
	return list
}

// endpointVariables lists the variables of the providers' default endpoints, configured or not, and
// then those of the further endpoints.
func (c *Config) endpointVariables() (list []Variable) {
	for _, p := range providers.All {
		e := Endpoint{prefix: p.Variable("")}
		if i := slices.IndexFunc(c.Endpoints, func(other Endpoint) bool { return other.prefix == e.prefix }); i >= 0 {
			e = c.Endpoints[i]
		}
		e.Vendor = p
		list = append(list, c.variablesOf(e)...)
	}
	defaults := len(list)
	for _, e := range c.Endpoints {
		if !e.isDefault() {
			list = append(list, c.variablesOf(e)...)
		}
	}
	if len(list) == defaults {
		list = append(list, c.variablesOf(Endpoint{prefix: "ENDPOINTS_<i>_"})...)
	}
	return list
}

// variablesOf lists the variables that an endpoint's provider takes; all, if the provider is unknown.
// The origin of a setting is the provider, if that has filled it in.
func (c *Config) variablesOf(e Endpoint) (list []Variable) {
	for field, value := range fields(&e) {
		v, isSetting := variable(field, value, e.prefix), len(field.Index) > 1
		switch p := e.Vendor; {
		case e.isDefault() && (field.Name == "Name" || field.Name == "Provider"), // its prefix gives both
			isSetting && p != nil && !p.HasSettings():
			continue
		case isSetting || p == nil && slices.Contains([]string{"Signature", "Freshness", "Tolerance"}, field.Name):
			v.Default = "the provider's"
			if p != nil && v.Value != "" && !c.set[v.Name] {
				v.Origin = e.Provider
			}
		case p == nil:
		case field.Name == "Tolerance":
			v.Default = FormatDuration(p.Time.Tolerance)
		case field.Name == "Signature", field.Name == "Freshness":
			words := p.Signatures()
			if field.Name == "Freshness" {
				words = p.Time.Freshness()
			}
			if len(words) == 0 {
				continue
			}
			v.Type, v.Default = oneOf(words).takes, words[0]
		}
		list = append(list, v)
	}
	return list
}

// Names lists the names of all variables; those of further endpoints as ENDPOINTS_<i>_….
func Names() []string {
	var names []string
	for _, v := range new(Config).Variables() {
		names = append(names, v.Name)
	}
	return names
}

// Variable returns the full name of an endpoint's variable, such as <PROVIDER>_SECRETS for SECRETS.
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
	return Variable{
		Name: prefix + tag.Get("env"), Type: takes(field), Default: tag.Get("envDefault") + tag.Get("fallback"),
		Doc: tag.Get("doc"), Value: show(field, value),
	}
}

// takes describes the valid values of a field.
func takes(field reflect.StructField) string {
	if words := field.Tag.Get("takes"); words != "" {
		return words
	}
	if takes := kindOf(field).takes; takes != "" {
		return takes
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

// show returns a field's value as one would set it, secrets hidden; "" if it isn't set.
func show(field reflect.StructField, v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool && field.Tag.Get("envDefault") == "" {
		return ""
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		return FormatDuration(value)
	case []secret.Secret:
		return strings.TrimSuffix(strings.Repeat("[hidden],", len(value)), ",")
	case string:
		return hide(field.Tag.Get("env"), value)
	}
	return fmt.Sprint(v.Interface())
}
