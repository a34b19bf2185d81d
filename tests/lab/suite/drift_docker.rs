//! Drifts of Docker's engine, of gitlab-runner's container and of its image.

use super::drift::{Bench, Drift};
use super::inventory::{RUNNER_IMAGE, RUNNER_TAG};
use super::lab::script;
use super::world::World;

/// What changes with a container that is made anew.
const NEW_CONTAINER: [&str; 2] = ["containers /gitlab-runner", "volumes *"];
/// What a restart of Docker touches: its process, its containers, its chains in the kernel.
const DOCKER_RESTARTED: [&str; 6] = [
    "units docker.service",
    "units docker.socket",
    "containers /gitlab-runner",
    "firewall",
    "networks bridge",
    "files /etc/docker",
];

fn with<'a>(all: &[&[&'a str]]) -> Vec<&'a str> {
    all.concat()
}

#[test]
fn drift_of_docker_itself() {
    let Some(mut bench) = Bench::new() else { return };
    bench.try_drift(&Drift {
        what: "daemon.json edited",
        make: &|world| {
            world.host().sh("sed -i s/10.201.0.0/172.17.0.0/ /etc/docker/daemon.json");
        },
        shown: &["change docker daemon /etc/docker/daemon.json: default-address-pools[0].base (kills_jobs)"],
        words: &["default-address-pools[0].base", "172.17.0.0/16", "10.201.0.0/16", "restarts docker"],
        touched: &with(&[&DOCKER_RESTARTED, &["files /etc/docker/daemon.json"]]),
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "daemon.json edited where a reload suffices",
        make: &|world| {
            // Docker has taken it over; of a file that it has not read yet nobody knows what it runs with.
            world.host().sh(
                "sed -i 's/\"insecure-registries\": \\[/&\"192.0.2.9:5000\",/' /etc/docker/daemon.json; systemctl restart docker",
            );
        },
        shown: &["change docker daemon /etc/docker/daemon.json: insecure-registries (service_reload)"],
        words: &["insecure-registries"],
        touched: &with(&[&DOCKER_RESTARTED, &["files /etc/docker/daemon.json"]]),
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "daemon.json with a byte-order mark",
        make: &|world| {
            world.host().sh("{ printf '\\357\\273\\277'; cat /etc/docker/daemon.json; } >/tmp/marked && cat /tmp/marked >/etc/docker/daemon.json");
        },
        shown: &["change docker daemon /etc/docker/daemon.json: encoding"],
        words: &["byte-order mark"],
        touched: &["files /etc/docker*"],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "daemon.json gone",
        make: &|world| {
            world.host().sh("rm /etc/docker/daemon.json");
        },
        shown: &["add docker daemon /etc/docker/daemon.json: default-address-pools[0].base, default-address-pools[0].size, insecure-registries (kills_jobs)"],
        words: &["/etc/docker/daemon.json"],
        touched: &with(&[&DOCKER_RESTARTED, &["files /etc/docker/daemon.json"]]),
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "Docker stopped",
        make: &|world| {
            world.host().sh("systemctl stop docker.socket docker.service");
        },
        shown: &["change service docker: state"],
        words: &["inactive", "running"],
        touched: &DOCKER_RESTARTED,
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "Docker disabled",
        make: &|world| {
            world.host().sh("systemctl disable -q docker.service");
        },
        shown: &["change service docker: at boot"],
        words: &["disabled", "enabled"],
        // It has an init script too, whose links systemctl sets.
        touched: &["files /etc/systemd/system/multi-user.target.wants*", "files /etc/rc*"],
        asked: &[],
    });
}

/// Makes the container by hand, as `docker run` does.
fn docker_run(world: &World, options: &str, image: &str) {
    let registry = world.lab.setting("LAB_REGISTRY");
    world.host().sh(&format!(
        "docker rm -f gitlab-runner; docker run -d --name gitlab-runner --restart always --stop-signal SIGQUIT --stop-timeout 7200 \
         -v /srv/gitlab-runner:/etc/gitlab-runner -v /var/run/docker.sock:/var/run/docker.sock -v /builds:/builds -v /cache:/cache \
         {options} {registry}/{image}"
    ));
}

#[test]
fn drift_of_the_container() {
    let Some(mut bench) = Bench::new() else { return };
    let image = format!("{RUNNER_IMAGE}:{RUNNER_TAG}");
    bench.try_drift(&Drift {
        what: "container stopped",
        make: &|world| {
            world.host().sh("docker stop -t 5 gitlab-runner");
        },
        shown: &["change manager container gitlab-runner: state"],
        words: &["exited", "running"],
        touched: &NEW_CONTAINER,
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "container removed",
        make: &|world| {
            world.host().sh("docker rm -f gitlab-runner");
        },
        shown: &["add manager container gitlab-runner: image, mounts, restart"],
        words: &["container gitlab-runner"],
        touched: &NEW_CONTAINER,
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "container with another image",
        make: &|world| docker_run(world, "-e TZ=Etc/UTC", "gitlab/gitlab-runner:v17.10.0"),
        shown: &["replace manager container gitlab-runner: image (runner_drain)"],
        words: &["v17.10.0", "v17.9.0"],
        touched: &with(&[&NEW_CONTAINER, &["images *"]]),
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "container with another environment",
        make: &|world| docker_run(world, "-e TZ=Europe/Berlin -e HTTP_PROXY=http://proxy:3128", &image),
        shown: &["replace manager container gitlab-runner: env[TZ] (runner_drain)"],
        words: &["env[HTTP_PROXY]", "env[TZ]"],
        touched: &NEW_CONTAINER,
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "container with a mount too many",
        make: &|world| docker_run(world, "-e TZ=Etc/UTC -v /etc/hosts:/etc/hosts.mine:ro", &image),
        shown: &["replace manager container gitlab-runner: mounts[/etc/hosts.mine] (runner_drain)"],
        words: &["mounts[/etc/hosts.mine]", "/etc/hosts:ro"],
        touched: &NEW_CONTAINER,
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "container with another restart policy",
        make: &|world| {
            world.host().sh("docker update --restart=no gitlab-runner");
        },
        shown: &["change manager container gitlab-runner: restart"],
        words: &["restart", "always", "changed in place"],
        touched: &[],
        asked: &[],
    });
    // A container made by hand just so is taken over as it is.
    docker_run(&bench.world, "-e TZ=Etc/UTC", &image);
    let made = bench.world.host().container("gitlab-runner")["Id"].clone();
    bench.world.assert_converged("a container made by hand, equal to ours");
    bench.world.apply();
    assert_eq!(bench.world.host().container("gitlab-runner")["Id"], made, "it was made anew without need");
}

#[test]
fn drift_of_the_image() {
    let Some(world) = World::bare() else { return };
    // A repository of this test's own, so that no other test sees its tag move.
    let own = format!("drift-{}-{}/gitlab-runner", world.host().name(), std::process::id());
    let tag = format!("{own}:{RUNNER_TAG}");
    script("push-image", &[&tag]);
    world.edit_inventory(&format!("{RUNNER_IMAGE}:{RUNNER_TAG}"), &tag);
    world.apply();
    let before = world.host().snapshot();
    let container = world.host().container("gitlab-runner");
    script("push-image", &[&tag, "--variant", "moved"]);

    let plan = world.plan();
    let reference = format!("{}/{tag}", world.lab.setting("LAB_REGISTRY"));
    assert_eq!(
        plan.lines(),
        [
            format!("change image {reference}: digest"),
            "replace manager container gitlab-runner: image id (runner_drain)".to_owned()
        ]
    );
    let text = world.plan_text();
    assert!(text.contains("the registry has another image under this tag now"), "{text}");
    world.apply();
    world.assert_converged("after the tag had moved");
    let now = world.host().container("gitlab-runner");
    assert_ne!(now["Image"], container["Image"], "the container still runs the old image");
    assert_eq!(world.host().sh("docker exec gitlab-runner tail -n 1 /etc/rprov-lab-image"), "moved\n");
    let allowed = with(&[&NEW_CONTAINER, &["images *"]]);
    assert_eq!(before.differences(&world.host().snapshot(), &allowed), Vec::<String>::new());
    world.gitlab.runner();
}
