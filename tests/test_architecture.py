"""The rules of the design that no type checker sees: layers, private names, sizes, documentation.

A rule is a function from source text (or from a class) to a list of complaints. It is applied to the
package, where it must find nothing, and to a few bad lines, where it must find what is wrong.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

import sksearch

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sksearch"

# Lowest first; a part may import parts of lower lines and itself, never its neighbours.
LAYERS = (
    ("_sklearn", "gp", "nets", "processes", "scratch", "selection", "trials"),
    ("folds", "payload", "spool"),
    ("pruning", "resources", "space"),
    ("samplers", "underway"),
    ("schedulers",),
    ("evaluate", "execution", "results"),
    ("estimators",),
    ("",),  # sksearch/__init__.py: the public names
)
# Third-party packages, where fewer than the runtime dependencies are allowed.
DEPENDENCIES = {"joblib", "numpy", "scipy", "sklearn", "threadpoolctl"}
ALLOWED = {
    "gp": {"numpy", "scipy"},
    "trials": set(),
    "folds": {"numpy"},
    "nets": {"numpy"},
    "processes": {"joblib"},
    "pruning": set(),
    "underway": set(),
    "samplers": DEPENDENCIES - {"joblib"},
    "schedulers": DEPENDENCIES - {"joblib", "sklearn"},
    "execution": DEPENDENCIES - {"sklearn"},
    "selection": {"numpy"},
    "payload": DEPENDENCIES | {"cloudpickle"},  # which joblib requires since 1.6, and carried before
    "spool": DEPENDENCIES | {"cloudpickle"},
    "": set(),
}
PRIVATE_SKLEARN = {"_sklearn"}
JOBLIB_INTERNALS = {"execution"}
JOBLIB_EXTERNALS = {"execution", "payload", "processes", "scratch", "spool"}  # its vendored cloudpickle and loky

TOP_LEVEL = {
    *(".ci", ".gitignore"),
    *("LICENSE", "README.md", "pyproject.toml"),
    *("docs", "examples", "sksearch", "tests"),
}
MAX_FILE_LINES = 600
MAX_BODY_LINES = 60


def module_name(path: Path) -> str:
    """Dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def part_of(module: str) -> str:
    """The file or folder of the package a module belongs to: `sksearch.gp.features` -> `gp`."""
    return (module + ".").split(".")[1]


def imported_names(source: str) -> Iterator[str]:
    """Dotted names that a module imports, wherever the statement stands: `from a import b` is `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def attribute_names(source: str, library: str) -> Iterator[str]:
    """Dotted attributes read from an imported module of `library`: `import a.b as c; c.d.e` is `a.b.d.e`."""
    tree = ast.parse(source)
    bound = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            bound.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            name, _, rest = ast.unparse(node).partition(".")
            if bound.get(name, "").split(".")[0] == library:
                yield f"{bound[name]}.{rest}"


# --- rules on source text -------------------------------------------------------------------------------------------


def layer_violations(source: str, module: str) -> list[str]:
    """Imports of the package that do not go down."""
    height = {part: level for level, parts in enumerate(LAYERS) for part in parts}
    here = part_of(module)
    found = []
    for name in imported_names(source):
        there = "" if part_of(name) in sksearch.__all__ else part_of(name)
        if name.startswith("."):
            found.append(f"{module} imports {name}: relative imports hide the layer")
        elif name.split(".")[0] == "sksearch" and not {here, there} <= height.keys():
            found.append(f"{module} imports {name}: not in the table of layers")
        elif name.split(".")[0] == "sksearch" and there != here and height[there] >= height[here]:
            found.append(f"{module} imports {name}: {there or 'sksearch'} is not below {here}")
    return found


def dependency_violations(source: str, module: str) -> list[str]:
    """Imports of third-party packages that the module may not know."""
    allowed = ALLOWED.get(part_of(module), DEPENDENCIES)
    roots = {name.split(".")[0] for name in imported_names(source)}
    foreign = roots - allowed - set(sys.stdlib_module_names) - {"sksearch"}
    return [f"{module} imports {root}" for root in sorted(foreign)]


def is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.endswith("__") for part in name.split("."))


def private_sklearn(source: str, module: str) -> list[str]:
    """Underscore names of scikit-learn outside the one file made for them."""
    if part_of(module) in PRIVATE_SKLEARN:
        return []
    names = [*imported_names(source), *attribute_names(source, "sklearn")]
    return [f"{module} uses {name}" for name in names if name.split(".")[0] == "sklearn" and is_private(name)]


def joblib_internals(source: str, module: str) -> list[str]:
    """Names of joblib that it does not export, outside the files made for them."""
    here = part_of(module)
    found = []
    for name in [*imported_names(source), *attribute_names(source, "joblib")]:
        root, *rest = name.split(".")
        public = not rest or rest[0] in joblib.__all__ or (rest[0] == "externals" and here in JOBLIB_EXTERNALS)
        if root == "joblib" and not public and here not in JOBLIB_INTERNALS:
            found.append(f"{module} uses {name}")
    return found


def file_too_long(source: str, module: str) -> list[str]:
    lines = len(source.splitlines())
    return [f"{module}: {lines} lines"] if lines > MAX_FILE_LINES else []


def functions_too_long(source: str, module: str) -> list[str]:
    """Functions whose body, without the docstring, is longer than a screen."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            if lines > MAX_BODY_LINES:
                found.append(f"{module}.{node.name}: {lines} lines")
    return found


def docstring_not_first(source: str, module: str) -> list[str]:
    return [] if ast.get_docstring(ast.parse(source)) else [f"{module}: its first statement is no docstring"]


Rule = Callable[[str, str], list[str]]
SOURCE_RULES: tuple[Rule, ...] = (
    layer_violations,
    dependency_violations,
    private_sklearn,
    joblib_internals,
    file_too_long,
    functions_too_long,
    docstring_not_first,
)


@pytest.mark.parametrize("rule", SOURCE_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("module", MODULES)
def test_no_module_breaks_a_rule(module: str, rule: Rule):
    assert rule(MODULES[module].read_text(encoding="utf-8"), module) == []


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        (layer_violations, "sksearch.gp.regression", "from sksearch.trials import Trial"),
        (layer_violations, "sksearch.gp.regression", "from . import features"),
        (layer_violations, "sksearch.samplers.bayes", "def f():\n    from sksearch.schedulers import full"),
        (layer_violations, "sksearch.execution", "from sksearch.evaluate import evaluate"),
        (layer_violations, "sksearch.execution", "from sksearch import results"),
        (layer_violations, "sksearch.space", "from sksearch import GridSearchCV"),
        (layer_violations, "sksearch.space", "import sksearch"),
        (layer_violations, "sksearch.novelty", "from sksearch.trials import Trial"),
        (layer_violations, "sksearch.space", "from sksearch.novelty import new"),
        (dependency_violations, "sksearch.gp.regression", "import sklearn.base"),
        (dependency_violations, "sksearch.execution", "from sklearn.base import clone"),
        (dependency_violations, "sksearch.evaluate", "import pandas as pd"),
        (private_sklearn, "sksearch.evaluate", "from sklearn.base import _clone_parametrized"),
        (private_sklearn, "sksearch.evaluate", "from sklearn.utils._param_validation import Interval"),
        (private_sklearn, "sksearch.evaluate", "import sklearn.model_selection._search"),
        (private_sklearn, "sksearch.evaluate", "from sklearn import utils as u\nu._bunch.Bunch"),
        (joblib_internals, "sksearch.evaluate", "from joblib.parallel import BatchedCalls"),
        (joblib_internals, "sksearch.evaluate", "import joblib\njoblib._parallel_backends.LokyBackend"),
        (joblib_internals, "sksearch.evaluate", "from joblib.externals import cloudpickle"),
        (file_too_long, "sksearch.space", "x = 1\n" * (MAX_FILE_LINES + 1)),
        (functions_too_long, "sksearch.space", "def f():\n    '''Long.'''\n" + "    x = 1\n" * (MAX_BODY_LINES + 1)),
        (
            functions_too_long,
            "sksearch.space",
            "class A:\n  def f(self):\n" + "    x = 1\n" * (MAX_BODY_LINES + 1),
        ),
        (docstring_not_first, "sksearch.space", "from __future__ import annotations\n'''Too late.'''"),
    ],
)
def test_a_rule_finds_what_breaks_it(rule: Rule, module: str, source: str):
    assert len(rule(source, module)) == 1


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        (layer_violations, "sksearch.estimators.grid", "from sksearch.execution import run_search"),
        (layer_violations, "sksearch.estimators.grid", "from sksearch.estimators.base import BaseSearch"),
        (layer_violations, "sksearch", "from sksearch.estimators import GridSearchCV"),
        (dependency_violations, "sksearch.gp.regression", "import math\nimport numpy as np\nfrom scipy import linalg"),
        (private_sklearn, "sksearch._sklearn", "from sklearn.model_selection._search import BaseSearchCV"),
        (private_sklearn, "sksearch.evaluate", "import sklearn\nsklearn.__version__"),
        (joblib_internals, "sksearch.execution", "from joblib.parallel import BatchedCalls"),
        (joblib_internals, "sksearch.evaluate", "from joblib import Parallel\nimport joblib\njoblib.cpu_count()"),
        (joblib_internals, "sksearch.spool", "from joblib.externals import cloudpickle"),
        (functions_too_long, "sksearch.space", "def f():\n    '''Long.\n" + "    text\n" * 80 + "    '''"),
    ],
)
def test_a_rule_lets_pass_what_is_right(rule: Rule, module: str, source: str):
    assert rule(source, module) == []


def test_the_table_of_layers_names_what_exists():
    parts = {part_of(module) for module in MODULES}
    assert {part for layer in LAYERS for part in layer} == parts


# --- rules on public objects ----------------------------------------------------------------------------------------


def public_objects(module: str, names: Collection[str] = ()) -> dict[str, Any]:
    """Classes and functions that a module exports (those called `names`, where given), by their dotted names."""
    exported = {name: getattr(importlib.import_module(module), name) for name in names or exports(module)}
    return {
        f"{module}.{name}": obj for name, obj in exported.items() if inspect.isclass(obj) or inspect.isfunction(obj)
    }


def exports(module: str) -> Collection[str]:
    return getattr(importlib.import_module(module), "__all__", ())


# What people call with keywords has numpydoc's sections.
DOCUMENTED = public_objects("sksearch") | public_objects("sksearch.space", ("Real", "Integer", "Categorical"))
DOCUMENTED |= public_objects("sksearch.selection", ("posterior_mean", "OneStandardError"))
PUBLIC = DOCUMENTED | public_objects("sksearch.samplers") | public_objects("sksearch.schedulers")


def documented_defaults(docstring: str) -> dict[str, str | None]:
    """Default of each entry of the numpydoc section Parameters, as written; None where none is."""
    lines = inspect.cleandoc(docstring).splitlines()
    underline = next((i for i, line in enumerate(lines) if i and line == "----------"), None)
    if underline is None or lines[underline - 1] != "Parameters":
        return {}
    found: dict[str, str | None] = {}
    for i in range(underline + 1, len(lines)):
        if re.fullmatch(r"-{3,}", lines[min(i + 1, len(lines) - 1)]):
            break
        entry = re.fullmatch(r"(\w+(?:, \w+)*) : (.+)", lines[i])
        if entry:
            default = re.search(r"(?:, )?default=(.+)", entry[2])
            found |= dict.fromkeys(entry[1].split(", "), default and default[1].strip())
    return found


def wrong_defaults(obj: Any) -> list[str]:
    """Where the documentation of a signature and the signature disagree."""
    documented = documented_defaults(obj.__doc__ or "")
    signature = {
        name: parameter for name, parameter in inspect.signature(obj).parameters.items() if not name.startswith("_")
    }
    found = [f"{name} is documented and not accepted" for name in documented.keys() - signature.keys()]
    for name, parameter in signature.items():
        if name not in documented:
            found.append(f"{name} is not documented")
        elif (parameter.default is inspect.Parameter.empty) != (documented[name] is None):
            found.append(f"{name}: documented default {documented[name]}, in the signature {parameter.default!r}")
        elif documented[name] is not None:
            # repr tells nan from nan no better than == would tell True from 1
            value = eval(documented[name] or "", {"np": np, "nan": np.nan})
            if repr(value) != repr(parameter.default):
                found.append(f"{name}: documented default {documented[name]}, in the signature {parameter.default!r}")
    return found


def has_no_example(obj: Any) -> list[str]:
    """No doctest in the docstring; protocols are exempt, their docstrings show a sequence of calls."""
    if getattr(obj, "_is_protocol", False):
        return []
    return [] if doctest.DocTestParser().get_examples(obj.__doc__ or "") else [f"{obj.__qualname__} has no example"]


def has_no_examples_section(obj: Any) -> list[str]:
    """A numpydoc docstring whose doctest is not under the heading Examples."""
    text = inspect.cleandoc(obj.__doc__ or "")
    heading = re.search(r"^Examples\n-{8}$", text, flags=re.MULTILINE)
    return [] if heading and ">>> " in text[heading.end() :] else [f"{obj.__qualname__} has no section Examples"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_defaults_are_those_of_the_signature(name: str):
    assert wrong_defaults(DOCUMENTED[name]) == []


@pytest.mark.parametrize("name", PUBLIC)
def test_public_objects_show_an_example_that_runs(name: str):
    assert has_no_example(PUBLIC[name]) == []


@pytest.mark.parametrize("name", [name for name, obj in DOCUMENTED.items() if inspect.isclass(obj)])
def test_public_classes_have_a_section_of_examples(name: str):
    assert has_no_examples_section(DOCUMENTED[name]) == []


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("sksearch", {"GridSearchCV", "RandomizedSearchCV", "BayesSearchCV", "HyperbandSearchCV"}),
        ("sksearch.space", {"Real", "Integer", "Categorical"}),
        ("sksearch.selection", {"posterior_mean", "one_standard_error"}),
        ("sksearch.samplers", {"Sampler", "BayesSampler"}),
        ("sksearch.schedulers", {"Scheduler"}),
    ],
)
def test_a_public_module_exports_the_names_of_the_contract(module: str, names: set[str]):
    assert names <= set(exports(module))


class Sound:
    """Nothing wrong.

    Parameters
    ----------
    a : int
        No default.
    b, c : {"x", "y"}, default="x"
        Two at once.
    d : float or "raise", default=np.nan
        What scikit-learn has.

    Attributes
    ----------
    e : int, default=3
        No parameter.

    Examples
    --------
    >>> 1 + 1
    2
    """

    def __init__(self, a, b="x", c="x", *, d=np.nan): ...


class Unsound:
    """Everything wrong.

    Parameters
    ----------
    a : int, default=1
        Has none.
    b : int
        Has one.
    c : bool, default=True
        Is 1.
    gone : int
        Is not there.
    """

    def __init__(self, a, b=1, c=1, new=None): ...


def test_checks_of_docstrings_pass_what_is_right_and_find_what_is_wrong():
    assert wrong_defaults(Sound) + has_no_example(Sound) + has_no_examples_section(Sound) == []
    assert [complaint.split()[0].rstrip(":") for complaint in wrong_defaults(Unsound)] == ["gone", "a", "b", "c", "new"]
    assert len(has_no_example(Unsound)) == 1
    assert len(has_no_examples_section(Unsound)) == 1


def test_a_protocol_needs_no_example():
    assert has_no_example(type("P", (typing.Protocol,), {"__doc__": "A protocol."})) == []


# --- the tree -------------------------------------------------------------------------------------------------------


def test_the_top_level_holds_what_the_design_names():
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert {line.split("/")[0] for line in listing.stdout.splitlines()} == TOP_LEVEL
