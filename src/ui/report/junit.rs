//! A plan as test results: each host is a test, which fails if something would change there. Pure.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::plan::{HostPlan, Plan};
use crate::ui::plan_human;
use crate::ui::style::{Look, count, sanitize};

pub(super) fn render(plan: &Plan) -> Result<String, String> {
    let mut suite = TestSuite::new("rprov plan");
    for host in &plan.hosts {
        let mut case = TestCase::new(sanitize(&host.name).into_owned(), status(host));
        case.set_classname("rprov plan");
        suite.add_test_case(case);
    }
    let mut report = Report::new("rprov");
    report.add_test_suite(suite);
    report.to_string().map(|text| text + "\n").map_err(|error| error.to_string())
}

fn status(host: &HostPlan) -> TestCaseStatus {
    let (kind, message) = if host.failed() {
        let how = if host.held_back() { "held back by a problem" } else { "could not be planned" };
        (NonSuccessKind::Error, how.to_owned())
    } else if !host.blocked.is_empty() {
        (NonSuccessKind::Error, format!("{} blocked", count(host.blocked.len(), "thing")))
    } else if !host.changes.is_empty() {
        (NonSuccessKind::Failure, format!("{} to make", count(host.changes.len(), "change")))
    } else {
        return TestCaseStatus::success();
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_description(plan_human::render_host(host, Look::plain(super::markdown::WIDTH)));
    status
}
