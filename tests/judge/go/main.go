// The double of GitLab, judged by client-go: `judge URL`. Every call is made by the client's own methods. What the double
// answers is compared with the client's model of it, field by field and by type, and with the status that GitLab documents.
// Then answers are spoilt on purpose, one at a time, and each must be found. Prints what it found; the exit status tells.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go"
)

// The tokens that a new double has.
const (
	admin     = "glpat-lab-admin-api"
	manage    = "glpat-lab-create-manage"
	developer = "glpat-lab-developer"
	owner     = "glpat-lab-owner"
	expired   = "glpat-lab-expired"
)

// judge holds what was found in one pass.
type judge struct {
	url      string
	last     *exchange
	spoil    spoiler
	findings []string
	calls    int
	// Which differences that are known were met.
	met map[string]bool
}

// find notes a finding once.
func (j *judge) find(format string, values ...any) {
	if text := fmt.Sprintf(format, values...); !slices.Contains(j.findings, text) {
		j.findings = append(j.findings, text)
	}
}

// client is client-go with a token, its answers recorded.
func (j *judge) client(token string) *gitlab.Client {
	transport := &recorder{judge: j}
	client, err := gitlab.NewClient(token, gitlab.WithBaseURL(j.url), gitlab.WithoutRetries(),
		gitlab.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(2)
	}
	return client
}

// control asks the double itself, past the client.
func (j *judge) control(method, path, body string) string {
	request, err := http.NewRequest(method, j.url+path, strings.NewReader(body))
	if err != nil {
		j.find("%s %s: %v", method, path, err)
		return ""
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		j.find("%s %s: %v", method, path, err)
		return ""
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode >= 400 {
		j.find("%s %s: %d %s", method, path, answer.StatusCode, text)
	}
	return string(text)
}

// pass makes every call once, against a double as it is at first.
func pass(url string, spoil spoiler) *judge {
	j := &judge{url: url, met: map[string]bool{}}
	j.control("POST", "/-/double/reset", "")
	j.spoil = spoil
	scripts(j)
	return j
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: judge URL")
		os.Exit(2)
	}
	url := os.Args[1]
	failed := false
	plain := pass(url, nil)
	for _, entry := range known {
		for _, field := range strings.Fields(entry.fields) {
			if !plain.met[entry.model+"."+field] {
				plain.find("%s.%s: is among the known differences, but there is none", entry.model, field)
			}
		}
	}
	for _, text := range plain.findings {
		failed = true
		fmt.Println("FOUND:", text)
	}
	for _, one := range spoilers {
		spoilt := pass(url, one.spoil)
		named := func(text string) bool { return strings.Contains(text, one.expect) }
		if !slices.ContainsFunc(spoilt.findings, named) {
			failed = true
			fmt.Printf("FOUND: the judge is blind: %s was not found\n", one.name)
		}
	}
	fmt.Printf("client-go: %d calls, %d findings; %d answers spoilt on purpose\n", plain.calls, len(plain.findings), len(spoilers))
	if failed {
		os.Exit(1)
	}
}
