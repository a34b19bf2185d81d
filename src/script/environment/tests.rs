//! What whoever logs in brings along, or others have put where programs are looked for, and what becomes of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::script::tests::shells;
use crate::script::{Script, wrap};

/// Variables of the kind that change what programs do; the values are of no use here, and some break lines or words.
const HOSTILE: &[(&str, &str)] = &[
    ("CURL_HOME", "/tmp/evil"),
    ("http_proxy", "http://127.0.0.1:1"),
    ("HTTPS_PROXY", "http://127.0.0.1:1"),
    ("SSL_CERT_FILE", "/tmp/evil.pem"),
    ("DOCKER_HOST", "tcp://127.0.0.1:1"),
    ("DOCKER_CONTEXT", "evil"),
    ("DOCKER_CONFIG", "/tmp/evil"),
    ("APT_CONFIG", "/tmp/evil"),
    ("DPKG_ROOT", "/tmp/evil"),
    ("DPKG_FORCE", "all"),
    ("SYSTEMD_PAGER", "touch /tmp/evil"),
    ("PAGER", "touch /tmp/evil"),
    ("GREP_OPTIONS", "-v"),
    ("TAR_OPTIONS", "--to-command=evil"),
    ("TMPDIR", "/tmp/evil"),
    ("XDG_CONFIG_HOME", "/tmp/evil"),
    ("POSIXLY_CORRECT", "1"),
    ("BLOCK_SIZE", "human-readable"),
    ("TIME_STYLE", "+%s"),
    ("LANG", "de_DE.UTF-8"),
    ("LC_MESSAGES", "de_DE.UTF-8"),
    ("LANGUAGE", "de"),
    ("PERL5OPT", "-MEvil"),
    ("PYTHONSTARTUP", "/tmp/evil"),
    ("OPENSSL_CONF", "/tmp/evil"),
    ("LD_BIND_NOW", "1"),
    ("MALLOC_CHECK_", "3"),
    ("GLIBC_TUNABLES", "glibc.malloc.check=3"),
    ("ENV", "/tmp/evil"),
    ("BASH_ENV", "/tmp/evil"),
    ("CDPATH", "/tmp"),
    ("PS4", "$(touch /tmp/evil)"),
    ("nonce", "evil"),
    ("lock", "evil"),
    ("word", "evil"),
    ("lines", "one\nexport two='three\nexport PATH=/tmp/evil\n"),
    ("quotes", "'\"'; touch /tmp/evil #"),
    ("stars", "* ? [a]"),
];

/// What a script's programs find; `_`, `PWD`, `OLDPWD` and `SHLVL` are the shell's own.
const KNOWN: [&str; 9] = ["PATH", "HOME", "LC_ALL", "TZ", "DOCKER_HOST", "_", "PWD", "OLDPWD", "SHLVL"];

fn run_in(shell: &[&str], script: &Script, environment: &[(&str, &str)]) -> Output {
    use std::io::Write as _;
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg("-s").envs(environment.iter().copied());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.expose().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn programs_find_no_variable_but_the_known_ones() {
    for shell in shells() {
        let out = run_in(&shell, &wrap("secret=s3cr3t lock=s3cr3t; env", "n0"), HOSTILE);
        let said = text(&out.stdout);
        assert!(out.status.success() && said.ends_with("@n0 end\n"), "{shell:?}: {out:?}");
        assert_eq!(text(&out.stderr), "", "{shell:?}");
        let names = said.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
        let odd: Vec<&str> = names.filter(|name| !KNOWN.contains(name)).collect();
        assert_eq!(odd, Vec::<&str>::new(), "{shell:?}: {said}");
        assert!(!said.contains("evil") && !said.contains("s3cr3t"), "{shell:?}: {said}");
    }
}

#[test]
fn a_home_with_files_of_its_own_tells_curl_and_docker_nothing() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).display().to_string();
    std::fs::write(home.path().join(".curlrc"), format!("trace = \"{}\"\n", at("ran"))).unwrap();
    std::fs::create_dir(home.path().join(".docker")).unwrap();
    std::fs::write(home.path().join(".docker/config.json"), r#"{ "credsStore": "evil", "currentContext": "evil" }"#)
        .unwrap();
    std::fs::write(home.path().join(".dpkg.cfg"), "force-all\n").unwrap();
    program(&home.path().join("docker-credential-evil"), &format!("#!/bin/sh\n: >{}\n", at("ran")));
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let hostile = [("HOME", home.path().to_str().unwrap()), ("PATH", path.as_str())];
    for shell in shells() {
        // As a program without `-q` would be called: its own protection is looked at below.
        let script = wrap("curl -s http://127.0.0.1:1/; echo \"home $HOME\"; cat ~/.dpkg.cfg 2>/dev/null; :", "n0");
        let out = run_in(&shell, &script, &hostile);
        assert!(text(&out.stdout).contains("home /proc/nonexistent\n"), "{shell:?}: {out:?}");
        assert!(!text(&out.stdout).contains("force-all"), "{shell:?}: {out:?}");
        assert!(!home.path().join("ran").exists(), "{shell:?}: a file of the home directory gave options");
    }
}

#[test]
fn functions_that_bash_takes_from_its_environment_are_not_called() {
    let dir = tempfile::tempdir().unwrap();
    let ran = dir.path().join("ran");
    let body = format!("() {{ : >{}; }}", ran.display());
    let names = ["stat", "printf", "env", "command", "builtin", "read", "test", "cat", "compgen", "date"];
    let functions: Vec<(String, &str)> =
        names.iter().map(|name| (format!("BASH_FUNC_{name}%%"), body.as_str())).collect();
    let functions: Vec<(&str, &str)> = functions.iter().map(|(name, body)| (name.as_str(), *body)).collect();
    for shell in shells() {
        let out = run_in(&shell, &wrap("stat / >/dev/null; date >/dev/null; [ 1 = 1 ] && env", "n0"), &functions);
        assert!(text(&out.stdout).ends_with("@n0 end\n"), "{shell:?}: {out:?}");
        assert!(!ran.exists(), "{shell:?}: a function of the environment ran");
        if shell[0] == "bash" {
            assert!(!text(&out.stdout).contains("BASH_FUNC"), "{shell:?}: {out:?}");
        }
    }
}

#[test]
fn every_curl_is_told_first_of_all_to_read_no_file() {
    fn rust_files(dir: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rust_files(&path, found);
            } else {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files =
        vec![("cleanup.sh.j2".to_owned(), std::fs::read_to_string(root.join("templates/cleanup.sh.j2")).unwrap())];
    rust_files(&root.join("src/script"), &mut files);
    let mut calls = 0;
    for (name, text) in files.iter().filter(|(name, _)| !name.contains("tests")) {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (at, _) in code.match_indices("curl -") {
            calls += 1;
            assert!(code[at..].starts_with("curl -q "), "{name}: {}", code[at..].lines().next().unwrap());
        }
        assert!(!code.contains("-e curl:") || name.ends_with("container.rs"), "{name}");
    }
    assert!(calls >= 5, "{calls}");
}

/// The text around `/usr/local` with another directory in its place, and what it leaves behind.
fn local(shell: &[&str], dir: &Path, before: &str) -> (String, String) {
    let body = super::LOCAL.replace("/usr/local", dir.to_str().unwrap());
    let body = body.replace("docker dockerd curl nft", "rprov-a rprov-b");
    let show = "printf 'path %s\\nleft_out %s\\nunsafe %s\\n' \"$PATH\" \"$left_out\" \"$unsafe\"";
    let out = run_in(shell, &wrap(&format!("PATH={}\n{before}\n{body}{show}", super::PATH), "n0"), &[]);
    assert!(out.status.success() && out.stderr.is_empty(), "{shell:?}: {out:?}");
    let answer = text(&out.stdout);
    let line = |tag: &str| answer.lines().find_map(|line| line.strip_prefix(tag)).unwrap().to_owned();
    (line("path "), format!("{}|{}", line("left_out "), line("unsafe ")))
}

/// Everything is root's, and `$open` names what is not so.
const STAT: &str = r#"stat() {
  shift 3
  for name; do
    case $name in */open*) echo "0 $mode $name" ;; */bobs*) echo "1000 755 $name" ;; *) echo "0 755 $name" ;; esac
  done
}"#;

#[test]
fn a_directory_that_others_may_write_to_is_not_searched() {
    for shell in shells() {
        // /tmp is everybody's.
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        std::fs::create_dir_all(dir.join("sbin")).unwrap();
        let (path, said) = local(&shell, &dir, "stat() { echo 'not asked' >&2; }");
        assert_eq!((path.as_str(), said.as_str()), (super::PATH, "|"), "{shell:?}: nothing is there alone");

        program(&dir.join("bin/rprov-a"), "#!/bin/sh\n");
        let (path, said) = local(&shell, &dir, "");
        assert_eq!(path, super::PATH, "{shell:?}: {said}");
        assert!(said.contains("bin is not searched for rprov-a: others than root may write to /"), "{said}");
        assert!(said.ends_with("| rprov-a "), "{said}");

        let (path, said) = local(&shell, &dir, STAT);
        assert_eq!((path, said.as_str()), (format!("{}:{}/bin", super::PATH, dir.display()), "|"), "{shell:?}");

        // What the way leads through counts, each link and each directory of it.
        std::fs::create_dir_all(dir.join("open/deep")).unwrap();
        std::fs::create_dir_all(dir.join("opt")).unwrap();
        program(&dir.join("opt/rprov-b"), "#!/bin/sh\n");
        std::os::unix::fs::symlink("../../opt/rprov-b", dir.join("open/deep/link")).unwrap();
        std::os::unix::fs::symlink(dir.join("open/deep/link"), dir.join("sbin/rprov-b")).unwrap();
        for (mode, trusted) in
            [("755", true), ("775", false), ("2775", false), ("1777", false), ("757", false), ("711", true)]
        {
            let (path, said) = local(&shell, &dir, &format!("mode={mode}\n{STAT}"));
            assert_eq!(path.contains(&format!("{}/sbin", dir.display())), trusted, "{shell:?} {mode}: {path} {said}");
            assert_eq!(said.contains("may write to") && said.contains("/open"), !trusted, "{shell:?} {mode}: {said}");
        }
        // The program itself, unpacked by root from an archive that is of somebody.
        std::fs::remove_file(dir.join("sbin/rprov-b")).unwrap();
        std::fs::create_dir(dir.join("bobs")).unwrap();
        program(&dir.join("bobs/program"), "#!/bin/sh\n");
        std::os::unix::fs::symlink("../bobs/program", dir.join("bin/rprov-b")).unwrap();
        let (path, said) = local(&shell, &dir, STAT);
        assert_eq!(path, super::PATH, "{shell:?}: {said}");
        assert!(said.contains("rprov-a rprov-b: others than root may write to") && said.contains("/bobs"), "{said}");
        // A circle is no way.
        std::fs::remove_file(dir.join("bin/rprov-b")).unwrap();
        std::os::unix::fs::symlink("rprov-b", dir.join("bin/rprov-b")).unwrap();
        let (path, _) = local(&shell, &dir, STAT);
        assert!(path.ends_with("/bin"), "{shell:?}: it cannot be started, so it is not there: {path}");
    }
}

#[test]
fn programs_that_others_put_into_usr_local_are_not_started() {
    // The name that a script calls stands in a directory before the system's own, as in the search path of most logins.
    let dir = tempfile::tempdir().unwrap();
    for name in ["stat", "date", "env", "cat", "base64"] {
        program(&dir.path().join(name), &format!("#!/bin/sh\n: >{}\n", dir.path().join("ran").display()));
    }
    let path = format!("{}:/usr/local/sbin:/usr/local/bin:/usr/bin:/bin", dir.path().display());
    for shell in shells() {
        let shell: Vec<&str> = shell;
        let program = if shell[0] == "busybox" { vec!["/usr/bin/busybox", "sh"] } else { shell.clone() };
        let out =
            run_in(&program, &wrap("stat / >/dev/null; date >/dev/null; echo \"$PATH\"", "n0"), &[("PATH", &path)]);
        assert!(!dir.path().join("ran").exists(), "{shell:?}: {out:?}");
        assert!(!text(&out.stdout).contains("/usr/local/sbin:"), "{shell:?}: {out:?}");
    }
}

#[test]
fn proxies_come_from_a_file_that_root_alone_may_write_to() {
    if std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) != 0) {
        eprintln!("SKIPPED: only root has files that are root's");
        return;
    }
    for shell in shells() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("environment");
        std::fs::write(&file, "https_proxy=http://proxy.example:3128\n").unwrap();
        let function = super::SYSTEM_PROXY.replace("/etc/environment", file.to_str().unwrap());
        for (mode, owner, taken) in
            [(0o644, 0, true), (0o666, 0, false), (0o664, 0, false), (0o646, 0, false), (0o644, 65_534, false)]
        {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            std::os::unix::fs::chown(&file, Some(owner), None).unwrap();
            let text = format!("unset https_proxy\n{function}system_proxy\necho \"${{https_proxy:-none}}\"");
            let out = Command::new(shell[0]).args(&shell[1..]).arg("-c").arg(text).output().unwrap();
            let said = String::from_utf8_lossy(&out.stdout).trim().to_owned();
            assert_eq!(said == "http://proxy.example:3128", taken, "{shell:?} {mode:o} {owner}: {said}");
            assert_eq!(out.stderr.is_empty(), taken, "{shell:?} {mode:o} {owner}");
        }
    }
}

/// The look at the system's programs with other directories in the places of the system's, and what it says.
fn system(shell: &[&str], dir: &Path, before: &str) -> (Option<i32>, String, String) {
    let root = dir.to_str().unwrap();
    let mut body = super::SYSTEM.replace("@PROGRAMS@", "stat rprov-a rprov-b docker nft");
    for (place, to) in
        [("/usr/lib/cargo", "/no/cargo"), ("/etc/alternatives", "/@alt"), ("/usr/sbin", "/@us"), ("/usr/bin", "/@ub")]
    {
        body = body.replace(place, to);
    }
    body = body
        .replace(" /sbin", " /@s")
        .replace(" /bin", " /@b")
        .replace(" /usr ", " /@u ")
        .replace("word in / /etc ", "word in ");
    for (place, to) in [
        ("/@alt", "alternatives"),
        ("/@us", "usr/sbin"),
        ("/@ub", "usr/bin"),
        ("/@s", "sbin"),
        ("/@b", "bin"),
        ("/@u", "usr"),
    ] {
        body = body.replace(place, &format!("{root}/{to}"));
    }
    let show = "printf 'unsafe %s\\nleft_out %s\\n' \"$unsafe\" \"$left_out\"";
    let script = wrap(&format!("{before}\n{body}{show}\nhas docker && echo has-docker\ndocker 2>/dev/null\n:"), "n0");
    let out = run_in(shell, &script, &[]);
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

/// Directories of a system of root's, whatever /tmp is: `stat` says so, but for names with `open` (of `$mode`) and `bobs`.
fn tree(dir: &Path) {
    for name in ["usr/bin", "usr/sbin", "alternatives", "opt", "open", "bobs"] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
    }
    for name in ["bin", "sbin"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), dir.join(name)).unwrap();
    }
    program(&dir.join("usr/bin/stat"), "#!/bin/sh\n");
    program(&dir.join("usr/bin/rprov-a"), "#!/bin/sh\n");
}

/// The real answers, with owner and mode by name: `open` is of the group staff, `bobs` is Bob's.
const OWNERS: &str = r#"stat() {
  case "$*" in
    *%N*) command stat "$@";;
    '-c %U'*) echo 'root:staff, mode 2775';;
    *)
      for name; do
        case $name in -*|%*|'%u %a %n') continue;; esac
        real=$name
        [ "$1" = -c ] || real=$(readlink -f -- "$name")
        case $real in */open*) echo "0 2775 $name" ;; */bobs*) echo "1000 755 $name" ;; *) echo "0 755 $name" ;; esac
      done;;
  esac
}"#;

#[test]
fn a_program_of_the_system_that_others_may_change_is_not_run() {
    for shell in shells() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        tree(&root);
        let look = || system(&shell, &root, OWNERS);
        let link = |to: &str, at: &str| {
            let at = root.join(at);
            let _ = std::fs::remove_file(&at);
            std::os::unix::fs::symlink(to, at).unwrap();
        };
        let (code, said, errors) = look();
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{shell:?}: {said}");
        // What the system's own links lead to is the system's.
        program(&root.join("usr/bin/real"), "#!/bin/sh\n");
        link(root.join("alternatives/rprov-b").to_str().unwrap(), "usr/bin/rprov-b");
        link(root.join("usr/bin/real").to_str().unwrap(), "alternatives/rprov-b");
        link("real", "usr/bin/rprov-a");
        let (code, said, errors) = look();
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{shell:?}: {said}");
        // One that leads on from there to others.
        program(&root.join("open/x"), "#!/bin/sh\n");
        program(&root.join("bobs/x"), "#!/bin/sh\n");
        for (to, at, names) in [
            ("../../open/x", "usr/bin/rprov-a", "rprov-a leads to"),
            ("../open/x", "alternatives/rprov-b", "rprov-b leads to"),
            ("../../bobs/x", "usr/bin/rprov-a", "rprov-a leads to"),
            ("../open/../usr/bin/real", "alternatives/rprov-b", "rprov-b leads to"),
        ] {
            link(to, at);
            let (code, said, errors) = look();
            assert_eq!(code, Some(super::FOREIGN), "{shell:?} {to}: {said} {errors}");
            assert!(errors.contains(names) && errors.contains("(root:staff, mode 2775)"), "{shell:?} {to}: {errors}");
            assert!(!said.contains("unsafe"), "{shell:?}: it went on: {said}");
            link("real", "usr/bin/rprov-a");
            link(root.join("usr/bin/real").to_str().unwrap(), "alternatives/rprov-b");
        }
    }
}

#[test]
fn a_docker_that_others_may_change_is_taken_for_missing() {
    for shell in shells() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        tree(&root);
        let ran = root.join("ran");
        program(&root.join("open/docker"), &format!("#!/bin/sh\n: >{}\n", ran.display()));
        std::os::unix::fs::symlink(root.join("open/docker"), root.join("usr/bin/docker")).unwrap();
        let before = format!("PATH={}/usr/bin:$PATH\n{OWNERS}", root.display());
        let (code, said, errors) = system(&shell, &root, &before);
        assert_eq!(code, Some(0), "{shell:?}: {said} {errors}");
        assert!(said.contains("unsafe  docker \n") && said.contains("left_out ") && said.contains("/open"), "{said}");
        assert!(!said.contains("has-docker") && !ran.exists(), "{shell:?}: {said}");
        // The file itself, in the system's own directory.
        let _ = std::fs::remove_file(root.join("usr/bin/docker"));
        program(&root.join("usr/bin/open-docker"), &format!("#!/bin/sh\n: >{}\n", ran.display()));
        std::fs::hard_link(root.join("usr/bin/open-docker"), root.join("usr/bin/docker")).unwrap();
        let theirs = before.replace("*/open*)", "*/open*|*/docker)");
        let (code, said, _) = system(&shell, &root, &theirs);
        assert!(code == Some(0) && said.contains("docker may be changed by others than root"), "{shell:?}: {said}");
        assert!(!ran.exists(), "{shell:?}");
    }
}

#[test]
fn a_directory_of_programs_that_others_may_write_to_ends_the_script() {
    for shell in shells() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        tree(&root);
        let theirs = OWNERS.replace("*/open*)", "*/usr/sbin)");
        let (code, _, errors) = system(&shell, &root, &theirs);
        assert_eq!(code, Some(super::FOREIGN), "{shell:?}: {errors}");
        assert!(errors.contains("usr/sbin may be changed by others than root"), "{shell:?}: {errors}");
        // What looks is not asked if it leads elsewhere.
        std::fs::remove_file(root.join("usr/bin/stat")).unwrap();
        std::os::unix::fs::symlink("../../open/x", root.join("usr/bin/stat")).unwrap();
        let (code, _, errors) = system(&shell, &root, "stat() { echo asked >&2; }");
        assert!(code == Some(super::FOREIGN) && !errors.contains("asked"), "{shell:?}: {errors}");
    }
}

#[test]
fn each_program_that_scripts_start_is_looked_at() {
    let listed: std::collections::BTreeSet<&str> = super::PROGRAMS.split(' ').collect();
    for name in ["systemctl", "sha256sum", "timeout", "docker", "nft", "apt-get", "usermod", "sshd", "stat", "base64"] {
        assert!(listed.contains(name), "{name}");
    }
}

/// Other names than a variable's can have stay in bash's environment, whatever is unset.
#[test]
fn functions_that_bash_would_hand_on_end_a_script() {
    for name in ["BASH_FUNC_apt-get%%", "BASH_FUNC_-%%", "BASH_FUNC_a.b()"] {
        let hostile = [(name, "() { touch /tmp/evil; }")];
        for shell in shells() {
            let out = run_in(&shell, &wrap("env", "n0"), &hostile);
            if shell[0] == "bash" {
                assert_eq!(out.status.code(), Some(super::FOREIGN), "{name}: {out:?}");
                assert!(text(&out.stderr).contains(name), "{out:?}");
            } else {
                assert!(out.status.success(), "{shell:?} {name}: {out:?}");
            }
            assert!(!text(&out.stdout).contains("BASH_FUNC_"), "{shell:?} {name}: {out:?}");
        }
    }
}
