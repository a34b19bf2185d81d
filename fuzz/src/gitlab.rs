//! What GitLab answers, or whatever stands where GitLab should.

use rprov::gitlab::fuzzing;
use rprov::marker;

pub fn one(data: &[u8]) {
    for status in [400, 403, 404, 500] {
        let words = fuzzing::message(status, data);
        assert!(words.chars().count() <= 501, "{} characters of message", words.chars().count());
        assert!(!words.contains(char::is_control), "{words:?}");
    }
    fuzzing::others(data);
    let Some(record) = fuzzing::record(data) else { return };
    assert_eq!(record.id, 42);
    assert!(record.tag_list.is_sorted());
    let (note, mark) = marker::parse(&record.maintenance_note);
    if let Some(mark) = mark {
        // What is found is found again once it was written.
        let written = marker::compose(&note, &mark);
        assert_eq!(marker::parse(&written), (note, Some(mark)), "{written:?}");
    }
}
