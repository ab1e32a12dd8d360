//! Makes MiniJinja strict: reads an expression or template, checks every name, and writes it again with each
//! comparison, sum, filter, condition and output going through a guard (see `guard`).
//!
//! Floor: rooms. Never evaluates anything. As MiniJinja comes, `null < 40` is true and `'x' * 50000000` takes 50 MB.

use minijinja::machinery::ast::{BinOpKind, CallArg, Compare, CompareOpKind, Expr, Stmt, UnaryOpKind};
use minijinja::machinery::{Span, parse, parse_expr};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use std::fmt::Write;

/// Filters that may be used.
pub(super) const FILTERS: [&str; 22] = [
    "default",
    "d",
    "upper",
    "lower",
    "title",
    "capitalize",
    "trim",
    "replace",
    "length",
    "count",
    "round",
    "int",
    "float",
    "abs",
    "first",
    "last",
    "join",
    "money",
    "date",
    "duration",
    "first_name",
    "digits",
];
/// Tests that may be used; those that compare have operators.
pub(super) const TESTS: [&str; 15] = [
    "defined",
    "undefined",
    "none",
    "string",
    "number",
    "integer",
    "float",
    "boolean",
    "true",
    "false",
    "sequence",
    "mapping",
    "startingwith",
    "endingwith",
    "empty",
];
/// Bytes that a rewritten text may have; only a chain of nested chains gets there.
const WRITTEN: usize = 128 * 1024;

/// How missing fields count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// `when`, `opt_in`: missing is false.
    Expression,
    /// Everything else: missing is an error unless `| default(...)`.
    Text,
}

/// What is wrong with a text, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    pub(super) message: String,
    pub(super) fix: String,
    pub(super) at: Option<(usize, usize)>,
}

/// The strict form of `source`, or everything that is wrong with it. `names` are in scope.
pub(super) fn rewrite(source: &str, mode: Mode, names: &[&str]) -> Result<String, Vec<Finding>> {
    let mut writer = Writer { mode, names, locals: Vec::new(), findings: Vec::new(), guard: true };
    let mut out = String::new();
    match mode {
        Mode::Expression => match parse_expr(source) {
            Ok(expr) => {
                let place = writer.plain(&expr);
                out.push_str("{{ VERDICT(");
                writer.expr(&expr, &mut out);
                let _ = write!(out, ", {place}) }}}}");
            }
            Err(error) => writer.unreadable(&error),
        },
        Mode::Text => match parse(source, "text", SyntaxConfig::default()) {
            Ok(Stmt::Template(template)) => writer.statements(&template.children, &mut out),
            Ok(_) => writer.find(Span::default(), "it cannot be read", "write text with {{ … }}"),
            Err(error) => writer.unreadable(&error),
        },
    }
    if out.len() > WRITTEN {
        writer.find(Span::default(), "it is too intricate", "split the rule in two");
    }
    if writer.findings.is_empty() { Ok(out) } else { Err(writer.findings) }
}

struct Writer<'s> {
    mode: Mode,
    names: &'s [&'s str],
    locals: Vec<String>,
    findings: Vec<Finding>,
    /// Off while writing for people.
    guard: bool,
}

impl Writer<'_> {
    fn find(&mut self, span: Span, message: impl Into<String>, fix: impl Into<String>) {
        if self.guard {
            let at =
                (span.end_offset > span.start_offset).then_some((span.start_offset as usize, span.end_offset as usize));
            self.findings.push(Finding { message: message.into(), fix: fix.into(), at });
        }
    }

    fn unreadable(&mut self, error: &minijinja::Error) {
        let message = error.detail().unwrap_or("it cannot be read").to_owned();
        let fix = "look for a quote, bracket or brace that is left open".to_owned();
        self.findings.push(Finding { message, fix, at: error.range().map(|range| (range.start, range.end)) });
    }

    /// Where the expression stands and how a person wrote it, as a quoted literal for the guards' messages.
    fn plain(&mut self, expr: &Expr<'_>) -> String {
        self.plain_at(expr, expr.span().end_offset)
    }

    /// As [`plain`](Self::plain), of a place that goes on to `end`.
    fn plain_at(&mut self, expr: &Expr<'_>, end: u32) -> String {
        let guard = std::mem::replace(&mut self.guard, false);
        let mut text = String::new();
        self.expr(expr, &mut text);
        self.guard = guard;
        place(beginning(expr), end, &text)
    }

    fn statements(&mut self, statements: &[Stmt<'_>], out: &mut String) {
        for statement in statements {
            self.statement(statement, out);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>, out: &mut String) {
        match statement {
            Stmt::EmitRaw(raw) => {
                let _ = write!(out, "{{{{ {} }}}}", quoted(raw.raw));
            }
            Stmt::EmitExpr(emit) => {
                let place = self.plain(&emit.expr);
                out.push_str("{{ TEXT(");
                self.expr(&emit.expr, out);
                let _ = write!(out, ", {place}) }}}}");
            }
            Stmt::IfCond(cond) => {
                out.push_str("{% if ");
                self.truth(&cond.expr, out);
                out.push_str(" %}");
                self.statements(&cond.true_body, out);
                out.push_str("{% else %}");
                self.statements(&cond.false_body, out);
                out.push_str("{% endif %}");
            }
            Stmt::ForLoop(each) if !each.recursive => {
                let targets: Vec<String> = match &each.target {
                    // Capitals are the guards' own names.
                    Expr::Var(var) if !var.id.contains(|letter: char| letter.is_ascii_uppercase()) => {
                        vec![var.id.to_owned()]
                    }
                    other => {
                        self.find(
                            other.span(),
                            "the loop's name is not one word in small letters",
                            "write {% for item in … %}",
                        );
                        Vec::new()
                    }
                };
                let place = self.plain(&each.iter);
                let _ = write!(out, "{{% for {} in LIST(", targets.join(", "));
                self.expr(&each.iter, out);
                let _ = write!(out, ", {place})");
                let depth = self.locals.len();
                self.locals.extend(targets);
                self.locals.push("loop".into());
                if let Some(only) = &each.filter_expr {
                    out.push_str(" if ");
                    self.truth(only, out);
                }
                out.push_str(" %}");
                self.statements(&each.body, out);
                self.locals.truncate(depth);
                out.push_str("{% else %}");
                self.statements(&each.else_body, out);
                out.push_str("{% endfor %}");
            }
            other => self.find(
                span_of(other),
                "only {{ … }}, {% if %} and {% for %} may be used",
                "take out set, with, filter, macro, include and other blocks",
            ),
        }
    }

    /// A condition: true, false or, in an expression, missing.
    fn truth(&mut self, expr: &Expr<'_>, out: &mut String) {
        if !self.guard {
            return self.expr(expr, out);
        }
        let place = self.plain(expr);
        let _ = write!(out, "BOOL({}, ", self.strict());
        self.expr(expr, out);
        let _ = write!(out, ", {place})");
    }

    fn strict(&self) -> bool {
        self.mode == Mode::Text
    }

    fn expr(&mut self, expr: &Expr<'_>, out: &mut String) {
        match expr {
            Expr::Var(var) => {
                self.name(var.id, var.span());
                out.push_str(var.id);
            }
            Expr::Const(constant) => out.push_str(&literal(&constant.value)),
            Expr::GetAttr(attr) => {
                self.inner(&attr.expr, out);
                let _ = write!(out, ".{}", attr.name);
            }
            Expr::GetItem(item) => {
                self.inner(&item.expr, out);
                out.push('[');
                self.expr(&item.subscript_expr, out);
                out.push(']');
            }
            Expr::Slice(slice) => {
                self.inner(&slice.expr, out);
                out.push('[');
                for (index, part) in [&slice.start, &slice.stop, &slice.step].into_iter().enumerate() {
                    if index == 1 || (index == 2 && part.is_some()) {
                        out.push(':');
                    }
                    if let Some(part) = part {
                        self.expr(part, out);
                    }
                }
                out.push(']');
            }
            Expr::UnaryOp(unary) => match (&unary.op, &unary.expr) {
                (UnaryOpKind::Not, Expr::BinOp(inner)) if matches!(inner.op, BinOpKind::In) => {
                    self.comparison("not in", &inner.left, &inner.right, out);
                }
                (UnaryOpKind::Not, inner) => {
                    out.push_str("(not ");
                    self.truth(inner, out);
                    out.push(')');
                }
                (UnaryOpKind::Neg, Expr::Const(constant)) => {
                    let _ = write!(out, "-{}", literal(&constant.value));
                }
                (UnaryOpKind::Neg, inner) => self.guarded("ARITH", "-", &[inner], out),
            },
            Expr::BinOp(binary) => self.binary(&binary.op, &binary.left, &binary.right, out),
            Expr::Compare(compare) => self.chain(compare, out),
            Expr::IfExpr(choice) => {
                out.push('(');
                self.expr(&choice.true_expr, out);
                out.push_str(" if ");
                self.truth(&choice.test_expr, out);
                if let Some(otherwise) = &choice.false_expr {
                    out.push_str(" else ");
                    self.expr(otherwise, out);
                }
                out.push(')');
            }
            Expr::Filter(filter) => self.filter(filter.name, filter.expr.as_ref(), &filter.args, filter.span(), out),
            Expr::Test(test) => self.test(test.name, &test.expr, &test.args, test.span(), out),
            Expr::List(list) => self.items("[", &list.items, "]", out),
            Expr::Tuple(tuple) => self.items("[", &tuple.items, "]", out),
            Expr::Map(map) => {
                self.find(map.span(), "a table {…} cannot be written here", "compare with a list […] or single values");
            }
            Expr::Call(call) => {
                self.expr(&call.expr, out);
                out.push_str("(…)");
                let whole = Span { start_offset: beginning(expr), ..call.span() };
                self.find(whole, "nothing can be called here", format!("use a filter: {}", FILTERS.join(", ")));
            }
        }
    }

    /// What stands before `.name` or `[…]`.
    fn inner(&mut self, expr: &Expr<'_>, out: &mut String) {
        let simple = matches!(expr, Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_));
        out.push_str(if simple { "" } else { "(" });
        self.expr(expr, out);
        out.push_str(if simple { "" } else { ")" });
    }

    fn items(&mut self, open: &str, items: &[Expr<'_>], close: &str, out: &mut String) {
        out.push_str(open);
        for (index, item) in items.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { ", " });
            self.expr(item, out);
        }
        out.push_str(close);
    }

    fn name(&mut self, name: &str, span: Span) {
        if self.names.contains(&name) || self.locals.iter().any(|local| local == name) {
            return;
        }
        let near = (self.names.iter()).filter(|known| strsim::damerau_levenshtein(name, known) <= 2);
        let near = near.min_by_key(|known| strsim::damerau_levenshtein(name, known));
        let fix = match (near, name) {
            (Some(near), _) => format!("did you mean {near}?"),
            (None, "person") => "who it is for is not known yet here; use payload".into(),
            (None, _) => format!("there are: {}", self.names.join(", ")),
        };
        self.find(span, format!("{name} is not known here"), fix);
    }

    fn binary(&mut self, op: &BinOpKind, left: &Expr<'_>, right: &Expr<'_>, out: &mut String) {
        match op {
            BinOpKind::ScAnd | BinOpKind::ScOr => {
                out.push('(');
                self.truth(left, out);
                out.push_str(if matches!(op, BinOpKind::ScAnd) { " and " } else { " or " });
                self.truth(right, out);
                out.push(')');
            }
            BinOpKind::Eq => self.comparison("==", left, right, out),
            BinOpKind::Ne => self.comparison("!=", left, right, out),
            BinOpKind::Lt => self.comparison("<", left, right, out),
            BinOpKind::Lte => self.comparison("<=", left, right, out),
            BinOpKind::Gt => self.comparison(">", left, right, out),
            BinOpKind::Gte => self.comparison(">=", left, right, out),
            BinOpKind::In => self.comparison("in", left, right, out),
            BinOpKind::Add => self.guarded("ARITH", "+", &[left, right], out),
            BinOpKind::Sub => self.guarded("ARITH", "-", &[left, right], out),
            BinOpKind::Mul => self.guarded("ARITH", "*", &[left, right], out),
            BinOpKind::Div => self.guarded("ARITH", "/", &[left, right], out),
            BinOpKind::FloorDiv => self.guarded("ARITH", "//", &[left, right], out),
            BinOpKind::Rem => self.guarded("ARITH", "%", &[left, right], out),
            BinOpKind::Pow => self.guarded("ARITH", "**", &[left, right], out),
            BinOpKind::Concat => self.guarded("CONCAT", "~", &[left, right], out),
        }
    }

    fn comparison(&mut self, op: &str, left: &Expr<'_>, right: &Expr<'_>, out: &mut String) {
        self.guarded("CMP", op, &[left, right], out);
    }

    /// `a < b < c` is `a < b and b < c`.
    fn chain(&mut self, compare: &Compare<'_>, out: &mut String) {
        let mut left = &compare.expr;
        out.push('(');
        for (index, next) in compare.ops.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { " and " });
            if out.len() > WRITTEN {
                break;
            }
            self.comparison(compare_sign(next.op), left, &next.expr, out);
            left = &next.expr;
        }
        out.push(')');
    }

    /// `guard(strict, "op", place, operands…)`, or for people `a op b`.
    fn guarded(&mut self, guard: &str, op: &str, operands: &[&Expr<'_>], out: &mut String) {
        if !self.guard {
            out.push('(');
            for (index, operand) in operands.iter().enumerate() {
                if index > 0 || operands.len() == 1 {
                    let _ = write!(out, " {op} ");
                }
                self.expr(operand, out);
            }
            return out.push(')');
        }
        self.guard = false;
        let mut text = String::new();
        self.guarded(guard, op, operands, &mut text);
        self.guard = true;
        let start = operands.first().map_or(0, |first| beginning(first));
        let end = operands.last().map_or(0, |last| last.span().end_offset);
        let place = place(start, end, text.trim_matches(['(', ')', ' ']));
        let _ = write!(out, "{guard}({}, {}, {place}", self.strict(), quoted(op));
        for operand in operands {
            out.push_str(", ");
            self.expr(operand, out);
        }
        out.push(')');
    }

    fn filter(&mut self, name: &str, on: Option<&Expr<'_>>, args: &[CallArg<'_>], span: Span, out: &mut String) {
        self.allowed("filter", name, &FILTERS, span);
        let Some(on) = on else { return };
        if !self.guard {
            self.expr(on, out);
            let _ = write!(out, " | {name}");
            return;
        }
        let place = self.plain_at(on, span.end_offset);
        let _ = write!(out, "FILTER({}, {}, {place}, ", self.strict(), quoted(name));
        self.expr(on, out);
        self.arguments(args, span, out);
    }

    fn test(&mut self, name: &str, on: &Expr<'_>, args: &[CallArg<'_>], span: Span, out: &mut String) {
        self.allowed("test", name, &TESTS, span);
        if !self.guard {
            self.expr(on, out);
            let _ = write!(out, " is {name}");
            return;
        }
        let place = self.plain_at(on, span.end_offset);
        let _ = write!(out, "TEST({}, {place}, ", quoted(name));
        self.expr(on, out);
        self.arguments(args, span, out);
    }

    fn arguments(&mut self, args: &[CallArg<'_>], span: Span, out: &mut String) {
        for arg in args {
            out.push_str(", ");
            match arg {
                CallArg::Pos(expr) => self.expr(expr, out),
                _ => self.find(span, "arguments have no names here", "write the value alone: round(2)"),
            }
        }
        out.push(')');
    }

    fn allowed(&mut self, what: &str, name: &str, known: &[&str], span: Span) {
        if !known.contains(&name) {
            let near = known.iter().max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
            let fix = match near.filter(|near| strsim::jaro(name, near) > 0.8) {
                Some(near) => format!("did you mean {near}?"),
                None if what == "test" => "compare with == != < <= > >= in".into(),
                None => format!("there are: {}", known.join(", ")),
            };
            self.find(span, format!("there is no {what} {name}"), fix);
        }
    }
}

/// Where an expression begins: a filter's or a test's own span begins at its name.
pub(super) fn beginning(expr: &Expr<'_>) -> u32 {
    let inner = match expr {
        Expr::Filter(filter) => filter.expr.as_ref(),
        Expr::Test(test) => Some(&test.expr),
        Expr::GetAttr(attr) => Some(&attr.expr),
        Expr::GetItem(item) => Some(&item.expr),
        Expr::BinOp(binary) => Some(&binary.left),
        Expr::Call(call) => Some(&call.expr),
        _ => None,
    };
    let own = expr.span().start_offset;
    inner.map_or(own, |inner| beginning(inner).min(own))
}

/// A quoted literal that says where something stands (bytes of the text) and what it is.
fn place(start: u32, end: u32, text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    quoted(&format!("{start}-{end} {short}"))
}

/// A statement's place.
fn span_of(statement: &Stmt<'_>) -> Span {
    match statement {
        Stmt::ForLoop(each) => each.span(),
        Stmt::WithBlock(with) => with.span(),
        Stmt::Set(set) => set.span(),
        Stmt::SetBlock(set) => set.span(),
        Stmt::AutoEscape(escape) => escape.span(),
        Stmt::FilterBlock(filter) => filter.span(),
        Stmt::Do(call) => call.span(),
        _ => Span::default(),
    }
}

fn compare_sign(op: CompareOpKind) -> &'static str {
    match op {
        CompareOpKind::Eq => "==",
        CompareOpKind::Ne => "!=",
        CompareOpKind::Lt => "<",
        CompareOpKind::Lte => "<=",
        CompareOpKind::Gt => ">",
        CompareOpKind::Gte => ">=",
        CompareOpKind::In => "in",
        CompareOpKind::NotIn => "not in",
    }
}

/// A string literal: JSON's escapes are MiniJinja's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn literal(value: &Value) -> String {
    match value.kind() {
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::None => "none".into(),
        ValueKind::Bool => value.is_true().to_string(),
        _ => value.to_string(),
    }
}
