//! `rprov doctor`: says what would stop a run, and how to fix it. Changes nothing.

use crate::apply::Look;
use crate::desired::exam::{Examined, Level};
use crate::ui::{exam_human, exam_json};

use super::args::{DoctorArgs, Format, Global, HostArgs};
use super::console::Console;
use super::exit::Exit;
use super::{session, untrusted};

pub(super) async fn run(global: &Global, args: &DoctorArgs, console: &Console) -> Result<Exit, Exit> {
    untrusted::refuse_in_merge_request("rprov doctor", console)?;
    let limit = args.hosts.limit.iter().chain(&args.patterns).cloned().collect();
    let hosts = HostArgs { limit, ..args.hosts.clone() };
    let opened = session::look(global, &hosts, Look::Exam, console).await?;
    let examined = opened.session.examined().await;
    opened.session.close().await;
    match hosts.format {
        Format::Human => console.result(&exam_human::render(&examined, console.out))?,
        Format::Json => console.json(&exam_json::ExamV1::new(&examined))?,
    }
    let stops = |part: &Examined| part.findings.iter().any(|finding| finding.level == Level::Stops);
    Ok(if examined.iter().any(stops) { Exit::HostsFailed } else { Exit::Ok })
}
