//! How this very connection comes in: its login, what sshd's configuration names, and the tunnels that its packets may come
//! through. Without a tunnel on the host no process is started. Pure: shell text and its reading only.

use serde_json::Value;

use super::super::guard::{access, since};
use super::super::reply::BadReply;
use super::parse::{Lines, content, stat};
use crate::facts::access::{Device, LoginFact, Network, WireguardPeer};
use crate::facts::{Facts, Known, PathFact, PathKind, SystemFacts, Way};
use crate::name::RemotePath;

/// Sets `peer`. A script gets it as its argument; on the machine that rprov runs on there is none, and the processes above
/// it are looked at.
pub(super) fn peer() -> String {
    format!(
        "peer=${{SSH_CONNECTION:-${{1:-}}}}\nif [ -z \"$peer\" ]; then\n{}climb\npeer=$came\n: \"$came_by\"\nfi\nprintf 'peer %s\\n' \"$peer\"\n",
        since::CAME
    )
}

const LOGIN: &str = r#"login=${login_sudo:-$login_name}
home=
# A name that the shell could take for something else has no home here.
case $login in ''|[-+0-9]*|*[!A-Za-z0-9._-]*) ;; *) eval "home=~$login";; esac
printf 'login %s\n' "$login"
printf 'login-home %s\n' "$home"
printf 'login-sudo %s\n' "${login_sudo:+sudo}"
for conf in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; do
  if [ ! -r "$conf" ] || [ ! -f "$conf" ]; then continue; fi
  while read -r key words || [ -n "$key" ]; do
    case $key in ''|\#*) continue;; [Aa]*) ;; *) case $key$words in */*) ;; *) continue;; esac;; esac
    printf 'login-sshd %s %s\n' "$key" "$words"
  done <"$conf"
done
echo login-end
"#;

/// The login and what may come back of its files.
pub(super) fn script() -> String {
    format!("{LOGIN}{}", access::look())
}

/// Reads what [`script`] prints.
///
/// # Errors
/// When it makes no sense.
pub(super) fn read(lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    login(lines, &mut facts.system)?;
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
        None => Known::Unread("the host is just putting it back".to_owned()),
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
    lines.expect("login-end")?;
    system.login = LoginFact { user, home, sudo, sshd };
    Ok(())
}

/// Asked only with a firewall. `ip` and `wg` are started only where a device may be a tunnel; the private keys that `wg` could
/// show are not asked for.
pub(super) const TUNNELS: &str = r#"tunnels=
for dev in /sys/class/net/*; do
  kind='' type='' link=''
  if [ ! -r "$dev/uevent" ] || [ ! -r "$dev/type" ]; then continue; fi
  while IFS='=' read -r key value; do [ "$key" != DEVTYPE ] || kind=$value; done <"$dev/uevent"
  case $kind in
    wireguard|vxlan|geneve|bareudp|gtp|l2tpeth|ppp|amt|ovpn*) tunnels=yes;;
    '')
      read -r type <"$dev/type"
      # Point to point, without a link layer, IP in IP, GRE; and what is a network card by name only.
      case $type in
        512|65534|768|769|776|778|823) tunnels=yes;;
        1) if [ ! -e "$dev/device" ]; then read -r link <"$dev/iflink"; [ "$link" != 0 ] || tunnels=yes; fi;;
      esac
      [ ! -e "$dev/tun_flags" ] || tunnels=yes;;
  esac
done
if [ -d /sys/module/esp4 ] || [ -d /sys/module/esp6 ]; then tunnels=yes; fi
if [ -n "$tunnels" ] && [ -n "$peer" ] && command -v ip >/dev/null; then
  client=${peer%% *} server=${peer#* * } server=${server%% *}
  way=$(ip -j route get "$client" from "$server" 2>/dev/null) || way=$(ip -j route get "$client" 2>/dev/null)
  printf 'tunnel-way %s\n' "$way"
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
    if let Some(all) = lines.tagged("tunnel-devices") {
        let all: Value = serde_json::from_str(all).unwrap_or_default();
        network.devices = all.as_array().into_iter().flatten().filter_map(device).collect();
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
        port: data(&["port"]).and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok()),
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
