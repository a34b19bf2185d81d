//! Whether what is there is still what was approved. gitlab-runner writes its config.toml itself: whenever it renews a
//! token, with all values as they were, in another order and without comments. That is no reason to do something else, and
//! none to fail: what is written then holds the tokens that were read last.

use crate::facts::{Facts, ProbeSpec};
use crate::plan::Change;
use crate::resource::Resource as _;
use crate::resource::runner::{self, Runners};
use crate::secret::{Secret, SecretBook, SecretId};
use crate::step::Step;

use super::Shared;
use super::carry_out::RunnerIds;
use super::exchange;
use super::target::Target;

/// Whether the same is to be done, and to the same, but for which bytes of config.toml are replaced.
pub(super) fn is_same(approved: &[Change], now: &[Change]) -> bool {
    approved.len() == now.len()
        && approved.iter().zip(now).all(|(approved, now)| approved == now || essence(approved) == essence(now))
}

/// What of a change counts: not why it is made, nor which line of the inventory asks for it, nor the digest of what it
/// replaces, if that is a file that the runner writes as well.
pub(super) fn essence(change: &Change) -> Change {
    let mut change = Change { reason: None, origin: None, ..change.clone() };
    if change.kind == runner::CONFIG_KIND {
        for step in &mut change.steps {
            match step {
                Step::WriteFile(file) if file.path.as_str() == change.name => {
                    // That there is one, or none, stays a difference.
                    file.replaces = file.replaces.take().map(|_| String::new());
                }
                _ => {}
            }
        }
    }
    change
}

/// A step that found another config.toml than was read: reads it once more. If it says what it said, but for what the
/// runner renewed, the step is made to replace this one, with its tokens. Tokens that GitLab gave during this run stay.
pub(super) async fn catch_up(target: &mut Target, shared: &Shared, step: &mut Step, given: &RunnerIds) -> bool {
    let Step::WriteFile(file) = step else { return false };
    let spec = target.spec(shared);
    let Some(runners) = Runners::new(spec, shared.inventory.gitlab.as_ref()) else { return false };
    if *runners.path() != file.path {
        return false;
    }
    let mut probe = ProbeSpec::default();
    runners.ask(&mut probe);
    let Some(host) = target.host.as_mut() else { return false };
    let Ok(Facts { paths, .. }) = exchange::read(host.as_mut(), &probe, &target.book, "", "").await else {
        return false;
    };
    let Some(rewritten) = runners.rewritten(&target.facts, paths) else { return false };
    renew(&mut target.book, rewritten.secrets, given);
    file.replaces = Some(rewritten.digest);
    target.facts = rewritten.facts;
    true
}

/// What the file says now is what will be written, but for what GitLab gave during this run: the file has that not yet.
fn renew(book: &mut SecretBook, read: Vec<(SecretId, Secret)>, given: &RunnerIds) {
    for (id, secret) in read {
        if !given.keys().any(|token| id.is_of_token(token)) {
            book.bind(id, secret);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::model::Owner;
    use crate::name::RemotePath;
    use crate::plan::{Action, Effect};
    use crate::secret::Late;
    use crate::step::WriteFile;
    use crate::text::Text;

    fn change(kind: &str, path: &str, replaces: Option<&str>, content: &str) -> Change {
        let step = Step::WriteFile(WriteFile {
            path: RemotePath::new(path).unwrap(),
            content: Text::plain(content),
            mode: 0o600,
            owner: Owner::default(),
            keep_previous: false,
            check: None,
            replaces: replaces.map(str::to_owned),
            restarts: None,
            displaces: None,
        });
        Change {
            kind: kind.to_owned(),
            name: "/srv/config.toml".to_owned(),
            action: Action::Change,
            reason: None,
            attrs: Vec::new(),
            text: None,
            effect: Effect::RunnerReload,
            service: None,
            origin: None,
            steps: vec![step],
        }
    }

    #[test]
    fn a_renewed_token_is_never_put_back_and_a_new_one_stays() {
        let token = |runner| SecretId::runner_token("ci", runner);
        let date = |runner| SecretId::late(Late::TokenObtainedAt, "ci", runner);
        let all = |word: &str| {
            let ids = [token("renewed"), date("renewed"), token("created"), date("created")];
            Vec::from_iter(ids.into_iter().map(|id| (id, Secret::new(word.to_owned()))))
        };
        let mut book = SecretBook::default();
        all("before").into_iter().for_each(|(id, secret)| book.bind(id, secret));
        renew(&mut book, all("in the file"), &RunnerIds::from([(token("created"), 42)]));
        let known = |id: SecretId| book.get(&id).map(|secret| secret.expose().to_owned()).unwrap_or_default();
        assert_eq!((known(token("renewed")), known(date("renewed"))), ("in the file".into(), "in the file".into()));
        assert_eq!((known(token("created")), known(date("created"))), ("before".into(), "before".into()));
    }

    #[test]
    fn only_the_runner_may_write_in_between_and_only_its_own_file() {
        let config = |replaces, content| vec![change(runner::CONFIG_KIND, "/srv/config.toml", replaces, content)];
        assert!(is_same(&config(Some("a"), "x"), &config(Some("b"), "x")));
        assert!(!is_same(&config(Some("a"), "x"), &config(Some("a"), "y")), "another content");
        assert!(!is_same(&config(Some("a"), "x"), &config(None, "x")), "the file is gone");
        assert!(!is_same(&config(None, "x"), &config(Some("a"), "x")), "a file has come");
        assert!(!is_same(&config(Some("a"), "x"), &[]), "nothing is left to do");
        let other = |replaces| vec![change("file", "/srv/config.toml", Some(replaces), "x")];
        assert!(!is_same(&other("a"), &other("b")), "another kind of file");
        let beside = |replaces| vec![change(runner::CONFIG_KIND, "/srv/other", Some(replaces), "x")];
        assert!(!is_same(&beside("a"), &beside("b")), "another file of the same change");
    }
}
