//! ssh_config against `ssh -G`: the same file, the same host, the same answer; and what only rprov decides.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::evaluate::{Answer, Proxy, Question, Stopped};
use super::*;

/// Says so where there is no `ssh` to compare with.
fn has_ssh() -> bool {
    let found = Command::new("ssh").arg("-V").output().is_ok();
    if !found {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: no `ssh` to compare with\n");
    }
    found
}

fn local(home: &Path) -> LocalUser {
    LocalUser { home: Some(home.to_owned()), ..LocalUser::default() }
}

fn here() -> Here {
    Here { user: local_name(), home: Some("/nowhere".into()), ..Here::default() }
}

fn local_name() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

/// What of an answer `ssh -G` prints, in its words.
fn in_its_words(answer: &Answer, host: &str, user: Option<&str>, local_user: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{name} {value}"));
        }
    };
    let said = |set: &Option<Set<String>>| set.as_ref().map(|set| set.value.clone());
    line("hostname", Some(said(&answer.host_name).unwrap_or_else(|| host.to_owned()).to_lowercase()));
    line("port", Some(answer.port.as_ref().map_or(22, |set| set.value).to_string()));
    line("user", Some(user.map(str::to_owned).or(said(&answer.user)).unwrap_or_else(|| local_user.to_owned())));
    for file in &answer.identity_files {
        line("identityfile", Some(file.value.clone()));
    }
    for file in &answer.certificate_files {
        line("certificatefile", Some(file.value.clone()));
    }
    line(
        "identitiesonly",
        Some(if answer.identities_only.as_ref().is_some_and(|set| set.value) { "yes" } else { "no" }.to_owned()),
    );
    line("identityagent", said(&answer.identity_agent));
    match answer.proxy.as_ref().map(|set| &set.value) {
        Some(Proxy::Command(command)) if command != "none" => line("proxycommand", Some(command.clone())),
        Some(Proxy::Jump(jumps)) if !jumps.is_empty() => {
            let one = |jump: &crate::inventory::model::JumpSpec| {
                let mut text = String::new();
                if let Some(user) = &jump.user {
                    let _ = write!(text, "{user}@");
                }
                let v6 = jump.host.contains(':');
                text.push_str(&if v6 { format!("[{}]", jump.host) } else { jump.host.clone() });
                if let Some(port) = jump.port {
                    let _ = write!(text, ":{port}");
                }
                text
            };
            line("proxyjump", Some(jumps.iter().map(one).collect::<Vec<_>>().join(",")));
        }
        _ => {}
    }
    line("userknownhostsfile", answer.user_known_hosts.as_ref().map(|set| set.value.join(" ")));
    line("hostkeyalias", said(&answer.host_key_alias));
    let timeout = answer.connect_timeout.as_ref().map(|set| set.value);
    line("connecttimeout", Some(timeout.map_or("none".to_owned(), |seconds| seconds.to_string())));
    line("bindaddress", said(&answer.bind_address));
    lines.sort();
    lines
}

const COMPARED: [&str; 13] = [
    "hostname",
    "port",
    "user",
    "identityfile",
    "certificatefile",
    "identitiesonly",
    "identityagent",
    "proxycommand",
    "proxyjump",
    "userknownhostsfile",
    "hostkeyalias",
    "connecttimeout",
    "bindaddress",
];

/// What `ssh -G` prints of these, without what it says of every host. `Err`: it refuses.
fn ssh(file: &Path, host: &str, user: Option<&str>) -> Result<Vec<String>, String> {
    let run = |file: &Path| {
        let mut command = Command::new("ssh");
        command.args(["-G", "-T", "-F"]).arg(file);
        if let Some(user) = user {
            command.args(["-l", user]);
        }
        let out = command.args(["--", host]).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
    };
    let defaults = run(Path::new("none"))?;
    let usual = |line: &str| {
        ["identityfile", "userknownhostsfile"].iter().any(|name| line.starts_with(name)) && defaults.contains(line)
    };
    let out = run(file)?;
    let mut lines: Vec<String> = out
        .lines()
        .filter(|line| COMPARED.iter().any(|name| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '))))
        .filter(|line| !usual(line))
        .map(str::to_owned)
        .collect();
    lines.sort();
    Ok(lines)
}

/// Ours and theirs; `Err` with both if they differ.
fn compare(file: &Path, host: &str, user: Option<&str>) -> Result<(), String> {
    let text = std::fs::read_to_string(file).unwrap();
    let theirs = ssh(file, host, user);
    let config = Config::load(&SshConfig::File(file.to_owned()), &local(Path::new("/nowhere")), &here());
    let name = local_name();
    let question = Question { host, user, local_user: &name };
    let ours = match &config {
        Ok(config) => config.of(question).map_err(|why| format!("{why:?}")),
        Err(wrong) => Err(format!("{}: {}", wrong.place, wrong.why)),
    };
    match (ours, theirs) {
        (Err(_), Err(_)) => Ok(()),
        (Ok(ours), Ok(theirs)) => {
            let ours = in_its_words(&ours, host, user, &name);
            if ours == theirs { Ok(()) } else { Err(format!("{text}\n{host}: ours {ours:#?}\nssh's {theirs:#?}")) }
        }
        (ours, theirs) => Err(format!("{text}\n{host}: ours {ours:#?}\nssh's {theirs:#?}")),
    }
}

#[test]
fn as_ssh_reads_them() {
    if !has_ssh() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display().to_string();
    std::fs::create_dir(dir.path().join("more")).unwrap();
    for (name, text) in [
        ("more/10-a.conf", "Port 1010\nHost ci*\n  User included\n"),
        ("more/20-b.conf", "Match host db\n  Port 2020\nMatch all\n  IdentityFile /k/included\n"),
        ("more/.hidden.conf", "User hidden\n"),
        ("more/readme.txt", "no ssh_config at all"),
        ("wrong.conf", "Host x\n  Port zero\n"),
        ("self.conf", &format!("Include {here}/self.conf\n")),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let cases: &[&str] = &[
        "",
        "# only a comment\n\n   # another\n",
        "Host ci\n  HostName 10.0.0.7\n  Port 2222\n  User deploy\nHost *\n  User other\n  Port 1\n",
        "host=ci\nhostname=a\nHOST *\nHostName = b\nport=\"2200\"\n",
        "Host *\n  HostName %h.Example.COM\n  User x\nHost ci\n  User never\n",
        "Host c? !cx\n  User one\nHost !db *\n  Port 99\nHost !ci\n  User never\n",
        "Host cx db\tci # trailing\n  User three # comment\n",
        "Host \"ci\" 'db'\n  IdentityFile \"~/k e y/%h\" # x\n  IdentityFile ~/two\n  IdentityFile ~/two\n",
        "Host *\n  IdentityFile ~/.ssh/%n_%p_%r\n  IdentitiesOnly TRUE\n  CertificateFile /c/one\n  CertificateFile /c/two\n",
        "Host ci\n  ProxyJump me@b1:2222,b2\nHost *\n  ProxyCommand nc %h %p\n",
        "Host ci\n  ProxyCommand nc -X connect \"%h\" %p # not a comment\nHost *\n  ProxyJump b\n",
        "Host ci\n  ProxyJump none\nHost *\n  ProxyJump b\n",
        "Host ci\n  ProxyCommand none\nHost *\n  ProxyJump b\n",
        "Host ci\n  ProxyJump none\nHost *\n  ProxyCommand nc %h %p\n  ProxyJump b\n",
        "Host *\n  ProxyJump ssh://me@b:22\n",
        "Host *\n  ProxyJump [2001:db8::1]:2222\n",
        "Match host ci\n  User one\nMatch host c* user one\n  Port 5\nMatch !host ci\n  Port 6\n",
        "Host ci\n  HostName real.lan\nMatch host real.lan\n  User byname\nMatch originalhost CI\n  Port 7\nMatch host ci\n  User never\n",
        "Host ci\n  HostName %h.lan\nMatch host=*.LAN\n  User wild\n",
        "Match user deploy,root\n  Port 8\nMatch !user deploy\n  Port 9\n",
        "Match localuser nobody-else\n  Port 8\nMatch localuser *\n  IdentityFile /k\n",
        "Match all\n  Port 3\nHost none-such\nMatch all\n  User last\n",
        "Host ci\n  HostName x.lan\nMatch final all\n  User second\n  IdentityFile /k/final\nHost *.lan\n  Port 77\n",
        "Match final host x.lan\n  User second\nHost ci\n  HostName x.lan\n  IdentityFile /k/one\n",
        "Match canonical all\n  User never\n",
        "Host *\n  UserKnownHostsFile /a/b /c/d\n  HostKeyAlias Alias\n  ConnectTimeout 1m30s\n  BindAddress 10.0.0.9\n",
        "ConnectTimeout none\nConnectTimeout 7\n",
        "ConnectTimeout 0\n",
        "Host ci\n  IdentityAgent /run/agent\nHost *\n  IdentityAgent none\n",
        "Host x\n  ForwardAgent yes\n  ControlMaster auto\n  SendEnv LANG LC_*\n  ServerAliveInterval 5\nHost *\n  Compression yes\n",
        // Includes.
        "Include @/more/*.conf\nUser after\n",
        "Host db\n  Include @/more/*.conf\n  User after\nHost *\n  User all\n",
        "Include @/more/none-*.conf @/missing\nUser after\n",
        "Include @/more/[1]0-?.conf\n",
        "Host ci\n  Include \"@/more/10-a.conf\"\nPort 5\n",
        // Wrong, also where they do not count.
        "Host other\n  Port x\n",
        "Host other\n  HostName\n",
        "Host other\n  HostName a b\n",
        "Host other\n  HostName \"a\n",
        "Host\n",
        "Port 0\n",
        "Port 99999\n",
        "IdentitiesOnly perhaps\n",
        "ConnectTimeout 5x\n",
        "ProxyJump a:b\n",
        "ProxyJump\n",
        "ProxyCommand\n",
        "Match\n",
        "Match host\n",
        "Match all host x\n",
        "Match host ci all\n  Port 4\n",
        "Match host ci user root all\n",
        "Include @/wrong.conf\n",
        "Include @/self.conf\n",
        "HostName %x\n",
        "AddressFamily four\n",
    ];
    let file = dir.path().join("config");
    let mut wrong = Vec::new();
    for text in cases {
        std::fs::write(&file, text.replace('@', &here)).unwrap();
        if text.contains("me@") {
            std::fs::write(&file, text).unwrap();
        }
        for (host, user) in [("ci", None), ("CI", None), ("db", Some("deploy")), ("cx", Some("root"))] {
            wrong.extend(compare(&file, host, user).err());
        }
    }
    assert!(wrong.is_empty(), "{}\n{} differ", wrong.join("\n---\n"), wrong.len());
}

fn lines() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["ci", "c*", "?i", "db", "!ci", "!d*", "*", "x.lan", "*.lan"]);
    let hosts = prop::collection::vec(host, 1..4).prop_map(|hosts| hosts.join(" "));
    let negated = prop::sample::select(vec!["", "!"]);
    let test = (
        negated,
        prop::sample::select(vec![
            "host ci",
            "host c*,!cx",
            "host *.lan",
            "originalhost db,ci",
            "user deploy",
            "user one,t*",
            "localuser *",
            "final",
        ]),
    );
    let tests = prop::collection::vec(test.prop_map(|(not, test)| format!("{not}{test}")), 1..3);
    let value = prop::sample::select(vec![
        "HostName x.lan",
        "HostName %h.lan",
        "hostname=\"y.lan\"",
        "Port 2222",
        "port = 99",
        "User one",
        "User \"two\"",
        "IdentityFile ~/a",
        "IdentityFile '/b c'",
        "IdentitiesOnly yes",
        "IdentitiesOnly no",
        "ProxyJump me@j:22,k",
        "ProxyJump none",
        "ProxyCommand nc %h \"%p\"",
        "ProxyCommand none",
        "HostKeyAlias A",
        "ConnectTimeout 2m",
        "CertificateFile /c",
        "UserKnownHostsFile /x /y",
        "BindAddress 10.0.0.1",
        "Compression yes",
        "# HostName z",
    ]);
    let line = prop_oneof![
        2 => hosts.prop_map(|hosts| format!("Host {hosts}")),
        1 => tests.prop_map(|tests| format!("Match {}", tests.join(" "))),
        6 => value.prop_map(|value| format!("  {value}")),
    ];
    prop::collection::vec(line, 0..14).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn as_ssh_reads_any_of_them(text in lines(), host in "ci|db|cx|x[.]lan", user in prop::option::of("deploy|one")) {
        if Command::new("ssh").arg("-V").output().is_ok() {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("config");
            std::fs::write(&file, text).unwrap();
            prop_assert_eq!(compare(&file, &host, user.as_deref()), Ok(()));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([A-Za-z]{4,8}[ =]|[ -~]{0,6}|Match |Host |Include |\"|\n|%|\\$\\{){0,12}") {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, text).unwrap();
        if let Ok(config) = Config::load(&SshConfig::File(file), &local(dir.path()), &here()) {
            let _ = config.of(Question { host: "ci", user: None, local_user: "me" });
        }
    }
}

/// A home directory with an ssh_config.
fn home(text: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    std::fs::write(home.path().join(".ssh/config"), text).unwrap();
    home
}

#[test]
fn what_is_wrong_has_a_place() {
    let home = home("Host *\n\n  Port none\n");
    let wrong = Config::load(&SshConfig::Usual, &local(home.path()), &here()).unwrap_err();
    assert_eq!(
        (wrong.place.to_string(), wrong.why),
        ("~/.ssh/config:3".to_owned(), "port has no port `none`: a number from 1 to 65535".to_owned())
    );
}

#[test]
fn the_users_own_file_comes_first() {
    let home = home("User own\n");
    let system = home.path().join("ssh_config");
    std::fs::write(&system, "User system\nPort 2200\n").unwrap();
    let local = LocalUser { system_config: Some(system), ..local(home.path()) };
    let config = Config::load(&SshConfig::Usual, &local, &here()).unwrap();
    let question = Question { host: "ci", user: None, local_user: "me" };
    let answer = config.of(question).unwrap();
    assert_eq!((answer.user.unwrap().value.as_str(), answer.port.unwrap().value), ("own", 2200));
    let nothing = Config::load(&SshConfig::Nothing, &local, &here()).unwrap();
    assert_eq!(nothing.of(question), Ok(Answer::default()));
    let missing = SshConfig::File(home.path().join("missing"));
    assert!(Config::load(&missing, &local, &here()).unwrap_err().why.contains("No such file"));
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = home("ProxyCommand evil\n");
    let file = home.path().join(".ssh/config");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let wrong = Config::load(&SshConfig::Usual, &local(home.path()), &here()).unwrap_err();
    assert!(wrong.why.contains("others may write"), "{}", wrong.why);
}

#[test]
fn ssh_is_asked_only_where_it_must_be() {
    let home = home(
        "Match host ci exec \"test -e /x\"\n  User one\nMatch host db exec \"true\" user nobody-else\n  User two\n\
         Host canon\n  CanonicalizeHostname yes\n",
    );
    let config = Config::load(&SshConfig::Usual, &local(home.path()), &here()).unwrap();
    let of = |host: &'static str| config.of(Question { host, user: None, local_user: "me" });
    let asks = |host| match of(host) {
        Err(Stopped::AskSsh { what, place }) => Some(format!("{what} {place}")),
        _ => None,
    };
    assert_eq!(asks("ci").as_deref(), Some("Match exec ~/.ssh/config:1"));
    assert_eq!(asks("canon").as_deref(), Some("CanonicalizeHostname ~/.ssh/config:6"));
    assert_eq!(asks("other"), None);
    assert!(of("other").is_ok());
}

#[tokio::test]
async fn what_ssh_says_is_taken() {
    if !has_ssh() {
        return;
    }
    let home = home(
        "Host *\n  IdentityFile \"/k/a b\"\nMatch host ci exec \"true\"\n  User one\n  Port 2222\n  ProxyJump me@b:2200\n\
         Match host ci exec \"false\"\n  HostName never\n",
    );
    let system = home.path().join("system");
    std::fs::write(&system, "Host *\n  ConnectTimeout 9\n").unwrap();
    let local = LocalUser { system_config: Some(system), ..local(home.path()) };
    let config = Config::load(&SshConfig::Usual, &local, &here()).unwrap();
    let question = Question { host: "ci", user: None, local_user: "me" };
    let Err(Stopped::AskSsh { what, place }) = config.of(question) else { panic!() };
    let oracle = Oracle::default();
    let answer = oracle.ask(&config, question, None, (&what, &place)).await.unwrap();
    assert_eq!(answer.user.as_ref().unwrap().value, "one");
    assert_eq!(answer.port.as_ref().unwrap().value, 2222);
    assert_eq!(answer.identity_files.iter().map(|file| file.value.as_str()).collect::<Vec<_>>(), ["/k/a b"]);
    assert_eq!(answer.connect_timeout.as_ref().unwrap().value, 9);
    let Proxy::Jump(jumps) = &answer.proxy.as_ref().unwrap().value else { panic!() };
    assert_eq!((jumps[0].host.as_str(), jumps[0].port), ("b", Some(2200)));
    assert!(answer.algorithms.is_empty() && answer.user_known_hosts.is_none(), "defaults are nobody's wish");
    assert_eq!(answer.user.unwrap().place.to_string(), "`ssh -G`, for Match exec in ~/.ssh/config:3");
    // What the inventory says comes first, as on ssh's command line.
    let named = Question { user: Some("two"), ..question };
    let answer = oracle.ask(&config, named, Some(5), (&what, &place)).await.unwrap();
    assert_eq!((answer.user.unwrap().value.as_str(), answer.port.unwrap().value), ("two", 5));
    // What ssh itself says is wrong with the file.
    let broken = Config { paths: vec![home.path().join("none-such")], ..config };
    let wrong = oracle.ask(&broken, question, None, (&what, &place)).await.unwrap_err();
    assert!(wrong.why.starts_with("Match exec is judged by `ssh -G`, which failed: Can't open"), "{}", wrong.why);
}
