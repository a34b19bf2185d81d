//! The user may not do on the host what rprov must do.

use super::{DEPLOY, Scene};

#[test]
fn becoming_root() {
    let Some(scene) = Scene::new() else { return };
    let host = scene.host();
    let one_file = "files: [{ path: /etc/motd, content: \"hello\\n\" }]";
    let as_user = |user: &str| scene.write("", &format!("{{ address: {}, {user} }}", host.address()), one_file);

    as_user("user: ops, become: sudo");
    scene.shows("sudo-wants-password");

    host.sh("rm /etc/sudoers.d/deploy");
    as_user(DEPLOY);
    scene.shows("sudo-not-allowed");

    as_user("user: deploy");
    scene.shows("no-become");

    host.sh("mv /usr/bin/sudo /usr/bin/sudo.gone");
    as_user(DEPLOY);
    scene.shows("sudo-missing");
}
