//! What can be wrong with a server's certificate, and what to do about it: never to look away. No I/O.

use rustls::{AlertDescription, CertificateError as Bad, Error, InvalidMessage};

use super::pinned::Unfit;

/// What is wrong with a server's certificate, or with the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsTrouble {
    /// No authority that is trusted here has issued it.
    Issuer,
    /// It is for other names.
    Name,
    /// It has ended, or has not begun.
    Time,
    /// It is the certificate of an authority itself.
    Authority,
    /// It is of a form that no server's can have: version 1, or without names.
    Form,
    /// Whoever answers does not speak TLS.
    NoTls,
    /// It has a key, or speaks in a way, that this program does not know.
    Key,
    /// Something else.
    Other,
}

impl TlsTrouble {
    /// Reads the library's error.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(bad) => match bad {
                Bad::UnknownIssuer => Self::Issuer,
                Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Self::Name,
                Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                    Self::Time
                }
                Bad::Other(why) if why.0.downcast_ref::<Unfit>().is_some() => Self::Form,
                // rustls has no name of its own for it, and hands on what webpki says.
                Bad::Other(why) if matches!(why.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) => {
                    Self::Authority
                }
                _ => Self::Other,
            },
            Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity)
            | Error::PeerIncompatible(_) => Self::Key,
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NoTls,
            _ => Self::Other,
        }
    }

    /// What to do about it.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Issuer => {
                "if GitLab's certificate comes from a private CA, name that CA's certificate with `gitlab.ca_file`, or the \
                 server's own if it vouches for itself; `openssl s_client -showcerts -connect HOST:443` shows whose it is"
            }
            Self::Name => {
                "write one of the names that the certificate is for as `gitlab.url`, or have it made for this one"
            }
            Self::Time => "have GitLab's certificate renewed; if it is a good one, this machine's clock is wrong",
            Self::Authority => {
                "GitLab presents the certificate of an authority as its own (`CA:TRUE`): if it is GitLab's own, as `openssl req \
                 -x509` makes it, name exactly that one with `gitlab.ca_file`; else have one made for the server, signed by \
                 that authority"
            }
            Self::Form => {
                "have GitLab's certificate made anew, with `subjectAltName`: openssl req -x509 -newkey ec -pkeyopt \
                 ec_paramgen_curve:P-256 -nodes -days 825 -subj /CN=HOST -addext subjectAltName=DNS:HOST -keyout HOST.key -out \
                 HOST.crt; then name it with `gitlab.ca_file`"
            }
            Self::NoTls => "is `gitlab.url` right? What answers there does not speak TLS: another port, or http://",
            Self::Key => {
                "both sides know no way in common: most often the certificate's key is of a kind that few programs take (RSA-PSS, DSA, \
                 Ed448), or the server speaks nothing newer than TLS 1.1; `openssl s_client -connect HOST:443` shows it: have a \
                 certificate made with a usual RSA or ECDSA key (P-256, P-384)"
            }
            Self::Other => {
                "check GitLab's certificate and this machine's clock; `gitlab.ca_file` names the certificate of a private CA"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nobody_takes_is_no_matter_of_the_clock() {
        for error in [
            Error::AlertReceived(AlertDescription::HandshakeFailure),
            Error::AlertReceived(AlertDescription::InsufficientSecurity),
            Error::PeerIncompatible(rustls::PeerIncompatible::NoSignatureSchemesInCommon),
        ] {
            let trouble = TlsTrouble::of(&error);
            assert_eq!(trouble, TlsTrouble::Key);
            assert!(trouble.help().contains("RSA-PSS") && !trouble.help().contains("clock"));
        }
        assert_eq!(TlsTrouble::of(&Error::General("x".to_owned())), TlsTrouble::Other);
    }
}
