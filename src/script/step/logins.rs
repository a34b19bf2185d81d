//! Packages on which logins depend, and that none may bring or take along unless the inventory names them. Pure: shell text
//! only.

/// Names; with `*` at the end, all that begin so. What refuses connections as soon as it is installed, manages the network, asks
/// who somebody is, or takes sshd's or sudo's place. Not those that only wait: `nftables` (its unit is not enabled), `wireguard-tools`.
pub const PACKAGES: [&str; 46] = [
    "ufw",
    "gufw",
    "firewalld",
    "shorewall*",
    "fail2ban*",
    "iptables-persistent",
    "netfilter-persistent",
    "ferm",
    "crowdsec*",
    "denyhosts",
    "sshguard",
    "psad",
    "fwknop-server",
    "arno-iptables-firewall",
    "apf-firewall",
    "uruk",
    "opensnitch",
    "libpam-*",
    "libnss-*",
    "sssd*",
    "nslcd",
    "nscd",
    "unscd",
    "winbind",
    "network-manager",
    "connman",
    "wicd*",
    "netplan.io",
    "netctl",
    "dhcpcd*",
    "ifupdown*",
    "resolvconf",
    "openresolv",
    "systemd-resolved",
    "cloud-init",
    "openssh-server*",
    "dropbear*",
    "tinysshd",
    "sudo-ldap",
    "selinux-*",
    "wireguard",
    "openvpn*",
    "strongswan*",
    "libreswan",
    "tailscale*",
    "zerotier*",
];

/// Whether a package is one of them.
#[must_use]
pub fn depend_on(package: &str) -> bool {
    PACKAGES.iter().any(|own| own.strip_suffix('*').map_or(*own == package, |start| package.starts_with(start)))
}

/// `logins_are_named`: what `apt-get -s` says it would do, then what was asked for. Another version of what is there passes: libraries
/// come along with almost anything, and the run's last look comes by a new connection.
pub(super) fn function() -> String {
    FUNCTION.replace("@PACKAGES@", &PACKAGES.join("|"))
}

const FUNCTION: &str = r#"logins_are_named() {
  would=$1 unnamed=
  shift
  while read -r verb name old _; do
    case $verb in
      Inst) case $old in '['*) continue;; esac;;
      Remv) ;;
      *) continue;;
    esac
    name=${name%%:*}
    case $name in @PACKAGES@) ;; *) continue;; esac
    for word; do
      word=${word%%=*} word=${word%%/*} word=${word%-}
      [ "${word%%:*}" != "$name" ] || continue 2
    done
    case $verb in Inst) unnamed="$unnamed $name";; *) unnamed="$unnamed $name (would be removed)";; esac
  done <<END
$would
END
  [ -n "$unnamed" ] || return 0
  printf 'logins depend on packages that would come along and that the inventory does not name:%s\nnothing was installed; name them in packages, before what needs them, so that a new login is tried after each, or leave out what needs them\n' "$unnamed" >&2
  return 1
}
"#;
