//! How this very connection comes in: its login, what sshd's configuration names, and the tunnels that its packets may come
//! through. Without a tunnel on the host no process is started. Pure: shell text and its reading only.

use serde_json::Value;

use super::super::guard::{access, listener, since};
use super::super::reply::BadReply;
use super::links;
use super::parse::{Lines, content, stat};
use crate::facts::access::{Device, LoginFact, Network, WireguardPeer};
use crate::facts::{Facts, Known, PathFact, PathKind, ProbeSpec, SystemFacts, Way};
use crate::name::RemotePath;

/// Sets `peer`. A script gets it as its argument; on the machine that rprov runs on there is none, and the processes above
/// it are looked at.
pub(super) fn peer() -> String {
    format!("{PEER}{}{}{SOMEBODY}", since::CAME, since::THERE)
}

const PEER: &str = r#"peer=${SSH_CONNECTION:-${1:-}} there=
if [ -z "$peer" ]; then
"#;

const SOMEBODY: &str = r#"climb
peer=$came
: "$came_by"
[ -n "$peer" ] || there=$(logins_there)
fi
printf 'peer %s\n' "$peer"
if [ -n "$there" ]; then
  printf '%s\n' "$there" | while read -r _ _ told; do printf 'logged-in %s\n' "$told"; done
  # By the way to one of them, tunnels are found.
  peer=${there%%"
"*} peer=${peer#* } peer=${peer#* }
  [ "$peer" != '?' ] || peer=
fi
"#;

const LOGIN: &str = r#"login=${login_sudo:-$login_name}
home='' stands=''
# A name that the shell could take for something else has no home here.
case $login in ''|[-+0-9]*|*[!A-Za-z0-9._-]*) ;; *) eval "home=~$login";; esac
printf 'login %s\n' "$login"
printf 'login-home %s\n' "$home"
printf 'login-sudo %s\n' "${login_sudo:+sudo}"
# Files that name files, one after another; each file once, and no more than a few.
# kind file...
names_of() {
  kind=$1 seen=' ' number=0
  shift
  while [ "$#" -gt 0 ] && [ "$number" -lt 60 ]; do
    conf=$1 number=$((number + 1))
    shift
    case $seen in *" $conf "*) continue;; esac
    seen="$seen$conf "
    stands="$stands$conf
"
    if [ ! -r "$conf" ] || [ ! -f "$conf" ]; then continue; fi
    while read -r key words || [ -n "$key" ]; do
      more=
      case $kind:$key in
        sudoers:@include*|sudoers:\#include*|ld:include) more=$words;;
        "$kind:"|"$kind:#"*|sudoers:*) continue;;
        sshd:[Ii][Nn][Cc][Ll][Uu][Dd][Ee]*) more="${key#???????} $words";;
        sshd:[Aa]*|sshd:[Mm]atch|sshd:[Uu][Ss][Ee][Dd][Nn][Ss]*) ;;
        unit:Condition*|unit:Assert*|unit:EnvironmentFile*|unit:ExecStart*) case $key$words in */*) ;; *) continue;; esac;;
        unit:Requires=*|unit:Requires|unit:BindsTo*|unit:Requisite*|unit:RequiresMountsFor*) ;;
        unit:*) continue;;
        hosts:*) case $key$words in */*) ;; *) words='';; esac;;
        *) case $key$words in */*) ;; *) continue;; esac;;
      esac
      case $kind in unit) told=sshd;; *) told=$kind;; esac
      printf 'login-%s %s %s\n' "$told" "$key" "$words"
      set -f
      for word in $key $words; do
        word=${word#[\"\']} word=${word%[\"\',:]}
        case $word in
          %h/*) word=$home${word#%h};;
          /*) ;;
          *=/* | *:/*) word=/${word#*[=:]/};;
          */*) if [ "$kind" = sshd ]; then word=$home/$word; else word=/${word#*/}; fi;;
          *) case $kind$key in sshd[Aa][Uu][Tt][Hh][Oo][Rr]*) word=$home/$word;; *) continue;; esac;;
        esac
        while :; do case $word in *%u*) word=${word%%%u*}$login${word#*%u};; *) break;; esac; done
        stands="$stands$word
"
      done
      for word in $more; do
        word=${word#=} word=${word#\"} word=${word%\"}
        base=/etc
        [ "$kind" != sshd ] || base=/etc/ssh
        case $word in '') continue;; /*) ;; *) word=$base/$word;; esac
        set +f
        [ ! -d "$word" ] || word="$word/*"
        # shellcheck disable=SC2086 # a pattern of names
        set -- "$@" $word
        set -f
      done
      set +f
    done <"$conf"
  done
}
other=
# What sshd gets as options on Debian and others.
for conf in /etc/default/ssh /etc/sysconfig/sshd; do
  if [ ! -r "$conf" ] || [ ! -f "$conf" ]; then continue; fi
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in SSHD_OPTS=*|OPTIONS=*) ;; *) continue;; esac
    printf 'login-sshd %s\n' "$line"
    case $line in *-f*) other=${line#*-f} other=${other# } other=${other%%[ \"\']*};; esac
  done <"$conf"
done
# And the one that this connection came by.
find_listener
find_listener_conf
[ -z "$listener" ] || printf 'login-sshd Listener %s\n' "$listener_line"
[ -z "$listener_unit" ] || printf 'login-sshd Unit %s\n' "$listener_unit"
# A command that a key is bound to is what each login by it starts.
for conf in "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2"; do
  if [ -z "$home" ] || [ ! -r "$conf" ] || [ ! -f "$conf" ]; then continue; fi
  number=0
  while IFS= read -r line && [ "$number" -lt 200 ]; do
    number=$((number + 1))
    case $line in *[Cc][Oo][Mm][Mm][Aa][Nn][Dd]=\"*) ;; *) continue;; esac
    line=${line#*[Cc][Oo][Mm][Mm][Aa][Nn][Dd]=\"}
    line=${line%%\"*}
    set -f
    for word in $line; do
      case $word in /*) ;; *) continue;; esac
      printf 'login-sshd ForceCommand %s\n' "$word"
      stands="$stands$word
"
    done
    set +f
  done <"$conf"
done
names_of sshd /etc/ssh/sshd_config ${other:+"$other"} ${listener_conf:+"$listener_conf"}
# What only a start of it looks at.
set --
for word in ssh.service ssh.socket ssh@.service sshd.service sshd.socket sshd@.service ${listener_unit:+"$listener_unit"}; do
  for conf in /etc/systemd/system.control /run/systemd/system.control /run/systemd/transient /run/systemd/generator.early /etc/systemd/system /etc/systemd/system.attached /run/systemd/system /run/systemd/system.attached /run/systemd/generator /usr/local/lib/systemd/system /lib/systemd/system /run/systemd/generator.late; do
    conf=$conf/$word
    [ ! -e "$conf" ] || set -- "$@" "$conf"
    [ ! -d "$conf.d" ] || set -- "$@" "$conf.d"/*.conf
  done
done
names_of unit "$@"
names_of sudoers /etc/sudoers
names_of hosts /etc/hosts.allow /etc/hosts.deny
names_of pam /etc/pam.d/sshd /etc/pam.d/sudo /etc/pam.d/sudo-i /etc/pam.d/su /etc/pam.d/login /etc/pam.d/other /etc/pam.d/common-*
# The login's own shell, wherever it lies.
while IFS=: read -r key _ _ _ _ _ words; do
  if [ "$key" = "$login" ] && [ -n "$key" ]; then printf 'login-pam shell %s\n' "$words"; stands="$stands$words
"; fi
done </etc/passwd 2>/dev/null
names_of ld /etc/ld.so.conf
echo login-end
"#;

/// The login and what may come back of its files.
pub(super) fn script(spec: &ProbeSpec) -> String {
    format!("{}{LOGIN}{}{}", listener::FUNCTION, links::script(spec), access::look())
}

/// Reads what [`script`] prints.
///
/// # Errors
/// When it makes no sense.
pub(super) fn read(lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    login(lines, &mut facts.system)?;
    links::read(lines, &mut facts.system.login)?;
    loop {
        if let Some(path) = lines.tagged("unconfirmed-none") {
            back(facts, path, Some(Known::Absent));
        } else if let Some(path) = lines.tagged("unconfirmed-directory") {
            let known = kept(lines)?.filter(|fact| fact.kind == PathKind::Directory);
            back(facts, path, known.map(Known::Present));
        } else if let Some(path) = lines.tagged("unconfirmed-file") {
            let mut known = kept(lines)?;
            let content = content(lines)?;
            if let Some(fact) = &mut known {
                fact.content = content;
            }
            back(facts, path, known.map(Known::Present));
        } else {
            return Ok(());
        }
    }
}

fn kept(lines: &mut Lines<'_>) -> Result<Option<PathFact>, BadReply> {
    Ok(stat(lines.expect("stat")?))
}

/// What will be at a path counts as what is there. Its content only where that was asked for. Who can get there, what is
/// there says.
fn back(facts: &mut Facts, path: &str, known: Option<Known<PathFact>>) {
    facts.unconfirmed_access = true;
    let Ok(path) = RemotePath::new(path) else { return };
    let Some(now) = facts.paths.get_mut(&path) else { return };
    let closed = !matches!(now, Known::Present(fact) if !fact.way.closed);
    *now = match known {
        Some(Known::Present(fact)) => {
            let way = Way { closed, ..fact.way.clone() };
            Known::Present(PathFact { way, ..fact })
        }
        Some(other) => other,
        None => Known::unread("the host is just putting it back".to_owned()),
    };
}

fn login(lines: &mut Lines<'_>, system: &mut SystemFacts) -> Result<(), BadReply> {
    let user = lines.expect("login")?.to_owned();
    let home = RemotePath::new(lines.expect("login-home")?).ok();
    let sudo = !lines.expect("login-sudo")?.trim().is_empty();
    let mut sshd = Vec::new();
    while let Some(line) = lines.tagged("login-sshd") {
        let (key, words) = line.split_once([' ', '=', '\t']).unwrap_or((line, ""));
        sshd.push((key.to_owned(), words.to_owned()));
    }
    let (mut others, mut sudoers, mut wrapped) = (Vec::new(), Vec::new(), false);
    while let Some(line) = lines.tagged("login-sudoers") {
        // The keyword, and the rest of the line.
        sudoers.extend(line.split_once([' ', '\t']).map(|(_, path)| path.to_owned()));
    }
    while let Some(line) = lines.tagged("login-hosts") {
        wrapped = true;
        others.push(line.to_owned());
    }
    while let Some(line) = lines.tagged("login-pam") {
        others.push(line.to_owned());
    }
    let mut libraries = Vec::new();
    while let Some(line) = lines.tagged("login-ld") {
        let searched = line.split([' ', '\t', ',', ':', '=']).next().filter(|word| word.starts_with('/'));
        libraries.extend(searched.map(str::to_owned));
    }
    lines.expect("login-end")?;
    system.login = LoginFact { user, home, sudo, sshd, others, sudoers, libraries, wrapped, ..LoginFact::default() };
    Ok(())
}

/// Asked only with a firewall. `ip` and `wg` are started only where a device may be a tunnel; the private keys that `wg` could
/// show are not asked for.
pub(super) const TUNNELS: &str = r#"tunnels='' virtual=''
for dev in /sys/class/net/*; do
  kind='' type='' link=''
  if [ ! -r "$dev/uevent" ] || [ ! -r "$dev/type" ]; then continue; fi
  while IFS='=' read -r key value; do [ "$key" != DEVTYPE ] || kind=$value; done <"$dev/uevent"
  # Not every kind tells `ip` what it is.
  [ -e "$dev/device" ] || virtual="$virtual ${dev##*/}/$kind"
  case $kind in
    bridge|bond|team|vlan|wlan|wwan|dsa|hsr|macsec) ;;
    ?*) tunnels=yes;;
    '')
      read -r type <"$dev/type"
      # A card and what is one by name only, the loopback device, InfiniBand. All else is point to point, without a link layer,
      # IP in IP, GRE and whatever comes to be.
      case $type in
        1) if [ ! -e "$dev/device" ]; then read -r link <"$dev/iflink"; [ "$link" != 0 ] || tunnels=yes; fi;;
        772|32) ;;
        *) [ -e "$dev/device" ] || tunnels=yes;;
      esac
      [ ! -e "$dev/tun_flags" ] || tunnels=yes;;
  esac
done
if [ -d /sys/module/esp4 ] || [ -d /sys/module/esp6 ]; then tunnels=yes; fi
if [ -n "$tunnels" ] && [ -n "$peer" ] && command -v ip >/dev/null; then
  client=${peer%% *} server=${peer#* * } server=${server%% *}
  way=$(ip -j route get "$client" from "$server" 2>/dev/null) || way=$(ip -j route get "$client" 2>/dev/null)
  printf 'tunnel-way %s\n' "$way"
  printf 'tunnel-virtual%s\n' "$virtual"
  printf 'tunnel-devices %s\n' "$(ip -j -d address show 2>/dev/null)"
  if command -v wg >/dev/null; then
    for what in listen-port endpoints allowed-ips persistent-keepalive; do
      wg show all "$what" 2>/dev/null | while IFS= read -r line; do printf 'tunnel-wg %s %s\n' "$what" "$line"; done
    done
  fi
  ip -o xfrm policy list dir in 2>/dev/null | while IFS= read -r line; do printf 'tunnel-ipsec %s\n' "$line"; done
fi
echo tunnel-end
"#;

/// Reads what [`TUNNELS`] prints. What makes no sense is left out: without it a check is less sharp, and the trial remains.
///
/// # Errors
/// When the answer is cut.
pub(super) fn tunnels(lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    let mut network = Network::default();
    if let Some(way) = lines.tagged("tunnel-way") {
        let way: Value = serde_json::from_str(way).unwrap_or_default();
        network.way = way.pointer("/0/dev").and_then(Value::as_str).map(str::to_owned);
    }
    let kinds = |line: &str| {
        let parts = line.split(' ').filter_map(|part| part.split_once('/'));
        parts.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect::<Vec<_>>()
    };
    let kinds = lines.tagged("tunnel-virtual").map(kinds).unwrap_or_default();
    if let Some(all) = lines.tagged("tunnel-devices") {
        let all: Value = serde_json::from_str(all).unwrap_or_default();
        network.devices = all.as_array().into_iter().flatten().filter_map(device).collect();
        let mute = network.devices.iter_mut().filter(|device| device.kind.is_empty());
        for device in mute {
            if let Some((_, kind)) = kinds.iter().find(|(name, _)| *name == device.name) {
                // What carries it nobody knows.
                device.kind = if kind.is_empty() { "virtual" } else { kind.as_str() }.to_owned();
            }
        }
    }
    while let Some(line) = lines.tagged("tunnel-wg") {
        wireguard(line, &mut network);
    }
    while let Some(line) = lines.tagged("tunnel-ipsec") {
        let source = line.strip_prefix("src ").and_then(|rest| rest.split(' ').next());
        network.ipsec.extend(source.and_then(|net| net.parse().ok().or_else(|| net.parse().ok().map(one))));
    }
    lines.expect("tunnel-end")?;
    facts.network = network;
    Ok(())
}

fn one(address: std::net::IpAddr) -> ipnet::IpNet {
    address.into()
}

fn device(value: &Value) -> Option<Device> {
    let text = |at: &str| value.pointer(at).and_then(Value::as_str).map(str::to_owned);
    let data = |names: &[&str]| names.iter().find_map(|name| value.pointer(&format!("/linkinfo/info_data/{name}")));
    let address = |names: &[&str]| data(names)?.as_str()?.parse().ok();
    let remote: Option<std::net::IpAddr> = address(&["remote", "remote6", "group", "group6"]);
    let addresses = value.get("addr_info").and_then(Value::as_array).into_iter().flatten();
    Some(Device {
        name: text("/ifname")?,
        kind: text("/linkinfo/info_kind").unwrap_or_default(),
        master: text("/master"),
        link: text("/link"),
        // In UDP: the port of this end, which is mostly that of the other.
        port: [&["port", "dstport"][..], &["encap/sport"], &["encap/dport"]]
            .into_iter()
            .filter_map(|names| data(names)?.as_u64().filter(|port| *port > 0))
            .find_map(|port| u16::try_from(port).ok()),
        // Anybody, or a group: packets come from many places.
        remote: remote.filter(|remote| !remote.is_unspecified() && !remote.is_multicast()),
        addresses: addresses.filter_map(|one| one.get("local")?.as_str()?.parse().ok()).collect(),
    })
}

/// `WHAT DEVICE VALUE` for the port, `WHAT DEVICE KEY VALUES` for the rest, divided by tabs.
fn wireguard(line: &str, network: &mut Network) {
    let Some((what, rest)) = line.split_once(' ') else { return };
    let words: Vec<&str> = rest.split('\t').collect();
    match (what, words.as_slice()) {
        ("listen-port", [name, port]) => {
            if let Some(device) = network.devices.iter_mut().find(|device| device.name == *name) {
                device.port = port.parse().ok();
            }
        }
        ("endpoints", [name, key, endpoint]) => network.wireguard.push(WireguardPeer {
            device: (*name).to_owned(),
            key: (*key).to_owned(),
            endpoint: endpoint.parse::<std::net::SocketAddr>().ok().map(|at| at.ip()),
            allowed: Vec::new(),
            keepalive: false,
        }),
        (_, [name, key, value]) => {
            let peer = network.wireguard.iter_mut().find(|peer| peer.device == *name && peer.key == *key);
            let Some(peer) = peer else { return };
            match what {
                "allowed-ips" => peer.allowed = value.split(' ').filter_map(|net| net.parse().ok()).collect(),
                "persistent-keepalive" => peer.keepalive = *value != "off",
                _ => {}
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
