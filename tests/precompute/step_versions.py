"""What code each step runs, so that a test can tell when it changes without the step's version.

The code of a step is its function and whatever of the modules in `FOLLOWED` that function
reaches by name: functions, whole classes, constants. What cannot change a result is left out: docstrings,
comments, layout, annotations. So is `core.data`, because the digest of the data is part of every
step's key, except for what is made of the data, the corruptions.

As a program it records the code as it is now: `make versions`.
"""

import ast
import hashlib
import json
import symtable
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("step_versions.json")
TABLE = "precompute.steps.table", "STEPS"
PAPERS_TABLE = "experiment", "FUNCTIONS"
"""Module and name of the table of step functions: that of all papers, and in a paper's folder its own."""
FOLLOWED = ("core", "precompute.steps", "precompute.papers")
NOT_FOLLOWED = ("core.data", "precompute.steps.job")
FOLLOWED_ALL_THE_SAME = ("core.data.corruptions",)
Name = tuple[str, str]
"""Module and name of a definition."""


def inside(module, roots):
    """Whether a module is one of these, or in one."""
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def followed(module):
    """Whether the code of a module is looked at."""
    return inside(module, FOLLOWED_ALL_THE_SAME) or (
        inside(module, FOLLOWED) and not inside(module, NOT_FOLLOWED)
    )


class Bare(ast.NodeTransformer):
    """Takes away docstrings and annotations."""

    def _without_docstring(self, node):
        self.generic_visit(node)
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node):
        node.returns = None
        return self._without_docstring(node)

    def visit_ClassDef(self, node):
        return self._without_docstring(node)

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        """Fields keep a place, in which their order can be seen."""
        self.generic_visit(node)
        node.annotation = ast.Constant(None)
        return node


def canonical(node):
    """An AST as JSON values, the same under every version of Python: what is empty is left out."""
    if isinstance(node, ast.AST):
        fields = {name: canonical(value) for name, value in ast.iter_fields(node)}
        kept = {name: value for name, value in fields.items() if value not in (None, [])}
        return [type(node).__name__, kept]
    if isinstance(node, list):
        return [canonical(item) for item in node]
    return node if node is None else f"{type(node).__name__} {node!r}"


def names_from_outside(node):
    """Names that a definition takes from its module or imports itself."""
    source = ast.unparse(ast.fix_missing_locations(ast.Module([node], [])))
    top = symtable.symtable(source, "definition", "exec")
    names = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    tables = list(top.get_children())
    while tables:
        table = tables.pop()
        names |= {
            symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() or symbol.is_imported()
        }
        tables += table.get_children()
    return names


@dataclass
class Module:
    """A source file: its definitions and what its names are imported from."""

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Name] = field(default_factory=dict)

    @classmethod
    def parse(cls, source):
        """Read a source text."""
        module = cls()
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    module.imports[alias.asname or alias.name] = (node.module, alias.name)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [t.id for target in node.targets for t in ast.walk(target) if isinstance(t, ast.Name)]
            elif isinstance(node, ast.AnnAssign | ast.AugAssign) and isinstance(node.target, ast.Name):
                names = [node.target.id]
            else:
                continue
            for name in names:
                module.definitions.setdefault(name, []).append(Bare().visit(node))
        return module


class Code:
    """The definitions of a source tree, and which of them reach which."""

    def __init__(self, root=ROOT):
        self.root = root
        self._modules = {}

    def module(self, name):
        """A module, or None where there is no such file."""
        if name not in self._modules:
            base = self.root.joinpath(*name.split("."))
            files = [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.exists()]
            self._modules[name] = Module.parse(files[0].read_text(encoding="utf-8")) if files else None
        return self._modules[name]

    def resolve(self, module, name):
        """Where a name of a module is defined, or None when that is not followed."""
        while followed(module):
            found = self.module(module)
            if found is None:
                return None
            if name in found.definitions:
                return module, name
            if name not in found.imports:
                return None
            module, name = found.imports[name]
            if self.module(f"{module}.{name}") is not None and inside(f"{module}.{name}", FOLLOWED):
                if not followed(f"{module}.{name}"):
                    return None
                raise ValueError(
                    f"expected names imported from {module}.{name}, got the module; import what is used, "
                    "so that the code behind a step is known"
                )
        return None

    def reached(self, start):
        """`start` and every definition that it reaches, with the digest of each."""
        digests, waiting = {}, [start]
        while waiting:
            module, name = waiting.pop()
            if (module, name) in digests:
                continue
            nodes = self.module(module).definitions[name]
            text = json.dumps([canonical(node) for node in nodes])
            digests[module, name] = hashlib.sha256(text.encode()).hexdigest()
            names = {used for node in nodes for used in names_from_outside(node)}
            waiting += [found for used in sorted(names) if (found := self.resolve(module, used))]
        return digests

    def tables(self):
        """Module and name of every table of step functions."""
        yield TABLE
        module, name = PAPERS_TABLE
        for file in sorted(self.root.glob(f"precompute/papers/*/{module}.py")):
            yield f"precompute.papers.{file.parent.name}.{module}", name

    def steps(self):
        """Version, digest and definitions of every step in the tables."""
        found = {}
        for table, name in self.tables():
            (assignment,) = self.module(table).definitions[name]
            for key, call in zip(assignment.value.keys, assignment.value.values, strict=True):
                place, version = (argument.value for argument in call.args[:2])
                start = self.resolve(*place.split(":"))
                if start is None:
                    raise ValueError(f"expected the step function {place}, as {table} has it, found none")
                parts = {f"{module}.{part}": digest for (module, part), digest in self.reached(start).items()}
                # Of the code alone: moving it from one module to another changes nothing.
                digest = hashlib.sha256("\n".join(sorted(parts.values())).encode()).hexdigest()
                found[key.value] = {"version": version, "digest": digest, "parts": parts}
        return found


def recorded(path=RECORD):
    """What was recorded, in the form of `Code.steps`."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: {**step, "parts": {part: document["definitions"][part] for part in step["parts"]}}
        for name, step in document["steps"].items()
    }


def record(path=RECORD, root=ROOT):
    """Write down the steps as they are."""
    steps = Code(root).steps()
    definitions = {part: digest for step in steps.values() for part, digest in step["parts"].items()}
    document = {
        "definitions": dict(sorted(definitions.items())),
        "steps": {name: {**step, "parts": sorted(step["parts"])} for name, step in steps.items()},
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def differences(before, now):
    """One sentence for every step that is not as recorded."""
    found = []
    for name in sorted(before.keys() | now.keys()):
        if name not in before or name not in now:
            state = "new" if name in now else "gone"
            found.append(f"{name}: {state}; run `make versions`")
            continue
        old, new = before[name], now[name]
        parts = sorted(p for p, digest in new["parts"].items() if old["parts"].get(p) != digest)
        parts += sorted(old["parts"].keys() - new["parts"].keys())
        if old["version"] != new["version"]:
            found.append(f"{name}: version {new['version']}, recorded {old['version']}; run `make versions`")
        elif old["digest"] != new["digest"]:
            found.append(
                f"{name}: other code under the same version {new['version']} ({', '.join(parts)}); if its "
                "results change, raise its version in the table that it is in; then, and also if they "
                "do not, run `make versions`"
            )
    return found


if __name__ == "__main__":
    changes = differences(recorded(), Code().steps()) if RECORD.exists() else []
    record()
    for change in changes:
        sys.stdout.write(f"recorded, was {change.split(';')[0]}\n")
    sys.stdout.write(f"{RECORD.relative_to(ROOT)}: {len(Code().steps())} steps\n")
