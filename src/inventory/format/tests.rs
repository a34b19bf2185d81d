use super::*;

fn good(format: Format, texts: &[&str]) {
    for text in texts {
        assert_eq!(format.check(text), Ok(()), "{format:?} takes {text:?}");
    }
}

fn bad(format: Format, texts: &[&str]) {
    for text in texts {
        assert!(format.check(text).is_err(), "{format:?} refuses {text:?}");
    }
}

#[test]
fn durations() {
    assert_eq!(duration("90m"), Ok(5400));
    assert_eq!(duration("1h30m"), Ok(5400));
    assert_eq!(duration("1w2d3h4m5s"), Ok(788_645));
    for text in ["", "h", "5", "5 m", "m5", "1h30", "5m2h", "1h1h", "-5m", "1.5h", "18446744073709551615w"] {
        assert!(duration(text).is_err(), "{text}");
    }
    for (seconds, text) in [(0, "0s"), (59, "59s"), (7200, "2h"), (5400, "90m"), (86400, "1d")] {
        assert_eq!(show_duration(seconds), text);
    }
}

#[test]
fn modes() {
    assert_eq!(mode("0644"), Ok(0o644));
    assert_eq!(mode("755"), Ok(0o755));
    assert_eq!(mode("1777"), Ok(0o1777));
    assert_eq!(mode("0o600"), Ok(0o600));
    for text in ["", "64", "0888", "rwx", "17777", "-644", "+644"] {
        assert!(mode(text).is_err(), "{text}");
    }
}

#[test]
fn networks_and_ports() {
    assert_eq!(cidr("10.0.0.5").map(|net| net.to_string()), Ok("10.0.0.5/32".to_owned()));
    assert_eq!(cidr("2001:db8::/32").map(|net| net.to_string()), Ok("2001:db8::/32".to_owned()));
    assert_eq!(cidr("0.0.0.0/0").map(|net| net.to_string()), Ok("0.0.0.0/0".to_owned()));
    for text in ["", "10.0.0.1/8", "10.0.0/8", "10.0.0.0/33", "::1/64", "localhost"] {
        assert!(cidr(text).is_err(), "{text}");
    }
    assert_eq!(ports("22"), Ok((22, 22)));
    assert_eq!(ports("8000-8010"), Ok((8000, 8010)));
    for text in ["", "0", "+22", "22-", "-22", "65536", "9-8", "1-2-3", " 22"] {
        assert!(ports(text).is_err(), "{text}");
    }
}

#[test]
fn cron_expressions() {
    good(
        Format::Cron,
        &[
            "0 4 * * *",
            "*/15 * * * *",
            "0 0 29 2 *",
            "0 4\t* * sun,mon",
            "0 0 31 2 mon",
            "59 23 31 12 7",
            "0 0-6/3 * jan-mar *",
        ],
    );
    bad(
        Format::Cron,
        &[
            "",
            "* * * *",
            "* * * * * *",
            "*/0 * * * *",
            "*/70 * * * *",
            "60 * * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
        ],
    );
    bad(
        Format::Cron,
        &["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 4 * * *\n", "0 4 L * *", "0 4 ? * *", "a * * * *", "1, * * * *"],
    );
}

#[test]
fn images() {
    good(Format::Image, &["debian", "debian:12", "gitlab/gitlab-runner:v17.9.0", "localhost/x", "localhost:5000/x:y"]);
    good(Format::Image, &["registry.example.com:5000/a/b/c:1.2.3-x_y"]);
    bad(
        Format::Image,
        &["", ":12", "debian:", "a b", "Debian", "a/../b", "/x", "x/", "-x", "docker://x", "a@b", "a:b:c"],
    );
    bad(Format::Image, &["registry:port/x:1", "x:-tag", "x\n"]);
}

#[test]
fn gitlab_urls() {
    good(
        Format::GitlabUrl,
        &[
            "https://gitlab.example.com",
            "https://gitlab.example.com/",
            "https://example.com/gitlab",
            "http://10.0.0.5:8080",
            "https://[2001:db8::1]:8443",
            "https://[2001:db8::1]",
        ],
    );
    bad(
        Format::GitlabUrl,
        &[
            "",
            "gitlab.example.com",
            "ftp://x",
            "https://",
            "https://:443",
            "https://x:port",
            "https://a b",
            "https://x?y",
            "https://u:p@x",
        ],
    );
}

#[test]
fn names_and_hosts() {
    good(Format::Name, &["docker", "gpu-1", "a.b_c", "1"]);
    bad(Format::Name, &["", "-a", ".a", "a b", "a/b", "é", "a\n"]);
    good(Format::HostName, &["ci.example.com", "10.0.0.7", "2001:db8::1", "gpu_1"]);
    bad(Format::HostName, &["", "-a", "a b", "a/b", "a@b", "a;b", "$(x)", "a\u{1b}[0m", "a\0"]);
    good(Format::Owner, &["root", "root:docker", "deploy:www-data"]);
    bad(Format::Owner, &["", ":", "root:", "a b", "root:docker:x", "-a"]);
}

#[test]
fn docker_forms() {
    good(Format::Mount, &["/a:/b", "/a:/b:ro", "volume:/b", "/a:/b:ro,z", "/a:/b:rslave"]);
    bad(Format::Mount, &["", "/a", "/a:b", "a/b:/c", "/a:/b:x", "/a:/b:ro:x", ":/b", "/a/../b:/c", "/a:/b\n"]);
    good(
        Format::Publish,
        &["9252", "9252:9252", "127.0.0.1:9252:9252", "127.0.0.1::9252", "[::1]:80:80/tcp", "8000-8010:8000-8010"],
    );
    bad(Format::Publish, &["", "x", "80:", "1.2.3:80:80", "80:80/icmp"]);
    good(Format::Restart, &["no", "always", "unless-stopped", "on-failure", "on-failure:5"]);
    bad(Format::Restart, &["", "never", "on-failure:", "on-failure:0", "on-failure:x"]);
    good(Format::ExtraHost, &["a:10.0.0.1", "a:2001:db8::1", "a:[::1]", "a:host-gateway"]);
    bad(Format::ExtraHost, &["", "a", "a:", ":10.0.0.1", "a:b"]);
}

#[test]
fn gitlab_names() {
    good(Format::Tag, &["docker", "with blank", "é", "a:b"]);
    bad(Format::Tag, &["", " a", "a ", "a,b", "a\nb"]);
    good(Format::FullPath, &["acme", "acme/platform/app", "a.b/c_d"]);
    bad(Format::FullPath, &["", "/acme", "acme/", "a//b", "a b", "https://x/y", "-a"]);
    good(Format::VariableKey, &["GIT_CLONE_PATH", "a1"]);
    bad(Format::VariableKey, &["", "A-B", "A B", "A.B"]);
    good(Format::DirPattern, &["gitlab-job-*", "job[0-9]*"]);
    bad(Format::DirPattern, &["", "*", "?*", ".x", "-x", "a/b", "a b", "a;b"]);
}

#[test]
fn names_hold_nothing_that_cannot_be_seen() {
    for name in ["ci\u{200d}", "/etc/\u{3164}motd", "a\u{a0}b", "a\u{ad}", "x\u{2800}", "a\u{202e}b"] {
        for format in [Format::HostName, Format::HostPath, Format::LocalPath, Format::Tag, Format::Mount, Format::Image]
        {
            let message = format.check(name).unwrap_err().message;
            assert!(message.contains("which cannot be seen"), "{format:?} {name:?}: {message}");
        }
    }
    assert!(Format::HostPath.check("/srv/a\u{1b}[0m").is_err());
    assert_eq!(Format::HostPath.check("/srv/bücher/е\u{301}"), Ok(()));
    assert_eq!(Format::Any.check("a\u{200d}"), Ok(()));
}
