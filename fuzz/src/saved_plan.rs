//! A saved plan: a file that somebody else may have written.

use rprov::plan::SealedPlan;
use rprov::plan::json::PlanV1;
use rprov::plan::saved::SavedPlan;
use rprov::script::lock::Holder;
use rprov::script::step;
use rprov::secret::SecretBook;
use rprov::step::Step;
use rprov::ui::plan_human;
use rprov::ui::style::Look;

pub fn one(data: &[u8]) {
    let text = super::text(data);
    let saved = match SavedPlan::parse(&text) {
        Ok(saved) => saved,
        Err(bad) => {
            assert!(bad.to_string().len() < 2_000, "{} bytes of message", bad.to_string().len());
            return;
        }
    };
    let written = saved.to_text().expect("a plan is JSON");
    assert_eq!(SavedPlan::parse(&written).as_ref(), Ok(&saved), "{written}");
    let plan = SealedPlan::saved(saved.plan.clone());
    super::assert_harmless(&plan_human::render(&plan, Look::plain(80)));
    super::assert_harmless(&plan_human::render(&plan, Look::plain(80).verbose(true)));
    serde_json::to_string(&PlanV1::from(&plan)).expect("a plan is JSON");
    let holder = Holder { run: "run", host: "host", who: "who", seat: "" };
    for host in saved.plan.hosts {
        for change in &host.changes {
            let steps: Vec<&Step> = change.steps.iter().filter(|step| !matches!(step, Step::Gitlab(_))).collect();
            steps.iter().for_each(|step| drop(step::shown(step)));
            if let Ok(script) = step::script(&steps, &holder, &SecretBook::default(), "n0") {
                assert!(!script.expose().contains('\0'), "a shell would cut the script here");
            }
        }
        let once = host.publishable();
        assert_eq!(once.clone().publishable(), once);
    }
}
