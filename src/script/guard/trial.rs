//! Rules as they are while they are on trial. A table that lets everything in that belongs to a connection which is there
//! already would also let in what carries the trial itself: the packets of a tunnel that ends on the host, and of the
//! connection that loaded the rules. Both would be refused later, when the kernel has forgotten them or the host boots. So
//! on trial only answers count as part of a connection: flows that the host began. What others began must be let in by a
//! rule of its own, as if it were new. Pure: text in, text out.
//!
//! Nobody else is hurt by it: what the rules let in is let in, and what they do not is silent for the seconds of a trial,
//! which is dropped rather than refused, so that connections live through it. Containers' own connections keep their
//! shortcut, since theirs would be refused. Of what passes through, only datagrams to published ports have none: a tunnel
//! may end in a container.

/// The rule that both chains begin with.
pub const SHORTCUT: &str = "ct state established,related accept";

/// Bridges of containers and of virtual machines: their connections to the host are not how anybody comes from elsewhere.
const BRIDGES: [&str; 4] = ["docker*", "br-*", "podman*", "virbr*"];

/// The same rules for the time of the trial. Rules of another make are left as they are.
#[must_use]
pub fn of(ruleset: &str) -> String {
    let mut hook = "";
    let mut out = String::with_capacity(ruleset.len() + 400);
    for line in ruleset.lines() {
        let rule = line.trim();
        if rule.starts_with("chain ") {
            hook = "";
        } else if rule.starts_with("type filter hook input ") {
            hook = "input";
        } else if rule.starts_with("type filter hook forward ") {
            hook = "forward";
        }
        let instead = match hook {
            "input" if rule == SHORTCUT => input(),
            "forward" if rule == SHORTCUT => forward(),
            _ => {
                out.push_str(line);
                out.push('\n');
                continue;
            }
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        for rule in instead {
            out.push_str(&format!("{indent}{rule}\n"));
        }
    }
    out
}

fn input() -> Vec<String> {
    let mut rules = vec![
        "ct state established ct direction reply accept".to_owned(),
        // Errors of the network about connections, and helpers'.
        "ct state related accept".to_owned(),
    ];
    rules.extend(bridges());
    rules
}

fn forward() -> Vec<String> {
    let mut rules = vec![
        "ct state established ct direction reply accept".to_owned(),
        "ct state established meta l4proto != 17 accept".to_owned(),
        "ct state related accept".to_owned(),
    ];
    rules.extend(bridges());
    rules
}

fn bridges() -> impl Iterator<Item = String> {
    BRIDGES.iter().map(|bridge| format!("iifname \"{bridge}\" ct state established accept"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_are_part_of_a_connection() {
        let table = "table inet rprov {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\
                     \t\tct state established,related accept\n\t\ttcp dport 22 accept\n\t}\n\tchain forward {\n\
                     \t\ttype filter hook forward priority filter - 1; policy accept;\n\
                     \t\tct state established,related accept\n\t}\n\tchain output {\n\
                     \t\ttype filter hook output priority filter - 1; policy accept;\n\
                     \t\tct state established,related accept\n\t}\n}\n";
        let trial = of(table);
        assert_eq!(trial.matches(SHORTCUT).count(), 1, "what the host sends is nobody's way in:\n{trial}");
        let (input, forward) = trial.split_once("chain forward").unwrap();
        assert!(input.contains("\t\tct state established ct direction reply accept\n"), "{trial}");
        assert!(input.contains("tcp dport 22 accept"));
        assert!(forward.contains("\t\tct state established meta l4proto != 17 accept\n"), "{trial}");
        assert!(input.contains("\t\tiifname \"docker*\" ct state established accept\n"));
        assert_eq!(of("table ip mine {\n\tchain c {\n\t}\n}\n"), "table ip mine {\n\tchain c {\n\t}\n}\n");
    }
}
