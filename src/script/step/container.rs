//! Steps for containers, volumes and images as shell text. Pure: no I/O.

use crate::inventory::model::{ContainerOptions, Login};
use crate::secret::SecretBook;
use crate::step::{CreateContainer, UpdateContainer, temporary};
use crate::text::{Text, Unbound};

use super::super::{docker_login, image_url, quote};

/// Functions that these steps call.
pub(super) const FUNCTIONS: &str = r#"# name seconds [-v]: with it, Docker takes away the volumes that nobody has named, nor uses, with the container
remove_container() {
  # Without the signal's wait a job would be cut off; a container that is gone is what was asked for.
  docker container inspect -f '{{.Id}}' -- "$1" >/dev/null 2>&1 || return 0
  docker update --restart=no -- "$1" >/dev/null && stop_gracefully "$1" "$2" || return
  # One that was run with --rm goes by itself, in its own time.
  gone=0
  until docker rm ${3:+"$3"} -- "$1" >/dev/null 2>&1; do
    docker container inspect -f '{{.Id}}' -- "$1" >/dev/null 2>&1 || return 0
    [ "$gone" -lt 10 ] || { docker rm ${3:+"$3"} -- "$1" >/dev/null; return; }
    gone=$((gone + 1))
    sleep 1
  done
}
start_container() {
  case $(docker container inspect -f '{{.State.Status}}' -- "$1") in
    paused) docker unpause -- "$1" >/dev/null;;
    running) ;;
    *) start_afresh "$1";;
  esac
}
# Whatever it was to be restarted for, it reads now.
start_afresh() { docker start -- "$1" >/dev/null && rm -f -- "/run/rprov-due.$1"; }
restart_container() {
  restart_due "$1" && stop_gracefully "$1" "$2" && start_afresh "$1"
}
stop_gracefully() {
  [ "$(docker container inspect -f '{{.State.Running}}' -- "$1")" = true ] || return 0
  # A paused process takes no signal.
  [ "$(docker container inspect -f '{{.State.Paused}}' -- "$1")" = false ] || docker unpause -- "$1" >/dev/null || return
  # SIGQUIT tells gitlab-runner to finish its jobs and take no new ones; docker stop would send the image's own signal.
  docker kill -s QUIT -- "$1" >/dev/null || return
  waited=0
  while [ "$(docker container inspect -f '{{.State.Running}}' -- "$1")" = true ]; do
    if [ "$waited" -ge "$2" ]; then
      tell "$1 still runs jobs after $2 s: stopping it"
      docker stop -t 30 -- "$1" >/dev/null
      return
    fi
    [ $((waited % 30)) -ne 0 ] || keep_lock 600
    [ $((waited % 30)) -ne 0 ] || tell "waiting for the jobs of $1 to end ($waited s)"
    goes_on "$1 is started again once its jobs have ended; nobody else would"
    sleep 1
    waited=$((waited + 1))
  done
}
# options of curl with the credentials, query
pull_as() {
  # The credentials go from the shell's own printf through a pipe to Docker: in no argument, no environment, no file.
  said=$({ printf '%s\n' "$1" | stoppable curl -q -sS --noproxy '*' --max-time 1700 -K - -X POST --unix-socket /var/run/docker.sock -w '\n@http %{http_code}\n' "http://docker/images/create?$2"; printf '@curl %s\n' "$?"; } 2>&1 | tail -n 4)
  stopped_as_asked
  case $said in
    *'"error'*) ;;
    *'@http 200'*'@curl 0'*) return 0;;
  esac
  printf '%s\n' "$said" | grep -e message -e error -e curl: >&2 || printf '%s\n' "$said" >&2
  return 1
}
"#;

/// Pulls by Docker's API: its client takes credentials from a file only.
pub(super) fn pull_as(image: &str, login: &Login, book: &SecretBook) -> Result<String, Unbound> {
    let (name, tag) = image_url(image);
    let header = docker_login(login, book)?;
    Ok(format!("pull_as {} {}", quote(&header), quote(&format!("fromImage={name}&tag={tag}"))))
}

pub(super) fn create(container: &CreateContainer, book: &SecretBook) -> Result<String, Unbound> {
    let name = if container.beside { temporary(&container.name) } else { container.name.clone() };
    let mut words = vec!["docker create".to_owned()];
    let mut option = |name: &str, value: &str| words.push(format!("{name} {}", quote(value)));
    option("--name", &name);
    // Docker starts what is to be always restarted when it starts itself, even if it never ran before.
    option("--restart", if container.beside { "no" } else { &container.restart });
    let (first, further) = container.networks.split_first().map_or(("bridge", &[][..]), |(a, b)| (a.as_str(), b));
    option("--network", first);
    option("--stop-timeout", &container.stop_timeout.to_string());
    container.mounts.iter().for_each(|mount| option("-v", mount));
    let mut secrets = Text::default();
    for (key, value) in &container.env {
        if value.is_tainted() {
            secrets.push(&format!("{key}="));
            secrets.append(value);
            secrets.push("\n");
        } else {
            option("-e", &format!("{key}={}", value.redacted()));
        }
    }
    container.labels.iter().for_each(|(key, value)| option("--label", &format!("{key}={value}")));
    container.ports.iter().for_each(|port| option("-p", port));
    container.extra_hosts.iter().for_each(|host| option("--add-host", host));
    options(&container.options, &mut option);
    let mut create = String::new();
    if secrets.is_tainted() {
        create = format!("printf %s {} | ", quote(&secrets.reveal(book)?));
        words.push("--env-file /dev/stdin".to_owned());
    }
    words.push(format!("-- {}", quote(&container.image)));
    words.extend(container.options.command.iter().flatten().map(|word| quote(word)));
    create.push_str(&words.join(" "));
    create.push_str(" >/dev/null");
    let name = quote(&name);
    for network in further {
        create.push_str(&format!(" && docker network connect -- {} {name}", quote(network)));
    }
    if container.beside {
        // One that an earlier run left never ran.
        return Ok(format!("docker rm -f -v -- {name} >/dev/null 2>&1; {create}"));
    }
    // A container can be there that the plan could not see: Docker's package was removed and comes back, and its
    // containers have stayed. The reading at the end of the run compares it.
    Ok(format!(
        "if docker container inspect -- {name} >/dev/null 2>&1; then start_container {name}; else {create} && start_afresh {name}; fi"
    ))
}

fn options(options: &ContainerOptions, option: &mut impl FnMut(&str, &str)) {
    // Every field is named, so that a new one cannot be forgotten here.
    let ContainerOptions {
        memory,
        memory_swap,
        nano_cpus,
        cpu_shares,
        cpuset_cpus,
        pids_limit,
        shm_size,
        ulimits,
        dns,
        user,
        hostname,
        entrypoint,
        command: _,
        read_only,
        privileged,
        cap_add,
        cap_drop,
        security_opt,
        devices,
        gpus,
        log_driver,
        log_options,
        stop_signal,
        init,
    } = options;
    option("--stop-signal", stop_signal.as_deref().unwrap_or("SIGQUIT"));
    let numbers = [
        ("--memory", memory.map(|bytes| bytes.to_string())),
        ("--memory-swap", memory_swap.map(|bytes| bytes.to_string())),
        ("--cpus", nano_cpus.map(cpus)),
        ("--cpu-shares", cpu_shares.map(|shares| shares.to_string())),
        ("--cpuset-cpus", cpuset_cpus.clone()),
        ("--pids-limit", pids_limit.map(|pids| pids.to_string())),
        ("--shm-size", shm_size.map(|bytes| bytes.to_string())),
        ("--user", user.clone()),
        ("--hostname", hostname.clone()),
        ("--entrypoint", entrypoint.clone()),
        // Its value is a line of CSV.
        ("--gpus", gpus.as_ref().map(|gpus| if gpus.contains('=') { format!("\"{gpus}\"") } else { gpus.clone() })),
        ("--log-driver", log_driver.clone()),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            option(name, &value);
        }
    }
    ulimits.iter().for_each(|(name, (soft, hard))| option("--ulimit", &format!("{name}={soft}:{hard}")));
    log_options.iter().for_each(|(key, value)| option("--log-opt", &format!("{key}={value}")));
    let lists = [
        ("--dns", dns),
        ("--cap-add", cap_add),
        ("--cap-drop", cap_drop),
        ("--security-opt", security_opt),
        ("--device", devices),
    ];
    for (name, values) in lists {
        values.iter().for_each(|value| option(name, value));
    }
    let flags = [("--read-only", *read_only), ("--privileged", *privileged), ("--init", *init == Some(true))];
    for (name, _) in flags.into_iter().filter(|(_, on)| *on) {
        option("", &format!("{name}=true"));
    }
    if *init == Some(false) {
        option("", "--init=false");
    }
}

/// Billionths as `docker run --cpus` takes them.
fn cpus(nano: u64) -> String {
    format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000)
}

pub(super) fn update(update: &UpdateContainer) -> String {
    let name = quote(&update.name);
    let mut parts = Vec::new();
    if !update.limits.is_empty() {
        let limits = update.limits.iter().map(|(key, value)| quote(&format!("--{key}={value}")));
        parts.push(format!("docker update {} -- {name} >/dev/null", limits.collect::<Vec<_>>().join(" ")));
    }
    parts.extend(update.connect.iter().map(|network| format!("docker network connect -- {} {name}", quote(network))));
    let leave = |network: &String| format!("docker network disconnect -- {} {name}", quote(network));
    parts.extend(update.disconnect.iter().map(leave));
    parts.join(" && ")
}

pub(super) fn shown_update(update: &UpdateContainer) -> String {
    let mut parts = Vec::new();
    if !update.limits.is_empty() {
        let limits = update.limits.iter().map(|(key, value)| format!(" --{key}={value}"));
        parts.push(format!("docker update{} {}", limits.collect::<String>(), update.name));
    }
    parts.extend(update.connect.iter().map(|network| format!("docker network connect {network} {}", update.name)));
    parts
        .extend(update.disconnect.iter().map(|network| format!("docker network disconnect {network} {}", update.name)));
    parts.join(", ")
}

pub(super) fn promote(name: &str, restart: &str) -> String {
    format!(
        "docker rename -- {temporary} {name} && docker update --restart={restart} -- {name} >/dev/null && start_afresh {name}",
        temporary = quote(&temporary(name)),
        name = quote(name),
        restart = quote(restart),
    )
}
