"""Expressions that a user types: parsed into a list of known operations, never evaluated as code.

Two languages. Boolean: names, 0 and 1, `~ & ^ |` in falling precedence, or the words not, and, xor, or, which mean
exactly the same, `==` and `!=` below them, and parentheses. Arithmetic: names, numbers, `+ - * / **` (`^` is `**`),
comparisons, which give 1 or 0, pi and e, and the functions in FUNCTIONS.
"""

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deepclassics.errors import UserError, meant, short

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 100_000  # characters
WORDS = {"not": "~", "and": "&", "xor": "^", "or": "|", "true": "1", "false": "0"}
SIGNS = {"¬": "~", "!": "~", "∧": "&", "⊕": "^", "∨": "|", "&&": "&", "||": "|"}
BOOLEAN: dict[type[ast.AST], str] = {
    ast.Invert: "not", ast.Not: "not", ast.BitAnd: "and", ast.BitXor: "xor", ast.BitOr: "or",
    ast.Eq: "equal", ast.NotEq: "xor",
}  # fmt: skip
ARITHMETIC: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow", ast.USub: "neg",
    ast.UAdd: "same", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
}  # fmt: skip
FUNCTIONS = {
    "sin": 1, "cos": 1, "tan": 1, "exp": 1, "log": 1, "sqrt": 1, "abs": 1, "sign": 1, "step": 1, "tanh": 1,
    "sigmoid": 1, "relu": 1, "min": 2, "max": 2,
}  # fmt: skip
CONSTANTS = {"pi": math.pi, "e": math.e}


@dataclass(frozen=True)
class Expression:
    """A formula over named variables, as steps of a stack machine."""

    text: str
    names: tuple[str, ...]  # of its variables, in natural order: x2 before x10
    boolean: bool
    steps: tuple[tuple[str, Any], ...]  # ("name", "x"), ("number", 2.0), or (operation, how many values it takes)

    def __call__(self, values: "Mapping[str, Tensor]") -> "Tensor":  # {name: (...)} -> (...), of the values' type
        """The formula at these values, which are tensors of equal shape: bool, or floats."""
        import torch

        some = next(iter(values.values()))
        stack: list[Tensor] = []
        for what, argument in self.steps:
            if what == "name":
                stack.append(values[argument])
            elif what == "number":
                stack.append(torch.full_like(some, argument))
            else:
                taken = stack[-argument:]
                del stack[-argument:]
                stack.append(_operation(what)(*taken).to(some.dtype))
        return stack[0]


def _operation(name: str) -> "Callable[..., Tensor]":
    import torch

    operations: dict[str, Callable[..., Tensor]] = {
        "not": torch.logical_not, "and": torch.logical_and, "xor": torch.logical_xor, "or": torch.logical_or,
        "equal": torch.eq, "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "pow": torch.pow,
        "neg": torch.neg, "same": torch.clone, "lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge,
        "min": torch.minimum, "max": torch.maximum, "step": lambda x: x >= 0,
    }  # fmt: skip
    return operations[name] if name in operations else getattr(torch, name)


def is_formula(text: str) -> bool:
    """Whether words of a user can only be meant as a formula: they hold an operator, or call a function."""
    found = re.search(r"[&|^~+*()=<>!¬∧⊕∨]|\b(and|or|xor|not)\b|[\w)]\s*[-/]\s*[\w(]", text)
    return bool(found) and not re.search(r"(^|\s)[./~]*/(?=\S)|\.[A-Za-z]\w{1,6}$", text)  # no path, no file's name


def boolean(text: str) -> Expression:
    """A Boolean expression.

    Raises:
        UserError: what cannot be understood, and where.
    """
    plain = text
    for sign, ours in SIGNS.items():
        plain = re.sub(re.escape(sign) + ("(?!=)" if sign == "!" else ""), ours, plain)
    plain = re.sub(r"\b(not|and|xor|or|true|false)\b", lambda word: WORDS[word[0].lower()], plain, flags=re.IGNORECASE)
    return _parsed(text, plain, BOOLEAN, {})


def arithmetic(text: str) -> Expression:
    """An expression of numbers.

    Raises:
        UserError: what cannot be understood, and where.
    """
    return _parsed(text, text.replace("^", "**"), ARITHMETIC, FUNCTIONS)


def _parsed(text: str, plain: str, operators: dict[type[ast.AST], str], functions: dict[str, int]) -> Expression:
    is_boolean = operators is BOOLEAN
    if not text.strip():
        raise UserError("The expression is empty. Write one, as " + ("'(a & b) ^ ~c'." if is_boolean else "'sin(x)'."))
    if len(text) > LONGEST:
        raise UserError(f"An expression must have at most {LONGEST:,} characters; got {len(text):,}.")
    try:
        tree = ast.parse(plain.strip(), mode="eval").body
    except (MemoryError, RecursionError):
        raise UserError(
            f"'{short(text)}' is nested too deeply to be read. Write it with fewer terms, or as a table in a file."
        ) from None
    except (SyntaxError, ValueError) as error:
        if "nested" in str(error):
            raise UserError(f"'{short(text)}' has too many parentheses within each other. Write it flatter.") from None
        raise UserError(f"'{short(text)}' cannot be read as an expression: it breaks off or goes wrong.") from None
    steps: list[tuple[str, Any]] = []
    waiting: list[ast.AST | tuple[str, int]] = [tree]
    while waiting:  # operators come out before their arguments; reversed at the end, arguments come first
        node = waiting.pop()
        if isinstance(node, tuple):
            steps.append(node)
        elif isinstance(node, ast.Name):
            constant = None if is_boolean else CONSTANTS.get(node.id)
            steps.append(("name", node.id) if constant is None else ("number", constant))
        elif isinstance(node, ast.Constant):
            steps.append(("number", _number(node.value, text, is_boolean)))
        else:
            name, arguments = _operator(node, text, operators, functions)
            steps.append((name, len(arguments)))
            waiting += arguments
    names = {argument for what, argument in steps if what == "name"}
    if not is_boolean and (odd := sorted(names & set(FUNCTIONS))):
        raise UserError(f"'{short(text)}': {odd[0]} is a function; write {odd[0]}(...).")
    return Expression(text, tuple(sorted(names, key=natural)), is_boolean, tuple(reversed(steps)))


def _operator(
    node: ast.AST, text: str, operators: dict[type[ast.AST], str], functions: dict[str, int]
) -> tuple[str, list[ast.AST]]:
    """The name of an operation and what it is applied to, first to last."""
    if isinstance(node, ast.BinOp) and type(node.op) in operators:
        return operators[type(node.op)], [node.left, node.right]
    if isinstance(node, ast.UnaryOp) and type(node.op) in operators:
        return operators[type(node.op)], [node.operand]
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in operators:
        return operators[type(node.ops[0])], [node.left, node.comparators[0]]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords and functions:
        name = node.func.id
        if name not in functions:
            raise UserError(
                f"'{short(text)}': there is no function '{name}'.{meant(name, functions)} "
                f"There are {', '.join(functions)}."
            )
        if len(node.args) != functions[name]:
            raise UserError(f"'{short(text)}': {name} takes {functions[name]} values; got {len(node.args)}.")
        return name, list(node.args)
    known = "names, 0, 1, ~ & ^ | (or not, and, xor, or), == and !=" if operators is BOOLEAN else (
        f"names, numbers, + - * / **, < <= > >=, and {', '.join(functions)}")  # fmt: skip
    raise UserError(f"'{short(text)}' must be made of {known}; it holds something else.")


def _number(value: Any, text: str, is_boolean: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or (is_boolean and value not in (0, 1)):
        wanted = "0 or 1" if is_boolean else "a number"
        raise UserError(f"'{short(text)}': a constant must be {wanted}; got {value!r:.40}.")
    if not abs(value) < 1e308:
        raise UserError(f"'{short(text)}': a constant must be below 1e308; got a larger one.")
    return float(value)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts x2 before x10."""
    pieces = re.findall(r"\d+|\D+", name)
    return tuple((0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces)
