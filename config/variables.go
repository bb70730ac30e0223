package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
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
	v := reflect.ValueOf(c).Elem()
	for _, field := range reflect.VisibleFields(v.Type()) {
		if field.Name == "NATSURL" { // the endpoints come before NATS, as in the contract
			list = append(list, c.endpointVariables()...)
		}
		if name := field.Tag.Get("env"); name != "" && name != "-" {
			list = append(list, Variable{
				Name: name, Type: takes(field), Doc: field.Tag.Get("doc"), Value: show(v.FieldByIndex(field.Index)),
				Default: field.Tag.Get("envDefault") + field.Tag.Get("fallback"),
			})
		}
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
			further = append(further, c.furtherVariables(e)...)
		}
	}
	for _, p := range providers.All {
		own = append(own, variablesOf(configured[p.Variable("")], p.Variable(""), p)...)
	}
	if further == nil {
		further = variablesOf(Endpoint{}, "ENDPOINTS_<i>_", nil)
	}
	return append(own, further...)
}

// furtherVariables lists the variables that a further endpoint may have with its provider, and says
// of the settings which the provider has filled in.
func (c *Config) furtherVariables(e Endpoint) (list []Variable) {
	settings := settingNames()
	for _, v := range variablesOf(e, e.prefix, nil) {
		name := strings.TrimPrefix(v.Name, e.prefix)
		isSetting := slices.Contains(settings, name)
		switch {
		case e.Vendor == nil:
		case isSetting && e.Vendor.Configure == nil, !isSetting && e.Vendor.Configure != nil && (name == "SIGNATURE" || name == "FRESHNESS"):
			continue
		case isSetting && !c.set[v.Name] && v.Value != "":
			v.Origin = e.Provider
		}
		list = append(list, v)
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

// variablesOf lists one endpoint's variables. The own endpoint of provider p has its name and its
// provider from its prefix, and the choices that the provider has.
func variablesOf(e Endpoint, prefix string, p *verify.Provider) []Variable {
	var list []Variable
	v := reflect.ValueOf(e)
	for _, field := range reflect.VisibleFields(v.Type()) {
		if name := field.Tag.Get("env"); name == "" || name == "-" {
			continue
		}
		variable := Variable{
			Name: prefix + field.Tag.Get("env"), Type: takes(field), Doc: field.Tag.Get("doc"), Value: show(v.FieldByIndex(field.Index)),
		}
		isSetting := len(field.Index) > 1
		switch {
		case p != nil && isSetting:
			continue
		case isSetting:
			variable.Default = "the provider's"
		}
		if p != nil {
			switch field.Name {
			case "Name", "Provider":
				continue
			case "Signature":
				variable.Type, variable.Default = "one of "+strings.Join(p.Signatures(), ", "), p.Signatures()[0]
			case "Tolerance":
				variable.Default = humanize.Duration(p.Tolerance)
			case "Freshness":
				if p.Freshness() == nil {
					continue
				}
				variable.Type, variable.Default = "one of "+strings.Join(p.Freshness(), ", "), p.Freshness()[0]
			}
		} else {
			switch field.Name {
			case "Signature", "Tolerance", "Freshness":
				variable.Default = "the provider's"
			}
		}
		list = append(list, variable)
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

// Variable returns the full name of an endpoint's variable: for SECRETS it is <PROVIDER>_SECRETS,
// for example.
func (e Endpoint) Variable(name string) string { return e.prefix + name }

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
	switch zero := reflect.Zero(field.Type).Interface().(type) {
	case interface{ takes() string }:
		return zero.takes()
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

// show returns a value as one would set it, secrets hidden.
func show(v reflect.Value) string {
	if v.IsZero() {
		switch v.Kind() {
		case reflect.Bool:
			return "false"
		default:
			return ""
		}
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		return humanize.Duration(value)
	case secretList:
		return strings.TrimSuffix(strings.Repeat("[hidden],", len(value)), ",")
	default:
		return fmt.Sprint(value)
	}
}
