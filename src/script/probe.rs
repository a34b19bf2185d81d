//! The probe: one script that answers everything a plan must know of a host, with few processes and no writes, and its
//! answer as [`Facts`](crate::facts::Facts). Pure: no I/O.

use std::collections::BTreeSet;

use crate::facts::units::{DIRECTORIES, drop_in_directories};
use crate::facts::{ENTRIES, ProbeSpec};
use crate::secret::SecretBook;

use super::{Script, guard, quote, wrap};

mod access;
mod docker;
mod links;
mod parse;

pub use parse::parse;

/// The script for a probe, with shell text before and after it (taking the lock, giving it back). A registry whose
/// password the book does not have is asked without one.
#[must_use]
pub fn script(spec: &ProbeSpec, book: &SecretBook, before: &str, after: &str, nonce: &str) -> Script {
    wrap(&format!("{before}{}{after}", body(spec, book)), nonce)
}

fn body(spec: &ProbeSpec, book: &SecretBook) -> String {
    let mut out = format!("{SYSTEM}{}{MACHINE}", access::peer());
    out.push_str(&paths(spec));
    out.push_str(&packages(spec));
    out.push_str(&units(spec));
    out.push_str(&docker::script(spec, book));
    out.push_str(&nft(spec));
    out.push_str(&docker_ways(spec));
    out.push_str(&runner_files(spec));
    out.push_str(&going(spec));
    out.push_str(&apt_sources(spec));
    out.push_str(&service_jobs(spec));
    out.push_str(&access::script(spec));
    out.push_str(&inside(spec));
    out.push_str(&rooms(spec));
    out
}

/// How much lies in each directory. One to which a link leads that not only root could have made is not entered.
fn inside(spec: &ProbeSpec) -> String {
    if spec.inside.is_empty() {
        return String::new();
    }
    let paths: Vec<String> = spec.inside.iter().map(|path| quote(path.as_str())).collect();
    let walk = if spec.paths.is_empty() { super::paths::FUNCTIONS } else { "" };
    format!(
        r#"{walk}inside() (
  reach stay find "$1" 2>/dev/null
  code=$?
  if [ "$code" -eq 44 ] || {{ [ "$code" -eq 0 ] && [ ! -e "./$leaf" ] && [ ! -L "./$leaf" ]; }}; then echo 'inside none'; exit; fi
  if [ "$code" -ne 0 ] || [ -L "./$leaf" ] || ! [ -d "./$leaf" ] || ! step_into "$leaf" || ! [ -r . ]; then echo 'inside denied'; exit; fi
  entries=0
  for entry in * .[!.]* ..?*; do
    if [ -e "$entry" ] || [ -L "$entry" ]; then entries=$((entries + 1)); fi
    [ "$entries" -lt {ENTRIES} ] || break
  done
  printf 'inside %s
' "$entries"
)
for path in {paths}; do inside "$path"; done
"#,
        paths = paths.join(" ")
    )
}

/// A path that is not there yet will lie where its nearest directory does.
fn rooms(spec: &ProbeSpec) -> String {
    if spec.rooms.is_empty() {
        return String::new();
    }
    let paths: Vec<String> = spec.rooms.iter().map(|path| quote(path.as_str())).collect();
    format!(
        r#"for path in {}; do
  there=yes
  [ -e "$path" ] || there=no
  while [ ! -e "$path" ] && [ "$path" != / ]; do path=${{path%/*}}; [ -n "$path" ] || path=/; done
  printf 'room %s\n' "$(df -P -k -- "$path" 2>/dev/null | {{ size='' free=''; read -r _ && read -r _ size _ free _; printf '%s %s' "$free" "$size"; }}) $there"
done
printf 'zone %s\n' "$(date +%z)"
"#,
        paths.join(" ")
    )
}

/// Each file's lines behind a blank, or behind `+` where the file ends without a line break, so that none can look like another answer; then how all of them are, and the directories that they lie in.
fn apt_sources(spec: &ProbeSpec) -> String {
    if !spec.apt_sources {
        return String::new();
    }
    // apt itself reads files with such names alone.
    String::from(
        r#"set -- /etc/apt /etc/apt/sources.list.d
for path in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  [ -f "$path" ] || continue
  case ${path##*/} in *[!A-Za-z0-9_.-]*) continue;; esac
  [ -r "$path" ] || { printf 'apt-denied %s\n' "$path"; continue; }
  printf 'apt-source %s\n' "$path"
  set -- "$@" "$path"
  line=
  { while IFS= read -r line; do printf ' %s\n' "$line"; done; [ -z "$line" ] || printf '+%s\n' "$line"; } <"$path"
done
[ $# -eq 2 ] || stat -L -c 'apt-mode %a %U %G' -- "$@"
echo apt-end
"#,
    )
}

/// The children of the unit's main process: gitlab-runner starts one for each stage of a job of the shell executor.
fn service_jobs(spec: &ProbeSpec) -> String {
    let Some(unit) = &spec.jobs_of else { return String::new() };
    format!(
        r#"main=
[ -d /run/systemd/system ] && main=$(systemctl show -p MainPID --value -- {unit})
case $main in
  ''|0) echo 'service-jobs none';;
  *)
    jobs=0 told=
    for path in "/proc/$main/task"/*/children; do
      [ -r "$path" ] || continue
      told=yes all=
      read -r all <"$path"
      for _ in $all; do jobs=$((jobs + 1)); done
    done
    printf 'service-jobs %s\n' "${{told:+$jobs}}";;
esac
"#,
        unit = quote(unit)
    )
}

const SYSTEM: &str = r#"uid=
while read -r key _ effective _; do [ "$key" = Uid: ] && { uid=$effective; break; }; done </proc/self/status
printf 'uid %s\n' "$uid"
if [ -r /etc/os-release ]; then
  while IFS= read -r line; do case $line in ID=*|VERSION_ID=*|VERSION_CODENAME=*) printf 'os %s\n' "$line";; esac; done </etc/os-release
fi
[ -d /run/systemd/system ] && echo systemd
command -v apt-get >/dev/null && echo apt
uptime=
[ -r /proc/uptime ] && read -r uptime _ </proc/uptime
printf 'clock %s %s\n' "$(date +%s.%N)" "$uptime"
"#;

/// Which machine and which of its boots it is.
const MACHINE: &str = r#"machine='' boot='' first=''
{ read -r machine </etc/machine-id; read -r boot </proc/sys/kernel/random/boot_id; read -r first </proc/1/stat; } 2>/dev/null
printf 'machine %s %s %s\n' "${machine:--}" "${boot:--}" "${first##*) }"
"#;

/// `seek` tells "not there" from "may not look" and "cannot look": it climbs to the nearest directory that exists. A link
/// that leads nowhere on the way, as to a disk that is not mounted, is no absence either.
///
/// A path with a link in it, or where somebody else than root may write, is walked to instead (see [`super::paths`]); which
/// those are, one look at all directories tells.
fn paths(spec: &ProbeSpec) -> String {
    if spec.paths.is_empty() {
        return String::new();
    }
    let all: Vec<String> = spec.paths.keys().map(|path| quote(path.as_str())).collect();
    let mut out = String::from(super::paths::FUNCTIONS);
    out.push_str(super::paths::PROBE);
    out.push_str(&format!(
        r#"# Where others than root may write, and links; each between line breaks, with a slash at its end. Likewise what everybody
# may enter.
loose='
' open='
'
while read -r who mode path; do
  case $mode in *[1357]) open="$open$path
";; esac
  case "$who $mode" in '0 '*[2367]? | '0 '*[2367]) ;; '0 '*) continue;; esac
  loose="$loose$path
"
done <<END
$(stat -c '%u %a %n/' -- {directories} 2>/dev/null)
END
is_loose() {{
  [ -L "$1" ] && return
  up=$1
  while [ -n "$up" ]; do
    up=${{up%/*}}
    case $loose in *"
${{up:-/}}/
"*) return 0;; esac
  done
  return 1
}}
# Whether everybody may enter all directories on the way. One that could not be looked at is none of them.
is_open() {{
  up=$1
  while [ -n "$up" ]; do
    up=${{up%/*}}
    case $open in *"
${{up:-/}}/
"*) ;; *) return 1;; esac
  done
}}
seek() {{
  is_loose "$1" && return 70
  [ -e "$1" ] && return 0
  up=$1
  while [ "$up" != / ]; do
    [ -L "$up" ] && return 70
    below=$up
    up=${{up%/*}}; [ -n "$up" ] || up=/
    if [ -d "$up" ]; then
      [ -x "$up" ] || return 13
      case $(stat -- "$below" 2>&1) in *'No such file or directory'*) return 44;; esac
      return 5
    fi
    [ -e "$up" ] && return 70
  done
  return 44
}}
found=
set --
for path in {all}; do
  seek "$path"; code=$?
  if [ "$code" -eq 0 ]; then
    set -- "$@" "$path"
    is_open "$path" || code=10
  fi
  found="$found $code"
done
printf 'paths%s\n' "$found"
if [ $# -gt 0 ]; then
  stat -L -c 'stat %f %s %U %G %y' -- "$@"
  printf 'stat-status %s\n' "$?"
fi
"#,
        all = all.join(" "),
        directories = directories(spec).into_iter().collect::<Vec<_>>().join(" "),
    ));
    let contents: Vec<String> =
        spec.paths.iter().filter(|(_, content)| **content).map(|(path, _)| quote(path.as_str())).collect();
    if !contents.is_empty() {
        out.push_str(&format!(
            r#"for path in {all}; do
  is_loose "$path" && {{ echo 'content none'; continue; }}
  [ -f "$path" ] || {{ echo 'content none'; continue; }}
  [ -r "$path" ] || {{ echo 'content denied'; continue; }}
  echo 'content base64'
  # One that is not root's may be endless.
  if [ -O "$path" ]; then base64 <"$path"; else head -c 1048577 <"$path" | base64; fi
  printf 'content-status %s\n' "$?"
done
"#,
            all = contents.join(" ")
        ));
    }
    out.push_str("case \"$found \" in *' 70 '*)\n");
    for (path, content) in &spec.paths {
        let path = quote(path.as_str());
        out.push_str(&format!("seek {path}; [ $? -ne 70 ] || careful {path} {content} 2>/dev/null\n"));
    }
    out.push_str(";; esac\n");
    out
}

/// The directories above all paths, quoted.
fn directories(spec: &ProbeSpec) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for path in spec.paths.keys() {
        let mut directory = path.parent();
        while all.insert(quote(directory.as_str())) {
            directory = directory.parent();
        }
    }
    all
}

fn packages(spec: &ProbeSpec) -> String {
    if spec.packages.is_empty() {
        return String::new();
    }
    let names: Vec<String> = spec.packages.iter().map(|name| quote(name)).collect();
    format!(
        "if command -v dpkg-query >/dev/null; then
  dpkg-query -W -f='package ${{Package}} ${{Version}} ${{Status}}\\n' -- {} 2>/dev/null
  printf 'packages-status %s\\n' \"$?\"
else
  echo 'packages-status none'
fi
",
        names.join(" ")
    )
}

fn units(spec: &ProbeSpec) -> String {
    if spec.units.is_empty() {
        return String::new();
    }
    let names: Vec<String> = spec.units.iter().map(|name| quote(name)).collect();
    format!(
        "if [ -d /run/systemd/system ]; then
  echo units
  systemctl show --no-pager -p LoadState -p ActiveState -p UnitFileState -p ActiveEnterTimestampMonotonic -p StateChangeTimestampMonotonic -p NeedDaemonReload -p KillSignal -p KillMode -p TimeoutStopUSec -p DropInPaths -- {}
  printf 'units-status %s\\n' \"$?\"
else
  echo 'units-status none'
fi
",
        names.join(" ")
    )
}

fn nft(spec: &ProbeSpec) -> String {
    let mut out = String::new();
    if spec.nft_tables.is_empty() {
        return out;
    }
    out.push_str("if [ \"${unsafe#* nft }\" != \"$unsafe\" ]; then printf 'nft unsafe %s\n' \"$left_out\"; elif ! has nft; then echo 'nft none'; elif [ \"$uid\" != 0 ]; then echo 'nft denied'; elif tables=$(nft list tables); then echo 'nft tables'\n");
    out.push_str(&guard::look());
    for table in &spec.nft_tables {
        // Family and name are this program's own.
        out.push_str(&format!(
            "if guarded {name}; then :; else case \"\n$tables\n\" in *\"\ntable {table}\n\"*) echo 'nft-table'; nft -s -u list table {table}; printf 'nft-status %s\\n' \"$?\";; *) echo 'nft-absent';; esac; fi\n",
            name = quote(table),
        ));
    }
    out.push_str("else echo 'nft failed'; fi\n");
    out.push_str(ROUTES);
    out.push_str(access::TUNNELS);
    out
}

/// Which interface leads where, as the kernel lists it: no process is needed to read it.
const ROUTES: &str = r#"if [ -r /proc/net/route ]; then
  while read -r dev to via _ _ _ _ mask _; do printf 'route4 %s %s %s %s\n' "$to" "$mask" "$dev" "$via"; done </proc/net/route
fi
if [ -r /proc/net/ipv6_route ]; then
  while read -r to length _ _ via _ _ _ _ dev; do printf 'route6 %s %s %s %s\n' "$to" "$length" "$dev" "$via"; done </proc/net/ipv6_route
fi
"#;

/// Whom the host asks for names, and how Docker is started, beside its daemon.json: no process is needed to read it. Of files that may
/// hold more, such as a proxy's password, only the lines that name networks.
fn docker_ways(spec: &ProbeSpec) -> String {
    if !spec.docker_ways {
        return String::new();
    }
    let routes = if spec.nft_tables.is_empty() { ROUTES } else { "" };
    format!("{routes}{DOCKER_WAYS}")
}

const DOCKER_WAYS: &str = r#"set --
for path in /etc/resolv.conf /run/systemd/resolve/resolv.conf; do
  if [ ! -f "$path" ] || [ ! -r "$path" ]; then continue; fi
  while read -r key to _; do [ "$key" != nameserver ] || printf 'nameserver %s\n' "$to"; done <"$path"
done
for path in /etc/systemd/system.control /run/systemd/system.control /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
  set -- "$@" "$path/docker.service" "$path/docker.service.d"/*.conf "$path/service.d"/*.conf
done
for path in "$@" /etc/default/docker /etc/sysconfig/docker /etc/sysconfig/docker-network; do
  if [ ! -f "$path" ] || [ ! -r "$path" ]; then continue; fi
  printf 'docker-file %s\n' "$path"
  more=
  while IFS= read -r line || [ -n "$line" ]; do
    case $more$line in
      +*|*ExecStart*|EnvironmentFile=*|*--bip*|*--fixed-cidr*|*--default-address-pool*|*--bridge*) printf ' %s\n' "$line"; case $line in *\\) more=+;; *) more=;; esac;;
      *) more=;;
    esac
  done <"$path"
done
echo docker-files-end
"#;

/// How the unit whose children are jobs starts and stops, as its files have it: no process is needed to read them.
fn runner_files(spec: &ProbeSpec) -> String {
    let Some(unit) = &spec.jobs_of else { return String::new() };
    let below =
        drop_in_directories(unit).iter().map(|below| format!(" \"$path\"/{}/*.conf", quote(below))).collect::<String>();
    format!(
        r#"set --
for path in {directories}; do
  set -- "$@" "$path"/{unit}{below}
done
for path in "$@"; do
  if [ ! -f "$path" ] || [ ! -r "$path" ]; then continue; fi
  printf 'runner-file %s\n' "$path"
  while read -r line || [ -n "$line" ]; do
    case $line in '['*|TimeoutStopSec*|TimeoutSec*|Kill*|Exec*|User*|Restart*) printf ' %s\n' "$line";; esac
  done <"$path"
done
echo runner-files-end
"#,
        directories = DIRECTORIES.join(" "),
        unit = quote(unit),
    )
}

/// What apt would remove with packages that are to go. Without its cache, which it would write otherwise.
fn going(spec: &ProbeSpec) -> String {
    if spec.going.is_empty() {
        return String::new();
    }
    let names: Vec<String> = spec.going.iter().map(|name| quote(name)).collect();
    format!(
        r#"set --
for name in {}; do
  name=${{name%%:*}}
  for list in "/var/lib/dpkg/info/$name".list "/var/lib/dpkg/info/$name":*.list; do
    [ ! -f "$list" ] || {{ set -- "$@" "$name"; break; }}
  done
done
if [ $# -gt 0 ] && has apt-get; then
  apt-get -s -q -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= remove -- "$@" 2>/dev/null | while read -r verb name version _; do [ "$verb" != Remv ] || printf 'going %s %s\n' "$name" "$version"; done
fi
echo going-end
"#,
        names.join(" ")
    )
}

#[cfg(test)]
mod tests;
