//! How a runner's token begins, as GitLab tells it of each runner (`shortSha` in GraphQL): whether a token of a host can be
//! that runner's, found out without using the token. No I/O.
//!
//! GitLab shows eight characters (nine in some releases), counted from behind what it takes for the fixed beginning of the
//! token. Which that is differs: `glrt-` of runners made by a user, nothing of registered ones (whose tokens begin with
//! `glrtr-` today), with or without the kind of runner (`t1_`), with or without the instance's own prefix. So every place within
//! the fixed beginning is tried, and what counts is how many of the characters that agree were drawn by lot.

use super::Secret;

/// Characters drawn by lot that must agree: one of a billion other tokens has the same five.
const ENOUGH: usize = 5;
/// Characters that GitLab shows.
const SHOWN: usize = 8;
/// More than any prefix that GitLab puts before a token.
const LONGEST_PREFIX: usize = 64;

/// What GitLab shows of a runner's token. Part of a secret, so it is one.
#[derive(Debug, Clone)]
pub struct TokenStart(Secret);

/// Whether a token begins so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It is another one.
    No,
    /// It does, and so do others: the characters shown are not random ones, or too few. A token of GitLab's that says where it is
    /// to be routed begins with that.
    Weak,
    /// It does, and hardly another one does.
    Yes,
}

impl TokenStart {
    /// `None`: GitLab shows nothing.
    #[must_use]
    pub fn new(shown: String) -> Option<Self> {
        (!shown.is_empty()).then(|| Self(Secret::new(shown)))
    }

    /// As GitLab shows it of this token.
    #[must_use]
    pub fn of(token: &Secret) -> Option<Self> {
        let token = token.expose();
        Self::new(token.get(fixed(token)..)?.chars().take(SHOWN).collect())
    }

    /// Whether a token can be the one.
    #[must_use]
    pub fn fits(&self, token: &Secret) -> Fit {
        let (shown, token) = (self.0.expose(), token.expose());
        let fixed = fixed(token);
        // The first place is the one that tells least.
        let place = (0..=fixed).rev().find(|at| token.get(*at..).is_some_and(|rest| rest.starts_with(shown)));
        let Some(place) = place else { return Fit::No };
        let random = (place + shown.len()).saturating_sub(fixed);
        // The payload of a routable token comes first, its length and a checksum behind a dot.
        let routable = token.get(fixed..).is_some_and(|rest| rest.contains('.'));
        if random >= ENOUGH && !routable { Fit::Yes } else { Fit::Weak }
    }
}

/// How long the beginning is that says of what kind a token is.
fn fixed(token: &str) -> usize {
    let kind = |word: &str| {
        let at = token.find(word).filter(|at| *at <= LONGEST_PREFIX)?;
        Some(at + word.len())
    };
    let at = kind("glrt-").or_else(|| kind("glrtr-")).unwrap_or(0);
    let typed = token.as_bytes().get(at..at + 3).is_some_and(|it| matches!(it, [b't', b'0'..=b'9', b'_']));
    if typed { at + 3 } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(shown: &str, token: &str) -> Fit {
        TokenStart::new(shown.to_owned()).unwrap().fits(&Secret::new(token.to_owned()))
    }

    #[test]
    fn every_form_of_token_and_of_what_is_shown() {
        for (shown, token) in [
            // Made by a user, 15.10 to 17.4: nine characters.
            ("ABCDEFGHI", "glrt-ABCDEFGHIJKLMNOPQRST"),
            // With the kind of runner, and what is shown leaves it out.
            ("ABCDEFGH", "glrt-t1_ABCDEFGHIJKLMNOPQRST"),
            // A release in between shows the kind too: six are left.
            ("t3_ABCDEF", "glrt-t3_ABCDEFGHIJKLMNOPQRST"),
            // The instance's own prefix, skipped or not.
            ("ABCDEFGH", "acme-glrt-t1_ABCDEFGHIJKLMNOPQRST"),
            ("glrt-t1_ABCDE", "acme-glrt-t1_ABCDEFGHIJKLMNOPQRST"),
            // Registered.
            ("ABCDEFGH", "ABCDEFGHIJKLMNOPQRST"),
            ("ABCDEFGH", "t2_ABCDEFGHIJKLMNOPQRST"),
            ("ABCDEFGH", "glrtr-ABCDEFGHIJKLMNOPQRST"),
        ] {
            assert_eq!(fit(shown, token), Fit::Yes, "{token}");
            assert_eq!(fit(shown, &token.replace("ABCDEF", "ABCDXF")), Fit::No, "{token}");
        }
        assert!(TokenStart::new(String::new()).is_none());
        assert_eq!(fit("ABCDEFGH", ""), Fit::No);
        assert_eq!(fit("ABCDEFGH", "glrt-ABC"), Fit::No);
        assert_eq!(fit("äbcdefgh", "glrt-äöü"), Fit::No);
    }

    #[test]
    fn what_is_made_of_a_token_fits_it() {
        for token in ["glrt-t1_ABCDEFGHIJKLMNOPQRST", "acme-glrt-ABCDEFGHIJKLMNOPQRST", "ABCDEFGHIJKLMNOPQRST"] {
            let start = TokenStart::of(&Secret::new(token.to_owned())).unwrap();
            assert_eq!(start.fits(&Secret::new(token.to_owned())), Fit::Yes, "{token}");
            assert_eq!(start.fits(&Secret::new(token.replace("ABC", "ABX"))), Fit::No, "{token}");
        }
        let token = "glrt-YzoxCmc6YQpvOjEKdTox9Jk3kz8bT0mXq1c5dY0Vxw.01.121abcdefg";
        let start = TokenStart::of(&Secret::new(token.to_owned())).unwrap();
        assert_eq!(start.fits(&Secret::new(token.to_owned())), Fit::Weak);
        assert!(TokenStart::of(&Secret::new("glrt-".to_owned())).is_none());
    }

    #[test]
    fn what_many_tokens_begin_with_proves_nothing() {
        // As GitLab shows a registered runner's whose token has the newer prefix.
        assert_eq!(fit("glrtr-t1", "glrtr-t1_ABCDEFGHIJKLMNOPQRST"), Fit::Weak);
        assert_eq!(fit("glrtr-AB", "glrtr-ABCDEFGHIJKLMNOPQRST"), Fit::Weak);
        // Routable: `c:1`, `g:a`, `o:1` in base64 come first.
        let token = "glrt-YzoxCmc6YQpvOjEKdTox9Jk3kz8bT0mXq1c5dY0Vxw.01.121abcdefg";
        assert_eq!(fit("YzoxCmc6", token), Fit::Weak);
        assert_eq!(fit("YzoxCmc7", token), Fit::No);
        // The middle of a token is no beginning.
        assert_eq!(fit("EFGHIJKL", "glrt-t1_ABCDEFGHIJKLMNOPQRST"), Fit::No);
    }

    #[test]
    fn it_is_never_shown() {
        assert!(!format!("{:?}", TokenStart::new("ABCDEFGH".to_owned())).contains("ABC"));
    }
}
