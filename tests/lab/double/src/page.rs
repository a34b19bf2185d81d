//! Offset pagination with GitLab's headers. Knows nothing of what it pages.

use crate::params::Check;
use crate::reply::Reply;
use crate::request::Request;
use serde_json::Value;

/// One page of `items`, already in order.
pub(crate) fn page(request: &Request, items: Vec<Value>) -> Result<Reply, Reply> {
    let mut check = Check::new(&request.params);
    let number = check.integer("page").flatten().unwrap_or(1);
    let size = check.integer("per_page").flatten().unwrap_or(20);
    if number < 1 {
        check.fault("page does not have a valid value");
    }
    if size == 0 {
        check.fault("per_page has a value not allowed");
    } else if size < 0 {
        check.fault("per_page does not have a valid value");
    }
    check.finish()?;
    let size = usize::try_from(size).unwrap_or(1).min(100);
    let number = usize::try_from(number).unwrap_or(1);
    let total = items.len();
    let pages = total.div_ceil(size).max(1);
    let next = (number < pages).then_some(number + 1);
    let prev = (number > 1 && number <= pages).then(|| number - 1);
    let shown: Vec<Value> = items.into_iter().skip((number - 1).saturating_mul(size)).take(size).collect();
    let text = |n: Option<usize>| n.map_or(String::new(), |n| n.to_string());
    let mut links: Vec<String> = Vec::new();
    for (rel, target) in [("prev", prev), ("next", next), ("first", Some(1)), ("last", Some(pages))] {
        links.extend(target.map(|n| format!("<{}>; rel=\"{rel}\"", href(request, n, size))));
    }
    Ok(Reply::json(200, Value::Array(shown))
        .with("X-Per-Page", size.to_string())
        .with("X-Page", number.to_string())
        .with("X-Next-Page", text(next))
        .with("X-Prev-Page", text(prev))
        .with("X-Total", total.to_string())
        .with("X-Total-Pages", pages.to_string())
        .with("Link", links.join(", ")))
}

/// The address of another page: the same query with other numbers.
fn href(request: &Request, number: usize, size: usize) -> String {
    let own = |p: &&str| !["page", "per_page", "private_token"].contains(&p.split('=').next().unwrap_or_default());
    let mut query: Vec<String> =
        request.query.split('&').filter(|p| !p.is_empty()).filter(own).map(str::to_owned).collect();
    query.push(format!("page={number}"));
    query.push(format!("per_page={size}"));
    query.sort();
    format!("{}{}?{}", request.origin, request.path, query.join("&"))
}
