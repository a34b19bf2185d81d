//! What looks like a secret, or is one, is in nothing that a plan becomes.

use super::*;
use crate::inventory::model::Owner;
use crate::plan::json::PlanV1;
use crate::plan::{Action, Effect, Note, Plan, Problem, TextChange, Verdict};
use crate::step::WriteFile;

const CANARY: &str = "Zq4Vw7Xk2Bn8Mc5Rt1YpLs9D";

fn change(old: &str, new: &str) -> Change {
    let file = WriteFile {
        path: RemotePath::new("/etc/app.conf").unwrap(),
        content: Text::plain(new),
        mode: 0o644,
        owner: Owner::default(),
        keep_previous: false,
        check: None,
        replaces: Some("ab".repeat(32)),
        restarts: None,
        displaces: None,
    };
    Change {
        kind: "file".to_owned(),
        name: "/etc/app.conf".to_owned(),
        action: Action::Change,
        reason: None,
        attrs: Vec::new(),
        text: Some(TextChange { old: old.into(), new: new.into() }),
        effect: Effect::None,
        service: None,
        origin: None,
        steps: vec![Step::WriteFile(file)],
    }
}

fn known() -> SecretBook {
    let mut book = SecretBook::default();
    book.bind(SecretId::new("env:S"), Secret::new(CANARY.to_owned()));
    book
}

/// The plan as it is drawn, for programs, and as it is saved; and the book then.
fn published(mut plan: HostPlan, mut book: SecretBook) -> (String, HostPlan, SecretBook) {
    seal(&mut plan, &BTreeSet::new(), &mut book);
    let plans = Plan { hosts: vec![plan.clone()] };
    let json = serde_json::to_string(&PlanV1::from(&plans)).unwrap();
    let saved = serde_json::to_string(&plan.clone().publishable()).unwrap();
    (format!("{plans:?}\n{json}\n{saved}"), plan, book)
}

fn of(changes: Vec<Change>) -> HostPlan {
    HostPlan { name: "h".to_owned(), changes, ..HostPlan::default() }
}

#[test]
fn what_looks_like_a_secret_is_in_no_plan_and_is_written_all_the_same() {
    let key = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----\n");
    let contents = [
        format!("token = glpat-{CANARY}\n"),
        key,
        format!("a = 1\ndb_password={CANARY}\n"),
        format!("https://ci:{CANARY}@example.com/\n"),
        format!("machine x login y password {CANARY}\n"),
        format!("{{\"auths\":{{\"r\":{{\"auth\":\"{CANARY}\"}}}}}}"),
        format!("users: [{{ name: x, user: {{ client-key-data: {CANARY} }} }}]\n"),
    ];
    for content in contents {
        // On its way to a host, and where a host has it.
        for (old, new) in [("", content.as_str()), (content.as_str(), "nothing\n"), ("nothing\n", &content)] {
            let (text, plan, book) = published(of(vec![change(old, new)]), SecretBook::default());
            assert!(!text.contains(CANARY), "{text}");
            assert!(text.contains("(not shown: "), "{text}");
            let Step::WriteFile(file) = &plan.changes[0].steps[0] else { panic!() };
            assert_eq!(file.content.reveal(&book).unwrap(), new);
        }
        // What says it later, a command that fails, is cleared of it.
        let (.., book) = published(of(vec![change("", &content)]), SecretBook::default());
        assert!(!book.scrub(&format!("line 2: {CANARY}?")).contains(CANARY));
    }
}

#[test]
fn what_this_run_knows_is_in_no_plan_whatever_it_looks_like() {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("u:{CANARY}"));
    for content in [format!("x {CANARY} y\n"), format!("x {encoded} y\n"), format!("{}\n", &CANARY[..14])] {
        for (old, new) in [("nothing\n", content.as_str()), (content.as_str(), "nothing\n")] {
            let (text, ..) = published(of(vec![change(old, new)]), known());
            assert!(!text.contains(content.trim()) && !text.contains(&CANARY[..12]), "{text}");
            assert!(text.contains("(not shown: a secret of the inventory is in it)"), "{text}");
        }
    }
    let mut plan = of(vec![change("a\n", "b\n")]);
    plan.changes[0].attrs = vec![
        Attr::new("labels.x", Some(format!("\"{CANARY}\"")), Some("\"y\"".to_owned())),
        Attr::new("env.DB_PASSWORD", Some("\"hunter\"".to_owned()), Some("(secret env:DB)".to_owned())),
        Attr::new("url", Some("https://u:hunter22@x/".to_owned()), None),
    ];
    plan.notes = vec![Note { about: "x".to_owned(), message: format!("it says {CANARY}") }];
    plan.problems = vec![Problem { message: format!("cut {}", &CANARY[..9]), help: None, unknown_only: false }];
    let (text, plan, _) = published(plan, known());
    assert!(!text.contains(&CANARY[..9]) && !text.contains("hunter"), "{text}");
    assert!(plan.changes[0].text.is_some(), "the rest is shown");
    assert_eq!(plan.changes[0].attrs[1].new.as_deref(), Some("(secret env:DB)"));
}

#[test]
fn what_is_no_secret_is_shown() {
    let (text, plan, book) = published(of(vec![change("a = 1\n", "password=$DB_PASSWORD\n")]), known());
    assert!(text.contains("$DB_PASSWORD"), "{text}");
    assert!(plan.changes[0].text.is_some() && plan.changes[0].attrs.is_empty());
    assert_eq!(book.values().count(), 1);
}

#[test]
fn values_of_variables_are_named_unless_they_may_be_shown() {
    let variable = |show| {
        let step = Step::Gitlab(GitlabStep::SetVariable {
            namespace: None,
            exists: false,
            key: "DEPLOY_DIR".to_owned(),
            value: Text::plain("/srv/somewhere/else"),
            show,
            attributes: [("masked".to_owned(), serde_json::Value::Bool(false))].into(),
        });
        published(of(vec![Change { steps: vec![step], text: None, ..change("", "") }]), SecretBook::default())
    };
    let (text, plan, book) = variable(false);
    assert!(!text.contains("/srv/somewhere/else"), "{text}");
    let Step::Gitlab(GitlabStep::SetVariable { value, .. }) = &plan.changes[0].steps[0] else { panic!() };
    assert_eq!(value.reveal(&book).unwrap(), "/srv/somewhere/else");
    assert_eq!(book.scrub("cd /srv/somewhere/else"), "cd /srv/somewhere/else", "it is no secret by its name");
    assert!(variable(true).0.contains("/srv/somewhere/else"));
}

/// Behind an escaped quote a secret is one, too: in config.toml, in daemon.json, in what a variable had.
#[test]
fn secrets_within_quotes_are_in_no_plan() {
    let values = [
        format!("export DB_PASSWORD=\"{CANARY}\"\ncurl --data '{{\"password\": \"{CANARY}\"}}' x"),
        format!("DOCKER_AUTH_CONFIG={{\"auths\":{{\"r\":{{\"auth\":\"{CANARY}\"}}}}}}"),
        format!("D=x password=\"{CANARY}\""),
        format!("X={{\"a\": \"{{\\\"password\\\": \\\"{CANARY}\\\"}}\"}}"),
        format!("api_token=\"a\\\"{CANARY}\""),
    ];
    for value in values {
        let toml = format!("\"{}\"", crate::text::escape(&value));
        let list = format!("[\"A=b\", {toml}]");
        for literal in [toml, serde_json::to_string(&value).unwrap(), format!("{value:?}"), list] {
            let mut plan = of(vec![change("", &format!("environment = {literal}\n"))]);
            plan.changes[0].attrs = vec![
                Attr::new("environment", Some(literal.clone()), Some("\"other\"".to_owned())),
                Attr::new("labels[0]", None, Some(literal.clone())),
            ];
            let (text, plan, _) = published(plan, SecretBook::default());
            assert!(!text.contains(CANARY), "{literal}\n{text}");
            assert!(plan.changes[0].attrs[0].old.as_deref().unwrap().contains("(hidden)"), "{literal}");
        }
    }
}

#[test]
fn what_is_left_of_a_file_that_not_everybody_may_read_is_in_no_step() {
    let source = |name: &str, text: &str, public: bool| crate::facts::AptSource {
        path: RemotePath::new(format!("/etc/apt/sources.list.d/{name}.list")).unwrap(),
        text: text.to_owned(),
        mode: if public { 0o644 } else { 0o600 },
        user: "root".to_owned(),
        group: "root".to_owned(),
        public,
    };
    let line = "deb http://internal.example/Kq83hz main\n";
    let facts = Facts {
        apt_sources: Some(Known::Present(vec![source("a", line, false), source("b", line, true)])),
        ..Facts::default()
    };
    let held = |path: &str, text: &str| {
        let mut one = change("", text);
        let Some(Step::WriteFile(file)) = one.steps.first_mut() else { panic!() };
        file.path = RemotePath::new(path).unwrap();
        let mut plan = HostPlan { name: "a".to_owned(), changes: vec![one], ..HostPlan::default() };
        plan.changes[0].text = None;
        let mut book = SecretBook::default();
        seal(&mut plan, &private(&facts), &mut book);
        let Step::WriteFile(file) = &plan.changes[0].steps[0] else { panic!() };
        assert_eq!(file.content.reveal(&book).unwrap(), text, "an apply knows it");
        serde_json::to_string(&plan.changes).unwrap()
    };
    assert!(!held("/etc/apt/sources.list.d/a.list", line).contains("Kq83hz"), "0600");
    assert!(held("/etc/apt/sources.list.d/b.list", line).contains("Kq83hz"), "0644");
    let login = "deb https://ci:Kq83hzPw@packages.example/debian stable main\n";
    assert!(!held("/etc/apt/sources.list.d/b.list", login).contains("Kq83hzPw"), "a password in a URL");
}

#[test]
fn an_old_file_with_a_piece_of_a_secret_is_not_shown() {
    let dotted = CANARY.chars().map(String::from).collect::<Vec<_>>().join(".");
    for old in [&CANARY[3..14], &CANARY.to_uppercase(), &CANARY.to_lowercase(), &dotted] {
        let (text, plan, _) = published(of(vec![change(&format!("a = {old}\n"), "b\n")]), known());
        assert!(!text.contains(old), "{old}: {text}");
        assert!(plan.changes[0].text.is_none(), "{old}");
    }
    let (text, plan, _) = published(of(vec![change("concurrent = 10\nlog_level = info\n", "b\n")]), known());
    assert!(plan.changes[0].text.is_some() && text.contains("log_level"), "{text}");
}

/// Every text that a host or GitLab gave, whichever field it is in.
#[test]
fn no_text_of_a_plan_holds_a_secret() {
    let mut plan = of(vec![change("a\n", "b\n")]);
    plan.summary = vec![format!("debian {CANARY}")];
    plan.changes[0].name = format!("#4 {CANARY}");
    plan.changes[0].service = Some(format!("x-{CANARY}"));
    plan.changes[0].attrs = vec![Attr::new(format!("runners.{CANARY}.limit"), None, Some("1".to_owned()))];
    plan.runners = vec![
        RunnerView::new(CANARY, Some(4), Verdict::OnlyOnHost, format!("its URL is https://u:{CANARY}@x/")),
        RunnerView::new(format!("cut {}", &CANARY[..9]), None, Verdict::OnlyOnHost, ""),
        RunnerView::new("token=glpat-aB3dE6gH9jK2mN5pQ8sT", None, Verdict::OnlyOnHost, ""),
    ];
    plan.notes = vec![Note { about: format!("runner {CANARY}"), message: "password: Hunter22x".to_owned() }];
    let help = Some(format!("see {CANARY}"));
    plan.problems = vec![Problem { message: "x DB_PASSWORD_1=Hunter22x".to_owned(), help, unknown_only: false }];
    let (text, plan, _) = published(plan, known());
    for word in [CANARY, &CANARY[..9], "aB3dE6gH9jK2mN5pQ8sT", "Hunter22x"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    assert_eq!(plan.runners[0].id, Some(4));
}

/// What is shown and saved of steps; what is carried out stays as the inventory has it.
fn shown_and_done(steps: Vec<Step>, book: SecretBook) -> (String, String) {
    let mut plan = of(vec![Change { steps, text: None, ..change("", "") }]);
    let mut book = book;
    seal(&mut plan, &BTreeSet::new(), &mut book);
    let json = serde_json::to_string(&PlanV1::from(&Plan { hosts: vec![plan.clone()] })).unwrap();
    let saved = serde_json::to_string(&plan.clone().publishable()).unwrap();
    assert_eq!(plan.clone().publishable().publishable(), plan.clone().publishable());
    (format!("{json}\n{saved}"), serde_json::to_string(&plan.changes[0].steps).unwrap())
}

#[test]
fn steps_of_gitlab_show_what_the_plan_shows() {
    let attributes = crate::step::RunnerAttributes {
        description: Some("rotate with password=NEWdescpw777".to_owned()),
        maintenance_note: Some(format!("login password: N0tepw888\nand {CANARY}")),
        tag_list: Some(vec!["docker".to_owned(), "token=T4gpw999".to_owned()]),
        ..crate::step::RunnerAttributes::default()
    };
    let token = SecretId::runner_token("h", "docker");
    let create = GitlabStep::CreateRunner {
        token: token.clone(),
        runner_type: "instance_type".to_owned(),
        namespace: None,
        attributes: attributes.clone(),
    };
    let update = GitlabStep::UpdateRunner { id: Some(4), token, attributes, stamp_token: false };
    for step in [create, update] {
        let (shown, done) = shown_and_done(vec![Step::Gitlab(step)], known());
        for word in ["NEWdescpw777", "N0tepw888", "T4gpw999", CANARY] {
            assert!(!shown.contains(word), "{word}: {shown}");
            assert!(done.contains(word), "{word}: {done}");
        }
        assert!(
            shown.contains("token:h/docker") && shown.contains("\"docker\"") && shown.contains("rotate with"),
            "{shown}"
        );
    }
}

#[test]
fn labels_are_judged_by_their_names() {
    let labels =
        [("api_key", "Abcd1234"), ("traefik.http.middlewares.a.basicauth.users", "me:Efgh5678"), ("zone", "eu-west")];
    let container = crate::step::CreateContainer {
        name: "gitlab-runner".to_owned(),
        beside: false,
        image: "gitlab/gitlab-runner:v17".to_owned(),
        mounts: Vec::new(),
        env: [
            ("TOKEN_PROD".to_owned(), Text::plain("Ijkl9012")),
            ("APP_KEY".to_owned(), Text::plain("base64:Mnop3456")),
        ]
        .into(),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        networks: Vec::new(),
        ports: Vec::new(),
        extra_hosts: Vec::new(),
        restart: "always".to_owned(),
        stop_timeout: 10,
        options: crate::inventory::model::ContainerOptions::default(),
    };
    let (shown, done) = shown_and_done(vec![Step::CreateContainer(Box::new(container))], SecretBook::default());
    for word in ["Abcd1234", "Efgh5678", "Ijkl9012", "Mnop3456"] {
        assert!(!shown.contains(word), "{word}: {shown}");
    }
    assert!(shown.contains("eu-west") && done.contains("Abcd1234") && done.contains("Efgh5678"), "{shown}\n{done}");
    let mut plan = of(vec![change("", "")]);
    plan.changes[0].attrs = vec![
        Attr::new("labels.api_key", None, Some("\"Abcd1234\"".to_owned())),
        Attr::new("labels.traefik.http.middlewares.a.basicauth.users", Some("\"me:Efgh5678\"".to_owned()), None),
        Attr::new("environment", None, Some("[\"TOKEN_PROD=Ijkl9012\", \"SECRET_KEY_BASE=Mnop3456\"]".to_owned())),
    ];
    let (text, ..) = published(plan, SecretBook::default());
    for word in ["Abcd1234", "Efgh5678", "Ijkl9012", "Mnop3456"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

/// Whatever is reported after the first sealing: what GitLab says of the token, what other hosts have, which machine it is.
#[test]
fn what_is_added_to_a_sealed_plan_is_sealed() {
    let mut book = known();
    let plan = HostPlan {
        notes: vec![Note { about: "a".to_owned(), message: "b".to_owned() }],
        ..of(vec![change("x=1\n", "x=2\n")])
    };
    let sealed = Sealed::of(plan, &mut book);
    let same = sealed.clone().reopen().seal(&mut book);
    assert_eq!(same, sealed, "nothing was added");
    // One that is known, and one that looks like one.
    for secret in [CANARY, "glpat-Ab1Cd2Ef3Gh4Ij5Kl6Mn"] {
        let told = format!("GitLab said: {secret} is wrong");
        let mut amended = sealed.clone();
        amended.amend(&mut book, |plan| {
            plan.problems.push(Problem { message: told.clone(), help: Some(told.clone()), unknown_only: false });
            plan.notes.push(Note { about: told.clone(), message: told.clone() });
            plan.runners.push(RunnerView::unknown(&told, &told));
            plan.changes.push(change("", &format!("token = {secret}\n")));
            plan.summary.push(told.clone());
        });
        assert_eq!(amended.changes.len(), 2);
        let plans = SealedPlan::of([amended.clone()]);
        let json = serde_json::to_string(&PlanV1::from(&plans)).unwrap();
        let saved = serde_json::to_string(&(*amended).clone().publishable()).unwrap();
        let bare = &secret[6..];
        assert!(!json.contains(bare) && !saved.contains(bare) && !format!("{plans:?}").contains(bare), "{json}");
        let problem = Problem { message: told.clone(), help: Some(told), unknown_only: false };
        assert!(!format!("{:?}", problems(vec![problem], &book)).contains(bare));
    }
}
