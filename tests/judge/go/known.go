package main

import (
	"bytes"
	"net/http"
	"strings"
)

// Models of which the double plays a part: what it must send all the same. What it sends must be in the model.
var inPart = map[string]string{
	"Group":            "id name path full_name full_path parent_id web_url visibility created_at shared_runners_setting",
	"Project":          "id name path path_with_namespace name_with_namespace created_at",
	"ProjectNamespace": "id name path kind full_path parent_id",
	"Settings":         "runner_token_expiration_interval group_runner_token_expiration_interval project_runner_token_expiration_interval allow_runner_registration_token valid_runner_registrars",
	"User":             "id username name state avatar_url web_url",
	"Job":              "id status stage name ref tag failure_reason created_at web_url pipeline project user",
	"Note":             "id body author system created_at updated_at noteable_id noteable_type noteable_iid resolvable internal",
	"NoteAuthor":       "id username name state avatar_url web_url",
}

// A difference that is known: a field that is sent and not in the model, or the other way round. GitLab's own entities
// (lib/api/entities, from which its OpenAPI document is made) decided for the double in each of them.
var known = []struct {
	model  string
	sent   bool
	fields string
	why    string
}{
	{"Group", true, "organization_id", "newer than the model"},
	{"Version", true, "kas enterprise", "/version answers what /metadata does"},
	{"Runner", true, "created_at created_by job_execution_status", "newer than the model"},
	{"Runner", false, "token token_expires_at", "of registration, which has an entity of its own"},
	{"RunnerDetails", true, "created_at created_by job_execution_status", "newer than the model"},
	{"RunnerDetails", false, "token", "no longer shown since 13.0"},
	{"RunnerDetailsProject", true, "avatar_url created_at default_branch description forks_count http_url_to_repo last_activity_at " +
		"readme_url ssh_url_to_repo star_count tag_list topics visibility web_url", "the entity is BasicProjectDetails"},
	{"JobPipeline", true, "created_at iid source updated_at web_url", "the entity is PipelineBasic"},
	{"NoteAuthor", true, "locked public_email", "the entity is UserBasic"},
	{"GroupMember", true, "locked membership_state", "the entity is a Member with UserBasic"},
	{"GroupMember", false, "created_by email group_saml_identity is_using_seat", "only where there is one, or on demand"},
	{"ProjectMember", true, "locked membership_state public_email", "the entity is a Member with UserBasic"},
	{"ProjectMember", false, "created_by email is_using_seat", "only where there is one, or on demand"},
	{"PersonalAccessToken", true, "last_used_ips", "newer than the model"},
	{"PersonalAccessToken", false, "token", "shown once, when it is made"},
	{"GroupAccessToken", true, "last_used_ips resource_id resource_type", "newer than the model"},
	{"GroupAccessToken", false, "token", "shown once, when it is made"},
	{"ProjectAccessToken", true, "last_used_ips resource_id resource_type", "newer than the model"},
	{"ProjectAccessToken", false, "token", "shown once, when it is made"},
}

// A spoiler changes an answer before the client reads it.
type spoiler func(*exchange)

// at spoils answers to one call: a path that ends in `*` stands for all that begin so.
func at(method, path string, spoil spoiler) spoiler {
	return func(seen *exchange) {
		begin, any := strings.CutSuffix(path, "*")
		if seen.method == method && seen.status < 300 && (seen.path == path || any && strings.HasPrefix(seen.path, begin)) {
			spoil(seen)
		}
	}
}

// swap replaces a piece of the body.
func swap(old, new string) spoiler {
	return func(seen *exchange) { seen.body = bytes.ReplaceAll(seen.body, []byte(old), []byte(new)) }
}

// What a double that is wrong would answer, and a word of what must be found.
var spoilers = []struct {
	name, expect string
	spoil        spoiler
}{
	{"a field with another name", "RunnerDetails.tag_list is in the model", at("GET", "/api/v4/runners/1", swap(`"tag_list"`, `"tags"`))},
	{"a field that GitLab has not", "Runner.secret is sent", at("GET", "/api/v4/runners/all", swap(`"runner_type"`, `"secret":1,"runner_type"`))},
	{"a field of another type", "no bool", at("GET", "/api/v4/runners/1", swap(`"locked":false`, `"locked":"no"`))},
	{"a day that is none", "expires_at", at("POST", "/api/v4/groups/acme/access_tokens", swap(`"expires_at":"`, `"expires_at":"on `))},
	{"another status", "the status is 200, not 201", at("POST", "/api/v4/user/runners", func(seen *exchange) { seen.status = http.StatusOK })},
	{"a list without its pages", "pages", at("GET", "/api/v4/groups", func(seen *exchange) { seen.header.Del("X-Next-Page") })},
	{"a secret that is shown again", "shows the secret", at("GET", "/api/v4/personal_access_tokens/*", swap(`"name":`, `"token":"glpat-x","name":`))},
}
