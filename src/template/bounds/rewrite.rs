//! Operators of a template in the form of filters, each on the line where it was: `a ~ b` as `((a)|rprov_concat(b))`. Pure.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::depth;

pub(in crate::template) const CONCAT: &str = "rprov_concat";
pub(in crate::template) const ADD: &str = "rprov_add";
pub(in crate::template) const TIMES: &str = "rprov_times";
pub(in crate::template) const PAID: &str = "rprov_paid";
/// Around what is compared.
pub(in crate::template) const WEIGHED: &str = "rprov_weighed";
/// Around what a namespace is to keep.
pub(in crate::template) const KEPT: &str = "rprov_kept";

/// A template that is fit to be rendered.
pub(in crate::template) struct Fit {
    pub(in crate::template) source: String,
    /// The longest text between two tags, in bytes.
    pub(in crate::template) longest: usize,
}

/// The template with its operators as filters. One that cannot be read stays as it is: the engine says why.
pub(in crate::template) fn rewrite(source: &str, syntax: &SyntaxConfig) -> Result<Fit, &'static str> {
    if depth::too_deep(source, syntax).is_some() {
        return Err(depth::TOO_DEEP);
    }
    let mut longest = 0;
    let mut marks = Vec::new();
    let mut operators = false;
    for token in tokenize(source, false, syntax.clone()) {
        let Ok((token, span)) = token else {
            return Ok(Fit { source: source.to_owned(), longest: source.len() });
        };
        let at = span.start_offset as usize;
        let mark = match token {
            Token::TemplateData(text) => {
                longest = longest.max(text.len());
                continue;
            }
            Token::Tilde => Mark::Concat,
            Token::Plus => Mark::Add,
            Token::Mul => Mark::Times,
            Token::Colon => {
                // Of a slice, perhaps.
                operators = true;
                continue;
            }
            // Of a tuple or a list, a comparison, an attribute of a namespace.
            Token::Comma | Token::Eq | Token::Ne | Token::Lt | Token::Lte | Token::Gt | Token::Gte | Token::Assign => {
                operators = true;
                continue;
            }
            Token::Ident("in") => {
                operators = true;
                continue;
            }
            Token::BracketOpen | Token::BraceOpen => {
                operators = true;
                Mark::Open
            }
            Token::ParenOpen => Mark::Open,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => Mark::Close,
            _ => continue,
        };
        operators |= !matches!(mark, Mark::Open | Mark::Close);
        marks.push((at, mark));
    }
    let same = || Fit { source: source.to_owned(), longest };
    if !operators {
        return Ok(same());
    }
    let Ok(template) = parse(source, "<template>", syntax.clone()) else { return Ok(same()) };
    let mut edits = Edits { marks, all: Vec::new(), lost: false };
    edits.statement(&template);
    let out = edits.applied(source);
    // What this does not understand is not rendered without bounds.
    match out.filter(|out| parse(out, "<template>", syntax.clone()).is_ok()) {
        Some(source) => Ok(Fit { source, longest }),
        None => Err("an expression in it is too involved; `{% set %}` makes several of one"),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Open,
    Close,
    Concat,
    Add,
    Times,
}

struct Edits {
    /// Operators and brackets, by where they stand.
    marks: Vec<(usize, Mark)>,
    /// Where, how many bytes go, and what comes.
    all: Vec<(usize, usize, String)>,
    /// An operator was not found.
    lost: bool,
}

impl Edits {
    fn applied(mut self, source: &str) -> Option<String> {
        if self.lost {
            return None;
        }
        // Those at one place stay in their order: what begins first ends last.
        self.all.sort_by_key(|(at, _, _)| *at);
        let mut out = String::with_capacity(source.len() * 2);
        let mut done = 0;
        for (at, gone, text) in &self.all {
            out.push_str(source.get(done..*at)?);
            out.push_str(text);
            done = at + gone;
        }
        out.push_str(source.get(done..)?);
        Some(out)
    }

    /// The operator of an expression: the last one of its kind that is not in brackets.
    fn operator(&self, from: usize, to: usize, kind: Mark) -> Option<usize> {
        let (mut depth, mut found) = (0_i32, None);
        for (at, mark) in self.marks.iter().filter(|(at, _)| (from..to).contains(at)) {
            match mark {
                Mark::Open => depth += 1,
                Mark::Close => depth -= 1,
                mark if *mark == kind && depth == 0 => found = Some(*at),
                _ => {}
            }
        }
        found
    }

    fn statements(&mut self, all: &[Stmt<'_>]) {
        all.iter().for_each(|one| self.statement(one));
    }

    fn expressions(&mut self, all: &[Expr<'_>]) {
        all.iter().for_each(|one| self.expression(one));
    }

    fn maybe(&mut self, one: Option<&Expr<'_>>) {
        if let Some(one) = one {
            self.expression(one);
        }
    }

    fn arguments(&mut self, all: &[CallArg<'_>]) {
        for one in all {
            match one {
                CallArg::Pos(one) | CallArg::Kwarg(_, one) | CallArg::PosSplat(one) | CallArg::KwargSplat(one) => {
                    self.expression(one);
                }
            }
        }
    }

    fn statement(&mut self, one: &Stmt<'_>) {
        match one {
            Stmt::Template(one) => self.statements(&one.children),
            Stmt::EmitExpr(one) => self.expression(&one.expr),
            Stmt::EmitRaw(_) => {}
            Stmt::ForLoop(one) => {
                self.expression(&one.iter);
                self.maybe(one.filter_expr.as_ref());
                self.statements(&one.body);
                self.statements(&one.else_body);
            }
            Stmt::IfCond(one) => {
                self.expression(&one.expr);
                self.statements(&one.true_body);
                self.statements(&one.false_body);
            }
            Stmt::WithBlock(one) => {
                one.assignments.iter().for_each(|(_, value)| self.expression(value));
                self.statements(&one.body);
            }
            Stmt::Set(one) if matches!(one.target, Expr::GetAttr(_)) => self.operand(&one.expr, KEPT),
            Stmt::Set(one) => self.expression(&one.expr),
            Stmt::SetBlock(one) => {
                self.maybe(one.filter.as_ref());
                self.statements(&one.body);
            }
            Stmt::AutoEscape(one) => {
                self.expression(&one.enabled);
                self.statements(&one.body);
            }
            Stmt::FilterBlock(one) => {
                self.expression(&one.filter);
                self.statements(&one.body);
            }
            Stmt::Block(one) => self.statements(&one.body),
            Stmt::Import(one) => self.expression(&one.expr),
            Stmt::FromImport(one) => self.expression(&one.expr),
            Stmt::Extends(one) => self.expression(&one.name),
            Stmt::Include(one) => self.expression(&one.name),
            Stmt::Macro(one) => {
                self.expressions(&one.defaults);
                self.statements(&one.body);
            }
            Stmt::CallBlock(one) => {
                self.expression(&one.call.expr);
                self.arguments(&one.call.args);
                self.expressions(&one.macro_decl.defaults);
                self.statements(&one.macro_decl.body);
            }
            Stmt::Do(one) => {
                self.expression(&one.call.expr);
                self.arguments(&one.call.args);
            }
        }
    }

    fn expression(&mut self, one: &Expr<'_>) {
        match one {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.all.push((first(one), 0, "((".to_owned()));
                self.expression(&slice.expr);
                [&slice.start, &slice.stop, &slice.step].into_iter().for_each(|part| self.maybe(part.as_ref()));
                self.all.push((slice.span().end_offset as usize, 0, format!(")|{PAID})")));
            }
            Expr::UnaryOp(one) => self.expression(&one.expr),
            Expr::BinOp(one) => {
                let (kind, filter) = match one.op {
                    BinOpKind::Concat => (Mark::Concat, CONCAT),
                    BinOpKind::Add => (Mark::Add, ADD),
                    BinOpKind::Mul => (Mark::Times, TIMES),
                    // One comparison alone is an operator like any other; more in a row are a `Compare`.
                    BinOpKind::Eq
                    | BinOpKind::Ne
                    | BinOpKind::Lt
                    | BinOpKind::Lte
                    | BinOpKind::Gt
                    | BinOpKind::Gte
                    | BinOpKind::In => {
                        self.operand(&one.left, WEIGHED);
                        return self.operand(&one.right, WEIGHED);
                    }
                    _ => {
                        self.expression(&one.left);
                        return self.expression(&one.right);
                    }
                };
                let (from, to) = (one.span().start_offset as usize, one.span().end_offset as usize);
                let Some(at) = self.operator(from, to, kind) else {
                    self.lost = true;
                    return;
                };
                self.all.push((from, 0, "((".to_owned()));
                self.expression(&one.left);
                self.all.push((at, 1, format!(")|{filter}(")));
                self.expression(&one.right);
                self.all.push((to, 0, "))".to_owned()));
            }
            Expr::Compare(one) => {
                self.operand(&one.expr, WEIGHED);
                one.ops.iter().for_each(|op| self.operand(&op.expr, WEIGHED));
            }
            Expr::IfExpr(one) => {
                self.expression(&one.true_expr);
                self.expression(&one.test_expr);
                self.maybe(one.false_expr.as_ref());
            }
            Expr::Filter(one) => {
                self.maybe(one.expr.as_ref());
                self.arguments(&one.args);
            }
            Expr::Test(one) => {
                self.expression(&one.expr);
                self.arguments(&one.args);
            }
            Expr::GetAttr(one) => self.expression(&one.expr),
            Expr::GetItem(one) => {
                self.expression(&one.expr);
                self.operand(&one.subscript_expr, WEIGHED);
            }
            Expr::Call(one) => {
                self.expression(&one.expr);
                self.arguments(&one.args);
            }
            Expr::List(list) => self.literal(one, &[&list.items]),
            Expr::Tuple(tuple) => self.literal(one, &[&tuple.items]),
            Expr::Map(map) => self.literal(one, &[&map.keys, &map.values]),
        }
    }

    /// A list or a map, which is weighed unless all of it is in the source.
    fn literal(&mut self, one: &Expr<'_>, parts: &[&[Expr<'_>]]) {
        let plain = parts.iter().all(|part| part.iter().all(|item| matches!(item, Expr::Const(_))));
        if !plain {
            self.all.push((one.span().start_offset as usize, 0, "((".to_owned()));
        }
        parts.iter().for_each(|part| self.expressions(part));
        if !plain {
            self.all.push((one.span().end_offset as usize, 0, format!(")|{PAID})")));
        }
    }

    /// A value that goes through a filter of ours first. One that an operator or a literal makes is paid for already.
    fn operand(&mut self, one: &Expr<'_>, filter: &str) {
        match one {
            Expr::IfExpr(one) => {
                self.operand(&one.true_expr, filter);
                self.expression(&one.test_expr);
                if let Some(other) = &one.false_expr {
                    self.operand(other, filter);
                }
            }
            Expr::BinOp(two) if matches!(two.op, BinOpKind::ScAnd | BinOpKind::ScOr) => {
                self.operand(&two.left, filter);
                self.operand(&two.right, filter);
            }
            Expr::Var(_) | Expr::Slice(_) | Expr::Filter(_) | Expr::GetAttr(_) | Expr::GetItem(_) | Expr::Call(_) => {
                self.all.push((first(one), 0, "((".to_owned()));
                self.expression(one);
                self.all.push((one.span().end_offset as usize, 0, format!(")|{filter})")));
            }
            _ => self.expression(one),
        }
    }
}

/// Where an expression begins. Of one in brackets it may be behind these: more brackets there are as good as before them.
fn first(one: &Expr<'_>) -> usize {
    match one {
        Expr::Slice(one) => first(&one.expr),
        Expr::GetAttr(one) => first(&one.expr),
        Expr::GetItem(one) => first(&one.expr),
        Expr::Call(one) => first(&one.expr),
        Expr::Filter(filter) => filter.expr.as_ref().map_or(one.span().start_offset as usize, first),
        Expr::Test(one) => first(&one.expr),
        Expr::Compare(one) => first(&one.expr),
        Expr::IfExpr(one) => first(&one.true_expr),
        Expr::BinOp(one) => first(&one.left),
        other => other.span().start_offset as usize,
    }
}
