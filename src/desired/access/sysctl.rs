//! What a file of kernel parameters (sysctl.d) sets: whether a host could be cut off by it at its next boot. Pure.

use crate::facts::{Content, Facts, Known};
use crate::name::RemotePath;
use crate::step::Step;

use super::paths::is_below;

/// Where `systemd-sysctl` reads them, as [`super::paths::usual`] has it.
const DIRECTORIES: [&str; 5] =
    ["/etc/sysctl.conf", "/etc/sysctl.d", "/lib/sysctl.d", "/local/lib/sysctl.d", "/run/sysctl.d"];

/// Parameters by which no host was ever lost, whatever their value: a name, or the beginning of one up to its last dot. All that
/// bounds processes, files and memory is not among them: without these a login finds no place.
const HARMLESS: [&str; 35] = [
    "dev.cdrom.",
    "dev.raid.",
    "fs.aio-max-nr",
    "fs.epoll.max_user_watches",
    "fs.inotify.",
    "fs.protected_fifos",
    "fs.protected_hardlinks",
    "fs.protected_regular",
    "fs.protected_symlinks",
    "fs.suid_dumpable",
    "kernel.core_pattern",
    "kernel.core_uses_pid",
    "kernel.dmesg_restrict",
    "kernel.domainname",
    "kernel.kptr_restrict",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.numa_balancing",
    "kernel.perf_event_max_sample_rate",
    "kernel.perf_event_paranoid",
    "kernel.printk",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.sysrq",
    "kernel.task_delayacct",
    "kernel.unprivileged_bpf_disabled",
    "kernel.yama.ptrace_scope",
    "net.core.bpf_jit_harden",
    "net.ipv4.ping_group_range",
    "vm.dirty_",
    "vm.swappiness",
    "vm.vfs_cache_pressure",
];

/// Parameters by which none was lost as long as they are at least what the kernel begins with: with less, a program finds no place for its
/// libraries, or a packet none in its queue.
const AT_LEAST: [(&str, u64); 3] =
    [("net.core.netdev_max_backlog", 1000), ("net.core.somaxconn", 128), ("vm.max_map_count", 65_530)];

/// Whether a path is one of such a file.
pub(super) fn is_one(path: &str) -> bool {
    DIRECTORIES.iter().any(|own| is_below(path, own))
}

/// True if neither the file that a step writes nor the one that it replaces sets anything that could cut the host off. A file that was not
/// read could.
pub(super) fn is_harmless(step: &Step, path: &RemotePath, facts: &Facts) -> bool {
    let new = match step {
        Step::WriteFile(write) => sets_nothing_else(&write.content.redacted()),
        Step::Attributes { .. } | Step::RemoveFile(_) => true,
        _ => false,
    };
    let old = match facts.paths.get(path) {
        Some(Known::Absent) => true,
        Some(Known::Present(fact)) => match &fact.content {
            Some(Known::Present(Content::Text(text))) => sets_nothing_else(text.expose()),
            _ => false,
        },
        Some(Known::Unread(_)) | None => false,
    };
    new && old
}

/// `KEY = VALUE`, `-KEY = VALUE` (errors do not matter) and `-KEY` (a pattern leaves it alone); comments begin with `#` or `;`.
fn sets_nothing_else(text: &str) -> bool {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    lines.into_iter().all(|line| {
        let (key, value) = line.split_once('=').map_or((line, ""), |(key, value)| (key, value.trim()));
        let key = dotted(key.trim().trim_start_matches('-').trim());
        // A pattern may stand for more than it says.
        let enough = |least: u64| value.parse::<u64>().is_ok_and(|value| value >= least);
        !key.contains(['*', '?', '['])
            && (HARMLESS.iter().any(|own| is_named(&key, own))
                || AT_LEAST.iter().any(|(own, least)| key == *own && enough(*least)))
    })
}

fn is_named(key: &str, own: &str) -> bool {
    if own.ends_with(['.', '_']) { key.starts_with(own) } else { key == own }
}

/// The first separator says which one divides the parts; the other one is then a part of a name (`net/ipv4/conf/eth0.7/forwarding`).
fn dotted(key: &str) -> String {
    let slashes = key.find(['.', '/']).is_some_and(|at| key[at..].starts_with('/'));
    if !slashes {
        return key.to_owned();
    }
    key.chars()
        .map(|sign| {
            if sign == '/' {
                '.'
            } else if sign == '.' {
                '/'
            } else {
                sign
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_sets_is_read_as_systemd_reads_it() {
        for text in [
            "",
            "# net.ipv4.ip_forward = 1\n; kernel.panic = 1\n",
            "vm.max_map_count=262144\n",
            "  -vm.swappiness = 10\n\nvm.dirty_ratio=5\n",
            "fs/inotify/max_user_watches = 524288\nfs.inotify.max_user_instances=512",
            "kernel/yama/ptrace_scope=1",
        ] {
            assert!(sets_nothing_else(text), "{text}");
        }
        for text in [
            "net.ipv4.ip_forward = 1\n",
            "net/ipv4/ip_forward=1",
            "net.ipv4.conf.all.rp_filter=1",
            "net.ipv4.conf.*.rp_filter=2",
            "-net.ipv4.conf.lo.rp_filter",
            "net/ipv4/conf/eth0.7/forwarding=0",
            "vm.max_map_count=262144\nnet.ipv6.conf.all.disable_ipv6=1",
            // Neither has a program a place for its libraries then, nor a packet one in its queue.
            "vm.max_map_count=1",
            "vm.max_map_count",
            "vm.mmap_min_addr=140737488351232",
            "net.core.somaxconn=0",
            "net/core/netdev_max_backlog = 0",
            "kernel.keys.maxkeys=0",
            "kernel.modules_disabled=1",
            "kernel.pid_max=300",
            "kernel.threads-max = 100",
            "fs.file-max=10",
            "vm.overcommit_memory=2",
            "vm.min_free_kbytes=9000000",
            "vm.*=1",
            "v?.swappiness=1",
            "vm.swappinessx=1",
            "vm/dirty.x/y=1",
            "(secret)",
            "anything",
        ] {
            assert!(!sets_nothing_else(text), "{text}");
        }
    }
}
