//! What a host says of its login and its devices.

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
    let fou =
        format!(r#"{ends},"encap":{{"type":"fou","csum":false,"csum6":false,"remcsum":false,"sport":0,"dport":5555}}"#);
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
        write("etc/passwd", "root:x:0:0::/root:/bin/sh\n-x:x:1:1::/:/no\nme:x:7:7:,,,:/home/me:/opt/bin/fish\n:::::\n");
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
