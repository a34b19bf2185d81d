//! Files that systemd reads, and packages that Docker stands on: a drop-in of Docker's is in force after an apply, by whatever it was
//! held up; and what apt would take along is reported by a plan, which writes nothing.

use super::world::World;

const DROP_IN: &str = "/etc/systemd/system/docker.service.d/proxy.conf";
const PROXY: &str = "systemctl show docker -p Environment | grep -q";
const CACHES: &str = "find /var/cache/apt /var/lib/apt /var/lib/dpkg -printf '%p %T@ %s\\n' | sort";

#[test]
fn a_drop_in_of_dockers_is_in_force_after_an_apply() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    let declare = |more: &str| {
        world.write_inventory(&format!(
            "hosts:\n  {}:\n    ssh: {{ address: {}, user: root }}\n    docker: {{}}\n{more}",
            host.inventory_name(),
            host.address()
        ));
    };
    let files = |content: &str| {
        format!("    files: [{{ path: {DROP_IN}, content: \"[Service]\\nEnvironment=X={content}\\n\" }}]\n")
    };
    world.write_home(
        ".ssh/config",
        &format!(
            "Host *\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
            world.lab.setting("LAB_SSH_KEY"),
            world.lab.setting("LAB_KNOWN_HOSTS")
        ),
    );
    // Its package starts it before the drop-in is there.
    declare(&files("one"));
    world.apply();
    assert!(host.check(&format!("{PROXY} X=one && tr '\\0' '\\n' </proc/$(pidof dockerd)/environ | grep -qx X=one")));

    // Somebody has put it there, and systemd has not read it.
    host.write(DROP_IN, "[Service]\nEnvironment=X=two\n");
    declare(&files("two"));
    let plan = world.plan_text();
    assert!(plan.contains("restarts docker") && plan.contains("has not read its unit files"), "{plan}");

    // What goes leaves nothing behind.
    declare(&format!("    files: [{{ path: {DROP_IN}, state: absent }}]\n"));
    world.apply();
    assert!(!host.check(&format!("{PROXY} X=")) && !host.check("[ -e /run/rprov-due.docker.service ]"));
    world.assert_converged("without it");

    let before = host.sh(CACHES);
    declare("    packages: [{ name: iptables, state: absent }]\n");
    let outcome = world.run("plan", &[]);
    let told = outcome.both().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("apt would remove with it what needs it: docker.io"), "{outcome}");
    assert_eq!(host.sh(CACHES), before, "a plan has written");
}
