//! The host can be reached, and what is on it cannot be read or is not what rprov works with.

use super::Scene;

#[test]
fn reading() {
    let Some(scene) = Scene::new() else { return };
    let host = scene.host();

    host.sh("mkdir -p /etc/docker; echo '{ \"log-level\": }' >/etc/docker/daemon.json");
    scene.declare("", "docker: { daemon: { log-level: warn } }");
    scene.shows("daemon-json-broken");
    host.sh("rm -r /etc/docker");

    host.sh("mkdir -p /srv/gitlab-runner; printf 'concurrent = \\n' >/srv/gitlab-runner/config.toml");
    scene.declare_runner("docker: {}");
    scene.shows("runner-config-broken");
    host.sh("rm -r /srv/gitlab-runner");

    host.sh("mkdir /etc/rprov-motd");
    scene.declare("", "files: [{ path: /etc/rprov-motd, content: \"hello\\n\" }]");
    scene.shows("directory-in-the-way");
    host.sh("rmdir /etc/rprov-motd");

    host.sh("ln -s /mnt/nas/builds /builds");
    scene.declare("", "directories: [/builds]");
    scene.shows("link-leads-nowhere");
    host.sh("rm /builds");

    host.sh("install -d -m 0755 -o nobody -g nogroup /srv/jobs; ln -s /usr/local/sbin /srv/jobs/bin");
    scene.declare("", "directories: [{ path: /srv/jobs/bin, owner: nobody, mode: \"0700\" }]");
    scene.shows("link-in-the-way");
    host.sh("rm -r /srv/jobs");

    host.sh("mv /usr/bin/base64 /usr/bin/base64.gone");
    host.sh("echo x >/etc/rprov-motd");
    scene.declare("", "files: [{ path: /etc/rprov-motd, content: \"hello\\n\" }]");
    scene.shows("tool-missing");
    host.sh("mv /usr/bin/base64.gone /usr/bin/base64; rm /etc/rprov-motd");
}
