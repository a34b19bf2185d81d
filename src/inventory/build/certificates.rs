//! Files of certificates, for `gitlab.ca_file` and `ca_certificates`: whether what they hold can serve as authorities. Pure.

use std::path::Path;

use super::read::{Scene, is_word};
use super::{Build, NOT_TEXT, RELATIVE};
use crate::certificate::{self, Certificate};
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::format::Format;
use crate::inventory::model::CaSpec;
use crate::inventory::node::Node;

/// Certificates of one file at most: a system's whole collection is no list of one's own authorities.
const MOST: usize = 8;
/// Seconds before its end at which an authority's certificate is worth a warning.
const SOON: i64 = 30 * 86400;
/// How to make a server's certificate that vouches for itself.
const MADE: &str = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 -subj /CN=HOST -addext \
                    subjectAltName=DNS:HOST -keyout HOST.key -out HOST.crt";

impl Build<'_> {
    /// `gitlab.ca_file`: its text, and what is in it.
    pub(super) fn authorities(&mut self, at: &Span, path: &str) -> Option<(String, Vec<Certificate>)> {
        let text = match self.files.read(at, path) {
            Ok((_, text)) => text,
            Err(why) if why.ends_with(NOT_TEXT) => {
                let problem = Diagnostic::error("this file is no text: a certificate in DER form?").at(at);
                self.error(
                    problem.help(format!("make PEM of it: openssl x509 -inform der -in {path} -out {path}.pem")),
                );
                return None;
            }
            Err(why) => {
                self.error(Diagnostic::error(why).at(at).help(RELATIVE));
                return None;
            }
        };
        if text.contains("PRIVATE KEY-----") {
            let problem = Diagnostic::error("this file holds a private key").at(at);
            self.error(problem.help("the certificate of the authority alone: the file is copied to hosts"));
            return None;
        }
        let other = ["TRUSTED CERTIFICATE", "X509 CERTIFICATE"].into_iter();
        if let Some(label) = other.into_iter().find(|label| text.contains(&format!("-----BEGIN {label}-----"))) {
            let problem =
                Diagnostic::error(format!("this file holds a `{label}`, which not every program reads")).at(at);
            self.error(problem.help(format!("make a plain one of it: openssl x509 -in {path} -out {path}.pem")));
            return None;
        }
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            let problem = Diagnostic::error("this file holds no certificate in PEM form").at(at);
            self.error(problem.help(
                "it begins with -----BEGIN CERTIFICATE-----; `openssl x509 -inform der` makes one of a DER file",
            ));
            return None;
        }
        let found = match certificate::read(&text) {
            Ok(found) => found,
            Err(why) => {
                self.error(Diagnostic::error(why).at(at).help("`openssl x509 -in FILE -text` shows what is in it"));
                return None;
            }
        };
        self.can_vouch(&found, at).then(|| (certificate::plain(&text), found))
    }

    /// Whether servers can be checked against these certificates.
    fn can_vouch(&mut self, found: &[Certificate], at: &Span) -> bool {
        // A server's certificate that vouches for itself is an authority for itself.
        let (able, unable): (Vec<&Certificate>, Vec<&Certificate>) =
            found.iter().partition(|one| one.authority || one.is_self_issued());
        let alone = able.is_empty();
        for server in &unable {
            let what = format!("`{}` is the certificate of a server, not of an authority", server.subject);
            if alone {
                let help = format!("name the certificate of the authority that issued it: `{}`", server.issuer);
                self.error(Diagnostic::error(what).at(at).help(help));
            } else {
                self.warn(Diagnostic::warning(what).at(at).help("take it out: the authority's is enough"));
            }
        }
        let mut sound = true;
        for one in &able {
            let (what, key) = if let Some(curve) = one.unknown_curve {
                let subject = &one.subject;
                let what = format!(
                    "the key of the certificate `{subject}` is on the curve {curve}, which rprov cannot verify"
                );
                (what, "a key on P-256 or P-384, or with RSA")
            } else if !one.authority && !one.names_servers {
                let what = format!(
                    "the certificate `{}` names no server: a Common Name alone counts nowhere any more",
                    one.subject
                );
                (what, "`subjectAltName`")
            } else {
                continue;
            };
            self.error(Diagnostic::error(what).at(at).help(format!("have it made with {key}, such as: {MADE}")));
            sound = false;
        }
        if !sound {
            return false;
        }
        let now = self.files.now();
        let (over, good): (Vec<&Certificate>, Vec<&Certificate>) =
            able.into_iter().partition(|one| one.not_after < now);
        for one in &over {
            let what = format!("the certificate `{}` ended on {}", one.subject, date(one.not_after));
            let (problem, help) = match good.is_empty() {
                true => (Diagnostic::error(what), "ask whoever runs the authority for the one that follows it"),
                false => (Diagnostic::warning(what), "take it out: nothing that it signed is trusted any more"),
            };
            let said = problem.at(at).help(help);
            if good.is_empty() { self.error(said) } else { self.warn(said) }
        }
        for one in good.iter().filter(|one| one.not_after < now + SOON) {
            let what = format!("the certificate `{}` ends on {}", one.subject, date(one.not_after));
            self.warn(Diagnostic::warning(what).at(at).help("add the one that follows it to this file in time"));
        }
        !good.is_empty()
    }

    /// `ca_certificates` of a host.
    pub(super) fn ca_certificates(&mut self, node: &Node, scene: &Scene) -> Vec<CaSpec> {
        let mut all: Vec<CaSpec> = Vec::new();
        for item in node.get("ca_certificates").map(Node::items).unwrap_or_default() {
            let Some(one) = self.ca_certificate(item, scene) else { continue };
            if all.iter().any(|other| other.name == one.name) {
                let problem = Diagnostic::error(format!("two certificates would be `{}` on the host", one.name));
                self.error(problem.at(&item.span).help("give one of them another `name`"));
            }
            all.push(one);
        }
        all
    }

    fn ca_certificate(&mut self, item: &Node, scene: &Scene) -> Option<CaSpec> {
        let absent = is_word(item, "state", "absent");
        let file = item.get("file").or_else(|| item.text().is_some().then_some(item));
        let path = match file {
            Some(node) => Some((self.plain(node, Format::LocalPath, scene)?, &node.span)),
            None => None,
        };
        let name = match item.get("name") {
            Some(name) => self.plain(name, Format::Name, scene)?,
            None => {
                let stem = path.as_ref().and_then(|(path, _)| Path::new(path).file_stem()?.to_str().map(str::to_owned));
                let Some(name) = stem.filter(|stem| Format::Name.check(stem).is_ok()) else {
                    let problem = Diagnostic::error("a certificate needs `file`, or `name` to be removed");
                    let problem = match path {
                        Some(_) => Diagnostic::error("the name of this file cannot be the certificate's on the host"),
                        None => problem,
                    };
                    self.error(problem.at(&item.span).help("`{ file: certs/ca.pem, name: internal-ca }`"));
                    return None;
                };
                name
            }
        };
        let certificates = match path {
            _ if absent => Vec::new(),
            Some((path, at)) => self.authorities(at, &path)?.1,
            None => {
                let problem = Diagnostic::error("a certificate needs `file`").at(&item.span);
                self.error(problem.help("or `state: absent`, to remove it"));
                return None;
            }
        };
        if certificates.len() > MOST {
            let problem = Diagnostic::error(format!("this file holds {} certificates", certificates.len()));
            self.error(problem.at(&item.span).help(format!("your own authorities alone, at most {MOST} in a file")));
            return None;
        }
        Some(CaSpec {
            name,
            certificates: certificates.into_iter().map(|one| one.pem).collect(),
            origin: item.span.clone(),
        })
    }
}

fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "a day out of mind".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}
