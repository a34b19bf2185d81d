//! `rprov doctor`: asks a host and GitLab what a plan has no need to know. Changes nothing.

use std::time::Duration;

use crate::desired::exam::{self, Finding, Token};
use crate::desired::rights;
use crate::facts::Facts;
use crate::gitlab::{Client, GitlabError};
use crate::host::Limits;
use crate::plan::{HostPlan, Problem};
use crate::script::exam as script;

use super::target::Target;
use super::{Shared, exchange, records};

/// Each place may take 15 s.
const LONGEST: Duration = Duration::from_secs(180);

/// What is found on a host that has just been read.
pub(super) async fn host(target: &mut Target, shared: &Shared, plan: &HostPlan, facts: &Facts) -> Vec<Finding> {
    let spec = target.spec(shared);
    let questions = exam::questions(spec, shared.inventory.gitlab.as_ref());
    let nonce = exchange::nonce();
    let limits = Limits { time: LONGEST, ..Limits::default() };
    let Some(connection) = target.host.as_mut() else { return Vec::new() };
    let before = jiff::Timestamp::now().as_second();
    let reply = connection.run(&script::script(&questions, &nonce), limits, &mut |_| {}).await;
    let after = jiff::Timestamp::now().as_second();
    let problem =
        |message: String, help| vec![Finding::stops("reading", &Problem { message, help, unknown_only: false })];
    let answers = match reply {
        Ok(reply) => match script::parse(&questions, &reply.stdout, &nonce) {
            Ok(answers) => answers,
            Err(error) => return problem(target.book.clear(&error.to_string()), None),
        },
        Err(error) => return problem(target.book.clear(&error.to_string()), error.help()),
    };
    // Its clock was read somewhere between.
    let apart = if answers.clock < before { answers.clock - before } else { (answers.clock - after).max(0) };
    exam::host(spec, plan, facts, &questions, &answers, apart)
}

/// What is found of GitLab and of the token.
pub(super) async fn gitlab(shared: &Shared, client: &Result<Client, Problem>) -> Vec<Finding> {
    let client = match client {
        Ok(client) => client,
        Err(problem) => return vec![Finding::stops("token", problem)],
    };
    if let Err(error) = client.try_token().await {
        let mut problem = records::problem(&error);
        let names_it = matches!(error, GitlabError::TokenRefused { .. });
        if let Some(gitlab) = shared.inventory.gitlab.as_ref().filter(|_| !names_it) {
            problem.message.truncate(problem.message.trim_end_matches('.').len());
            problem.message += &format!(", with the token of {}", gitlab.api_token.as_str());
        }
        return vec![Finding::stops("token", &problem)];
    }
    let places = rights::places(&rights::of_inventory(&shared.inventory));
    let (rights, version, notes) = tokio::join!(client.rights(&places), client.known_version(), records::notes(shared));
    exam::gitlab(&shared.inventory, &Token { rights, version, notes })
}
