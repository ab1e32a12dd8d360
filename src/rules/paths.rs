//! What an expression looks at: for people who ask why it holds or not.
//!
//! Floor: rooms. Never evaluates anything.

use super::strict::beginning;
use minijinja::machinery::ast::Expr;
use minijinja::machinery::parse_expr;

/// The fields and names that an expression looks at, as written, each once: `payload.total`.
pub(super) fn paths(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    if let Ok(expr) = parse_expr(source) {
        collect(&expr, source, &mut found);
    }
    found
}

fn collect<'s>(expr: &Expr<'_>, source: &'s str, found: &mut Vec<&'s str>) {
    let mut each = |inner: &Expr<'_>| collect(inner, source, found);
    match expr {
        Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => {
            let path = source.get(beginning(expr) as usize..expr.span().end_offset as usize).unwrap_or_default();
            if !path.is_empty() && !found.contains(&path) {
                found.push(path);
            }
        }
        Expr::UnaryOp(unary) => each(&unary.expr),
        Expr::BinOp(binary) => {
            each(&binary.left);
            each(&binary.right);
        }
        Expr::Compare(compare) => {
            each(&compare.expr);
            compare.ops.iter().for_each(|next| each(&next.expr));
        }
        Expr::IfExpr(choice) => {
            each(&choice.test_expr);
            each(&choice.true_expr);
            choice.false_expr.iter().for_each(each);
        }
        Expr::Filter(filter) => filter.expr.iter().for_each(each),
        Expr::Test(test) => each(&test.expr),
        Expr::Slice(slice) => each(&slice.expr),
        Expr::List(list) => list.items.iter().for_each(each),
        Expr::Tuple(tuple) => tuple.items.iter().for_each(each),
        Expr::Const(_) | Expr::Map(_) | Expr::Call(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_are_found_in_every_kind_of_expression() {
        #[rustfmt::skip]
        let table: &[(&str, &[&str])] = &[
            ("payload.total > 0 and till == '3'", &["payload.total", "till"]),
            ("payload.a.b[0]['c'] + payload.a.b[0]['c'] > 1", &["payload.a.b[0]['c']"]),
            ("not (payload.x is defined) or payload.y | default(5) < 3", &["payload.x", "payload.y"]),
            ("0 < payload.n < payload.m", &["payload.n", "payload.m"]),
            ("payload.a if payload.b else payload.c", &["payload.b", "payload.a", "payload.c"]),
            ("payload.s in ['a', topic]", &["payload.s", "topic"]),
            ("payload.total >", &[]),
        ];
        for (source, expected) in table {
            assert_eq!(super::paths(source), *expected, "{source}");
        }
    }
}
