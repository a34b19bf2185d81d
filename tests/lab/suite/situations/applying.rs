//! Something fails while changes are made.

use super::Scene;

#[test]
fn files() {
    let Some(scene) = Scene::new() else { return };
    let host = scene.host();
    let one_file = "files: [{ path: /etc/rprov-test/motd, content: \"hello\\n\" }]";

    host.sh(
        "mkdir /etc/rprov-test; mount --bind /etc/rprov-test /etc/rprov-test; mount -o remount,ro,bind /etc/rprov-test",
    );
    scene.declare("", one_file);
    scene.shows("read-only");
    host.sh("umount /etc/rprov-test");

    host.sh("mount -t tmpfs -o size=8k,mode=0755 tmpfs /etc/rprov-test; cat /dev/zero >/etc/rprov-test/full || :");
    scene.shows("disk-full");
    assert_eq!(host.sh("ls /etc/rprov-test"), "full\n");
    host.sh("umount /etc/rprov-test");

    scene.declare("", "files: [{ path: /etc/rprov-test/motd, content: \"hello\\n\", owner: \"builder\" }]");
    scene.shows("owner-unknown");
}

#[test]
fn packages() {
    let Some(scene) = Scene::new() else { return };
    let host = scene.host();
    scene.declare("", "packages: [no-such-package]");
    scene.shows("package-unknown");
    scene.declare("", "packages: [{ name: jq, version: \"9.9-1\" }]");
    scene.shows("version-unknown");

    host.sh("cp -a /etc/apt /root/apt; rm -rf /etc/apt/sources.list.d /var/lib/apt/lists/*; echo 'deb http://192.0.2.9:9/ bookworm main' >/etc/apt/sources.list; echo 'Acquire::http::Timeout \"1\"; Acquire::Retries \"0\"; Acquire::http::Proxy \"DIRECT\";' >/etc/apt/apt.conf.d/99fast; ip route add blackhole 192.0.2.9");
    scene.declare("", "packages: [jq]");
    scene.shows("mirror-down");
    host.sh("rm -rf /etc/apt; mv /root/apt /etc/apt; ip route del blackhole 192.0.2.9");

    // A package whose configuration fails, as one that was interrupted leaves it.
    host.sh(
        "mkdir -p /root/p/DEBIAN; printf 'Package: half-done\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@example.com>\\nDescription: x\\n' >/root/p/DEBIAN/control; \
         printf '#!/bin/sh\\necho the database is not there >&2; exit 1\\n' >/root/p/DEBIAN/postinst; chmod 0755 /root/p/DEBIAN/postinst; dpkg-deb -b /root/p /root/p.deb >/dev/null; dpkg -i /root/p.deb 2>/dev/null || :",
    );
    scene.declare("", "packages: [half-done]");
    scene.shows("half-configured");
    host.sh("dpkg --purge half-done");

    host.sh("mv /usr/bin/apt-get /usr/bin/apt-get.gone");
    scene.declare("", "packages: [curl]");
    scene.shows("no-apt");
    host.sh("mv /usr/bin/apt-get.gone /usr/bin/apt-get");
}

#[test]
fn docker() {
    let Some(scene) = Scene::new() else { return };
    let host = scene.host();
    let registry = scene.world.lab.setting("LAB_REGISTRY").to_owned();
    let daemon = |more: &str| format!("docker: {{ daemon: {{ insecure-registries: [\"{registry}\"]{more} }} }}");
    scene.declare_runner(&daemon(""));
    scene.world.edit_inventory("v17.9.0", "v0.0.0");
    scene.shows("image-unknown");
    scene.world.edit_inventory("v0.0.0", "v17.9.0");

    // dockerd takes the key and does not come up with it.
    scene.declare_runner(&daemon(", storage-driver: zfs"));
    scene.shows("docker-does-not-start");
    scene.declare_runner(&daemon(""));
    scene.world.run("apply", &["--yes"]).expect(0);

    host.sh("docker stop -t 1 gitlab-runner; docker rm gitlab-runner
        systemd-run -q --unit=port-taken /usr/bin/systemd-socket-activate -l 9252 /bin/cat");
    scene
        .world
        .edit_inventory("config_dir: /srv/gitlab-runner", "config_dir: /srv/gitlab-runner, ports: [\"9252:9252\"]");
    scene.shows("port-taken");
    host.sh("systemctl stop port-taken; docker rm -f gitlab-runner 2>/dev/null || :");
    scene.declare_runner(&daemon(""));

    host.sh("kill -STOP $(cat /run/docker.pid)");
    scene.shows("docker-hangs");
    host.sh("kill -CONT $(cat /run/docker.pid)");
    host.sh("systemctl mask --now docker.socket docker.service 2>/dev/null");
    scene.shows("docker-masked");
}
