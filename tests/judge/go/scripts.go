package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	gitlab "gitlab.com/gitlab-org/api/client-go"
)

// scripts makes the calls of rprov, and those of people's own scripts on the same objects.
func scripts(j *judge) {
	root := j.client(admin)
	about(j, root)
	places(j, root)
	runners(j, root)
	variables(j, root)
	notes(j, root)
	tokens(j, root)
	settings(j, root)
	refusals(j, root)
}

func about(j *judge, root *gitlab.Client) {
	call(j, "version", 200, func() (*gitlab.Version, *gitlab.Response, error) { return root.Version.GetVersion() })
	call(j, "metadata", 200, func() (*gitlab.Metadata, *gitlab.Response, error) { return root.Metadata.GetMetadata() })
	user := call(j, "user", 200, func() (*gitlab.User, *gitlab.Response, error) { return root.Users.CurrentUser() })
	if user == nil || user.Email == "" || !user.IsAdmin {
		j.find("user: root's email or rights are missing")
	}
	call(j, "member of a group", 200, func() (*gitlab.GroupMember, *gitlab.Response, error) {
		return root.GroupMembers.GetInheritedGroupMember("acme", 3)
	})
	call(j, "member of a project", 200, func() (*gitlab.ProjectMember, *gitlab.Response, error) {
		return root.ProjectMembers.GetInheritedProjectMember("acme/app", 3)
	})
}

func places(j *judge, root *gitlab.Client) {
	groups := call(j, "groups", 200, func() ([]*gitlab.Group, *gitlab.Response, error) {
		return root.Groups.ListGroups(&gitlab.ListGroupsOptions{})
	})
	if len(groups) != 2 {
		j.find("groups: %d of 2", len(groups))
	}
	_, answer, err := root.Groups.ListGroups(&gitlab.ListGroupsOptions{ListOptions: gitlab.ListOptions{PerPage: 1}})
	if err != nil || answer.NextPage != 2 || answer.TotalItems != 2 || answer.TotalPages != 2 {
		j.find("groups: the client does not see the pages")
	}
	call(j, "group", 200, func() (*gitlab.Group, *gitlab.Response, error) {
		return root.Groups.GetGroup("acme", &gitlab.GetGroupOptions{})
	})
	call(j, "group without projects", 200, func() (*gitlab.Group, *gitlab.Response, error) {
		return root.Groups.GetGroup(10, &gitlab.GetGroupOptions{WithProjects: gitlab.Ptr(false)})
	})
	call(j, "subgroups", 200, func() ([]*gitlab.Group, *gitlab.Response, error) {
		return root.Groups.ListSubGroups("acme", &gitlab.ListSubGroupsOptions{})
	})
	call(j, "projects of a group", 200, func() ([]*gitlab.Project, *gitlab.Response, error) {
		return root.Groups.ListGroupProjects("acme", &gitlab.ListGroupProjectsOptions{})
	})
	call(j, "projects", 200, func() ([]*gitlab.Project, *gitlab.Response, error) {
		return root.Projects.ListProjects(&gitlab.ListProjectsOptions{Search: gitlab.Ptr("app")})
	})
	project := call(j, "project", 200, func() (*gitlab.Project, *gitlab.Response, error) {
		return root.Projects.GetProject("acme/app", &gitlab.GetProjectOptions{})
	})
	if project == nil || project.Namespace == nil || project.Namespace.FullPath != "acme" || project.WebURL == "" ||
		project.DefaultBranch == "" || project.Visibility != gitlab.PrivateVisibility || !project.SharedRunnersEnabled || !project.GroupRunnersEnabled {
		j.find("project: its group, address or settings are missing")
	}
}

func runners(j *judge, root *gitlab.Client) {
	made := call(j, "runner is created", 201, func() (*gitlab.UserRunner, *gitlab.Response, error) {
		return j.client(manage).Users.CreateUserRunner(&gitlab.CreateUserRunnerOptions{
			RunnerType: gitlab.Ptr("project_type"), ProjectID: gitlab.Ptr(int64(20)), Description: gitlab.Ptr("judge"),
			TagList: &[]string{"a", "b"}, MaximumTimeout: gitlab.Ptr(int64(3600)), MaintenanceNote: gitlab.Ptr("note"),
			AccessLevel: gitlab.Ptr("ref_protected"), RunUntagged: gitlab.Ptr(false), Paused: gitlab.Ptr(true),
		})
	})
	if made == nil || made.Token == "" {
		j.find("runner is created: there is no token")
		return
	}
	id := made.ID
	show := func(name string) *gitlab.RunnerDetails {
		return call(j, name, 200, func() (*gitlab.RunnerDetails, *gitlab.Response, error) {
			return root.Runners.GetRunnerDetails(id)
		})
	}
	is := func(what string, seen, want any) {
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			j.find("runner: %s is %v, not %v", what, seen, want)
		}
	}
	if seen := show("runner"); seen != nil {
		is("description", seen.Description, "judge")
		is("tag_list", seen.TagList, []string{"a", "b"})
		is("maximum_timeout", seen.MaximumTimeout, 3600)
		is("maintenance_note", seen.MaintenanceNote, "note")
		is("access_level", seen.AccessLevel, "ref_protected")
		is("run_untagged", seen.RunUntagged, false)
		is("paused", seen.Paused, true)
		is("status", seen.Status, "never_contacted")
		is("projects", len(seen.Projects), 1)
	}
	changed := call(j, "runner is changed", 200, func() (*gitlab.RunnerDetails, *gitlab.Response, error) {
		return root.Runners.UpdateRunnerDetails(id, &gitlab.UpdateRunnerDetailsOptions{
			Paused: gitlab.Ptr(false), TagList: &[]string{"c"}, Locked: gitlab.Ptr(true), AccessLevel: gitlab.Ptr("not_protected"),
		})
	})
	if changed != nil {
		is("paused", changed.Paused, false)
		is("tag_list", changed.TagList, []string{"c"})
		is("locked", changed.Locked, true)
	}
	done(j, "runner verifies itself", 200, func() (*gitlab.Response, error) {
		return root.Runners.VerifyRegisteredRunner(&gitlab.VerifyRegisteredRunnerOptions{Token: &made.Token})
	})
	if seen := show("runner after its contact"); seen != nil {
		is("status", seen.Status, "online")
	}
	// The client has no method for it, so that it says the path.
	call(j, "managers", 200, func() ([]manager, *gitlab.Response, error) {
		var list []manager
		request, err := root.NewRequest(http.MethodGet, fmt.Sprintf("runners/%d/managers", id), nil, nil)
		if err != nil {
			return nil, nil, err
		}
		answer, err := root.Do(request, &list)
		return list, answer, err
	})
	j.control("POST", "/-/double/jobs", `{"script": "true", "project_id": 20, "tags": ["c"]}`)
	j.control("POST", "/api/v4/jobs/request", `{"token": "`+made.Token+`", "system_id": "s_judge", "info": {}}`)
	jobs := call(j, "jobs of a runner", 200, func() ([]*gitlab.Job, *gitlab.Response, error) {
		return root.Runners.ListRunnerJobs(id, &gitlab.ListRunnerJobsOptions{})
	})
	is("jobs", len(jobs), 1)
	list := func(name string, want int, made func() ([]*gitlab.Runner, *gitlab.Response, error)) {
		is(name, len(call(j, name, 200, made)), want)
	}
	list("runners of mine", 1, func() ([]*gitlab.Runner, *gitlab.Response, error) {
		return root.Runners.ListRunners(&gitlab.ListRunnersOptions{})
	})
	list("runners of all", 1, func() ([]*gitlab.Runner, *gitlab.Response, error) {
		return root.Runners.ListAllRunners(&gitlab.ListRunnersOptions{Type: gitlab.Ptr("project_type"), TagList: &[]string{"c"}})
	})
	list("runners of a project", 1, func() ([]*gitlab.Runner, *gitlab.Response, error) {
		return root.Runners.ListProjectRunners("acme/app", &gitlab.ListProjectRunnersOptions{Type: gitlab.Ptr("project_type")})
	})
	list("runners of a group", 0, func() ([]*gitlab.Runner, *gitlab.Response, error) {
		return root.Runners.ListGroupsRunners("acme", &gitlab.ListGroupsRunnersOptions{})
	})
	call(j, "runner is assigned", 201, func() (*gitlab.Runner, *gitlab.Response, error) {
		return root.Runners.EnableProjectRunner("acme/other", &gitlab.EnableProjectRunnerOptions{RunnerID: id})
	})
	done(j, "runner is unassigned", 204, func() (*gitlab.Response, error) {
		return root.Runners.DisableProjectRunner("acme/other", id)
	})
	reset := call(j, "runner's token is reset", 201, func() (*gitlab.RunnerAuthenticationToken, *gitlab.Response, error) {
		return root.Runners.ResetRunnerAuthenticationToken(id)
	})
	done(j, "old token of a runner", 403, func() (*gitlab.Response, error) {
		return root.Runners.VerifyRegisteredRunner(&gitlab.VerifyRegisteredRunnerOptions{Token: &made.Token})
	})
	if reset == nil || reset.Token == nil || *reset.Token == made.Token {
		j.find("runner's token is reset: it is the old one")
	}
	var found struct {
		Data struct {
			Runners struct {
				Nodes []struct {
					ID      string   `json:"id"`
					TagList []string `json:"tagList"`
				} `json:"nodes"`
			} `json:"runners"`
		} `json:"data"`
	}
	_, err := root.GraphQL.Do(gitlab.GraphQLQuery{Query: "query { runners { nodes { id tagList } } }"}, &found)
	if nodes := found.Data.Runners.Nodes; err != nil || len(nodes) != 1 || nodes[0].ID != fmt.Sprintf("gid://gitlab/Ci::Runner/%d", id) {
		j.find("runners by GraphQL: %v %v", nodes, err)
	}
	done(j, "runner is deleted", 204, func() (*gitlab.Response, error) { return root.Runners.RemoveRunner(id) })
	call(j, "runner that is gone", 404, func() (*gitlab.RunnerDetails, *gitlab.Response, error) {
		return root.Runners.GetRunnerDetails(id)
	})
}

// manager is GitLab's RunnerManager, which the client has no model of.
type manager struct {
	ID           int64   `json:"id"`
	SystemID     string  `json:"system_id"`
	Version      *string `json:"version"`
	Revision     *string `json:"revision"`
	Platform     *string `json:"platform"`
	Architecture *string `json:"architecture"`
	CreatedAt    string  `json:"created_at"`
	ContactedAt  *string `json:"contacted_at"`
	IPAddress    *string `json:"ip_address"`
	Status       string  `json:"status"`
	Execution    string  `json:"job_execution_status"`
}

func variables(j *judge, root *gitlab.Client) {
	key, value, other := gitlab.Ptr("JUDGE"), gitlab.Ptr("a-value-of-mine"), gitlab.Ptr("another-value")
	call(j, "instance variable is created", 201, func() (*gitlab.InstanceVariable, *gitlab.Response, error) {
		return root.InstanceVariables.CreateVariable(&gitlab.CreateInstanceVariableOptions{Key: key, Value: value, Masked: gitlab.Ptr(true)})
	})
	call(j, "instance variable", 200, func() (*gitlab.InstanceVariable, *gitlab.Response, error) {
		return root.InstanceVariables.GetVariable(*key)
	})
	call(j, "instance variables", 200, func() ([]*gitlab.InstanceVariable, *gitlab.Response, error) {
		return root.InstanceVariables.ListVariables(&gitlab.ListInstanceVariablesOptions{})
	})
	call(j, "instance variable is changed", 200, func() (*gitlab.InstanceVariable, *gitlab.Response, error) {
		return root.InstanceVariables.UpdateVariable(*key, &gitlab.UpdateInstanceVariableOptions{Value: other})
	})
	done(j, "instance variable is removed", 204, func() (*gitlab.Response, error) { return root.InstanceVariables.RemoveVariable(*key) })

	call(j, "group variable is created", 201, func() (*gitlab.GroupVariable, *gitlab.Response, error) {
		return root.GroupVariables.CreateVariable("acme", &gitlab.CreateGroupVariableOptions{Key: key, Value: value})
	})
	call(j, "group variable", 200, func() (*gitlab.GroupVariable, *gitlab.Response, error) {
		return root.GroupVariables.GetVariable("acme", *key, &gitlab.GetGroupVariableOptions{})
	})
	call(j, "group variables", 200, func() ([]*gitlab.GroupVariable, *gitlab.Response, error) {
		return root.GroupVariables.ListVariables("acme", &gitlab.ListGroupVariablesOptions{})
	})
	call(j, "group variable is changed", 200, func() (*gitlab.GroupVariable, *gitlab.Response, error) {
		return root.GroupVariables.UpdateVariable("acme", *key, &gitlab.UpdateGroupVariableOptions{Value: other})
	})
	done(j, "group variable is removed", 204, func() (*gitlab.Response, error) {
		return root.GroupVariables.RemoveVariable("acme", *key, &gitlab.RemoveGroupVariableOptions{})
	})

	scope := &gitlab.VariableFilter{EnvironmentScope: "prod/*"}
	call(j, "project variable is created", 201, func() (*gitlab.ProjectVariable, *gitlab.Response, error) {
		return root.ProjectVariables.CreateVariable("acme/app", &gitlab.CreateProjectVariableOptions{
			Key: key, Value: value, EnvironmentScope: &scope.EnvironmentScope, MaskedAndHidden: gitlab.Ptr(true),
		})
	})
	hidden := call(j, "project variable", 200, func() (*gitlab.ProjectVariable, *gitlab.Response, error) {
		return root.ProjectVariables.GetVariable("acme/app", *key, &gitlab.GetProjectVariableOptions{Filter: scope})
	})
	if hidden == nil || hidden.Value != "" || !hidden.Hidden {
		j.find("project variable: a hidden value is shown")
	}
	call(j, "project variables", 200, func() ([]*gitlab.ProjectVariable, *gitlab.Response, error) {
		return root.ProjectVariables.ListVariables("acme/app", &gitlab.ListProjectVariablesOptions{})
	})
	call(j, "project variable is changed", 200, func() (*gitlab.ProjectVariable, *gitlab.Response, error) {
		return root.ProjectVariables.UpdateVariable("acme/app", *key, &gitlab.UpdateProjectVariableOptions{Value: other, Filter: scope})
	})
	done(j, "project variable is removed", 204, func() (*gitlab.Response, error) {
		return root.ProjectVariables.RemoveVariable("acme/app", *key, &gitlab.RemoveProjectVariableOptions{Filter: scope})
	})
}

func notes(j *judge, root *gitlab.Client) {
	made := call(j, "note is written", 201, func() (*gitlab.Note, *gitlab.Response, error) {
		return root.Notes.CreateMergeRequestNote("acme/app", 7, &gitlab.CreateMergeRequestNoteOptions{Body: gitlab.Ptr("a plan")})
	})
	call(j, "notes", 200, func() ([]*gitlab.Note, *gitlab.Response, error) {
		return root.Notes.ListMergeRequestNotes("acme/app", 7, &gitlab.ListMergeRequestNotesOptions{})
	})
	if made != nil {
		call(j, "note is changed", 200, func() (*gitlab.Note, *gitlab.Response, error) {
			return root.Notes.UpdateMergeRequestNote("acme/app", 7, made.ID, &gitlab.UpdateMergeRequestNoteOptions{Body: gitlab.Ptr("another")})
		})
	}
}

// quiet notes a list or record that shows a token's secret.
func quiet(j *judge, name string) {
	var one map[string]any
	var all []map[string]any
	if json.Unmarshal(j.last.body, &one) == nil {
		all = append(all, one)
	}
	_ = json.Unmarshal(j.last.body, &all)
	for _, token := range all {
		if token["token"] != nil {
			j.find("%s: shows the secret", name)
		}
	}
}

func tokens(j *judge, root *gitlab.Client) {
	personal := func(name string, client *gitlab.Client, status int, made func(*gitlab.Client) (*gitlab.PersonalAccessToken, *gitlab.Response, error)) *gitlab.PersonalAccessToken {
		return call(j, name, status, func() (*gitlab.PersonalAccessToken, *gitlab.Response, error) { return made(client) })
	}
	self := func(client *gitlab.Client) (*gitlab.PersonalAccessToken, *gitlab.Response, error) {
		return client.PersonalAccessTokens.GetSinglePersonalAccessToken()
	}
	own := personal("token itself", j.client(manage), 200, self)
	quiet(j, "token itself")
	if own == nil {
		return
	}
	call(j, "tokens", 200, func() ([]*gitlab.PersonalAccessToken, *gitlab.Response, error) {
		return root.PersonalAccessTokens.ListPersonalAccessTokens(&gitlab.ListPersonalAccessTokensOptions{State: gitlab.Ptr("active"), UserID: gitlab.Ptr(int64(1))})
	})
	quiet(j, "tokens")
	personal("token by its id", root, 200, func(c *gitlab.Client) (*gitlab.PersonalAccessToken, *gitlab.Response, error) {
		return c.PersonalAccessTokens.GetSinglePersonalAccessTokenByID(own.ID)
	})
	quiet(j, "token by its id")
	made := personal("token is created for a user", root, 201, func(c *gitlab.Client) (*gitlab.PersonalAccessToken, *gitlab.Response, error) {
		return c.Users.CreatePersonalAccessToken(3, &gitlab.CreatePersonalAccessTokenOptions{Name: gitlab.Ptr("judge"), Scopes: &[]string{"api"}})
	})
	if made == nil || made.Token == "" {
		j.find("token is created for a user: there is no secret")
		return
	}
	rotated := personal("token is rotated", root, 200, func(c *gitlab.Client) (*gitlab.PersonalAccessToken, *gitlab.Response, error) {
		return c.PersonalAccessTokens.RotatePersonalAccessTokenByID(made.ID, &gitlab.RotatePersonalAccessTokenOptions{})
	})
	personal("token after its rotation", j.client(made.Token), 401, self)
	personal("token is rotated once more", root, 400, func(c *gitlab.Client) (*gitlab.PersonalAccessToken, *gitlab.Response, error) {
		return c.PersonalAccessTokens.RotatePersonalAccessTokenByID(made.ID, &gitlab.RotatePersonalAccessTokenOptions{})
	})
	if rotated == nil {
		return
	}
	next := personal("token rotates itself", j.client(rotated.Token), 200, func(c *gitlab.Client) (*gitlab.PersonalAccessToken, *gitlab.Response, error) {
		return c.PersonalAccessTokens.RotatePersonalAccessTokenSelf(&gitlab.RotatePersonalAccessTokenOptions{})
	})
	if next == nil {
		return
	}
	done(j, "token revokes itself", 204, func() (*gitlab.Response, error) {
		return j.client(next.Token).PersonalAccessTokens.RevokePersonalAccessTokenSelf()
	})
	done(j, "token is revoked", 204, func() (*gitlab.Response, error) {
		return root.PersonalAccessTokens.RevokePersonalAccessTokenByID(own.ID)
	})
	personal("token after it was revoked", j.client(manage), 401, self)

	group := call(j, "group token is created", 201, func() (*gitlab.GroupAccessToken, *gitlab.Response, error) {
		return root.GroupAccessTokens.CreateGroupAccessToken("acme", &gitlab.CreateGroupAccessTokenOptions{
			Name: gitlab.Ptr("judge"), Scopes: &[]string{"api", "self_rotate"}, AccessLevel: gitlab.Ptr(gitlab.OwnerPermissions),
		})
	})
	if group == nil || group.Token == "" {
		j.find("group token is created: there is no secret")
		return
	}
	call(j, "group tokens", 200, func() ([]*gitlab.GroupAccessToken, *gitlab.Response, error) {
		return root.GroupAccessTokens.ListGroupAccessTokens("acme", &gitlab.ListGroupAccessTokensOptions{})
	})
	quiet(j, "group tokens")
	call(j, "group token", 200, func() (*gitlab.GroupAccessToken, *gitlab.Response, error) {
		return root.GroupAccessTokens.GetGroupAccessToken("acme", group.ID)
	})
	again := call(j, "group token rotates itself", 200, func() (*gitlab.GroupAccessToken, *gitlab.Response, error) {
		return j.client(group.Token).GroupAccessTokens.RotateGroupAccessTokenSelf("acme", &gitlab.RotateGroupAccessTokenOptions{})
	})
	if again != nil {
		third := call(j, "group token is rotated", 200, func() (*gitlab.GroupAccessToken, *gitlab.Response, error) {
			return root.GroupAccessTokens.RotateGroupAccessToken("acme", again.ID, &gitlab.RotateGroupAccessTokenOptions{})
		})
		if third != nil {
			done(j, "group token is revoked", 204, func() (*gitlab.Response, error) {
				return root.GroupAccessTokens.RevokeGroupAccessToken("acme", third.ID)
			})
		}
	}

	project := call(j, "project token is created", 201, func() (*gitlab.ProjectAccessToken, *gitlab.Response, error) {
		return root.ProjectAccessTokens.CreateProjectAccessToken("acme/app", &gitlab.CreateProjectAccessTokenOptions{
			Name: gitlab.Ptr("judge"), Scopes: &[]string{"manage_runner"},
		})
	})
	call(j, "project tokens", 200, func() ([]*gitlab.ProjectAccessToken, *gitlab.Response, error) {
		return root.ProjectAccessTokens.ListProjectAccessTokens("acme/app", &gitlab.ListProjectAccessTokensOptions{})
	})
	if project != nil {
		call(j, "project token", 200, func() (*gitlab.ProjectAccessToken, *gitlab.Response, error) {
			return root.ProjectAccessTokens.GetProjectAccessToken("acme/app", project.ID)
		})
		third := call(j, "project token is rotated", 200, func() (*gitlab.ProjectAccessToken, *gitlab.Response, error) {
			return root.ProjectAccessTokens.RotateProjectAccessToken("acme/app", project.ID, &gitlab.RotateProjectAccessTokenOptions{})
		})
		if third != nil {
			done(j, "project token is revoked", 204, func() (*gitlab.Response, error) {
				return root.ProjectAccessTokens.RevokeProjectAccessToken("acme/app", third.ID)
			})
		}
	}
}

func settings(j *judge, root *gitlab.Client) {
	call(j, "settings", 200, func() (*gitlab.Settings, *gitlab.Response, error) { return root.Settings.GetSettings() })
	seen := call(j, "settings are changed", 200, func() (*gitlab.Settings, *gitlab.Response, error) {
		return root.Settings.UpdateSettings(&gitlab.UpdateSettingsOptions{RunnerTokenExpirationInterval: gitlab.Ptr(int64(86400))})
	})
	if seen == nil || seen.RunnerTokenExpirationInterval != 86400 {
		j.find("settings are changed: they are not")
	}
	call(j, "settings that are too short", 400, func() (*gitlab.Settings, *gitlab.Response, error) {
		return root.Settings.UpdateSettings(&gitlab.UpdateSettingsOptions{RunnerTokenExpirationInterval: gitlab.Ptr(int64(60))})
	})
}

func refusals(j *judge, root *gitlab.Client) {
	who := func(name string, status int, client *gitlab.Client) {
		call(j, name, status, func() ([]*gitlab.Runner, *gitlab.Response, error) {
			return client.Runners.ListAllRunners(&gitlab.ListRunnersOptions{})
		})
	}
	who("runners of all, as a developer", 403, j.client(developer))
	who("runners of all, with an expired token", 401, j.client(expired))
	who("runners of all, without a token", 401, j.client(""))
	call(j, "settings, as an owner", 403, func() (*gitlab.Settings, *gitlab.Response, error) {
		return j.client(owner).Settings.GetSettings()
	})
	call(j, "group that is not there", 404, func() (*gitlab.Group, *gitlab.Response, error) {
		return root.Groups.GetGroup("none", &gitlab.GetGroupOptions{})
	})
	call(j, "runner of no kind", 400, func() (*gitlab.UserRunner, *gitlab.Response, error) {
		return root.Users.CreateUserRunner(&gitlab.CreateUserRunnerOptions{RunnerType: gitlab.Ptr("odd_type")})
	})
	call(j, "group tokens, as a developer", 401, func() ([]*gitlab.GroupAccessToken, *gitlab.Response, error) {
		return j.client(developer).GroupAccessTokens.ListGroupAccessTokens("acme", &gitlab.ListGroupAccessTokensOptions{})
	})
}
