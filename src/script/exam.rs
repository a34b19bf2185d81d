//! What `rprov doctor` asks a host beyond the probe: whether it reaches GitLab and registries, whether its kernel takes the
//! firewall's rules. Changes nothing on the host. Pure: no I/O.

use ipnet::IpNet;

use crate::script::reply::{self, BadReply};
use crate::text::shorten;

use super::{Script, environment, quote, wrap};

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exam {
    /// Where the host must get to.
    pub places: Vec<Place>,
    /// Rules of nftables that its kernel must take.
    pub ruleset: Option<String>,
    /// Whether its Docker is asked how it reaches registries.
    pub docker: bool,
}

/// A server on the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose it is.
    pub what: Server,
    /// Its address.
    pub url: String,
    /// Host name or address in it.
    pub host: String,
    /// Port in it.
    pub port: u16,
    /// A private authority that whoever asks it trusts.
    pub ca_pem: Option<String>,
}

/// What a server is to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// The GitLab of its runners.
    Gitlab,
    /// A registry that its images come from.
    Registry,
    /// A registry that Docker asks before Docker Hub.
    Mirror,
}

/// How a host's Docker reaches registries: by daemon.json and by the daemon's own options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    /// Hosts, with ports, of which it accepts no TLS, or a certificate of nobody's.
    pub insecure: Vec<String>,
    /// Networks with registries of that kind.
    pub insecure_nets: Vec<IpNet>,
    /// Where it asks before Docker Hub, as URLs.
    pub mirrors: Vec<String>,
}

impl Registries {
    /// From the answer of Docker's `GET /info`; `None` if it is none.
    #[must_use]
    pub fn from_info(info: &[u8]) -> Option<Self> {
        let info: serde_json::Value = serde_json::from_slice(info).ok()?;
        let config = info.get("RegistryConfig")?;
        let texts = |value: Option<&serde_json::Value>| -> Vec<String> {
            value.and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default()
        };
        let indexes = config.get("IndexConfigs").and_then(serde_json::Value::as_object);
        let insecure = indexes.into_iter().flatten().filter(|(_, index)| index.get("Secure") == Some(&false.into()));
        Some(Self {
            insecure: insecure.map(|(name, _)| name.clone()).collect(),
            insecure_nets: texts(config.get("InsecureRegistryCIDRs"))
                .iter()
                .filter_map(|net| net.parse().ok())
                .collect(),
            mirrors: texts(config.get("Mirrors")),
        })
    }
}

/// What a host answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// The host's clock in seconds since 1970, when it began.
    pub clock: i64,
    /// In the order in which they were asked for.
    pub places: Vec<Reach>,
    /// Whether the rules are taken, if it was asked.
    pub ruleset: Option<Rules>,
    /// How its Docker reaches registries, if it was asked and answered.
    pub docker: Option<Registries>,
}

/// How far a host gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// The server answered.
    Answered,
    /// A connection came about; no program of the host's could ask further.
    Connected,
    /// It speaks HTTP where TLS is expected.
    Plain,
    /// Its name has no address there.
    NoName,
    /// It does not answer, or not as it should: curl's status and words, or another program's.
    Failed {
        /// Exit status.
        status: i32,
        /// The program's words, one line; may be empty.
        said: String,
    },
    /// The host has no program that could tell.
    NoProgram,
}

/// What a host says of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// It takes them.
    Taken,
    /// It does not: nft's words.
    Refused(String),
    /// nft is not installed; whether the kernel has nf_tables, if that can be known.
    NoNft(Option<bool>),
}

const FUNCTIONS: &str = r#"one_line() { tr -s '\n\r\t ' '    ' | cut -c 1-300; }
# url host port certificate
reach() {
  case $2 in
    *[!0-9.:]*) if command -v getent >/dev/null && ! getent ahosts "$2" >/dev/null 2>&1; then echo 'reach name'; return; fi;;
  esac
  if has curl; then
    if [ -n "$4" ]; then
      said=$(printf %s "$4" | base64 -d | curl -q -sS -o /dev/null -m 15 --cacert /dev/stdin -- "$1" 2>&1)
    else
      said=$(curl -q -sS -o /dev/null -m 15 -- "$1" 2>&1)
    fi
    code=$?
    [ "$code" -ne 0 ] || { echo 'reach answered'; return; }
    # A server that speaks no TLS answers with something that is none, which OpenSSL takes for another version of it.
    case $said in
      *alert*) ;;
      *'wrong version number'*|*'packet length too long'*) echo 'reach plain'; return;;
    esac
    printf 'reach failed %s %s\n' "$code" "$(printf '%s\n' "$said" | one_line)"
  elif command -v bash >/dev/null && command -v timeout >/dev/null; then
    # A server that speaks TLS says nothing to this, or sends elsewhere (400, 301, 404): only a good answer proves that it does not.
    # shellcheck disable=SC2016 # that shell expands it
    said=$(timeout 20 bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit
      trap : PIPE
      printf "GET /v2/ HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n" "$1" | cat >&3 2>/dev/null
      read -r -t 5 line <&3 && printf "%s\\n" "$line" | tr -d "\\000"
      :' bash "$2" "$3" 2>&1)
    code=$?
    if [ "$code" -eq 0 ]; then
      case $1,$said in
        https:*,HTTP/1.[01]\ 2*|https:*,HTTP/1.[01]\ 401*) echo 'reach plain';;
        *) echo 'reach connected';;
      esac
      return
    fi
    printf 'reach failed %s %s\n' "$((code + 1000))" "$(printf '%s\n' "$said" | head -n 1 | one_line)"
  else
    echo 'reach none'
  fi
}
"#;

/// The script.
#[must_use]
pub fn script(exam: &Exam, nonce: &str) -> Script {
    let mut body = format!("{FUNCTIONS}{}system_proxy\n", environment::SYSTEM_PROXY);
    body.push_str("printf 'clock %s\\n' \"$(date +%s)\"\n");
    for place in &exam.places {
        let ca = place.ca_pem.as_ref().map(|pem| reply::to_base64(pem.as_bytes())).unwrap_or_default();
        body.push_str(&format!("reach {} {} {} {}\n", quote(&place.url), quote(&place.host), place.port, quote(&ca)));
    }
    if let Some(ruleset) = &exam.ruleset {
        body.push_str(&format!(
            r#"if has nft; then
  if said=$(printf %s {} | base64 -d | nft -c -f - 2>&1); then echo 'rules taken'; else printf 'rules refused %s\n' "$(printf '%s\n' "$said" | one_line)"; fi
elif [ -d /sys/module/nf_tables ] || grep -q ' nf_tables_newtable' /proc/kallsyms 2>/dev/null; then echo 'rules kernel yes'
elif ! command -v modprobe >/dev/null; then echo 'rules kernel unknown'
elif modprobe -n -q nf_tables; then echo 'rules kernel yes'
else echo 'rules kernel no'; fi
"#,
            quote(&reply::to_base64(ruleset.as_bytes()))
        ));
    }
    if exam.docker {
        body.push_str(
            r#"said=$(curl -q -s --noproxy '*' -m 10 --unix-socket /var/run/docker.sock http://docker/info 2>/dev/null | base64 | tr -d '\n')
printf 'docker %s\n' "${said:--}"
"#,
        );
    }
    wrap(&body, nonce)
}

/// The answer.
///
/// # Errors
/// When it is none.
pub fn parse(exam: &Exam, stdout: &[u8], nonce: &str) -> Result<Answers, BadReply> {
    let text = String::from_utf8_lossy(stdout);
    let mut lines = reply::body(&text, nonce)?.lines();
    let mut next = |tag: &str| {
        let line = lines.next().unwrap_or_default();
        let rest = line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' '));
        let odd = || BadReply::Garbled(format!("`{}` stands where {tag} should", shorten(line, 80)));
        rest.map(str::to_owned).ok_or_else(odd)
    };
    let odd = |line: &str| BadReply::Garbled(shorten(line, 80));
    let clock = next("clock")?;
    let mut answers = Answers { clock: clock.parse().map_err(|_| odd(&clock))?, ..Answers::default() };
    for _ in &exam.places {
        let line = next("reach")?;
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        answers.places.push(match word {
            "answered" => Reach::Answered,
            "connected" => Reach::Connected,
            "plain" => Reach::Plain,
            "name" => Reach::NoName,
            "none" => Reach::NoProgram,
            "failed" => {
                let (status, said) = rest.split_once(' ').unwrap_or((rest, ""));
                Reach::Failed { status: status.parse().map_err(|_| odd(&line))?, said: said.trim().to_owned() }
            }
            _ => return Err(odd(&line)),
        });
    }
    if exam.ruleset.is_some() {
        let line = next("rules")?;
        answers.ruleset = Some(match line.split_once(' ').unwrap_or((&line, "")) {
            ("taken", _) => Rules::Taken,
            ("refused", said) => Rules::Refused(said.trim().to_owned()),
            ("kernel", "yes") => Rules::NoNft(Some(true)),
            ("kernel", "no") => Rules::NoNft(Some(false)),
            ("kernel", _) => Rules::NoNft(None),
            _ => return Err(odd(&line)),
        });
    }
    if exam.docker {
        let line = next("docker")?;
        answers.docker = reply::base64(&line).ok().as_deref().and_then(Registries::from_info);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::script::tests::{run, shells};

    fn place(host: &str, port: u16) -> Place {
        Place { what: Server::Gitlab, url: format!("http://{host}:{port}/"), host: host.to_owned(), port, ca_pem: None }
    }

    fn ask(shell: &[&str], exam: &Exam, before: &str) -> Answers {
        let script = script(exam, "n0");
        let text = script.expose().replacen("nonce='n0'", &format!("{before}\nnonce='n0'"), 1);
        let out = run(shell, &Script::new(text));
        parse(exam, &out.stdout, "n0").unwrap_or_else(|error| panic!("{shell:?}: {error}: {out:?}"))
    }

    #[test]
    fn what_a_host_reaches_and_what_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1000]);
                let _ = stream.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        // A server with TLS that is spoken to without may send whoever asks to its own address.
        let strict = TcpListener::bind("127.0.0.1:0").unwrap();
        let strict_port = strict.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for (number, stream) in strict.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4000]);
                let status = ["400 Bad Request", "301 Moved", "404 Not Found"][number % 3];
                let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n").as_bytes());
            }
        });
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent_port = silent.local_addr().unwrap().port();
        let tls = |port| Place { url: format!("https://127.0.0.1:{port}/v2/"), ..place("127.0.0.1", port) };
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let exam = Exam {
            places: vec![
                place("127.0.0.1", port),
                place("127.0.0.1", dead),
                place("no-such-name.invalid", 80),
                tls(port),
            ],
            ..Exam::default()
        };
        for shell in shells() {
            let bash = "command() { case $2 in curl) return 1;; *) [ -x \"/usr/bin/$2\" ];; esac; }";
            for (before, reached) in [("", Reach::Answered), (bash, Reach::Connected)] {
                let answers = ask(&shell, &exam, before);
                assert_eq!(answers.places[0], reached, "{shell:?} {before}");
                assert!(matches!(answers.places[1], Reach::Failed { .. }), "{shell:?} {before}: {answers:?}");
                assert_eq!(answers.places[2], Reach::NoName, "{shell:?} {before}");
                assert_eq!(answers.places[3], Reach::Plain, "{shell:?} {before}");
                assert!(answers.clock > 1_700_000_000);
            }
            let quiet = Exam { places: vec![tls(silent_port)], ..Exam::default() };
            assert_eq!(ask(&shell, &quiet, bash).places, [Reach::Connected], "{shell:?}: it may wait for TLS");
            let strict = Exam { places: vec![tls(strict_port); 3], ..Exam::default() };
            assert_eq!(ask(&shell, &strict, bash).places, [const { Reach::Connected }; 3], "{shell:?}: it has TLS");
            let none = ask(&shell, &exam, "command() { return 1; }");
            assert_eq!(none.places[0], Reach::NoProgram, "{shell:?}");
        }
    }

    #[test]
    fn rules() {
        let exam = Exam { ruleset: Some("table inet x {}\n".to_owned()), ..Exam::default() };
        let dir = tempfile::tempdir().unwrap();
        let fake = dir.path().join("nft");
        std::fs::write(&fake, "#!/bin/sh\n[ \"$*\" = '-c -f -' ] && [ \"$(cat)\" = 'table inet x {}' ] && exit ${RC:-0}; echo 'Error: no\n such thing'; exit 1\n")
            .unwrap();
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("PATH={}:$PATH", dir.path().display());
        let gone = "command() { [ $2 != nft ]; }\nmodprobe() { false; }";
        for shell in shells() {
            assert_eq!(ask(&shell, &exam, &path).ruleset, Some(Rules::Taken), "{shell:?}");
            let refused = ask(&shell, &exam, &format!("{path}\nRC=1; export RC")).ruleset;
            assert!(matches!(refused, Some(Rules::Refused(_))), "{shell:?}: {refused:?}");
            assert!(matches!(ask(&shell, &exam, gone).ruleset, Some(Rules::NoNft(Some(_)))), "{shell:?}");
        }
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        let exam = Exam { places: vec![place("a", 1)], ruleset: Some(String::new()), docker: false };
        let answer = |text: &str| parse(&exam, format!("\n@n0 begin\n{text}@n0 end\n").as_bytes(), "n0");
        assert!(answer("clock 5\nreach failed 7 no route\nrules refused x y\n").is_ok());
        for odd in [
            "",
            "clock\n",
            "clock x\n",
            "clock 5\n",
            "clock 5\nreach \nrules taken\n",
            "clock 5\nreach failed x\nrules taken\n",
            "clock 5\nreach maybe\nrules taken\n",
            "clock 5\nreach answered\n",
            "clock 5\nreach answered\nrules perhaps\n",
        ] {
            assert!(answer(odd).is_err(), "{odd:?}");
        }
    }
}
