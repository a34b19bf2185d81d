"""The double of GitLab, judged by python-gitlab: `judge.py URL`.

python-gitlab's models say which attributes an object is created and changed with and which filters its list takes, not what
it holds. So each of them is used: what is written must be read again, what is filtered must be heeded. Then answers are
spoilt on purpose, one at a time, and each must be found. Prints what it found; the exit status tells.
"""

import sys

import gitlab
import requests
from gitlab.v4 import objects

ADMIN, DEVELOPER, OWNER = "glpat-lab-admin-api", "glpat-lab-developer", "glpat-lab-owner"


class Spoilt(requests.adapters.HTTPAdapter):
    """Sends requests, and spoils the answers to one method and path."""

    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def send(self, request, **kwargs):
        answer = super().send(request, **kwargs)
        if self.spoil:
            method, path, change = self.spoil
            if (request.method, request.path_url.split("?")[0]) == (method, path) and answer.ok:
                change(answer)
        return answer


class Judge:
    def __init__(self, url, spoil=None):
        self.url, self.spoil, self.findings, self.calls = url, spoil, [], 0
        requests.post(url + "/-/double/reset", timeout=10).raise_for_status()

    def client(self, token):
        session = requests.Session()
        session.mount("http://", Spoilt(self.spoil))
        return gitlab.Gitlab(self.url, private_token=token, session=session, timeout=10)

    def find(self, text):
        if text not in self.findings:
            self.findings.append(text)

    def call(self, name, made):
        """What a call gives; None, and a finding, if the client does not get along with the answer."""
        self.calls += 1
        try:
            return made()
        except Exception as error:  # noqa: BLE001  whatever the client throws is a finding
            self.find(f"{name}: {type(error).__name__}: {error}")
            return None

    def refused(self, name, status, made):
        self.calls += 1
        try:
            made()
            self.find(f"{name}: the client takes a refusal for success")
        except gitlab.GitlabError as error:
            if error.response_code != status:
                self.find(f"{name}: the status is {error.response_code}, not {status}")

    def same(self, name, seen, want):
        if seen != want:
            self.find(f"{name} is {seen!r}, not {want!r}")

    def holds(self, name, thing, wanted):
        """That an object has these attributes with these values."""
        for key, want in wanted.items():
            seen = getattr(thing, key, "(not sent)") if thing is not None else "(no answer)"
            if isinstance(want, list) and isinstance(seen, list):
                seen, want = sorted(seen), sorted(want)
            self.same(f"{name}: {key}", seen, want)

    def covers(self, name, manager, kind, used, beside=()):
        """That these are all attributes that the model declares, so that a new release of the client is noticed."""
        declared = getattr(manager, f"_{kind}_attrs")
        missing = set(declared.required + declared.optional) - set(used) - set(beside)
        if missing:
            self.find(f"{name}: {kind} takes {sorted(missing)} too, which is not tried")


def runners(j, root):
    made = j.call(
        "runner is created",
        lambda: root.http_post("/user/runners", post_data={"runner_type": "project_type", "project_id": 20, "tag_list": "a,b"}),
    )
    made = made or {"id": 1}
    j.same("runner is created: what is told", sorted(made), ["id", "token", "token_expires_at"])
    runner = j.call("runner", lambda: root.runners.get(made["id"]))
    j.holds("runner", runner, {"id": made["id"], "runner_type": "project_type", "tag_list": ["a", "b"], "paused": False})
    changes = {
        "description": "judge", "tag_list": ["c", "d"], "run_untagged": False, "locked": True,
        "access_level": "ref_protected", "maximum_timeout": 3600, "active": False,
    }
    j.covers("runner", objects.RunnerManager, "update", changes)
    for key, value in changes.items():
        j.call(f"runner: {key} is changed", lambda k=key, v=value: root.runners.update(made["id"], {k: v}))
    again = j.call("runner", lambda: root.runners.get(made["id"]))
    j.holds("runner after its change", again, {**changes, "paused": True})
    filters = {"scope": "project_type", "type": "project_type", "status": "paused", "paused": True, "tag_list": ["c"]}
    against = {"scope": "instance_type", "type": "group_type", "status": "online", "paused": False, "tag_list": ["a"]}
    for manager in (root.runners, root.runners_all):
        name = type(manager).__name__
        unknown = set(manager._list_filters) - set(filters)
        if unknown:
            j.find(f"{name}: filters by {sorted(unknown)} too, which is not tried")
        for key in manager._list_filters:
            for value, want in ((filters[key], [made["id"]]), (against[key], [])):
                seen = j.call(f"{name} by {key}", lambda m=manager, k=key, v=value: m.list(get_all=True, **{k: v}))
                j.same(f"{name} by {key} = {value}", [r.id for r in seen or []], want)
    project, group = root.projects.get("acme/app"), root.groups.get("acme")
    j.same("runners of a project", [r.id for r in j.call("runners of a project", lambda: project.runners.list(get_all=True)) or []], [made["id"]])
    j.same("runners of a group", j.call("runners of a group", lambda: group.runners.list(get_all=True)), [])
    other = root.projects.get("acme/other")
    j.call("runner is unlocked", lambda: root.runners.update(made["id"], {"locked": False}))
    j.call("runner is assigned", lambda: other.runners.create({"runner_id": made["id"]}))
    j.call("runner is unassigned", lambda: other.runners.delete(made["id"]))
    j.refused("runner of its owner is unassigned", 403, lambda: project.runners.delete(made["id"]))
    j.call("runner verifies itself", lambda: root.runners.verify(made["token"]))
    j.same("managers", len(j.call("managers", lambda: root.http_list(f"/runners/{made['id']}/managers")) or []), 1)
    j.same("jobs", j.call("jobs", lambda: again.jobs.list(get_all=True)), [])
    reset = j.call("runner's token is reset", lambda: root.http_post(f"/runners/{made['id']}/reset_authentication_token"))
    j.same("runner's token is reset: what is told", sorted(reset or {}), ["token", "token_expires_at"])
    j.refused("old token of a runner", 403, lambda: root.runners.verify(made["token"]))
    j.call("runner is deleted", lambda: again.delete())
    j.refused("runner that is gone", 404, lambda: root.runners.get(made["id"]))


def variables(j, root):
    value = {"key": "JUDGE", "value": "a-value-of-mine", "description": "why", "masked": True, "protected": True, "raw": True, "variable_type": "env_var"}
    scoped = {**value, "environment_scope": "prod/*"}
    project, group = root.projects.get("acme/app"), root.groups.get("acme")
    for name, manager, attributes, narrow in (
        ("instance variable", root.variables, value, {}),
        ("group variable", group.variables, scoped, {}),
        ("project variable", project.variables, scoped, {"filter": {"environment_scope": "prod/*"}}),
    ):
        j.covers(name, type(manager), "create", attributes, beside=("masked_and_hidden",))
        j.holds(f"{name} is created", j.call(f"{name} is created", lambda m=manager, a=attributes: m.create(a)), attributes)
        j.holds(name, j.call(name, lambda m=manager, n=narrow: m.get("JUDGE", **n)), attributes)
        j.same(f"{name}: list", [v.key for v in j.call(f"{name}: list", lambda m=manager: m.list(get_all=True)) or []], ["JUDGE"])
        changed = {"value": "another-value", "masked": False, "protected": False, "raw": False, "variable_type": "file", "description": "how"}
        j.call(f"{name} is changed", lambda m=manager, c=changed, n=narrow: m.update("JUDGE", {**c, **n}))
        j.holds(f"{name} after its change", j.call(name, lambda m=manager, n=narrow: m.get("JUDGE", **n)), changed)
        j.call(f"{name} is deleted", lambda m=manager, n=narrow: m.delete("JUDGE", **n))
        j.refused(f"{name} that is gone", 404, lambda m=manager: m.get("JUDGE"))
    hidden = j.call("hidden variable", lambda: project.variables.create({"key": "H", "value": "a-value-of-mine", "masked_and_hidden": True}))
    j.holds("hidden variable", hidden, {"hidden": True, "masked": True, "value": None})


def notes(j, root):
    merge_request = root.projects.get("acme/app", lazy=True).mergerequests.get(7, lazy=True)
    note = j.call("note", lambda: merge_request.notes.create({"body": "a plan"}))
    j.holds("note", note, {"body": "a plan", "system": False, "noteable_iid": 7})
    if note:
        j.call("note is changed", lambda: merge_request.notes.update(note.id, {"body": "another"}))
    j.same("notes", [n.body for n in j.call("notes", lambda: merge_request.notes.list(get_all=True)) or []], ["another"])


def tokens(j, root):
    own = j.call("token itself", lambda: root.personal_access_tokens.get("self"))
    j.holds("token itself", own, {"scopes": ["api"], "revoked": False, "active": True, "user_id": 1, "token": "(not sent)"})
    for key, value, want in (("user_id", 2, {2}), ("user_id", 3, {3})):
        seen = j.call("tokens", lambda k=key, v=value: root.personal_access_tokens.list(get_all=True, **{k: v})) or []
        j.same(f"tokens by {key}", {t.user_id for t in seen}, want)
    wanted = {"name": "judge", "scopes": ["api"], "expires_at": None}
    j.covers("token of a user", objects.UserPersonalAccessTokenManager, "create", wanted)
    made = j.call("token of a user", lambda: root.users.get(3, lazy=True).personal_access_tokens.create({"name": "judge", "scopes": ["api"]}))
    token = j.call("token by its id", lambda: root.personal_access_tokens.get(made.id))
    j.call("token is rotated", lambda: token.rotate())
    j.same("rotated token: its owner", j.call("its owner", lambda: j.client(token.token).http_get("/user")["username"]), "owner")
    j.refused("token after its rotation", 401, lambda: j.client(made.token).auth())
    j.refused("token of nobody", 404, lambda: root.personal_access_tokens.get(99))
    j.refused("token of somebody else", 401, lambda: j.client(DEVELOPER).personal_access_tokens.get(1))
    j.call("token is revoked", lambda: token.delete())
    for name, place, level in (("group", root.groups.get("acme"), 50), ("project", root.projects.get("acme/app"), 40)):
        manager = place.access_tokens
        day = own and made.expires_at
        wanted = {"name": "judge", "scopes": ["api", "self_rotate"], "access_level": level, "expires_at": day}
        j.covers(f"{name} token", type(manager), "create", wanted)
        bot = j.call(f"{name} token", lambda m=manager, w=wanted: m.create(w))
        j.holds(f"{name} token", bot, {**wanted, "resource_type": name, "resource_id": place.id})
        j.same(f"{name} tokens", [t.id for t in j.call(f"{name} tokens", lambda m=manager: m.list(get_all=True)) or []], [bot.id])
        j.holds(f"{name} token by its id", j.call(name, lambda m=manager, b=bot: m.get(b.id)), {"token": "(not sent)", "active": True})
        client = j.client(bot.token)
        path = f"/{name}s/{place.id}/access_tokens/self/rotate"
        new = j.call(f"{name} token rotates itself", lambda c=client, p=path: c.http_post(p))
        j.call(f"{name} token is rotated", lambda m=manager, n=new: m.rotate(n["id"]))
        last = max(t.id for t in manager.list(get_all=True))
        j.call(f"{name} token is revoked", lambda m=manager, i=last: m.delete(i))
        j.refused(f"{name} tokens, as a developer", 401, lambda p=place, n=name: j.client(DEVELOPER).http_list(f"/{n}s/{p.id}/access_tokens"))


def settings(j, root):
    seen = j.call("settings", lambda: root.settings.get())
    declared = objects.ApplicationSettingsManager._update_attrs
    # Parameters of GitLab's that the client's list lacks.
    beside = {
        "group_runner_token_expiration_interval", "project_runner_token_expiration_interval", "runner_token_expiration_interval",
        "allow_runner_registration_token", "valid_runner_registrars", "default_ci_config_path", "default_branch_name",
        "personal_access_token_prefix", "require_personal_access_token_expiry", "shared_runners_text", "auto_devops_enabled",
        "max_artifacts_size", "shared_runners_enabled",
    }
    for key in seen.attributes if seen else ():
        if key not in declared.optional and key not in beside:
            j.find(f"settings: {key} is sent, but the model has none")
    seen.runner_token_expiration_interval = 86400
    j.call("settings are changed", lambda: seen.save())
    j.holds("settings", j.call("settings", lambda: root.settings.get()), {"runner_token_expiration_interval": 86400})
    j.refused("settings, as an owner", 403, lambda: j.client(OWNER).settings.get())


def places(j, root):
    j.same("version", j.call("version", lambda: root.version()[0]), "17.9.0-ee")
    j.call("who I am", root.auth)
    j.holds("who I am", root.user, {"id": 1, "username": "root", "is_admin": True})
    for page in (1, 100):
        seen = j.call("groups", lambda p=page: root.groups.list(iterator=True, per_page=p))
        j.same("groups, in pages", [g.full_path for g in seen or []], ["acme", "acme/platform"])
        seen = j.call("projects", lambda p=page: root.projects.list(iterator=True, per_page=p))
        j.same("projects, in pages", [p.path_with_namespace for p in seen or []], ["acme/other", "acme/app"])
    group = j.call("group", lambda: root.groups.get("acme"))
    j.holds("group", group, {"id": 10, "parent_id": None, "visibility": "private", "full_path": "acme"})
    j.same("subgroups", [g.id for g in j.call("subgroups", lambda: group.subgroups.list(get_all=True)) or []], [11])
    j.same("projects of a group", sorted(p.id for p in j.call("projects of a group", lambda: group.projects.list(get_all=True)) or []), [20, 21])
    j.holds("member", j.call("member", lambda: group.members_all.get(3)), {"username": "owner", "access_level": 50})
    project = root.projects.get("acme/app")
    j.holds("member", j.call("member", lambda: project.members_all.get(2)), {"username": "dev", "access_level": 30})
    j.refused("group that is not there", 404, lambda: root.groups.get("none"))


def judged(url, spoil=None):
    j = Judge(url, spoil)
    root = j.client(ADMIN)
    for part in (places, runners, variables, notes, tokens, settings):
        try:
            part(j, root)
        except Exception as error:  # noqa: BLE001  an answer that is not as it should be may end a part
            j.find(f"{part.__name__}: ended early: {type(error).__name__}: {error}")
    return j


def swap(old, new):
    def change(answer):
        answer._content = answer.content.replace(old, new)

    return change


def status(code):
    def change(answer):
        answer.status_code = code

    return change


def no_next(answer):
    answer.headers.pop("Link", None)


SPOILT = [
    ("a field with another name", "runner: tag_list", ("GET", "/api/v4/runners/1", swap(b'"tag_list"', b'"tags"'))),
    ("a change that is not made", "description is", ("GET", "/api/v4/runners/1", swap(b'"judge"', b'"no"'))),
    ("a filter that is not heeded", "RunnerAllManager by", ("GET", "/api/v4/runners/all", swap(b"[]", b'[{"id":7}]'))),
    ("a secret that is shown again", "token itself: token", ("GET", "/api/v4/personal_access_tokens/self", swap(b'"name"', b'"token":"x","name"'))),
    ("a list without its pages", "groups, in pages", ("GET", "/api/v4/groups", no_next)),
    ("a refusal in place of an answer", "settings", ("GET", "/api/v4/application/settings", status(500))),
    ("a setting that GitLab has not", "settings: odd", ("GET", "/api/v4/application/settings", swap(b'"home_page_url"', b'"odd":1,"home_page_url"'))),
]


def main():
    url = sys.argv[1]
    plain = judged(url)
    for text in plain.findings:
        print("FOUND:", text)
    blind = 0
    for name, expected, spoil in SPOILT:
        if not any(expected in text for text in judged(url, spoil).findings):
            blind += 1
            print(f"FOUND: the judge is blind: {name} was not found")
    print(f"python-gitlab: {plain.calls} calls, {len(plain.findings)} findings; {len(SPOILT)} answers spoilt on purpose")
    sys.exit(1 if plain.findings or blind else 0)


if __name__ == "__main__":
    main()
