package config

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config/field"
	"natspread/internal/slots"
)

// schema is a JSON Schema, or a part of one.
type schema = map[string]any

// schemaFile is what editors read, by the line that init writes.
const schemaFile = "../../docs/natspread.toml.schema.json"

// TestSchema holds the JSON Schema of the config to the tables of keys, and to what the manual says
// of each; -update writes it.
func TestSchema(t *testing.T) {
	t.Parallel()
	want, err := json.MarshalIndent(wholeSchema(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("go test ./internal/config -run '^TestSchema$' -update writes it anew: -keys +file:\n%s", diff)
	}
}

// wholeSchema describes a config.
func wholeSchema(t *testing.T) schema {
	t.Helper()
	service := tableSchema(t, "SERVICE KEYS", serviceKeys, serviceShapes(t), "name", "listen")
	service["oneOf"] = []schema{{"required": []string{"backends"}}, {"required": []string{"pool"}}}
	pool := partOf(service, poolKeys)
	pool["required"] = []string{"backends"}
	pools := schema{"type": "object", "patternProperties": schema{nameForm: pool}, "additionalProperties": false}
	return schema{
		"$schema":              "http://json-schema.org/draft-07/schema#", // the newest that the editors' language server knows
		"title":                "natspread.toml",
		"type":                 "object",
		"properties":           schema{"service": listOf(service, 1), "pool": pools, "defaults": partOf(service, defaultKeys)},
		"additionalProperties": false,
	}
}

// partOf describes a table that has some of the keys of a service.
func partOf(service schema, keys []field.Key[draft]) schema {
	properties := schema{}
	for _, key := range keys {
		properties[key.Name] = service["properties"].(schema)[key.Name]
	}
	return schema{"type": "object", "properties": properties, "additionalProperties": false}
}

// tableSchema describes a table by its keys. What each holds has a shape, and what it is for the
// manual says.
func tableSchema[T any](t *testing.T, section string, keys []field.Key[T], shapes map[string]schema, required ...string) schema {
	t.Helper()
	properties := schema{}
	for _, key := range keys {
		shape, known := shapes[key.Name]
		if !known {
			t.Errorf("%s: the schema does not say what %s holds", section, key.Name)
			continue
		}
		shape = maps.Clone(shape)
		said := keyText(t, section, key.Name)
		shape["description"] = firstWords(said)
		if given := regexp.MustCompile("(?m)Default:\\s`([^`]+)`").FindStringSubmatch(said); given != nil {
			shape["default"] = json.RawMessage(given[1])
		}
		properties[key.Name] = shape
	}
	for name := range shapes {
		if _, known := field.Find(keys, name); !known {
			t.Errorf("%s: there is no key %s", section, name)
		}
	}
	return schema{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// keyText returns what natspread.toml(5) says of a key.
func keyText(t *testing.T, section, key string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/man/natspread.toml.5.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	_, text, found := strings.Cut(text, "\n### "+key+"\n")
	if !found {
		t.Fatalf("natspread.toml(5) has no %s below %s", key, section)
	}
	text, _, _ = strings.Cut(text, "\n### ")
	return text
}

// firstWords is the first paragraph of a text, without its marks, and without what the schema says
// itself.
func firstWords(text string) string {
	words, _, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
	words = regexp.MustCompile("(?m)\\s*Default:\\s`[^`]+`").ReplaceAllString(words, "")
	words = regexp.MustCompile(`\\(.)`).ReplaceAllString(strings.ReplaceAll(words, "**", ""), "$1")
	return strings.Join(strings.Fields(strings.ReplaceAll(words, "`", "")), " ")
}

// wordOf is one of a few words.
func wordOf[T ~string](known ...T) schema { return schema{"type": "string", "enum": known} }

// formed is a string of a form.
func formed(form string) schema { return schema{"type": "string", "pattern": form} }

// truth is true or false.
func truth() schema { return schema{"type": "boolean"} }

// listOf is a list of so many items at least.
func listOf(item schema, least int) schema {
	return schema{"type": "array", "items": item, "minItems": least}
}

// either is a value of one of some shapes.
func either(shapes ...schema) schema { return schema{"anyOf": shapes} }

// oneOrMore is a value, or a list of some.
func oneOrMore(item schema) schema { return either(item, listOf(item, 1)) }

// whole is a number within bounds.
func whole(least, most int) schema {
	shape := schema{"type": "integer", "minimum": least}
	if most != math.MaxInt {
		shape["maximum"] = most
	}
	return shape
}

// What cannot be wrong in a string that is an address, an endpoint or a duration.
const (
	nameForm      = `^[a-z][a-z0-9_-]{0,31}$`
	addressForm   = `^[0-9A-Fa-f.:\[\]]+$`
	protocolsForm = `^([Tt][Cc][Pp]|[Uu][Dd][Pp]|[Ss][Cc][Tt][Pp])(\+([Tt][Cc][Pp]|[Uu][Dd][Pp]|[Ss][Cc][Tt][Pp]))*$`
	backendForm   = `^[0-9A-Fa-f.:\[\]-]+$`
	sourcesForm   = `^[0-9A-Fa-f.:]+(-[0-9A-Fa-f.:]+)?$`
	rangeForm     = `^[1-9][0-9]{0,4}-[1-9][0-9]{0,4}$`
	listenForm    = `^[0-9A-Fa-f.:\[\]*,-]+$`
	prefixForm    = `^[0-9A-Fa-f.:]+/[0-9]+$`
	clientsForm   = `^[0-9A-Fa-f.:]+(/[0-9]+)?$`
	interfaceForm = `^[A-Za-z0-9_.@]([A-Za-z0-9_.@-]{0,14}|[A-Za-z0-9_.@-]{0,13}\+)$`
	durationForm  = `^\+?([0-9.]+(ns|us|µs|μs|ms|s|m|h))+$`
)

// serviceShapes are what the keys of a service hold.
func serviceShapes(t *testing.T) map[string]schema {
	backend := tableSchema(t, "BACKEND KEYS", backendKeys, map[string]schema{
		"address": formed(backendForm), "port": either(whole(1, math.MaxUint16), formed(rangeForm)), "weight": whole(0, MaxWeight), "drain": truth(), "backup": truth(),
	}, "address")
	backends := oneOrMore(either(formed(backendForm), backend))
	backends["anyOf"].([]schema)[1]["maxItems"] = MaxBackends
	var powers []int
	for n := slots.Min; n <= slots.Max; n *= 2 {
		powers = append(powers, n)
	}
	return map[string]schema{
		"name": formed(nameForm), "pool": formed(nameForm), "listen": oneOrMore(formed(listenForm)), "backends": backends,
		"ports":    {"type": "object", "patternProperties": schema{`^[1-9][0-9]{0,4}$`: whole(1, math.MaxUint16), rangeForm: formed(rangeForm)}, "minProperties": 1, "maxProperties": MaxPairs, "additionalProperties": false},
		"protocol": oneOrMore(either(wordOf(TCP, UDP, SCTP), formed(protocolsForm))), "snat": either(wordOf("masquerade", "none"), formed(sourcesForm), listOf(formed(sourcesForm), 1)), "snat_ports": wordOf(KeepPorts, RandomPorts),
		"algorithm": wordOf(Random, RoundRobin, Source, Flow), "slots": {"enum": powers}, "source_prefix": whole(8, 128),
		"interface": oneOrMore(formed(interfaceForm)), "hairpin": listOf(formed(prefixForm), 0), "local": truth(),
		"allow": oneOrMore(formed(clientsForm)), "deny": oneOrMore(formed(clientsForm)), "refused": wordOf(Reject, ToHost),
		"on_remove": wordOf(Drain, Reset), "forward": wordOf(Leave, Accept), "takeover": truth(),
		"clamp_mss": either(truth(), whole(MinSegment, MaxSegment)),
		"check":     either(wordOf(CheckTCP, CheckHTTP, CheckHTTPS, CheckUDP), tableSchema(t, "CHECK KEYS", checkKeys, checkShapes(), "type")),
		"min_up":    whole(1, math.MaxInt), "on_down": wordOf(Keep, ResetDown),
	}
}

// checkShapes are what the keys of a check hold.
func checkShapes() map[string]schema {
	duration, count, payload := formed(durationForm), whole(1, maxStreak), schema{"type": "string", "minLength": 1, "maxLength": 1024}
	return map[string]schema{
		"type": wordOf(CheckTCP, CheckHTTP, CheckHTTPS, CheckUDP), "path": formed(`^/[!-~]*$`), "host": formed(`^[!-~]+$`),
		"expect": oneOrMore(formed(`^[0-9]{3}(-[0-9]{3})?$`)), "port": whole(1, math.MaxUint16), "tls_name": formed(`^[!-~]+$`), "insecure": truth(),
		"send": payload, "receive": payload, "interval": duration, "timeout": duration, "fall": count, "rise": count, "source": formed(addressForm),
	}
}

// validator judges each of the configs in a file by a JSON Schema.
const validator = `
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
judge = jsonschema.Draft7Validator(schema)
for config in json.load(open(sys.argv[2])):
    print("good" if judge.is_valid(config) else "bad")
`

// judged tells of configs whether they are good, by the schema and another program. What is no
// TOML, or nothing that JSON can say, is not.
func judged(t *testing.T, configs []string) []bool {
	t.Helper()
	given := make([]json.RawMessage, len(configs))
	for i, text := range configs {
		var config map[string]any
		err := toml.Unmarshal([]byte(text), &config)
		if err == nil {
			given[i], err = json.Marshal(config)
		}
		if err != nil {
			given[i] = []byte("null")
		}
	}
	data, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "configs")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", validator, schemaFile, file)
	command.Stderr = os.Stderr
	out, err := command.Output()
	verdicts := strings.Fields(string(out))
	if err != nil || len(verdicts) != len(configs) {
		t.Fatalf("%v: %d verdicts of %d configs", err, len(verdicts), len(configs))
	}
	good := make([]bool, len(configs))
	for i, verdict := range verdicts {
		good[i] = verdict == "good"
	}
	return good
}

// beyond are the stories of wrong configs that a schema takes for good, as only several values
// together, or what an address says, are wrong in each. A file of conf.d need not have a service.
func beyond() []string {
	return []string{
		"backend-twice", "backup-slots", "check-all-backups", "check-balanced", "check-missing", "check-no-port",
		"check-pointless", "check-protocol", "check-rate-several", "check-rate", "check-timeout", "check-udp", "empty", "families", "link-local",
		"long-line", "name-twice", "only-comments", "overlap-ipv6", "overlap-ranges", "overlap-services", "overlap-star", "overlap-within",
		"round-robin-turns", "slots-few", "together",
	}
}

// TestSchemaJudges has a JSON Schema validator that is not ours judge the configs of all stories:
// the good ones are good, and so are those of rules; the bad ones are bad, but those that are
// beyond it.
func TestSchemaJudges(t *testing.T) {
	t.Parallel()
	var names, configs []string
	for _, s := range stories(t) {
		names = append(names, strings.TrimSuffix(filepath.Base(s.path), ".txtar"))
		configs = append(configs, string(s.file(t, "natspread.toml").Data))
	}
	var good []string
	for i, taken := range judged(t, configs) {
		switch wanted := strings.HasPrefix(names[i], "good-"); {
		case wanted && !taken:
			t.Errorf("%s is bad", names[i])
		case !wanted && taken:
			good = append(good, names[i])
		}
	}
	if diff := cmp.Diff(beyond(), good); diff != "" {
		t.Errorf("taken for good, want -, got +:\n%s", diff)
	}
}

// TestSchemaTakes tries what every story of rules, the example, and the examples of all keys say.
func TestSchemaTakes(t *testing.T) {
	t.Parallel()
	rendered, err := filepath.Glob("../../testdata/render/*.txtar")
	if err != nil || len(rendered) == 0 {
		t.Fatalf("no stories of rules: %v", err)
	}
	names, configs := []string{"the example"}, []string{string(Example())}
	for _, path := range rendered {
		names, configs = append(names, path), append(configs, configOf(t, path))
	}
	for _, key := range serviceKeys {
		config := without(oneService, key.Name)
		if key.Name == "pool" {
			config = without(config, "backends")
		}
		names, configs = append(names, key.Name), append(configs, config+key.Example+"\n")
	}
	for _, key := range backendKeys {
		table := "backends = [{ " + key.Example
		if key.Name != "address" {
			table += `, address = "10.0.0.1:80"`
		}
		names, configs = append(names, key.Name), append(configs, without(oneService, "backends")+table+" }]\n")
	}
	for _, key := range checkKeys {
		table := "check = { " + key.Example
		if key.Name != "type" {
			table += `, type = "https"`
		}
		names, configs = append(names, key.Name), append(configs, oneService+table+" }\n")
	}
	for i, good := range judged(t, configs) {
		if !good {
			t.Errorf("%s is bad:\n%.300s", names[i], configs[i])
		}
	}
}

// configOf returns the config of a story of rules.
func configOf(t *testing.T, path string) string {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(story{path, archive}.file(t, "natspread.toml").Data)
}

// without is a config less the line of a key.
func without(config, key string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(config, "\n"), func(line string) bool { return strings.HasPrefix(line, key+" ") })
	return strings.Join(lines, "")
}
