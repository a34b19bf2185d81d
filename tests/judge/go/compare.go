package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go"
)

// exchange is an answer as it came.
type exchange struct {
	method, path string
	status       int
	header       http.Header
	body         []byte
}

// recorder keeps the last answer, and spoils it first if that is asked for.
type recorder struct{ judge *judge }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil {
		return nil, err
	}
	seen := &exchange{request.Method, request.URL.EscapedPath(), answer.StatusCode, answer.Header, body}
	if r.judge.spoil != nil {
		r.judge.spoil(seen)
	}
	r.judge.last = seen
	answer.StatusCode, answer.Header = seen.status, seen.header
	answer.Body = io.NopCloser(bytes.NewReader(seen.body))
	answer.ContentLength = int64(len(seen.body))
	return answer, nil
}

// call judges one call: its status, whether the client takes it for what it is, and each field of the answer.
func call[T any](j *judge, name string, status int, made func() (T, *gitlab.Response, error)) T {
	j.calls++
	j.last = nil
	value, _, err := made()
	if j.last == nil {
		j.find("%s: no answer: %v", name, err)
		return value
	}
	if j.last.status != status {
		j.find("%s: the status is %d, not %d: %s", name, j.last.status, status, j.last.body)
	}
	if status >= 400 {
		if err == nil {
			j.find("%s: the client takes a refusal for success", name)
		}
		refusal(j, name)
		return value
	}
	if err != nil {
		j.find("%s: the client does not understand the answer: %v", name, err)
	}
	if status == http.StatusNoContent {
		if len(j.last.body) != 0 {
			j.find("%s: 204 with a body", name)
		}
		return value
	}
	if kind := j.last.header.Get("Content-Type"); kind != "application/json" {
		j.find("%s: the content type is %q", name, kind)
	}
	var raw any
	decoder := json.NewDecoder(bytes.NewReader(j.last.body))
	decoder.UseNumber()
	if err := decoder.Decode(&raw); err != nil {
		j.find("%s: no JSON: %v", name, err)
		return value
	}
	j.compare(name, reflect.TypeFor[T](), raw)
	return value
}

// done is `call` for what answers nothing.
func done(j *judge, name string, status int, made func() (*gitlab.Response, error)) {
	call(j, name, status, func() (struct{}, *gitlab.Response, error) {
		answer, err := made()
		return struct{}{}, answer, err
	})
}

// refusal: GitLab's refusals are objects with `message` or `error`.
func refusal(j *judge, name string) {
	var body map[string]any
	if json.Unmarshal(j.last.body, &body) != nil || (body["message"] == nil && body["error"] == nil) {
		j.find("%s: the refusal has neither message nor error: %s", name, j.last.body)
	}
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// compare holds what was sent against a model. `null` stands for any type, as it does in Go.
func (j *judge) compare(where string, model reflect.Type, raw any) {
	for model.Kind() == reflect.Pointer {
		model = model.Elem()
	}
	if raw == nil || model.NumMethod() == 0 && model.Kind() == reflect.Interface {
		return
	}
	if reflect.PointerTo(model).Implements(unmarshaler) {
		text, _ := json.Marshal(raw)
		if err := json.Unmarshal(text, reflect.New(model).Interface()); err != nil {
			j.find("%s: %s is no %s: %v", where, text, model, err)
		}
		return
	}
	is := func(fits bool) {
		if !fits {
			j.find("%s: %v is no %s", where, raw, model.Kind())
		}
	}
	switch model.Kind() {
	case reflect.Slice:
		list, fits := raw.([]any)
		is(fits)
		for _, item := range list {
			j.compare(where+"[]", model.Elem(), item)
		}
	case reflect.Struct:
		object, fits := raw.(map[string]any)
		is(fits)
		if fits && model.NumField() > 0 {
			j.fields(where, model, object)
		}
	case reflect.String:
		_, fits := raw.(string)
		is(fits)
	case reflect.Bool:
		_, fits := raw.(bool)
		is(fits)
	case reflect.Int, reflect.Int64, reflect.Float64:
		_, fits := raw.(json.Number)
		is(fits)
	}
}

// fields compares the names both ways, and the values.
func (j *judge) fields(where string, model reflect.Type, object map[string]any) {
	fields := map[string]reflect.Type{}
	named(model, fields)
	for name := range object {
		if fields[name] == nil && !j.knows(model, name, true) {
			j.find("%s: %s.%s is sent, but the model has none", where, model.Name(), name)
		}
	}
	for name, kind := range fields {
		value, sent := object[name]
		if sent {
			j.compare(where+"."+name, kind, value)
		} else if !j.knows(model, name, false) {
			j.find("%s: %s.%s is in the model, but not sent", where, model.Name(), name)
		}
	}
}

// named collects a model's fields by their names in JSON, those of embedded models too.
func named(model reflect.Type, into map[string]reflect.Type) {
	for i := range model.NumField() {
		field := model.Field(i)
		if field.Anonymous {
			named(field.Type, into)
			continue
		}
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
			into[name] = field.Type
		}
	}
}

// knows tells whether a difference is one of those that are known.
func (j *judge) knows(model reflect.Type, field string, sent bool) bool {
	if must, some := inPart[model.Name()]; some && !sent {
		return !strings.Contains(" "+must+" ", " "+field+" ")
	}
	for _, entry := range known {
		if entry.model == model.Name() && entry.sent == sent && strings.Contains(" "+entry.fields+" ", " "+field+" ") {
			j.met[entry.model+"."+field] = true
			return true
		}
	}
	return false
}
