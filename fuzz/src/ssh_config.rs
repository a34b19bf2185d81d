//! ssh_config, asked about a host.

pub fn one(data: &[u8]) {
    let text = super::text(data);
    // What stands behind this line is the file that the first one may include.
    let (main, included) = text.split_once("\n#-- included --\n").unwrap_or((&text, ""));
    let lines = main.lines().count().max(included.lines().count());
    for host in ["web1.example.com", "10.0.0.7", "fe80::1"] {
        if let Some(line) = rprov::host::ssh::fuzzing::ssh_config(main, included, host) {
            assert!(line <= lines, "line {line} of {lines}");
        }
    }
}
