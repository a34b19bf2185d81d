//! The part of the probe that asks Docker: one process for all questions. Pure: no I/O.

use crate::facts::ProbeSpec;
use crate::secret::SecretBook;

use super::super::{docker_login, path_part, quote};

/// Where Docker is asked: a local curl is one process for all; without it, the client.
const SOCKET: &str = "/var/run/docker.sock";

/// The label by which GitLab Runner marks its containers.
const JOB_FILTER: &str = "%7B%22label%22%3A%5B%22com.gitlab.gitlab-runner.managed%3Dtrue%22%5D%7D";

/// Containers with a mount at /etc/gitlab-runner.
const RUNNER_FILTER: &str = "%7B%22volume%22%3A%5B%22/etc/gitlab-runner%22%5D%7D";

/// What curl writes after each answer.
const STATUS: &str = "\\n@http %{http_code}\\n";

/// Paths of the API, in the order in which the parser expects their answers.
fn paths(spec: &ProbeSpec) -> Vec<String> {
    let mut paths = vec!["/version".to_owned(), format!("/containers/json?filters={JOB_FILTER}")];
    paths.extend(spec.containers.iter().map(|name| format!("/containers/{}/json", path_part(name))));
    paths.extend(spec.images.keys().map(|name| format!("/images/{}/json", path_part(name))));
    paths.extend(spec.volumes.iter().map(|name| format!("/volumes/{}", path_part(name))));
    paths.extend(spec.networks.iter().map(|name| format!("/networks/{}", path_part(name))));
    if spec.runner_containers {
        paths.push(format!("/containers/json?all=1&filters={RUNNER_FILTER}"));
    }
    paths
}

/// Questions that Docker passes on to registries: in the same process, with a time limit of their own. Credentials go
/// through a pipe that the shell's own printf fills: `None` if there are none.
fn registries(spec: &ProbeSpec, book: &SecretBook) -> (String, Option<String>) {
    let options = format!("-sg --noproxy '*' --max-time 8 --unix-socket {SOCKET} -w '{STATUS}'");
    let asked: Vec<&String> = spec.images.iter().filter(|(_, asked)| **asked).map(|(name, _)| name).collect();
    let url = |image: &str| format!("http://docker/distribution/{}/json", path_part(image));
    let login = |image: &String| spec.logins.get(image).and_then(|login| docker_login(login, book).ok());
    if asked.is_empty() {
        return (String::new(), None);
    }
    if asked.iter().all(|image| login(image).is_none()) {
        let urls: Vec<String> = asked.iter().map(|image| quote(&url(image))).collect();
        return (format!(" --next {options} {}", urls.join(" ")), None);
    }
    // A group of curl's for each image: one registry's password is not for another.
    let mut config = String::new();
    for (number, image) in asked.into_iter().enumerate() {
        if number > 0 {
            config.push_str("next\n");
        }
        let header = login(image).map(|header| format!("{header}\n")).unwrap_or_default();
        config.push_str(&format!(
            "silent\ngloboff\nnoproxy = \"*\"\nmax-time = 8\nunix-socket = \"{SOCKET}\"\nwrite-out = \"{STATUS}\"\n{header}url = \"{}\"\n",
            url(image)
        ));
    }
    (" --next -K -".to_owned(), Some(config))
}

/// Who has the socket, before anybody is asked there: the pid of the engine, `docker.service` or another unit that it runs in, where the
/// socket is a link to, and whether anything listens at it. No process is started unless it is a link.
///
/// A Docker in a container has files of the same names, and is none of the host's; one that some user runs has its files elsewhere.
const OWNER: &str = r#"# pid: in which unit of systemd's it runs, and whether that is in a container, whose id is a part of the name
engine_unit() {
  unit='' inside=''
  { while IFS=: read -r _ word group; do
    case $word in ''|name=systemd) ;; *) continue;; esac
    while [ -n "$group" ]; do
      word=${group##*/}
      group=${group%/*}
      [ "${#word}" -lt 64 ] || inside=yes
      case $word in *.service|*.scope) unit=${unit:-$word};; esac
    done
  done <"/proc/$1/cgroup"; } 2>/dev/null
}
engine_listens() {
  while read -r _ _ _ word _ _ _ path; do
    case $word$path in 00010000/run/docker.sock|00010000/var/run/docker.sock) return 0;; esac
  done </proc/net/unix
  return 1
}
pid='' unit='' served='' elsewhere=''
[ -r /run/docker.pid ] && read -r pid </run/docker.pid
{ [ -n "$pid" ] && [ -d "/proc/$pid" ]; } || pid=
if [ -L /run/docker.sock ]; then
  elsewhere=$(readlink -f -- /run/docker.sock)
  # A Docker of the host's may have its socket elsewhere.
  case $elsewhere in *podman*|/run/user/*) ;; *) [ -z "$pid" ] || elsewhere=;; esac
elif [ -z "$pid" ] && [ -S /run/docker.sock ] && engine_listens; then
  served=yes
  for path in /proc/[0-9]*/comm; do
    word=
    { read -r word <"$path"; } 2>/dev/null
    [ "$word" = dockerd ] || continue
    { [ "$uid" != 0 ] || [ -O "${path%/comm}" ]; } || continue
    path=${path#/proc/}
    engine_unit "${path%/comm}"
    [ -n "$inside" ] || { pid=${path%/comm}; break; }
  done
fi
if [ -n "$pid" ]; then
  engine_unit "$pid"
  case $unit in ''|docker.service) ;; *) printf 'docker-unit %s\n' "$unit";; esac
fi
"#;

/// Without an engine: whether one from snap is there and does not run, or one was there, and what it kept still is.
const LEFT: &str = r#"word=
    [ ! -r /etc/docker/daemon.json ] || word=$(sed -n 's/.*"data-root"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' /etc/docker/daemon.json)
    if [ -d /snap/docker/current ]; then
      echo 'docker snap'
    elif [ -d /var/lib/docker/containers ] || [ -d "${word:-/var/lib/docker}/containers" ]; then
      echo 'docker gone'
    else
      echo 'docker none'
    fi"#;

/// Docker is asked only while its process runs: on a host with socket activation, asking would start it.
pub(super) fn script(spec: &ProbeSpec, book: &SecretBook) -> String {
    if !spec.docker {
        return String::new();
    }
    let urls: Vec<String> = paths(spec).iter().map(|path| quote(&format!("http://docker{path}"))).collect();
    let (registries, config) = registries(spec, book);
    let pipe = config.map(|config| format!("printf %s {} | ", quote(&config))).unwrap_or_default();
    format!(
        "{OWNER}if [ -n \"$elsewhere\" ]; then
  printf 'docker linked %s\\n' \"$elsewhere\"
elif [ -n \"$pid\" ]; then
  if [ ! -e {SOCKET} ]; then
    echo 'docker socketless'
  elif [ ! -w {SOCKET} ]; then
    echo 'docker denied'
  elif has curl; then
    echo 'docker curl'
    {pipe}curl -q -sg --noproxy '*' --fail-early --max-time 30 --unix-socket {SOCKET} -w '{STATUS}' {urls}{registries}
    printf 'docker-status %s\\n' \"$?\"
  elif has docker; then
    echo 'docker client'
{client}  else
    case $unsafe in
      *' docker '*|*' curl '*) printf 'docker unsafe %s\\n' \"$left_out\";;
      *) echo 'docker clientless';;
    esac
  fi
elif has dockerd; then
  echo 'docker stopped'
elif [ -n \"$served\" ]; then
  echo 'docker served'
else
  # Not there, or there where it must not be started from.
  case $unsafe in
    *' docker'*) printf 'docker unsafe %s\\n' \"$left_out\";;
    *) {LEFT};;
  esac
fi
",
        urls = urls.join(" "),
        client = client(spec)
    )
}

/// The same questions in the same order for Docker's client. It cannot ask registries, and waits for ever by itself. Only
/// its own words tell "there is none" (44) from any other failure, which ends the questions.
fn client(spec: &ProbeSpec) -> String {
    let mut questions = vec![
        "client version --format '{{json .Server}}'".to_owned(),
        "client ps --no-trunc --filter label=com.gitlab.gitlab-runner.managed=true --format '{{.Label \"com.gitlab.gitlab-runner.job.id\"}}'".to_owned(),
    ];
    let mut inspect = |kind: &str, name: &str| questions.push(format!("client {kind} inspect -- {}", quote(name)));
    spec.containers.iter().for_each(|name| inspect("container", name));
    spec.images.keys().for_each(|name| inspect("image", name));
    spec.volumes.iter().for_each(|name| inspect("volume", name));
    spec.networks.iter().for_each(|name| inspect("network", name));
    if spec.runner_containers {
        questions.push("runner_containers".to_owned());
    }
    let asked: Vec<String> = questions.iter().map(|question| format!("ask {question}")).collect();
    format!(
        "    client() {{ if has timeout; then timeout 30 docker \"$@\"; else docker \"$@\"; fi; }}
    ask() {{
      answer=$(\"$@\" 2>/dev/null); code=$?
      if [ \"$code\" -eq 1 ]; then
        case $(\"$@\" 2>&1 >/dev/null) in *'No such '*|*'no such '*|*' not found'*) code=44;; esac
      fi
      [ \"$code\" -ne 0 ] || [ -z \"$answer\" ] || printf '%s\\n' \"$answer\"
      printf '@status %s\\n' \"$code\"
      case $code in 0|44) return 0;; *) return \"$code\";; esac
    }}
    runner_containers() {{
      ids=$(client ps -aq --no-trunc --filter volume=/etc/gitlab-runner) || return
      [ -z \"$ids\" ] || printf '%s\\n' \"$ids\" | xargs docker container inspect --
    }}
    {}
    printf 'docker-status %s\\n' \"$?\"\n",
        asked.join(" && ")
    )
}
