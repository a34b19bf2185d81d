//! GitLab behind a certificate of a private authority: told before anything is done, then trusted by rprov, by the runner and
//! by the whole host, and by the host no longer once the inventory says so.

use super::tls::PrivateGitlab;
use super::world::World;

#[test]
fn a_private_authority_is_trusted_where_the_inventory_says() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    let private = PrivateGitlab::before(world.gitlab.url());
    world.write("internal.pem", &private.ca);
    world.edit_inventory(&format!("url: {}", world.gitlab.url()), &format!("url: {}", private.url));

    let unknown = world.run("plan", &[]).expect(3).both();
    assert!(unknown.contains("`gitlab.ca_file`") && unknown.contains("UnknownIssuer"), "{unknown}");

    world.edit_inventory("  api_token:", "  ca_file: internal.pem\n  api_token:");
    world.edit_inventory("defaults:\n", "defaults:\n  ca_certificates: [internal.pem]\n");
    // The lab's authority ends within the month.
    let said = world.run("validate", &[]).expect(0).both();
    assert!(said.contains("the certificate `CN=lab CA` ends on"), "{said}");
    world.apply();
    world.assert_converged("with a private authority");
    let name = world.lab.gateway();
    assert_eq!(host.sh(&format!("cat /srv/gitlab-runner/certs/{name}.crt")), private.ca);
    assert_eq!(world.gitlab.runner().description, Some(host.inventory_name()));
    let trusted = format!("curl -sS --fail -o /dev/null {}/api/v4/version || [ $? -eq 22 ]", private.url);
    assert!(host.check(&trusted), "the host does not trust it:\n{}", host.sh(&format!("{trusted} 2>&1 || :")));

    // A run that ended between the file and the collection.
    host.sh("rm /etc/ssl/certs/internal.pem; touch /usr/local/share/ca-certificates/internal.crt");
    let plan = world.plan_text();
    assert!(plan.contains("/etc/ssl/certs/ca-certificates.crt"), "{plan}");
    world.apply();
    world.assert_converged("after a lost update");

    world.edit_inventory("ca_certificates: [internal.pem]", "ca_certificates: [{ name: internal, state: absent }]");
    // Also when the run before it got no further than the file.
    host.sh("rm /usr/local/share/ca-certificates/internal.crt");
    world.apply();
    world.assert_converged("without the authority");
    assert!(!host.check(&trusted), "the host still trusts it");
    assert_eq!(host.sh("find /etc/ssl/certs -lname '*internal*' -o -name '*internal*'"), "");
}
