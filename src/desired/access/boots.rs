//! Packages without which a host comes up without its kernel, its disks or its network. Pure.

use crate::step::Step;

/// Beginnings of names: kernels, boot loaders, and what finds the disks of a boot.
const BOOT: [&str; 24] = [
    "clevis",
    "cryptsetup",
    "dracut",
    "efibootmgr",
    "extlinux",
    "flash-kernel",
    "grub",
    "initramfs-tools",
    "linux-image",
    "linux-modules",
    "live-boot",
    "lvm2",
    "mdadm",
    "multipath-tools",
    "open-iscsi",
    "proxmox-kernel",
    "pve-kernel",
    "raspi-firmware",
    "shim",
    "syslinux",
    "systemd-boot",
    "u-boot",
    "zfs-initramfs",
    "zfsutils",
];

/// Beginnings of names: what gives the host its addresses, now and at the next boot.
const NETWORK: [&str; 19] = [
    "bridge-utils",
    "cloud-init",
    "connman",
    "dhcpcd",
    "firmware-",
    "ifenslave",
    "ifupdown",
    "isc-dhcp-client",
    "iwd",
    "libnetplan",
    "netplan",
    "network-manager",
    "openvswitch",
    "ppp",
    "systemd-networkd",
    "systemd-resolved",
    "udhcpc",
    "vlan",
    "wpasupplicant",
];

/// What goes with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    /// A boot stands on it.
    Boot,
    /// The network does.
    Network,
}

/// Whether a step removes what a boot or the network stands on.
pub(super) fn goes(step: &Step) -> Option<Goes> {
    let names = match step {
        Step::RemovePackages(names) | Step::ReplacePackages { remove: names, .. } => names,
        _ => return None,
    };
    let any = |all: &[&str]| names.iter().any(|name| all.iter().any(|own| name.starts_with(own)));
    match (any(&NETWORK), any(&BOOT)) {
        (true, _) => Some(Goes::Network),
        (false, true) => Some(Goes::Boot),
        (false, false) => None,
    }
}
