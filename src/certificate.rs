//! Certificates of authorities: what a file in PEM form holds, as far as it must be checked before others rely on it. Verifies
//! no signature. Pure.

use x509_parser::pem::Pem;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Alone, in PEM form.
    pub pem: String,
    /// Whose it is.
    pub subject: String,
    /// Who says so.
    pub issuer: String,
    /// It may sign others.
    pub authority: bool,
    /// Of the first version, in which no names of servers can stand.
    pub first_version: bool,
    /// It names servers (`subjectAltName`).
    pub names_servers: bool,
    /// Its key is on a curve that nothing here can verify with.
    pub unknown_curve: Option<&'static str>,
    /// Seconds since 1970 until which it counts.
    pub not_after: i64,
}

impl Certificate {
    /// Whether it vouches for itself: a root authority, or a server's own certificate.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

/// The certificates of a PEM file in DER form, in order; text around them is passed over. A mark of byte order and blanks around
/// lines, as editors and YAML leave them, are no part of it.
///
/// # Errors
/// When one of them cannot be read: which.
pub fn der(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut all = Vec::new();
    for block in Pem::iter_from_buffer(plain(text).as_bytes()) {
        let number = all.len() + 1;
        let block = block.map_err(|_| format!("certificate {number} of this file is cut off or garbled"))?;
        if block.label == "CERTIFICATE" {
            all.push(block.contents);
        }
    }
    Ok(all)
}

/// The text without a mark of byte order and without blanks around lines, which not every program passes over.
#[must_use]
pub fn plain(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}');
    text.lines().map(|line| line.trim().to_owned() + "\n").collect()
}

/// The certificates of a PEM file, in order; text around them is passed over.
///
/// # Errors
/// When one of them cannot be read: which, and why.
pub fn read(text: &str) -> Result<Vec<Certificate>, String> {
    let mut all = Vec::new();
    for der in der(text)? {
        let number = all.len() + 1;
        // The library's own words are about bytes.
        let (_, parsed) = x509_parser::parse_x509_certificate(&der)
            .map_err(|_| format!("block {number} of this file holds no certificate"))?;
        let (subject, issuer) = (parsed.subject().to_string(), parsed.issuer().to_string());
        let constraints = parsed.basic_constraints().ok().flatten();
        // The first version had no such mark, and roots of that age are still in use.
        let old_root = parsed.version().0 == 0 && subject == issuer;
        let names = parsed.subject_alternative_name().ok().flatten();
        all.push(Certificate {
            first_version: parsed.version().0 == 0,
            names_servers: names.is_some_and(|names| !names.value.general_names.is_empty()),
            unknown_curve: unknown_curve(&parsed),
            authority: constraints.map_or(old_root, |mark| mark.value.ca),
            not_after: parsed.validity().not_after.timestamp(),
            pem: pem(&der),
            subject,
            issuer,
        });
    }
    Ok(all)
}

/// The curve of an elliptic key that is neither P-256 nor P-384.
fn unknown_curve(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Option<&'static str> {
    let key = &certificate.public_key().algorithm;
    if key.algorithm.to_id_string() != "1.2.840.10045.2.1" {
        return None;
    }
    match key.parameters.as_ref()?.as_oid().ok()?.to_id_string().as_str() {
        "1.2.840.10045.3.1.7" | "1.3.132.0.34" => None,
        "1.3.132.0.35" => Some("P-521"),
        _ => Some("an unusual one"),
    }
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            out.push('\n');
        }
        out.push(letter);
    }
    out.push_str("\n-----END CERTIFICATE-----\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const CA: &str = include_str!("../tests/data/tls/ca.pem");
    const SERVER: &str = include_str!("../tests/data/tls/server.pem");

    #[test]
    fn an_authority_and_a_server() {
        let found = read(&format!("a comment\n{CA}\n# another\n{SERVER}")).unwrap();
        let [ca, server] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((ca.subject.as_str(), ca.authority, ca.is_self_issued()), ("CN=rprov test CA", true, true));
        assert!(!server.authority && !server.is_self_issued());
        assert_eq!(server.issuer, ca.subject);
        assert_eq!(ca.pem, CA, "the same text as openssl writes");
    }

    #[test]
    fn what_no_server_can_have() {
        let one = |text: &str| read(text).unwrap().remove(0);
        let first = one(include_str!("../tests/data/tls/version-1.pem"));
        assert!(first.first_version && first.authority && !first.names_servers);
        let nameless = one(include_str!("../tests/data/tls/common-name-server.pem"));
        assert!(!nameless.first_version && !nameless.authority && !nameless.names_servers);
        let curve = one(include_str!("../tests/data/tls/p-521.pem"));
        assert_eq!((curve.unknown_curve, curve.names_servers), (Some("P-521"), true));
        assert_eq!(one(SERVER).unknown_curve, None);
    }

    #[test]
    fn editors_leave_marks_and_blanks() {
        let whole = read(CA).unwrap();
        let indented: String = CA.lines().map(|line| format!("    {line}  \r\n")).collect();
        for text in [format!("\u{feff}{CA}"), indented.clone(), format!("\u{feff}{indented}")] {
            assert_eq!(read(&text).unwrap(), whole);
            assert_eq!(der(&text).unwrap(), der(CA).unwrap());
            assert_eq!(plain(&text), CA);
        }
    }

    #[test]
    fn what_is_no_certificate() {
        assert_eq!(read("").unwrap(), []);
        assert_eq!(read("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n").unwrap(), []);
        assert!(read(&CA[..CA.len() - 40]).is_err());
        assert!(read("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
