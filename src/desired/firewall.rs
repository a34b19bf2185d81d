//! The firewall: kernel table, ruleset file, and the unit that loads it at boot. Pure.

use crate::inventory::model::{HostSpec, Owner};
use crate::name::RemotePath;
use crate::resource::Resource;
use crate::resource::file::File;
use crate::resource::firewall::{Firewall, RulesFile};
use crate::resource::service::Service;
use crate::step::Check;
use crate::text::Text;

use super::path;

/// Where its rules lie, for the next boot.
pub(super) const RULES: &str = "/etc/rprov/firewall.nft";

/// The package that brings `nft`.
pub(super) const PACKAGE: &str = "nftables";

const UNIT: &str = "rprov-firewall.service";

fn parts(host: &HostSpec) -> Option<(Firewall, File, File)> {
    let spec = host.firewall.clone()?;
    // The package's user, as whom jobs of the shell executor run; gitlab-runner itself is root.
    let service = host.manager.as_ref().and_then(|manager| manager.package());
    let shell_user = service.map(|_| "gitlab-runner".to_owned());
    let firewall = Firewall { spec, shell_user, path: path(RULES) };
    let file = |at: RemotePath, content: String, check, unit_file| File {
        kind: "firewall",
        path: at,
        content: Some(Text::plain(content)),
        mode: 0o644,
        owner: Owner::default(),
        check,
        whole: true,
        unit_file,
        origin: firewall.spec.origin.clone(),
    };
    let rules = file(firewall.path.clone(), firewall.file(), Some(Check::Nft), false);
    let unit = file(path("/etc/systemd/system/rprov-firewall.service"), firewall.unit(), None, true);
    Some((firewall, rules, unit))
}

/// The firewall of a host. The kernel's table comes first: rules that do not load, or with which nobody can connect any
/// more, must not be loaded at boot either.
pub(super) fn firewall(host: &HostSpec, all: &mut Vec<Box<dyn Resource>>) {
    let Some((firewall, rules, unit)) = parts(host) else { return };
    let origin = firewall.spec.origin.clone();
    all.push(Box::new(firewall));
    all.push(Box::new(RulesFile(rules)));
    all.push(Box::new(unit));
    all.push(Box::new(Service {
        unit: UNIT.to_owned(),
        name: "rprov-firewall",
        package: None,
        // The kernel's table is compared itself; when the unit ran last says nothing.
        reads: Vec::new(),
        runs_jobs: false,
        origin,
    }));
}

/// The files of this module.
pub(super) fn files(host: &HostSpec) -> Vec<(RemotePath, u32, Text)> {
    let Some((_, rules, unit)) = parts(host) else { return Vec::new() };
    [rules, unit].into_iter().filter_map(|file| Some((file.path, file.mode, file.content?))).collect()
}
