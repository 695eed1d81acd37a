//! What a template may be made of: variables, conditions and a few filters. The rest of Jinja computes, and what
//! computes can be written so that it takes all memory (`{{ "x"|indent(10 ** 15) }}`, a text doubled forty times), which
//! ends the process. Fuel counts steps, not what one step makes; so whatever can make more than is written is refused.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt, UnaryOpKind};
use minijinja::machinery::parse;

/// Filters whose result is never longer than a small multiple of what they are given.
const FILTERS: &[&str] = &["upper", "lower", "title", "capitalize", "trim", "default", "length"];
/// Tests that ask only whether there is a value.
const TESTS: &[&str] = &["defined", "undefined"];
/// Parts within parts: the compiler calls itself for each, on a stack that ends.
const MAX_DEPTH: usize = 40;

/// Why a template is not of this language.
pub(super) enum Refused {
    /// It is not Jinja.
    Syntax(minijinja::Error),
    /// It is, and more than a reply needs.
    Beyond(&'static str),
}

/// Insists that a template is of this language.
pub(super) fn check(source: &str) -> Result<(), Refused> {
    let template = parse(source, super::NAME, Default::default()).map_err(Refused::Syntax)?;
    statement(&template, MAX_DEPTH).map_err(Refused::Beyond)
}

type Checked = Result<(), &'static str>;

fn statement(stmt: &Stmt<'_>, depth: usize) -> Checked {
    let depth = deeper(depth)?;
    let all = |body: &[Stmt<'_>]| body.iter().try_for_each(|part| statement(part, depth));
    match stmt {
        Stmt::Template(template) => all(&template.children),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::EmitExpr(emit) => expression(&emit.expr, depth),
        Stmt::IfCond(cond) => {
            expression(&cond.expr, depth)?;
            all(&cond.true_body)?;
            all(&cond.false_body)
        }
        _ => Err("of statements it may have only if, elif and else"),
    }
}

fn expression(expr: &Expr<'_>, depth: usize) -> Checked {
    let depth = deeper(depth)?;
    let part = |expr: &Expr<'_>| expression(expr, depth);
    let maybe = |expr: &Option<Expr<'_>>| expr.as_ref().map_or(Ok(()), part);
    match expr {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::UnaryOp(op) if matches!(op.op, UnaryOpKind::Not) => part(&op.expr),
        Expr::BinOp(op) if !computes(op.op) => part(&op.left).and_then(|()| part(&op.right)),
        Expr::Compare(chain) => {
            part(&chain.expr)?;
            chain.ops.iter().try_for_each(|op| part(&op.expr))
        }
        Expr::IfExpr(choice) => {
            part(&choice.test_expr)?;
            part(&choice.true_expr)?;
            maybe(&choice.false_expr)
        }
        Expr::Filter(filter) if FILTERS.contains(&filter.name) => {
            maybe(&filter.expr)?;
            arguments(&filter.args, depth)
        }
        Expr::Filter(_) => {
            Err("of filters it may have upper, lower, title, capitalize, trim, default and length")
        }
        Expr::Test(test) if TESTS.contains(&test.name) => part(&test.expr),
        _ => Err("it may show and compare variables, not compute or call anything"),
    }
}

fn arguments(args: &[CallArg<'_>], depth: usize) -> Checked {
    args.iter().try_for_each(|arg| match arg {
        CallArg::Pos(expr) => expression(expr, depth),
        _ => Err("arguments of its filters have no names"),
    })
}

/// Whether an operator makes a new value; the others choose one of two, or say yes or no.
fn computes(op: BinOpKind) -> bool {
    use BinOpKind::{Add, Concat, Div, FloorDiv, Mul, Pow, Rem, Sub};
    matches!(op, Add | Concat | Div | FloorDiv | Mul | Pow | Rem | Sub)
}

fn deeper(left: usize) -> Result<usize, &'static str> {
    left.checked_sub(1).ok_or("its parts lie too deep in each other")
}
