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
mod tests {
    use std::net::IpAddr;

    use super::super::parse::Lines;
    use super::{LOGIN, listener, tunnels};
    use crate::facts::Facts;
    use crate::facts::access::Network;
    use crate::script::tests::{run, shells};
    use crate::script::wrap;

    fn read(text: &str) -> Network {
        let mut facts = Facts::default();
        tunnels(&mut Lines(text.lines().peekable()), &mut facts).unwrap();
        facts.network
    }

    /// What `ip -j -d address show` of iproute2 6.1 prints of one device, without what no one reads.
    fn device(name: &str, link_type: &str, kind: &str, data: &str) -> String {
        let info = match kind {
            "" => String::new(),
            kind => format!(r#","linkinfo":{{"info_kind":"{kind}","info_data":{{{data}}}}}"#),
        };
        format!(
            r#"{{"ifindex":5,"link":null,"ifname":"{name}","flags":["POINTOPOINT","NOARP","UP","LOWER_UP"],"mtu":1476,"qdisc":"noqueue","operstate":"UNKNOWN","group":"default","txqlen":1000,"link_type":"{link_type}","promiscuity":0{info},"num_tx_queues":1,"addr_info":[{{"family":"inet","local":"10.8.0.2","prefixlen":24,"scope":"global","label":"{name}"}}]}}"#
        )
    }

    #[test]
    fn every_kind_of_tunnel_is_read_as_ip_tells_it() {
        let ends = r#""remote":"198.51.100.9","local":"192.0.2.1","ttl":64,"pmtudisc":true"#;
        let fou = format!(
            r#"{ends},"encap":{{"type":"fou","csum":false,"csum6":false,"remcsum":false,"sport":0,"dport":5555}}"#
        );
        let gue = fou.replace(r#""fou""#, r#""gue""#).replace(r#""sport":0"#, r#""sport":5556"#);
        let far: Option<IpAddr> = Some("198.51.100.9".parse().unwrap());
        for (link_type, kind, data, sys, known, port, remote) in [
            ("gre", "gre", ends, "", "gre", None, far),
            ("ether", "gretap", ends, "", "gretap", None, far),
            ("ipip", "ipip", ends, "", "ipip", None, far),
            (
                "sit",
                "sit",
                r#""proto":"ip6ip","remote":"198.51.100.9","local":"192.0.2.1","6rd":{"prefix":"2002::","prefixlen":16}"#,
                "",
                "sit",
                None,
                far,
            ),
            ("sit", "sit", r#""remote":"any","local":"192.0.2.1""#, "", "sit", None, None),
            ("ipip", "ipip", fou.as_str(), "", "ipip", Some(5555), far),
            ("gre", "gre", gue.as_str(), "", "gre", Some(5556), far),
            (
                "ether",
                "vxlan",
                r#""id":7,"remote":"198.51.100.9","srcport":{"start":0,"end":0},"port":8472"#,
                "vxlan",
                "vxlan",
                Some(8472),
                far,
            ),
            ("ether", "vxlan", r#""id":7,"group":"239.1.1.1","port":4789"#, "vxlan", "vxlan", Some(4789), None),
            ("ether", "geneve", r#""id":7,"remote":"198.51.100.9","port":6081"#, "geneve", "geneve", Some(6081), far),
            (
                "none",
                "bareudp",
                r#""dstport":6635,"ethertype":"mpls_uc","srcportmin":49153"#,
                "bareudp",
                "bareudp",
                Some(6635),
                None,
            ),
            (
                "none",
                "tun",
                r#""type":"tun","pi":false,"vnet_hdr":false,"multi_queue":false,"persist":true"#,
                "",
                "tun",
                None,
                None,
            ),
            ("ppp", "ppp", "", "ppp", "ppp", None, None),
            ("none", "xfrm", r#""if_id":"0x2a""#, "", "xfrm", None, None),
            ("none", "wireguard", "", "wireguard", "wireguard", None, None),
            // Without a word of what they are: L2TP, and what no list has.
            ("ether", "", "", "l2tpeth", "l2tpeth", None, None),
            ("none", "", "", "", "virtual", None, None),
        ] {
            let text = format!(
                "tunnel-way [{{\"dst\":\"10.8.0.1\",\"dev\":\"t0\",\"prefsrc\":\"10.8.0.2\",\"flags\":[],\"uid\":0,\"cache\":[]}}]\n\
                 tunnel-virtual lo/ t0/{sys}\ntunnel-devices [{{}},{},{}]\ntunnel-end\n",
                device("eth0", "ether", "", ""),
                device("t0", link_type, kind, data)
            );
            let network = read(&text);
            let found = network.device(network.way.as_deref().unwrap()).unwrap();
            assert_eq!(
                (found.kind.as_str(), found.port, found.remote, found.addresses.len()),
                (known, port, remote, 1),
                "{kind} {sys}"
            );
            assert_eq!(network.device("eth0").unwrap().kind, "", "a card");
        }
    }

    #[test]
    fn wireguard_and_ipsec_are_read_as_their_programs_tell_them() {
        let key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
        let text = format!(
            "tunnel-way [{{\"dst\":\"10.8.0.1\",\"dev\":\"wg0\"}}]\ntunnel-devices [{}]\n\
             tunnel-wg listen-port wg0\t51820\ntunnel-wg endpoints wg0\t{key}\t[2001:db8::9]:51820\n\
             tunnel-wg endpoints wg0\tother=\t(none)\n\
             tunnel-wg allowed-ips wg0\t{key}\t10.8.0.0/24 fd00::/64\ntunnel-wg persistent-keepalive wg0\t{key}\t25\n\
             tunnel-wg persistent-keepalive wg0\tother=\toff\n\
             tunnel-ipsec src 10.9.0.0/16 dst 10.8.0.0/24 dir in priority 371327 ptype main \\\ttmpl src 198.51.100.9\n\
             tunnel-ipsec src 10.7.0.1 dst 10.8.0.1 dir in\ntunnel-end\n",
            device("wg0", "none", "wireguard", "")
        );
        let network = read(&text);
        assert_eq!(network.devices[0].port, Some(51820));
        let [first, second] = network.wireguard.as_slice() else { panic!("{network:?}") };
        assert_eq!(first.endpoint, Some("2001:db8::9".parse().unwrap()));
        assert_eq!((first.allowed.len(), first.keepalive), (2, true));
        assert_eq!((second.endpoint, second.keepalive), (None, false));
        assert_eq!(network.ipsec, ["10.9.0.0/16".parse().unwrap(), "10.7.0.1/32".parse().unwrap()]);
        for nonsense in
            ["tunnel-way x\ntunnel-devices {\ntunnel-wg\ntunnel-wg a b\ntunnel-ipsec\ntunnel-end\n", "tunnel-end\n"]
        {
            assert!(read(nonsense).devices.is_empty(), "{nonsense}");
        }
    }

    #[test]
    fn what_a_configuration_names_is_found_however_it_is_included() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let at = dir.path().to_str().unwrap();
            let write = |path: &str, text: &str| {
                let path = dir.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text.replace("/etc/", &format!("{at}/etc/"))).unwrap();
            };
            write("etc/ssh/sshd_config", "# Include /etc/no.conf\nInclude sshd_config.d/*.conf\nX11Forwarding yes\n");
            write("etc/ssh/sshd_config.d/a.conf", "include \"/etc/far/*.conf\"\nUseDNS yes\nInclude=/etc/loop.conf");
            write("etc/far/b.conf", "AuthorizedKeysFile /opt/keys/%u\n");
            write("etc/loop.conf", "Include /etc/loop.conf /etc/ssh/sshd_config\nBanner /srv/b\n");
            write("etc/default/ssh", "SSHD_OPTS=\"-f /etc/other/sshd -o Banner=/srv/c\"\n");
            write("etc/other/sshd", "HostKey /srv/key\nPort 22\n");
            write("etc/sudoers", "#includedir /etc/sudoers.d\nroot ALL=(ALL) /bin/x\n# /etc/no\n@include local\n");
            write("etc/sudoers.d/x", "@include /etc/deep\n");
            write(
                "etc/passwd",
                "root:x:0:0::/root:/bin/sh\n-x:x:1:1::/:/no\nme:x:7:7:,,,:/home/me:/opt/bin/fish\n:::::\n",
            );
            write("etc/ld.so.conf", "# /etc/no\ninclude /etc/ld.so.conf.d/*.conf\n");
            write("etc/ld.so.conf.d/libc.conf", "# libc default configuration\n/usr/local/lib\n");
            write("etc/ld.so.conf.d/tool.conf", "/opt/tool/lib");
            write("etc/hosts.deny", "sshd: /etc/blocked\n#sshd: /etc/no\nALL: PARANOID\n");
            write(
                "etc/pam.d/sshd",
                "# /etc/no\nauth required pam_listfile.so file=/etc/allowed\nauth required pam_unix.so\n",
            );
            let login = LOGIN.replace("/etc/", &format!("{at}/etc/")).replace(" /lib/", &format!(" {at}/lib/"));
            let text = format!("login_sudo='' login_name=me\n{}{login}", listener::FUNCTION);
            // What follows still expands names.
            let out = run(&shell, &wrap(&format!("set -u\n{text}echo {at}/etc/ssh/*\n"), "n0"));
            let said = String::from_utf8(out.stdout).unwrap().replace(at, "");
            for line in [
                "login-sshd UseDNS yes",
                "login-sshd AuthorizedKeysFile /opt/keys/%u",
                "login-sshd Banner /srv/b",
                "login-sshd SSHD_OPTS=\"-f /etc/other/sshd -o Banner=/srv/c\"",
                "login-sshd HostKey /srv/key",
                "login-sshd include \"/etc/far/*.conf\"",
                "login-sudoers @include local",
                "login-sudoers @include /etc/deep",
                "login-sudoers #includedir /etc/sudoers.d",
                "login-hosts sshd: /etc/blocked",
                "login-hosts ALL: ",
                "login-pam auth required pam_listfile.so file=/etc/allowed",
                "login-pam shell /opt/bin/fish",
                "login-ld /usr/local/lib ",
                "login-ld /opt/tool/lib ",
                "login-end",
                "/etc/ssh/sshd_config /etc/ssh/sshd_config.d",
            ] {
                assert!(said.lines().any(|said| said == line), "{shell:?}: {line} not in {said}");
            }
            assert!(!said.contains("/etc/no") && !said.contains("/bin/x") && !said.contains("Port"), "{said}");
            assert_eq!(said.matches("/srv/b\n").count(), 1, "{shell:?}: {said}");
            assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        }
    }

    /// A second sshd, in a unit of its own, let this connection in.
    #[test]
    fn the_sshd_of_this_very_connection_is_found_with_what_it_reads() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let at = dir.path().to_str().unwrap();
            let write = |path: &str, text: &str| {
                let path = dir.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text.replace("@", at)).unwrap();
            };
            write("etc/passwd", "");
            write("proc/31/stat", "31 (sudo) S 30 31 31 0\n");
            write("proc/30/stat", "30 (sshd) S 20 30 30 0\n");
            write("proc/30/cmdline", "sshd: deploy [priv]\0\0");
            write("proc/20/stat", "20 (sshd) S 1 20 20 0\n");
            write("proc/20/cmdline", "sshd: /usr/sbin/sshd -D -f @/opt/ssh/conf [listener] 0 of 10-100 startups\0\0");
            write("proc/20/cgroup", "0::/system.slice/admin.service\n");
            write("opt/ssh/conf", "Include @/opt/ssh/more\nAuthorizedKeysFile @/opt/ssh/keys/%u\n");
            write("opt/ssh/more", "Banner @/opt/banner\n");
            write(
                "home/me/.ssh/authorized_keys",
                "# none\nssh-ed25519 AAAA\nno-pty,Command=\"@/opt/wrap/run --to @/srv/x\",restrict ssh-ed25519 AAAA\n",
            );
            write("etc/systemd/system/admin.service", "[Service]\nEnvironmentFile=-@/opt/env\nUser=/no\n");
            write(
                "lib/systemd/system/ssh.service",
                "[Unit]\nConditionPathExists=!@/opt/not\nRequires=keys.service vpn.service\n",
            );
            write("etc/systemd/system/ssh.service.d/x.conf", "[Unit]\nAssertPathExists=@/opt/yes\n");
            let login = LOGIN.replace("/etc/", &format!("{at}/etc/")).replace(" /lib/", &format!(" {at}/lib/"));
            let login = login.replace(r#"eval "home=~$login""#, &format!("home={at}/home/me"));
            let listener = listener::FUNCTION.replace("pid=$$", "pid=31");
            let text = format!("login_sudo='' login_name=me rprov_proc={at}/proc\n{listener}{login}");
            let out = run(&shell, &wrap(&text, "n0"));
            let said = String::from_utf8(out.stdout).unwrap().replace(at, "");
            for line in [
                "login-sshd Unit admin.service",
                "login-sshd Include /opt/ssh/more",
                "login-sshd AuthorizedKeysFile /opt/ssh/keys/%u",
                "login-sshd Banner /opt/banner",
                "login-sshd ForceCommand /opt/wrap/run",
                "login-sshd ForceCommand /srv/x",
                "login-sshd EnvironmentFile=-/opt/env ",
                "login-sshd ConditionPathExists=!/opt/not ",
                "login-sshd Requires=keys.service vpn.service",
                "login-sshd AssertPathExists=/opt/yes ",
            ] {
                assert!(said.lines().any(|said| said == line), "{shell:?}: {line} not in {said}");
            }
            assert!(said.contains("login-sshd Listener sshd: /usr/sbin/sshd -D -f /opt/ssh/conf [listener]"), "{said}");
            assert!(!said.contains("User="), "{said}");
            assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        }
    }
}
